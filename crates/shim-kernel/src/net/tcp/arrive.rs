//! What a segment does that has come.
//!
//! A segment in; bytes, a state and answers out. Always true: the checks stand in the order of RFC 9293, section 3.10.7;
//! what is not acceptable changes nothing but the answer that it gets (RFC 5961).

use shim_abi::{Errno, SimTime};

use super::segment::{Segment, flag};
use super::timers::{DELAY, REMEMBERED, Timers, later};
use super::{State, Tcp, event};

/// No window is scaled by more.
const MAX_SHIFT: u8 = 14;
/// The smallest segment that anybody may ask for.
const MIN_PEER_SEGMENT_BYTES: usize = 48;
/// So many segments are acknowledged at once at the beginning.
const QUICK_ANSWERS: u8 = 16;

/// When what has come is acknowledged.
#[derive(Debug)]
pub(super) struct Answering {
    /// So many more at once.
    quick: u8,
    /// What comes is answered by data, which acknowledges it.
    is_dialogue: bool,
    /// The largest segment that has come.
    pub(super) segment_bytes: usize,
    /// Whether something has come since something was sent.
    has_heard: bool,
}

impl Default for Answering {
    fn default() -> Answering {
        Answering { quick: QUICK_ANSWERS, is_dialogue: false, segment_bytes: 536, has_heard: false }
    }
}

impl Tcp {
    /// What the other side says with SYN.
    pub(super) fn learn_from_syn(&mut self, now: SimTime, syn: &Segment) {
        self.stamps.begin(now, syn);
        self.has_sacks &= syn.offers_sacks;
        self.receiver.begin(syn.sequence);
        let bytes = syn.max_segment_bytes.map_or(super::MIN_SEGMENT_BYTES, usize::from);
        self.peer_segment_bytes = bytes.max(MIN_PEER_SEGMENT_BYTES);
        match syn.window_shift {
            Some(shift) => self.peer_shift = shift.min(MAX_SHIFT),
            None => (self.is_scaled, self.own_shift) = (false, 0),
        }
        self.window = syn.window.into();
        self.max_window = self.window;
        (self.window_sequence, self.window_acknowledged) = (syn.sequence, syn.acknowledged);
        self.congestion.begin(self.segment_bytes());
        self.fit_send_bytes();
    }

    pub(crate) fn arrive(&mut self, now: SimTime, segment: &Segment) {
        self.counts.received += 1;
        self.clock = now;
        self.timers.last_heard = now;
        match self.state {
            State::Closed => return,
            State::SynSent => return self.arrive_in_syn_sent(now, segment),
            _ => {}
        }
        let is_past = self.stamps.is_past(now, segment) && !segment.has(flag::RST);
        if is_past && segment.span() == 0 {
            return;
        }
        if is_past || !self.receiver.is_acceptable(segment.sequence, segment.end()) {
            if segment.has(flag::RST) {
                return;
            }
            if self.state == State::TimeWait && segment.has(flag::FIN) {
                self.timers.set_end(now, REMEMBERED);
            }
            return self.acknowledge();
        }
        if segment.has(flag::RST) {
            return match segment.sequence == self.receiver.next {
                true => self.be_reset(),
                false => self.acknowledge(),
            };
        }
        if segment.has(flag::SYN) {
            let is_answer = self.state == State::SynReceived && segment.has(flag::ACK);
            match self.state {
                State::SynReceived if is_answer => {}
                State::SynReceived => return self.send_syn(now),
                _ => return self.acknowledge(),
            }
        }
        if !segment.has(flag::ACK) {
            return;
        }
        if !segment.sequence.is_after(self.receiver.told) {
            self.stamps.note(now, segment);
        }
        if self.state == State::SynReceived {
            let ack = segment.acknowledged;
            if !ack.is_after(self.una) || ack.is_after(self.next) {
                self.output.extend(segment.refusal());
                return;
            }
            self.set_state(if self.has_end { State::FinWait1 } else { State::Established });
            self.events |= event::ROOM;
        }
        if !self.take_acknowledgement(now, segment) {
            return;
        }
        self.plan_keepalive(now);
        self.take_bytes(now, segment);
        if self.state != State::Closed {
            self.push(now, false);
        }
    }

    fn arrive_in_syn_sent(&mut self, now: SimTime, segment: &Segment) {
        let ack = segment.acknowledged;
        let is_acknowledged = segment.has(flag::ACK);
        if is_acknowledged && (!ack.is_after(self.initial) || ack.is_after(self.next)) {
            self.output.extend(segment.refusal());
            return;
        }
        if segment.has(flag::RST) {
            if is_acknowledged {
                self.fail(Errno::ECONNREFUSED);
            }
            return;
        }
        if !segment.has(flag::SYN) {
            return;
        }
        self.learn_from_syn(now, segment);
        if !is_acknowledged {
            // Both have asked at the same time.
            self.set_state(State::SynReceived);
            return self.send_syn(now);
        }
        self.set_state(State::Established);
        self.events |= event::ROOM;
        if self.take_acknowledgement(now, segment) {
            self.acknowledge();
            self.plan_keepalive(now);
            self.take_bytes(now, segment);
            self.push(now, false);
        }
    }

    /// The other side has no such connection any more.
    fn be_reset(&mut self) {
        match self.state {
            State::SynReceived | State::TimeWait => self.close(),
            State::CloseWait => self.fail(Errno::EPIPE),
            _ => self.fail(Errno::ECONNRESET),
        }
    }

    /// It is over, but what is still under way could disturb another: TIME_WAIT.
    pub(super) fn remember(&mut self, now: SimTime) {
        self.unacknowledged = alloc::collections::VecDeque::new();
        self.scoreboard.clear();
        let timers = Timers { last_heard: self.timers.last_heard, ..Timers::default() };
        self.timers = timers;
        self.timers.set_end(now, REMEMBERED);
        self.set_state(State::TimeWait);
    }

