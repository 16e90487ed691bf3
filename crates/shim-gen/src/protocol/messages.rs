//! The messages that cross a channel: their tags, and which word holds what.
//!
//! The types of `shim-abi` in; one line a message out. Always true: tags are read from encoded messages; a test encodes
//! each message with values that are all different and finds them in the words that are named here; a message without
//! a line does not compile. What the messages mean is in `docs/protocol.md`.

use std::io;

use shim_abi::event::{Reply, Request, SignalInfo};

use super::comments::Source;

/// Places of a message's fields: of word 0 the upper half, then the other words. `low / high` are the halves of one.
type Words = [&'static str; 8];

/// A message.
#[derive(Debug)]
pub struct Message {
    /// Its name in C, behind `SHIMPROTO_REQUEST_` or `SHIMPROTO_REPLY_`.
    pub c_name: &'static str,
    /// The lower half of word 0.
    pub tag: u32,
    /// Where its fields are; empty: zero.
    pub words: Words,
    /// What it says.
    pub text: String,
}

const NOTHING: Words = [""; 8];
const CALL: Words =
    ["number", "args[0]", "args[1]", "args[2]", "args[3]", "args[4]", "args[5]", ""];
const CARRYING_CALL: Words = [
    "number",
    "args[0]",
    "args[1]",
    "args[2]",
    "args[3]",
    "args[4]",
    "args[5]",
    "copies_bytes / 0",
];
const CALL_AND_RESULT: Words =
    ["number", "args[0]", "args[1]", "args[2]", "args[3]", "args[4]", "args[5]", "result"];
const RESULT: Words = ["", "result", "", "", "", "", "", ""];

/// Name in the sources, name in C, places.
type Line = (&'static str, &'static str, Words);

const fn line_of_request(request: &Request) -> Line {
    match request {
        Request::Start => ("Start", "START", NOTHING),
        Request::Syscall { .. } => ("Syscall", "SYSCALL", CARRYING_CALL),
        Request::SyscallComplete { .. } => ("SyscallComplete", "SYSCALL_COMPLETE", RESULT),
        Request::AddThreadRes { .. } => ("AddThreadRes", "ADD_THREAD_RES", RESULT),
        Request::Limit => ("Limit", "LIMIT", NOTHING),
        Request::Drain => ("Drain", "DRAIN", NOTHING),
        Request::Signals => ("Signals", "SIGNALS", NOTHING),
        Request::Preempted => ("Preempted", "PREEMPTED", NOTHING),
        Request::Answered { has_woken: false, .. } => ("Answered", "ANSWERED", CALL_AND_RESULT),
        Request::Answered { has_woken: true, .. } => ("Answered", "WOKEN", CALL_AND_RESULT),
        Request::Parked { .. } => ("Parked", "PARKED", CALL),
        Request::Resumed { .. } => ("Resumed", "RESUMED", CALL_AND_RESULT),
    }
}

const fn line_of_reply(reply: &Reply) -> Line {
    match reply {
        Reply::Started => ("Started", "STARTED", NOTHING),
        Reply::Complete { .. } => {
            let words = [
                "flags",
                "result",
                "copies_bytes / 0",
                "signal / code",
                "pid / uid",
                "value",
                "tail[0]",
                "tail[1]",
            ];
            ("Complete", "COMPLETE", words)
        }
        Reply::DoNative { .. } => ("DoNative", "DO_NATIVE", CALL),
        Reply::AddThread { .. } => {
            let words = ["", "process_index / thread_index", "", "", "", "", "", ""];
            ("AddThread", "ADD_THREAD", words)
        }
        Reply::Die { .. } => ("Die", "DIE", ["signal", "", "", "", "", "", "", ""]),
        Reply::GoOn => ("GoOn", "GO_ON", NOTHING),
    }
}

const NUMBER: u32 = 0x101;
const ARGS: [u64; 6] = [0x201, 0x202, 0x203, 0x204, 0x205, 0x206];
const RESULT_VALUE: i64 = -0x301;
const COPIES_BYTES: u32 = 0x401;
const SIGNAL: SignalInfo =
    SignalInfo { signal: 0x11, code: -0x12, pid: 0x13, uid: 0x14, value: 0x15, tail: [0x16, 0x17] };
const INDICES: (u32, u32) = (0x501, 0x502);
const DEATH: u32 = 0x21;

const REQUESTS: &[Request] = &[
    Request::Start,
    Request::Syscall { number: NUMBER, args: ARGS, copies_bytes: COPIES_BYTES },
    Request::SyscallComplete { result: RESULT_VALUE },
    Request::AddThreadRes { result: RESULT_VALUE },
    Request::Limit,
    Request::Drain,
    Request::Signals,
    Request::Preempted,
    Request::Answered { number: NUMBER, args: ARGS, result: RESULT_VALUE, has_woken: false },
    Request::Parked { number: NUMBER, args: ARGS },
    Request::Answered { number: NUMBER, args: ARGS, result: RESULT_VALUE, has_woken: true },
    Request::Resumed { number: NUMBER, args: ARGS, result: RESULT_VALUE },
];

const REPLIES: &[Reply] = &[
    Reply::Started,
    Reply::Complete {
        result: RESULT_VALUE,
        copies_bytes: COPIES_BYTES,
        is_clock_advanced: false,
        signal: Some(SIGNAL),
    },
    Reply::DoNative { number: NUMBER, args: ARGS },
    Reply::AddThread { process_index: INDICES.0, thread_index: INDICES.1 },
    Reply::Die { signal: DEATH },
    Reply::GoOn,
];

fn messages(lines: impl Iterator<Item = (Line, [u64; 8])>, of: &str) -> io::Result<Vec<Message>> {
    let source = Source::read("event.rs")?;
    Ok(lines
        .map(|((name, c_name, words), encoded)| {
            let text = source.of_member(&format!("pub enum {of}"), name);
            Message { c_name, tag: encoded[0] as u32, words, text }
        })
        .collect())
}

/// What guests say, by tag.
pub fn requests() -> io::Result<Vec<Message>> {
    let lines = REQUESTS.iter().map(|request| (line_of_request(request), request.to_words()));
    messages(lines, "Request")
}

/// What is said to guests, by tag.
pub fn replies() -> io::Result<Vec<Message>> {
    let lines = REPLIES.iter().map(|reply| (line_of_reply(reply), reply.to_words()));
    messages(lines, "Reply")
}

/// The flags of a `Complete`, in word 0: the clock was advanced; there is a signal.
pub fn complete_flags() -> [u64; 2] {
    let complete = |is_clock_advanced, signal| {
        let reply = Reply::Complete { result: 0, copies_bytes: 0, is_clock_advanced, signal };
        reply.to_words()[0]
    };
    let plain = complete(false, None);
    [complete(true, None) ^ plain, complete(false, Some(SIGNAL)) ^ plain]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the messages above have in the field of this name.
    fn value_of(field: &str) -> u64 {
        if let Some(index) = field.strip_prefix("args[") {
            return ARGS[index.trim_end_matches(']').parse::<usize>().unwrap()];
        }
        match field {
            "" | "0" => 0,
            "number" => NUMBER.into(),
            "result" => RESULT_VALUE as u64,
            "copies_bytes" => COPIES_BYTES.into(),
            "flags" => complete_flags()[1] >> 32,
            "code" => SIGNAL.code as u32 as u64,
            "pid" => SIGNAL.pid.into(),
            "uid" => SIGNAL.uid.into(),
            "value" => SIGNAL.value,
            "tail[0]" => SIGNAL.tail[0],
            "tail[1]" => SIGNAL.tail[1],
            "process_index" => INDICES.0.into(),
            "thread_index" => INDICES.1.into(),
            _ => panic!("{field}"),
        }
    }

    fn word_of(place: &str, signal: u32) -> u64 {
        let value = |field: &str| if field == "signal" { signal.into() } else { value_of(field) };
        match place.split_once(" / ") {
            Some((low, high)) => value(low) | value(high) << 32,
            None => value(place),
        }
    }

    #[test]
    fn fields_are_where_the_lines_say() {
        let requests =
            REQUESTS.iter().map(|request| (request.to_words(), line_of_request(request)));
        let replies = REPLIES.iter().map(|reply| (reply.to_words(), line_of_reply(reply)));
        for (encoded, (name, _, words)) in requests.chain(replies) {
            let signal = if name == "Die" { DEATH } else { SIGNAL.signal };
            assert_eq!(encoded[0] >> 32, word_of(words[0], signal), "{name}");
            for (word, place) in encoded.iter().zip(words).skip(1) {
                assert_eq!(*word, word_of(place, signal), "{name}: {place}");
            }
        }
    }

    #[test]
    fn every_tag_is_listed_once_and_no_other_is_understood() {
        let tags: Vec<u64> = requests().unwrap().iter().map(|m| m.tag.into()).collect();
        for tag in 0..1000 {
            let is_known = Request::from_words([tag, 0, 0, 0, 0, 0, 0, 0]).is_some();
            assert_eq!(tags.iter().filter(|&&t| t == tag).count(), usize::from(is_known), "{tag}");
        }
        let tags: Vec<u64> = replies().unwrap().iter().map(|m| m.tag.into()).collect();
        for tag in 0..1000 {
            let is_known = Reply::from_words([tag, 0, 0, 0, 0, 0, 0, 0]).is_some();
            assert_eq!(tags.iter().filter(|&&t| t == tag).count(), usize::from(is_known), "{tag}");
        }
    }
}
