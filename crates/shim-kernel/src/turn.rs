//! Whose turn it is: the threads that can go on, and for how long each does.
//!
//! Threads that became ready in, the next one and the end of its turn out. Always true: a thread stands in the queue
//! once at most; nothing here knows whether the simulator or a guest asks, so it makes no difference who passes control
//! on. What makes a thread ready is `kernel`; who has control natively is `shim-host`'s and `libshim.so`'s.
//!
//! # Turns
//!
//! A host has one simulated processor, which one thread at a time uses. A turn lasts until the thread waits or ends;
//! until the next event of the host, so that who sleeps is woken on time; and, if another thread is ready, for a slice
//! of about [`SLICE`] at most. Whoever is interrupted so goes behind those that are ready. The end of a step ends no
//! turn, so that no result depends on how time is cut into steps.
//!
//! Why not slices of one length: a loop whose rounds take a whole fraction of it would be interrupted at the same place
//! each time, while it holds a lock, say, and whoever waits for that would never get it. A real machine's interrupts do
//! not keep step with anybody either.

use alloc::collections::VecDeque;

use shim_abi::random::Stream;
use shim_abi::{SimDuration, SimTime};

use crate::config::Config;
use crate::ids::VirtualTid;
use crate::kernel::Kernel;

/// How long a thread keeps the processor while others are ready, in simulated time, on average.
pub const SLICE: SimDuration = SimDuration::from_ns(1_000_000);

/// Slices are between so much shorter and so much longer.
const SLICE_SPREAD: SimDuration = SimDuration::from_ns(250_000);

/// So often the clock moves before the simulator hears of it, which listens to the world outside: a timer may expire
/// for ever while everybody waits.
const MOST_MOVES: u32 = 64;

/// The queue of those that can go on, and the turn that is under way, or was the last one.
#[derive(Debug)]
pub(crate) struct Turns {
    ready: VecDeque<VirtualTid>,
    began: SimTime,
    slice: SimDuration,
    slices: Stream,
    /// End of the step that is under way.
    end_of_step: SimTime,
}

impl Turns {
    pub(crate) fn new(config: &Config) -> Turns {
        Turns {
            ready: VecDeque::new(),
            began: SimTime::ZERO,
            slice: SLICE,
            slices: Stream::named(config.seed, &["host", &config.hostname, "slices"]),
            end_of_step: SimTime::ZERO,
        }
    }
}

/// What follows when a thread has parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passed {
    /// The host's clock: later than before if nothing was left to do then.
    pub now: SimTime,
    /// The thread that goes on by itself as soon as it has control; `None`: the simulator is to see to it.
    pub to: Option<Successor>,
}

/// A thread that goes on by itself as soon as it has control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Successor {
    /// Who it is.
    pub tid: VirtualTid,
    /// Where its channel is, by its own word.
    pub block: u32,
}

impl Kernel {
    /// A step of the host begins that ends at `end`.
    pub fn begin_step(&mut self, end: SimTime) {
        self.turns.end_of_step = end;
    }

    /// The instant at which the step ends that is under way.
    pub fn end_of_step(&self) -> SimTime {
        self.turns.end_of_step
    }

    /// A thread gets the processor at `now`.
    pub fn begin_turn(&mut self, now: SimTime) {
        let turns = &mut self.turns;
        turns.began = now;
        let spread = turns.slices.next_u64() % (2 * SLICE_SPREAD.as_ns());
        turns.slice = SimDuration::from_ns(SLICE.as_ns() - SLICE_SPREAD.as_ns() + spread);
    }

    /// The instant at which the turn ends, whatever the step does.
    pub fn end_of_turn(&self) -> SimTime {
        let turns = &self.turns;
        let slice = if self.has_ready() { turns.began + turns.slice } else { SimTime::MAX };
        self.next_event().unwrap_or(SimTime::MAX).min(slice)
    }