    fn take_bytes(&mut self, now: SimTime, segment: &Segment) {
        let has_end = segment.has(flag::FIN);
        if segment.bytes.is_empty() && !has_end {
            return;
        }
        if !matches!(self.state, State::Established | State::FinWait1 | State::FinWait2) {
            return self.acknowledge();
        }
        let start = segment.sequence.plus(usize::from(segment.has(flag::SYN)));
        let is_news = start.plus(segment.bytes.len()).is_after(self.receiver.next);
        if self.is_deaf && self.state != State::Established && is_news {
            // Nobody will ever read it.
            self.abort();
            self.error = Some(Errno::ECONNRESET);
            self.events |= event::ERROR;
            return;
        }
        if segment.has(flag::URG)
            && self.receiver.set_urgent(segment.sequence.plus(segment.urgent.into()))
        {
            self.events |= event::URGENT;
        }
        let had_gap = self.receiver.has_gap();
        let had_ended = self.receiver.has_ended();
        let before = self.receiver.next;
        let is_full = segment.bytes.len() >= self.answering.segment_bytes;
        if is_full && !self.settings.is_receive_limit_fixed {
            let asked = self.stamps.echo(segment);
            let rtt_ns = asked.and_then(|echo| self.stamps.age_ns(now, echo));
            self.receiver.fit_limit(now, rtt_ns, self.answering.segment_bytes);
        }
        let is_new = self.receiver.take(start, &segment.bytes, has_end);
        let bytes = self.receiver.next.since(before);
        self.counts.received_bytes += bytes as u64;
        if is_new {
            self.events |= event::INPUT;
        }
        self.answering.has_heard = true;
        self.answering.segment_bytes = self.answering.segment_bytes.max(segment.bytes.len());
        if self.receiver.has_ended() && !had_ended {
            self.counts.received_bytes -= 1;
            self.events |= event::INPUT | event::STATE;
            if self.state == State::Established {
                // What follows is expected to be its own end.
                self.answering.is_dialogue = true;
                self.timers.delayed = self.timers.delayed.min(later(now, DELAY));
                return self.set_state(State::CloseWait);
            }
            self.acknowledge();
            return match self.state {
                State::FinWait1 => self.set_state(State::Closing),
                _ => self.remember(now),
            };
        }
        let untold = self.receiver.next.since(self.receiver.told);
        let is_quick = self.answering.quick > 0 && !self.answering.is_dialogue;
        let is_wide = self.receiver.next_window(self.segment_bytes()) >= self.receiver.window();
        let is_enough = untold > self.answering.segment_bytes && is_wide;
        if !is_new || had_gap || is_quick || is_enough {
            self.acknowledge();
        } else if self.timers.delayed == SimTime::MAX {
            self.timers.delayed = later(now, DELAY);
        }
    }

    /// Something was acknowledged.
    pub(super) fn quick_answers_used(&mut self) {
        self.answering.quick = self.answering.quick.saturating_sub(1);
    }
    /// Data is sent, perhaps as an answer.
    pub(super) fn note_answer(&mut self) {
        self.answering.is_dialogue |= core::mem::take(&mut self.answering.has_heard);
    }
    /// TCP_QUICKACK.
    pub(crate) fn set_quick_answers(&mut self, is_on: bool) {
        self.answering.is_dialogue = !is_on;
        if is_on {
            self.answering.quick = QUICK_ANSWERS;
            if self.timers.delayed != SimTime::MAX {
                self.acknowledge();
            }
        }
    }
    pub(crate) fn has_quick_answers(&self) -> bool {
        !self.answering.is_dialogue
    }

    /// How much can be read in order.
    pub(crate) fn unread_bytes(&self) -> usize {
        self.receiver.unread_bytes()
    }
    /// Some of what can be read behind the first `skipped` bytes, up to urgent data that is not among the others.
    pub(crate) fn unread(&self, skipped: usize) -> &[u8] {
        let bytes = self.receiver.unread(skipped);
        let is_inline = self.settings.is_urgent_inline;
        bytes.get(..self.receiver.unread_before_urgent(skipped, is_inline)).unwrap_or(bytes)
    }
    /// The first bytes have been read.
    pub(crate) fn consume(&mut self, bytes: usize) {
        let may_grow = !self.settings.is_receive_limit_fixed;
        self.receiver.consume(bytes, may_grow);
        if matches!(
            self.state,
            State::SynSent | State::SynReceived | State::TimeWait | State::Closed
        ) {
            return;
        }
        let untold = self.receiver.next.since(self.receiver.told);
        let is_all = self.receiver.unread_bytes() == 0 && !self.answering.is_dialogue;
        let is_late = self.timers.delayed != SimTime::MAX
            && (untold > self.answering.segment_bytes || is_all);
        let window = self.receiver.window();
        let is_narrow = 2 * window <= self.receiver.limit_bytes();
        let new = if is_narrow { self.receiver.next_window(self.segment_bytes()) } else { 0 };
        if is_late || new > 0 && new >= 2 * window {
            self.acknowledge();
        }
    }

    /// The urgent byte that was not read: `Err` if it is still to come.
    pub(crate) fn urgent(&self) -> Option<Result<u8, ()>> {
        self.receiver.urgent()
    }
    /// It has been read by itself.
    pub(crate) fn take_urgent(&mut self) {
        self.receiver.take_urgent();
    }
    /// Whether what is next to be read is the urgent byte.
    pub(crate) fn is_at_urgent(&self) -> bool {
        self.receiver.is_at_urgent()
    }
}
