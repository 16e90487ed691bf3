//! One end of a TCP connection: bytes and segments in, segments and events out.
//!
//! It knows no address and no other connection: segments come in by [`Tcp::arrive`] and go out by [`Tcp::take_output`],
//! time comes in with each call, and [`Tcp::deadline`] says when it wants to be called again. Rooms: `segment`,
//! `arrive` (what a segment does), `receive` (bytes that have come, in order or not), `transmit` (what is sent when),
//! `scoreboard` (what is under way), `recover` (what is made of acknowledgements and losses), `congestion` and `growth`
//! (how much may be under way), `estimate` (how long an answer takes), `stamps`, `timers`, `failure` (what ICMP says), `info` (TCP_INFO). Always true:
//! the first byte of `unacknowledged` is number `una`; what was said of the window is never taken back; buffers grow with
//! what is in them. RFC 9293, 5681, 2018, 7323, 8985, 6937, 9438 and 6298 say what is right, and Linux where they leave a
//! choice. Who listens and who waits is not here.

mod arrive;
mod congestion;
mod estimate;
mod failure;
mod growth;
mod info;
#[cfg(test)]
mod link_tests;
#[cfg(test)]
mod properties;
mod receive;
mod recover;
mod scoreboard;
mod segment;
mod stamps;
#[cfg(test)]
mod tests;
mod timers;
mod transmit;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use shim_abi::{Errno, SimDuration, SimTime};

use arrive::Answering;
use congestion::Congestion;
use estimate::Estimate;
pub(crate) use info::INFO_BYTES;
use receive::Receiver;
use recover::Tail;
use scoreboard::Scoreboard;
pub(crate) use segment::{Segment, Sequence, flag};
use stamps::Stamps;
use timers::Timers;

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
    Closed,
}

impl State {
    /// Whether the two sides have agreed, and it is not over.
    pub(crate) fn is_past_handshake(self) -> bool {
        !matches!(self, State::SynSent | State::SynReceived | State::Closed)
    }
    /// Whether this side has ended it, and the other has not acknowledged that.
    pub(crate) fn is_ending(self) -> bool {
        matches!(self, State::FinWait1 | State::Closing | State::LastAck)
    }
}

/// What has changed since somebody asked: see [`Tcp::take_events`].
pub(crate) mod event {
    /// Bytes have come.
    pub(crate) const INPUT: u8 = 1;
    /// There is room again for somebody who has found none.
    pub(crate) const ROOM: u8 = 2;
    /// The state is another.
    pub(crate) const STATE: u8 = 4;
    /// It has failed.
    pub(crate) const ERROR: u8 = 8;
    /// Urgent data has come.
    pub(crate) const URGENT: u8 = 16;
}

/// What a user may set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// The largest segment that the way carries, without headers.
    pub(crate) way_segment_bytes: usize,
    /// TCP_MAXSEG; 0: not set.
    pub(crate) user_segment_bytes: usize,
    /// How many bytes may wait to be acknowledged, if that is fixed; else it follows the way.
    pub(crate) send_limit_bytes: usize,
    pub(crate) is_send_limit_fixed: bool,
    /// How many more bytes the interface takes of this connection. What is sent is taken off; whoever sends it on gives it
    /// back, and calls [`Tcp::push`]. One segment goes as long as it is not 0; what is sent because nothing was heard goes
    /// in any case.
    pub(crate) device_room_bytes: usize,
    /// How many bytes may wait to be read, and whether that may grow.
    pub(crate) receive_limit_bytes: usize,
    pub(crate) is_receive_limit_fixed: bool,
    /// TCP_NODELAY, TCP_CORK, SO_KEEPALIVE, SO_OOBINLINE.
    pub(crate) has_no_delay: bool,
    pub(crate) is_corked: bool,
    pub(crate) is_kept_alive: bool,
    pub(crate) is_urgent_inline: bool,
    /// TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT.
    pub(crate) keep_idle: SimDuration,
    pub(crate) keep_interval: SimDuration,
    pub(crate) keep_count: u32,
    /// TCP_USER_TIMEOUT; zero: not set.
    pub(crate) user_timeout: SimDuration,
    /// TCP_CONGESTION: whether it is "reno".
    pub(crate) is_reno: bool,
    /// TCP_SYNCNT.
    pub(crate) syn_retries: u32,
    /// TCP_LINGER2: how long it waits for the other side's end when nobody uses it.
    pub(crate) fin_timeout: SimDuration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            way_segment_bytes: 1460,
            user_segment_bytes: 0,
            send_limit_bytes: 16_384,
            is_send_limit_fixed: false,
            device_room_bytes: usize::MAX,
            receive_limit_bytes: 65_536,
            is_receive_limit_fixed: false,
            has_no_delay: false,
            is_corked: false,
            is_kept_alive: false,
            is_urgent_inline: false,
            keep_idle: SimDuration::from_secs(7200),
            keep_interval: SimDuration::from_secs(75),
            keep_count: 9,
            user_timeout: SimDuration::from_ns(0),
            is_reno: false,
            syn_retries: 6,
            fin_timeout: SimDuration::from_secs(60),
        }
    }
}

