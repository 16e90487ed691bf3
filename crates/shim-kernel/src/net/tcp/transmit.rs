//! What is sent, and when.
//!
//! What is to be sent in, segments out. Always true: no more is under way than the other side's window and the way's
//! allow; a small segment is not sent while another one is under way (Nagle's rule, as Minshall and Linux have it), nor
//! while TCP_CORK holds it back; whatever is sent acknowledges what has come.

use shim_abi::SimTime;

use super::segment::{Segment, Sequence, flag};
use super::timers::{CORK, later};
use super::{MIN_SEGMENT_BYTES, State, Tcp};

/// A window of a segment that is not scaled.
const MAX_FIELD: usize = u16::MAX as usize;
/// No segment is told to carry less, whatever stands in its header.
const MIN_PAYLOAD_BYTES: usize = 36;
/// Blocks of SACK that a header has room for, beside timestamps or without.
const MAX_BLOCKS: usize = 4;
/// What a segment costs beside its bytes, as Linux reckons, and its buffer; for how many there is room in any case.
const SEGMENT_COST_BYTES: usize = 640;
const BUFFER_COST_BYTES: usize = 256;
const LEAST_SEGMENTS: usize = 10;
/// The most that may wait to be acknowledged: the last number of net.ipv4.tcp_wmem.
const MAX_SEND_BYTES: usize = 4 << 20;
/// Bytes of SACK and of each of its blocks, with those that align it.
const SACK_BYTES: usize = 4;
const BLOCK_BYTES: usize = 8;

impl Tcp {
    /// How much a segment may carry.
    pub(crate) fn segment_bytes(&self) -> usize {
        let settings = &self.settings;
        let mut bytes = self.peer_segment_bytes.min(settings.way_segment_bytes);
        if settings.user_segment_bytes > 0 {
            bytes = bytes.min(settings.user_segment_bytes);
        }
        bytes = bytes.saturating_sub(self.stamps.bytes()).max(MIN_PAYLOAD_BYTES);
        // As on Linux no more than half of the largest window, so that two fit.
        match self.max_window {
            0 => bytes,
            window if window > MIN_SEGMENT_BYTES => bytes.min((window / 2).max(68)),
            window => bytes.min(window.max(68)),
        }
    }
    /// How much it says that a segment may carry.
    pub(crate) fn own_segment_bytes(&self) -> usize {
        let (way, user) = (self.settings.way_segment_bytes, self.settings.user_segment_bytes);
        if user > 0 { way.min(user) } else { way }
    }

    /// How much a segment may carry now that is to tell what has come behind gaps.
    fn payload_bytes(&self) -> usize {
        let bytes = self.segment_bytes();
        match self.block_count() {
            0 => bytes,
            count => bytes.saturating_sub(SACK_BYTES + BLOCK_BYTES * count).max(MIN_PAYLOAD_BYTES),
        }
    }
    /// How many blocks a segment tells of.
    fn block_count(&self) -> usize {
        let most = MAX_BLOCKS - usize::from(self.stamps.is_on);
        if self.has_sacks { self.receiver.gaps().min(most) } else { 0 }
    }

    /// Let as much wait to be acknowledged as the way needs: Linux reckons with two windows, and with what a segment costs.
    pub(super) fn fit_send_bytes(&mut self) {
        let segment_bytes = self.peer_segment_bytes.min(self.own_segment_bytes());
        let cost = (segment_bytes + SEGMENT_COST_BYTES).next_power_of_two() + BUFFER_COST_BYTES;
        let segments = self.congestion.window / self.segment_bytes().max(1);
        let bytes = 2 * cost * segments.max(LEAST_SEGMENTS);
        self.send_bytes = self.send_bytes.max(bytes.min(MAX_SEND_BYTES));
    }

    /// A segment without bytes, as things are.
    pub(super) fn segment_now(&mut self, flags: u8) -> Segment {
        let segment_bytes = self.segment_bytes();
        let window = self.receiver.announce(segment_bytes, self.own_shift);
        let (sequence, acknowledged) = (self.next, self.receiver.next);
        let sacks = self.receiver.blocks(self.block_count());
        let stamps = self.stamps.option(self.clock);
        Segment { sequence, acknowledged, flags, window, sacks, stamps, ..Segment::default() }
    }

    pub(super) fn emit(&mut self, segment: Segment) {
        if segment.has(flag::ACK) {
            self.timers.delayed = SimTime::MAX;
            self.quick_answers_used();
        }
        self.counts.sent += 1;
        self.output.push(segment);
    }

