//! How much may be under way, as the way allows: slow start, congestion avoidance, recovery.
//!
//! Arrivals and losses in, a window out. Always true: the window is at least one segment, and shrinks once for all that
//! was lost within one round trip, in proportion to what arrives (RFC 6937). How the window grows that has met a loss,
//! and what it shrinks to, is not here, but in `growth`.

use shim_abi::SimTime;

use super::growth::Growth;
use super::segment::Sequence;

/// So many segments may be under way at first.
const INITIAL_SEGMENTS: usize = 10;

/// What is known of losses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Of none.
    Open,
    /// Something was lost that others have overtaken.
    Recovery,
    /// Nothing was heard in time.
    Loss,
}

/// How it was before a loss, should that turn out to be none.
#[derive(Debug)]
struct Undo {
    window: usize,
    threshold: usize,
    growth: Growth,
    /// The stamp of the first segment that was sent again.
    stamp: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Congestion {
    /// Bytes that may be under way; 0: not known yet.
    pub(super) window: usize,
    pub(super) threshold: usize,
    phase: Phase,
    /// The end of what was under way when a loss was seen: until that is acknowledged it is being made good.
    end: Sequence,
    /// Since then: the window at that time, what has arrived, what was sent.
    prior_window: usize,
    arrived_bytes: usize,
    sent_bytes: usize,
    undo: Option<Undo>,
    growth: Growth,
    /// When something was last sent.
    last_sent: SimTime,
}

/// What has arrived, and how things are by then.
pub(super) struct Arrival {
    pub(super) now: SimTime,
    pub(super) bytes: usize,
    pub(super) segment_bytes: usize,
    /// How long an answer takes, and how long this one took, if that is known.
    pub(super) rtt_ns: u64,
    pub(super) sample_ns: Option<u64>,
    /// Everything before it is acknowledged; this is sent next.
    pub(super) una: Sequence,
    pub(super) next: Sequence,
    /// What is under way.
    pub(super) flight: usize,
    /// Whether it was the window that held more back.
    pub(super) is_limited: bool,
    /// Whether something was acknowledged.
    pub(super) has_advanced: bool,
}

impl Default for Congestion {
    fn default() -> Congestion {
        Congestion {
            window: 0,
            threshold: usize::MAX,
            phase: Phase::Open,
            end: Sequence(0),
            prior_window: 0,
            arrived_bytes: 0,
            sent_bytes: 0,
            undo: None,
            growth: Growth::default(),
            last_sent: SimTime::ZERO,
        }
    }
}

impl Congestion {
    /// The size of segments is known.
    pub(super) fn begin(&mut self, segment_bytes: usize) {
        self.window = INITIAL_SEGMENTS * segment_bytes;
    }
    /// TCP_CONGESTION: whether it is Reno's.
    pub(super) fn set_reno(&mut self, is_reno: bool) {
        self.growth.is_reno = is_reno;
    }
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }
    fn is_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    /// Bytes are about to be sent.
    pub(super) fn note_sent(&mut self, now: SimTime, bytes: usize) {
        self.sent_bytes += bytes;
        self.last_sent = now;
    }

    /// Something is about to be sent when nothing is under way: what was known of the way grows old.
    pub(super) fn wake(&mut self, now: SimTime, timeout_ns: u64, segment_bytes: usize) {
        let idle_ns = now.since(self.last_sent).as_ns();
        if self.last_sent == SimTime::ZERO || idle_ns == 0 {
            return;
        }
        self.growth.skip(now.since(self.last_sent));
        if idle_ns <= timeout_ns {
            return;
        }
        let least = self.window.min(INITIAL_SEGMENTS * segment_bytes);
        self.threshold = self.threshold.max(self.window / 4 * 3);
        let halvings = (idle_ns / timeout_ns.max(1)).min(63) as u32;
        self.window = (self.window >> halvings).max(least);
    }

    /// Something is sent again, with this stamp.
    pub(super) fn note_resent(&mut self, stamp: u32) {
        if let Some(undo) = &mut self.undo {
            undo.stamp.get_or_insert(stamp);
        }
    }

    fn shrink(&mut self, end: Sequence, segment_bytes: usize) {
        let (window, threshold) = (self.window, self.threshold);
        self.undo = Some(Undo { window, threshold, growth: self.growth, stamp: None });
        self.threshold = self.growth.shrink(self.window, segment_bytes);
        self.end = end;
    }
    /// Something is lost, of what was under way before `end`.
    pub(super) fn recover(&mut self, end: Sequence, segment_bytes: usize) {
        self.shrink(end, segment_bytes);
        self.phase = Phase::Recovery;
        self.prior_window = self.window.max(1);
        (self.arrived_bytes, self.sent_bytes) = (0, 0);
    }
    /// Nothing was heard in time, of what was under way before `end`.
    pub(super) fn time_out(&mut self, end: Sequence, segment_bytes: usize) {
        if self.phase == Phase::Open {
            self.shrink(end, segment_bytes);
        }
        self.end = end;
        self.phase = Phase::Loss;
        self.window = segment_bytes;
    }
    /// A single loss has been made good before it was known.
    pub(super) fn slow_down(&mut self, segment_bytes: usize) {
        self.threshold = self.growth.shrink(self.window, segment_bytes);
        self.window = self.threshold;
    }

    /// Everything before `una` is acknowledged: what was lost may have been made good.
    pub(super) fn note_acknowledged(&mut self, una: Sequence, segment_bytes: usize) {
        if self.phase == Phase::Open || una.is_before(self.end) {
            return;
        }
        if self.phase == Phase::Recovery {
            self.window = self.threshold.max(segment_bytes);
        }
        self.phase = Phase::Open;
        self.undo = None;
    }
    /// An acknowledgement echoes this stamp: whether nothing was lost at all, because it is older than what was sent again.
    pub(super) fn undo(&mut self, echo: u32) -> bool {
        let is_late = |undo: &mut Undo| {
            undo.stamp.is_some_and(|stamp| Sequence(echo).is_before(Sequence(stamp)))
        };
        let Some(undo) = self.undo.take_if(is_late) else { return false };
        self.window = self.window.max(undo.window);
        self.threshold = undo.threshold;
        self.growth = undo.growth;
        self.phase = Phase::Open;
        true
    }

    /// Bytes have arrived.
    pub(super) fn grow(&mut self, arrival: &Arrival) {
        if self.phase == Phase::Recovery {
            return self.reduce(arrival);
        }
        if !arrival.has_advanced || !arrival.is_limited {
            return;
        }
        if self.is_slow_start() {
            self.window = (self.window + arrival.bytes).min(self.threshold);
            if self.phase == Phase::Open && self.growth.is_enough(self.window, arrival) {
                self.threshold = self.window;
            }
        } else {
            self.window = self.growth.grow(self.window, arrival);
        }
    }

    /// As long as something is made good the window follows what arrives.
    fn reduce(&mut self, arrival: &Arrival) {
        let segment_bytes = arrival.segment_bytes;
        self.arrived_bytes += arrival.bytes;
        let allowed = if arrival.flight > self.threshold {
            let share = self.arrived_bytes as u128 * self.threshold as u128;
            (share.div_ceil(self.prior_window as u128) as usize).saturating_sub(self.sent_bytes)
        } else {
            let owed = self.arrived_bytes.saturating_sub(self.sent_bytes).max(arrival.bytes);
            (self.threshold - arrival.flight).min(owed + segment_bytes)
        };
        // What was lost first is sent again in any case.
        let least = if self.sent_bytes == 0 { segment_bytes } else { 0 };
        self.window = (arrival.flight + allowed.max(least)).max(segment_bytes);
    }
}
