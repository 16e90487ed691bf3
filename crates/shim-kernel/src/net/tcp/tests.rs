//! Two ends on a line that delivers at once: how connections begin and end, what is held back, what is sent again.
//!
//! Settings in. Always true: time passes only when a test lets it.

use super::*;
use alloc::vec;

/// What a segment carries beside its timestamps.
const SEGMENT_BYTES: usize = 1448;

/// Two ends, and what is under way between them.
pub(super) struct Line {
    pub(super) now: SimTime,
    pub(super) ends: [Option<Tcp>; 2],
    pub(super) passive: Settings,
}

impl Tcp {
    /// What is under way is what it should be.
    pub(super) fn check(&self) {
        if self.state.is_past_handshake() && self.state != State::TimeWait {
            self.scoreboard.check(self.una, self.next);
        }
    }
}

impl Line {
    pub(super) fn new(active: Settings, passive: Settings) -> Line {
        let now = SimTime::from_ns(1_000_000);
        let first = Tcp::connect(now, active, Sequence(u32::MAX - 5));
        Line { now, ends: [Some(first), None], passive }
    }
    pub(super) fn end(&mut self, index: usize) -> &mut Tcp {
        self.ends[index].as_mut().expect("it is there")
    }
    /// One segment arrives at an end.
    pub(super) fn arrive(&mut self, index: usize, segment: &Segment) {
        match &mut self.ends[index] {
            Some(end) => end.arrive(self.now, segment),
            None if segment.has(flag::SYN) => {
                let end = Tcp::answer(self.now, self.passive, Sequence(7), segment);
                self.ends[index] = Some(end);
            }
            None => {}
        }
    }
    /// Deliver all that is under way, at once.
    pub(super) fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            for index in [0, 1] {
                let output = self.ends[index].as_mut().map(Tcp::take_output).unwrap_or_default();
                for segment in output {
                    is_quiet = false;
                    self.arrive(1 - index, &segment);
                }
            }
            if is_quiet {
                return;
            }
        }
    }
    fn connected() -> Line {
        let mut line = Line::new(Settings::default(), Settings::default());
        line.settle();
        line
    }
    fn states(&mut self) -> [State; 2] {
        [self.end(0).state, self.end(1).state]
    }
    /// Let time pass until something happens.
    fn wait(&mut self) {
        let now = self.ends.iter().flatten().map(Tcp::deadline).min().expect("two ends");
        assert_ne!(now, SimTime::MAX, "nothing will happen");
        self.now = self.now.max(now);
        for end in self.ends.iter_mut().flatten() {
            end.expire(self.now);
        }
    }
    pub(super) fn read(&mut self, index: usize) -> Vec<u8> {
        let end = self.end(index);
        let mut bytes = vec![];
        while !end.unread(0).is_empty() {
            let piece = end.unread(0).to_vec();
            end.consume(piece.len());
            bytes.extend(piece);
        }
        bytes
    }
}

#[test]
fn bytes_and_ends_cross_a_line() {
    let mut line = Line::connected();
    assert_eq!(line.states(), [State::Established; 2]);
    let now = line.now;
    line.end(0).write(now, b"hello", false, false);
    line.settle();
    assert_eq!(line.read(1), b"hello");
    assert_eq!(line.end(0).unacknowledged_bytes(), 0, "the first bytes are acknowledged at once");
    line.end(0).finish(now);
    line.settle();
    assert_eq!(line.states(), [State::FinWait1, State::CloseWait], "its end may be awaited");
    line.wait();
    line.settle();
    let now = line.now;
    assert_eq!(now, SimTime::from_ns(41_000_000));
    assert_eq!(line.states(), [State::FinWait2, State::CloseWait]);
    line.end(1).write(now, b"world", false, false);
    line.end(1).finish(now);
    line.settle();
    assert_eq!(line.read(0), b"world");
    assert_eq!(line.states(), [State::TimeWait, State::Closed]);
    line.wait();
    assert_eq!(line.states(), [State::Closed; 2]);
    assert_eq!(line.now, SimTime::from_ns(60_041_000_000));
}

