//! What epoll does, as Linux 6.18 did it when asked.
//!
//! A machine with pipes and instances in, events out. Always true: descriptors are numbered so that a pipe is known by
//! its ends.

use super::*;
use crate::testing::{DATA, TestGuest, machine, signal};
use crate::{Kernel, Outcome, VirtualPid, VirtualTid};
use shim_abi::calls::{PSEUDO_DUPLICATE, PSEUDO_POLL, nr};
use std::vec::Vec;

const NOW: SimTime = SimTime::ZERO;
const EVENTS: u64 = DATA + 0x1000;
const INSTANCE: u32 = 30;
use libc::{EPOLL_CTL_ADD as ADD, EPOLL_CTL_DEL as DEL, EPOLL_CTL_MOD as MOD};
const IN: u32 = poll::IN;

/// A machine with an instance at 30 and pipes: 0 reads from 10 and writes to 20, and so on.
struct Bench {
    kernel: Kernel,
    guest: TestGuest,
    tid: VirtualTid,
}

impl Bench {
    fn new(pipes: u32) -> Bench {
        let (kernel, guest, tid) = machine();
        let mut bench = Bench { kernel, guest, tid };
        for pipe in 0..pipes {
            let flags = libc::O_NONBLOCK as u64;
            let ends = [DATA, flags, (10 + pipe).into(), (20 + pipe).into()];
            assert_eq!(bench.call(nr::pipe2, ends), Outcome::Done(0));
        }
        bench.instance(INSTANCE);
        bench
    }
    fn call(&mut self, number: u32, [a, b, c, d]: [u64; 4]) -> Outcome {
        self.kernel.call(NOW, self.tid, number, [a, b, c, d, 0, 0], &mut self.guest)
    }
    fn instance(&mut self, fd: u32) {
        assert_eq!(self.call(nr::epoll_create1, [0, fd.into(), 0, 0]), Outcome::Done(fd.into()));
    }
    fn control(&mut self, instance: u32, operation: i32, fd: u32, events: u32) -> i64 {
        let data = u64::from(fd);
        self.guest.put_words(DATA, &[u64::from(events) | data << 32, data >> 32]);
        let args = [instance.into(), operation as u64, fd.into(), DATA, 0, 0];
        self.kernel.do_call(self.tid, nr::epoll_ctl, args, &mut self.guest)
    }
    /// Add to the instance at 30.
    fn add(&mut self, fd: u32, events: u32) {
        assert_eq!(self.control(INSTANCE, ADD, fd, events), 0, "{fd}");
    }
    fn wait(&mut self, count: u64, timeout_ms: i32) -> Outcome {
        self.call(nr::epoll_wait, [INSTANCE.into(), EVENTS, count, timeout_ms as u64])
    }
    /// What was stored: descriptors and events.
    fn stored(&mut self, count: i64) -> Vec<(u64, u32)> {
        let event = |i: i64| {
            let bytes: [u8; 12] = read_bytes(&mut self.guest, GuestAddr(EVENTS + 12 * i as u64))
                .expect("it was stored");
            (u64_at(&bytes, 4), u32_at(&bytes, 0))
        };
        (0..count).map(event).collect()
    }
    /// The descriptors that are ready, `count` of them at most.
    fn some(&mut self, count: u64) -> Vec<u64> {
        self.fetch(count).into_iter().map(|(fd, _)| fd).collect()
    }
    fn fetch(&mut self, count: u64) -> Vec<(u64, u32)> {
        match self.wait(count, 0) {
            Outcome::Done(count @ 0..) => self.stored(count),
            other => panic!("{other:?}"),
        }
    }
    fn write(&mut self, fd: u32) {
        assert_eq!(self.call(nr::write, [fd.into(), DATA, 1, 0]), Outcome::Done(1));
    }
    fn read(&mut self, fd: u32) {
        assert_eq!(self.call(nr::read, [fd.into(), DATA, 1, 0]), Outcome::Done(1));
    }
    fn close(&mut self, fd: u32) {
        assert_eq!(self.call(nr::close, [fd.into(), 0, 0, 0]), Outcome::Done(0));
    }
    /// Another process with the same descriptors.
    fn fork(&mut self) -> VirtualTid {
        self.kernel.fork(self.tid, 0, &mut self.guest)
    }
    fn resume(&mut self, tid: VirtualTid) -> Outcome {
        assert_eq!(self.kernel.next_runnable(), Some(tid));
        self.kernel.resume(NOW, tid, &mut self.guest)
    }
}

