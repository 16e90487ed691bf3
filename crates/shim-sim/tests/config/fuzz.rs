//! Whatever stands in a file, reading it ends, with a scenario or with problems, and never panics.
//!
//! Mutations of the good files and of the broken ones: bytes changed, inserted and removed, and pieces of
//! one file put into another. Takes about a second for each of YAML and GML; `SHIM_FUZZ_SECONDS` sets
//! another length, and then the seed is new each time and told when something is found.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use shim_sim::config::{self, Graph, MAX_PROBLEMS, Overrides};

/// What is done to a text.
#[derive(Clone, Debug)]
enum Change {
    Replace {
        at: prop::sample::Index,
        bytes: Vec<u8>,
    },
    Insert {
        at: prop::sample::Index,
        bytes: Vec<u8>,
    },
    Remove {
        at: prop::sample::Index,
        len: usize,
    },
    Repeat {
        at: prop::sample::Index,
        len: usize,
        times: usize,
    },
    Splice {
        from: prop::sample::Index,
        at: prop::sample::Index,
        len: usize,
        to: prop::sample::Index,
    },
}

/// Bytes that mean something in YAML or GML, and some that mean nothing anywhere.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "\n",
        "  ",
        "\t",
        ": ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&a ",
        "*a",
        "<<: ",
        "|\n",
        ">-\n",
        "\"",
        "'",
        "#",
        "!!int ",
        "!x ",
        "? ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "~",
        "null",
        "true",
        "0",
        "-1",
        "1e9",
        "99999999999999999999",
        "0x",
        ".5",
        "\\",
        "\0",
        "\u{feff}",
        "é",
        "graph [",
        "node [",
        "edge [",
        "id",
        "\r\n",
        "\u{2028}",
        "x-",
        "@",
        "`",
    ]);
    prop_oneof![
        3 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    use prop::sample::Index;
    prop_oneof![
        4 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Change::Replace { at, bytes }),
        4 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        3 => (any::<Index>(), 1..30_usize).prop_map(|(at, len)| Change::Remove { at, len }),
        1 => (any::<Index>(), 1..30_usize, 2..200_usize)
            .prop_map(|(at, len, times)| Change::Repeat { at, len, times }),
        2 => (any::<Index>(), any::<Index>(), 1..80_usize, any::<Index>())
            .prop_map(|(from, at, len, to)| Change::Splice { from, at, len, to }),
    ]
}

fn apply(text: &mut Vec<u8>, change: &Change, others: &[Vec<u8>]) {
    let piece = |text: &[u8], at: &prop::sample::Index, len: usize| {
        let start = at.index(text.len() + 1);
        start..(start + len).min(text.len())
    };
    match change {
        Change::Replace { at, bytes } => {
            let range = piece(text, at, bytes.len());
            text.splice(range, bytes.iter().copied());
        }
        Change::Insert { at, bytes } => {
            let range = piece(text, at, 0);
            text.splice(range, bytes.iter().copied());
        }
        Change::Remove { at, len } => {
            let range = piece(text, at, *len);
            text.drain(range);
        }
        Change::Repeat { at, len, times } => {
            let range = piece(text, at, *len);
            let repeated = text[range.clone()].repeat(*times);
            text.splice(range, repeated);
        }
        Change::Splice { from, at, len, to } => {
            let other = &others[from.index(others.len())];
            let taken = other[piece(other, at, *len)].to_vec();
            let range = piece(text, to, 0);
            text.splice(range, taken);
        }
    }
}

fn yaml_files() -> Vec<Vec<u8>> {
    ["tests/config/good/", "tests/config/broken/"]
        .iter()
        .flat_map(|directory| super::files_in(directory, "yaml"))
        .map(|path| fs::read(path).unwrap())
        .collect()
}

/// Give mutated `texts` to `read` until the time is up, and however slow the machine is, so many.
fn fuzz(texts: &[Vec<u8>], read: impl Fn(&str)) {
    const LEAST: u64 = 100;
    let seconds = std::env::var("SHIM_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let seed: [u8; 32] = match seconds {
        None => [7; 32],
        Some(_) => std::array::from_fn(|_| rand_byte()),
    };
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(1));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = (any::<prop::sample::Index>(), prop::collection::vec(change(), 0..6));
    let mut count = 0_u64;
    while Instant::now() < end || count < LEAST {
        let (which, changes) = strategy.new_tree(&mut runner).unwrap().current();
        let mut text = texts[which.index(texts.len())].clone();
        for change in &changes {
            apply(&mut text, change, texts);
        }
        let text = String::from_utf8_lossy(&text);
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&text)));
        assert!(outcome.is_ok(), "seed {seed:?}: this text is not survived:\n{text}");
        let took = started.elapsed();
        assert!(took < Duration::from_secs(5), "seed {seed:?}: this text takes {took:?}:\n{text}");
        count += 1;
    }
}

fn rand_byte() -> u8 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0).to_le_bytes()[0]
}

#[test]
fn no_yaml_makes_it_panic() {
    let overrides = Overrides { seed: Some("5".to_owned()), ..Overrides::default() };
    fuzz(&yaml_files(), |text| match config::parse(Path::new("f"), text, &overrides) {
        Ok((scenario, _)) => assert!(!scenario.hosts.is_empty()),
        Err(problems) => {
            assert!((1..=MAX_PROBLEMS).contains(&problems.len()));
            for problem in problems {
                assert!(!problem.to_string().contains('\n'), "{problem}");
            }
        }
    });
}

#[test]
fn no_gml_makes_it_panic() {
    let texts = [
        fs::read("tests/config/good/ring.gml").unwrap(),
        b"graph [ directed 0 node [ id 0 label \"x\" ] edge [ source 0 target 0 latency \"1 ms\" ] ]".to_vec(),
    ];
    fuzz(&texts, |text| {
        if let Err(problems) = Graph::from_gml(Path::new("g"), text) {
            assert!((1..=MAX_PROBLEMS).contains(&problems.len()));
        }
    });
}
