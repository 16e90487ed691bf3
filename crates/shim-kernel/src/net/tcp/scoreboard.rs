//! What is under way: each segment with its time, and what became of it (RFC 2018, 6675, 8985).
//!
//! Segments that are sent, acknowledgements and their blocks in; what has arrived, what is lost, and when more will be
//! known out. Always true: the segments lie in the order of their numbers, without gaps, from the first that is not
//! acknowledged to the last that was sent; each byte of them is out, lost or arrived, and the sums say so. How much may be
//! sent, and when nothing more is awaited, is not here.

use alloc::collections::VecDeque;

use shim_abi::SimTime;
use smallvec::SmallVec;

use super::segment::Sequence;

/// So many segments that arrived behind a gap tell of a loss at once, unless the way is known to reorder.
const DUPLICATES: usize = 3;

/// For so many segments there is memory when nothing is under way.
const KEPT_SEGMENTS: usize = 16;

/// Ranges of numbers, as SACK tells them.
type Blocks = SmallVec<[(Sequence, Sequence); 4]>;

/// What became of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// It is under way, for the first time or again.
    Out,
    /// It must be sent again.
    Lost,
    /// It has arrived behind a gap.
    Arrived,
}

/// A segment that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) start: Sequence,
    pub(super) end: Sequence,
    /// When it was last sent.
    at: SimTime,
    fate: Fate,
    is_resent: bool,
}

impl Sent {
    fn bytes(&self) -> usize {
        self.end.since(self.start)
    }
    /// Whether it was sent after another one.
    fn is_newer_than(&self, (at, end): (SimTime, Sequence)) -> bool {
        self.at > at || self.at == at && self.end.is_after(end)
    }
}

/// What an acknowledgement has told.
#[derive(Debug, Default)]
pub(super) struct News {
    /// So many bytes have arrived of which that was not known.
    pub(super) bytes: usize,
    /// How long the oldest of them took, of those that were sent once.
    pub(super) rtt_ns: Option<u64>,
}

/// The segment that was sent last of those that have arrived.
#[derive(Clone, Copy, Debug)]
struct Newest {
    at: SimTime,
    end: Sequence,
    rtt_ns: u64,
}

#[derive(Debug, Default)]
pub(super) struct Scoreboard {
    sent: VecDeque<Sent>,
    out_bytes: usize,
    lost_bytes: usize,
    arrived: usize,
    newest: Option<Newest>,
    /// The shortest time that a segment took which was sent once.
    least_rtt_ns: Option<u64>,
    /// The end of what has arrived that lies farthest.
    highest: Option<Sequence>,
    /// Whether something has been overtaken.
    is_reordered: bool,
    /// Blocks that were looked at already.
    known: Blocks,
}

impl Scoreboard {
    /// Bytes that are under way.
    pub(super) fn out_bytes(&self) -> usize {
        self.out_bytes
    }
    /// Bytes that must be sent again.
    pub(super) fn lost_bytes(&self) -> usize {
        self.lost_bytes
    }
    /// Segments that have arrived behind a gap.
    pub(super) fn arrived(&self) -> usize {
        self.arrived
    }
    /// Segments that are not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }
    pub(super) fn least_rtt_ns(&self) -> Option<u64> {
        self.least_rtt_ns
    }

    /// Something new is sent; `is_resent`: it was sent before.
    pub(super) fn add(&mut self, at: SimTime, start: Sequence, end: Sequence, is_resent: bool) {
        self.sent.push_back(Sent { start, end, at, fate: Fate::Out, is_resent });
        self.out_bytes += end.since(start);
    }
    /// All of it is sent anew.
    pub(super) fn clear(&mut self) {
        self.sent.clear();
        (self.out_bytes, self.lost_bytes, self.arrived) = (0, 0, 0);
    }

