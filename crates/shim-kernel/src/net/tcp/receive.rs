//! Bytes that have come: in order, until somebody reads them, and out of order, until the gap is filled.
//!
//! Bytes with their numbers in, bytes out; windows out. Always true: what is behind the announced window is not taken;
//! an announced window is taken back by less than a unit of the scale, if at all, and small ones are not announced; the limit grows while the reader keeps up
//! with what comes.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use shim_abi::SimTime;
use smallvec::SmallVec;

use super::segment::Sequence;
use super::{MAX_RECEIVE_BYTES, Settings};

/// A window of a segment has so many bits.
const MAX_FIELD: usize = u16::MAX as usize;
/// What is read in a round trip must be more than so many segments to matter, and so many are added.
const INITIAL_SEGMENTS: usize = 10;
const SPARE_SEGMENTS: usize = 16;
/// No segment tells of more blocks behind gaps.
const MAX_BLOCKS: usize = 4;
/// No window is scaled by more.
const MAX_SHIFT: u8 = 14;

/// By how much windows must be scaled so that the largest that there may ever be fits.
pub(super) fn shift_for(settings: &Settings) -> u8 {
    let limit = settings.receive_limit_bytes;
    // The limit counts what data costs, which is twice what it is.
    let largest =
        if settings.is_receive_limit_fixed { limit } else { limit.max(MAX_RECEIVE_BYTES) };
    let mut shift = 0;
    while shift < MAX_SHIFT && (2 * largest) >> shift > MAX_FIELD {
        shift += 1;
    }
    shift
}

/// Where urgent data is.
#[derive(Clone, Copy, Debug)]
struct Urgent {
    /// The urgent byte.
    at: Sequence,
    byte: Option<u8>,
    /// Whether it was read.
    is_read: bool,
}

/// The receiving half.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) initial: Sequence,
    /// What is expected next.
    pub(super) next: Sequence,
    /// What was expected when it was last said.
    pub(super) told: Sequence,
    /// Where the announced window ends.
    edge: Sequence,
    /// Read so far.
    read: Sequence,
    queue: VecDeque<u8>,
    /// How many bytes have come in order.
    count: u64,
    /// What lies behind gaps: pieces that do not overlap, by where they begin, counted as `count` is.
    ahead: BTreeMap<u64, Vec<u8>>,
    /// From where to where there are no gaps between pieces.
    blocks: BTreeMap<u64, u64>,
    /// Where something came last, in different blocks, the latest first.
    recent: SmallVec<[u64; MAX_BLOCKS]>,
    /// Where the other side ends.
    end: Option<Sequence>,
    has_ended: bool,
    limit_bytes: usize,
    /// What was read since the limit grew, or in this round trip, and in the one in which most was read.
    read_bytes: usize,
    most_read_bytes: usize,
    /// How long a round trip takes, and when this one began; 0: that is not known, or it takes no time.
    rtt_ns: u64,
    round: SimTime,
    /// Whether one has taken no time.
    is_near: bool,
    urgent: Option<Urgent>,
}

impl Receiver {
    pub(super) fn new(limit_bytes: usize) -> Receiver {
        let zero = Sequence(0);
        Receiver {
            initial: zero,
            next: zero,
            told: zero,
            edge: zero,
            read: zero,
            queue: VecDeque::new(),
            count: 0,
            ahead: BTreeMap::new(),
            blocks: BTreeMap::new(),
            recent: SmallVec::new(),
            end: None,
            has_ended: false,
            limit_bytes,
            read_bytes: 0,
            most_read_bytes: 0,
            rtt_ns: 0,
            round: SimTime::ZERO,
            is_near: false,
            urgent: None,
        }
    }

