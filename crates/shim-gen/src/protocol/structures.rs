//! The structures of shared memory, as C has them.
//!
//! The types of `shim-abi` in; names, offsets, sizes and descriptions out. Always true: a field that is missing in
//! the list does not compile; offsets and sizes are the compiler's; what C would leave open between two fields is
//! filled by name, so that no rule of C about alignment is relied upon. How they are shown is `page` and `header`.

use std::io;
use std::mem::{align_of, offset_of, size_of};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU8, AtomicU32, AtomicU64};

use shim_abi::block::BlockHeader;
use shim_abi::clock::Rate;
use shim_abi::event::Line;
use shim_abi::handoff::HANDOFF_BYTES;
use shim_abi::host::HostBlock;
use shim_abi::image::{Displaced, ImageHeader, ImageRecord, ImageText, Part, Place, Trap};
use shim_abi::manager::ManagerBlock;
use shim_abi::names::{NameEntry, NamesBlock};
use shim_abi::process::{ProcessBlock, SignalAction};
use shim_abi::region::{Baton, Counters, InodeTimes, ReadOnlyRegion, WrittenFiles};
use shim_abi::ring::Ring;
use shim_abi::text::{SharedText, Text};
use shim_abi::thread::{Channel, ThreadBlock};

use super::comments::Source;

/// A type of C: what stands before a name, and the arrays behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CType {
    /// `uint32_t`, or a structure of ours.
    pub base: String,
    /// The lengths of its arrays, the outermost first.
    pub arrays: Vec<usize>,
}

impl CType {
    /// The declaration of `name`.
    pub fn declare(&self, name: &str) -> String {
        let arrays: String = self.arrays.iter().map(|length| format!("[{length}]")).collect();
        format!("{} {name}{arrays}", self.base)
    }
}

/// A type that C knows under another name.
trait InC {
    fn in_c() -> CType;
}

macro_rules! scalars {
    ($($type:ty => $name:literal),* $(,)?) => {$(
        impl InC for $type {
            fn in_c() -> CType {
                CType { base: $name.to_owned(), arrays: Vec::new() }
            }
        }
    )*};
}

scalars! {
    u8 => "uint8_t", u32 => "uint32_t", u64 => "uint64_t", i32 => "int32_t", i64 => "int64_t",
    AtomicU8 => "uint8_t", AtomicU32 => "uint32_t", AtomicU64 => "uint64_t",
    AtomicI32 => "int32_t", AtomicI64 => "int64_t", Rate => "uint32_t",
}

impl<T: InC, const N: usize> InC for [T; N] {
    fn in_c() -> CType {
        let CType { base, mut arrays } = T::in_c();
        arrays.insert(0, N);
        CType { base, arrays }
    }
}

impl<const N: usize> InC for Text<N> {
    fn in_c() -> CType {
        CType { base: "char".to_owned(), arrays: vec![N] }
    }
}

impl<const N: usize> InC for SharedText<N> {
    fn in_c() -> CType {
        Text::<N>::in_c()
    }
}

impl InC for Line {
    fn in_c() -> CType {
        <[u64; 8]>::in_c()
    }
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its offset.
    pub offset: usize,
    /// Its size.
    pub size: usize,
    /// What it is in C.
    pub c: CType,
    /// What it means.
    pub text: String,
}

/// One structure.
#[derive(Debug)]
pub struct Structure {
    /// Its name in the sources: `HostBlock`.
    pub name: String,
    /// What it is for.
    pub text: String,
    /// Its size.
    pub size: usize,
    /// What its address is a multiple of.
    pub align: usize,
    /// Its fields, by offset.
    pub fields: Vec<Field>,
}

impl Structure {
    /// Its name in C.
    pub fn c_name(&self) -> String {
        c_name(&self.name)
    }

    /// Its fields and what is between and behind them: pieces of so many bytes.
    pub fn with_padding(&self) -> Vec<CPiece<'_>> {
        let mut pieces = Vec::new();
        let mut at = 0;
        for field in &self.fields {
            if field.offset > at {
                pieces.push(CPiece::Padding { offset: at, size: field.offset - at });
            }
            pieces.push(CPiece::Field(field));
            at = field.offset + field.size;
        }
        if self.size > at {
            pieces.push(CPiece::Padding { offset: at, size: self.size - at });
        }
        pieces
    }
}

