//! The numbers of the protocol, by name.
//!
//! Constants and enumerations of `shim-abi` in; names, values and descriptions out. Always true: values are the
//! compiler's, descriptions the comments above the constants. How they are shown is `page` and `header`.

use std::io;

use shim_abi::block::{BlockHeader, BlockKind};
use shim_abi::calls;
use shim_abi::image::{self, Door};
use shim_abi::manager::{self, EmulateTsc, Patching};
use shim_abi::process::{self, descriptor};
use shim_abi::region::{self, baton};
use shim_abi::ring::{self, CallRecord, RecordKind};
use shim_abi::thread::{self, control, kernel_place};
use shim_abi::version;
use shim_abi::virtual_files::{MemoryFile, ProcessFile};
use shim_abi::{Errno, address, handoff, names};

use super::comments::Source;

/// A number.
#[derive(Debug)]
pub struct Constant {
    /// Its name in C, behind `SHIMPROTO_`.
    pub c_name: String,
    /// Its value.
    pub value: u64,
    /// It does not fit into 32 bits, or is a set of them.
    pub is_hex: bool,
    /// What it means.
    pub text: String,
}

/// Numbers that belong together.
#[derive(Debug)]
pub struct Group {
    /// Its heading.
    pub title: &'static str,
    /// Its numbers.
    pub constants: Vec<Constant>,
}

/// A number whose description stands in this file: `within` an item, or by itself.
struct Line {
    file: &'static str,
    within: Option<&'static str>,
    declaration: String,
    c_name: String,
    value: u64,
    is_hex: bool,
}

macro_rules! lines {
    // Constants of a module within the file, whose names get a beginning.
    ($file:literal: in $within:literal $prefix:literal $module:ident { $($name:ident),* $(,)? }) => {
        vec![$(Line {
            file: $file,
            within: Some($within),
            declaration: concat!("pub const ", stringify!($name)).to_owned(),
            c_name: concat!($prefix, stringify!($name)).to_owned(),
            value: $module::$name as u64,
            is_hex: false,
        }),*]
    };
    // An enumeration.
    ($file:literal: enum $prefix:literal $type:ident { $($variant:ident),* $(,)? }) => {{
        // A variant that is not listed is an error here.
        let _ = |value: &$type| match value { $($type::$variant => {})* };
        vec![$(Line {
            file: $file,
            within: Some(concat!("pub enum ", stringify!($type))),
            declaration: stringify!($variant).to_owned(),
            c_name: format!("{}{}", $prefix, upper(stringify!($variant))),
            value: $type::$variant as u64,
            is_hex: false,
        }),*]
    }};
    // Constants of the file: addresses and sets of bits.
    ($file:literal: hex $module:ident { $($name:ident),* $(,)? }) => {
        lines!(@all $file true $module { $($name),* })
    };
    // Constants of the file: numbers.
    ($file:literal: $module:ident { $($name:ident),* $(,)? }) => {
        lines!(@all $file false $module { $($name),* })
    };
    (@all $file:literal $is_hex:literal $module:ident { $($name:ident),* }) => {
        vec![$(Line {
            file: $file,
            within: None,
            declaration: concat!("pub const ", stringify!($name)).to_owned(),
            c_name: stringify!($name).to_owned(),
            value: $module::$name as u64,
            is_hex: $is_hex,
        }),*]
    };
}

/// `LoadAverage` is `LOAD_AVERAGE`.
fn upper(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_uppercase());
    }
    out
}

fn group(title: &'static str, lines: Vec<Vec<Line>>) -> io::Result<Group> {
    let mut constants = Vec::new();
    for line in lines.into_iter().flatten() {
        let source = Source::read(line.file)?;
        let text = match line.within {
            Some(item) => source.of_member(item, &line.declaration),
            None => source.of_item(&line.declaration),
        };
        let Line { c_name, value, is_hex, .. } = line;
        constants.push(Constant { c_name, value, is_hex, text });
    }
    Ok(Group { title, constants })
}

