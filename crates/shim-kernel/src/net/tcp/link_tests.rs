//! Transfers over links with a rate, a latency, a queue and losses: what arrives within 20 seconds.
//!
//! Links in, goodputs out. Always true: the writer always has more to write, and the reader reads all at once; a link
//! delivers in order; chance comes from a stream of its own.

use super::tests::Line;
use super::*;
use alloc::collections::VecDeque;
use alloc::vec;
use shim_abi::random::Stream;

/// Bytes of a segment's headers on the wire: Ethernet, IP and TCP, without options.
const HEADER_BYTES: usize = 54;
const MS: u64 = 1_000_000;
const TRANSFER_NS: u64 = 20_000 * MS;

/// A link, the same in both directions.
#[derive(Clone, Copy)]
struct Link {
    bits_per_sec: u64,
    latency_ns: u64,
    queue_bytes: usize,
    /// Lost out of 1000 of what carries bytes.
    loss: u64,
    /// How much the interface takes of a connection; none: as much as comes.
    device_bytes: Option<usize>,
}

/// One direction.
#[derive(Default)]
struct Direction {
    /// What waits, and what is being sent.
    queue: VecDeque<Segment>,
    queued_bytes: usize,
    /// When the first of them is sent.
    sent_at: Option<SimTime>,
    /// What is under way, and when it arrives.
    under_way: VecDeque<(SimTime, Segment)>,
}

fn wire_bytes(segment: &Segment) -> usize {
    let stamps = if segment.stamps.is_some() { 12 } else { 0 };
    let sacks = if segment.sacks.is_empty() { 0 } else { 4 + 8 * segment.sacks.len() };
    assert!(20 + stamps + sacks <= 60, "the header has room");
    HEADER_BYTES + stamps + sacks + segment.bytes.len()
}

struct World {
    line: Line,
    link: Link,
    chance: Stream,
    directions: [Direction; 2],
    dropped: usize,
    /// The most that has waited at the writer.
    most_queued_bytes: usize,
    timeouts: u32,
}

fn after(now: SimTime, ns: u64) -> SimTime {
    SimTime::from_ns(now.as_ns() + ns)
}

impl World {
    fn new(link: Link, mut settings: Settings) -> World {
        settings.device_room_bytes = link.device_bytes.unwrap_or(usize::MAX);
        let line = Line::new(settings, settings);
        let chance = Stream::named(7, &["link"]);
        let directions = Default::default();
        World { line, link, chance, directions, dropped: 0, most_queued_bytes: 0, timeouts: 0 }
    }

    fn serialization_ns(&self, segment: &Segment) -> u64 {
        wire_bytes(segment) as u64 * 8 * 1_000_000_000 / self.link.bits_per_sec
    }

    fn collect(&mut self) {
        for index in [0, 1] {
            let output = self.line.ends[index].as_mut().map(Tcp::take_output).unwrap_or_default();
            for segment in output {
                let is_lost =
                    !segment.bytes.is_empty() && self.chance.next_u64() % 1000 < self.link.loss;
                let bytes = wire_bytes(&segment);
                let direction = &mut self.directions[index];
                let has_room = direction.queued_bytes + bytes <= self.link.queue_bytes
                    || direction.queue.is_empty();
                if is_lost || !has_room {
                    self.dropped += 1;
                    continue;
                }
                direction.queued_bytes += bytes;
                direction.queue.push_back(segment);
                if index == 0 {
                    self.most_queued_bytes = self.most_queued_bytes.max(direction.queued_bytes);
                }
                if direction.sent_at.is_none() {
                    let ns = self.serialization_ns(&self.directions[index].queue[0]);
                    self.directions[index].sent_at = Some(after(self.line.now, ns));
                }
            }
        }
    }

    /// The next thing happens.
    fn step(&mut self) {
        self.collect();
        let timer = self.line.ends.iter().flatten().map(Tcp::deadline).min().expect("two ends");
        let mut next = timer;
        for direction in &self.directions {
            next = next.min(direction.sent_at.unwrap_or(SimTime::MAX));
            next = next.min(direction.under_way.front().map_or(SimTime::MAX, |it| it.0));
        }
        assert_ne!(next, SimTime::MAX, "nothing happens any more");
        self.line.now = self.line.now.max(next);
        let now = self.line.now;
        for index in [0, 1] {
            let direction = &mut self.directions[index];
            if direction.sent_at == Some(next) {
                let segment = direction.queue.pop_front().expect("it is being sent");
                direction.queued_bytes -= wire_bytes(&segment);
                let sent_bytes = segment.bytes.len();
                direction.under_way.push_back((after(now, self.link.latency_ns), segment));
                let first = self.directions[index].queue.front();
                let ns = first.map(|first| self.serialization_ns(first));
                self.directions[index].sent_at = ns.map(|ns| after(now, ns));
                if index == 0 && self.link.device_bytes.is_some() {
                    self.line.end(0).settings.device_room_bytes += sent_bytes;
                    self.line.end(0).push(now, false);
                }
                return;
            }
            if direction.under_way.front().is_some_and(|it| it.0 == next) {
                let (_, segment) = direction.under_way.pop_front().expect("it arrives");
                self.line.arrive(1 - index, &segment);
                return;
            }
        }
        let writer = self.line.end(0);
        self.timeouts += u32::from(writer.timers.resend <= now && writer.una != writer.next);
        self.line.ends.iter_mut().flatten().for_each(|end| end.expire(now));
    }

