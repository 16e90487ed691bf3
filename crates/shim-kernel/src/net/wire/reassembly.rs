//! Datagrams that have come in pieces.
//!
//! Fragments in, whole datagrams out; what was given up, so that its sender can be told. Always true: no two pieces of a
//! datagram overlap: one that is there already is dropped, and one that overlaps drops all of its datagram, as on Linux
//! (RFC 5722); what waits costs no more than a limit, for each family, and waits no longer than 30 s. What Linux does
//! against sources whose datagrams come in great disorder (`ipfrag_max_dist`) is not here.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

use etherparse::Ipv4HeaderSlice;
use shim_abi::{SimDuration, SimTime};

use super::read::Fragment;

/// `ipfrag_time` and `ipfrag_high_thresh`, and those of IPv6.
const PATIENCE: SimDuration = SimDuration::from_secs(30);
const MAX_CHARGED_BYTES: usize = 4 << 20;
/// The most that a length in a header says.
const MAX_BYTES: usize = 65_535;
/// All but the last piece take multiples of this.
const UNIT_BYTES: usize = 8;
/// IPv6's first header, which its lengths do not count, and the one that fragments have.
const V6_HEADER_BYTES: usize = 40;
const V6_FRAGMENT_BYTES: usize = 8;

/// Of which datagram a fragment is: from where, to where, of which protocol (IPv6 does not ask), with which number.
type Key = (IpAddr, IpAddr, u8, u32);

/// Pieces of datagrams that wait for others.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    heaps: BTreeMap<Key, Heap>,
    /// Until when they wait.
    ends: BTreeSet<(SimTime, Key)>,
    /// What they cost: those of IPv4, of IPv6.
    charged_bytes: [usize; 2],
}

/// Pieces of one datagram.
#[derive(Debug)]
struct Heap {
    until: SimTime,
    /// By their offsets: where they end, and they themselves.
    pieces: BTreeMap<usize, (usize, Fragment)>,
    /// How many bytes they have, where the last of them ends, and where the datagram ends, if that is known.
    bytes: usize,
    reach: usize,
    end: Option<usize>,
    charged_bytes: usize,
}

/// What becomes of a piece.
enum Fate {
    Kept,
    /// It is there already, or makes no sense.
    Dropped,
    /// All of its datagram is dropped.
    Ruined,
}

/// What a fragment costs: a buffer, and what describes it.
fn charge(bytes: usize) -> usize {
    const SMALL_BYTES: usize = 512;
    const HEAD_BYTES: usize = 256;
    bytes.next_power_of_two().max(SMALL_BYTES) + HEAD_BYTES
}

impl Reassembly {
    /// When it wants to be called again.
    pub(crate) fn deadline(&self) -> SimTime {
        self.ends.first().map_or(SimTime::MAX, |&(until, _)| until)
    }

    /// A fragment has come: the datagram that it makes whole, as if it had come so.
    pub(crate) fn join(&mut self, now: SimTime, fragment: Fragment) -> Option<Vec<u8>> {
        let is_v4 = fragment.source.is_ipv4();
        let family = usize::from(!is_v4);
        if self.charged_bytes[family] > MAX_CHARGED_BYTES {
            return None;
        }
        let piece = fragment.piece;
        let protocol = if is_v4 { piece.protocol } else { 0 };
        let key = (fragment.source, fragment.target, protocol, piece.identification);
        let until = SimTime::from_ns(now.as_ns().saturating_add(PATIENCE.as_ns()));
        let ends = &mut self.ends;
        let heap = self.heaps.entry(key).or_insert_with(|| {
            ends.insert((until, key));
            Heap::new(until)
        });
        let bytes = charge(fragment.datagram.len());
        match heap.take(fragment) {
            Fate::Kept => {
                heap.charged_bytes += bytes;
                self.charged_bytes[family] += bytes;
                if !heap.is_whole() {
                    return None;
                }
                self.remove(key)?.join()
            }
            Fate::Dropped => {
                if heap.pieces.is_empty() {
                    self.remove(key);
                }
                None
            }
            Fate::Ruined => {
                self.remove(key);
                None
            }
        }
    }

