//! A function of an embedder's that decides about each datagram between hosts.
//!
//! A [`Packet`] in, a [`Verdict`] out. Always true: it is asked once for each datagram that a host sends to another one,
//! in the order in which that host sends; not for those that nobody has the address of, that a
//! partition stops, or that routers send. What the network does to a datagram comes afterwards, and is `transit`'s.

use std::fmt;

use shim_abi::{SimDuration, SimTime};

/// A datagram that a host hands to the network.
#[derive(Debug)]
pub struct Packet<'p> {
    /// Who sends it: a place in [`Scenario::hosts`](crate::config::Scenario::hosts).
    pub source: usize,
    /// Who is to get it, likewise. It stays so, whatever address the bytes say afterwards.
    pub target: usize,
    /// When it leaves.
    pub at: SimTime,
    /// The datagram of IP. Whoever changes it sees to its checksums; what is no datagram any more is lost.
    pub bytes: &'p mut Vec<u8>,
}

/// What becomes of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The network has it.
    Pass,
    /// The network has it, and it arrives later by this.
    Delay(SimDuration),
    /// It is lost.
    Drop,
}

/// Decides about datagrams. For a run to repeat, a verdict must follow from the packet, and from what the rule has been asked about
/// the same source before: hosts run side by side, so what is remembered of all of them comes in no order.
pub trait PacketRule: Send + Sync + fmt::Debug {
    /// What becomes of `packet`.
    fn judge(&self, packet: Packet<'_>) -> Verdict;
}
