//! Futexes: threads that wait for a word of memory, and locks that know their owner.
//!
//! Keys and words in, woken threads out. Always true: waiters of one word are woken in the order in which they
//! came; who is woken does not look at its word again; of a host's threads only one has control, so reading a
//! word and acting on it is one step. In reading order: `key` (which word), `queue` (who waits), `call`
//! (futex(2) and its successors), `wait`, `wake`, `requeue`, `lock` (priority inheritance), `robust` (what a
//! thread leaves behind when it ends), `image` (when its memory is replaced). All threads of guests have the same priority here, so nobody inherits one.

mod call;
mod image;
mod key;
mod lock;
mod queue;
mod requeue;
mod robust;
#[cfg(test)]
mod testing;
mod vector;
mod wait;
mod wake;

pub(crate) use call::{futex, futex_wait, futex_wake};
pub(crate) use image::replace_image;
pub(crate) use queue::Futexes;
pub(crate) use requeue::futex_requeue;
pub(crate) use robust::{get_robust_list, leave, set_robust_list};
pub(crate) use vector::futex_waitv;
