//! Records that a guest writes and the simulator drains: log lines, traces of calls, lacks.
//!
//! Bytes in, the same bytes out, in order. Always true: the guest writes `head` and the words between
//! `tail` and `head`, the simulator writes `tail`; a reader believes no length that it did not check.
//! A full ring refuses a record; the guest then hands over with `Request::Drain` and tries again. What
//! a record's payload means to a person is not here: the simulator words it.

use core::sync::atomic::{
    AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

/// Words in a ring.
pub const RING_WORDS: usize = 2048;
/// Longest payload of a record, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 1024;

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RecordKind {
    /// A log line: UTF-8 text.
    Log = 1,
    /// A system call: see [`CallRecord`].
    Call = 2,
    /// Something that the guest asked for and that is missing: UTF-8 text.
    Lack = 3,
}

/// A record without its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHeader {
    /// What it is.
    pub kind: RecordKind,
    /// 1 error to 5 trace, for log lines.
    pub level: u8,
    /// The thread's own simulated time.
    pub time_ns: u64,
}

/// The ring of one thread.
#[repr(C)]
pub struct Ring {
    /// Words written so far. Written by the guest.
    pub head: AtomicU32,
    /// Words read so far. Written by the simulator.
    pub tail: AtomicU32,
    /// The records.
    pub words: [AtomicU64; RING_WORDS],
}

impl Ring {
    fn word(&self, position: u32) -> &AtomicU64 {
        &self.words[position as usize % RING_WORDS]
    }

    /// Guest: whether the simulator has taken all records.
    pub fn is_empty(&self) -> bool {
        self.head.load(Relaxed) == self.tail.load(Relaxed)
    }

    /// Guest: append a record. `false` if it does not fit now; a payload longer than
    /// [`MAX_PAYLOAD_BYTES`] is cut.
    pub fn push(&self, header: RecordHeader, payload: &[u8]) -> bool {
        let payload = &payload[..payload.len().min(MAX_PAYLOAD_BYTES)];
        let head = self.head.load(Relaxed);
        let used = head.wrapping_sub(self.tail.load(Acquire)) as usize;
        let need = 2 + payload.len().div_ceil(8);
        if used > RING_WORDS || RING_WORDS - used < need {
            return false;
        }
        let tag = u64::from(header.kind as u8)
            | u64::from(header.level) << 8
            | (payload.len() as u64) << 32;
        self.word(head).store(tag, Relaxed);
        self.word(head.wrapping_add(1)).store(header.time_ns, Relaxed);
        for (i, chunk) in payload.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(head.wrapping_add(2 + i as u32)).store(u64::from_le_bytes(word), Relaxed);
        }
        self.head.store(head.wrapping_add(need as u32), Release);
        true
    }

    /// Simulator: take the oldest record; its payload goes into `payload`, its length is returned
    /// with the header. `None` if the ring is empty, or holds nonsense (which is then discarded).
    pub fn pop(&self, payload: &mut [u8; MAX_PAYLOAD_BYTES]) -> Option<(RecordHeader, usize)> {
        let tail = self.tail.load(Relaxed);
        let head = self.head.load(Acquire);
        let used = head.wrapping_sub(tail) as usize;
        if used == 0 {
            return None;
        }
        let tag = self.word(tail).load(Relaxed);
        let len = (tag >> 32) as usize;
        let need = 2 + len.div_ceil(8);
        let kind = match tag as u8 {
            1 => Some(RecordKind::Log),
            2 => Some(RecordKind::Call),
            3 => Some(RecordKind::Lack),
            _ => None,
        };
        let (Some(kind), true) =
            (kind, len <= MAX_PAYLOAD_BYTES && need <= used && used <= RING_WORDS)
        else {
            self.tail.store(head, Release);
            return None;
        };
        let time_ns = self.word(tail.wrapping_add(1)).load(Relaxed);
        for (i, chunk) in payload[..len].chunks_mut(8).enumerate() {
            let word = self.word(tail.wrapping_add(2 + i as u32)).load(Relaxed);
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
        self.tail.store(tail.wrapping_add(need as u32), Release);
        Some((RecordHeader { kind, level: (tag >> 8) as u8, time_ns }, len))
    }
}

/// Longest piece of text that a trace keeps of one argument, in bytes.
pub const MAX_CALL_TEXT_BYTES: usize = 96;

/// The fixed part of a [`RecordKind::Call`] payload. After it follow texts: an argument's index (one
/// byte), 1 if the text was cut (one byte), a length (two bytes, little-endian), and the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallRecord {
    /// The call's number.
    pub number: u32,
    /// Its arguments.
    pub args: [u64; 6],
    /// Its result, as the guest saw it.
    pub result: i64,
}

impl CallRecord {
    /// Size of the fixed part.
    pub const BYTES: usize = 64;

    /// The fixed part as bytes.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let [a, b, c, d, e, f] = self.args;
        let words = [u64::from(self.number), a, b, c, d, e, f, self.result as u64];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Read the fixed part back; `None` if there are too few bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<CallRecord> {
        let mut words = [0; 8];
        for (word, chunk) in words.iter_mut().zip(bytes.get(..Self::BYTES)?.chunks_exact(8)) {
            *word = u64::from_le_bytes(chunk.try_into().ok()?);
        }
        let [number, a, b, c, d, e, f, result] = words;
        Some(CallRecord { number: number as u32, args: [a, b, c, d, e, f], result: result as i64 })
    }
}
