//! MSG_OOB on streams: one byte that is told of, and can be read before those that came earlier.
//!
//! Queues in, bytes and places in them out. Always true: a byte that was sent so is a parcel of its own, and one at most is
//! urgent, the last that nobody has read; what was read so leaves its parcel, empty, as a mark, at which reading stops;
//! who reads past an urgent byte loses it, unless it is wanted among the others (SO_OOBINLINE). One that is not urgent any more,
//! because another came, is a byte as any.

use shim_abi::Errno;

use super::Unix;
use super::queue::Parcel;
use crate::context::Context;
use crate::file::{Progress, ready};
use crate::socket::SocketId;
use crate::socket::exchange::Exchange;

impl Unix {
    /// Whether there is an urgent byte that nobody has read.
    pub(super) fn has_urgent(&self) -> bool {
        self.urgent().is_some()
    }
    fn urgent(&self) -> Option<usize> {
        // Most queues are short, and the byte is the last of its kind.
        self.queue.iter().rposition(|parcel| parcel.is_urgent)
    }
    /// Another byte is about to be urgent.
    pub(super) fn forget_urgent(&mut self) {
        self.queue.iter_mut().for_each(|parcel| parcel.is_urgent = false);
    }
    /// Whether nothing is lost with the queue: a mark is not.
    pub(super) fn is_all_read(&self) -> bool {
        let is_mark = |parcel: &Parcel| parcel.unread().is_empty();
        self.queue.iter().enumerate().all(|(index, parcel)| index == 0 && is_mark(parcel))
    }
    /// SIOCATMARK: whether an urgent byte, or where one was, is next.
    pub(in crate::socket) fn is_at_mark(&self) -> bool {
        let Some(first) = self.queue.front() else { return false };
        let is_next = self.queue.get(1).is_some_and(|parcel| parcel.is_urgent);
        first.is_urgent || first.unread().is_empty() && (!self.has_urgent() || is_next)
    }

    /// Where reading goes on that has got to `index`: nowhere if it stops here. The parcel is to be discarded that it
    /// passes for good; then it goes on where it was.
    pub(super) fn pass_urgent(
        &mut self,
        index: usize,
        is_peek: bool,
        has_moved: bool,
        is_inline: bool,
    ) -> (Option<usize>, Option<Parcel>) {
        let urgent = self.urgent();
        let Some(parcel) = self.queue.get_mut(index) else { return (Some(index), None) };
        // Whoever sends nothing leaves no parcel: an empty one is a mark.
        if parcel.unread().is_empty() {
            return match (has_moved && urgent.is_none(), is_peek) {
                (true, _) => (None, None),
                (false, true) => self.pass_urgent(index + 1, is_peek, has_moved, is_inline),
                (false, false) => (Some(index), self.queue.remove(index)),
            };
        }
        if urgent != Some(index) {
            return (Some(index), None);
        }
        match (has_moved, is_peek, is_inline) {
            (true, ..) => (None, None),
            (false, true, false) => (Some(index + 1), None),
            (false, true, true) => (Some(index), None),
            (false, false, true) => {
                parcel.is_urgent = false;
                (Some(index), None)
            }
            (false, false, false) => (Some(index), self.queue.remove(index)),
        }
    }
}

impl Context<'_> {
    /// An urgent byte has come.
    pub(super) fn tell_urgent(&mut self, receiver: SocketId) {
        self.kernel.notify_socket(self.now, receiver, ready::PRI);
        if let Ok(file) = self.kernel.sockets.get(receiver).map(|socket| socket.file) {
            self.kernel.send_urgent_signal(self.now, file);
        }
    }

    /// MSG_OOB: the urgent byte, wherever in the queue it is.
    pub(super) fn receive_urgent_byte(&mut self, call: &mut Exchange) -> Progress {
        let socket = self.kernel.sockets.get_mut(call.socket)?;
        let is_inline = socket.options.has(libc::SO_OOBINLINE);
        let unix = socket.family.unix_mut()?;
        let Some(index) = unix.urgent().filter(|_| !is_inline) else {
            return Err(Errno::EINVAL);
        };
        let Some(parcel) = unix.queue.get_mut(index) else { return Err(Errno::EINVAL) };
        let (bytes, is_peek) = (parcel.bytes.clone(), call.has(libc::MSG_PEEK));
        if !is_peek {
            parcel.is_urgent = false;
            parcel.taken = parcel.bytes.len();
            // One mark is enough.
            let before = index.checked_sub(1).filter(|&it| unix.queue[it].unread().is_empty());
            if let Some(mark) = before.and_then(|it| unix.queue.remove(it)) {
                self.kernel.discard_parcel(self.now, mark);
            }
        }
        call.transfer.store(self.guest, bytes.get(..call.transfer.left()).unwrap_or(&bytes))?;
        call.shown |= libc::MSG_OOB as u32;
        Ok(Some(1))
    }
}
