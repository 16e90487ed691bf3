//! The messages that cross a thread's channel.
//!
//! [`Request`] (guest to simulator) and [`Reply`] (simulator to guest) in, the eight words of a
//! [`Line`] out, and back. Always true: decoding validates the tag and yields `None` for what it does
//! not know; a message travels only together with control, so a line never has two writers at once.
//! Beside a line, [`Copies`] in the channel's data area carry small pieces of guest memory. Who has
//! control is not here: that is `shim-sync`.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The words of one message, on one cache line.
#[repr(C, align(64))]
pub struct Line {
    words: [AtomicU64; 8],
}

impl Line {
    fn store(&self, words: [u64; 8]) {
        for (to, word) in self.words.iter().zip(words) {
            to.store(word, Relaxed);
        }
    }
    fn load(&self) -> [u64; 8] {
        core::array::from_fn(|i| self.words[i].load(Relaxed))
    }
    /// Put a request on the line.
    pub fn store_request(&self, request: &Request) {
        self.store(request.to_words());
    }
    /// The request on the line, `None` if its tag is unknown.
    pub fn load_request(&self) -> Option<Request> {
        Request::from_words(self.load())
    }
    /// Put a reply on the line.
    pub fn store_reply(&self, reply: &Reply) {
        self.store(reply.to_words());
    }
    /// The reply on the line, `None` if its tag is unknown.
    pub fn load_reply(&self) -> Option<Reply> {
        Reply::from_words(self.load())
    }
}

/// What a guest thread says when it hands control to the simulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// An image is up and asks to begin.
    Start,
    /// A system call that the simulator answers. `copies_bytes` of the data area hold [`Copies`] of
    /// the memory that its arguments point to, as far as the shim knew that it would be read.
    Syscall {
        /// The call's number.
        number: u32,
        /// Its six arguments.
        args: [u64; 6],
        /// Used bytes of the data area.
        copies_bytes: u32,
    },
    /// The kernel in the guest has answered a call, and left something that the simulator must look at: who woke, a
    /// signal, a plan. As [`Request::Syscall`] from the kernel's answer on.
    Answered {
        /// The call's number.
        number: u32,
        /// Its six arguments.
        args: [u64; 6],
        /// What it returns.
        result: i64,
        /// Whether it has woken other threads.
        has_woken: bool,
    },
    /// The kernel in the guest has parked the thread in a call. As [`Request::Syscall`] from there on.
    Parked {
        /// The call's number.
        number: u32,
        /// Its six arguments.
        args: [u64; 6],
    },
    /// The thread went on by itself after [`Reply::GoOn`], its call is over, and it has left something that the simulator
    /// must look at. As when the simulator resumes it.
    Resumed {
        /// The call's number.
        number: u32,
        /// Its six arguments.
        args: [u64; 6],
        /// What it returns.
        result: i64,
    },
    /// The native call that [`Reply::DoNative`] asked for returned this.
    SyscallComplete {
        /// As the kernel returned it.
        result: i64,
    },
    /// A thread or process that [`Reply::AddThread`] asked for exists, or not.
    AddThreadRes {
        /// Its native id, or minus an errno.
        result: i64,
    },
    /// The thread's own clock reached `HostBlock::run_until_ns`.
    Limit,
    /// The ring of records is full: drain it and give control back.
    Drain,
    /// A signal is pending and not blocked: which one?
    Signals,
    /// The simulator kicked the thread because it made no call for too long, and it has charged itself
    /// `HostBlock::preemption_ns`: as [`Request::Limit`], except that when it came about depended on the
    /// real machine.
    Preempted,
}

/// A signal to run a handler for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SignalInfo {
    /// 1 to 64.
    pub signal: u32,
    /// `si_code`.
    pub code: i32,
    /// `si_pid`, the virtual sender.
    pub pid: u32,
    /// `si_uid`.
    pub uid: u32,
    /// `si_value`; for SIGCHLD `si_status`.
    pub value: u64,
    /// The two words behind: for SIGCHLD `si_utime` and `si_stime`.
    pub tail: [u64; 2],
}

/// What the simulator says when it hands control back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Begin.
    Started,
    /// The call's answer.
    Complete {
        /// The system call's return value.
        result: i64,
        /// Used bytes of the data area: [`Copies`] to store into guest memory first. If one of them
        /// faults the result is EFAULT.
        copies_bytes: u32,
        /// Simulated now has moved to this thread's own time or later: it starts again from
        /// `HostBlock::now_ns` with nothing charged.
        is_clock_advanced: bool,
        /// Run this signal's handler before the call returns.
        signal: Option<SignalInfo>,
    },
    /// Execute this call natively and answer with [`Request::SyscallComplete`].
    DoNative {
        /// The call's number.
        number: u32,
        /// Its six arguments.
        args: [u64; 6],
    },
    /// Make the thread or process that the call asked for, with these blocks, which are filled in, and
    /// answer with [`Request::AddThreadRes`].
    AddThread {
        /// Index of its process's block: the caller's own for a thread.
        process_index: u32,
        /// Index of its thread block.
        thread_index: u32,
    },
    /// Control comes from another guest of the host: finish the call in which you wait by the kernel. Said by that
    /// guest.
    GoOn,
    /// The process dies of this signal, now: kill yourself natively with it.
    Die {
        /// 1 to 64.
        signal: u32,
    },
}

