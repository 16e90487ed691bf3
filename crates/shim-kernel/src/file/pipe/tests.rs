//! What pipes do, as pipe(7) says and Linux 6.18 did when asked.
//!
//! Two processes that share a pipe in, counts and errors out. Always true: guest memory is four pages, so large
//! transfers are made of several.

use super::ring::PAGE_BYTES;
use super::size::USER_PAGES;
use super::*;
use crate::testing::{DATA, TestGuest, machine, signal};
use crate::{Outcome, VirtualPid, VirtualTid};
use shim_abi::calls::{PSEUDO_POLL, nr};
use std::vec::Vec;

const NOW: SimTime = SimTime::ZERO;
const PAGE: u64 = PAGE_BYTES as u64;
const AGAIN: Outcome = Outcome::Done(Errno::EAGAIN.as_return());

/// Two processes that share a pipe at 3 and 4.
struct Bench {
    kernel: Kernel,
    guest: TestGuest,
    tid: VirtualTid,
    other: VirtualTid,
}

impl Bench {
    fn new(flags: i32) -> Bench {
        let (mut kernel, mut guest, tid) = machine();
        let args = [DATA, flags as u64, 3, 4, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::pipe2, args, &mut guest), 0);
        let (pid, other) = kernel.spawn(NOW, "other");
        let table = kernel.copy_descriptors(VirtualPid(tid.0));
        kernel.processes.get_mut(&pid).unwrap().descriptors = table;
        Bench { kernel, guest, tid, other }
    }
    fn call_of(&mut self, tid: VirtualTid, number: u32, [a, b, c]: [u64; 3]) -> Outcome {
        self.kernel.call(NOW, tid, number, [a, b, c, 0, 0, 0], &mut self.guest)
    }
    fn call(&mut self, number: u32, args: [u64; 3]) -> Outcome {
        self.call_of(self.tid, number, args)
    }
    fn write(&mut self, bytes: u64) -> Outcome {
        self.call(nr::write, [4, DATA, bytes])
    }
    fn fill(&mut self, pages: usize) {
        for _ in 0..pages {
            assert_eq!(self.write(PAGE), Outcome::Done(4096));
        }
    }
    fn read(&mut self, bytes: u64) -> Outcome {
        self.call(nr::read, [3, DATA, bytes])
    }
    fn close(&mut self, tids: &[VirtualTid], fd: u64) {
        for &tid in tids {
            assert_eq!(self.call_of(tid, nr::close, [fd, 0, 0]), Outcome::Done(0));
        }
    }
    fn ready(&mut self, fd: u64) -> u32 {
        self.guest.put_words(DATA, &[fd | 0xffff << 32]);
        self.call(PSEUDO_POLL, [DATA, 1, 0]);
        (self.guest.words::<1>(DATA)[0] >> 48) as u32
    }
    /// What a thread's call comes to that has been woken.
    fn resume(&mut self, tid: VirtualTid) -> Outcome {
        assert_eq!(self.kernel.next_runnable(), Some(tid));
        self.kernel.resume(NOW, tid, &mut self.guest)
    }
}

#[test]
fn bytes_come_out_as_they_went_in() {
    let mut bench = Bench::new(0);
    let words: Vec<u64> = (0..1500).collect();
    bench.guest.put_words(DATA, &words);
    assert_eq!(bench.write(12_000), Outcome::Done(12_000));
    bench.guest.put_words(DATA, &[77; 1500]);
    // Into three pieces of memory.
    let vector = [DATA, 8, DATA, 0, DATA + 8, 5_000, DATA + 5_008, 9_000];
    bench.guest.put_words(DATA + 0x3000, &vector);
    assert_eq!(bench.call(nr::readv, [3, DATA + 0x3000, 4]), Outcome::Done(12_000));
    assert_eq!(bench.guest.words::<1500>(DATA).as_slice(), words);
}

#[test]
fn it_takes_sixteen_pages_however_full_they_are() {
    let mut bench = Bench::new(libc::O_NONBLOCK);
    assert_eq!(bench.write(PAGE + 1), Outcome::Done(4097));
    assert_eq!(bench.write(PAGE), Outcome::Done(4096), "a page of its own");
    assert_eq!(bench.write(PAGE + 1), Outcome::Done(4097));
    assert_eq!(bench.write(PAGE - 1), Outcome::Done(4095), "behind the one byte");
    bench.fill(11);
    assert_eq!(bench.ready(4), 0);
    assert_eq!(bench.write(1), AGAIN);
    assert_eq!(bench.read(PAGE - 1), Outcome::Done(4095));
    assert_eq!((bench.write(1), bench.ready(4)), (AGAIN, 0), "one byte keeps the page");
    assert_eq!(bench.read(1), Outcome::Done(1));
    assert_eq!(bench.ready(4), poll::WRITE);
    assert_eq!(bench.write(2 * PAGE), Outcome::Done(4096), "as much as fits");
}

