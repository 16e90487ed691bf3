//! Datagrams that a socket has sent and that wait in the interface: they use its send buffer up until they have left.
//!
//! Instants and costs in, room out. Always true: who has used the buffer up waits; who waits, and who polls, hears of it
//! when half of the buffer is free, as on Linux; an event is planned only while more than half is used. How fast the
//! interface is, is `net::outside`'s.

use alloc::collections::VecDeque;

use shim_abi::{Errno, SimTime};

use crate::agenda::Entry;
use crate::file::{IoReason, ready};
use crate::kernel::Kernel;
use crate::socket::SocketId;

/// What waits in the interface.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// When each will have left, and what it costs until then.
    queue: VecDeque<(SimTime, usize)>,
    charged_bytes: usize,
    /// For when the event is planned that makes room.
    planned: Option<SimTime>,
}

impl Leaving {
    /// Forget what has left by `now`.
    fn free(&mut self, now: SimTime) {
        while let Some((_, bytes)) = self.queue.pop_front_if(|(at, _)| *at <= now) {
            self.charged_bytes -= bytes;
        }
    }

    /// Whether another one may be sent, with a send buffer of `send_bytes`.
    pub(super) fn has_room(&mut self, now: SimTime, send_bytes: usize) -> bool {
        self.free(now);
        self.charged_bytes < send_bytes
    }

    /// Whether poll says that another one may be sent.
    pub(super) fn is_writable(&self, send_bytes: usize) -> bool {
        self.charged_bytes * 2 <= send_bytes
    }

    /// When it will be writable; nothing if it is.
    fn writable_at(&self, send_bytes: usize) -> Option<SimTime> {
        let mut left_bytes = self.charged_bytes;
        let is_last = |&&(_, bytes): &&(SimTime, usize)| {
            left_bytes -= bytes;
            left_bytes * 2 <= send_bytes
        };
        if self.is_writable(send_bytes) {
            return None;
        }
        self.queue.iter().find(is_last).map(|&(at, _)| at)
    }
}

impl Kernel {
    /// A datagram of a socket leaves at `at`.
    pub(super) fn wait_for_departure(
        &mut self,
        id: SocketId,
        at: SimTime,
        bytes: usize,
    ) -> Result<(), Errno> {
        let leaving = &mut self.sockets.inet_mut(id)?.datagrams_mut()?.leaving;
        leaving.queue.push_back((at, bytes));
        leaving.charged_bytes += bytes;
        self.plan_room(id)
    }

    fn plan_room(&mut self, id: SocketId) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(id)?;
        let send_bytes = socket.options.send_bytes;
        let leaving = &mut socket.family.inet_mut()?.datagrams_mut()?.leaving;
        if leaving.planned.is_none()
            && let Some(at) = leaving.writable_at(send_bytes)
        {
            leaving.planned = Some(at);
            self.agenda.add(at, Entry::Room(id));
        }
        Ok(())
    }

    /// Part of what a socket has sent has left.
    pub(crate) fn let_send(&mut self, now: SimTime, id: SocketId) {
        let Ok(socket) = self.sockets.get_mut(id) else { return };
        let send_bytes = socket.options.send_bytes;
        let Ok(datagrams) = socket.family.inet_mut().and_then(|inet| inet.datagrams_mut()) else {
            return;
        };
        let leaving = &mut datagrams.leaving;
        if leaving.planned != Some(now) {
            return;
        }
        leaving.planned = None;
        leaving.free(now);
        if leaving.is_writable(send_bytes) {
            self.notify_socket(now, id, ready::WRITE | ready::WRITE_BAND);
            self.signal_owner(now, id, IoReason::Room);
        } else {
            // The socket is there: nothing can fail.
            _ = self.plan_room(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, config};
    use crate::{Config, Outcome};
    use shim_abi::calls::{PSEUDO_POLL, nr};

    const AGAIN: Outcome = Outcome::Done(Errno::EAGAIN.as_return());
    /// A datagram of 1500 bytes takes so long.
    const EACH_NS: u64 = 1_500_000;
    /// As many fit into the send buffer that sockets have, and so many must have left before more is sent.
    const FIT: u64 = 93;
    const HALF: u64 = 47;

    #[test]
    fn who_has_used_the_send_buffer_up_waits_until_half_of_it_has_left() {
        let config = Config { is_connected: true, upload_bits_per_second: 8_000_000, ..config() };
        let mut kernel = Kernel::new(config);
        let (_, tid) = kernel.spawn(SimTime::ZERO, "program");
        let mut guest = TestGuest::new();
        assert_eq!(kernel.do_call(tid, nr::socket, [2, 2, 0, 0, 0, 0], &mut guest), 0);
        guest.put_words(DATA, &[2 | 0x3500 << 16 | 0x0200_000b << 32, 0]);
        assert_eq!(kernel.do_call(tid, nr::connect, [0, DATA, 16, 0, 0, 0], &mut guest), 0);
        let send = |flags: i32| [0, DATA + 64, 1472, flags as u64, 0, 0];
        let is_writable = |kernel: &mut Kernel, guest: &mut TestGuest, now| {
            guest.put_words(DATA, &[4 << 32]);
            kernel.call(now, tid, PSEUDO_POLL, [DATA, 1, 0, 0, 0, 0], guest);
            guest.words::<1>(DATA)[0] >> 48 == 4
        };
        for number in 0..FIT {
            assert_eq!(
                is_writable(&mut kernel, &mut guest, SimTime::ZERO),
                number < HALF,
                "{number}"
            );
            assert_eq!(kernel.do_call(tid, nr::sendto, send(0), &mut guest), 1472);
        }
        let again =
            kernel.call(SimTime::ZERO, tid, nr::sendto, send(libc::MSG_DONTWAIT), &mut guest);
        assert_eq!(again, AGAIN);
        assert_eq!(kernel.call(SimTime::ZERO, tid, nr::sendto, send(0), &mut guest), Outcome::Park);
        let half = SimTime::from_ns(HALF * EACH_NS);
        let mut events = core::iter::from_fn(|| {
            let at = kernel.next_event()?;
            kernel.advance(at);
            Some((at, kernel.next_runnable()?))
        });
        // The first event is planned when too much waits for the first time, and looks when the last one is due.
        assert_eq!(events.next(), None);
        assert_eq!(events.next(), Some((half, tid)));
        assert_eq!(kernel.resume(half, tid, &mut guest), Outcome::Done(1472));
        assert!(!is_writable(&mut kernel, &mut guest, half));
        let departures = kernel.take_departures();
        assert_eq!(departures.len() as u64, FIT + 1);
        assert!((1..).zip(&departures).all(|(n, it)| it.at == SimTime::from_ns(n * EACH_NS)));
    }
}
