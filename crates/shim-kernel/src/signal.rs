//! Signals: what is pending, who sends, who waits, what becomes of one.
//!
//! Rooms: `number` (names and default actions), `pending` (the queues), `queue` (how a signal gets
//! there), `send` (the calls that send), `wait` (the calls that wait for one), `deliver` (the choice of the
//! next one). Always true: masks and dispositions are the guest's words; the kernel reads them when it
//! has to decide and keeps none of them. So a signal is queued first, and whether it means anything to
//! a parked thread is decided when that thread is resumed. Stopping is not offered: SIGSTOP is refused,
//! and the stop signals of a terminal are dropped, as Linux drops them in an orphaned process group.

mod deliver;
mod number;
mod pending;
mod queue;
pub(crate) mod send;
pub(crate) mod wait;

pub(crate) use number::{MAX, SIGSTOP};
pub(crate) use pending::Pending;
pub(crate) use queue::Target;