fn computed(c_name: &str, value: usize, text: &str) -> Constant {
    Constant {
        c_name: c_name.to_owned(),
        value: value as u64,
        is_hex: false,
        text: text.to_owned(),
    }
}

/// All of them.
pub fn all() -> io::Result<Vec<Group>> {
    let mut groups = vec![
        group(
            "Version",
            vec![
                lines!("version.rs": version { PROTOCOL_MAJOR, PROTOCOL_MINOR }),
                lines!("version.rs": version { NOTE_TYPE }),
            ],
        )?,
        group(
            "Addresses in a guest",
            vec![lines!("address.rs": hex address {
                RESERVATION, RESERVATION_BYTES, READ_ONLY_REGION, NAMES_REGION, SHARED_REGION,
                TEXT_BUFFER, TEXT_BUFFER_BYTES, PRIVATE, PLACE_BYTES, ARENAS, ARENA_BYTES,
            })],
        )?,
        group(
            "Memory files",
            vec![
                lines!("region.rs": region {
                    READ_ONLY_BYTES, SHARED_BYTES, MAX_PROCESSES, MAX_THREADS, PROCESS_STRIDE_BYTES,
                    THREAD_STRIDE_BYTES, MAX_INODE_TIMES, WRITTEN_PATH_BYTES,
                }),
                lines!("handoff.rs": handoff { HANDOFF_BYTES }),
                lines!("names.rs": names { MAX_NAME_BYTES }),
                lines!("names.rs": hex names { EVERY_HOST }),
                lines!("manager.rs": manager { COMPONENTS }),
            ],
        )?,
        group(
            "Kinds of blocks",
            vec![lines!("block.rs": enum "KIND_" BlockKind {
                Manager, Host, Process, Thread, Names
            })],
        )?,
        group(
            "Manager block",
            vec![
                lines!("manager.rs": enum "EMULATE_TSC_" EmulateTsc { Never, Always, Auto }),
                lines!("manager.rs": enum "PATCHING_" Patching { Off, On }),
            ],
        )?,
        group(
            "Process block",
            vec![
                lines!("process.rs": process {
                    MAX_DESCRIPTORS, FIRST_HIDDEN_DESCRIPTOR, HIDDEN_DESCRIPTORS, KICK_SIGNAL, MAX_SIGNAL,
                }),
                lines!("calls.rs": calls { MAX_CALLS }),
                lines!("process.rs": in "pub mod descriptor" "DESCRIPTOR_" descriptor {
                    NATIVE, RANDOM, EXTERNAL, WRITABLE, VIRTUAL, SHOWN
                }),
            ],
        )?,
        group(
            "Thread block",
            vec![
                lines!("thread.rs": thread { DATA_BYTES }),
                lines!("thread.rs": in "pub mod control" "CONTROL_" control { SIMULATOR, SLEEPER, CLOSED }),
                lines!("thread.rs": in "pub mod kernel_place" "PLACE_" kernel_place {
                    OUTSIDE, INSIDE, HANDS_ON
                }),
                lines!("region.rs": in "pub mod baton" "BATON_" baton { SIMULATOR, SLEEPER, ALARM }),
            ],
        )?,
        group(
            "Records",
            vec![
                lines!("ring.rs": ring { RING_WORDS, MAX_PAYLOAD_BYTES, MAX_CALL_TEXT_BYTES }),
                lines!("ring.rs": enum "RECORD_" RecordKind { Log, Call, Lack }),
            ],
        )?,
        group("Results that programs never see", vec![restarts()])?,
        group(
            "Pseudo calls",
            vec![
                lines!("calls.rs": hex calls {
                    PSEUDO_VIRTUAL_FILE, PSEUDO_DUPLICATE, PSEUDO_POLL, PSEUDO_REOPEN, PSEUDO_NAME,
                    PSEUDO_OPEN_FIFO, PSEUDO_PROCESS_FILE, PSEUDO_ATTACHED, PSEUDO_LOCK_WAIT,
                    PSEUDO_LOCK_RELEASED, PSEUDO_REPLACE_IMAGE, PSEUDO_TAKE_RIGHTS, PSEUDO_IMAGES,
                    PSEUDO_MAPS, PSEUDO_BIND_PATH, PSEUDO_POST, PSEUDO_TAKE_FILE, PSEUDO_WATCHED,
                    PSEUDO_PEEK_PIPE, SENT_FILES, SENT_REFUSED, ACCEPT_WAITS, ACCEPT_NEEDS_WAIT,
                    BIND_NEEDS_PATH,
                }),
                lines!("virtual_files.rs": enum "PROCESS_FILE_" ProcessFile {
                    Processes, Threads, Stat, Status
                }),
                lines!("virtual_files.rs": enum "MEMORY_FILE_" MemoryFile { Maps, Smaps, Rollup }),
            ],
        )?,
        group(
            "Images",
            vec![
                lines!("image.rs": hex image { IMAGE_MAGIC, TRAP_BYTE }),
                lines!("image.rs": image { IMAGE_VERSION, MAX_TEXTS, MAX_IMAGES, READS_COUNTER }),
                lines!("image.rs": enum "DOOR_" Door { Call, Rdtsc, Rdtscp, Cpuid }),
            ],
        )?,
    ];
    for group in &mut groups {
        match group.title {
            "Memory files" => group.constants.extend(offsets()),
            "Kinds of blocks" => group.constants.insert(0, magic()?),
            "Records" => group.constants.push(computed(
                "CALL_RECORD_BYTES",
                CallRecord::BYTES,
                "Size of the fixed part of a call's record.",
            )),
            _ => {}
        }
    }
    groups.push(flags());
    Ok(groups)
}