#[test]
fn ready_entries_come_in_the_order_of_their_events_and_turn() {
    let mut bench = Bench::new(4);
    (10..14).for_each(|fd| bench.add(fd, IN));
    [22, 20, 23, 21].into_iter().for_each(|fd| bench.write(fd));
    assert_eq!(bench.some(9), [12, 10, 13, 11]);
    assert_eq!(bench.some(2), [12, 10]);
    assert_eq!(bench.some(2), [13, 11]);
    bench.read(10);
    assert_eq!(bench.some(9), [12, 13, 11]);
}

#[test]
fn copies_of_a_descriptor_are_entries_of_their_own() {
    let mut bench = Bench::new(1);
    for copy in [40, 41] {
        bench.call(PSEUDO_DUPLICATE, [10, copy, 0, 0]);
    }
    [10, 40, 41].into_iter().for_each(|fd| bench.add(fd, IN));
    bench.write(20);
    assert_eq!(bench.some(9), [41, 40, 10], "the last that was added first");
    bench.close(10);
    assert_eq!(bench.some(9), [41, 40, 10], "the file is still open");
    assert_eq!(bench.control(INSTANCE, DEL, 10, 0), Errno::EBADF.as_return());
    [40, 41].into_iter().for_each(|fd| bench.close(fd));
    assert_eq!(bench.some(9), []);
}

#[test]
fn edges_are_what_happens_and_not_what_is() {
    let mut bench = Bench::new(1);
    bench.add(10, IN | event::EDGE);
    bench.write(20);
    assert_eq!((bench.some(9), bench.some(9)), ([10].into(), [].into()));
    bench.write(20);
    assert_eq!((bench.some(9), bench.some(9)), ([10].into(), [].into()));
    // A page that is not full is no edge for the writer, one that was is.
    bench.add(20, poll::OUT | event::EDGE);
    assert_eq!(bench.fetch(9), [(20, poll::OUT)]);
    bench.read(10);
    assert_eq!(bench.some(9), []);
    while bench.call(nr::write, [20, DATA, 4096, 0]) == Outcome::Done(4096) {}
    assert_eq!(bench.some(9), [10]);
    let again = Outcome::Done(Errno::EAGAIN.as_return());
    assert_eq!(bench.call(nr::write, [20, DATA, 4096, 0]), again);
    assert_eq!(bench.some(9), [10], "as on Linux, though nothing was written");
    assert_eq!(bench.call(nr::read, [10, DATA, 8192, 0]), Outcome::Done(8192));
    assert_eq!(bench.fetch(9), [(20, poll::OUT)]);
    // A change of interest looks anew.
    assert_eq!(bench.control(INSTANCE, MOD, 10, IN | event::EDGE), 0);
    assert_eq!(bench.some(9), [10]);
}

#[test]
fn every_read_and_write_of_a_counter_is_an_edge() {
    let mut bench = Bench::new(0);
    bench.call(nr::eventfd2, [5, 0, 7, 0]);
    bench.add(7, poll::IN | poll::OUT | event::EDGE);
    assert_eq!(bench.fetch(9), [(7, poll::IN | poll::OUT)]);
    assert_eq!(bench.call(nr::read, [7, DATA, 8, 0]), Outcome::Done(8));
    assert_eq!(bench.fetch(9), [(7, poll::OUT)]);
    assert_eq!(bench.fetch(9), []);
}

#[test]
fn one_shot_entries_fire_once_and_are_armed_anew() {
    let mut bench = Bench::new(1);
    bench.add(10, IN | event::ONE_SHOT);
    bench.write(20);
    assert_eq!(bench.fetch(9), [(10, IN)]);
    bench.write(20);
    bench.close(20);
    assert_eq!(bench.fetch(9), []);
    assert_eq!(bench.control(INSTANCE, MOD, 10, 0), 0);
    assert_eq!(bench.fetch(9), [(10, poll::HUP)], "errors and hang-ups always");
}