#[test]
fn both_may_ask_and_end_at_once() {
    let mut line = Line::new(Settings::default(), Settings::default());
    line.ends[1] = Some(Tcp::connect(line.now, Settings::default(), Sequence(3)));
    let both = [line.end(0).take_output(), line.end(1).take_output()];
    line.arrive(1, &both[0][0]);
    line.arrive(0, &both[1][0]);
    line.settle();
    assert_eq!(line.states(), [State::Established; 2]);
    let now = line.now;
    line.end(0).finish(now);
    line.end(1).finish(now);
    let both = [line.end(0).take_output(), line.end(1).take_output()];
    line.arrive(1, &both[0][0]);
    line.arrive(0, &both[1][0]);
    line.settle();
    assert_eq!(line.states(), [State::TimeWait; 2]);
}

#[test]
fn a_window_that_is_shut_stops_the_writer_until_it_opens() {
    let mut line = Line::connected();
    let now = line.now;
    let limit = line.end(1).settings.receive_limit_bytes;
    line.end(0).settings.send_limit_bytes = 1 << 20;
    line.end(0).write(now, &vec![1; 300_000], false, false);
    line.settle();
    assert!(line.end(1).unread_bytes() <= limit, "{}", line.end(1).unread_bytes());
    assert!(line.end(1).unread_bytes() > limit - SEGMENT_BYTES, "{}", line.end(1).unread_bytes());
    line.wait();
    line.settle();
    let probed = line.now;
    line.wait();
    line.settle();
    assert!(line.now > probed, "it asks again, later");
    let mut read = 0;
    while read < 300_000 {
        let bytes = line.read(1).len();
        assert_ne!(bytes, 0);
        read += bytes;
        line.settle();
    }
    assert_eq!(read, 300_000);
}

#[test]
fn small_segments_wait_for_each_other() {
    let mut line = Line::connected();
    let now = line.now;
    line.end(0).write(now, b"a", false, false);
    line.end(0).write(now, b"b", false, false);
    line.end(0).write(now, b"c", false, false);
    assert_eq!(line.end(0).take_output().len(), 1);
    line.end(0).settings.has_no_delay = true;
    line.end(0).push_pending(now);
    line.end(0).write(now, b"d", false, false);
    assert_eq!(line.end(0).take_output().len(), 2);
    let mut line = Line::connected();
    line.end(0).settings.is_corked = true;
    line.end(0).write(now, &[0; 1500], false, false);
    assert_eq!(line.end(0).take_output().len(), 1);
    line.wait();
    line.settle();
    assert_eq!(line.end(1).unread_bytes(), SEGMENT_BYTES, "the rest is held back");
    let now = line.now;
    line.wait();
    line.settle();
    assert_eq!(line.end(1).unread_bytes(), 1500, "but not for ever");
    assert_eq!(line.now.as_ns(), now.as_ns() + 200_000_000);
}

#[test]
fn what_is_lost_is_sent_again_and_given_up_in_the_end() {
    let mut line = Line::connected();
    let now = line.now;
    line.end(0).write(now, b"lost", false, false);
    line.end(0).take_output();
    line.wait();
    line.settle();
    assert_eq!(line.read(1), b"lost");
    line.end(0).write(now, b"lost", false, false);
    let mut tries = 0;
    while line.end(0).error.is_none() {
        line.end(0).take_output();
        line.wait();
        tries += 1;
    }
    assert_eq!(
        (line.end(0).error, tries),
        (Some(Errno::ETIMEDOUT), 17),
        "and the end is probed once"
    );
    assert!((900..1000).contains(&(line.now.as_ns() / 1_000_000_000)), "{:?}", line.now);

    let mut line = Line::new(Settings::default(), Settings::default());
    while line.end(0).error.is_none() {
        line.end(0).take_output();
        line.wait();
    }
    assert_eq!(line.now.as_ns() / 1_000_000_000, 127, "as tcp(7) says of six times");
}

#[test]
fn a_hole_is_filled_at_once() {
    let mut line = Line::connected();
    let now = line.now;
    line.end(0).settings.send_limit_bytes = 1 << 20;
    line.end(0).write(now, &vec![3; SEGMENT_BYTES * 8], false, false);
    let mut output = line.end(0).take_output();
    assert_eq!(output.len(), 8);
    output.remove(1);
    for segment in output {
        line.arrive(1, &segment);
    }
    line.settle();
    assert_eq!(line.read(1).len(), SEGMENT_BYTES * 8);
    assert_eq!(line.now, now);
}

