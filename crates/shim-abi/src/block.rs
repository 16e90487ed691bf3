//! What all blocks have in common: a header to recognise them by, and the proof that they may be
//! shared.
//!
//! A block's kind in, its checked header out. Always true: a block begins with a [`BlockHeader`] whose
//! magic, version and size its reader checked before it looked further.

use crate::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR, is_compatible};

/// Which block it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum BlockKind {
    /// The whole simulation.
    Manager = 1,
    /// One simulated machine.
    Host = 2,
    /// One process of it.
    Process = 3,
    /// One thread of it.
    Thread = 4,
    /// The names of all machines.
    Names = 5,
}

/// The first words of every block. Written once by the simulator, before the block is shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct BlockHeader {
    /// [`BlockHeader::MAGIC`].
    pub magic: u64,
    /// A [`BlockKind`].
    pub kind: u32,
    /// Size of the whole block.
    pub size_bytes: u32,
    /// The protocol that laid it out.
    pub version_major: u32,
    /// See `version_major`.
    pub version_minor: u32,
}

impl BlockHeader {
    /// "shimblok", little-endian.
    pub const MAGIC: u64 = u64::from_le_bytes(*b"shimblok");

    /// The header of a block of type `T`.
    pub const fn new<T>(kind: BlockKind) -> Self {
        BlockHeader {
            magic: Self::MAGIC,
            kind: kind as u32,
            size_bytes: size_of::<T>() as u32,
            version_major: PROTOCOL_MAJOR,
            version_minor: PROTOCOL_MINOR,
        }
    }

    /// Whether this is the header of a block of type `T` that a guest of our protocol understands. The
    /// simulator's may be a newer one: within a major number layouts stay, and grow into reserved places.
    pub fn is_valid<T>(&self, kind: BlockKind) -> bool {
        let ours = Self::new::<T>(kind);
        let version = (self.version_major, self.version_minor);
        is_compatible((PROTOCOL_MAJOR, PROTOCOL_MINOR), version)
            && (self.magic, self.kind, self.size_bytes) == (ours.magic, ours.kind, ours.size_bytes)
    }
}

/// A type that may live in memory which other processes map.
///
/// # Safety
///
/// The implementor promises that the type is `repr(C)` or `repr(transparent)`, holds no pointers or
/// references, is valid for the all-zero pattern, and that every field which anybody writes after
/// publication is an atomic.
#[allow(unsafe_code)]
pub unsafe trait ShmSafe: Sync {}