    /// Write and read until the time is over; how many bytes were read.
    fn transfer(&mut self, until: SimTime) -> usize {
        let chunk = vec![5; 1 << 16];
        let mut read = 0;
        while self.line.now < until {
            let now = self.line.now;
            let writer = self.line.end(0);
            while writer.can_send() && writer.room_bytes() > 0 {
                let bytes = writer.room_bytes().min(chunk.len());
                writer.write(now, &chunk[..bytes], true, false);
            }
            if self.line.ends[1].is_some() {
                let reader = self.line.end(1);
                while !reader.unread(0).is_empty() {
                    let bytes = reader.unread(0).len();
                    reader.consume(bytes);
                    read += bytes;
                }
            }
            self.step();
        }
        read
    }
}

/// What a link carries of a connection's bytes, per second.
fn capacity(link: &Link) -> f64 {
    link.bits_per_sec as f64 / 8.0 * 1448.0 / (1448 + 12 + HEADER_BYTES) as f64
}

/// The share of a link that a transfer of 20 seconds uses.
fn share(link: Link, settings: Settings) -> f64 {
    share_of(&mut World::new(link, settings))
}

fn share_of(world: &mut World) -> f64 {
    let read = world.transfer(SimTime::from_ns(TRANSFER_NS));
    let goodput = read as f64 / (TRANSFER_NS as f64 / 1e9);
    let link = &world.link;
    let share = goodput / capacity(link);
    let ends = &world.line.ends;
    std::println!(
        "{:>3} Mbit/s {:>2} ms, queue {:>7}, loss {:>2}/1000: {:>7.3} Mbit/s, {:>5.1} %",
        link.bits_per_sec / 1_000_000,
        link.latency_ns / MS,
        link.queue_bytes,
        link.loss,
        goodput * 8.0 / 1e6,
        share * 100.0,
    );
    std::println!(
        "    {} dropped, {} sent again, {} timeouts, {} queued, limits {} and {}",
        world.dropped,
        ends[0].as_ref().map_or(0, |end| end.counts.resent),
        world.timeouts,
        world.most_queued_bytes,
        ends[0].as_ref().map_or(0, Tcp::send_limit),
        ends[1].as_ref().map_or(0, |end| end.receiver.limit_bytes()),
    );
    share
}

fn links(queue_bytes: impl Fn(usize) -> usize) -> impl Iterator<Item = Link> {
    let rates = [1, 10, 100].into_iter();
    let all = rates.flat_map(|rate| [1, 10, 50].map(|latency| (rate * 1_000_000, latency * MS)));
    all.map(move |(bits_per_sec, latency_ns)| {
        let on_the_way = bits_per_sec / 8 * 2 * latency_ns / 1_000_000_000;
        let queue_bytes = queue_bytes(on_the_way as usize);
        Link { bits_per_sec, latency_ns, queue_bytes, loss: 0, device_bytes: None }
    })
}

const FULL_BYTES: usize = 1448 + 12 + HEADER_BYTES;

#[test]
fn links_are_used_with_long_queues() {
    for link in links(|_| 1000 * FULL_BYTES).skip(2).step_by(3) {
        assert!(share(link, Settings::default()) >= 0.9);
    }
}

#[test]
fn links_are_used_with_short_queues() {
    for link in links(|on_the_way| on_the_way.max(100 * FULL_BYTES)) {
        assert!(share(link, Settings::default()) >= 0.9);
    }
    // Less than what is on the way: the window shrinks to less than that, and comes back as CUBIC does.
    for (link, least) in links(|_| 100 * FULL_BYTES).skip(7).zip([0.9, 0.4]) {
        assert!(share(link, Settings::default()) >= least);
    }
}

#[test]
fn random_losses_cost_what_they_must() {
    let (bits_per_sec, latency_ns) = (10_000_000, 10 * MS);
    for loss in [10, 30] {
        let queue_bytes = 100 * FULL_BYTES;
        let link = Link { bits_per_sec, latency_ns, queue_bytes, loss, device_bytes: None };
        let rtt_secs = 0.02;
        let model = 1.22 * 1448.0 / (rtt_secs * (loss as f64 / 1000.0).sqrt());
        let is_reno = true;
        for settings in [Settings::default(), Settings { is_reno, ..Settings::default() }] {
            let mut world = World::new(link, settings);
            assert!(share_of(&mut world) * capacity(&link) >= 0.75 * model);
            assert_eq!(world.timeouts, 0, "what was lost twice is seen, too");
        }
    }
}

#[test]
fn an_interface_takes_as_much_as_it_wants() {
    for mut link in links(|_| 1000 * FULL_BYTES).step_by(2) {
        let device_bytes = 4 * FULL_BYTES;
        link.device_bytes = Some(device_bytes);
        let mut world = World::new(link, Settings::default());
        assert!(share_of(&mut world) >= 0.9);
        assert_eq!(world.dropped, 0);
        assert!(world.most_queued_bytes <= device_bytes + 3 * FULL_BYTES);
    }
}
