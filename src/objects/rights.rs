//! Descriptors that come with messages: SCM_RIGHTS.
//!
//! The simulator's report in; numbers, and the rest of a message's header, out; native ones go through [`super::post`]. Always true: the numbers are the
//! lowest free ones, as many as the guest may have and has memory for; what gets none is gone, and MSG_CTRUNC tells.
//! See unix(7).

use shim_abi::Errno;
use shim_abi::calls::PSEUDO_TAKE_RIGHTS;
use shim_abi::process::descriptor;

use super::placeholder::Placeholder;
use super::post::Counter;
use super::socket::{CONTROL_BYTES_OFFSET, FLAGS_OFFSET};
use super::{is_virtual, post};
use crate::forward::Forwarded;
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::native::descriptors::check_open;
use crate::sys;
use crate::thread::Slot;

/// What the simulator says of descriptors that came: how many there is room for, where their control message goes,
/// how many bytes are left there, the message's flags, how many bytes of control messages stand before, and a bit for
/// each that is native.
pub type Report = [u64; 5 + MAX_RIGHTS.div_ceil(64)];

/// Bytes of a `struct cmsghdr`.
const HEADER_BYTES: u64 = 16;
/// The most descriptors of one message.
pub const MAX_RIGHTS: usize = 253;

/// Give a number to one that came.
fn take_one(
    slot: &Slot,
    counter: &mut Option<Counter>,
    native_index: Option<u64>,
    is_close_on_exec: bool,
) -> Result<u32, Errno> {
    let Some(index) = native_index else {
        return Placeholder::take(slot, is_close_on_exec).map(|placeholder| placeholder.keep(slot));
    };
    if counter.is_none() {
        *counter = Some(Counter::open(slot)?);
    }
    counter.as_ref().ok_or(Errno::EMFILE)?.fetch(slot, index, is_close_on_exec)
}

/// Take a number back.
fn give_up(slot: &Slot, number: u32) {
    slot.process.set_descriptor(number, descriptor::NATIVE);
    sys::close(number);
}

/// Give numbers to what came, and finish the header.
pub fn take(slot: &Slot, header: u64, report: Report, is_close_on_exec: bool) -> Result<(), Errno> {
    let [count, at, room, mut flags, mut used, ..] = report;
    // Two numbers a word, as the simulator reads them.
    let mut numbers = [0u64; MAX_RIGHTS.div_ceil(2)];
    let mut taken = 0;
    let mut counter = None;
    while taken < count.min(MAX_RIGHTS as u64) {
        let is_native = report[5 + taken as usize / 64] >> (taken % 64) & 1 != 0;
        let native_index = is_native.then_some(taken);
        let Ok(number) = take_one(slot, &mut counter, native_index, is_close_on_exec) else {
            break;
        };
        let number_at = GuestAddr(at).offset(HEADER_BYTES + 4 * taken);
        if write_value(number_at, &number).is_err() {
            give_up(slot, number);
            break;
        }
        numbers[taken as usize / 2] |= u64::from(number) << (taken % 2 * 32);
        taken += 1;
    }
    drop(counter);
    let cloexec = if is_close_on_exec { libc::O_CLOEXEC as u64 } else { 0 };
    let args = [numbers.as_ptr() as u64, taken, cloexec, 0, 0, 0];
    let mut forwarded = Forwarded::new(slot, PSEUDO_TAKE_RIGHTS, args);
    forwarded.carry_own(&numbers[..taken.div_ceil(2) as usize]);
    forwarded.send();
    if taken < count {
        flags |= libc::MSG_CTRUNC as u64;
    }
    if taken > 0 {
        let len = HEADER_BYTES + 4 * taken;
        let kind = libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32;
        // As Linux does: memory that is bad here is told to nobody.
        if write_value(GuestAddr(at), &[len, kind]).is_ok() {
            used += len.next_multiple_of(8).min(room);
        }
    }
    write_value(GuestAddr(header).offset(FLAGS_OFFSET), &(flags as u32))?;
    write_value(GuestAddr(header).offset(CONTROL_BYTES_OFFSET), &used)
}

/// Send the simulator what a list of control messages names that is open and not its own: whether there is such.
pub fn send_natives(slot: &Slot, control: u64, bytes: u64) -> Result<bool, Errno> {
    let mut numbers = [0; MAX_RIGHTS];
    let mut count = 0;
    let mut at = 0;
    while at + HEADER_BYTES <= bytes {
        let Ok([len, kind]) = read_value::<[u64; 2]>(GuestAddr(control).offset(at)) else { break };
        if len < HEADER_BYTES || len > bytes - at {
            break;
        }
        let is_rights = kind == libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32;
        for i in 0..if is_rights { (len - HEADER_BYTES) / 4 } else { 0 } {
            let number_at = GuestAddr(control).offset(at + HEADER_BYTES + 4 * i);
            let Ok(number) = read_value::<u32>(number_at) else { return Ok(false) };
            if is_virtual(slot, number) || check_open(slot, number).is_err() {
                continue;
            }
            // More is too much, whatever it is.
            let Some(place) = numbers.get_mut(count) else { return Ok(false) };
            *place = number;
            count += 1;
        }
        at += len.next_multiple_of(8);
    }
    if count > 0 {
        post::send(slot, &numbers[..count])?;
    }
    Ok(count > 0)
}
