//! A call that sends or receives, from its first look to its last: `sendto`, `recvfrom`, `sendmsg`, `recvmsg`, and
//! `read` and `write` on sockets.
//!
//! Memory in, counts out. Always true: memory, addresses and control messages are read once, when the call is made; a
//! call that waits goes on from there, until what it wants is there, its socket's time is up or a signal comes; what it
//! has moved by then is its result. How a family moves bytes is the family's.

use alloc::vec::Vec;

use shim_abi::calls::SENT_FILES;
use shim_abi::{Errno, SimTime};

use super::SocketId;
use super::connect::Place;
use super::header::{Header, Message};
use super::name::read_address;
use super::rights::Right;
use super::unix::Credentials;
use crate::context::{Answer, Context, done};
use crate::file::{Direction, FileId, Progress, Transfer};
use crate::guest::GuestAddr;
use crate::task::{Parked, Wait, Wake};
use crate::waiters::Source;

/// What only calls of 32-bit programs say.
const MSG_CMSG_COMPAT: u32 = 1 << 31;

/// What goes with bytes.
#[derive(Debug, Default)]
pub(crate) struct Baggage {
    /// Who the sender says it is.
    pub(super) credentials: Option<Credentials>,
    /// What its descriptors stand for.
    pub(super) rights: Vec<Right>,
    /// What else a receiver is told.
    pub(super) notes: Vec<Note>,
}

/// A control message of some level.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) level: i32,
    pub(super) kind: i32,
    pub(super) data: Vec<u8>,
}

/// Where a receiving call leaves what it learns beside the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Results {
    /// Nowhere.
    Nowhere,
    /// The sender's address, and its length.
    Address(GuestAddr, GuestAddr),
    /// In the header of a message.
    Header(Header),
}

/// A call in progress.
#[derive(Debug)]
pub(crate) struct Exchange {
    file: FileId,
    pub(super) socket: SocketId,
    direction: Direction,
    pub(super) transfer: Transfer,
    /// `MSG_*` of the call.
    flags: u32,
    /// `MSG_*` that its result shows.
    pub(super) shown: u32,
    /// To whom it is sent, if the call says so.
    pub(super) address: Vec<u8>,
    pub(super) place: Place,
    /// What waits to be sent since it was read.
    pub(super) ready: Option<Vec<u8>>,
    /// Whose queue has no room for it.
    pub(super) waits_for: Option<SocketId>,
    /// From whom that comes which was received, if it says so.
    pub(super) source: Vec<u8>,
    pub(super) baggage: Baggage,
    /// Whether the baggage says who has sent what was received.
    pub(super) has_sender: bool,
    results: Results,
}

impl Exchange {
    /// Whether the call says this.
    pub(super) fn has(&self, flag: i32) -> bool {
        self.flags & flag as u32 != 0
    }
    /// Whether it receives.
    pub(super) fn is_reading(&self) -> bool {
        self.direction == Direction::Read
    }
    /// Whether it shows whose address that is which has sent what it receives.
    pub(super) fn shows_source(&self) -> bool {
        !matches!(self.results, Results::Nowhere)
    }
    /// It ends with what it has moved of a stream, or this.
    fn end_with(&self, errno: Errno) -> Progress {
        if self.ready.is_some() { Err(errno) } else { self.transfer.end_with(errno) }
    }
    /// Whether it does not wait.
    pub(super) fn is_nonblocking(&self) -> bool {
        self.has(libc::MSG_DONTWAIT)
    }
}

pub(crate) fn sendto(
    context: &mut Context<'_>,
    fd: u32,
    from: GuestAddr,
    bytes: u64,
    flags: u32,
    to: GuestAddr,
    to_bytes: i32,
) -> Answer {
    let transfer = Transfer::of_message(from, bytes)?;
    let socket = context.socket(fd)?;
    let mut exchange = context.exchange(fd, socket, Direction::Write, transfer, flags)?;
    if !to.is_null() {
        exchange.address = read_address(context.guest, to, to_bytes)?;
    }
    context.begin(exchange)
}

pub(crate) fn recvfrom(
    context: &mut Context<'_>,
    fd: u32,
    to: GuestAddr,
    bytes: u64,
    flags: u32,
    address: GuestAddr,
    address_bytes: GuestAddr,
) -> Answer {
    let transfer = Transfer::of_message(to, bytes)?;
    let socket = context.socket(fd)?;
    let mut exchange = context.exchange(fd, socket, Direction::Read, transfer, flags)?;
    if !address.is_null() {
        exchange.results = Results::Address(address, address_bytes);
    }
    context.begin(exchange)
}

/// `device`, `inode` and an error's number say what the shim has found at the path in the address, if that has one;
/// [`SENT_FILES`], whether it has sent native files.
pub(crate) fn sendmsg(
    context: &mut Context<'_>,
    fd: u32,
    at: GuestAddr,
    flags: u32,
    device: u64,
    inode: u64,
    errno_and_files: u64,
) -> Answer {
    if flags & MSG_CMSG_COMPAT != 0 {
        return Err(Errno::EINVAL);
    }
    let socket = context.socket(fd)?;
    let message = Message::read(context.guest, at)?;
    let address = message.address(context.guest)?;
    let transfer = message.transfer(context.guest)?;
    let mut exchange = context.exchange(fd, socket, Direction::Write, transfer, flags)?;
    exchange.address = address;
    exchange.place = Place::new(device, inode, errno_and_files as i32);
    exchange.baggage = {
        let has_files = errno_and_files & SENT_FILES != 0;
        context.read_control(message.control, message.control_bytes, has_files)?
    };
    context.begin(exchange)
}

