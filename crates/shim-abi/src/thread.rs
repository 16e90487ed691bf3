//! The thread block: one simulated thread, its channel and its records.
//!
//! Words are grouped by writer. Always true: everything of the guest's is written
//! only by the thread itself, while it has control, but for `charged_ns` and a reply that the guest writes which hands it
//! control; `pending_signals` and `preempt_at` only by the simulator, at any time. The channel's state machine is in `shim-sync`; the messages are in [`crate::event`].

use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::block::{BlockHeader, ShmSafe};
use crate::event::Line;
use crate::ring::Ring;
use crate::time::SimDuration;

/// Bytes of payload that a message can carry beside its words.
pub const DATA_BYTES: usize = 2048;

/// The bits of [`Channel::control`]. 0, and so fresh memory: the guest has control, nobody sleeps, open.
pub mod control {
    /// The simulator has control; else the guest.
    pub const SIMULATOR: u32 = 1 << 0;
    /// The side without control sleeps, or is about to.
    pub const SLEEPER: u32 = 1 << 1;
    /// The channel is closed, for ever.
    pub const CLOSED: u32 = 1 << 2;
}

/// One thread's channel: who has control, and what was said last in each direction.
#[repr(C, align(64))]
pub struct Channel {
    /// The control word; see `shim-sync`. Written by both sides under its rules.
    pub control: AtomicU32,
    /// Keeps the lines apart.
    pub reserved: [AtomicU32; 15],
    /// The last request. Written by the guest while it has control.
    pub request: Line,
    /// The last reply. Written by the simulator while it has control, or by the guest that hands this thread control.
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
    /// Native thread id. Written by whoever made the thread, and by itself at its start.
    pub native_tid: AtomicU32,
    /// Index of the process's block in the host's region. Written by the simulator.
    pub process_index: AtomicU32,
    /// How many calls this thread has made. Written by the guest.
    pub calls: AtomicU32,
    /// Simulated time since `HostBlock::now_ns`: what the latency model charged, and what passed while guests handed control
    /// to each other. Written by guests.
    pub charged_ns: AtomicU64,
    /// Simulated CPU time of this thread. Written by the guest.
    pub cpu_ns: AtomicU64,
    /// Blocked signals, signal `n` at bit `n - 1`. Written by the guest.
    pub signal_mask: AtomicU64,
    /// Real, effective and saved user id. Written by the guest.
    pub user_ids: [AtomicU32; 3],
    /// Real, effective and saved group id. Written by the guest.
    pub group_ids: [AtomicU32; 3],
    /// The guest's alternate signal stack: address. Written by the guest.
    pub alt_stack_pointer: AtomicU64,
    /// The guest's alternate signal stack: size in bytes. Written by the guest.
    pub alt_stack_bytes: AtomicU64,
    /// The guest's alternate signal stack: `SS_*`. Written by the guest.
    pub alt_stack_flags: AtomicI32,
    /// 1 while the shim serves a call of this thread, natively or not: none of the guest's own code runs
    /// meanwhile. Written by the guest.
    pub is_serving: AtomicU32,
    /// What a libc told the real kernel before there was a shim: the head of its list of robust locks, and the word to
    /// clear at the end; 0: nothing. Written by the guest before each `Request::Start`, upon which the simulator
    /// does what set_robust_list(2) and set_tid_address(2) do.
    pub first_words: [AtomicU64; 2],
    /// How often the thread looked for control before it slept, when it began its execve. Written by the guest.
    pub spins: AtomicU32,
    /// Where the thread is with the host's kernel: see [`kernel_place`]. Written by the guest.
    pub is_in_kernel: AtomicU32,
    /// The thread is to hand over with `Request::Preempted` if it is kicked and the number of its calls
    /// still is this minus 1; 0: never. Written by the simulator at any time.
    pub preempt_at: AtomicU64,
    /// The instant at which the thread must hand over, as it knows: earlier than `HostBlock::run_until_ns` if it has made
    /// another one ready since; `u64::MAX`: nothing and nobody waits for it. Written by the guest.
    pub run_until_ns: AtomicU64,
    /// CPU time of this thread from which on it lets others go first whom it wakes. Written by whoever has control when
    /// the thread begins to wait, the simulator or the thread itself.
    pub gives_way_at_ns: AtomicU64,
    /// Signals that wait for this thread, signal `n` at bit `n - 1`. Written by the simulator.
    pub pending_signals: AtomicU64,
    /// Zero; for later minor versions.
    pub reserved: [AtomicU64; 43],
    /// The channel.
    pub channel: Channel,
    /// Log and trace records.
    pub ring: Ring,
}

// SAFETY: repr(C); every word is an atomic, but for the header, which is written before.
#[allow(unsafe_code)]
unsafe impl ShmSafe for ThreadBlock {}

/// Values of [`ThreadBlock::is_in_kernel`].
pub mod kernel_place {
    /// The thread is not in the kernel.
    pub const OUTSIDE: u32 = 0;
    /// It is, and the kernel's state is not whole.
    pub const INSIDE: u32 = 1;
    /// It hands control to another guest, and neither has it.
    pub const HANDS_ON: u32 = 2;
}

impl ThreadBlock {
    /// The thread waits for something, or lets others go first: it has a slice of CPU time before it gives way.
    pub fn rest(&self, slice: SimDuration) {
        let at_ns = self.cpu_ns.load(Relaxed).saturating_add(slice.as_ns());
        self.gives_way_at_ns.store(at_ns, Relaxed);
    }

    /// Whether it has had the processor for so long, without waiting for anything, that it gives way to whom it wakes.
    pub fn is_restless(&self) -> bool {
        self.cpu_ns.load(Relaxed) >= self.gives_way_at_ns.load(Relaxed)
    }

    /// Take over who the maker of a new thread is: its user and group ids.
    pub fn inherit_ids(&self, maker: &ThreadBlock) {
        let pairs = [(&self.user_ids, &maker.user_ids), (&self.group_ids, &maker.group_ids)];
        for (to, from) in pairs.into_iter().flat_map(|(to, from)| to.iter().zip(from)) {
            to.store(from.load(Relaxed), Relaxed);
        }
    }
}
