//! What stands in a file's code: the instructions that a guest must not execute natively, what leads where,
//! and bytes that nothing executes.
//!
//! An [`Elf`] in, a [`Scan`] out. Code is decoded linearly, anew from each known start of a function, so that
//! data between functions derails nothing behind it; where an instruction makes no sense, the rest of that
//! function is not trusted; and what stands between the functions of a file whose tables know them all is data if
//! it does not make sense as a whole. Always true: a [`Found`] instruction is one that was decoded, never a pattern
//! of bytes. What is done about it is [`crate::plan`]'s business.
//!
//! Where control can arrive is over-estimated: direct branches and calls, starts of functions, addresses that
//! are computed relative to `rip`, everything that reads like an entry of a jump table behind such an address,
//! and every word of data that is an address in code. What remains unknown is a branch to an address that is
//! computed in another way; which patterns bear that is said in [`crate::plan`].

use std::collections::VecDeque;
use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind};
use serde::{Deserialize, Serialize};

use crate::elf::{Elf, Function};

/// What is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// `syscall`.
    Syscall,
    /// `rdtsc`: the time stamp counter.
    Rdtsc,
    /// `rdtscp`: the same, and the processor's number.
    Rdtscp,
    /// `cpuid`.
    Cpuid,
}

/// One of them in the code.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it stands.
    pub address: u64,
    /// What it is.
    pub kind: Kind,
    /// Addresses of the instructions before it, nearest first, from which control falls through to it.
    pub before: Vec<u64>,
    /// Whether all before it in its function was understood.
    pub is_sure: bool,
    /// Whether exceptions may land in its function.
    pub has_landing_pads: bool,
}

/// All that planning needs of a file's code.
#[derive(Default, Debug)]
pub struct Scan {
    /// The instructions, by address.
    pub found: Vec<Found>,
    /// Addresses at which control may arrive other than from the instruction before; sorted.
    pub targets: Vec<u64>,
    /// Padding that nothing executes, by address.
    pub padding: Vec<Range<u64>>,
}

impl Kind {
    /// Its length in bytes.
    pub fn len_bytes(self) -> u64 {
        self.bytes().len() as u64
    }

    /// Its bytes.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Kind::Syscall => &[0x0f, 0x05],
            Kind::Rdtsc => &[0x0f, 0x31],
            Kind::Rdtscp => &[0x0f, 0x01, 0xf9],
            Kind::Cpuid => &[0x0f, 0xa2],
        }
    }

    fn of(mnemonic: Mnemonic) -> Option<Kind> {
        match mnemonic {
            Mnemonic::Syscall => Some(Kind::Syscall),
            Mnemonic::Rdtsc => Some(Kind::Rdtsc),
            Mnemonic::Rdtscp => Some(Kind::Rdtscp),
            Mnemonic::Cpuid => Some(Kind::Cpuid),
            _ => None,
        }
    }
}

/// How many instructions before a found one are remembered: enough to see which call is made.
const MOST_BEFORE: usize = 16;
/// Most entries that are looked at behind an address which may be a jump table.
const MOST_ENTRIES: usize = 16 * 1024;
/// Most entries in all; a file that needs more is made to keep us busy.
const MOST_ENTRIES_IN_ALL: usize = 16 << 20;

impl Scan {
    /// Decode all code of a file.
    pub fn of(elf: &Elf<'_>) -> Scan {
        let mut scan = Scan::default();
        if !elf.code.iter().any(|range| may_hold_some(elf, range)) {
            return scan;
        }
        let mut tables = Vec::new();
        for range in &elf.code {
            let first = elf.functions.partition_point(|f| f.start <= range.start);
            let inside = elf.functions[first..].iter().take_while(|f| f.start < range.end);
            let starts = std::iter::once(range.start).chain(inside.map(|f| f.start));
            let ends = elf.functions[first..].iter().map(|f| f.start.min(range.end));
            for (start, end) in starts.zip(ends.chain(std::iter::once(range.end))) {
                scan.decode(elf, start..end, &mut tables);
            }
        }
        scan.targets.extend(elf.functions.iter().map(|f| f.start));
        scan.add_jump_tables(elf, tables);
        scan.add_words(elf);
        scan.targets.retain(|target| elf.is_code(*target));
        scan.targets.sort_unstable();
        scan.targets.dedup();
        scan.cut_padding();
        scan
    }