/// `report` is memory of the shim's that learns of descriptors: see [`super::rights`].
pub(crate) fn recvmsg(
    context: &mut Context<'_>,
    fd: u32,
    at: GuestAddr,
    flags: u32,
    report: GuestAddr,
) -> Answer {
    if flags & MSG_CMSG_COMPAT != 0 {
        return Err(Errno::EINVAL);
    }
    let socket = context.socket(fd)?;
    let message = Message::read(context.guest, at)?;
    let transfer = message.transfer(context.guest)?;
    let mut exchange = context.exchange(fd, socket, Direction::Read, transfer, flags)?;
    exchange.shown = flags & libc::MSG_CMSG_CLOEXEC as u32;
    exchange.results = Results::Header(Header { at, message, report });
    context.begin(exchange)
}

impl Context<'_> {
    /// `read` and `write` on a socket.
    pub(crate) fn transfer_socket(
        &mut self,
        file: FileId,
        socket: SocketId,
        direction: Direction,
        transfer: Transfer,
    ) -> Answer {
        if direction == Direction::Read && transfer.left() == 0 {
            return done(0);
        }
        let exchange = self.exchange_on(file, socket, direction, transfer, 0)?;
        self.begin(exchange)
    }

    fn exchange(
        &self,
        fd: u32,
        socket: SocketId,
        direction: Direction,
        transfer: Transfer,
        flags: u32,
    ) -> Result<Exchange, Errno> {
        self.exchange_on(self.file(fd)?, socket, direction, transfer, flags)
    }

    fn exchange_on(
        &self,
        file: FileId,
        socket: SocketId,
        direction: Direction,
        transfer: Transfer,
        flags: u32,
    ) -> Result<Exchange, Errno> {
        let is_nonblocking = self.kernel.files.get(file)?.is_nonblocking();
        let dont_wait = if is_nonblocking { libc::MSG_DONTWAIT as u32 } else { 0 };
        Ok(Exchange {
            file,
            socket,
            direction,
            transfer,
            flags: flags | dont_wait,
            shown: 0,
            address: Vec::new(),
            place: Place::default(),
            ready: None,
            waits_for: None,
            source: Vec::new(),
            baggage: Baggage::default(),
            has_sender: false,
            results: Results::Nowhere,
        })
    }

    fn begin(&mut self, exchange: Exchange) -> Answer {
        self.kernel.forget_arrived(self.now, self.tid);
        let options = &self.kernel.sockets.get(exchange.socket)?.options;
        let timeout = match exchange.direction {
            Direction::Read => options.receive_timeout,
            Direction::Write => options.send_timeout,
        };
        let deadline =
            timeout.map_or(SimTime::MAX, |timeout| self.kernel.time_after(self.now, timeout));
        self.proceed(exchange, deadline, deadline <= self.now)
    }

    /// A call that waited goes on.
    pub(crate) fn finish_exchange(&mut self, parked: Parked, wake: Wake) -> Answer {
        let exchange = self.kernel.sockets.calls.remove(&self.tid).ok_or(Errno::EBADF)?;
        self.proceed(exchange, parked.deadline, wake == Wake::Timeout)
    }

    /// Move what can be moved; wait, or end.
    fn proceed(&mut self, mut exchange: Exchange, deadline: SimTime, is_late: bool) -> Answer {
        let progress = match self.exchange_once(&mut exchange) {
            Ok(None) if is_late || exchange.is_nonblocking() => exchange.end_with(Errno::EAGAIN),
            Ok(None) if self.has_signal(self.guest.signal_mask()) => {
                let is_limited = deadline != SimTime::MAX;
                let errno = if is_limited { Errno::EINTR } else { Errno::ERESTARTSYS };
                exchange.end_with(errno)
            }
            progress => progress,
        };
        match progress {
            Ok(None) => {
                exchange.transfer.has_waited = true;
                let own = Source::File(exchange.file);
                let sources = [own, exchange.waits_for.map_or(own, Source::Socket)];
                self.kernel.sockets.calls.insert(self.tid, exchange);
                self.park_on(&sources, Wait::Socket, deadline)
            }
            Ok(Some(count)) => self.conclude_exchange(exchange, count),
            Err(errno) => {
                self.kernel.drop_rights(self.now, exchange.baggage.rights);
                Err(errno)
            }
        }
    }

    /// Bytes have been moved: leave what is to be learned beside them.
    fn conclude_exchange(&mut self, exchange: Exchange, count: u64) -> Answer {
        let Exchange { results, baggage, shown, socket, source, .. } = exchange;
        match results {
            Results::Nowhere => self.kernel.drop_rights(self.now, baggage.rights),
            Results::Address(at, bytes_at) => {
                self.kernel.drop_rights(self.now, baggage.rights);
                self.write_address(&source, at, bytes_at)?;
            }
            Results::Header(header) => {
                self.write_results(socket, header, baggage, &source, shown)?
            }
        }
        done(count as i64)
    }
}
