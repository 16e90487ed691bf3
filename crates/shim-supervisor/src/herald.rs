//! A descriptor that can be polled for news of guests.
//!
//! The guests of a lookout in, an eventfd(2) out that is readable while there may be news. Always true: it becomes readable soon after
//! there is news, and unreadable only when a wait of the lookout's has found none; the thread that writes it handles no
//! signal of the embedding program, holds no lock while it sleeps, and has ended when the value is dropped. What the news is
//! is the lookout's to tell.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};

use crate::lookout::Watched;
use crate::signals::with_all_blocked;

/// The thread and its descriptor.
#[derive(Debug)]
pub(crate) struct Herald {
    desk: Arc<Desk>,
    watched: Arc<Watched>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Desk {
    event: OwnedFd,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The descriptor is to become readable as soon as there is news.
    Waiting,
    /// It is readable.
    Raised,
    /// Nobody wants to know any more.
    Over,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        *self.lock() == State::Over
    }

    /// Write the descriptor whenever there is news, until it is over.
    fn serve(&self, watched: &Watched) {
        loop {
            let mut state = self.lock();
            while *state == State::Raised {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if *state == State::Over {
                return;
            }
            drop(state);
            let found = watched.watch(None, &|| self.is_over(), false);
            let mut state = self.lock();
            if found.is_some() && *state == State::Waiting {
                *state = State::Raised;
                // It fails only if it is full, and then it is readable.
                let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
            }
        }
    }
}

impl Herald {
    pub(crate) fn start(watched: &Arc<Watched>) -> io::Result<Herald> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (state, changed) = (Mutex::new(State::Waiting), Condvar::new());
        let desk = Arc::new(Desk { event, state, changed });
        let (shared, guests) = (desk.clone(), watched.clone());
        let thread = with_all_blocked(|| {
            let thread = std::thread::Builder::new().name("shim-herald".to_owned());
            thread.spawn(move || shared.serve(&guests))
        })?;
        Ok(Herald { desk, watched: watched.clone(), thread: Some(thread) })
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.desk.event.as_fd()
    }

    /// Whoever polls has found no news.
    pub(crate) fn lower(&self) {
        let mut state = self.desk.lock();
        if *state == State::Raised {
            let mut count = [0; 8];
            // It is the only reader; if it cannot be read, it was not readable.
            let _ = rustix::io::read(&self.desk.event, &mut count);
            *state = State::Waiting;
            drop(state);
            self.desk.changed.notify_all();
        }
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        *self.desk.lock() = State::Over;
        self.desk.changed.notify_all();
        self.watched.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