#[test]
fn errors_come_in_linux_order() {
    let mut bench = Bench::new(1);
    bench.instance(31);
    let bad = Errno::EBADF;
    for (instance, operation, fd, from, kind, expected) in [
        (99, ADD, 98, 8, 0, Errno::EFAULT),
        (99, DEL, 98, 8, 0, bad),
        (30, ADD, 98, DATA, 0, bad),
        (30, ADD, 98, DATA, 1, Errno::EPERM),
        (99, ADD, 98, DATA, 1, bad),
        (10, ADD, 20, DATA, 0, Errno::EINVAL),
        (30, ADD, 30, DATA, 0, Errno::EINVAL),
        (30, 9, 10, DATA, 0, Errno::EINVAL),
        (30, DEL, 10, DATA, 0, Errno::ENOENT),
        (30, MOD, 10, DATA, 0, Errno::ENOENT),
    ] {
        let args = [instance, operation as u64, fd, from, kind, 0];
        let got = bench.kernel.do_call(bench.tid, nr::epoll_ctl, args, &mut bench.guest);
        assert_eq!(got, expected.as_return(), "{args:?}");
    }
    let invalid = Errno::EINVAL.as_return();
    bench.add(10, IN);
    assert_eq!(bench.control(INSTANCE, ADD, 10, IN), Errno::EEXIST.as_return());
    assert_eq!(bench.control(INSTANCE, 0, 10, IN), invalid);
    assert_eq!(bench.control(INSTANCE, MOD, 10, IN | event::EXCLUSIVE), invalid);
    assert_eq!(bench.control(INSTANCE, ADD, 31, IN | event::EXCLUSIVE), invalid);
    let both = event::EXCLUSIVE | event::ONE_SHOT;
    assert_eq!(bench.control(INSTANCE, ADD, 20, IN | both), invalid);
    bench.add(20, poll::OUT | event::EXCLUSIVE);
    assert_eq!(bench.control(INSTANCE, MOD, 20, IN), invalid);
    for (args, expected) in [
        ([99, EVENTS, 0, 0], bad),
        ([30, EVENTS, 0, 0], Errno::EINVAL),
        ([30, 1 << 63, 1, 0], Errno::EFAULT),
        ([10, EVENTS, 1, 0], Errno::EINVAL),
        ([30, EVENTS, 1 << 31, 0], Errno::EINVAL),
        ([30, 8, 1, 0], Errno::EFAULT),
    ] {
        let got = bench.call(nr::epoll_wait, args);
        assert_eq!(got, Outcome::Done(expected.as_return()), "{args:?}");
    }
    assert_eq!(bench.call(nr::epoll_create1, [1, 32, 0, 0]), Outcome::Done(invalid));
}

#[test]
fn events_that_memory_does_not_take_are_not_lost() {
    let mut bench = Bench::new(2);
    [10, 11].into_iter().for_each(|fd| bench.add(fd, IN | event::EDGE));
    [20, 21].into_iter().for_each(|fd| bench.write(fd));
    // Room for one.
    let at = DATA + 0x4000 - 12;
    assert_eq!(bench.call(nr::epoll_wait, [30, at, 9, 0]), Outcome::Done(1));
    assert_eq!(bench.some(9), [11]);
}

#[test]
fn chains_have_five_links_and_no_loops() {
    let eloop = Errno::ELOOP.as_return();
    let mut bench = Bench::new(0);
    (31..40).for_each(|fd| bench.instance(fd));
    let down: Vec<i64> = (30..37).map(|fd| bench.control(fd, ADD, fd + 1, IN)).collect();
    assert_eq!(down, [0, 0, 0, 0, eloop, 0, 0]);
    let mut bench = Bench::new(0);
    (31..40).for_each(|fd| bench.instance(fd));
    let up: Vec<i64> = (30..37).rev().map(|fd| bench.control(fd, ADD, fd + 1, IN)).collect();
    assert_eq!(up, [0, 0, 0, 0, eloop, 0, 0]);
    assert_eq!(bench.control(37, ADD, 33, IN), eloop, "a loop");
}

#[test]
fn an_instance_is_ready_when_it_has_an_event() {
    let mut bench = Bench::new(1);
    bench.instance(31);
    bench.add(10, IN);
    assert_eq!(bench.control(31, ADD, 30, IN), 0);
    let ready = |bench: &mut Bench| {
        bench.guest.put_words(DATA, &[30 | 0xffff << 32]);
        bench.call(PSEUDO_POLL, [DATA, 1, 0, 0]);
        (bench.guest.words::<1>(DATA)[0] >> 48) as u32
    };
    assert_eq!(ready(&mut bench), 0);
    let outer = [31, EVENTS, 9, u64::MAX];
    let other = bench.fork();
    let outcome = bench.kernel.call(
        NOW,
        other,
        nr::epoll_wait,
        [31, EVENTS, 9, u64::MAX, 0, 0],
        &mut bench.guest,
    );
    assert_eq!(outcome, Outcome::Park);
    bench.write(20);
    assert_eq!(ready(&mut bench), poll::READ);
    assert_eq!(bench.resume(other), Outcome::Done(1));
    assert_eq!(bench.stored(1), [(30, IN)]);
    bench.read(10);
    assert_eq!(ready(&mut bench), 0);
    assert_eq!(bench.call(nr::epoll_wait, outer), Outcome::Park);
}

