//! Signals: what is pending, who sends, who waits, what becomes of one.
//!
//! Rooms: `number` (names and default actions), `pending` (the queues), `queue` (how a signal gets
//! there), `send` (the calls that send), `wait` (the calls that wait for one), `deliver` (the choice of the
//! next one), `assign` (which thread takes it), `stop` (job control). Always true: masks and dispositions are the guest's words; the kernel reads them when it
//! has to decide and keeps none of them. So a signal is queued first, and whether it means anything to
//! a parked thread is decided when that thread is resumed.

mod assign;
mod deliver;
pub(crate) mod number;
mod pending;
mod queue;
pub(crate) mod send;
mod stop;
pub(crate) mod wait;

pub(crate) use number::MAX;
pub(crate) use pending::Pending;
pub(crate) use queue::Target;