    /// Acknowledge what has come.
    pub(super) fn acknowledge(&mut self) {
        let segment = self.segment_now(flag::ACK);
        self.emit(segment);
    }

    /// Ask for a connection, or agree to one.
    pub(super) fn send_syn(&mut self, now: SimTime) {
        self.clock = now;
        let is_answer = self.state == State::SynReceived;
        let is_again = self.next != self.initial;
        self.next = self.initial;
        let mut segment = self.segment_now(flag::SYN);
        // The field of a SYN is not scaled; as on Linux it holds whole segments.
        let room = self.receiver.limit_bytes().min(MAX_FIELD);
        let stamp_bytes = if is_answer { self.stamps.bytes() } else { 0 };
        let unit = self.own_segment_bytes().saturating_sub(stamp_bytes).max(1);
        segment.window = if room > unit { room - room % unit } else { room } as u16;
        segment.acknowledged = if is_answer { self.receiver.next } else { Sequence(0) };
        segment.flags = if is_answer { flag::SYN | flag::ACK } else { flag::SYN };
        segment.max_segment_bytes = u16::try_from(self.own_segment_bytes()).ok();
        segment.window_shift = self.is_scaled.then_some(self.own_shift);
        segment.offers_sacks = self.has_sacks;
        if !is_again {
            self.timers.waiting_since = now;
        }
        self.next = segment.end();
        self.scoreboard.clear();
        self.scoreboard.add(now, self.initial, self.next, is_again);
        self.emit(segment);
        self.timers.resend = later(now, self.estimate.timeout());
    }

    /// The number of the end, if it ends.
    fn end_sequence(&self) -> Sequence {
        self.una.plus(self.unacknowledged.len())
    }
    /// Whether the end is still to be sent.
    pub(super) fn has_end_to_send(&self) -> bool {
        let is_ending = matches!(self.state, State::FinWait1 | State::LastAck | State::Closing);
        self.has_end && is_ending && !self.next.is_after(self.end_sequence())
    }

    /// Send what may be sent; `has_more`: the caller is about to write more.
    pub(crate) fn push(&mut self, now: SimTime, has_more: bool) {
        self.push_up_to(now, has_more || self.settings.is_corked, false);
    }
    /// Send what was held back.
    pub(super) fn push_corked(&mut self, now: SimTime) {
        self.push_up_to(now, false, true);
    }
    /// An option was changed that may have held something back.
    pub(crate) fn push_pending(&mut self, now: SimTime) {
        let is_corked = self.settings.is_corked;
        self.push_up_to(now, is_corked, !is_corked);
    }

    fn push_up_to(&mut self, now: SimTime, is_corked: bool, is_forced: bool) {
        let can_send = matches!(
            self.state,
            State::Established
                | State::CloseWait
                | State::FinWait1
                | State::Closing
                | State::LastAck
        );
        if !can_send {
            return;
        }
        self.clock = now;
        self.resend_lost(now);
        let next = self.next;
        loop {
            let segment_bytes = self.payload_bytes();
            let end = self.end_sequence();
            if self.next.is_after(end) {
                break;
            }
            let unsent = end.since(self.next);
            let flight = self.next.since(self.una);
            let room = self.congestion.window.saturating_sub(self.flight_bytes());
            let room = room.min(self.window.saturating_sub(flight));
            let bytes = unsent.min(room).min(segment_bytes);
            let is_last = bytes == unsent;
            let has_end = is_last && self.has_end_to_send();
            let is_nothing = bytes == 0 && !(has_end && unsent == 0);
            if is_nothing || self.settings.device_room_bytes == 0 {
                break;
            }
            if bytes < segment_bytes && !has_end && !is_forced {
                let is_small_window = !is_last && bytes < self.max_window / 2;
                let has_small = self.small_end.is_after(self.una) && flight > 0;
                let waits_for_small = is_last && !self.settings.has_no_delay && has_small;
                if is_last && is_corked {
                    if self.timers.cork == SimTime::MAX && flight == 0 {
                        self.timers.cork = later(now, CORK);
                    }
                    break;
                }
                if waits_for_small || is_small_window && flight > 0 {
                    break;
                }
                if is_last {
                    self.small_end = end;
                }
            }
            if flight == 0 {
                let timeout_ns = self.estimate.timeout().as_ns();
                self.congestion.wake(now, timeout_ns, segment_bytes);
            }
            self.send_next(now, bytes, has_end);
        }
        self.plan_resending(now);
        if self.next != next {
            self.plan_probe(now);
        }
    }

