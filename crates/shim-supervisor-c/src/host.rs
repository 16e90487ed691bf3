//! `host.h`: one simulated machine, its kernel and its guests, as a unit that its owner steps.
//!
//! Calls of one thread at a time in; numbers, and bytes and texts that stay until the next call, out. Always true: a host
//! that is in use already (by another thread) says -EBUSY instead of being used twice; only interrupts come
//! in from other threads meanwhile. Networks, other hosts and simulated time are the owner's; what a guest sees is
//! `shim-host`'s and `shim-kernel`'s.
//!
//! # Safety
//!
//! Unsafe here is one function that makes a reference of a pointer from C.
#![allow(unsafe_code)]

mod account;
mod config;
mod packets;
mod processes;
mod records;
mod tuning;
mod unit;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use shim_abi::SimTime;
use shim_host::{Departure, Interrupter};

use crate::error::{Failure, Result};
use crate::pointer::object;

pub(crate) use config::Config;

/// One simulated machine. Opaque.
pub struct Host {
    interrupter: Interrupter,
    inside: Mutex<Inside>,
}

/// What one call at a time uses.
struct Inside {
    host: shim_host::Host,
    recorder: records::Recorder,
    /// Datagrams that have left and were not taken yet; those to itself.
    departures: VecDeque<Departure>,
    looped: VecDeque<Departure>,
    /// The bytes that were handed out last.
    taken: Vec<u8>,
    /// The processes that the owner has started.
    started: BTreeSet<u32>,
    /// The host's clock after the last step.
    now: SimTime,
    /// No datagram comes before this.
    stepped_until: SimTime,
    lists: account::Lists,
}

impl Host {
    fn inside(&self) -> Result<MutexGuard<'_, Inside>> {
        match self.inside.try_lock() {
            Ok(inside) => Ok(inside),
            // Nobody panics with it; if somebody did, the process would have ended.
            Err(TryLockError::Poisoned(error)) => Ok(PoisonError::into_inner(error)),
            Err(TryLockError::WouldBlock) => {
                let what = "another thread uses the host: let one thread at a time use it";
                Err(Failure::new(libc::EBUSY, what))
            }
        }
    }
}

/// Use a host.
///
/// # Safety
///
/// `host` is NULL or a host of `shimhost_new` that is not freed meanwhile.
unsafe fn with<T>(host: *const Host, call: impl FnOnce(&mut Inside) -> Result<T>) -> Result<T> {
    // SAFETY: the caller's promise.
    let host = unsafe { object(host, "host") }?;
    call(&mut *host.inside()?)
}