    /// The other side begins behind this number.
    pub(super) fn begin(&mut self, syn: Sequence) {
        self.initial = syn;
        self.next = syn.plus(1);
        (self.told, self.edge, self.read) = (self.next, self.next, self.next);
    }
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }
    pub(super) fn has_gap(&self) -> bool {
        !self.ahead.is_empty()
    }
    pub(super) fn window(&self) -> usize {
        if self.edge.is_before(self.next) { 0 } else { self.edge.since(self.next) }
    }
    pub(super) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }
    pub(super) fn set_limit(&mut self, bytes: usize) {
        self.limit_bytes = bytes;
    }
    fn free(&self) -> usize {
        self.limit_bytes.saturating_sub(self.queue.len())
    }

    /// How wide the window would be if it were announced now.
    pub(super) fn next_window(&self, segment_bytes: usize) -> usize {
        let free = self.free();
        let is_small = free < self.limit_bytes / 2
            && (free < self.limit_bytes / 16 || free < segment_bytes.min(self.limit_bytes / 2));
        let new = if is_small { 0 } else { free };
        new.max(self.window())
    }

    /// Announce the window: the field of a segment.
    pub(super) fn announce(&mut self, segment_bytes: usize, shift: u8) -> u16 {
        let window = self.next_window(segment_bytes);
        let field = (window >> shift).min(MAX_FIELD);
        self.edge = self.next.plus(field << shift).later(self.edge);
        self.told = self.next;
        field as u16
    }

    /// Whether a segment from `start` to `end` may hold something for it.
    pub(super) fn is_acceptable(&self, start: Sequence, end: Sequence) -> bool {
        !end.is_before(self.told) && !start.is_after(self.next.plus(self.window()))
    }

    /// Take bytes, and perhaps an end behind them; whether anything new has come in order.
    pub(super) fn take(&mut self, start: Sequence, bytes: &[u8], has_end: bool) -> bool {
        let end = start.plus(bytes.len());
        let edge = self.edge.later(self.next);
        if has_end && !end.is_after(edge) {
            self.end = Some(end);
        }
        let skipped = if start.is_before(self.next) { self.next.since(start) } else { 0 };
        let kept = if end.is_after(edge) { edge.since(start.later(self.next)) } else { usize::MAX };
        let bytes = bytes.get(skipped..).unwrap_or_default();
        let bytes = bytes.get(..kept).unwrap_or(bytes);
        let start = start.later(self.next);
        if bytes.is_empty() {
            return self.reach_end();
        }
        if start != self.next {
            self.keep_ahead(start, bytes);
            return false;
        }
        self.append(bytes);
        self.close_gap();
        self.reach_end();
        true
    }

    fn append(&mut self, bytes: &[u8]) {
        let next = self.next;
        let awaited = |it: &&mut Urgent| it.byte.is_none() && !it.at.is_before(next);
        if let Some(urgent) = self.urgent.as_mut().filter(awaited) {
            urgent.byte = bytes.get(urgent.at.since(next)).copied();
        }
        self.queue.extend(bytes);
        self.next = self.next.plus(bytes.len());
        self.count += bytes.len() as u64;
    }

    /// Keep what lies behind a gap.
    fn keep_ahead(&mut self, start: Sequence, bytes: &[u8]) {
        let begin = self.count + start.since(self.next) as u64;
        let end = begin + bytes.len() as u64;
        let mut at = begin;
        while at < end {
            let before = self.ahead.range(..=at).next_back();
            let kept_until = before.map_or(0, |(&start, kept)| start + kept.len() as u64);
            if kept_until > at {
                at = kept_until;
                continue;
            }
            let until = self.ahead.range(at..end).next().map_or(end, |(&start, _)| start);
            let piece = bytes.get((at - begin) as usize..(until - begin) as usize);
            self.ahead.insert(at, piece.unwrap_or_default().to_vec());
            at = until;
        }
        self.note_block(begin, end);
    }

    /// There is something from `start` to `end`.
    fn note_block(&mut self, mut start: u64, mut end: u64) {
        let before = self.blocks.range(..start).next_back().map(|(&start, &end)| (start, end));
        if let Some((earlier, until)) = before.filter(|&(_, until)| until >= start) {
            (start, end) = (earlier, end.max(until));
        }
        while let Some((&other, &until)) = self.blocks.range(start..=end).next() {
            end = end.max(until);
            self.blocks.remove(&other);
        }
        self.blocks.insert(start, end);
        self.recent.retain(|at| *at < start || *at > end);
        self.recent.truncate(MAX_BLOCKS - 1);
        self.recent.insert(0, start);
    }

    /// How many blocks can be told of.
    pub(super) fn gaps(&self) -> usize {
        self.recent.len()
    }
    /// The latest `count` of them.
    pub(super) fn blocks(&self, count: usize) -> SmallVec<[(Sequence, Sequence); MAX_BLOCKS]> {
        let number = |at: u64| self.next.plus((at - self.count) as usize);
        let block = |&at: &u64| self.blocks.range(..=at).next_back();
        let blocks = self.recent.iter().filter_map(block).take(count);
        blocks.map(|(&start, &end)| (number(start), number(end))).collect()
    }

    /// Take what was behind a gap that is no more.
    fn close_gap(&mut self) {
        while let Some(first) = self.ahead.first_entry().filter(|it| *it.key() <= self.count) {
            let (start, bytes) = first.remove_entry();
            let fresh = bytes.get((self.count - start) as usize..).unwrap_or_default();
            self.append(fresh);
        }
        while self.blocks.first_key_value().is_some_and(|(&start, _)| start <= self.count) {
            self.blocks.pop_first();
        }
        let count = self.count;
        self.recent.retain(|at| *at > count);
    }

    fn reach_end(&mut self) -> bool {
        let is_reached = !self.has_ended && self.end == Some(self.next);
        if is_reached {
            self.has_ended = true;
            self.next = self.next.plus(1);
        }
        is_reached
    }

    /// Urgent data ends before this number; whether that is news.
    pub(super) fn set_urgent(&mut self, end: Sequence) -> bool {
        let at = end.minus(1);
        let is_old = self.urgent.is_some_and(|urgent| !at.is_after(urgent.at));
        if is_old || at.is_before(self.read) {
            return false;
        }
        let index = if at.is_before(self.next) { at.since(self.read) } else { usize::MAX };
        let byte = self.queue.get(index).copied();
        self.urgent = Some(Urgent { at, byte, is_read: false });
        true
    }
    /// The urgent byte, if there is one that was not read: `Err` if it is still to come.
    pub(super) fn urgent(&self) -> Option<Result<u8, ()>> {
        let urgent = self.urgent.filter(|urgent| !urgent.is_read)?;
        Some(urgent.byte.ok_or(()))
    }
    pub(super) fn take_urgent(&mut self) {
        if let Some(urgent) = &mut self.urgent {
            urgent.is_read = true;
        }
    }
    /// Whether what is next to be read is the urgent byte.
    pub(super) fn is_at_urgent(&self) -> bool {
        self.urgent.is_some_and(|urgent| urgent.at == self.read)
    }

    /// How much can be read in order.
    pub(super) fn unread_bytes(&self) -> usize {
        self.queue.len()
    }
    /// Of these, up to the urgent byte; `is_inline`: it is read like the others.
    pub(super) fn unread_before_urgent(&self, skipped: usize, is_inline: bool) -> usize {
        let unread = self.queue.len().saturating_sub(skipped);
        let from = self.read.plus(skipped);
        match self.urgent {
            Some(urgent) if is_inline && urgent.at == from => unread,
            Some(urgent) if !urgent.at.is_before(from) => unread.min(urgent.at.since(from)),
            _ => unread,
        }
    }
    /// Some of what can be read behind the first `skipped` bytes.
    pub(super) fn unread(&self, skipped: usize) -> &[u8] {
        let (first, second) = self.queue.as_slices();
        match first.get(skipped..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => second.get(skipped.saturating_sub(first.len())..).unwrap_or_default(),
        }
    }
    /// The first bytes have been read.
    pub(super) fn consume(&mut self, bytes: usize, may_grow: bool) {
        let bytes = bytes.min(self.queue.len());
        self.queue.drain(..bytes);
        self.read = self.read.plus(bytes);
        if self.queue.is_empty() {
            self.queue.shrink_to(4096);
        }
        if self.urgent.is_some_and(|urgent| urgent.at.is_before(self.read)) {
            self.urgent = None;
        }
        self.read_bytes += bytes;
        if may_grow && self.rtt_ns == 0 && self.read_bytes >= self.limit_bytes {
            self.read_bytes = 0;
            self.limit_bytes = (2 * self.limit_bytes).min(MAX_RECEIVE_BYTES);
        }
    }

    /// Something has come, as an answer to what was said so long ago: let the limit follow what is read in a round trip.
    pub(super) fn fit_limit(&mut self, now: SimTime, rtt_ns: Option<u64>, segment_bytes: usize) {
        let Some(rtt_ns) = rtt_ns else { return };
        self.is_near |= rtt_ns == 0;
        self.rtt_ns = match self.rtt_ns {
            _ if self.is_near => 0,
            0 => rtt_ns,
            known => (7 * known + rtt_ns) / 8,
        };
        if self.rtt_ns == 0 || now.since(self.round).as_ns() < self.rtt_ns {
            return;
        }
        self.round = now;
        let read = core::mem::take(&mut self.read_bytes);
        let least = self.limit_bytes.min(INITIAL_SEGMENTS * segment_bytes).max(1);
        let most = if self.most_read_bytes == 0 { least } else { self.most_read_bytes };
        if read <= most {
            return;
        }
        self.most_read_bytes = read;
        // Twice as much as was read, and more as long as it becomes more and more.
        let window = (2 * read + SPARE_SEGMENTS * segment_bytes) as u64;
        let more = 2 * window * (read - most) as u64 / most as u64;
        let limit = usize::try_from(window + more).unwrap_or(usize::MAX).min(MAX_RECEIVE_BYTES);
        self.limit_bytes = self.limit_bytes.max(limit);
    }
}
