//! Whatever bytes are asked, the resolver answers with a message that others can read, or not at all, and never panics.
//!
//! Questions as programs ask them, with options and with none, several at once, and mutations of them: bytes changed, inserted
//! and removed, headers, labels and pointers of compressed names made anew, pieces of one put into another; and bytes by
//! chance. Always true: an answer has the question's number, is marked as one, is read to its end, and is no longer than who
//! asks can take. Takes about a second; `SHIM_FUZZ_SECONDS` sets another length, and then the seed is new each time and told
//! when something is found.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use std::vec::Vec;

use domain::base::iana::{Class, Rtype};
use domain::base::{Message, MessageBuilder, Name};
use domain::rdata::AllRecordData;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use shim_abi::names::Names;

use super::answer::answer;
use super::answer::tests::table;
use crate::net::mutation::{self, Fuzzer};

/// Bytes of a header.
const HEADER_BYTES: usize = 12;
/// What an answer may have by UDP, if who asks says nothing.
const PLAIN_BYTES: usize = 512;
/// No message by TCP is longer.
const MOST_BYTES: usize = 65_535;

/// Names that the table has, that it could have, and parts of them.
const WORDS: &[&str] = &[
    "bob",
    "www.example.org",
    "many",
    "carol",
    "0.51.0.11.in-addr.arpa",
    "11.in-addr.arpa",
    "256.51.0.11.in-addr.arpa",
    "0.0.3.3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
    "d.f.ip6.arpa",
    ".",
];

/// What is done to bytes.
#[derive(Clone, Debug)]
enum Change {
    Any(mutation::Change),
    /// A pointer to somewhere in the message, or beyond, as compressed names have them.
    Point {
        at: Index,
        to: u16,
    },
    /// How many records of a kind the message says that it has.
    Count {
        of: usize,
        count: u16,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let count = prop_oneof![0..4_u16, any::<u16>()];
    prop_oneof![
        13 => mutation::change(4, 40).prop_map(Change::Any),
        3 => (any::<Index>(), 0..120_u16).prop_map(|(at, to)| Change::Point { at, to }),
        2 => (0..4_usize, count).prop_map(|(of, count)| Change::Count { of, count }),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change, other: &[u8]) {
    match change {
        Change::Any(change) => mutation::apply(bytes, change, other),
        Change::Point { at, to } => {
            let range = mutation::stretch(bytes, at, 2);
            bytes.splice(range, (0xc000 | to).to_be_bytes());
        }
        Change::Count { of, count } => {
            if let Some(place) = bytes.get_mut(4 + 2 * of..6 + 2 * of) {
                place.copy_from_slice(&count.to_be_bytes());
            }
        }
    }
}

/// A name that is asked: mostly one that means something.
fn name() -> impl Strategy<Value = Name<Vec<u8>>> {
    let label = prop::collection::vec(any::<u8>(), 1..64);
    let labels = prop::collection::vec(label, 0..5).prop_map(|labels| {
        let mut bytes: Vec<u8> = Vec::new();
        for label in labels {
            // No name is longer.
            if bytes.len() + label.len() + 2 <= 255 {
                bytes.push(label.len() as u8);
                bytes.extend(label);
            }
        }
        bytes.push(0);
        Name::from_octets(bytes).unwrap()
    });
    let upper = |(word, is_upper): (&str, bool)| match is_upper {
        true => word.to_ascii_uppercase().parse().unwrap(),
        false => word.parse().unwrap(),
    };
    prop_oneof![4 => (select(WORDS), any::<bool>()).prop_map(upper), 1 => labels]
}

fn kind() -> impl Strategy<Value = Rtype> {
    let known =
        [Rtype::A, Rtype::AAAA, Rtype::PTR, Rtype::CNAME, Rtype::ANY, Rtype::MX, Rtype::AXFR];
    prop_oneof![6 => select(known.to_vec()), 1 => any::<u16>().prop_map(Rtype::from_int)]
}

prop_compose! {
    /// A message with as many questions, as a program may send it.
    fn question()(
        id in any::<u16>(),
        asked in prop_oneof![9 => prop::collection::vec((name(), kind()), 1..2), 1 => prop::collection::vec((name(), kind()), 0..40)],
        class in prop_oneof![5 => Just(Class::IN), 1 => any::<u16>().prop_map(Class::from_int)],
        options in prop::option::of((any::<u16>(), prop_oneof![4 => Just(0), 1 => any::<u8>()])),
    ) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(id);
        builder.header_mut().set_rd(true);
        let mut builder = builder.question();
        for (name, kind) in asked {
            builder.push((name, kind, class)).unwrap();
        }
        let mut builder = builder.additional();
        if let Some((payload, version)) = options {
            let told = builder.opt(|it| {
                it.set_udp_payload_size(payload);
                it.set_version(version);
                Ok(())
            });
            told.unwrap();
        }
        builder.finish()
    }
}

/// Ask, and look at the answer.
fn ask(question: &[u8], names: Names<'_>, is_by_tcp: bool) {
    let Some(told) = answer(question, names, is_by_tcp) else {
        let is_answer = question.get(2).is_some_and(|byte| byte & 0x80 != 0);
        assert!(question.len() < HEADER_BYTES || is_answer, "no answer to a question");
        return;
    };
    assert_eq!(told[..2], question[..2], "its number");
    assert_eq!(answer(question, names, is_by_tcp).as_ref(), Some(&told), "the same twice");
    assert_eq!(answer(&told, names, is_by_tcp), None, "an answer is no question");
    let message = Message::from_octets(told.as_slice()).unwrap();
    let header = message.header();
    assert!(header.qr() && header.ra() && header.aa());
    let options = Message::from_octets(question).unwrap().opt();
    let most = match &options {
        _ if is_by_tcp => MOST_BYTES,
        Some(options) => usize::from(options.udp_payload_size()).max(PLAIN_BYTES),
        None => PLAIN_BYTES,
    };
    assert!(told.len() <= most, "{} bytes, and {most} at most", told.len());
    assert_eq!(message.opt().is_some(), options.is_some(), "options");
    assert!(message.question().all(|question| question.is_ok()));
    let records = message.answer().unwrap().limit_to::<AllRecordData<_, _>>();
    let records: Vec<_> = records.map(|record| record.unwrap()).collect();
    assert!(!header.tc() || records.is_empty(), "all of it or nothing");
}

#[test]
fn no_question_makes_it_panic() {
    let Fuzzer { seed, mut runner, end } = Fuzzer::start();
    let entries =
        table(&[("bob", 1, None), ("www.example.org", 1, Some("bob")), ("many", 40, None)]);
    let names = Names::new(&entries);
    let sent = prop_oneof![9 => question(), 1 => prop::collection::vec(any::<u8>(), 0..600)];
    let changes = prop::collection::vec(change(), 0..5);
    let mut count = 0_u64;
    // However slow the machine is.
    while Instant::now() < end || count < 1000 {
        let question = sent.new_tree(&mut runner).unwrap().current();
        let other = sent.new_tree(&mut runner).unwrap().current();
        for _ in 0..20 {
            let changes = changes.new_tree(&mut runner).unwrap().current();
            let mut bytes = question.clone();
            changes.iter().for_each(|change| apply(&mut bytes, change, &other));
            let is_by_tcp = count.is_multiple_of(2);
            let outcome = catch_unwind(AssertUnwindSafe(|| ask(&bytes, names, is_by_tcp)));
            assert!(outcome.is_ok(), "seed {seed:?}: these bytes are not survived: {bytes:02x?}");
            count += 1;
        }
    }
}