#[test]
fn resets_are_believed_in_the_right_place_only() {
    let mut line = Line::connected();
    let next = line.end(0).next;
    let reset = |sequence| Segment { sequence, flags: flag::RST, ..Segment::default() };
    line.arrive(1, &reset(next.plus(1)));
    assert_eq!(line.end(1).state, State::Established);
    assert_eq!(line.end(1).take_output().len(), 1, "it asks back");
    line.arrive(1, &reset(next));
    assert_eq!((line.end(1).state, line.end(1).error), (State::Closed, Some(Errno::ECONNRESET)));
    let refusal = line.end(0).segment_now(flag::ACK).refusal().unwrap();
    assert_eq!((refusal.flags, refusal.sequence), (flag::RST, line.end(0).receiver.next));
}

#[test]
fn silent_ones_are_asked_whether_they_live() {
    let mut line = Line::connected();
    let now = line.now;
    let end = line.end(0);
    end.settings.is_kept_alive = true;
    end.settings.keep_idle = SimDuration::from_secs(10);
    end.settings.keep_interval = SimDuration::from_secs(2);
    end.settings.keep_count = 3;
    end.plan_keepalive(now);
    line.wait();
    assert_eq!(line.now.as_ns(), 10_001_000_000);
    line.settle();
    assert_eq!(line.end(0).error, None);
    line.ends[1] = None;
    while line.end(0).error.is_none() {
        line.wait();
        line.end(0).take_output();
    }
    assert_eq!(line.now.as_ns(), 26_001_000_000);
    assert_eq!(line.end(0).error, Some(Errno::ETIMEDOUT));
}

#[test]
fn urgent_bytes_are_apart() {
    let mut line = Line::connected();
    let now = line.now;
    line.end(0).write(now, b"ab!", false, true);
    line.end(0).write(now, b"cd", false, false);
    line.settle();
    assert_ne!(line.end(1).take_events() & event::URGENT, 0);
    assert_eq!(line.end(1).urgent(), Some(Ok(b'!')));
    assert_eq!(line.end(1).unread(0), b"ab");
    line.end(1).consume(2);
    assert!(line.end(1).is_at_urgent());
}

#[test]
fn what_icmp_says_is_remembered_until_something_is_acknowledged() {
    let give_up = |is_answered: bool| {
        let mut line = Line::connected();
        line.end(0).hear_failure(Errno::EHOSTUNREACH);
        let now = line.now;
        if is_answered {
            line.end(0).write(now, b"a", false, false);
            line.settle();
        }
        line.end(0).write(now, b"b", false, false);
        while line.end(0).state != State::Closed {
            line.end(0).take_output();
            let next = line.end(0).deadline();
            line.end(0).expire(next);
        }
        line.end(0).error
    };
    assert_eq!(give_up(false), Some(Errno::EHOSTUNREACH));
    assert_eq!(give_up(true), Some(Errno::ETIMEDOUT));
    let mut asking = Tcp::connect(SimTime::ZERO, Settings::default(), Sequence(7));
    assert!(asking.has_under_way(Sequence(7)) && !asking.has_under_way(Sequence(6)));
    asking.hear_failure(Errno::ENETUNREACH);
    assert_eq!((asking.state, asking.error), (State::Closed, Some(Errno::ENETUNREACH)));
}

#[test]
fn a_narrow_way_makes_segments_small() {
    let mut line = Line::connected();
    let now = line.now;
    line.end(0).write(now, &[1; 3000], false, false);
    let lengths = |segments: Vec<Segment>| -> Vec<usize> {
        segments.iter().map(|segment| segment.bytes.len()).collect()
    };
    assert_eq!(lengths(line.end(0).take_output()), [1448, 1448, 104]);
    line.end(0).narrow(now, 1000);
    assert_eq!(lengths(line.end(0).take_output()), [988]);
    line.end(0).narrow(now, 1400);
    assert_eq!(lengths(line.end(0).take_output()), []);
    assert_eq!(line.end(0).segment_bytes(), 988, "its stamps take the rest");
}

/// Nine full segments, of which some have not arrived.
fn with_gaps(line: &mut Line, lost: &[usize]) -> Vec<Segment> {
    let now = line.now;
    line.end(0).write(now, &vec![4; 9 * SEGMENT_BYTES], true, false);
    let output = line.end(0).take_output();
    assert_eq!(output.len(), 9);
    for (index, segment) in output.iter().enumerate() {
        if !lost.contains(&index) {
            line.arrive(1, segment);
        }
    }
    output
}

