//! What TCP_INFO tells: `struct tcp_info` of Linux; and what is told of an end when it is gone.
//!
//! An end in, bytes or figures out. Always true: what is not measured here is zero.

use shim_abi::SimTime;

use super::congestion::Phase;
use super::{State, Tcp};
use crate::memory::Layout;
use crate::net::ledger::Amount;

/// Bytes of the structure.
pub(crate) const INFO_BYTES: usize = 280;

/// What is counted for it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: u32,
    pub(super) received: u32,
    pub(super) resent: u32,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) acknowledged_bytes: u64,
}

impl State {
    /// The number by which Linux shows it.
    pub(crate) fn number(self) -> u8 {
        match self {
            State::Established => 1,
            State::SynSent => 2,
            State::SynReceived => 3,
            State::FinWait1 => 4,
            State::FinWait2 => 5,
            State::TimeWait => 6,
            State::Closed => 7,
            State::CloseWait => 8,
            State::LastAck => 9,
            State::Closing => 11,
        }
    }
}

/// What an end has carried.
pub(crate) struct Counted {
    pub(crate) sent: Amount,
    pub(crate) received: Amount,
    pub(crate) resent: u64,
    /// The least, and the smoothed one.
    pub(crate) round_trip_ns: Option<(u64, u64)>,
}

impl Tcp {
    /// What it has carried so far.
    pub(crate) fn counted(&self) -> Counted {
        let counts = &self.counts;
        let amount = |segments: u32, bytes| Amount { datagrams: segments.into(), bytes };
        let smoothed_ns = self.estimate.smoothed_ns;
        let least_ns = self.scoreboard.least_rtt_ns().filter(|_| smoothed_ns > 0);
        Counted {
            sent: amount(counts.sent, counts.sent_bytes),
            received: amount(counts.received, counts.received_bytes),
            resent: counts.resent.into(),
            round_trip_ns: least_ns.map(|least_ns| (least_ns, smoothed_ns)),
        }
    }

    /// A `struct tcp_info`.
    pub(crate) fn info(&self, now: SimTime) -> Layout<INFO_BYTES> {
        const TCPI_OPT_TIMESTAMPS: u8 = 1;
        const TCPI_OPT_SACK: u8 = 2;
        const TCPI_OPT_WSCALE: u8 = 4;
        const DISORDER: u8 = 1;
        const RECOVERY: u8 = 3;
        const LOSS: u8 = 4;
        let mut layout = Layout::new();
        let (congestion, estimate) = (&self.congestion, &self.estimate);
        // A user sees a connection that is only remembered as closed.
        let state = if self.state == State::TimeWait { State::Closed } else { self.state };
        let retries = estimate.backoff.min(u8::MAX.into()) as u8;
        let ca_state = match congestion.phase() {
            Phase::Loss => LOSS,
            Phase::Recovery => RECOVERY,
            Phase::Open if self.scoreboard.arrived() > 0 || self.duplicates > 0 => DISORDER,
            Phase::Open => 0,
        };
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        let options = bit(self.stamps.is_on, TCPI_OPT_TIMESTAMPS)
            | bit(self.has_sacks, TCPI_OPT_SACK)
            | bit(self.is_scaled, TCPI_OPT_WSCALE);
        let first = [state.number(), ca_state, retries, self.timers.window_probes as u8];
        layout.u32(0, u32::from_le_bytes(first));
        let shifts = if self.is_scaled { self.peer_shift | self.own_shift << 4 } else { 0 };
        layout.u32(4, u32::from_le_bytes([retries, options, shifts, 0]));
        let us = |ns: u64| (ns / 1000) as u32;
        let segment_bytes = self.segment_bytes();
        let flight = self.next.since(self.una).div_ceil(segment_bytes.max(1));
        let since_heard = match self.timers.last_heard {
            SimTime::ZERO => 0,
            heard => (now.since(heard).as_ns() / 1_000_000) as u32,
        };
        for (at, value) in [
            (8, us(estimate.timeout().as_ns())),
            (12, 40_000),
            (16, segment_bytes as u32),
            (20, self.answering.segment_bytes as u32),
            (24, flight as u32),
            (28, self.scoreboard.arrived() as u32),
            (32, self.scoreboard.lost_bytes().div_ceil(segment_bytes.max(1)) as u32),
            (52, since_heard),
            (56, since_heard),
            (60, (self.settings.way_segment_bytes + 40) as u32),
            (64, self.receiver.limit_bytes() as u32),
            (68, us(estimate.smoothed_ns)),
            (72, us(estimate.variation_ns)),
            (76, u32::try_from(congestion.threshold).unwrap_or(i32::MAX as u32)),
            (80, congestion.window.div_ceil(segment_bytes.max(1)) as u32),
            (84, self.own_segment_bytes().saturating_sub(self.stamps.bytes()) as u32),
            (88, 3),
            (96, self.receiver.limit_bytes() as u32),
            (100, self.counts.resent),
            (136, self.counts.sent),
            (140, self.counts.received),
            (144, self.unsent_bytes() as u32),
            (148, us(self.scoreboard.least_rtt_ns().unwrap_or(u32::MAX.into()))),
            (228, self.window as u32),
            (232, self.receiver.window() as u32),
        ] {
            layout.u32(at, value);
        }
        layout.u64(120, self.counts.acknowledged_bytes);
        layout.u64(128, self.counts.received_bytes);
        layout.u64(200, self.counts.sent_bytes);
        layout
    }
}