/// The most that a receiver's limit grows to.
const MAX_RECEIVE_BYTES: usize = 3 << 20;
/// The segment that every way carries.
const MIN_SEGMENT_BYTES: usize = 536;

/// One end.
#[derive(Debug)]
pub(crate) struct Tcp {
    pub(crate) state: State,
    pub(crate) settings: Settings,
    /// Why it failed.
    pub(crate) error: Option<Errno>,
    /// What ICMP has said since something was last acknowledged.
    soft_error: Option<Errno>,
    /// Whether nobody uses it any more.
    is_orphan: bool,
    /// Whether its user reads nothing more.
    is_deaf: bool,
    /// The first number of its own.
    initial: Sequence,
    /// The first byte that is not acknowledged; the first that was never sent.
    una: Sequence,
    next: Sequence,
    /// Bytes from `una` on.
    unacknowledged: VecDeque<u8>,
    /// Whether an end follows them.
    has_end: bool,
    /// Where urgent data ends that was sent.
    urgent_end: Option<Sequence>,
    /// The other side's window, the largest that it had, and which segment said so.
    window: usize,
    max_window: usize,
    window_sequence: Sequence,
    window_acknowledged: Sequence,
    /// By how much windows are scaled: the other side's, and its own; none if one of them does not.
    peer_shift: u8,
    own_shift: u8,
    is_scaled: bool,
    /// The largest segment that the other side takes.
    peer_segment_bytes: usize,
    /// Where the last small segment ends.
    small_end: Sequence,
    /// How many bytes may wait to be acknowledged, as the way needs it.
    send_bytes: usize,
    /// Whether somebody has found no room.
    lacks_room: bool,
    receiver: Receiver,
    answering: Answering,
    /// Whether both sides tell what has come behind gaps, or this one offers to.
    has_sacks: bool,
    stamps: Stamps,
    scoreboard: Scoreboard,
    /// Equal acknowledgements of a side that does not tell what has come.
    duplicates: u32,
    /// What was sent to hear of a loss at the end.
    tail: Option<Tail>,
    estimate: Estimate,
    congestion: Congestion,
    timers: Timers,
    /// The last time that it has heard of.
    clock: SimTime,
    output: Vec<Segment>,
    events: u8,
    counts: info::Counts,
}

impl Tcp {
    fn new(state: State, settings: Settings, initial: Sequence) -> Tcp {
        let mut congestion = Congestion::default();
        congestion.set_reno(settings.is_reno);
        Tcp {
            state,
            settings,
            error: None,
            soft_error: None,
            is_orphan: false,
            is_deaf: false,
            initial,
            una: initial,
            next: initial,
            unacknowledged: VecDeque::new(),
            has_end: false,
            urgent_end: None,
            window: 0,
            max_window: 0,
            window_sequence: Sequence(0),
            window_acknowledged: Sequence(0),
            peer_shift: 0,
            own_shift: receive::shift_for(&settings),
            is_scaled: true,
            peer_segment_bytes: MIN_SEGMENT_BYTES,
            small_end: initial,
            send_bytes: settings.send_limit_bytes,
            lacks_room: false,
            receiver: Receiver::new(settings.receive_limit_bytes),
            answering: Answering::default(),
            has_sacks: true,
            stamps: Stamps::new(initial),
            scoreboard: Scoreboard::default(),
            duplicates: 0,
            tail: None,
            estimate: Estimate::default(),
            congestion,
            timers: Timers::default(),
            clock: SimTime::ZERO,
            output: Vec::new(),
            events: 0,
            counts: info::Counts::default(),
        }
    }

    /// One that asks for a connection.
    pub(crate) fn connect(now: SimTime, settings: Settings, initial: Sequence) -> Tcp {
        let mut tcp = Tcp::new(State::SynSent, settings, initial);
        tcp.send_syn(now);
        tcp
    }

    /// One that was asked by `syn`.
    pub(crate) fn answer(
        now: SimTime,
        settings: Settings,
        initial: Sequence,
        syn: &Segment,
    ) -> Tcp {
        let mut tcp = Tcp::new(State::SynReceived, settings, initial);
        tcp.learn_from_syn(now, syn);
        tcp.send_syn(now);
        tcp
    }