    /// What becomes of a segment.
    fn set_fate(&mut self, index: usize, fate: Fate) {
        let Some(sent) = self.sent.get_mut(index) else { return };
        let (bytes, old) = (sent.bytes(), core::mem::replace(&mut sent.fate, fate));
        self.withdraw(bytes, 1, old);
        match fate {
            Fate::Out => self.out_bytes += bytes,
            Fate::Lost => self.lost_bytes += bytes,
            Fate::Arrived => self.arrived += 1,
        }
    }
    /// So many bytes and segments are no more what they were.
    fn withdraw(&mut self, bytes: usize, segments: usize, fate: Fate) {
        match fate {
            Fate::Out => self.out_bytes -= bytes,
            Fate::Lost => self.lost_bytes -= bytes,
            Fate::Arrived => self.arrived -= segments,
        }
    }

    /// Everything before `una` has arrived.
    pub(super) fn acknowledge(&mut self, now: SimTime, una: Sequence, news: &mut News) {
        while let Some(&first) = self.sent.front() {
            if !first.end.is_after(una) {
                self.withdraw(first.bytes(), 1, first.fate);
                self.sent.pop_front();
                if first.fate != Fate::Arrived {
                    self.note_arrival(now, first, news);
                }
                continue;
            }
            if first.start.is_before(una) {
                let bytes = una.since(first.start);
                self.withdraw(bytes, 0, first.fate);
                if first.fate != Fate::Arrived {
                    news.bytes += bytes;
                }
                if let Some(first) = self.sent.front_mut() {
                    first.start = una;
                }
            }
            break;
        }
        if self.sent.is_empty() {
            self.sent.shrink_to(KEPT_SEGMENTS);
            self.known.clear();
        }
    }

    /// The other side has what lies in these blocks.
    pub(super) fn take_blocks(&mut self, now: SimTime, blocks: &Blocks, news: &mut News) {
        if blocks.is_empty() {
            return;
        }
        for &(start, end) in blocks {
            let is_known =
                |(a, b): &&(Sequence, Sequence)| !start.is_before(*a) && !start.is_after(*b);
            // A block that has grown is looked at from where it ended.
            let from = self.known.iter().find(is_known).map_or(start, |known| known.1);
            let (Some(first), Some(last)) = (self.sent.front(), self.sent.back()) else { return };
            let is_sound = !start.is_before(first.start) && !end.is_after(last.end);
            if !is_sound || !from.is_before(end) {
                continue;
            }
            let mut index = self.sent.partition_point(|sent| !sent.end.is_after(from));
            while let Some(&sent) = self.sent.get(index).filter(|sent| !sent.end.is_after(end)) {
                if sent.fate != Fate::Arrived && !sent.start.is_before(start) {
                    self.set_fate(index, Fate::Arrived);
                    self.note_arrival(now, sent, news);
                }
                index += 1;
            }
        }
        self.known.clone_from(blocks);
    }

    fn note_arrival(&mut self, now: SimTime, sent: Sent, news: &mut News) {
        news.bytes += sent.bytes();
        let rtt_ns = now.since(sent.at).as_ns();
        if !sent.is_resent {
            news.rtt_ns.get_or_insert(rtt_ns);
            self.least_rtt_ns = Some(self.least_rtt_ns.map_or(rtt_ns, |least| least.min(rtt_ns)));
            self.is_reordered |= self.highest.is_some_and(|highest| sent.end.is_before(highest));
        } else if self.least_rtt_ns.is_some_and(|least| rtt_ns < least) {
            // It was sent twice, and it was not the second one that arrived.
            return;
        }
        self.highest = Some(self.highest.map_or(sent.end, |highest| highest.later(sent.end)));
        if self.newest.is_none_or(|newest| sent.is_newer_than((newest.at, newest.end))) {
            self.newest = Some(Newest { at: sent.at, end: sent.end, rtt_ns });
        }
    }