    /// Give up what has waited too long: the first fragments of those datagrams, which can be told about
    /// (`OutOfTime`).
    pub(crate) fn expire(&mut self, now: SimTime) -> Vec<Vec<u8>> {
        let mut firsts = Vec::new();
        while let Some(&(until, key)) = self.ends.first()
            && until <= now
        {
            let heap = self.remove(key);
            let first = heap.and_then(|mut heap| heap.pieces.remove(&0));
            firsts.extend(first.map(|(_, first)| first.datagram));
        }
        firsts
    }

    fn remove(&mut self, key: Key) -> Option<Heap> {
        let heap = self.heaps.remove(&key)?;
        self.ends.remove(&(heap.until, key));
        self.charged_bytes[usize::from(key.0.is_ipv6())] -= heap.charged_bytes;
        Some(heap)
    }
}

impl Heap {
    fn new(until: SimTime) -> Heap {
        let pieces = BTreeMap::new();
        Heap { until, pieces, bytes: 0, reach: 0, end: None, charged_bytes: 0 }
    }

    fn take(&mut self, mut fragment: Fragment) -> Fate {
        let (start, at) = (fragment.piece.offset, fragment.piece.at);
        let bytes = fragment.datagram.len().saturating_sub(at);
        let mut end = start + bytes;
        if fragment.piece.has_more {
            if end % UNIT_BYTES != 0 {
                if fragment.source.is_ipv6() {
                    return Fate::Dropped;
                }
                end -= end % UNIT_BYTES;
                fragment.datagram.truncate(at + end.saturating_sub(start));
            }
            if self.end.is_some_and(|known| end > known) {
                return Fate::Ruined;
            }
        } else if end < self.reach || self.end.is_some_and(|known| end != known) {
            return Fate::Ruined;
        }
        if end > MAX_BYTES {
            return Fate::Dropped;
        }
        if end == start {
            return Fate::Ruined;
        }
        match self.overlap(start, end) {
            Fate::Kept => {}
            fate => return fate,
        }
        if !fragment.piece.has_more {
            self.end = Some(end);
        }
        self.reach = self.reach.max(end);
        self.bytes += end - start;
        self.pieces.insert(start, (end, fragment));
        Fate::Kept
    }

    /// What becomes of a piece because of those that are there: whatever lies within those that follow each other
    /// without a gap is there already.
    fn overlap(&self, start: usize, end: usize) -> Fate {
        let before = self.pieces.range(..=start).next_back();
        if let Some((&first, &(mut covered, _))) = before
            && covered > start
        {
            for (&next, &(next_end, _)) in self.pieces.range(first + 1..) {
                if covered >= end || next != covered {
                    break;
                }
                covered = next_end;
            }
            return if covered >= end { Fate::Dropped } else { Fate::Ruined };
        }
        match self.pieces.range(start..end).next() {
            Some(_) => Fate::Ruined,
            None => Fate::Kept,
        }
    }

    fn is_whole(&self) -> bool {
        self.end == Some(self.bytes)
    }

    /// The datagram: the headers are those of the first piece. Nothing if they cannot say its length.
    fn join(self) -> Option<Vec<u8>> {
        let (_, first) = self.pieces.get(&0)?;
        let piece = first.piece;
        let is_v4 = first.source.is_ipv4();
        let header = if is_v4 { piece.at } else { piece.at - V6_FRAGMENT_BYTES };
        let length = header + self.bytes - if is_v4 { 0 } else { V6_HEADER_BYTES };
        if length > MAX_BYTES {
            return None;
        }
        let mut datagram = Vec::with_capacity(header + self.bytes);
        datagram.extend_from_slice(first.datagram.get(..header)?);
        let length = (length as u16).to_be_bytes();
        if is_v4 {
            datagram.get_mut(2..4)?.copy_from_slice(&length);
            datagram.get_mut(6..8)?.fill(0);
            let header = Ipv4HeaderSlice::from_slice(&datagram).ok()?.to_header();
            let checksum = header.calc_header_checksum().to_be_bytes();
            datagram.get_mut(10..12)?.copy_from_slice(&checksum);
        } else {
            datagram.get_mut(4..6)?.copy_from_slice(&length);
            *datagram.get_mut(piece.next_at)? = piece.protocol;
        }
        for (_, fragment) in self.pieces.values() {
            datagram.extend_from_slice(fragment.datagram.get(fragment.piece.at..)?);
        }
        Some(datagram)
    }
}
