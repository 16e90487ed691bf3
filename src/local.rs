//! Calls that the shim answers by itself, from shared memory: no kernel, no simulator.
//!
//! An [`Invocation`](crate::dispatch::Invocation) in, a result out. Always true: nothing here waits or
//! gives up control, except a clock that has reached `run_until_ns`.

pub mod capabilities;
pub mod clock;
pub mod credentials;
pub mod identity;
pub mod random;
pub mod reach;
pub mod rseq;
pub mod signals;
