//! What one TCP says to the other at once, and the numbers by which they count bytes.
//!
//! Always true: sequence numbers are compared as if they did not wrap, which is right for those that are less than half
//! their range apart.

use alloc::vec::Vec;

use smallvec::SmallVec;

/// The number of a byte, modulo 2³².
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sequence(pub(crate) u32);

impl Sequence {
    pub(crate) fn plus(self, bytes: usize) -> Sequence {
        Sequence(self.0.wrapping_add(bytes as u32))
    }
    pub(crate) fn minus(self, bytes: u32) -> Sequence {
        Sequence(self.0.wrapping_sub(bytes))
    }
    /// How many bytes lie between it and an earlier one.
    pub(crate) fn since(self, earlier: Sequence) -> usize {
        self.0.wrapping_sub(earlier.0) as usize
    }
    pub(crate) fn is_before(self, other: Sequence) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }
    pub(crate) fn is_after(self, other: Sequence) -> bool {
        other.is_before(self)
    }
    pub(crate) fn later(self, other: Sequence) -> Sequence {
        if self.is_before(other) { other } else { self }
    }
}

/// Bits of a segment.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const URG: u8 = 0x20;
}

/// One segment, without the ports.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Segment {
    pub(crate) sequence: Sequence,
    /// What is expected next, if ACK is set.
    pub(crate) acknowledged: Sequence,
    pub(crate) flags: u8,
    /// As it is sent: scaled, but for SYN.
    pub(crate) window: u16,
    /// Where urgent data ends, counted from the sequence, if URG is set.
    pub(crate) urgent: u16,
    /// Options of SYN.
    pub(crate) max_segment_bytes: Option<u16>,
    pub(crate) window_shift: Option<u8>,
    pub(crate) offers_sacks: bool,
    /// SACK: what has come behind gaps, from its first number to the one behind its last.
    pub(crate) sacks: SmallVec<[(Sequence, Sequence); 4]>,
    /// Timestamps: the sender's own clock, and what it has heard of the other side's.
    pub(crate) stamps: Option<(u32, u32)>,
    pub(crate) bytes: Vec<u8>,
}

impl Segment {
    pub(crate) fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
    /// How many numbers it takes.
    pub(crate) fn span(&self) -> usize {
        self.bytes.len() + usize::from(self.has(flag::SYN)) + usize::from(self.has(flag::FIN))
    }
    /// The first number behind it.
    pub(crate) fn end(&self) -> Sequence {
        self.sequence.plus(self.span())
    }

    /// What is said of a segment that nobody expects; nothing to one that says so itself.
    pub(crate) fn refusal(&self) -> Option<Segment> {
        if self.has(flag::RST) {
            return None;
        }
        Some(if self.has(flag::ACK) {
            Segment { sequence: self.acknowledged, flags: flag::RST, ..Segment::default() }
        } else {
            let acknowledged = self.end();
            Segment { acknowledged, flags: flag::RST | flag::ACK, ..Segment::default() }
        })
    }
}
