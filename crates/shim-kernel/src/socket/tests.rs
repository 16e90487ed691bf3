//! Pairs of sockets: bytes, messages, ends, what waits for what.
//!
//! Calls of two processes in, results out. Always true: each test makes a machine of its own; what is expected was
//! seen on Linux. Options and refusals are `options`, sockets with addresses `addresses`.

mod addresses;
mod options;

use super::*;
use crate::testing::{DATA, TestGuest, machine, signal};
use crate::{Outcome, VirtualPid};
use shim_abi::calls::{PSEUDO_POLL, PSEUDO_TAKE_RIGHTS, nr};
use std::vec::Vec;

const NOW: SimTime = SimTime::ZERO;
const AGAIN: Outcome = fails(Errno::EAGAIN);
const SEQPACKET: i32 = libc::SOCK_SEQPACKET;
const NONBLOCK: i32 = libc::SOCK_NONBLOCK;
/// Where headers, control messages and reports are.
const HEADER: u64 = DATA + 0x3000;
const CONTROL: u64 = DATA + 0x3100;
const REPORT: u64 = DATA + 0x3800;

const fn fails(errno: Errno) -> Outcome {
    Outcome::Done(errno.as_return())
}

/// A process with a pair at 3 and 4, and its child that has it, too.
struct Bench {
    kernel: Kernel,
    guest: TestGuest,
    tid: VirtualTid,
    other: VirtualTid,
}

impl Bench {
    fn new(kind: i32) -> Bench {
        let (mut kernel, mut guest, tid) = machine();
        let args = [1, kind as u64, 0, 0, 3, 4];
        assert_eq!(kernel.do_call(tid, nr::socketpair, args, &mut guest), 0);
        let other = kernel.fork(tid, 0, &mut guest);
        Bench { kernel, guest, tid, other }
    }
    fn call_of(&mut self, tid: VirtualTid, number: u32, args: &[u64]) -> Outcome {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        self.kernel.call(NOW, tid, number, all, &mut self.guest)
    }
    fn call(&mut self, number: u32, args: &[u64]) -> Outcome {
        self.call_of(self.tid, number, args)
    }
    fn send(&mut self, fd: u64, bytes: u64) -> Outcome {
        self.call(nr::sendto, &[fd, DATA, bytes, libc::MSG_NOSIGNAL as u64])
    }
    fn recv(&mut self, fd: u64, bytes: u64, flags: i32) -> Outcome {
        self.call(nr::recvfrom, &[fd, DATA, bytes, flags as u64])
    }
    fn option(&mut self, fd: u64, option: i32) -> u64 {
        self.guest.put_words(DATA, &[0, 0, 16]);
        let args = [fd, 1, option as u64, DATA, DATA + 16];
        assert_eq!(self.call(nr::getsockopt, &args), Outcome::Done(0));
        self.guest.words::<1>(DATA)[0]
    }
    fn set_option(&mut self, fd: u64, option: i32, value: &[u64]) -> Outcome {
        self.guest.put_words(DATA, value);
        let bytes = 8 * value.len() as u64;
        self.call(nr::setsockopt, &[fd, 1, option as u64, DATA, bytes])
    }
    fn close(&mut self, tids: &[VirtualTid], fd: u64) {
        for &tid in tids {
            assert_eq!(self.call_of(tid, nr::close, &[fd]), Outcome::Done(0));
        }
    }
    /// Nobody has this end any more.
    fn end(&mut self, fd: u64) {
        self.close(&[self.tid, self.other], fd);
    }
    fn ready(&mut self, fd: u64) -> u32 {
        self.guest.put_words(DATA, &[fd | 0xffff << 32]);
        self.call(PSEUDO_POLL, &[DATA, 1, 0]);
        (self.guest.words::<1>(DATA)[0] >> 48) as u32
    }
    fn resume(&mut self, tid: VirtualTid) -> Outcome {
        assert_eq!(self.kernel.next_runnable(), Some(tid));
        self.kernel.resume(NOW, tid, &mut self.guest)
    }
    /// A message of four bytes with these control messages; the answer.
    fn send_message(&mut self, fd: u64, control: &[u64], control_bytes: u64) -> Outcome {
        self.guest.put_words(CONTROL, control);
        self.put_header(control_bytes);
        self.call(nr::sendmsg, &[fd, HEADER, 0])
    }
    fn put_header(&mut self, control_bytes: u64) {
        let header = [0, 0, HEADER + 0x80, 1, CONTROL, control_bytes, 0];
        self.guest.put_words(HEADER, &header);
        self.guest.put_words(HEADER + 0x80, &[DATA, 4]);
    }
    fn send_rights(&mut self, fd: u64, numbers: &[u64]) -> Outcome {
        let len = 16 + 4 * numbers.len() as u64;
        let mut control = [len, 1 | 1 << 32].to_vec();
        for pair in numbers.chunks(2) {
            control.push(pair[0] | pair.get(1).unwrap_or(&0) << 32);
        }
        self.send_message(fd, &control, len)
    }
    /// Flags, length of control messages, and the report.
    fn receive_message(&mut self, fd: u64, control_bytes: u64, flags: i32) -> (u32, u64, u64) {
        self.guest.put_words(REPORT, &[0; 5]);
        self.put_header(control_bytes);
        let outcome = self.call(nr::recvmsg, &[fd, HEADER, flags as u64, REPORT]);
        assert_eq!(outcome, Outcome::Done(4));
        let [.., control, flags] = self.guest.words::<7>(HEADER);
        (flags as u32, control, self.guest.words::<1>(REPORT)[0])
    }
}