    /// The instant at which a guest that has control at `now` must hand over; the end of time: nothing waits for it.
    pub fn run_until(&self, now: SimTime) -> SimTime {
        self.turns.end_of_step.min(self.end_of_turn()).max(now)
    }

    /// A new thread, or one that was interrupted by nobody's wish, can go on when those are through that can now.
    pub fn queue_ready(&mut self, tid: VirtualTid) {
        self.turns.ready.push_back(tid);
    }

    /// A thread whose turn goes on with the next step.
    pub fn queue_first(&mut self, tid: VirtualTid) {
        self.turns.ready.push_front(tid);
    }

    /// Queue the threads whose waits are over; whether there are any.
    pub fn collect_ready(&mut self) -> bool {
        let mut is_any = false;
        while let Some(tid) = self.next_runnable() {
            self.turns.ready.push_back(tid);
            is_any = true;
        }
        is_any
    }

    /// Whether a thread stands in the queue.
    pub fn has_ready(&self) -> bool {
        !self.turns.ready.is_empty()
    }

    /// The thread that goes on next.
    pub fn next_ready(&mut self) -> Option<VirtualTid> {
        self.turns.ready.pop_front()
    }

    /// Threads that are gone do not go on.
    pub fn forget_ready(&mut self, is_gone: impl Fn(VirtualTid) -> bool) {
        self.turns.ready.retain(|&tid| !is_gone(tid));
    }

    /// Its last thread has just parked at `now`: who goes on, and when, as far as that needs nobody else. What the
    /// simulator would do is done on the way: what is due happens, and where nobody can go on the clock moves to the
    /// next event. Whoever is named has begun its turn, and is to call [`Kernel::go_on`].
    pub fn pass_on(&mut self, mut now: SimTime) -> Passed {
        for _ in 0..MOST_MOVES {
            if !self.has_dropped_files() && self.has_due(now) && !self.has_jump_by(now) {
                self.advance(now);
            }
            self.collect_ready();
            let is_ours =
                now < self.turns.end_of_step && !self.has_dropped_files() && !self.has_due(now);
            if !is_ours {
                return Passed { now, to: None };
            }
            if let Some(&tid) = self.turns.ready.front() {
                let to = self.visitor(tid);
                if to.is_some() {
                    self.turns.ready.pop_front();
                    self.begin_turn(now);
                }
                return Passed { now, to };
            }
            match self.next_event() {
                Some(at) if at < self.turns.end_of_step && !self.has_jump_by(at) => now = at,
                _ => break,
            }
        }
        Passed { now, to: None }
    }

    /// A thread that is ready, if it can go on without the simulator: it waits in a call that it made itself, and no signal
    /// ended the wait, which might stop its process, of which the parent is to be told.
    fn visitor(&self, tid: VirtualTid) -> Option<Successor> {
        let visit = self.visited(tid).filter(|_| self.is_quiet(tid))?;
        Some(Successor { tid, block: visit.block })
    }

