//! What is made of acknowledgements: what has arrived, how long it took, what is lost and is sent again.
//!
//! Acknowledgements and instants in, segments out. Always true: a loss is seen by what was sent later and has arrived
//! (RACK, RFC 8985), or by a probe of the end (TLP); only when neither tells anything is it the timeout that does. With a
//! side that offers no SACK three equal acknowledgements tell of one loss at a time (RFC 6582).

use shim_abi::{SimDuration, SimTime};

use super::congestion::{Arrival, Phase};
use super::estimate::MIN_TIMEOUT_NS;
use super::scoreboard::News;
use super::segment::{Segment, Sequence, flag};
use super::timers::later;
use super::{State, Tcp, event};

/// So many equal acknowledgements tell of a loss.
const DUPLICATES: u32 = 3;
/// An answer to more than one segment may come later than usual by so much.
const TAIL_SLACK_NS: u64 = 2_000_000;

/// What was sent to hear of a loss at the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    /// Where it ends.
    end: Sequence,
    /// Its stamp, if it was sent before.
    stamp: Option<u32>,
}

impl Tcp {
    /// Bytes that are under way, as far as is known.
    pub(super) fn flight_bytes(&self) -> usize {
        let gone = self.duplicates as usize * self.segment_bytes();
        self.scoreboard.out_bytes().saturating_sub(gone)
    }

    /// Whether the segment makes sense.
    pub(super) fn take_acknowledgement(&mut self, now: SimTime, segment: &Segment) -> bool {
        let ack = segment.acknowledged;
        if ack.is_after(self.next) {
            self.acknowledge();
            return false;
        }
        if !ack.is_before(self.una) {
            self.soft_error = None;
        }
        let shift = if segment.has(flag::SYN) { 0 } else { self.peer_shift };
        let window = usize::from(segment.window) << shift;
        let is_duplicate = ack == self.una
            && self.una != self.next
            && segment.span() == 0
            && window == self.window;
        if ack.is_after(self.una)
            || segment.sequence.is_after(self.window_sequence)
            || segment.sequence == self.window_sequence && window > self.window
        {
            if self.window == 0 && window > 0 && self.una == self.next {
                self.estimate.backoff = 0;
                self.timers.window_probes = 0;
            }
            self.window = window;
            self.max_window = self.max_window.max(window);
            (self.window_sequence, self.window_acknowledged) = (segment.sequence, ack);
        }
        let flight = self.flight_bytes();
        let has_advanced = ack.is_after(self.una);
        let mut news = News::default();
        if has_advanced {
            self.duplicates = 0;
            self.advance(now, ack, &mut news);
        } else if is_duplicate && !self.has_sacks {
            self.duplicates += 1;
        }
        if self.is_closed() {
            return true;
        }
        if self.has_sacks {
            self.scoreboard.take_blocks(now, &segment.sacks, &mut news);
        }
        let echo = self.stamps.echo(segment).filter(|_| has_advanced);
        self.measure(now, news.rtt_ns, echo);
        if let Some(echo) = echo {
            self.look_for_undo(echo);
        }
        self.look_for_losses(now, &news, has_advanced, echo);
        let is_limited = flight + self.segment_bytes() > self.congestion.window
            || self.congestion.window < self.congestion.threshold
                && 2 * flight >= self.congestion.window;
        if news.bytes > 0 || self.duplicates > 0 {
            let arrival = Arrival { is_limited, has_advanced, ..self.arrival(now, &news) };
            self.congestion.grow(&arrival);
        }
        if self.lacks_room {
            self.fit_send_bytes();
        }
        if self.lacks_room && self.is_writable() {
            self.lacks_room = false;
            self.events |= event::ROOM;
        }
        if has_advanced {
            self.timers.resend = SimTime::MAX;
            self.timers.waiting_since = SimTime::MAX;
            self.plan_resending(now);
            self.plan_probe(now);
        } else if news.bytes > 0 {
            self.plan_probe(now);
        }
        true
    }

    /// How things are when this is news.
    fn arrival(&self, now: SimTime, news: &News) -> Arrival {
        Arrival {
            now,
            bytes: news.bytes,
            segment_bytes: self.segment_bytes(),
            rtt_ns: self.estimate.smoothed_ns,
            sample_ns: news.rtt_ns,
            una: self.una,
            next: self.next,
            flight: self.flight_bytes(),
            is_limited: false,
            has_advanced: false,
        }
    }

    /// Everything before `ack` has arrived.
    fn advance(&mut self, now: SimTime, ack: Sequence, news: &mut News) {
        let end = self.una.plus(self.unacknowledged.len());
        let is_syn = self.una == self.initial;
        let first = self.una.plus(usize::from(is_syn));
        let bytes = ack.since(first).min(self.unacknowledged.len());
        let is_end_taken = self.has_end && !is_syn && ack.is_after(end);
        self.unacknowledged.drain(..bytes);
        if self.unacknowledged.is_empty() {
            self.unacknowledged.shrink_to(4096);
        }
        self.counts.acknowledged_bytes += bytes as u64;
        self.una = ack;
        self.urgent_end = self.urgent_end.filter(|urgent| urgent.is_after(ack));
        self.scoreboard.acknowledge(now, ack, news);
        self.estimate.backoff = 0;
        if is_end_taken {
            match self.state {
                State::FinWait1 => {
                    self.set_state(State::FinWait2);
                    if self.is_orphan {
                        self.timers.set_end(now, self.settings.fin_timeout);
                    }
                }
                State::Closing => self.remember(now),
                State::LastAck => self.close(),
                _ => {}
            }
        }
    }