#[test]
fn a_stream_has_no_boundaries_and_a_message_has() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    bench.guest.put_words(DATA, &[1, 2, 3]);
    assert_eq!((bench.send(3, 16), bench.send(3, 8)), (Outcome::Done(16), Outcome::Done(8)));
    assert_eq!(bench.send(3, 0), Outcome::Done(0));
    assert_eq!(bench.recv(4, 20, libc::MSG_PEEK), Outcome::Done(20));
    assert_eq!(bench.recv(4, 20, 0), Outcome::Done(20));
    assert_eq!(bench.recv(4, 20, libc::MSG_DONTWAIT), Outcome::Done(4));
    for kind in [libc::SOCK_DGRAM, SEQPACKET] {
        let mut bench = Bench::new(kind);
        for bytes in [16, 0, 8, 9] {
            assert_eq!(bench.send(3, bytes), Outcome::Done(bytes as i64));
        }
        assert_eq!(bench.recv(4, 20, libc::MSG_PEEK), Outcome::Done(16));
        assert_eq!(bench.recv(4, 5, libc::MSG_TRUNC), Outcome::Done(16));
        assert_eq!(bench.recv(4, 20, 0), Outcome::Done(0), "an empty message");
        assert_eq!(bench.recv(4, 5, 0), Outcome::Done(5));
        bench.put_header(0);
        assert_eq!(bench.call(nr::recvmsg, &[4, HEADER, 0]), Outcome::Done(4));
        assert_eq!(bench.guest.words::<7>(HEADER)[6] as i32, libc::MSG_TRUNC);
        assert_eq!(bench.recv(4, 5, libc::MSG_DONTWAIT), AGAIN);
    }
}

#[test]
fn what_is_under_way_costs_memory_until_it_is_read() {
    let mut bench = Bench::new(libc::SOCK_STREAM | NONBLOCK);
    let mut sent = 0;
    while let Outcome::Done(bytes @ 0..) = bench.send(3, 3000) {
        sent += bytes;
    }
    assert_eq!(sent, 49 * 3000, "as on Linux");
    assert_eq!((bench.ready(3), bench.ready(4)), (0, 0x345));
    let mut read = 0;
    while bench.ready(3) == 0 {
        let Outcome::Done(bytes) = bench.recv(4, 3000, 0) else { panic!() };
        read += bytes;
    }
    assert_eq!(read, 37 * 3000, "three quarters");
    assert_eq!(bench.set_option(3, libc::SO_SNDBUF, &[1]), Outcome::Done(0));
    assert_eq!(bench.option(3, libc::SO_SNDBUF), 4608);
    assert_eq!((bench.ready(3), bench.send(3, 1)), (0, AGAIN));
    let mut bench = Bench::new(libc::SOCK_DGRAM | NONBLOCK);
    assert_eq!(bench.set_option(3, libc::SO_SNDBUF, &[3000]), Outcome::Done(0));
    assert_eq!(bench.send(3, 5969), fails(Errno::EMSGSIZE));
    assert_eq!((bench.send(3, 5968), bench.send(3, 1)), (Outcome::Done(5968), AGAIN));
}

