//! What a hostile guest may write to, by name, and what it writes.
//!
//! The layouts of `shim-abi` in; words for `tests/guests/hostile.c` out. Always true: everything that is mapped writable in
//! every guest has an entry, as a whole and in its parts. The kernel's arena has none: it is trusted where it is shared
//! (see `ARCHITECTURE.md`), and where it is not no guest has it, which `garbage` looks at.

use std::mem::offset_of;

use shim_abi::address::{READ_ONLY_REGION, SHARED_REGION};
use shim_abi::process::ProcessBlock;
use shim_abi::region::{
    Baton, Counters, InodeTimes, MAX_INODE_TIMES, PROCESS_STRIDE_BYTES, THREAD_STRIDE_BYTES,
    WRITTEN_PATH_BYTES, WrittenFiles, baton_offset, counters_offset, inode_times_offset,
    process_offset, thread_offset, written_offset,
};
use shim_abi::thread::{Channel, ThreadBlock};

use crate::Chance;

/// Some bytes of a guest's memory.
pub struct Place {
    name: &'static str,
    /// As the guest understands it.
    at: String,
    bytes: usize,
}

/// What the words that are written look like.
pub const PATTERNS: [&str; 5] = ["random", "flip", "ones", "zeros", "edges"];
/// What the guest does then.
pub const THEN: [&str; 9] =
    ["call", "exit", "die", "crash", "wake", "fork", "thread", "execute", "race"];

const fn bytes_of<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! parts {
    ($block:ty, $base:literal: $($($field:ident).+),* $(,)?) => {
        [$(Place {
            name: concat!($base, $(".", stringify!($field)),+),
            at: format!("{}+{}", $base, offset_of!($block, $($field).+)),
            bytes: bytes_of(|block: &$block| &block.$($field).+),
        }),*]
    };
}

/// All of it.
pub fn places() -> Vec<Place> {
    let shared = |name, offset: usize, bytes| Place {
        name,
        at: format!("{:#x}", SHARED_REGION + offset),
        bytes,
    };
    let whole = |name, at: &str, bytes| Place { name, at: at.to_owned(), bytes };
    let process = |index| process_offset(index).expect("there are so many");
    let thread = |index| thread_offset(index).expect("there are so many");
    let mut places = vec![
        whole("thread", "thread+0", size_of::<ThreadBlock>()),
        whole("process", "process+0", size_of::<ProcessBlock>()),
        shared("counters", counters_offset(), size_of::<Counters>()),
        shared("baton", baton_offset(), size_of::<Baton>() / 8 * 8),
        shared("baton.control", baton_offset() + offset_of!(Baton, control), 4),
        shared("baton.holder", baton_offset() + offset_of!(Baton, holder), 4),
        shared("baton.is_wanted", baton_offset() + offset_of!(Baton, is_wanted), 4),
        shared("times", inode_times_offset(), MAX_INODE_TIMES * size_of::<InodeTimes>()),
        shared("written", written_offset(), size_of::<WrittenFiles>()),
        shared("written.len", written_offset() + offset_of!(WrittenFiles, len_bytes), 8),
        shared("first processes", process(0), 4 * PROCESS_STRIDE_BYTES),
        shared("first threads", thread(0), 8 * THREAD_STRIDE_BYTES),
        shared("everything in front", 0, process(4)),
        // The company that waits: one more thread, and a child.
        shared("second thread", thread(1), size_of::<ThreadBlock>()),
        shared("third thread", thread(2), size_of::<ThreadBlock>()),
        shared("second channel", thread(1) + offset_of!(ThreadBlock, channel), 256),
        shared("third channel", thread(2) + offset_of!(ThreadBlock, channel), 256),
        shared("second process", process(1), size_of::<ProcessBlock>()),
    ];
    places.extend(parts!(ThreadBlock, "thread":
        header, tid, native_tid, process_index, calls, charged_ns, cpu_ns, signal_mask, user_ids,
        group_ids, alt_stack_pointer, alt_stack_bytes, alt_stack_flags, is_serving, first_words,
        spins, is_in_kernel, preempt_at, run_until_ns, gives_way_at_ns, pending_signals, channel,
        channel.control, channel.request, channel.reply, channel.data, ring, ring.head, ring.tail,
        ring.words,
    ));
    places.extend(parts!(ProcessBlock, "process":
        header, pid, parent_pid, group, session, native_pid, images, descriptor_limit,
        descriptor_limit_hard, exit_status, is_executing, random, cpu_ns, trapped_calls, calls,
        waits_for_lock_of, program, failure, refused, actions, descriptors,
    ));
    places
}

/// What one hostile guest does.
pub struct Deed {
    /// Where, for messages.
    pub name: &'static str,
    pub words: Vec<String>,
    pub then: &'static str,
}

impl Deed {
    /// Write at `place`.
    pub fn garbage(place: &Place, pattern: &str, then: &'static str, chance: &mut Chance) -> Deed {
        // All of it, or a few words.
        let count = *chance.of(&[0, 0, 1, 3, 30]);
        let [seed, bytes, count] =
            [chance.next(), place.bytes as u64, count].map(|n| n.to_string());
        let words = ["garbage", &seed, &place.at, &bytes, pattern, &count, then];
        Deed { name: place.name, words: words.map(str::to_owned).to_vec(), then }
    }

    /// Write what is there, and execute another image.
    pub fn that_harms_nobody() -> Deed {
        let at = (SHARED_REGION + written_offset() + WRITTEN_PATH_BYTES).to_string();
        let words = ["garbage", "1", &at, "64", "zeros", "0", "execute"];
        Deed { name: "nothing", words: words.map(str::to_owned).to_vec(), then: "execute" }
    }

    /// Write that another thread, which waits, has control, and die with it.
    pub fn that_loses_control() -> Deed {
        // The child's, which is the third.
        let at = (SHARED_REGION + baton_offset() + offset_of!(Baton, holder)).to_string();
        let words = ["garbage", "1", &at, "4", "2", "0", "die"];
        Deed { name: "baton.holder", words: words.map(str::to_owned).to_vec(), then: "die" }
    }

    /// Write where nobody may.
    pub fn over_what_is_read_only() -> Deed {
        let at = READ_ONLY_REGION.to_string();
        let words = ["garbage", "1", &at, "4096", "random", "0", "call"];
        Deed { name: "read-only", words: words.map(str::to_owned).to_vec(), then: "call" }
    }

    /// Say so many things that no shim says.
    pub fn forgery(count: u64, is_kernel_in_guest: bool, chance: &mut Chance) -> Deed {
        let channel = offset_of!(ThreadBlock, channel);
        let baton = SHARED_REGION + baton_offset() + offset_of!(Baton, control);
        let numbers = [
            chance.next(),
            count,
            (channel + offset_of!(Channel, control)) as u64,
            (channel + offset_of!(Channel, request)) as u64,
            (channel + offset_of!(Channel, reply)) as u64,
            (channel + offset_of!(Channel, data)) as u64,
            if is_kernel_in_guest { baton as u64 } else { 0 },
        ];
        let words = std::iter::once("forge".to_owned());
        let words = words.chain(numbers.map(|n| n.to_string())).collect();
        Deed { name: "channel", words, then: "forge" }
    }
}
