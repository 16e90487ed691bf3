//! The programs of conditions with which `ss` asks for some sockets only: INET_DIAG_REQ_BYTECODE.
//!
//! A program and a socket in, whether it is meant out. Always true: a program goes forward only, so that it ends; one that
//! jumps to where no instruction is means nothing. Which questions have one is in `diag`.

use super::diag::octets;
use crate::memory::u32_at;
use crate::socket::inet::Line;

/// Bytes of a `struct inet_diag_bc_op`, and of a `struct inet_diag_hostcond` without its address.
const STEP_BYTES: usize = 4;
const PLACE_BYTES: usize = 8;
/// `INET_DIAG_BC_*`.
const NOTHING: u8 = 0;
const SOURCE_PORT_FROM: u8 = 2;
const SOURCE_PORT_TO: u8 = 3;
const TARGET_PORT_FROM: u8 = 4;
const TARGET_PORT_TO: u8 = 5;
const SOURCE: u8 = 7;
const TARGET: u8 = 8;
const SOURCE_PORT: u8 = 11;
const TARGET_PORT: u8 = 12;

/// Whether a socket fulfils the conditions.
pub(super) fn holds(program: &[u8], line: &Line, is_v6: bool) -> bool {
    let mut rest = program;
    while let Some((&[code, yes, a, b], operand)) = rest.split_first_chunk::<STEP_BYTES>() {
        // A number stands where the next step has its second jump.
        let port = operand.get(2..4).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]));
        let (own, other) = (line.local.port, line.remote.port);
        let is_true = match code {
            NOTHING => true,
            SOURCE_PORT_FROM => own >= port,
            SOURCE_PORT_TO => own <= port,
            TARGET_PORT_FROM => other >= port,
            TARGET_PORT_TO => other <= port,
            SOURCE_PORT => own == port,
            TARGET_PORT => other == port,
            SOURCE => is_at(operand, own, octets(line.local.ip, is_v6), is_v6),
            TARGET => is_at(operand, other, octets(line.remote.ip, is_v6), is_v6),
            _ => false,
        };
        let step = if is_true { yes.into() } else { usize::from(u16::from_le_bytes([a, b])) };
        match rest.get(step..) {
            Some(next) if step >= STEP_BYTES => rest = next,
            // As one says no that jumps beyond the end.
            _ => return false,
        }
    }
    rest.is_empty()
}

/// Whether an endpoint is the one that a condition names, as far as it does.
fn is_at(condition: &[u8], port: u16, octets: [u8; 16], is_v6: bool) -> bool {
    let Some(fixed) = condition.get(..PLACE_BYTES) else { return false };
    let (family, bits) = (i32::from(fixed[0]), usize::from(fixed[1]));
    let wanted_port = u32_at(fixed, 4) as i32;
    if wanted_port != -1 && wanted_port != i32::from(port) {
        return false;
    }
    let own_family = if is_v6 { libc::AF_INET6 } else { libc::AF_INET };
    let is_mapped = is_v6 && family == libc::AF_INET;
    let address = if is_mapped { &octets[12..] } else { &octets[..] };
    if family != libc::AF_UNSPEC && family != own_family {
        let is_v4 = octets[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        if !(is_mapped && is_v4) {
            return false;
        }
    }
    let wanted = condition.get(PLACE_BYTES..).unwrap_or_default();
    let is_same = |bit: usize| {
        let of = |bytes: &[u8]| bytes.get(bit / 8).map(|byte| byte >> (7 - bit % 8) & 1);
        of(wanted).is_some() && of(wanted) == of(address)
    };
    (0..bits).all(is_same)
}