/// A piece of a structure.
#[derive(Debug)]
pub enum CPiece<'a> {
    /// A field.
    Field(&'a Field),
    /// Bytes that nobody has a use for.
    Padding {
        /// Where they begin.
        offset: usize,
        /// How many there are.
        size: usize,
    },
}

/// `HostBlock` is `shimproto_host_block`.
fn c_name(name: &str) -> String {
    let mut out = String::from("shimproto");
    for c in name.chars() {
        if c.is_uppercase() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// Size and type of a field.
fn measure<T, F: InC>(_: fn(&T) -> &F) -> (usize, CType) {
    (size_of::<F>(), F::in_c())
}

macro_rules! structures {
    ($($file:literal { $($name:ident { $($field:ident),* $(,)? })* })*) => {
        $($(
            impl InC for $name {
                fn in_c() -> CType {
                    CType { base: format!("struct {}", c_name(stringify!($name))), arrays: Vec::new() }
                }
            }
        )*)*

        fn from_sources() -> io::Result<Vec<Structure>> {
            let mut list = Vec::new();
            $(
                let source = Source::read($file)?;
                $(
                    // A field that is not listed is an error here.
                    let _ = |$name { $($field: _),* }: &$name| {};
                    let declaration = concat!("pub struct ", stringify!($name));
                    let mut fields = vec![$({
                        let (size, c) = measure(|value: &$name| &value.$field);
                        let name = stringify!($field).to_owned();
                        let text = source.of_member(declaration, concat!("pub ", stringify!($field)));
                        Field { name, offset: offset_of!($name, $field), size, c, text }
                    }),*];
                    fields.sort_by_key(|field| field.offset);
                    list.push(Structure {
                        name: stringify!($name).to_owned(),
                        text: source.of_item(declaration),
                        size: size_of::<$name>(),
                        align: align_of::<$name>(),
                        fields,
                    });
                )*
            )*
            Ok(list)
        }
    };
}

structures! {
    "block.rs" {
        BlockHeader { magic, kind, size_bytes, version_major, version_minor }
    }
    "manager.rs" {
        ManagerBlock {
            header, start_realtime_ns, start_wall_ns, tsc_frequency_hz, syscall_latency_ns,
            vdso_latency_ns, simulator_pid, emulate_tsc, read_only_fd, shared_fd, names_fd, patching,
            arena_fd, arena_index, kernel_layout, component_ends, library_path, reserved,
        }
    }
    "host.rs" {
        HostBlock {
            header, now_ns, run_until_ns, uptime_at_start_ns, realtime_offset_ns,
            realtime_offset_at_start_ns, preemption_ns, rate, host_id, cpu_count, log_level,
            is_tracing, is_watching, ipv4, ipv4_prefix_bits, ipv6, ipv6_prefix_bits, hostname,
            kernel_release, kernel_version, domainname, reserved,
        }
    }
    "process.rs" {
        SignalAction { handler, flags, restorer, mask }
        ProcessBlock {
            header, pid, parent_pid, group, session, native_pid, images, descriptor_limit,
            descriptor_limit_hard, exit_status, is_executing, random, cpu_ns, trapped_calls, calls,
            waits_for_lock_of, reserved, program, failure, refused, actions, descriptors,
        }
    }
    "thread.rs" {
        Channel { control, reserved, request, reply, data }
    }
    "ring.rs" {
        Ring { head, tail, words }
    }
    "thread.rs" {
        ThreadBlock {
            header, tid, native_tid, process_index, calls, charged_ns, cpu_ns, signal_mask,
            user_ids, group_ids, alt_stack_pointer, alt_stack_bytes, alt_stack_flags, is_serving,
            first_words, spins, is_in_kernel, preempt_at, run_until_ns, gives_way_at_ns,
            pending_signals, reserved, channel, ring,
        }
    }
    "region.rs" {
        ReadOnlyRegion { manager, host }
        Counters { inodes, reserved }
        Baton { control, holder, is_wanted, reserved }
        InodeTimes { device, inode, changed_ns, created_ns, modified_ns, accessed_ns, shown, is_listed }
        WrittenFiles { len_bytes, reserved, paths }
    }
    "names.rs" {
        NamesBlock { header, count, reserved }
        NameEntry { name, ipv6, ipv4, host_id, canonical, by_ipv4, by_ipv6, reserved }
    }
    "image.rs" {
        Part { offset, count }
        ImageText { address, len_bytes, image_offset, file_offset }
        ImageHeader {
            magic, version, area_bytes, area_address, doors, build_id, text_count, texts, stubs,
            places, displaced, traps, unwind,
        }
        Place { place, original, len_bytes }
        Displaced { original, place }
        Trap { at, door }
        ImageRecord { fd, area, area_bytes }
    }
}

/// The hand-off, which is no structure in the sources but bytes.
fn handoff() -> io::Result<Structure> {
    let source = Source::read("handoff.rs")?;
    let of = |member: &str| source.of_member("pub struct Handoff", member);
    let word = |name: &str, offset, text| Field {
        name: name.to_owned(),
        offset,
        size: 4,
        c: u32::in_c(),
        text,
    };
    let magic = Field {
        name: "magic".to_owned(),
        offset: 0,
        size: 8,
        c: u64::in_c(),
        text: "The characters `shimhand`.".to_owned(),
    };
    let rest = 36;
    let reserved = Field {
        name: "reserved".to_owned(),
        offset: rest,
        size: HANDOFF_BYTES - rest,
        c: <[u8; HANDOFF_BYTES - 36]>::in_c(),
        text: "Zero; for later minor versions.".to_owned(),
    };
    let mut fields = vec![magic];
    fields.push(word("version_major", 8, of("pub version")));
    fields.push(word("version_minor", 12, "See `version_major`.".to_owned()));
    let words = ["simulator_pid", "read_only_fd", "shared_fd", "process_index", "thread_index"];
    for (name, offset) in words.into_iter().zip((16..).step_by(4)) {
        fields.push(word(name, offset, of(&format!("pub {name}"))));
    }
    fields.push(reserved);
    let text = source.of_item("pub struct Handoff");
    Ok(Structure { name: "Handoff".to_owned(), text, size: HANDOFF_BYTES, align: 8, fields })
}

/// All of them, each behind those that it contains.
pub fn all() -> io::Result<Vec<Structure>> {
    let mut list = from_sources()?;
    list.push(handoff()?);
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shim_abi::handoff::Handoff;

    #[test]
    fn a_handoff_is_written_as_it_is_described() {
        let written = Handoff {
            version: (1, 2),
            simulator_pid: 3,
            read_only_fd: 4,
            shared_fd: 5,
            process_index: 6,
            thread_index: 7,
        }
        .to_bytes();
        let described = handoff().unwrap();
        let mut expected = 1u32;
        for field in &described.fields {
            let bytes = &written[field.offset..field.offset + field.size];
            match field.name.as_str() {
                "magic" => assert_eq!(bytes, b"shimhand"),
                "reserved" => assert!(bytes.iter().all(|&byte| byte == 0)),
                _ => {
                    assert_eq!(bytes, expected.to_le_bytes(), "{}", field.name);
                    expected += 1;
                }
            }
        }
        assert_eq!(expected, 8);
    }

    #[test]
    fn what_is_between_fields_is_filled() {
        for structure in all().unwrap() {
            let mut at = 0;
            for piece in structure.with_padding() {
                let (offset, size) = match piece {
                    CPiece::Field(field) => (field.offset, field.size),
                    CPiece::Padding { offset, size } => (offset, size),
                };
                assert_eq!(offset, at, "{}", structure.name);
                at += size;
            }
            assert_eq!(at, structure.size, "{}", structure.name);
        }
    }

    #[test]
    fn names_are_those_of_c() {
        assert_eq!(c_name("HostBlock"), "shimproto_host_block");
        let c = <[[AtomicU32; 3]; 2]>::in_c();
        assert_eq!(c.declare("ids"), "uint32_t ids[2][3]");
    }
}