    /// Whether control may arrive within `range`.
    pub fn is_reached(&self, range: Range<u64>) -> bool {
        let next = self.targets.partition_point(|target| *target < range.start);
        self.targets.get(next).is_some_and(|target| range.contains(target))
    }

    /// Decode what stands between two starts of functions.
    fn decode(&mut self, elf: &Elf<'_>, range: Range<u64>, tables: &mut Vec<u64>) {
        let Some(bytes) =
            elf.at(range.start).and_then(|b| b.get(..(range.end - range.start) as usize))
        else {
            return;
        };
        let function = function_at(elf, range.start);
        let end = function.and_then(|f| f.end).filter(|end| *end < range.end);
        let mut decoder = Decoder::with_ip(64, bytes, range.start, DecoderOptions::NONE);
        let mut flow = Flow { falls_through: true, ..Flow::default() };
        let mut found_inside = self.found.len();
        // Nor is padding what may be a table's content.
        let is_certain = |run: &Range<u64>, is_derailed: bool| {
            let is_known = end.is_none_or(|end| run.start <= end);
            !is_derailed && (is_known || !elf.is_unwind_table_complete)
        };
        for instruction in &mut decoder {
            let at = instruction.ip();
            if end.is_some_and(|end| at >= end) {
                flow.end(&instruction);
            }
            if flow.is_padding(&instruction) {
                continue;
            }
            self.padding
                .extend(flow.padding.take().filter(|run| is_certain(run, flow.is_derailed)));
            if instruction.is_invalid() {
                flow.is_derailed = true;
                flow.is_data |= flow.is_past_end && elf.is_unwind_table_complete;
                flow.before.clear();
                continue;
            }
            if let Some(kind) = Kind::of(instruction.mnemonic())
                && elf.at(at).is_some_and(|bytes| bytes.starts_with(kind.bytes()))
            {
                let is_known = !flow.is_past_end || !elf.is_unwind_table_complete;
                found_inside += usize::from(!flow.is_past_end);
                self.found.push(Found {
                    address: at,
                    kind,
                    before: flow.before.iter().copied().collect(),
                    is_sure: !flow.is_derailed && is_known,
                    has_landing_pads: function.is_some_and(|f| f.has_landing_pads),
                });
            }
            if instruction.op0_kind() == OpKind::NearBranch64 {
                self.targets.push(instruction.near_branch_target());
            } else if instruction.is_ip_rel_memory_operand() {
                let address = instruction.ip_rel_memory_address();
                let list = if elf.is_code(address) { &mut self.targets } else { &mut *tables };
                list.push(address);
            }
            flow.follow(&instruction);
        }
        self.padding.extend(flow.padding.filter(|run| is_certain(run, flow.is_derailed)));
        if flow.is_data {
            self.found.truncate(found_inside);
        }
    }

    /// Entries of jump tables: 32-bit distances from the table's start, as compilers write them.
    fn add_jump_tables(&mut self, elf: &Elf<'_>, mut tables: Vec<u64>) {
        tables.sort_unstable();
        tables.dedup();
        let mut left = MOST_ENTRIES_IN_ALL;
        for table in tables {
            let entries =
                elf.at(table).unwrap_or_default().chunks_exact(4).take(MOST_ENTRIES.min(left));
            for entry in entries {
                let distance = i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
                let target = table.wrapping_add_signed(distance.into());
                if !elf.is_code(target) {
                    break;
                }
                self.targets.push(target);
                left -= 1;
            }
        }
    }