#[test]
fn a_small_write_is_all_or_nothing() {
    let mut bench = Bench::new(libc::O_NONBLOCK);
    bench.fill(15);
    assert_eq!(bench.write(96), Outcome::Done(96));
    assert_eq!(bench.write(PAGE), AGAIN);
    assert_eq!(bench.write(PAGE - 96), Outcome::Done(4000));
    assert_eq!(bench.write(1), AGAIN);
}

#[test]
fn packets_are_read_one_by_one_and_cut() {
    let mut bench = Bench::new(libc::O_DIRECT);
    for bytes in [10, 20, PAGE + 5] {
        assert_eq!(bench.write(bytes), Outcome::Done(bytes as i64));
    }
    for (asked, got) in [(4, 4), (4096, 20), (9000, 4096), (9000, 5)] {
        assert_eq!(bench.read(asked), Outcome::Done(got));
    }
}

#[test]
fn readers_and_writers_wait_for_each_other() {
    let mut bench = Bench::new(0);
    let other = bench.other;
    assert_eq!(bench.call_of(other, nr::read, [3, DATA, 9]), Outcome::Park);
    assert_eq!(bench.write(5), Outcome::Done(5));
    assert_eq!(bench.resume(other), Outcome::Done(5));
    // A write larger than the pipe goes on as often as there is room.
    let large = [DATA, 0x4000, DATA, 0x4000, DATA, 0x4000, DATA, 0x4000, DATA, 0x4000];
    bench.guest.put_words(DATA, &large);
    assert_eq!(bench.call_of(other, nr::writev, [4, DATA, 5]), Outcome::Park);
    assert_eq!(bench.read(PAGE), Outcome::Done(4096));
    assert_eq!(bench.resume(other), Outcome::Park);
    assert_eq!(bench.read(2 * PAGE), Outcome::Done(8192));
    assert_eq!(bench.resume(other), Outcome::Park);
    bench.guest.actions.insert(10, 0x1234);
    bench.kernel.post_signal(NOW, VirtualPid(other.0), signal(10));
    assert_eq!(bench.resume(other), Outcome::Done(19 * 4096), "what it has written");
    bench.kernel.take_signal(NOW, other, &mut bench.guest);
    assert_eq!(bench.call_of(other, nr::write, [4, DATA, 1]), Outcome::Park);
    bench.kernel.post_signal(NOW, VirtualPid(other.0), signal(10));
    assert_eq!(bench.resume(other), Outcome::Done(Errno::ERESTARTSYS.as_return()));
}

#[test]
fn the_end_of_one_side_is_seen_by_the_other() {
    let mut bench = Bench::new(0);
    let (tid, other) = (bench.tid, bench.other);
    assert_eq!(bench.write(3), Outcome::Done(3));
    bench.close(&[tid, other], 4);
    assert_eq!(bench.ready(3), poll::READ | poll::HUP);
    assert_eq!((bench.read(9), bench.read(9)), (Outcome::Done(3), Outcome::Done(0)));
    assert_eq!(bench.ready(3), poll::HUP);

    let mut bench = Bench::new(0);
    assert_eq!(bench.call_of(other, nr::read, [3, DATA, 9]), Outcome::Park);
    bench.close(&[tid], 4);
    assert_eq!(bench.kernel.next_runnable(), None, "the other has it open itself");
    bench.kernel.close_all(NOW, VirtualPid(other.0));
    assert!(bench.kernel.files.pipes.pipes.len() == 1);
    assert_eq!(bench.read(9), Outcome::Done(0));
    bench.close(&[tid], 3);
    assert!(bench.kernel.files.pipes.pipes.is_empty());
    assert_eq!(bench.kernel.files.pipes.pages, 0);
}

