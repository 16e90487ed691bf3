//! `mq_notify`: a signal, once, when an empty queue gets a message that nobody waits for.
//!
//! A `struct sigevent` in; a registration, and in the end a signal, out. Always true: one process at a time is
//! registered with a queue; it is so until it is told, takes it back, closes a descriptor of the queue or ends.

use shim_abi::event::SignalInfo;
use shim_abi::{Errno, SimTime};

use super::QueueId;
use crate::context::{Answer, Context, done};
use crate::file::FileId;
use crate::guest::GuestAddr;
use crate::ids::VirtualPid;
use crate::kernel::Kernel;
use crate::memory::{read_bytes, u32_at, u64_at};
use crate::signal::{self, Target};

/// `si_code` of the signal.
const SI_MESGQ: i32 = -3;
/// Bytes of a `struct sigevent`.
const EVENT_BYTES: usize = 64;

/// A process that is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Registration {
    pid: VirtualPid,
    /// Which image of it asked: another one is not told.
    images: u32,
    /// 0: it is told nothing.
    signal: u32,
    value: u64,
    /// SIGEV_SIGNAL or SIGEV_NONE.
    kind: i32,
}

impl Registration {
    /// Kind, signal and process, as a queue's text shows them.
    pub(super) fn shown(&self) -> [u32; 3] {
        [self.kind as u32, self.signal, self.pid.0]
    }
}

pub(crate) fn mq_notify(context: &mut Context<'_>, fd: u32, from: GuestAddr) -> Answer {
    if from.is_null() {
        let (_, id) = context.queue_at(fd)?;
        context.kernel.unregister(context.pid, id);
        return done(0);
    }
    let event: [u8; EVENT_BYTES] = read_bytes(context.guest, from)?;
    let (value, signal, kind) = (u64_at(&event, 0), u32_at(&event, 8), u32_at(&event, 12) as i32);
    let signal = match kind {
        libc::SIGEV_NONE => 0,
        libc::SIGEV_SIGNAL if signal <= signal::MAX => signal,
        // The number is a descriptor then, of a netlink socket.
        libc::SIGEV_THREAD => {
            let _: [u8; 32] = read_bytes(context.guest, GuestAddr(value))?;
            return Err(Errno::EBADF);
        }
        _ => return Err(Errno::EINVAL),
    };
    let (_, id) = context.queue_at(fd)?;
    let (pid, images) = (context.pid, context.process().images);
    let queue = context.kernel.message_queues.get_mut(id);
    if queue.registration.is_some() {
        return Err(Errno::EBUSY);
    }
    queue.registration = Some(Registration { pid, images, signal, value, kind });
    done(0)
}

impl Context<'_> {
    /// A message has been put into a queue by the caller: tell who is registered, if it was empty.
    pub(super) fn notify_owner(&mut self, id: QueueId) {
        let queue = self.kernel.message_queues.get_mut(id);
        if queue.len() != 1 {
            return;
        }
        let Some(registration) = queue.registration.take() else { return };
        let Registration { pid, images, signal, value, .. } = registration;
        let process = self.kernel.processes.get(&pid);
        if signal == 0 || process.is_none_or(|process| process.images != images) {
            return;
        }
        let [uid, ..] = self.guest.user_ids();
        let info = SignalInfo {
            signal,
            code: SI_MESGQ,
            pid: self.pid.0,
            uid,
            value,
            ..SignalInfo::default()
        };
        // As on Linux, a signal for which there is no room is lost.
        let _ = self.kernel.queue_signal(self.now, Target::Process(pid), info);
    }
}

impl Kernel {
    fn unregister(&mut self, pid: VirtualPid, id: QueueId) {
        let registration = &mut self.message_queues.get_mut(id).registration;
        if registration.is_some_and(|registration| registration.pid == pid) {
            *registration = None;
        }
    }

