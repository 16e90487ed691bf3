//! What can be set and asked of a socket: `setsockopt`, `getsockopt`, see socket(7).
//!
//! Options and values in and out. Always true: sizes are doubled and limited as on Linux, times are rounded up to its
//! clock ticks; an option of SOL_SOCKET that is not here is ENOPROTOOPT, and the shim names it; AF_UNIX has no options
//! of its own.

use shim_abi::{Errno, SimDuration};

use super::{Socket, SocketId};
use crate::context::{Answer, Context, done};
use crate::file::check_number;
use crate::guest::{Guest, GuestAddr};
use crate::memory::{read_bytes, read_u32, u64_at};

/// SO_RCVTIMEO and SO_SNDTIMEO as 32-bit programs that know of the year 2038 call them; here the two are the same.
const SO_RCVTIMEO_NEW: i32 = 66;
const SO_SNDTIMEO_NEW: i32 = 67;
const SO_NO_CHECK: i32 = 11;
const SO_INCOMING_NAPI_ID: i32 = 56;
const SO_PEEK_OFF: i32 = 42;
/// SO_TIMESTAMPING: its flags, and those that matter here.
const SO_TIMESTAMPING: i32 = 37;
const STAMPING_FLAGS: u32 = (1 << 19) - 1;
const STAMPING_ON_ARRIVAL: u32 = 1 << 3;
const STAMPING_SHOWN: u32 = 1 << 4;
/// A descriptor of the process at the other side: its number is the shim's.
const SO_PEERPIDFD: i32 = 77;
/// The sizes that a socket has at first, and the most that can be asked for, which is then doubled.
const DEFAULT_BYTES: usize = 212_992;
/// Those of a stream of AF_INET: the middle of net.ipv4.tcp_wmem and net.ipv4.tcp_rmem.
const STREAM_SEND_BYTES: usize = 16_384;
const STREAM_RECEIVE_BYTES: usize = 131_072;
/// The least.
const MIN_SEND_BYTES: usize = 4608;
const MIN_RECEIVE_BYTES: usize = 2304;
/// Linux counts times in these.
const TICK_NS: u64 = 4_000_000;
/// The highest priority that needs no privilege.
const MAX_PRIORITY: u32 = 6;

/// What a user may set.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) send_bytes: usize,
    pub(super) receive_bytes: usize,
    /// How long a call waits; `None`: for ever.
    pub(super) send_timeout: Option<SimDuration>,
    pub(super) receive_timeout: Option<SimDuration>,
    /// How much a stream waits for, if it can.
    pub(super) low_water_bytes: usize,
    /// SO_PASSCRED.
    pub(super) passes_credentials: bool,
    /// Whether a user has set the sizes.
    pub(super) is_send_size_fixed: bool,
    pub(super) is_receive_size_fixed: bool,
    /// SO_PEEK_OFF: how much a look skips; nothing if it is negative.
    pub(super) peek_offset: i32,
    /// SO_TIMESTAMPING.
    stamping: u32,
    /// SO_REUSEPORT: whose group shares the port.
    pub(super) port_group: Option<u32>,
    /// Options that are on or off, by number.
    switches: u64,
    priority: u32,
    /// SO_LINGER: whether, and for how many seconds.
    linger: [u32; 2],
}

impl Default for Options {
    fn default() -> Options {
        Options {
            send_bytes: DEFAULT_BYTES,
            receive_bytes: DEFAULT_BYTES,
            send_timeout: None,
            receive_timeout: None,
            low_water_bytes: 1,
            passes_credentials: false,
            is_send_size_fixed: false,
            is_receive_size_fixed: false,
            peek_offset: -1,
            stamping: 0,
            port_group: None,
            switches: 0,
            priority: 0,
            linger: [0; 2],
        }
    }
}