#[test]
fn a_wait_ends_with_an_event_a_signal_or_its_time() {
    let mut bench = Bench::new(1);
    bench.guest.actions.insert(10, 0x1234);
    bench.add(10, IN);
    let (tid, other) = (bench.tid, bench.fork());
    assert_eq!(bench.wait(9, 5), Outcome::Park);
    assert_eq!(bench.kernel.next_event(), Some(SimTime::from_ns(5_000_000)));
    bench.tid = other;
    bench.write(20);
    assert_eq!(bench.resume(tid), Outcome::Done(1));
    bench.read(10);
    bench.tid = tid;

    assert_eq!(bench.wait(9, -1), Outcome::Park);
    bench.kernel.post_signal(NOW, VirtualPid(tid.0), signal(17));
    assert_eq!(bench.resume(tid), Outcome::Park);
    bench.kernel.post_signal(NOW, VirtualPid(tid.0), signal(10));
    assert_eq!(bench.resume(tid), Outcome::Done(Errno::EINTR.as_return()));
    bench.kernel.take_signal(NOW, tid, &mut bench.guest);

    let args = [INSTANCE.into(), EVENTS, 9, 7];
    assert_eq!(bench.call(nr::epoll_pwait2, args), Outcome::Park);
    let end = SimTime::from_ns(7);
    bench.kernel.advance(end);
    assert_eq!(bench.kernel.next_runnable(), Some(tid));
    assert_eq!(bench.kernel.resume(end, tid, &mut bench.guest), Outcome::Done(0));
}

#[test]
fn an_exclusive_event_wakes_one() {
    for (shared, woken) in [(event::EXCLUSIVE, 1), (0, 2)] {
        let mut bench = Bench::new(1);
        bench.instance(31);
        for instance in [30, 31] {
            assert_eq!(bench.control(instance, ADD, 10, IN | shared), 0);
        }
        let (tid, first, second) = (bench.tid, bench.fork(), bench.fork());
        for (tid, instance) in [(first, 30), (second, 31)] {
            bench.tid = tid;
            let args = [instance, EVENTS, 9, u64::MAX];
            assert_eq!(bench.call(nr::epoll_wait, args), Outcome::Park);
        }
        bench.tid = tid;
        bench.write(20);
        let runnable: Vec<_> = core::iter::from_fn(|| bench.kernel.next_runnable()).collect();
        assert_eq!(runnable.len(), woken);
    }
}

#[test]
fn what_is_closed_is_watched_no_more() {
    let mut bench = Bench::new(1);
    bench.instance(31);
    bench.add(10, IN);
    bench.add(31, IN);
    assert_eq!(bench.control(31, ADD, 10, IN), 0);
    [10, 31].into_iter().for_each(|fd| bench.close(fd));
    let files = &bench.kernel.files;
    let instance = bench.kernel.processes[&VirtualPid(1000)].descriptors[&INSTANCE].file;
    assert_eq!(files.epoll(instance).unwrap().keys().count(), 0);
    // And the other way round.
    bench.add(20, IN);
    bench.close(INSTANCE);
    let pipe = bench.kernel.processes[&VirtualPid(1000)].descriptors[&20].file;
    assert!(bench.kernel.files.get(pipe).unwrap().watchers.is_empty());
}

#[test]
fn a_stream_of_the_real_kernels_is_ready_as_it_was() {
    let mut bench = Bench::new(0);
    bench.guest.put_words(DATA, &[u64::from(IN | poll::OUT) | 5 << 32, 0]);
    let args = [30, ADD as u64, 5, DATA, 2, 0];
    assert_eq!(bench.kernel.do_call(bench.tid, nr::epoll_ctl, args, &mut bench.guest), 0);
    let args = [30, ADD as u64, 6, DATA, 2, u64::from(IN)];
    assert_eq!(bench.kernel.do_call(bench.tid, nr::epoll_ctl, args, &mut bench.guest), 0);
    assert_eq!(bench.fetch(9), [(5, poll::OUT), (5, IN | poll::OUT)]);
}

#[test]
fn many_descriptors_cost_what_is_ready() {
    let mut bench = Bench::new(0);
    for fd in 100..4000 {
        bench.call(nr::eventfd2, [0, 0, fd, 0]);
        bench.add(fd as u32, IN);
    }
    bench.guest.put_words(DATA, &[1]);
    for round in 0..2000 {
        let fd = 100 + round % 3900;
        bench.guest.put_words(DATA, &[1]);
        assert_eq!(bench.call(nr::write, [fd, DATA, 8, 0]), Outcome::Done(8));
        assert_eq!(bench.some(64), [fd]);
        assert_eq!(bench.call(nr::read, [fd, DATA, 8, 0]), Outcome::Done(8));
    }
}