const REQUEST_START: u64 = 1;
const REQUEST_SYSCALL: u64 = 2;
const REQUEST_SYSCALL_COMPLETE: u64 = 3;
const REQUEST_ADD_THREAD_RES: u64 = 4;
const REQUEST_LIMIT: u64 = 5;
const REQUEST_DRAIN: u64 = 6;
const REQUEST_SIGNALS: u64 = 7;
const REQUEST_PREEMPTED: u64 = 8;
const REQUEST_ANSWERED: u64 = 9;
const REQUEST_PARKED: u64 = 10;
const REQUEST_WOKEN: u64 = 11;
const REQUEST_RESUMED: u64 = 12;

const REPLY_STARTED: u64 = 1;
const REPLY_COMPLETE: u64 = 2;
const REPLY_DO_NATIVE: u64 = 3;
const REPLY_ADD_THREAD: u64 = 4;
const REPLY_DIE: u64 = 5;
const REPLY_GO_ON: u64 = 6;
const REPLY_FLAG_CLOCK_ADVANCED: u64 = 1 << 32;
const REPLY_FLAG_SIGNAL: u64 = 1 << 33;

const fn low(word: u64) -> u32 {
    word as u32
}
const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}
const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

impl Request {
    /// The message as words. Word 0 holds the tag (low half) and the call's number (high half).
    pub fn to_words(&self) -> [u64; 8] {
        match *self {
            Request::Start => [REQUEST_START, 0, 0, 0, 0, 0, 0, 0],
            Request::Syscall { number, args, copies_bytes } => {
                let [a, b, c, d, e, f] = args;
                [pair(REQUEST_SYSCALL as u32, number), a, b, c, d, e, f, copies_bytes.into()]
            }
            Request::Answered { number, args: [a, b, c, d, e, f], result, has_woken } => {
                let tag = if has_woken { REQUEST_WOKEN } else { REQUEST_ANSWERED };
                [pair(tag as u32, number), a, b, c, d, e, f, result as u64]
            }
            Request::Resumed { number, args: [a, b, c, d, e, f], result } => {
                [pair(REQUEST_RESUMED as u32, number), a, b, c, d, e, f, result as u64]
            }
            Request::Parked { number, args: [a, b, c, d, e, f] } => {
                [pair(REQUEST_PARKED as u32, number), a, b, c, d, e, f, 0]
            }
            Request::SyscallComplete { result } => {
                [REQUEST_SYSCALL_COMPLETE, result as u64, 0, 0, 0, 0, 0, 0]
            }
            Request::AddThreadRes { result } => {
                [REQUEST_ADD_THREAD_RES, result as u64, 0, 0, 0, 0, 0, 0]
            }
            Request::Limit => [REQUEST_LIMIT, 0, 0, 0, 0, 0, 0, 0],
            Request::Drain => [REQUEST_DRAIN, 0, 0, 0, 0, 0, 0, 0],
            Request::Signals => [REQUEST_SIGNALS, 0, 0, 0, 0, 0, 0, 0],
            Request::Preempted => [REQUEST_PREEMPTED, 0, 0, 0, 0, 0, 0, 0],
        }
    }

    /// The message in these words, `None` if the tag is unknown.
    pub fn from_words(w: [u64; 8]) -> Option<Request> {
        Some(match u64::from(low(w[0])) {
            REQUEST_START => Request::Start,
            REQUEST_SYSCALL => Request::Syscall {
                number: high(w[0]),
                args: [w[1], w[2], w[3], w[4], w[5], w[6]],
                copies_bytes: low(w[7]),
            },
            tag @ (REQUEST_ANSWERED | REQUEST_WOKEN) => Request::Answered {
                number: high(w[0]),
                args: [w[1], w[2], w[3], w[4], w[5], w[6]],
                result: w[7] as i64,
                has_woken: tag == REQUEST_WOKEN,
            },
            REQUEST_RESUMED => Request::Resumed {
                number: high(w[0]),
                args: [w[1], w[2], w[3], w[4], w[5], w[6]],
                result: w[7] as i64,
            },
            REQUEST_PARKED => {
                Request::Parked { number: high(w[0]), args: [w[1], w[2], w[3], w[4], w[5], w[6]] }
            }
            REQUEST_SYSCALL_COMPLETE => Request::SyscallComplete { result: w[1] as i64 },
            REQUEST_ADD_THREAD_RES => Request::AddThreadRes { result: w[1] as i64 },
            REQUEST_LIMIT => Request::Limit,
            REQUEST_DRAIN => Request::Drain,
            REQUEST_SIGNALS => Request::Signals,
            REQUEST_PREEMPTED => Request::Preempted,
            _ => return None,
        })
    }
}