impl Options {
    /// What a stream of AF_INET begins with.
    pub(super) fn of_stream() -> Options {
        let (send_bytes, receive_bytes) = (STREAM_SEND_BYTES, STREAM_RECEIVE_BYTES);
        Options { send_bytes, receive_bytes, ..Options::default() }
    }
    /// Whether an option is on that is on or off.
    pub(super) fn has(&self, option: i32) -> bool {
        self.switches >> option & 1 != 0
    }
    /// How much a look skips, if it is a look, and the option is on.
    pub(super) fn skipped_by(&self, is_peek: bool) -> Option<usize> {
        usize::try_from(self.peek_offset).ok().filter(|_| is_peek)
    }
    /// So many bytes were looked at, or taken: the next look begins behind those that were.
    pub(super) fn move_peek_offset(&mut self, bytes: usize, is_peek: bool) {
        if self.peek_offset >= 0 {
            let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
            let by = if is_peek { bytes } else { -bytes };
            self.peek_offset = self.peek_offset.saturating_add(by).max(0);
        }
    }
    /// Whether a receiver is told by SO_TIMESTAMPING when a message came.
    pub(super) fn stamps_arrival(&self) -> bool {
        let is_taken = self.stamping & STAMPING_ON_ARRIVAL != 0 || self.switches & STAMPS != 0;
        is_taken && self.stamping & STAMPING_SHOWN != 0
    }
    /// SO_LINGER, in seconds, if it is on.
    pub(super) fn linger_secs(&self) -> Option<u32> {
        let [is_on, seconds] = self.linger;
        (is_on != 0).then_some(seconds)
    }
}

/// Whether an option is on or off.
fn is_switch(option: i32) -> bool {
    matches!(
        option,
        libc::SO_REUSEADDR
            | libc::SO_DONTROUTE
            | libc::SO_BROADCAST
            | libc::SO_KEEPALIVE
            | libc::SO_OOBINLINE
            | libc::SO_RXQ_OVFL
            | SO_NO_CHECK
    )
}

/// Whether an option says in which form a receiver is told when a message came.
fn is_stamp(option: i32) -> bool {
    matches!(option, libc::SO_TIMESTAMP | libc::SO_TIMESTAMPNS)
}
const STAMPS: u64 = 1 << libc::SO_TIMESTAMP | 1 << libc::SO_TIMESTAMPNS;

pub(crate) fn setsockopt(
    context: &mut Context<'_>,
    fd: u32,
    level: i32,
    option: i32,
    from: GuestAddr,
    bytes: i32,
) -> Answer {
    if bytes < 0 {
        return Err(Errno::EINVAL);
    }
    let id = context.socket(fd)?;
    if level != libc::SOL_SOCKET {
        return context.set_option_of_family(id, level, option, from, bytes);
    }
    if option == libc::SO_BINDTODEVICE && context.kernel.sockets.get(id)?.family.inet().is_ok() {
        return context.set_device(id, from, bytes);
    }
    if bytes < 4 {
        return Err(Errno::EINVAL);
    }
    let value = read_u32(context.guest, from)?;
    let user = context.guest.user_ids()[1];
    let guest = &mut *context.guest;
    let socket = context.kernel.sockets.get_mut(id)?;
    let is_unix = socket.family.unix().is_ok();
    let has_looks = socket.family.has_looks();
    let options = &mut socket.options;
    match option {
        libc::SO_DEBUG if value != 0 => return Err(Errno::EACCES),
        libc::SO_DEBUG => {}
        libc::SO_SNDBUFFORCE | libc::SO_RCVBUFFORCE | libc::SO_MARK => return Err(Errno::EPERM),
        libc::SO_REUSEPORT if value != 0 && is_unix => return Err(Errno::EOPNOTSUPP),
        libc::SO_REUSEPORT => options.port_group = (value != 0).then_some(user),
        libc::SO_SNDBUF => {
            options.send_bytes = doubled(value, MIN_SEND_BYTES);
            options.is_send_size_fixed = true;
            context.kernel.tell_room(context.now, id);
        }
        libc::SO_RCVBUF => {
            options.receive_bytes = doubled(value, MIN_RECEIVE_BYTES);
            options.is_receive_size_fixed = true;
        }
        libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW => {
            options.receive_timeout = read_timeout(guest, from, bytes)?;
        }
        libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW => {
            options.send_timeout = read_timeout(guest, from, bytes)?;
        }
        libc::SO_RCVLOWAT => {
            let is_negative = (value as i32) < 0;
            options.low_water_bytes = if is_negative { i32::MAX as usize } else { value as usize };
        }
        libc::SO_PASSCRED => options.passes_credentials = value != 0,
        SO_PEEK_OFF if !has_looks => return Err(Errno::EOPNOTSUPP),
        SO_PEEK_OFF => options.peek_offset = value as i32,
        SO_TIMESTAMPING if value & !STAMPING_FLAGS != 0 => return Err(Errno::EINVAL),
        SO_TIMESTAMPING => options.stamping = value,
        libc::SO_PRIORITY if value > MAX_PRIORITY => return Err(Errno::EPERM),
        libc::SO_PRIORITY => options.priority = value,
        libc::SO_LINGER => {
            if bytes < 8 {
                return Err(Errno::EINVAL);
            }
            let linger: [u8; 8] = read_bytes(guest, from)?;
            let both = u64_at(&linger, 0);
            let is_on = both as u32 != 0;
            options.linger = if is_on { [1, (both >> 32) as u32] } else { [0, options.linger[1]] };
        }
        _ if is_switch(option) || is_stamp(option) && !is_unix => {
            if is_stamp(option) {
                // One form excludes the other.
                options.switches &= !STAMPS;
            }
            let bit = 1 << option;
            options.switches = options.switches & !bit | if value != 0 { bit } else { 0 };
        }
        _ => return Err(Errno::ENOPROTOOPT),
    }
    context.kernel.options_changed(context.now, id);
    done(0)
}