#[test]
fn who_waits_goes_on_when_there_is_something() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    let other = bench.other;
    let all = libc::MSG_WAITALL as u64;
    assert_eq!(bench.call_of(other, nr::recvfrom, &[4, DATA, 10, all]), Outcome::Park);
    assert_eq!(bench.send(3, 6), Outcome::Done(6));
    assert_eq!(bench.resume(other), Outcome::Park);
    assert_eq!(bench.send(3, 6), Outcome::Done(6));
    assert_eq!(bench.resume(other), Outcome::Done(10));
    assert_eq!(bench.call_of(other, nr::recvfrom, &[4, DATA, 10, all]), Outcome::Park);
    bench.guest.actions.insert(10, 0x1234);
    bench.kernel.post_signal(NOW, VirtualPid(other.0), signal(10));
    assert_eq!(bench.resume(other), Outcome::Done(2), "what there was");
    bench.kernel.take_signal(NOW, other, &mut bench.guest);

    for (seconds, expected) in [(0, Errno::ERESTARTSYS), (5, Errno::EINTR)] {
        let time = [seconds, 0];
        assert_eq!(bench.set_option(4, libc::SO_RCVTIMEO, &time), Outcome::Done(0));
        assert_eq!(bench.call_of(other, nr::read, &[4, DATA, 10]), Outcome::Park);
        bench.kernel.post_signal(NOW, VirtualPid(other.0), signal(10));
        assert_eq!(bench.resume(other), fails(expected));
        bench.kernel.take_signal(NOW, other, &mut bench.guest);
    }
    assert_eq!(bench.call_of(other, nr::read, &[4, DATA, 10]), Outcome::Park);
    let end = SimTime::from_ns(5_000_000_000);
    assert_eq!(bench.kernel.next_event(), Some(end));
    bench.kernel.advance(end);
    assert_eq!(bench.resume(other), AGAIN);
    assert!(bench.kernel.sockets.calls.is_empty());
}

#[test]
fn the_end_of_a_connection_is_seen() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    assert_eq!(bench.send(3, 6), Outcome::Done(6));
    bench.end(3);
    assert_eq!(bench.ready(4), 0x2355);
    assert_eq!((bench.recv(4, 9, 0), bench.recv(4, 9, 0)), (Outcome::Done(6), Outcome::Done(0)));
    assert_eq!(bench.send(4, 1), fails(Errno::EPIPE));
    assert_eq!(bench.kernel.pending(bench.tid), 0);
    assert_eq!(bench.call(nr::write, &[4, DATA, 1]), fails(Errno::EPIPE));
    assert_eq!(bench.kernel.pending(bench.tid), 1 << (libc::SIGPIPE - 1));

    for kind in [libc::SOCK_STREAM, SEQPACKET] {
        let mut bench = Bench::new(kind);
        assert_eq!((bench.send(3, 6), bench.send(4, 7)), (Outcome::Done(6), Outcome::Done(7)));
        bench.end(3);
        let first = if kind == SEQPACKET { fails(Errno::ECONNRESET) } else { Outcome::Done(6) };
        let second = if kind == SEQPACKET { Outcome::Done(6) } else { fails(Errno::ECONNRESET) };
        assert_eq!((bench.recv(4, 9, 0), bench.recv(4, 9, 0)), (first, second));
        assert_eq!(bench.recv(4, 9, 0), Outcome::Done(0));
    }
    let mut bench = Bench::new(libc::SOCK_DGRAM);
    assert_eq!(bench.send(3, 6), Outcome::Done(6));
    bench.end(3);
    assert_eq!(bench.ready(4), 0x345);
    assert_eq!(bench.send(4, 1), fails(Errno::ECONNREFUSED));
    assert_eq!(bench.send(4, 1), fails(Errno::ENOTCONN));
    assert_eq!(bench.recv(4, 9, libc::MSG_DONTWAIT), AGAIN, "it is lost");
}