impl Reply {
    /// The message as words. Word 0 holds the tag (low half) and flags or a number (high half).
    pub fn to_words(&self) -> [u64; 8] {
        match *self {
            Reply::Started => [REPLY_STARTED, 0, 0, 0, 0, 0, 0, 0],
            Reply::Complete { result, copies_bytes, is_clock_advanced, signal } => {
                let mut tag = REPLY_COMPLETE;
                if is_clock_advanced {
                    tag |= REPLY_FLAG_CLOCK_ADVANCED;
                }
                if signal.is_some() {
                    tag |= REPLY_FLAG_SIGNAL;
                }
                let s = signal.unwrap_or_default();
                [
                    tag,
                    result as u64,
                    copies_bytes.into(),
                    pair(s.signal, s.code as u32),
                    pair(s.pid, s.uid),
                    s.value,
                    s.tail[0],
                    s.tail[1],
                ]
            }
            Reply::DoNative { number, args } => {
                let [a, b, c, d, e, f] = args;
                [pair(REPLY_DO_NATIVE as u32, number), a, b, c, d, e, f, 0]
            }
            Reply::AddThread { process_index, thread_index } => {
                [REPLY_ADD_THREAD, pair(process_index, thread_index), 0, 0, 0, 0, 0, 0]
            }
            Reply::GoOn => [REPLY_GO_ON, 0, 0, 0, 0, 0, 0, 0],
            Reply::Die { signal } => [pair(REPLY_DIE as u32, signal), 0, 0, 0, 0, 0, 0, 0],
        }
    }

    /// The message in these words, `None` if the tag is unknown.
    pub fn from_words(w: [u64; 8]) -> Option<Reply> {
        Some(match u64::from(low(w[0])) {
            REPLY_STARTED => Reply::Started,
            REPLY_COMPLETE => Reply::Complete {
                result: w[1] as i64,
                copies_bytes: low(w[2]),
                is_clock_advanced: w[0] & REPLY_FLAG_CLOCK_ADVANCED != 0,
                signal: (w[0] & REPLY_FLAG_SIGNAL != 0).then(|| SignalInfo {
                    signal: low(w[3]),
                    code: high(w[3]) as i32,
                    pid: low(w[4]),
                    uid: high(w[4]),
                    value: w[5],
                    tail: [w[6], w[7]],
                }),
            },
            REPLY_DO_NATIVE => {
                Reply::DoNative { number: high(w[0]), args: [w[1], w[2], w[3], w[4], w[5], w[6]] }
            }
            REPLY_ADD_THREAD => {
                Reply::AddThread { process_index: low(w[1]), thread_index: high(w[1]) }
            }
            REPLY_GO_ON => Reply::GoOn,
            REPLY_DIE => Reply::Die { signal: high(w[0]) },
            _ => return None,
        })
    }
}

/// Pieces of guest memory in a channel's data area: each an address, a length in bytes, and the
/// bytes, padded to whole words.
pub struct Copies<'a> {
    data: &'a [AtomicU64],
    used: usize,
}

impl<'a> Copies<'a> {
    /// An empty list on top of `data`.
    pub fn new(data: &'a [AtomicU64]) -> Self {
        Copies { data, used: 0 }
    }

    /// Append a piece; `false` (and nothing happens) if it does not fit.
    pub fn push(&mut self, address: u64, bytes: &[u8]) -> bool {
        let words = bytes.len().div_ceil(8);
        let Some(room) = self.data.get(self.used..) else { return false };
        if room.len() < 2 + words {
            return false;
        }
        room[0].store(address, Relaxed);
        room[1].store(bytes.len() as u64, Relaxed);
        for (to, chunk) in room[2..].iter().zip(bytes.chunks(8)) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            to.store(u64::from_le_bytes(word), Relaxed);
        }
        self.used += 2 + words;
        true
    }

    /// How many bytes of the data area the list occupies: what the message says.
    pub fn used_bytes(&self) -> u32 {
        (self.used * 8) as u32
    }

    /// Call `each` with the address and the words of every piece in the first `used_bytes` of
    /// `data`, and its length in bytes; `None` if the list is malformed.
    pub fn read(
        data: &[AtomicU64],
        used_bytes: u32,
        mut each: impl FnMut(u64, usize, &[AtomicU64]),
    ) -> Option<()> {
        let mut rest = data.get(..used_bytes as usize / 8)?;
        while !rest.is_empty() {
            let [address, len, tail @ ..] = rest else { return None };
            let len = usize::try_from(len.load(Relaxed)).ok()?;
            let words = len.div_ceil(8);
            each(address.load(Relaxed), len, tail.get(..words)?);
            rest = &tail[words..];
        }
        Some(())
    }
}

/// Copy `len` bytes out of words; for the readers of [`Copies`].
pub fn words_to_bytes(words: &[AtomicU64], out: &mut [u8]) {
    for (chunk, word) in out.chunks_mut(8).zip(words) {
        let bytes = word.load(Relaxed).to_le_bytes();
        chunk.copy_from_slice(&bytes[..chunk.len()]);
    }
}