fn restarts() -> Vec<Line> {
    let line = |name: &str, errno: Errno| Line {
        file: "errno.rs",
        within: None,
        declaration: format!("pub const {name}"),
        c_name: name.to_owned(),
        value: errno.number() as u64,
        is_hex: false,
    };
    vec![line("ERESTARTSYS", Errno::ERESTARTSYS), line("ERESTARTNOINTR", Errno::ERESTARTNOINTR)]
}

fn magic() -> io::Result<Constant> {
    let text = Source::read("block.rs")?.of_member("impl BlockHeader", "pub const MAGIC");
    Ok(Constant { c_name: "BLOCK_MAGIC".to_owned(), value: BlockHeader::MAGIC, is_hex: true, text })
}

/// Where things begin in the shared file.
fn offsets() -> Vec<Constant> {
    let first = |offset: Option<usize>| offset.expect("there is a first block");
    vec![
        computed("COUNTERS_OFFSET", region::counters_offset(), "`Counters` in the shared file."),
        computed("BATON_OFFSET", region::baton_offset(), "`Baton` in the shared file."),
        computed(
            "INODE_TIMES_OFFSET",
            region::inode_times_offset(),
            "The first `InodeTimes` in the shared file.",
        ),
        computed("WRITTEN_OFFSET", region::written_offset(), "`WrittenFiles` in the shared file."),
        computed(
            "PROCESSES_OFFSET",
            first(region::process_offset(0)),
            "Process block 0 in the shared file; block `i` is `i` strides behind it.",
        ),
        computed(
            "THREADS_OFFSET",
            first(region::thread_offset(0)),
            "Thread block 0 in the shared file; block `i` is `i` strides behind it.",
        ),
    ]
}

/// The flags of a `Complete`.
fn flags() -> Group {
    let [advanced, signal] = super::messages::complete_flags();
    let flag = |name: &str, value, text: &str| Constant {
        c_name: name.to_owned(),
        value,
        is_hex: true,
        text: text.to_owned(),
    };
    Group {
        title: "Flags of Complete, in word 0",
        constants: vec![
            flag(
                "COMPLETE_CLOCK_ADVANCED",
                advanced,
                "The thread's `charged_ns` begins again from 0.",
            ),
            flag("COMPLETE_SIGNAL", signal, "Words 3 to 7 hold a signal."),
        ],
    }
}