#[test]
fn directions_end_one_by_one() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    let other = bench.other;
    assert_eq!(bench.call(nr::shutdown, &[3, 3]), fails(Errno::EINVAL));
    assert_eq!(bench.call_of(other, nr::read, &[4, DATA, 9]), Outcome::Park);
    assert_eq!(bench.call(nr::shutdown, &[3, 1]), Outcome::Done(0));
    assert_eq!(bench.resume(other), Outcome::Done(0));
    assert_eq!((bench.ready(3), bench.ready(4)), (0x304, 0x2345));
    assert_eq!(bench.send(3, 1), fails(Errno::EPIPE));
    assert_eq!((bench.send(4, 2), bench.recv(3, 9, 0)), (Outcome::Done(2), Outcome::Done(2)));
    assert_eq!(bench.call(nr::shutdown, &[4, 2]), Outcome::Done(0));
    assert_eq!((bench.ready(3), bench.ready(4)), (0x2355, 0x2355));

    let mut bench = Bench::new(libc::SOCK_DGRAM);
    assert_eq!(bench.call(nr::shutdown, &[4, 0]), Outcome::Done(0));
    assert_eq!(bench.send(3, 1), fails(Errno::EPIPE));
    assert_eq!(
        (bench.recv(4, 9, 0), bench.recv(4, 9, libc::MSG_DONTWAIT)),
        (Outcome::Done(0), AGAIN)
    );
}

#[test]
fn a_blocked_writer_waits_for_three_quarters_and_learns_of_the_end() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    let other = bench.other;
    for _ in 0..49 {
        assert_eq!(bench.send(3, 3000), Outcome::Done(3000));
    }
    assert_eq!(bench.call_of(other, nr::write, &[3, DATA, 3000]), Outcome::Park);
    for _ in 0..36 {
        assert_eq!(bench.recv(4, 3000, 0), Outcome::Done(3000));
        assert_eq!(bench.kernel.next_runnable(), None);
    }
    assert_eq!(bench.recv(4, 3000, 0), Outcome::Done(3000));
    assert_eq!(bench.resume(other), Outcome::Done(3000));
    for _ in 0..36 {
        assert_eq!(bench.send(3, 3000), Outcome::Done(3000));
    }
    assert_eq!(bench.call_of(other, nr::write, &[3, DATA, 3000]), Outcome::Park);
    bench.end_of_four();
    assert_eq!(bench.resume(other), fails(Errno::ECONNRESET), "the rest was not read");

    let mut bench = Bench::new(libc::SOCK_STREAM);
    let other = bench.other;
    for _ in 0..49 {
        assert_eq!(bench.send(3, 3000), Outcome::Done(3000));
    }
    assert_eq!(bench.call_of(other, nr::write, &[3, DATA, 3000]), Outcome::Park);
    assert_eq!(bench.call(nr::shutdown, &[4, 0]), Outcome::Done(0));
    assert_eq!(bench.resume(other), fails(Errno::EPIPE));
    assert_eq!(bench.kernel.pending(other), 0, "as on Linux");
}

impl Bench {
    /// The other process waits in a call on 3: take 4 away from both.
    fn end_of_four(&mut self) {
        self.close(&[self.tid], 4);
        let process = self.kernel.processes.get_mut(&VirtualPid(self.other.0)).unwrap();
        let four = process.descriptors.remove(&4).unwrap();
        self.kernel.release(NOW, four.file);
    }
}