    /// Whatever was sent well before something that has arrived is lost; when more will be known. `is_recovering`: it is
    /// known that something is lost.
    pub(super) fn find_losses(&mut self, now: SimTime, is_recovering: bool) -> SimTime {
        let mut until = SimTime::MAX;
        let Some(newest) = self.newest else { return until };
        let is_patient = self.is_reordered || !is_recovering && self.arrived < DUPLICATES;
        let patience_ns = if is_patient { self.least_rtt_ns.unwrap_or(0) / 4 } else { 0 };
        for index in 0..self.sent.len() {
            let sent = self.sent[index];
            if sent.is_newer_than((newest.at, newest.end)) {
                if !sent.is_resent {
                    // Whatever lies behind it was sent later still.
                    break;
                }
                continue;
            }
            if sent.fate != Fate::Out {
                continue;
            }
            let due_ns = sent.at.as_ns().saturating_add(newest.rtt_ns + patience_ns);
            if due_ns <= now.as_ns() {
                self.set_fate(index, Fate::Lost);
            } else {
                let due = SimTime::from_ns(due_ns);
                until = if until == SimTime::MAX { due } else { until.max(due) };
            }
        }
        until
    }
    /// The first segment is lost.
    pub(super) fn lose_first(&mut self) {
        if self.sent.front().is_some_and(|sent| sent.fate == Fate::Out) {
            self.set_fate(0, Fate::Lost);
        }
    }
    /// Nothing was heard in time: what has not arrived is lost.
    pub(super) fn lose_all(&mut self) {
        // Whoever has the first segment and does not acknowledge it has thrown away what it had.
        let is_reneged = self.sent.front().is_some_and(|sent| sent.fate == Fate::Arrived);
        for index in 0..self.sent.len() {
            if is_reneged || self.sent[index].fate == Fate::Out {
                self.set_fate(index, Fate::Lost);
            }
        }
        if is_reneged {
            self.known.clear();
        }
    }
    /// It was not lost, only late.
    pub(super) fn unlose(&mut self) {
        self.is_reordered = true;
        for index in 0..self.sent.len() {
            if self.sent[index].fate == Fate::Lost {
                self.set_fate(index, Fate::Out);
            }
        }
    }

    /// The first segment that must be sent again.
    pub(super) fn first_lost(&self) -> Option<usize> {
        if self.lost_bytes == 0 {
            return None;
        }
        self.sent.iter().position(|sent| sent.fate == Fate::Lost)
    }
    pub(super) fn get(&self, index: usize) -> Option<Sent> {
        self.sent.get(index).copied()
    }
    /// A segment ends after so many bytes, and another one follows it.
    pub(super) fn split(&mut self, index: usize, bytes: usize) {
        let Some(sent) = self.sent.get_mut(index) else { return };
        let (rest, fate) = (Sent { start: sent.start.plus(bytes), ..*sent }, sent.fate);
        sent.end = rest.start;
        self.sent.insert(index + 1, rest);
        self.arrived += usize::from(fate == Fate::Arrived);
    }
    /// A segment is sent again.
    pub(super) fn resend(&mut self, now: SimTime, index: usize) {
        self.set_fate(index, Fate::Out);
        if let Some(sent) = self.sent.get_mut(index) {
            (sent.at, sent.is_resent) = (now, true);
        }
    }

    /// The sums are right, and no gap lies between una and next.
    #[cfg(test)]
    pub(super) fn check(&self, una: Sequence, next: Sequence) {
        let sum = |fate| -> usize {
            self.sent.iter().filter(|sent| sent.fate == fate).map(Sent::bytes).sum()
        };
        assert_eq!((sum(Fate::Out), sum(Fate::Lost)), (self.out_bytes, self.lost_bytes));
        let arrived = self.sent.iter().filter(|sent| sent.fate == Fate::Arrived).count();
        assert_eq!(arrived, self.arrived);
        let mut at = una;
        for sent in &self.sent {
            assert_eq!(sent.start, at);
            at = sent.end;
        }
        assert_eq!(at, next);
    }
}
