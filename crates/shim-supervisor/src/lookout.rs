//! Waiting for whichever of several guests speaks first.
//!
//! Guests in, each under a number; the number of one that has something to say out, whose [`Guest::look`] tells what. Always
//! true: a wait ends soon after a guest that has control hands over, after any guest on the list is dead, after
//! [`Lookout::wake`], and at its limit; no lock is held while it sleeps; several threads may wait, and each piece of news is
//! given to one of them; of several guests that have news, that one is told of that was told of longest ago. Nobody is asked who
//! has control: whoever replies to a guest says so ([`Lookout::expect`]). Which of several comes first depends on the
//! real machine. A descriptor to poll is `herald`'s.
//!
//! # How it sleeps
//!
//! On the control words of all guests that have control, and on a bell, at once: futex_waitv(2). The watcher rings the bell
//! at each death, and so does whoever changes the list under somebody who sleeps. Why not a thread for each guest: with
//! hundreds of guests that is hundreds of stacks and two more switches for each request. Why not a word that all guests of a
//! host ring: it would cost those another locked operation at each request who are waited for alone, which is nearly always so.
//! Where futex_waitv has no room for all (it takes 128 words), a sleep lasts a millisecond at most; so it does where that is
//! missing (before Linux 5.16) and the bell alone can be slept on.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::thread::futex::{self, Wait, WaitFlags, WaitPtr, WaitvFlags};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::channel::{self, Patience, RECHECK};
use crate::guest::Guest;
use crate::herald::Herald;
use crate::launcher::Launcher;
use crate::life::Life;

/// Most control words that are slept on at once: the bell is the last that futex_waitv takes.
const MAX_WORDS: usize = 127;
/// Of more guests than this the words are not looked at again and again before the sleep.
const MAX_SPUN: usize = 4;
/// How long to sleep where not every word can be slept on.
const NAP: Duration = Duration::from_millis(1);

/// Something that wakes whoever waits for several guests.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: AtomicU32,
    /// How many may sleep on it.
    listeners: AtomicU32,
}

impl Bell {
    /// Have whoever waits look again. Async-signal-safe.
    pub(crate) fn ring(&self) {
        self.rings.fetch_add(1, SeqCst);
        // Either the listener is seen here, or it sees the new number before it sleeps.
        if self.listeners.load(SeqCst) != 0 {
            channel::wake(&self.rings);
        }
    }

    /// Listen as long as the value lives.
    fn listen(&self) -> Listener<'_> {
        self.listeners.fetch_add(1, SeqCst);
        Listener(self)
    }
}

struct Listener<'a>(&'a Bell);

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, SeqCst);
    }
}

/// Waits for any of several guests.
#[derive(Debug)]
pub struct Lookout {
    watched: Arc<Watched>,
    /// Somebody wants a wait to end without news.
    is_wanted: AtomicBool,
    herald: OnceLock<Herald>,
    /// One thread at a time starts the herald.
    start: Mutex<()>,
}

/// The guests, for the lookout and its herald.
#[derive(Debug)]
pub(crate) struct Watched {
    bell: Arc<Bell>,
    list: Mutex<Vec<Entry>>,
    patience: Mutex<Patience>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    life: Arc<Life>,
    thread: u32,
    state: State,
}

/// What would be news of a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It has control, or is being started: its next word.
    Expected,
    /// It waits for a reply: its death.
    Quiet,
    /// Nothing: somebody was just told of it.
    Taken,
}

