//! Virtual descriptors and what stands behind them: pipes, event counters, and whatever else waits.
//!
//! Numbers of descriptors in, bytes and readiness out. Rooms: `table` (who refers to what, from birth to the
//! last close), `readiness` (what can be done now, and who is told when that changes), `descriptor` (`close`,
//! `fcntl`, `ioctl`, `fstat`), `transfer` (`read`, `write` and their vectors, whatever the object), `poll` (waiting
//! for some of many), then one room an object: `pipe`, `event`, `epoll`. Always true: a file is here exactly as long as somebody refers to it, a
//! descriptor or a parked call; a change of readiness is told at once, by whoever makes it. Which number a
//! descriptor gets is the real kernel's word, because numbers are shared with files that only it knows; regular
//! files are not here.

mod attributes;
mod descriptor;
mod epoll;
mod event;
mod locks;
mod owner;
mod pipe;
mod poll;
mod process;
#[cfg(test)]
pub(crate) mod properties;
mod readiness;
mod signals;
mod stat;
mod status;
mod table;
#[cfg(test)]
mod testing;
mod timer;
mod transfer;
mod watch;

pub(crate) use attributes::futimens;
pub(crate) use descriptor::{close, close_range, duplicate};
pub(crate) use epoll::{epoll_create, epoll_create1, epoll_ctl, epoll_pwait2, epoll_wait};
pub(crate) use event::{eventfd, eventfd2};
pub(crate) use locks::flock;
pub(crate) use owner::IoReason;
pub(crate) use pipe::{
    SpliceCall, open_fifo, peek_pipe, pipe, pipe2, reopen, sendfile, splice, tee, vmsplice,
};
pub(crate) use poll::poll;
pub(crate) use process::{pidfd_getfd, pidfd_open};
pub(crate) use readiness::poll as ready;
pub(crate) use signals::{signalfd, signalfd4};
pub(crate) use stat::{fchmod, fchown, fstat, name};
pub(crate) use status::{fcntl, ioctl};
pub(crate) use table::{Descriptor, FileId, Files, Object, OpenFile, check_number};
pub(crate) use timer::{timerfd_create, timerfd_gettime, timerfd_settime};
pub(crate) use transfer::{Direction, Progress, Transfer, read, readv, write, writev};
pub(crate) use watch::{inotify_add_watch, inotify_init, inotify_init1, inotify_rm_watch, watched};