#[test]
fn the_latest_blocks_are_told_first() {
    let mut line = Line::connected();
    let output = with_gaps(&mut line, &[0, 2, 4, 6]);
    let answers = line.end(1).take_output();
    let block = |first: usize, last: usize| (output[first].sequence, output[last].end());
    let last = answers.last().expect("there are answers");
    assert_eq!(last.sacks.as_slice(), [block(7, 8), block(5, 5), block(3, 3)]);
    line.arrive(1, &output[4]);
    let answers = line.end(1).take_output();
    assert_eq!(answers[0].sacks.as_slice(), [block(3, 5), block(7, 8), block(1, 1)]);
    line.arrive(1, &output[0]);
    let answers = line.end(1).take_output();
    assert_eq!(answers[0].acknowledged, output[2].sequence);
    assert_eq!(answers[0].sacks.as_slice(), [block(3, 5), block(7, 8)]);
}

#[test]
fn several_losses_take_one_round_trip() {
    let mut line = Line::connected();
    let output = with_gaps(&mut line, &[0, 2, 4]);
    line.now = SimTime::from_ns(line.now.as_ns() + 1_000_000);
    for answer in line.end(1).take_output() {
        line.arrive(0, &answer);
    }
    let again = line.end(0).take_output();
    let numbers: Vec<Sequence> = again.iter().map(|segment| segment.sequence).collect();
    assert_eq!(numbers, [0, 2, 4].map(|index: usize| output[index].sequence));
    for segment in &again {
        line.arrive(1, segment);
    }
    line.settle();
    assert_eq!(line.end(0).counts.resent, 3);
    assert_eq!(line.read(1).len(), 9 * SEGMENT_BYTES);
    line.end(0).check();
}

#[test]
fn the_end_is_probed_before_the_time_is_over() {
    let mut line = Line::connected();
    let now = line.now;
    with_gaps(&mut line, &[7, 8]);
    line.settle();
    let window = line.end(0).congestion.window;
    line.wait();
    line.settle();
    assert_eq!(line.read(1).len(), 9 * SEGMENT_BYTES);
    assert!(line.now.since(now).as_ns() < 10_000_000, "{:?}", line.now);
    assert!(line.end(0).congestion.window < window, "it was a loss");
}

#[test]
fn what_was_only_late_costs_nothing() {
    let mut line = Line::connected();
    line.now = SimTime::from_ns(line.now.as_ns() + 1_000_000_000);
    let now = line.now;
    let window = line.end(0).congestion.window;
    line.end(0).write(now, &vec![4; 2 * SEGMENT_BYTES], false, false);
    let late = line.end(0).take_output();
    while line.end(0).congestion.phase() == congestion::Phase::Open {
        line.wait();
    }
    assert_eq!(line.end(0).congestion.window, SEGMENT_BYTES);
    line.end(0).take_output();
    for segment in late {
        line.arrive(1, &segment);
    }
    line.settle();
    assert!(line.end(0).congestion.window >= window);
    assert_eq!(line.end(0).congestion.phase(), congestion::Phase::Open);
}

#[test]
fn segments_of_the_past_are_not_taken() {
    let mut line = Line::connected();
    let now = line.now;
    line.end(0).write(now, b"old", false, false);
    let old = line.end(0).take_output().remove(0);
    line.arrive(1, &old);
    line.now = SimTime::from_ns(now.as_ns() + 5_000_000);
    line.settle();
    let now = line.now;
    line.end(0).write(now, b"new", false, false);
    line.settle();
    assert_eq!(line.read(1), b"oldnew");
    // As if its numbers had gone round.
    let past = Segment { sequence: line.end(1).receiver.next, ..old };
    line.arrive(1, &past);
    assert_eq!(line.read(1), b"");
    assert_eq!(line.end(1).take_output().len(), 1, "it is answered");
}

#[test]
fn an_idle_connection_begins_slowly() {
    let mut line = Line::connected();
    line.end(0).congestion.window = 100 * SEGMENT_BYTES;
    let now = line.now;
    line.end(0).write(now, b"busy", false, false);
    line.settle();
    line.now = SimTime::from_ns(line.now.as_ns() + 10_000_000_000);
    let now = line.now;
    line.end(0).write(now, b"again", false, false);
    assert_eq!(line.end(0).congestion.window, 10 * SEGMENT_BYTES);
}