impl Entry {
    fn has_news(&self) -> bool {
        match self.state {
            State::Taken => false,
            State::Quiet => self.life.is_over(),
            State::Expected => channel::look(&self.life, self.life.thread(self.thread)).is_some(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lookout {
    /// Wait for guests of this launcher's.
    pub fn new(launcher: &Launcher) -> Lookout {
        let watched = Watched {
            bell: launcher.bell().clone(),
            list: Mutex::default(),
            patience: Mutex::new(Patience::new()),
        };
        Lookout {
            watched: Arc::new(watched),
            is_wanted: AtomicBool::new(false),
            herald: OnceLock::new(),
            start: Mutex::default(),
        }
    }

    /// Put a guest on the list, under a number that no other one there has. If `is_expected` it has control or was just
    /// started, else it waits for a reply. Only of hosts that do not share their kernel with guests.
    pub fn add(&self, number: u64, guest: &Guest, is_expected: bool) {
        let state = if is_expected { State::Expected } else { State::Quiet };
        let (life, thread) = (guest.process.life.clone(), guest.thread_index());
        lock(&self.watched.list).push(Entry { number, life, thread, state });
        self.watched.bell.ring();
    }

    /// Take a guest off the list; at its end, or before it is dropped.
    pub fn remove(&self, number: u64) {
        lock(&self.watched.list).retain(|entry| entry.number != number);
        self.watched.bell.ring();
    }

    /// The guest is about to get control: its next word is news. Before the reply.
    pub fn expect(&self, number: u64) {
        self.set(number, State::Expected);
    }

    /// The guest was asked and waits for a reply: its death is news.
    pub fn rest(&self, number: u64) {
        self.set(number, State::Quiet);
    }

    /// Somebody waits for this guest alone: nothing of it is news before it is expected or rests.
    pub fn take(&self, number: u64) {
        self.set(number, State::Taken);
    }

    fn set(&self, number: u64, state: State) {
        let mut list = lock(&self.watched.list);
        if let Some(entry) = list.iter_mut().find(|entry| entry.number == number) {
            entry.state = state;
        }
        drop(list);
        if state != State::Taken {
            self.watched.bell.ring();
        }
    }

    /// Have a wait that is under way, or else the next one, end without news. From any thread.
    pub fn wake(&self) {
        self.is_wanted.store(true, SeqCst);
        self.watched.bell.ring();
    }

    /// Wait for news: the number of the guest. Nothing more of it is news before [`Lookout::expect`] or
    /// [`Lookout::rest`]. `None`: none has come within `limit`, or somebody called [`Lookout::wake`].
    pub fn wait(&self, limit: Option<Duration>) -> Option<u64> {
        let deadline = limit.map(|limit| Instant::now().checked_add(limit));
        // A limit beyond what the clock can tell is none.
        let deadline = deadline.flatten();
        let is_woken = || self.is_wanted.swap(false, SeqCst);
        let number = self.watched.watch(deadline, &is_woken, true);
        if let (None, Some(herald)) = (number, self.herald.get()) {
            // Whoever polls has seen everything that there was.
            herald.lower();
        }
        number
    }

    /// A descriptor that is readable while there may be news, from the first call on: once it is, call [`Lookout::wait`]
    /// with no time until it tells no more. It is the lookout's; nobody else reads it.
    pub fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        let _mine = lock(&self.start);
        if self.herald.get().is_none() {
            // Nobody else can have set it meanwhile.
            let _ = self.herald.set(Herald::start(&self.watched)?);
        }
        let herald = self.herald.get().ok_or(io::ErrorKind::Other)?;
        Ok(herald.descriptor())
    }
}

impl Watched {
    /// Wait for news until `deadline`, or until `is_enough` when the bell has rung; if `takes`, nobody else is told of it.
    pub(crate) fn watch(
        &self,
        deadline: Option<Instant>,
        is_enough: &dyn Fn() -> bool,
        takes: bool,
    ) -> Option<u64> {
        let _listener = self.bell.listen();
        let mut spins = None;
        let mut has_slept = false;
        let found = loop {
            // Before the look: what changes afterwards rings.
            let rings = self.bell.rings.load(SeqCst);
            let awaited = match self.look(takes) {
                Ok(number) => break Some(number),
                Err(awaited) => awaited,
            };
            if is_enough() {
                break None;
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break None;
            }
            if spins.is_none() {
                let most = lock(&self.patience).next_spins();
                let looks = spin(&awaited, most);
                spins = Some(looks);
                if looks < most {
                    continue;
                }
            }
            has_slept = true;
            self.sleep(&awaited, rings, left.unwrap_or(RECHECK).min(RECHECK));
        };
        if let (Some(looks), true) = (spins, found.is_some()) {
            lock(&self.patience).learn(looks.saturating_add(2), has_slept);
        }
        found
    }

    /// A guest that has news, or all that are waited for.
    fn look(&self, takes: bool) -> Result<u64, Vec<(Arc<Life>, u32)>> {
        let mut list = lock(&self.list);
        if let Some(place) = list.iter().position(Entry::has_news) {
            let number = list[place].number;
            if takes {
                // Whoever speaks all the time does not keep the others from being heard.
                list[place..].rotate_left(1);
                if let Some(last) = list.last_mut() {
                    last.state = State::Taken;
                }
            }
            return Ok(number);
        }
        let expected = list.iter().filter(|entry| entry.state == State::Expected);
        Err(expected.map(|entry| (entry.life.clone(), entry.thread)).collect())
    }

    fn sleep(&self, awaited: &[(Arc<Life>, u32)], rings: u32, limit: Duration) {
        let mut waits = Vec::with_capacity(awaited.len().min(MAX_WORDS) + 1);
        for (life, thread) in awaited.iter().take(MAX_WORDS) {
            let word = &life.thread(*thread).channel.control;
            let Some(value) = channel::prepare_sleep(word) else { return };
            waits.push(wait_for(word, value));
        }
        waits.push(wait_for(&self.bell.rings, rings));
        let is_all = awaited.len() <= MAX_WORDS;
        let limit = if is_all { limit } else { limit.min(NAP) };
        let now = clock_gettime(ClockId::Monotonic);
        let nanos = now.tv_nsec + i64::from(limit.subsec_nanos());
        let until = Timespec {
            tv_sec: now.tv_sec + limit.as_secs() as i64 + nanos / 1_000_000_000,
            tv_nsec: nanos % 1_000_000_000,
        };
        let result = futex::waitv(&waits, WaitvFlags::empty(), Some(&until), ClockId::Monotonic);
        if result == Err(rustix::io::Errno::NOSYS) {
            let nap = limit.min(NAP);
            let nap = Timespec { tv_sec: 0, tv_nsec: nap.subsec_nanos().into() };
            // Whatever it returns, the caller looks again.
            let _ = futex::wait(&self.bell.rings, futex::Flags::empty(), rings, Some(&nap));
        }
    }
}

impl Watched {
    /// Have the herald look whether it is over.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }
}

fn wait_for(word: &AtomicU32, value: u32) -> Wait {
    let mut wait = Wait::new();
    wait.val = value.into();
    wait.uaddr = WaitPtr::new(word.as_ptr().cast());
    wait.flags = WaitFlags::SIZE_U32;
    wait
}

/// Look at the words `most` times at most; how often nothing had come.
fn spin(awaited: &[(Arc<Life>, u32)], most: u32) -> u32 {
    if awaited.is_empty() || awaited.len() > MAX_SPUN {
        return most;
    }
    let has_come = |(life, thread): &(Arc<Life>, u32)| {
        channel::has_come(&life.thread(*thread).channel.control)
    };
    for looks in 0..most {
        if awaited.iter().any(has_come) {
            return looks;
        }
        std::hint::spin_loop();
    }
    most
}
