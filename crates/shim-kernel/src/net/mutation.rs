//! What fuzzers of messages have in common: how long they run, by which chance, and what they do to bytes.
//!
//! `SHIM_FUZZ_SECONDS` in, mutated bytes out. Always true: without the variable the seed is the same each time. What
//! only messages of one kind are done is that fuzzer's.

use std::time::{Duration, Instant};
use std::vec::Vec;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// A fuzzer's chance, and when its time is up.
pub(super) struct Fuzzer {
    pub(super) seed: [u8; 32],
    pub(super) runner: TestRunner,
    pub(super) end: Instant,
}

impl Fuzzer {
    /// For a second, or for as long as the variable says, with a new seed then.
    pub(super) fn start() -> Fuzzer {
        let seconds = std::env::var("SHIM_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
        let seed: [u8; 32] = match seconds {
            None => [7; 32],
            Some(_) => std::array::from_fn(|_| rand_byte()),
        };
        let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(1));
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        Fuzzer { seed, runner: TestRunner::new_with_rng(Config::default(), rng), end }
    }
}

fn rand_byte() -> u8 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0).to_le_bytes()[0]
}

/// What is done to bytes of any kind.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Replace {
        at: Index,
        bytes: Vec<u8>,
    },
    /// Near the beginning, where headers are.
    Front {
        at: usize,
        byte: u8,
    },
    Insert {
        at: Index,
        bytes: Vec<u8>,
    },
    Remove {
        at: Index,
        len: usize,
    },
    Splice {
        from: Index,
        to: Index,
        len: usize,
    },
}

/// A change; `front` of `9 + front` of them are in the first `front_bytes`.
pub(super) fn change(front: u32, front_bytes: usize) -> impl Strategy<Value = Change> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..9);
    prop_oneof![
        3 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Change::Replace { at, bytes }),
        front => (0..front_bytes, any::<u8>()).prop_map(|(at, byte)| Change::Front { at, byte }),
        2 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        2 => (any::<Index>(), 1..40_usize).prop_map(|(at, len)| Change::Remove { at, len }),
        2 => (any::<Index>(), any::<Index>(), 1..80_usize)
            .prop_map(|(from, to, len)| Change::Splice { from, to, len }),
    ]
}

/// So many bytes from there, or what there is of them.
pub(super) fn stretch(bytes: &[u8], at: &Index, len: usize) -> std::ops::Range<usize> {
    let start = at.index(bytes.len() + 1);
    start..(start + len).min(bytes.len())
}

/// Change bytes; pieces of `other` are put into them.
pub(super) fn apply(bytes: &mut Vec<u8>, change: &Change, other: &[u8]) {
    match change {
        Change::Replace { at, bytes: new } => {
            let range = stretch(bytes, at, new.len());
            bytes.splice(range, new.iter().copied());
        }
        Change::Front { at, byte } => {
            if let Some(place) = bytes.get_mut(*at) {
                *place ^= byte;
            }
        }
        Change::Insert { at, bytes: new } => {
            let range = stretch(bytes, at, 0);
            bytes.splice(range, new.iter().copied());
        }
        Change::Remove { at, len } => {
            let range = stretch(bytes, at, *len);
            bytes.drain(range);
        }
        Change::Splice { from, to, len } => {
            let new = other[stretch(other, from, *len)].to_vec();
            let range = stretch(bytes, to, 0);
            bytes.splice(range, new);
        }
    }
}
