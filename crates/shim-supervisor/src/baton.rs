//! How the simulator waits for guests that hand control to each other.
//!
//! A host's baton and the guest that got control last in; control, or another guest's number, out. Always true: a wait
//! ends soon after control came back or the guest that has it died, as with a channel (`channel`), when another guest
//! got control, and when nobody has it, as only garbage in these words can bring about. The word's rules are in `shim-sync`; how long to spin is `channel`'s to say.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use std::time::Duration;

use rustix::thread::futex;
use rustix::time::Timespec;
use shim_abi::region::Baton;
use shim_abi::thread::ThreadBlock;
use shim_sync::{Futex, Turn};

use crate::channel::{self, Patience, RECHECK, Wake, Watched, wake};
use crate::life::Life;
use crate::watchdog::Watchdog;

/// Why a wait ended.
pub(crate) enum Got {
    /// The guest has handed control back.
    Control,
    /// It has handed control to the thread with this block.
    Passed(u32),
    /// A process of the host has ended, not the guest's own.
    Disturbed,
    /// The guest's process has ended.
    Ended,
    /// The guest that should have control waits for it, and so does everybody else: somebody has written over the words
    /// that say who has it.
    Lost,
}

/// How often in a row control is found with nobody before that is believed: what is on its way arrives sooner.
const DOUBTS: u32 = 5;
/// The same where it may be under way by all that is known: a machine may have no time for a guest for so long.
const LONG_DOUBTS: u32 = 300;

/// The thread with block `index` is about to get control from the simulator.
pub(crate) fn give(baton: &Baton, index: u32) {
    baton.holder.store(index, Relaxed);
    shim_sync::Baton::new(&baton.control, Wake).give();
}

/// Have guests hand control to the simulator when they wait, until that has been [`heard`].
pub(crate) fn want(baton: &Baton) {
    baton.is_wanted.store(1, Release);
}

/// The simulator has control, and is about to look at what it was wanted for.
pub(crate) fn heard(baton: &Baton) {
    if baton.is_wanted.load(Relaxed) != 0 {
        // What others did before they wanted it is seen from here on.
        baton.is_wanted.swap(0, AcqRel);
    }
}

/// Have whoever waits look at who is alive, and guests hand over.
pub(crate) fn alarm(baton: &Baton) {
    want(baton);
    shim_sync::Baton::new(&baton.control, Wake).alarm();
}

/// Wait for the guest that has control as far as we know: the thread with block `index`, which is `thread`, of the
/// process `life`. It is preempted if it makes no call for `limit`.
pub(crate) fn wait(
    patience: &mut Patience,
    (life, thread, index): (&Life, &ThreadBlock, u32),
    baton: &Baton,
    limit: Option<Duration>,
) -> Got {
    let deaths = life.memory().deaths();
    let mut spins = patience.next_spins();
    let watched = Watched::new(&baton.control);
    let watchdog = limit.map(|limit| RefCell::new(Watchdog::new(life, thread, limit)));
    let nap = Nap { has_slept: Cell::new(false), watchdog };
    let mut doubts = 0;
    let got = loop {
        // Before the life: who hands control on may end at once.
        let turn = shim_sync::Baton::new(&watched, &nap).wait(std::mem::take(&mut spins), 1);
        let holder = baton.holder.load(Relaxed);
        if holder != index {
            break Got::Passed(holder);
        }
        if life.is_over() {
            break Got::Ended;
        }
        if turn == Turn::Control {
            break Got::Control;
        }
        // Whoever handed it control may have died before it could wake it, or did not see that it sleeps.
        wake(&thread.channel.control);
        if life.memory().deaths() != deaths {
            break Got::Disturbed;
        }
        // It waits for control, which nobody has.
        doubts = if channel::has_control(&thread.channel.control) { doubts + 1 } else { 0 };
        let is_on_its_way = || life.memory().is_anybody_handing_on() || !life.is_asleep(thread);
        if doubts >= LONG_DOUBTS || doubts >= DOUBTS && !is_on_its_way() {
            break Got::Lost;
        }
    };
    patience.learn(watched.looks(), nap.has_slept.get());
    got
}

/// A futex between processes, whose waits end now and then without a reason.
struct Nap<'a> {
    has_slept: Cell<bool>,
    watchdog: Option<RefCell<Watchdog<'a>>>,
}

impl Futex<Watched<'_>> for &Nap<'_> {
    fn wait(&self, watched: &Watched<'_>, expected: u32) {
        self.has_slept.set(true);
        let pause = match &self.watchdog {
            Some(watchdog) => watchdog.borrow_mut().look().min(RECHECK),
            None => RECHECK,
        };
        let pause = Timespec { tv_sec: 0, tv_nsec: pause.subsec_nanos().into() };
        // Whatever it returns, the caller looks again.
        let _ = futex::wait(watched.word(), futex::Flags::empty(), expected, Some(&pause));
    }

    fn wake(&self, watched: &Watched<'_>) {
        wake(watched.word());
    }
}