    /// Pointers in data: every word that is an address in code, relocated or not.
    fn add_words(&mut self, elf: &Elf<'_>) {
        for segment in elf.segments.iter().filter(|s| !s.is_executable) {
            let start = segment.address.next_multiple_of(8);
            for word in elf.at(start).unwrap_or_default().as_chunks::<8>().0 {
                let target = u64::from_le_bytes(*word);
                if elf.is_code(target) {
                    self.targets.push(target);
                }
            }
        }
    }

    /// Padding ends where control may arrive after all.
    fn cut_padding(&mut self) {
        let mut padding = std::mem::take(&mut self.padding);
        padding.sort_by_key(|run| run.start);
        for run in &mut padding {
            let next = self.targets.partition_point(|target| *target < run.start);
            run.end = self.targets.get(next).map_or(run.end, |target| run.end.min(*target));
        }
        padding.retain(|run| !run.is_empty());
        self.padding = padding;
    }
}

/// What is known before the next instruction of a function.
#[derive(Default)]
struct Flow {
    /// The instructions before it, nearest first.
    before: VecDeque<u64>,
    /// Whether the last of them leads to it.
    falls_through: bool,
    /// Whether it surely does.
    runs_on: bool,
    /// Padding that ends at it.
    padding: Option<Range<u64>>,
    /// Whether something before it made no sense.
    is_derailed: bool,
    /// Whether the function has ended.
    is_past_end: bool,
    /// Whether what follows it is data.
    is_data: bool,
}

impl Flow {
    /// The function's end, as a table has it, is before `instruction`: what follows is padding, or code that no
    /// table knows; unless control runs into it, as where `clone` in libraries wants nobody to unwind the child.
    fn end(&mut self, instruction: &Instruction) {
        if !self.is_past_end && (is_nop(instruction) || !self.runs_on) {
            self.is_past_end = true;
            self.falls_through = false;
            self.before.clear();
        }
    }

    /// Whether an instruction is padding: it does nothing, and nothing leads to it.
    fn is_padding(&mut self, instruction: &Instruction) -> bool {
        if !is_nop(instruction) {
            return false;
        }
        match &mut self.padding {
            Some(run) => run.end = instruction.next_ip(),
            None if self.falls_through => return false,
            none => *none = Some(instruction.ip()..instruction.next_ip()),
        }
        true
    }

    fn follow(&mut self, instruction: &Instruction) {
        self.falls_through = !matches!(
            instruction.flow_control(),
            FlowControl::UnconditionalBranch
                | FlowControl::IndirectBranch
                | FlowControl::Return
                | FlowControl::Exception
        );
        // A call at a function's end does not return.
        self.runs_on = self.falls_through && instruction.flow_control() != FlowControl::Call
            || instruction.mnemonic() == Mnemonic::Syscall;
        if self.falls_through {
            self.before.push_front(instruction.ip());
            self.before.truncate(MOST_BEFORE);
        } else {
            self.before.clear();
        }
    }
}

/// Whether the bytes of any of the instructions occur: most libraries have none, and need not be decoded.
fn may_hold_some(elf: &Elf<'_>, range: &Range<u64>) -> bool {
    let all = [Kind::Syscall, Kind::Rdtsc, Kind::Rdtscp, Kind::Cpuid];
    let bytes = elf.at(range.start).unwrap_or_default();
    let bytes = &bytes[..bytes.len().min((range.end - range.start) as usize)];
    bytes
        .windows(3)
        .any(|three| three[0] == 0x0f && all.iter().any(|k| three.starts_with(k.bytes())))
        || all.iter().any(|kind| bytes.ends_with(kind.bytes()))
}

fn is_nop(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3)
}

fn function_at(elf: &Elf<'_>, start: u64) -> Option<Function> {
    let index = elf.functions.binary_search_by_key(&start, |f| f.start).ok()?;
    Some(elf.functions[index])
}
