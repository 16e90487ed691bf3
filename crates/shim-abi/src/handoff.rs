//! The hand-off: what a new image reads before anything else.
//!
//! A small memory file, whose descriptor [`HANDOFF_VARIABLE`] names, holds one [`Handoff`]: which
//! simulator, which of its descriptors are the host's memory files, which blocks are this thread's.
//! Bytes in, a checked value out. Always true: the magic number is compared first and the versions
//! second; the image closes the descriptor afterwards. The memory files themselves are opened through
//! `/proc/<simulator>/fd/<n>`, so that an image inherits one descriptor and keeps none.

/// Environment variable with the decimal number of the descriptor. 0 is the seed's convention:
/// standard input, which the image closes after reading.
pub const HANDOFF_VARIABLE: &str = "SHIM_HANDOFF_FD";

/// Environment variable by which the library is preloaded.
pub const PRELOAD_VARIABLE: &str = "LD_PRELOAD";

/// What a guest's own `LD_PRELOAD` is called while its image starts: same length, so that the image
/// renames it back in place, and the variable stands where the guest put it. Its libraries are appended
/// to [`PRELOAD_VARIABLE`].
pub const HIDDEN_PRELOAD_VARIABLE: &str = "_D_PRELOAD";

/// Size of a serialized hand-off.
pub const HANDOFF_BYTES: usize = 64;

const MAGIC: u64 = u64::from_le_bytes(*b"shimhand");

/// Where an image finds its blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handoff {
    /// The simulator's protocol.
    pub version: (u32, u32),
    /// Native process id of the simulator.
    pub simulator_pid: u32,
    /// The simulator's descriptor of the host's read-only memory file.
    pub read_only_fd: u32,
    /// The simulator's descriptor of the host's shared memory file.
    pub shared_fd: u32,
    /// Index of this process's block.
    pub process_index: u32,
    /// Index of this thread's block.
    pub thread_index: u32,
}

/// Why a hand-off was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HandoffError {
    /// These bytes are no hand-off.
    NotAHandoff,
    /// It is one, of a simulator whose protocol is this and not ours.
    Version((u32, u32)),
}

impl Handoff {
    /// The hand-off as bytes.
    pub fn to_bytes(&self) -> [u8; HANDOFF_BYTES] {
        let words = [
            self.version.0,
            self.version.1,
            self.simulator_pid,
            self.read_only_fd,
            self.shared_fd,
            self.process_index,
            self.thread_index,
        ];
        let mut bytes = [0; HANDOFF_BYTES];
        bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
        for (to, word) in bytes[8..].chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Read back what [`Handoff::to_bytes`] wrote, as a library of protocol `ours`.
    pub fn from_bytes(
        bytes: &[u8; HANDOFF_BYTES],
        ours: (u32, u32),
    ) -> Result<Handoff, HandoffError> {
        if bytes[..8] != MAGIC.to_le_bytes() {
            return Err(HandoffError::NotAHandoff);
        }
        let word = |i: usize| {
            let at = 8 + 4 * i;
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let version = (word(0), word(1));
        if !crate::version::is_compatible(ours, version) {
            return Err(HandoffError::Version(version));
        }
        Ok(Handoff {
            version,
            simulator_pid: word(2),
            read_only_fd: word(3),
            shared_fd: word(4),
            process_index: word(5),
            thread_index: word(6),
        })
    }
}