    /// What is to be sent.
    pub(crate) fn take_output(&mut self) -> Vec<Segment> {
        core::mem::take(&mut self.output)
    }
    /// Other settings: what the way carries, and its interface takes, stays as it is.
    pub(crate) fn set_settings(&mut self, now: SimTime, settings: Settings) {
        let was_kept_alive = self.settings.is_kept_alive;
        let Settings { way_segment_bytes, device_room_bytes, .. } = self.settings;
        let old_send_limit = self.send_limit();
        let old_limit = self.settings.receive_limit_bytes;
        self.settings = Settings { way_segment_bytes, device_room_bytes, ..settings };
        self.congestion.set_reno(settings.is_reno);
        if settings.receive_limit_bytes != old_limit {
            self.receiver.set_limit(settings.receive_limit_bytes);
        }
        if self.send_limit() > old_send_limit && self.lacks_room && self.is_writable() {
            self.lacks_room = false;
            self.events |= event::ROOM;
        }
        if settings.is_kept_alive != was_kept_alive {
            self.plan_keepalive(now);
        }
    }
    /// Whether at least so much can be read, or urgent data is next.
    pub(crate) fn has_input(&self, enough: usize) -> bool {
        self.receiver.unread_bytes() >= enough
    }
    /// The last time that it has heard of.
    pub(crate) fn clock(&self) -> SimTime {
        self.clock
    }
    /// Bits of [`event`].
    pub(crate) fn take_events(&mut self) -> u8 {
        core::mem::take(&mut self.events)
    }

    /// Whether it is past: nothing comes or goes.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed | State::TimeWait)
    }
    /// Whether the two sides have agreed.
    pub(crate) fn is_synchronized(&self) -> bool {
        !matches!(self.state, State::SynSent | State::SynReceived)
    }
    /// Whether the other side has ended.
    pub(crate) fn has_peer_ended(&self) -> bool {
        self.receiver.has_ended()
    }
    /// Whether a segment begins behind all that has come.
    pub(crate) fn is_beyond(&self, segment: &Segment) -> bool {
        segment.sequence.is_after(self.receiver.next)
    }
    /// Whether it may be written to.
    pub(crate) fn can_send(&self) -> bool {
        matches!(self.state, State::Established | State::CloseWait) && !self.has_end
    }

    /// Bytes that are not acknowledged, sent or not.
    pub(crate) fn unacknowledged_bytes(&self) -> usize {
        self.unacknowledged.len()
    }
    /// Bytes that were never sent.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.una.plus(self.unacknowledged.len()).since(self.next.later(self.una)).min(
            self.unacknowledged.len(), // the end may have been sent
        )
    }

    /// How many bytes may wait to be acknowledged.
    fn send_limit(&self) -> usize {
        let settings = &self.settings;
        if settings.is_send_limit_fixed { settings.send_limit_bytes } else { self.send_bytes }
    }
    /// How many more bytes may be written now.
    pub(crate) fn room_bytes(&self) -> usize {
        self.send_limit().saturating_sub(self.unacknowledged.len())
    }
    /// Whether there is room worth speaking of.
    pub(crate) fn is_writable(&self) -> bool {
        let (used, limit) = (self.unacknowledged.len(), self.send_limit());
        used < limit && limit - used >= used / 2
    }

    /// Bytes to be sent; `is_urgent`: the last of them is.
    pub(crate) fn write(&mut self, now: SimTime, bytes: &[u8], has_more: bool, is_urgent: bool) {
        self.clock = now;
        self.unacknowledged.extend(bytes);
        if is_urgent {
            self.urgent_end = Some(self.una.plus(self.unacknowledged.len()));
        }
        self.lacks_room |= !self.is_writable();
        self.push(now, has_more && !is_urgent);
    }

    /// No more bytes will be written.
    pub(crate) fn finish(&mut self, now: SimTime) {
        self.clock = now;
        self.has_end = true;
        match self.state {
            // Who says so need not be told.
            State::Established | State::SynReceived => self.state = State::FinWait1,
            State::CloseWait => self.state = State::LastAck,
            _ => return,
        }
        self.push(now, false);
    }

    /// Nobody uses it any more: it ends by itself.
    pub(crate) fn release(&mut self, now: SimTime) {
        self.is_orphan = true;
        self.is_deaf = true;
        if self.state == State::FinWait2 {
            self.timers.set_end(now, self.settings.fin_timeout);
        }
    }
    /// Its user reads nothing more.
    pub(crate) fn deafen(&mut self) {
        self.is_deaf = true;
    }

    /// It ends at once, and says so.
    pub(crate) fn abort(&mut self) {
        if !matches!(self.state, State::SynSent | State::Closed | State::TimeWait) {
            let flags = flag::RST | flag::ACK;
            let (sequence, acknowledged) = (self.next, self.receiver.next);
            let stamps = self.stamps.option(self.clock);
            let reset = Segment { sequence, acknowledged, flags, stamps, ..Segment::default() };
            self.output.push(reset);
            self.counts.sent += 1;
        }
        self.close();
    }

    /// It ends with an error.
    fn fail(&mut self, errno: Errno) {
        self.error = Some(errno);
        self.close();
        self.events |= event::ERROR;
    }

    fn close(&mut self) {
        self.unacknowledged = VecDeque::new();
        self.scoreboard.clear();
        self.timers = Timers::default();
        self.set_state(State::Closed);
    }

    fn set_state(&mut self, state: State) {
        self.state = state;
        self.events |= event::STATE;
    }
}