/// A size as it takes effect.
fn doubled(bytes: u32, min_bytes: usize) -> usize {
    (bytes.min(DEFAULT_BYTES as u32) as usize * 2).max(min_bytes)
}

/// A `struct timeval`: zero is for ever, a negative one no time at all.
fn read_timeout(
    guest: &mut dyn Guest,
    from: GuestAddr,
    bytes: i32,
) -> Result<Option<SimDuration>, Errno> {
    if bytes < 16 {
        return Err(Errno::EINVAL);
    }
    let time: [u8; 16] = read_bytes(guest, from)?;
    let (seconds, micros) = (u64_at(&time, 0) as i64, u64_at(&time, 8) as i64);
    if !(0..1_000_000).contains(&micros) {
        return Err(Errno::EDOM);
    }
    if seconds < 0 {
        return Ok(Some(SimDuration::from_ns(0)));
    }
    let ns = i128::from(seconds) * 1_000_000_000 + i128::from(micros) * 1000;
    let ticks = (ns as u128).div_ceil(TICK_NS.into());
    let ns = u64::try_from(ticks * u128::from(TICK_NS)).ok().filter(|&ns| ns > 0);
    Ok(ns.map(SimDuration::from_ns))
}

pub(crate) fn getsockopt(
    context: &mut Context<'_>,
    fd: u32,
    level: i32,
    option: i32,
    to: GuestAddr,
    bytes_at: GuestAddr,
    number: u32,
) -> Answer {
    let id = context.socket(fd)?;
    if level != libc::SOL_SOCKET {
        return context.option_of_family(id, level, option, to, bytes_at);
    }
    let room = read_u32(context.guest, bytes_at)? as i32;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    if option == SO_PEEK_OFF && !context.kernel.sockets.get(id)?.family.has_looks() {
        return Err(Errno::EOPNOTSUPP);
    }
    if option == SO_PEERPIDFD {
        return context.show_peer_process(id, number, to, bytes_at, room);
    }
    let socket = context.kernel.sockets.get_mut(id)?;
    let mut value = [0; 16];
    let len = match option {
        libc::SO_BINDTODEVICE if socket.family.inet().is_ok() => {
            let name = socket.family.inet()?.device_name();
            value[..name.len()].copy_from_slice(name);
            name.len()
        }
        libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW => put_time(&mut value, socket.options.receive_timeout),
        libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW => put_time(&mut value, socket.options.send_timeout),
        libc::SO_LINGER => {
            let [is_on, seconds] = socket.options.linger.map(u32::to_le_bytes);
            value[..4].copy_from_slice(&is_on);
            value[4..8].copy_from_slice(&seconds);
            8
        }
        SO_TIMESTAMPING => {
            // Behind the flags, a clock of a device.
            value[..4].copy_from_slice(&socket.options.stamping.to_le_bytes());
            8
        }
        libc::SO_PEERCRED => {
            let credentials = socket.family.peer_credentials().ok_or(Errno::ENOPROTOOPT)?;
            value[..12].copy_from_slice(&credentials.bytes());
            12
        }
        _ => {
            let number = number_of(socket, option).ok_or(Errno::ENOPROTOOPT)?;
            value[..4].copy_from_slice(&number.to_le_bytes());
            4
        }
    };
    let len = len.min(room);
    context.guest.write(to, &value[..len])?;
    context.guest.write(bytes_at, &(len as u32).to_le_bytes())?;
    done(0)
}