    /// A descriptor of a process is closed that names `file`, which may go on under others.
    pub(crate) fn let_go(&mut self, now: SimTime, pid: VirtualPid, file: FileId) {
        if let Some(id) = self.queue_of(file) {
            self.unregister(pid, id);
        }
        self.drop_process_locks(now, pid, file);
        self.release(now, file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::DATA;
    use crate::testing::bench::Bench;
    use core::mem::offset_of;
    use shim_abi::calls::{PSEUDO_DUPLICATE, nr};

    fn notify(bench: &mut Bench, thread: usize, fd: u64, kind: i32, signal: u64) -> i64 {
        bench.guest.put_words(DATA, &[DATA, signal | u64::from(kind as u32) << 32]);
        bench.done(thread, nr::mq_notify, &[fd, DATA])
    }

    #[test]
    fn errors_come_in_linux_order() {
        assert_eq!(size_of::<libc::sigevent>(), EVENT_BYTES);
        assert_eq!(offset_of!(libc::sigevent, sigev_signo), 8);
        assert_eq!(offset_of!(libc::sigevent, sigev_notify), 12);
        let mut bench = Bench::with_queue(2, libc::O_RDWR, 5);
        let [bad, inval, busy] = [Errno::EBADF, Errno::EINVAL, Errno::EBUSY].map(Errno::as_return);
        assert_eq!(bench.done(0, nr::mq_notify, &[99, 8]), Errno::EFAULT.as_return());
        assert_eq!(bench.done(0, nr::mq_notify, &[99, 0]), bad);
        for (fd, kind, signal, expected) in [
            (99, libc::SIGEV_SIGNAL, 65, inval),
            (99, 77, 1, inval),
            (99, libc::SIGEV_SIGNAL, 1, bad),
            (3, libc::SIGEV_THREAD, 1, bad),
            (3, libc::SIGEV_SIGNAL, 0, 0),
            (3, libc::SIGEV_NONE, 0, busy),
        ] {
            assert_eq!(notify(&mut bench, 0, fd, kind, signal), expected, "{fd} {kind} {signal}");
        }
        assert_eq!(bench.done(1, nr::mq_notify, &[3, 0]), 0, "not its own");
        assert_eq!(notify(&mut bench, 1, 3, libc::SIGEV_NONE, 0), busy);
        assert_eq!(bench.done(0, nr::mq_notify, &[3, 0]), 0);
        assert_eq!(notify(&mut bench, 1, 3, libc::SIGEV_NONE, 0), 0);
    }

    #[test]
    fn an_empty_queue_that_gets_a_message_sends_the_signal_once() {
        let mut bench = Bench::with_queue(2, libc::O_RDWR, 5);
        let pending = |bench: &Bench| bench.kernel.pending(bench.threads[0]) != 0;
        assert_eq!(notify(&mut bench, 0, 3, libc::SIGEV_SIGNAL, 40), 0);
        let args = [3, DATA + 512, 8192, 0, 0];
        assert_eq!(bench.call(0, nr::mq_timedreceive, &args), crate::Outcome::Park);
        assert_eq!(bench.done(1, nr::mq_timedsend, &[3, DATA, 1, 0, 0]), 0);
        assert_eq!(bench.resumed(), [(0, crate::Outcome::Done(1))]);
        assert!(!pending(&bench), "somebody waited for it");
        assert_eq!(bench.done(1, nr::mq_timedsend, &[3, DATA, 1, 0, 0]), 0);
        bench.guest.actions.insert(40, 0x1234);
        let taken = bench.kernel.take_signal(bench.now, bench.threads[0], &mut bench.guest);
        let crate::SignalOutcome::Deliver(info) = taken else { panic!("{taken:?}") };
        assert_eq!((info.signal, info.code, info.pid, info.value), (40, SI_MESGQ, 1001, DATA));
        assert_eq!(notify(&mut bench, 0, 3, libc::SIGEV_SIGNAL, 40), 0);
        assert_eq!(bench.done(1, nr::mq_timedsend, &[3, DATA, 1, 0, 0]), 0);
        assert!(!pending(&bench), "it was not empty");
    }

    #[test]
    fn closing_any_descriptor_of_it_takes_the_registration_back() {
        let mut bench = Bench::with_queue(2, libc::O_RDWR, 5);
        assert_eq!(notify(&mut bench, 0, 3, libc::SIGEV_SIGNAL, 40), 0);
        assert_eq!(bench.done(0, PSEUDO_DUPLICATE, &[3, 7, 0]), 0);
        assert_eq!(bench.done(0, nr::close, &[7]), 0);
        assert_eq!(notify(&mut bench, 0, 3, libc::SIGEV_SIGNAL, 40), 0);
        bench.kernel.end(VirtualPid(1000), 0, &mut bench.guest);
        assert_eq!(notify(&mut bench, 1, 3, libc::SIGEV_SIGNAL, 40), 0);
    }
}