    /// Whether something is planned that has not happened by `now`.
    fn has_due(&self, now: SimTime) -> bool {
        self.next_event().is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Visit;
    use crate::agenda::Entry;
    use crate::config::{ClockJump, ClockSettings};
    use crate::outcome::Outcome;
    use crate::signal::Target;
    use crate::testing::{DATA, TestGuest, config, machine, signal};
    use shim_abi::calls::nr;

    const NOW: SimTime = SimTime::from_ns(1000);
    const LATER: SimTime = SimTime::from_ns(2000);
    const READ: [u64; 6] = [5, DATA, 9, 0, 0, 0];
    const WRITE: [u64; 6] = [6, DATA, 2, 0, 0, 0];

    /// Three threads, the second of which waits for bytes of a pipe since it asked for them itself.
    fn with_reader() -> (Kernel, TestGuest, [VirtualTid; 3]) {
        let (mut kernel, mut guest, tid) = machine();
        kernel.take_published(kernel.process_of(tid).unwrap());
        assert_eq!(kernel.do_call(tid, nr::pipe2, [0, 0, 5, 6, 0, 0], &mut guest), 0);
        let [reader, other] = [(), ()].map(|()| kernel.add_thread(tid, &mut guest));
        kernel.begin_step(SimTime::MAX);
        kernel.begin_turn(NOW);
        assert_eq!(kernel.visit(NOW, (reader, 7), nr::read, READ, &mut guest), Visit::Parked);
        (kernel, guest, [tid, reader, other])
    }

    /// The first thread writes, and waits itself.
    fn write_and_wait(kernel: &mut Kernel, tid: VirtualTid, guest: &mut TestGuest) {
        let written = kernel.visit(NOW, (tid, 3), nr::write, WRITE, guest);
        assert_eq!(written, Visit::Done { result: 2, has_woken: true });
        assert_eq!(
            kernel.visit(NOW, (tid, 3), nr::futex, [DATA, 128, 0, 0, 0, 0], guest),
            Visit::Parked
        );
    }

    #[test]
    fn who_can_go_on_by_itself_gets_the_turn() {
        let (mut kernel, mut guest, [tid, reader, _]) = with_reader();
        assert_eq!(kernel.pass_on(NOW), Passed { now: NOW, to: None }, "nobody can");
        guest.put_words(DATA, &[0]);
        write_and_wait(&mut kernel, tid, &mut guest);
        assert_eq!(kernel.visited(tid).map(|call| call.number), Some(nr::futex));
        let to = Some(Successor { tid: reader, block: 7 });
        assert_eq!(kernel.pass_on(LATER), Passed { now: LATER, to });
        let read = kernel.go_on(LATER, reader, &mut guest);
        assert_eq!(read, Visit::Done { result: 2, has_woken: false });
        assert_eq!(kernel.visited(reader), None, "its call is over");
        assert!(!kernel.has_ready());
    }

    #[test]
    fn turns_end_as_the_simulator_has_them_end() {
        let (mut kernel, mut guest, [tid, ..]) = with_reader();
        assert_eq!(kernel.run_until(NOW), SimTime::MAX);
        kernel.visit(NOW, (tid, 3), nr::write, WRITE, &mut guest);
        let end = kernel.run_until(NOW);
        assert!(end > NOW && end <= NOW + SLICE + SLICE_SPREAD, "somebody is ready: {end:?}");
        kernel.begin_step(LATER);
        assert_eq!(kernel.run_until(NOW), LATER);
    }

    #[test]
    fn the_simulator_passes_on_what_only_it_can() {
        let passed = |change: fn(&mut Kernel, VirtualTid)| {
            let (mut kernel, mut guest, tids) = with_reader();
            guest.put_words(DATA, &[0]);
            write_and_wait(&mut kernel, tids[0], &mut guest);
            change(&mut kernel, tids[2]);
            kernel.pass_on(NOW).to
        };
        assert!(passed(|_, _| {}).is_some());
        assert_eq!(passed(|kernel, _| kernel.begin_step(NOW)), None, "the end of the step");
        assert_eq!(passed(|kernel, other| kernel.queue_first(other)), None, "it made no call");
        let continued = passed(|kernel, other| {
            let pid = kernel.process_of(other).unwrap();
            kernel.processes.get_mut(&pid).unwrap().job.owes_notice = true;
        });
        assert_eq!(continued, None, "its parent is to be told");
    }

    #[test]
    fn where_nobody_can_go_on_the_clock_moves() {
        let (mut kernel, mut guest, [tid, ..]) = with_reader();
        guest.put_words(DATA, &[0, 500]);
        let sleep = [DATA, 0, 0, 0, 0, 0];
        assert_eq!(kernel.visit(NOW, (tid, 3), nr::nanosleep, sleep, &mut guest), Visit::Parked);
        let deadline = NOW + SimDuration::from_ns(500);
        let to = Some(Successor { tid, block: 3 });
        assert_eq!(kernel.pass_on(NOW), Passed { now: deadline, to });
        let slept = kernel.go_on(deadline, tid, &mut guest);
        assert_eq!(slept, Visit::Done { result: 0, has_woken: false });
        // But not beyond the step.
        kernel.begin_step(LATER);
        guest.put_words(DATA, &[0, 5000]);
        assert_eq!(
            kernel.visit(deadline, (tid, 3), nr::nanosleep, sleep, &mut guest),
            Visit::Parked
        );
        assert_eq!(kernel.pass_on(deadline), Passed { now: deadline, to: None });
        kernel.begin_step(SimTime::MAX);
        let to = Some(Successor { tid, block: 3 });
        assert_eq!(
            kernel.pass_on(deadline),
            Passed { now: deadline + SimDuration::from_ns(5000), to }
        );
    }

    #[test]
    fn the_simulator_hears_of_a_clock_that_moves_for_nobody() {
        let (mut kernel, mut guest, [tid, ..]) = with_reader();
        let wait = [DATA + 64, 128, 0, 0, 0, 0];
        assert_eq!(kernel.visit(NOW, (tid, 3), nr::futex, wait, &mut guest), Visit::Parked);
        let nobody = VirtualTid(77);
        let at = |n: u32| NOW + SimDuration::from_ns(n.into());
        (1..=2 * MOST_MOVES).for_each(|n| kernel.agenda.add(at(n), Entry::Timeout(nobody)));
        let Passed { now, to } = kernel.pass_on(NOW);
        assert!(now > NOW && now < at(2 * MOST_MOVES) && to.is_none(), "{now:?}");
    }

    /// Guests read the calendar's jumps in memory that only the simulator writes.
    #[test]
    fn a_jump_of_the_calendar_is_the_simulators() {
        let jumps = std::vec![ClockJump { at: LATER, by_ns: 7 }];
        let clock = ClockSettings { jumps, ..ClockSettings::default() };
        let mut kernel = Kernel::new(Config { clock, ..config() });
        let (pid, tid) = kernel.spawn(SimTime::ZERO, "program");
        kernel.take_published(pid);
        let mut guest = TestGuest::new();
        kernel.begin_step(SimTime::MAX);
        guest.put_words(DATA, &[0, 5000]);
        let sleep = [DATA, 0, 0, 0, 0, 0];
        assert_eq!(kernel.visit(NOW, (tid, 3), nr::nanosleep, sleep, &mut guest), Visit::Parked);
        assert_eq!(kernel.pass_on(NOW), Passed { now: NOW, to: None });
        assert_eq!(kernel.pass_on(LATER), Passed { now: LATER, to: None });
    }

    #[test]
    fn a_signal_that_ended_the_wait_is_the_simulators() {
        let (mut kernel, mut guest, [_, reader, _]) = with_reader();
        guest.actions.insert(10, DATA);
        kernel.queue_signal(NOW, Target::Thread(reader), signal(10)).unwrap();
        assert_eq!(kernel.pass_on(NOW), Passed { now: NOW, to: None });
        assert!(kernel.has_ready());
    }

    #[test]
    fn the_simulator_resumes_who_made_its_call_itself() {
        let (mut kernel, mut guest, [tid, reader, _]) = with_reader();
        guest.put_words(DATA, &[0]);
        write_and_wait(&mut kernel, tid, &mut guest);
        assert!(kernel.collect_ready() || kernel.has_ready());
        assert_eq!(kernel.next_ready(), Some(reader));
        assert_eq!(kernel.resume(NOW, reader, &mut guest), Outcome::Done(2));
        assert_eq!(kernel.visited(reader), None);
        kernel.queue_ready(reader);
        kernel.forget_ready(|tid| tid == reader);
        assert!(!kernel.has_ready());
    }
}
