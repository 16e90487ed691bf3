//! The network between hosts: what happens to an IP datagram from one host's interface to another's.
//!
//! Datagrams as bytes, each with the instant at which it left, go in; instants at which they arrive come out, or reports
//! of errors, or nothing. The rooms, in the order in which a datagram meets them:
//!
//! 1. [`datagram`]: reads where it goes, lowers its hop limit;
//! 2. [`routes`]: the path from the source's node to the target's; [`barriers`]: hosts that cannot reach each
//!    other although there is one;
//! 3. [`icmp`]: what a router on the way answers, if the datagram ends there;
//! 4. [`chance`]: whether it is lost, and how long it takes;
//! 5. [`downlink`]: the line into the target, its rate, and its queue ([`codel`]).
//!
//! # Rules
//!
//! - Everything here is computed from instants, configuration and seed: no timer, no clock, no I/O, no threads.
//! - What one host sends is decided by that host's state alone, in the order in which it sends; what meets at a down-link does so
//!   in the order of (arrival, source, number), which does not depend on workers.
//! - The rate at which a host sends is its kernel's: a datagram comes with the instant at which its last bit left.
//! - A datagram is what a host sent, and thus any bytes at all.

pub mod barriers;
pub mod chance;
pub mod codel;
pub mod datagram;
pub mod downlink;
pub mod icmp;
pub mod routes;
mod search;

pub use barriers::{BarrierId, Barriers};
pub use chance::Chance;
pub use datagram::{Datagram, lower_hop_limit};
pub use downlink::{Counts, Downlink};
pub use icmp::{Router, report};
pub use routes::{Change, ChangeError, Direction, Hop, Link, Path, Routes, Site};