#[test]
fn who_sends_is_shown_if_asked_for() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    let (uid, tid) = (u64::from(crate::testing::UID), u64::from(bench.tid.0));
    let ids = [tid | uid << 32, uid + 1];
    assert_eq!(bench.option(3, libc::SO_PEERCRED), ids[0]);
    assert_eq!(bench.send(3, 4), Outcome::Done(4));
    assert_eq!(bench.set_option(4, libc::SO_PASSCRED, &[1]), Outcome::Done(0));
    assert_eq!(bench.send(3, 4), Outcome::Done(4));
    assert_eq!(bench.call_of(bench.other, nr::write, &[3, DATA, 4]), Outcome::Done(4));
    let message = [28, 1 | 2 << 32];
    for (at, expected) in [[65_534 << 32, 65_534], ids].into_iter().enumerate() {
        assert_eq!(bench.receive_message(4, 100, 0), (0, 32, 0), "{at}");
        assert_eq!(bench.guest.words::<2>(CONTROL), message);
        assert_eq!(bench.guest.words::<2>(CONTROL + 16), expected, "{at}");
    }
    assert_eq!(bench.receive_message(4, 20, 0), (libc::MSG_CTRUNC as u32, 20, 0));

    let [own, of_other] = [ids, [u64::from(bench.other.0) | uid << 32, uid + 1]];
    let control = |[low, high]: [u64; 2]| [28, 1 | 2 << 32, low, high];
    assert_eq!(bench.send_message(3, &control(own), 32), Outcome::Done(4));
    assert_eq!(bench.send_message(3, &control(of_other), 32), fails(Errno::EPERM));
    assert_eq!(bench.send_message(3, &control([own[0], 5]), 32), fails(Errno::EPERM));
    assert_eq!(bench.send_message(3, &control(own), 27), fails(Errno::EINVAL));
    assert_eq!(bench.send_message(3, &[16, 1 | 9 << 32], 16), fails(Errno::EINVAL));
    assert_eq!(bench.send_message(3, &[15, 0], 16), fails(Errno::EINVAL));
    assert_eq!(bench.send_message(3, &[16, 77], 16), Outcome::Done(4), "another level");
}

#[test]
fn streams_of_different_senders_are_not_joined() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    assert_eq!(bench.set_option(4, libc::SO_PASSCRED, &[1]), Outcome::Done(0));
    assert_eq!((bench.send(3, 4), bench.send(3, 2)), (Outcome::Done(4), Outcome::Done(2)));
    assert_eq!(bench.call_of(bench.other, nr::write, &[3, DATA, 4]), Outcome::Done(4));
    assert_eq!((bench.recv(4, 99, 0), bench.recv(4, 99, 0)), (Outcome::Done(6), Outcome::Done(4)));
}

#[test]
fn descriptors_travel() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    assert_eq!(bench.call(nr::pipe2, &[0, 0, 5, 6]), Outcome::Done(0));
    assert_eq!(bench.send_rights(3, &[5, 9]), fails(Errno::EBADF));
    assert_eq!(bench.send_rights(3, &[5, 6]), Outcome::Done(4));
    bench.close(&[bench.tid], 5);
    bench.close(&[bench.tid], 6);
    assert_eq!(bench.send(3, 4), Outcome::Done(4));
    let other = bench.other;
    let first = bench.tid;
    bench.tid = other;
    let (_, _, count) = bench.receive_message(4, 100, 0);
    assert_eq!((count, bench.guest.words::<5>(REPORT)), (2, [2, CONTROL, 100, 0, 0]));
    bench.guest.put_words(DATA, &[7 | 8 << 32]);
    let cloexec = libc::O_CLOEXEC as u64;
    assert_eq!(bench.call(PSEUDO_TAKE_RIGHTS, &[DATA, 2, cloexec]), Outcome::Done(2));
    assert_eq!(bench.call(nr::fcntl, &[8, libc::F_GETFD as u64]), Outcome::Done(1));
    assert_eq!(bench.call(nr::write, &[8, DATA, 9]), Outcome::Done(9));
    assert_eq!(bench.call(nr::read, &[7, DATA, 99]), Outcome::Done(9));
    assert_eq!(bench.receive_message(4, 100, 0), (0, 0, 0), "bytes behind them come alone");
    bench.tid = first;
    assert_eq!(bench.kernel.sockets.rights_under_way, 0);
    // What is not wanted, or has no room, is closed.
    assert_eq!(bench.call(nr::pipe2, &[0, 0, 5, 6]), Outcome::Done(0));
    let read_end = |bench: &mut Bench, receive: &mut dyn FnMut(&mut Bench)| {
        assert_eq!(bench.send_rights(3, &[6]), Outcome::Done(4));
        receive(bench);
        bench.kernel.files.reference_count(FileId(6))
    };
    let cut = libc::MSG_CTRUNC as u32;
    let plain = |b: &mut Bench| assert_eq!(b.recv(4, 4, 0), Outcome::Done(4));
    assert_eq!(read_end(&mut bench, &mut { plain }), 1);
    let small = |b: &mut Bench| assert_eq!(b.receive_message(4, 19, 0), (cut, 0, 0));
    assert_eq!(read_end(&mut bench, &mut { small }), 1);
    let peek = |b: &mut Bench| {
        assert_eq!(b.receive_message(4, 100, libc::MSG_PEEK).2, 1);
        assert_eq!(b.kernel.files.reference_count(FileId(6)), 3);
        assert_eq!(b.recv(4, 4, 0), Outcome::Done(4));
    };
    assert_eq!(read_end(&mut bench, &mut { peek }), 1, "the next call drops what came");
}