    /// Learn how long an answer takes: from what was sent once, or else from its stamp.
    fn measure(&mut self, now: SimTime, rtt_ns: Option<u64>, echo: Option<u32>) {
        let aged = || echo.and_then(|echo| self.stamps.age_ns(now, echo));
        if let Some(ns) = rtt_ns.or_else(aged) {
            self.estimate.measure(ns, self.una, self.next);
        }
    }

    /// What was sent again may not have been lost, only late.
    fn look_for_undo(&mut self, echo: u32) {
        if self.congestion.undo(echo) {
            self.scoreboard.unlose();
        }
    }

    fn look_for_losses(
        &mut self,
        now: SimTime,
        news: &News,
        has_advanced: bool,
        echo: Option<u32>,
    ) {
        let segment_bytes = self.segment_bytes();
        if let Some(tail) = self.tail.filter(|tail| !self.una.is_before(tail.end)) {
            self.tail = None;
            // Who answers to the probe has not had what it repeats.
            let is_loss = |(stamp, echo): (u32, u32)| !Sequence(echo).is_before(Sequence(stamp));
            if self.congestion.phase() == Phase::Open && tail.stamp.zip(echo).is_some_and(is_loss) {
                self.congestion.slow_down(segment_bytes);
            }
        }
        let was_recovering = self.congestion.phase() == Phase::Recovery;
        if has_advanced {
            self.congestion.note_acknowledged(self.una, segment_bytes);
        }
        let is_recovering = self.congestion.phase() != Phase::Open;
        if self.has_sacks {
            if news.bytes > 0 {
                self.find_losses(now);
            }
        } else if has_advanced && was_recovering && is_recovering {
            // A part: the next hole begins here.
            self.scoreboard.lose_first();
        } else if self.duplicates == DUPLICATES && !is_recovering {
            self.scoreboard.lose_first();
        }
        self.begin_recovery();
    }

    /// See what is lost by what has arrived.
    fn find_losses(&mut self, now: SimTime) {
        let is_recovering = self.congestion.phase() != Phase::Open;
        self.timers.reorder = self.scoreboard.find_losses(now, is_recovering);
    }

    fn begin_recovery(&mut self) {
        if self.scoreboard.lost_bytes() > 0 && self.congestion.phase() == Phase::Open {
            self.tail = None;
            self.congestion.recover(self.next, self.segment_bytes());
        }
    }

    /// What may have been overtaken only has not come: it is lost.
    pub(super) fn give_up_waiting(&mut self, now: SimTime) {
        self.find_losses(now);
        self.begin_recovery();
        if self.congestion.phase() == Phase::Recovery {
            let arrival = self.arrival(now, &News::default());
            self.congestion.grow(&arrival);
        }
        self.push(now, false);
    }

    /// Nothing was heard in time: all that is under way is taken for lost.
    pub(super) fn time_out(&mut self, now: SimTime) {
        self.estimate.backoff += 1;
        if matches!(self.state, State::SynSent | State::SynReceived) {
            self.counts.resent += 1;
            return self.send_syn(now);
        }
        self.congestion.time_out(self.next, self.segment_bytes());
        self.scoreboard.lose_all();
        (self.duplicates, self.tail) = (0, None);
        (self.timers.probe, self.timers.reorder) = (SimTime::MAX, SimTime::MAX);
        self.resend(now, 0);
        self.timers.resend = later(now, self.estimate.timeout());
    }

    /// Set the timer after which the end is probed.
    pub(super) fn plan_probe(&mut self, now: SimTime) {
        let is_wanted = self.has_sacks
            && self.tail.is_none()
            && self.estimate.smoothed_ns > 0
            && self.congestion.phase() == Phase::Open
            && self.una != self.next
            && self.scoreboard.arrived() == 0
            && self.scoreboard.lost_bytes() == 0
            && self.is_synchronized();
        self.timers.probe = if is_wanted {
            // A single segment may be acknowledged late.
            let is_single = self.scoreboard.len() == 1;
            let slack_ns = if is_single { MIN_TIMEOUT_NS } else { TAIL_SLACK_NS };
            let after = SimDuration::from_ns(2 * self.estimate.smoothed_ns + slack_ns);
            later(now, after).min(self.timers.resend)
        } else {
            SimTime::MAX
        };
    }

    /// Nothing was heard for a while: send something that is answered, so that a loss at the end is seen.
    pub(super) fn probe_tail(&mut self, now: SimTime) {
        let Some(last) = self.scoreboard.len().checked_sub(1) else { return };
        let next = self.next;
        self.push_probe(now);
        let is_new = self.next != next;
        if !is_new {
            self.resend(now, last);
        }
        let stamp = self.stamps.is_on.then(|| self.stamps.clock(now)).filter(|_| !is_new);
        self.tail = Some(Tail { end: self.next, stamp });
        self.timers.probe = SimTime::MAX;
        self.timers.resend = later(now, self.estimate.timeout());
    }
}
