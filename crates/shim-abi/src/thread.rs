//! The thread block: one simulated thread, its channel and its records.
//!
//! Words are grouped by writer. Always true: `charged_ns` and everything of the guest's is written
//! only by the thread itself, while it has control; `pending_signals` and `preempt_at` only by the
//! simulator, at any time. The channel's state machine is in `shim-sync`; the messages are in [`crate::event`].

use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

use crate::block::{BlockHeader, ShmSafe};
use crate::event::Line;
use crate::ring::Ring;

/// Bytes of payload that a message can carry beside its words.
pub const DATA_BYTES: usize = 2048;

/// One thread's channel: who has control, and what was said last in each direction.
#[repr(C, align(64))]
pub struct Channel {
    /// The control word; see `shim-sync`. Written by both sides under its rules.
    pub control: AtomicU32,
    /// Keeps the lines apart.
    pub reserved: [AtomicU32; 15],
    /// The last request. Written by the guest while it has control.
    pub request: Line,
    /// The last reply. Written by the simulator while it has control.
    pub reply: Line,
    /// Payload of the last message, in words. Written by the side that has control.
    pub data: [AtomicU64; DATA_BYTES / 8],
}

/// One simulated thread.
#[repr(C)]
pub struct ThreadBlock {
    /// Recognises the block.
    pub header: BlockHeader,
    /// Virtual thread id. Written by the simulator before the start.
    pub tid: AtomicU32,
    /// Native thread id. Written by the guest at its start.
    pub native_tid: AtomicU32,
    /// Index of the process's block in the host's region. Written by the simulator.
    pub process_index: AtomicU32,
    /// How many calls this thread has made. Written by the guest.
    pub calls: AtomicU32,
    /// Simulated time since `HostBlock::now_ns` that the latency model charged. Written by the guest.
    pub charged_ns: AtomicU64,
    /// Simulated CPU time of this thread. Written by the guest.
    pub cpu_ns: AtomicU64,
    /// Blocked signals, signal `n` at bit `n - 1`. Written by the guest.
    pub signal_mask: AtomicU64,
    /// The guest's alternate signal stack: address. Written by the guest.
    pub alt_stack_pointer: AtomicU64,
    /// The guest's alternate signal stack: size in bytes. Written by the guest.
    pub alt_stack_bytes: AtomicU64,
    /// The guest's alternate signal stack: `SS_*`. Written by the guest.
    pub alt_stack_flags: AtomicI32,
    /// 1 while the shim serves a call of this thread, natively or not: none of the guest's own code runs
    /// meanwhile. Written by the guest.
    pub is_serving: AtomicU32,
    /// The thread is to hand over with `Request::Preempted` if it is kicked and the number of its calls
    /// still is this minus 1; 0: never. Written by the simulator at any time.
    pub preempt_at: AtomicU64,
    /// Signals that wait for this thread, signal `n` at bit `n - 1`. Written by the simulator.
    pub pending_signals: AtomicU64,
    /// The channel.
    pub channel: Channel,
    /// Log and trace records.
    pub ring: Ring,
}

// SAFETY: repr(C); every word is an atomic, but for the header, which is written before.
#[allow(unsafe_code)]
unsafe impl ShmSafe for ThreadBlock {}