#[test]
fn writing_to_nobody_raises_sigpipe() {
    let mut bench = Bench::new(0);
    let (tid, other) = (bench.tid, bench.other);
    bench.fill(16);
    assert_eq!(bench.call_of(other, nr::write, [4, DATA, 1]), Outcome::Park);
    bench.close(&[tid], 3);
    bench.kernel.processes.get_mut(&VirtualPid(other.0)).unwrap().descriptors.remove(&3);
    let reader = FileId(1);
    bench.kernel.release(NOW, reader);
    let broken = Outcome::Done(Errno::EPIPE.as_return());
    assert_eq!(bench.resume(other), broken);
    assert_eq!(bench.kernel.pending(other), 1 << (libc::SIGPIPE - 1));
    assert_eq!(bench.ready(4), poll::ERR);
    assert_eq!(bench.write(0), Outcome::Done(0));
    assert_eq!(bench.write(1), broken);
    assert_eq!(bench.kernel.pending(tid), 1 << (libc::SIGPIPE - 1));
}

#[test]
fn bad_memory_ends_a_transfer_where_it_begins() {
    let mut bench = Bench::new(libc::O_NONBLOCK);
    let fault = Outcome::Done(Errno::EFAULT.as_return());
    assert_eq!(bench.call(nr::write, [4, 8, 1]), fault);
    assert_eq!(bench.call(nr::write, [4, u64::MAX, 1]), fault);
    // The region ends in the third page of the write.
    let at = DATA + 0x4000 - 2 * PAGE - 10;
    assert_eq!(bench.call(nr::write, [4, at, 3 * PAGE]), Outcome::Done(2 * 4096));
    assert_eq!(bench.call(nr::read, [3, 8, 1]), fault);
    let at = DATA + 0x4000 - PAGE - 10;
    assert_eq!(bench.call(nr::read, [3, at, 3 * PAGE]), Outcome::Done(4096));
    assert_eq!(bench.read(3 * PAGE), Outcome::Done(4096), "what could not be stored is there");
    bench.guest.put_words(DATA, &[DATA, u64::MAX]);
    let invalid = Outcome::Done(Errno::EINVAL.as_return());
    assert_eq!(bench.call(nr::readv, [3, DATA, 1]), invalid);
    assert_eq!(bench.call(nr::readv, [3, DATA, 1025]), invalid);
    let bad = Outcome::Done(Errno::EBADF.as_return());
    assert_eq!((bench.call(nr::read, [4, 8, 1]), bench.call(nr::write, [3, 8, 1])), (bad, bad));
}

#[test]
fn flags_are_linuxs() {
    let mut bench = Bench::new(0);
    for (flags, expected) in [(1, Errno::EINVAL), (0x80, Errno::ENOPKG)] {
        let got =
            bench.kernel.do_call(bench.tid, nr::pipe2, [DATA, flags, 5, 6, 0, 0], &mut bench.guest);
        assert_eq!(got, expected.as_return());
    }
}

#[test]
fn sizes_are_powers_of_two_within_the_users_limits() {
    let mut bench = Bench::new(0);
    let mut set = |fd, bytes| match bench.call(nr::fcntl, [fd, 1031, bytes]) {
        Outcome::Done(size) => size,
        other => panic!("{other:?}"),
    };
    let [invalid, perm] = [Errno::EINVAL, Errno::EPERM].map(Errno::as_return);
    for (bytes, expected) in [
        (0, 4096),
        (4097, 8192),
        (1 << 20, 1 << 20),
        ((1 << 20) + 1, perm),
        (1 << 31, perm),
        ((1 << 31) + 1, invalid),
    ] {
        assert_eq!(set(3, bytes), expected, "{bytes}");
    }
    assert_eq!(bench.write(2 * PAGE), Outcome::Done(8192));
    let busy = Outcome::Done(Errno::EBUSY.as_return());
    assert_eq!(bench.call(nr::fcntl, [4, 1031, PAGE]), busy);
    assert_eq!(bench.call(nr::fcntl, [4, 1032, 0]), Outcome::Done(1 << 20));
}

#[test]
fn the_user_of_very_many_pipes_gets_small_ones() {
    let mut bench = Bench::new(0);
    bench.kernel.files.pipes.pages = USER_PAGES - 16;
    let size = |bench: &mut Bench| {
        let args = [DATA, 0, 5, 6, 0, 0];
        bench.kernel.do_call(bench.tid, nr::pipe2, args, &mut bench.guest);
        bench.call(nr::fcntl, [5, 1032, 0])
    };
    assert_eq!(size(&mut bench), Outcome::Done(65_536));
    assert_eq!(size(&mut bench), Outcome::Done(8192));
    assert_eq!(bench.kernel.files.pipes.pages, USER_PAGES - 14, "the first is gone");
    let perm = Outcome::Done(Errno::EPERM.as_return());
    assert_eq!(bench.call(nr::fcntl, [5, 1031, 1 << 20]), perm);
}