    /// Send `bytes` bytes that were never sent.
    fn send_next(&mut self, now: SimTime, bytes: usize, has_end: bool) {
        let start = self.next;
        self.next = start.plus(bytes + usize::from(has_end));
        self.scoreboard.add(now, start, self.next, false);
        self.send_from(now, start, bytes, has_end);
    }

    /// Send a full segment more than the way allows, if there is one, and the other side allows it.
    pub(super) fn push_probe(&mut self, now: SimTime) {
        let (end, flight) = (self.end_sequence(), self.next.since(self.una));
        let unsent = if self.next.is_after(end) { 0 } else { end.since(self.next) };
        let bytes = self.payload_bytes();
        if bytes <= unsent && bytes + flight <= self.window {
            let has_end = bytes == unsent && self.has_end_to_send();
            self.send_next(now, bytes, has_end);
        }
    }

    /// Send what was lost, as far as the way allows.
    fn resend_lost(&mut self, now: SimTime) {
        while let Some(index) = self.scoreboard.first_lost() {
            let room = self.congestion.window.saturating_sub(self.flight_bytes());
            let Some(sent) = self.scoreboard.get(index) else { return };
            let is_full = room < sent.end.since(sent.start).min(self.payload_bytes());
            if is_full || self.settings.device_room_bytes == 0 {
                return;
            }
            self.resend(now, index);
        }
    }

    /// Send a segment once more.
    pub(super) fn resend(&mut self, now: SimTime, index: usize) {
        let Some(sent) = self.scoreboard.get(index) else { return };
        let limit = self.payload_bytes();
        let mut bytes = sent.end.since(sent.start).min(self.end_sequence().since(sent.start));
        let has_end = bytes <= limit && sent.end.is_after(self.end_sequence());
        if bytes > limit {
            self.scoreboard.split(index, limit);
            bytes = limit;
        }
        self.scoreboard.resend(now, index);
        self.congestion.note_resent(self.stamps.clock(now));
        self.counts.resent += 1;
        self.send_from(now, sent.start, bytes, has_end);
        if index == 0 {
            self.timers.resend = later(now, self.estimate.timeout());
        }
    }

    /// Send `bytes` bytes from `start` on, and perhaps the end behind them.
    fn send_from(&mut self, now: SimTime, start: Sequence, bytes: usize, has_end: bool) {
        let offset = start.since(self.una);
        let is_last = offset + bytes == self.unacknowledged.len();
        let mut flags = flag::ACK;
        if has_end {
            flags |= flag::FIN;
        }
        if is_last && bytes > 0 {
            flags |= flag::PSH;
            self.timers.cork = SimTime::MAX;
        }
        let mut segment = self.segment_now(flags);
        segment.sequence = start;
        segment.bytes = self.copy(offset, bytes);
        if let Some(urgent) = self.urgent_end.filter(|urgent| urgent.is_after(start)) {
            segment.flags |= flag::URG;
            segment.urgent = urgent.since(start).min(MAX_FIELD) as u16;
        }
        self.congestion.note_sent(now, segment.span());
        self.counts.sent_bytes += bytes as u64;
        if self.settings.device_room_bytes != usize::MAX {
            let room = self.settings.device_room_bytes;
            self.settings.device_room_bytes = room.saturating_sub(bytes);
        }
        self.note_answer();
        self.emit(segment);
    }

    /// Bytes from `una + offset` on.
    fn copy(&self, offset: usize, bytes: usize) -> alloc::vec::Vec<u8> {
        let (first, second) = self.unacknowledged.as_slices();
        let mut copy = alloc::vec::Vec::with_capacity(bytes);
        let end = offset + bytes;
        copy.extend_from_slice(first.get(offset..end.min(first.len())).unwrap_or_default());
        let from = offset.saturating_sub(first.len());
        copy.extend_from_slice(
            second.get(from..end.saturating_sub(first.len())).unwrap_or_default(),
        );
        copy
    }

    /// Set the timer for what is under way, or for a window that is shut.
    pub(super) fn plan_resending(&mut self, now: SimTime) {
        let has_flight = self.una != self.next;
        let waits = !self.unacknowledged.is_empty() || self.has_end_to_send();
        if has_flight {
            self.timers.window_probes = 0;
        }
        if !(has_flight || waits && self.window == 0) {
            self.timers.resend = SimTime::MAX;
        } else if self.timers.resend == SimTime::MAX {
            self.timers.resend = later(now, self.estimate.timeout());
        }
        if !has_flight && !waits {
            self.timers.waiting_since = SimTime::MAX;
        } else if self.timers.waiting_since == SimTime::MAX {
            self.timers.waiting_since = now;
        }
    }
}