#[test]
fn sockets_that_only_messages_refer_to_are_closed() {
    let mut bench = Bench::new(libc::SOCK_DGRAM);
    bench.kernel.close_all(NOW, VirtualPid(bench.other.0));
    let args = [1, 2, 0, 0, 5, 6];
    let (tid, guest) = (bench.tid, &mut bench.guest);
    assert_eq!(bench.kernel.do_call(tid, nr::socketpair, args, guest), 0);
    // 4 holds 6, which holds all the others.
    assert_eq!(bench.send_rights(3, &[6]), Outcome::Done(4));
    assert_eq!(bench.send_rights(5, &[3, 4, 5]), Outcome::Done(4));
    for fd in [3, 4, 5] {
        bench.close(&[tid], fd);
    }
    assert_eq!(bench.kernel.sockets.sockets.len(), 4, "6 leads to them");
    bench.close(&[tid], 6);
    assert!(bench.kernel.sockets.sockets.is_empty());
    assert_eq!(bench.kernel.sockets.rights_under_way, 0);
}

#[test]
fn long_chains_of_sockets_in_sockets_end() {
    let mut bench = Bench::new(libc::SOCK_DGRAM);
    bench.kernel.close_all(NOW, VirtualPid(bench.other.0));
    let tid = bench.tid;
    bench.guest.put_words(DATA, &[4096, 4096]);
    let limit = [libc::RLIMIT_NOFILE.into(), DATA];
    assert_eq!(bench.call(nr::setrlimit, &limit), Outcome::Done(0));
    for _ in 0..2000 {
        let args = [1, 2, 0, 0, 5, 6];
        assert_eq!(bench.kernel.do_call(tid, nr::socketpair, args, &mut bench.guest), 0);
        assert_eq!(bench.send_rights(5, &[4]), Outcome::Done(4));
        for (from, to) in [(5, 3), (6, 4)] {
            let args = [from, to, 0, 0, 0, 0];
            let copy = shim_abi::calls::PSEUDO_DUPLICATE;
            assert_eq!(bench.kernel.do_call(tid, copy, args, &mut bench.guest), 0);
        }
        bench.close(&[tid], 5);
        bench.close(&[tid], 6);
    }
    bench.close(&[tid], 3);
    bench.close(&[tid], 4);
    assert!(bench.kernel.sockets.sockets.is_empty());
}

#[test]
fn bad_memory_is_told_and_streams_keep_what_is_not_stored() {
    let fault = fails(Errno::EFAULT);
    let mut bench = Bench::new(libc::SOCK_STREAM);
    assert_eq!(bench.call(nr::sendto, &[3, 8, 1, 0]), fault);
    assert_eq!(bench.send(3, 5), Outcome::Done(5));
    assert_eq!(bench.call(nr::recvfrom, &[4, 8, 5, 0]), fault);
    assert_eq!(bench.recv(4, 9, 0), Outcome::Done(5));
    let mut bench = Bench::new(SEQPACKET);
    assert_eq!(bench.send(3, 5), Outcome::Done(5));
    assert_eq!(bench.call(nr::recvfrom, &[4, 8, 5, 0]), fault);
    assert_eq!(bench.recv(4, 9, libc::MSG_DONTWAIT), AGAIN, "it is lost");
    assert_eq!(bench.option(3, libc::SO_ERROR), 0);
    assert_eq!(bench.call(nr::sendmsg, &[3, 8, 0]), fault);
    bench.guest.put_words(HEADER, &[0, 0, 0, 1025, 0, 0, 0]);
    assert_eq!(bench.call(nr::sendmsg, &[3, HEADER, 0]), fails(Errno::EMSGSIZE));
    assert_eq!(bench.call(nr::recvmsg, &[3, HEADER, 1 << 31]), fails(Errno::EINVAL));
}
