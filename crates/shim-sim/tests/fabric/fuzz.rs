//! Gives a check many inputs.
//!
//! They are the same in every run, for about half a second; or new ones each time, for `SHIM_FUZZ_SECONDS`. The seed is
//! told when something is found.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// However slow the machine is.
const LEAST: u64 = 200;

/// Give values of `inputs` to `check` until the time is up; an input that it does not survive is told.
pub fn fuzz<S: Strategy>(inputs: S, check: impl Fn(&S::Value)) {
    let seconds = std::env::var("SHIM_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let seed: [u8; 32] = match seconds {
        None => [7; 32],
        Some(_) => std::array::from_fn(|_| random_byte()),
    };
    let end = Instant::now() + seconds.map_or(Duration::from_millis(500), Duration::from_secs);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut count = 0_u64;
    while count < LEAST || Instant::now() < end {
        let input = inputs.new_tree(&mut runner).unwrap().current();
        let outcome = catch_unwind(AssertUnwindSafe(|| check(&input)));
        assert!(outcome.is_ok(), "seed {seed:?}: this is not survived: {input:?}");
        count += 1;
    }
}

fn random_byte() -> u8 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0).to_le_bytes()[0]
}