impl Context<'_> {
    /// A descriptor, which gets this number, of the process that was at the other side.
    fn show_peer_process(
        &mut self,
        id: SocketId,
        number: u32,
        to: GuestAddr,
        bytes_at: GuestAddr,
        room: usize,
    ) -> Answer {
        let family = &self.kernel.sockets.get(id)?.family;
        let peer = family.peer_credentials().ok_or(Errno::ENOPROTOOPT)?;
        if peer.pid == 0 {
            return Err(Errno::ENODATA);
        }
        check_number(number)?;
        let value = number.to_le_bytes();
        let value = value.get(..room).unwrap_or(&value);
        self.guest.write(to, value)?;
        self.guest.write(bytes_at, &(value.len() as u32).to_le_bytes())?;
        self.open_process(peer.pid, number);
        done(0)
    }
}

/// The value of an option that is a number. What went wrong is asked once.
fn number_of(socket: &mut Socket, option: i32) -> Option<u32> {
    let options = &socket.options;
    Some(match option {
        libc::SO_TYPE => socket.family.type_number(socket.kind) as u32,
        libc::SO_DOMAIN => socket.family.number() as u32,
        libc::SO_ERROR => {
            let error = socket.check_error().err();
            error.map_or(0, |errno| errno.number() as u32)
        }
        libc::SO_ACCEPTCONN => socket.is_listening().into(),
        libc::SO_PROTOCOL => socket.family.protocol() as u32,
        libc::SO_REUSEPORT => options.port_group.is_some().into(),
        // No device's queue gave it anything.
        SO_INCOMING_NAPI_ID => 0,
        libc::SO_DEBUG | libc::SO_MARK => 0,
        libc::SO_SNDBUF => options.send_bytes as u32,
        libc::SO_RCVBUF => options.receive_bytes as u32,
        libc::SO_SNDLOWAT => 1,
        libc::SO_RCVLOWAT => options.low_water_bytes.max(1) as u32,
        libc::SO_PASSCRED => options.passes_credentials.into(),
        SO_PEEK_OFF => options.peek_offset as u32,
        libc::SO_PRIORITY => options.priority,
        _ if is_switch(option) => options.has(option).into(),
        _ if is_stamp(option) && socket.family.inet().is_ok() => options.has(option).into(),
        _ => return None,
    })
}

/// A `struct timeval`; its length.
fn put_time(value: &mut [u8; 16], time: Option<SimDuration>) -> usize {
    let micros = time.map_or(0, |time| time.as_ns() / 1000);
    value[..8].copy_from_slice(&(micros / 1_000_000).to_le_bytes());
    value[8..].copy_from_slice(&(micros % 1_000_000).to_le_bytes());
    16
}
