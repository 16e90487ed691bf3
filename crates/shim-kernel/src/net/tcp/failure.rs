//! What ICMP says of segments.
//!
//! Errnos and sizes in; ends, and segments that are sent again, out. Always true: nothing that is said of a segment which is
//! not under way counts; who is still asking for a connection gives it up at once, and who has one remembers what it was
//! told, until something is acknowledged, or it is given up with that instead of ETIMEDOUT.

use shim_abi::{Errno, SimTime};

use super::segment::Sequence;
use super::{State, Tcp};

impl Tcp {
    /// Whether a segment with this number may be under way.
    pub(crate) fn has_under_way(&self, number: Sequence) -> bool {
        !number.is_before(self.una) && !number.is_after(self.next)
    }

    /// The first number that is not acknowledged.
    #[cfg(test)]
    pub(crate) fn first_under_way(&self) -> Sequence {
        self.una
    }

    /// A segment did not get there.
    pub(crate) fn hear_failure(&mut self, errno: Errno) {
        match self.state {
            State::SynSent | State::SynReceived => self.fail(errno),
            State::Closed | State::TimeWait => {}
            _ => self.soft_error = Some(errno),
        }
    }

    /// The way carries no larger segments than this.
    pub(crate) fn narrow(&mut self, now: SimTime, segment_bytes: usize) {
        if segment_bytes >= self.settings.way_segment_bytes || self.is_closed() {
            return;
        }
        self.settings.way_segment_bytes = segment_bytes;
        if self.is_synchronized() && self.una != self.next {
            self.resend(now, 0);
        }
    }

    /// It is given up: nothing was acknowledged for too long.
    pub(super) fn give_up(&mut self) {
        self.fail(self.soft_error.unwrap_or(Errno::ETIMEDOUT));
    }
}
