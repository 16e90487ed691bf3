//! What happens by itself: what is sent again, answers that were put off, signs of life, ends.
//!
//! Instants in, segments out. Always true: a timer that is not set is at the end of time.

use shim_abi::{SimDuration, SimTime};

use super::segment::{Segment, flag};
use super::{State, Tcp};

/// How long an acknowledgement may be put off.
pub(super) const DELAY: SimDuration = SimDuration::from_ns(40_000_000);
/// How long TCP_CORK holds a part of a segment back.
pub(super) const CORK: SimDuration = SimDuration::from_ns(200_000_000);
/// How long a connection that is over is remembered: TIME_WAIT.
pub(super) const REMEMBERED: SimDuration = SimDuration::from_secs(60);
/// How often data is sent again before it is given up, and an answer to SYN; data that nobody owns.
const MAX_RETRIES: u32 = 15;
const MAX_ANSWERS: u32 = 5;
const MAX_ORPHAN_RETRIES: u32 = 8;

#[derive(Debug)]
pub(super) struct Timers {
    /// The first byte that is not acknowledged is sent again, or the window asked for.
    pub(super) resend: SimTime,
    /// The end is probed.
    pub(super) probe: SimTime,
    /// What was overtaken by then is lost.
    pub(super) reorder: SimTime,
    /// What has come is acknowledged.
    pub(super) delayed: SimTime,
    /// A part of a segment is sent although more could come.
    pub(super) cork: SimTime,
    /// A sign of life is asked for.
    pub(super) alive: SimTime,
    /// It is over.
    pub(super) end: SimTime,
    /// When something last came, and since when something waits to be acknowledged.
    pub(super) last_heard: SimTime,
    pub(super) waiting_since: SimTime,
    /// How many signs of life were asked for, and windows.
    pub(super) asked: u32,
    pub(super) window_probes: u32,
}

impl Default for Timers {
    fn default() -> Timers {
        let never = SimTime::MAX;
        Timers {
            resend: never,
            probe: never,
            reorder: never,
            delayed: never,
            cork: never,
            alive: never,
            end: never,
            last_heard: SimTime::ZERO,
            waiting_since: never,
            asked: 0,
            window_probes: 0,
        }
    }
}

impl Timers {
    pub(super) fn set_end(&mut self, now: SimTime, after: SimDuration) {
        self.end = later(now, after);
    }
}

pub(super) fn later(now: SimTime, by: SimDuration) -> SimTime {
    SimTime::from_ns(now.as_ns().saturating_add(by.as_ns()))
}

impl Tcp {
    /// When it wants to be called again.
    pub(crate) fn deadline(&self) -> SimTime {
        let timers = &self.timers;
        let sending = timers.resend.min(timers.probe).min(timers.reorder);
        let others = timers.delayed.min(timers.cork).min(timers.alive).min(timers.end);
        sending.min(others)
    }

    /// Do what is due.
    pub(crate) fn expire(&mut self, now: SimTime) {
        self.clock = now;
        if self.timers.end <= now {
            return self.close();
        }
        if self.timers.delayed <= now {
            self.acknowledge();
        }
        if self.timers.cork <= now {
            self.timers.cork = SimTime::MAX;
            self.push_corked(now);
        }
        if self.timers.reorder <= now {
            self.timers.reorder = SimTime::MAX;
            self.give_up_waiting(now);
        }
        if self.timers.probe <= now {
            self.probe_tail(now);
        }
        if self.timers.resend <= now {
            self.timers.resend = SimTime::MAX;
            self.send_again(now);
        }
        if self.timers.alive <= now {
            self.ask_for_life(now);
        }
    }

    fn send_again(&mut self, now: SimTime) {
        if self.una == self.next {
            return self.ask_for_window(now);
        }
        let tries = self.estimate.backoff;
        let limit = match self.state {
            State::SynSent => self.settings.syn_retries,
            State::SynReceived => MAX_ANSWERS,
            _ if self.is_orphan => MAX_ORPHAN_RETRIES,
            _ => MAX_RETRIES,
        };
        if self.is_out_of_time(now, tries >= limit) {
            return self.give_up();
        }
        self.time_out(now);
    }

    /// Whether somebody has waited too long for an answer.
    fn is_out_of_time(&self, now: SimTime, is_tired: bool) -> bool {
        let limit = self.settings.user_timeout;
        let since = self.timers.waiting_since;
        match limit.as_ns() {
            0 => is_tired,
            _ => since != SimTime::MAX && later(since, limit) <= now,
        }
    }

    /// The other side's window is shut: ask whether it still is.
    fn ask_for_window(&mut self, now: SimTime) {
        if self.unacknowledged.is_empty() && !self.has_end_to_send() {
            return;
        }
        if self.is_out_of_time(now, self.timers.window_probes >= MAX_RETRIES) {
            return self.give_up();
        }
        self.timers.window_probes += 1;
        self.estimate.backoff += 1;
        self.send_probe();
        self.timers.resend = later(now, self.estimate.timeout());
    }

    /// A segment that the other side has seen already, and answers.
    pub(super) fn send_probe(&mut self) {
        let segment = Segment {
            sequence: self.una.minus(1),
            flags: flag::ACK,
            ..self.segment_now(flag::ACK)
        };
        self.emit(segment);
    }

    /// SO_KEEPALIVE was set, or something has come.
    pub(crate) fn plan_keepalive(&mut self, now: SimTime) {
        let is_on = self.settings.is_kept_alive
            && matches!(
                self.state,
                State::Established | State::CloseWait | State::FinWait1 | State::FinWait2
            );
        self.timers.asked = 0;
        let since =
            if self.timers.last_heard == SimTime::ZERO { now } else { self.timers.last_heard };
        self.timers.alive =
            if is_on { later(since, self.settings.keep_idle).max(now) } else { SimTime::MAX };
    }

    fn ask_for_life(&mut self, now: SimTime) {
        let settings = self.settings;
        // Whoever waits for an acknowledgement learns of an end by that.
        if self.una != self.next || !self.unacknowledged.is_empty() {
            self.timers.alive = later(now, settings.keep_idle);
            return;
        }
        let is_over = match settings.user_timeout.as_ns() {
            0 => self.timers.asked >= settings.keep_count,
            _ => {
                self.timers.asked > 0 && later(self.timers.last_heard, settings.user_timeout) <= now
            }
        };
        if is_over {
            self.abort();
            return self.give_up();
        }
        self.timers.asked += 1;
        self.send_probe();
        self.timers.alive = later(now, settings.keep_interval);
    }
}
