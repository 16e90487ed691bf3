//! What is done about each instruction, and why nothing is done about some.
//!
//! A [`Scan`] in, a [`Plan`] out. Always true: a plan is made for one content of a file and says nothing that is
//! not in it; no two sites use the same bytes; an instruction that is not replaced keeps trapping, which is
//! slower and as right. How a plan becomes code is [`crate::image`]'s business.
//!
//! # Ways
//!
//! - **Before**: the jump (5 bytes) replaces instructions in front of the site, which the stub executes instead.
//!   In most sites that is the `mov eax, NUMBER` directly before. Where the first of them is at least as long as
//!   the jump, no instruction begins within the replaced bytes, so there is nothing that could be branched to (but
//!   a branch to behind them passes the jump by: then a hop is better); else no known branch may lead there, no
//!   exception may land in the function, and it is preferred last.
//! - **Hop**: the site itself becomes a short jump (2 bytes) to padding between functions, or behind a jump inside
//!   of one, where the long jump has room.
//! - **Trap** (not for `syscall`, which traps anyway): its first byte becomes `hlt`.
//!
//! In all three the site's own two or three bytes still do the right thing when control arrives there in a way
//! that nobody foresaw, and its return address stays the original's.
//!
//! Why not replace the `syscall` together with the comparison behind it, which fits nearly everywhere in glibc:
//! the return address would lie within the jump. Signal frames, restarted calls (which go back by two bytes) and
//! unwinders would all have to be lied to. A hop needs nothing of the kind, and fits in as many sites.

use std::fmt;

use iced_x86::{
    Code, ConstantOffsets, Decoder, DecoderOptions, FlowControl, Instruction,
    InstructionInfoFactory, Mnemonic, OpAccess, Register,
};
use serde::{Deserialize, Serialize};

use crate::elf::Elf;
use crate::scan::{Found, Kind, Scan};

/// What is done about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// All sites, by address.
    pub sites: Vec<Site>,
}

/// What is done about one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Where it stands.
    pub address: u64,
    /// What it is.
    pub kind: Kind,
    /// Of a `syscall`, the call's number, if it is loaded shortly before.
    pub number: Option<u32>,
    /// What is done.
    pub way: Way,
}

/// How an instruction is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// A jump replaces instructions from here up to the site.
    Before(u64),
    /// A short jump to a long one, which stands here.
    Hop(u64),
    /// It traps.
    Trap,
    /// It stays as it is.
    Left(Reason),
}

/// Why an instruction is not replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// Unwinders recognise a signal's return by these very bytes.
    SignalReturn,
    /// It stands where data may stand, or behind something that makes no sense.
    NotUnderstood,
    /// A branch leads to where the jump would be.
    BranchInside,
    /// Exceptions may land where the jump would be.
    LandingPads,
    /// What is before it is too short or depends on where it stands, and no padding is near.
    NoRoom,
    /// The dynamic linker writes into this file's code.
    TextRelocations,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::SignalReturn => "unwinders know a signal's return by these bytes",
            Reason::NotUnderstood => "may be data: no table knows a function here",
            Reason::BranchInside => "a branch leads into what would be replaced",
            Reason::LandingPads => "exceptions may land in what would be replaced",
            Reason::NoRoom => "no room before it and no padding near it",
            Reason::TextRelocations => "the dynamic linker changes this file's code",
        })
    }
}

/// Length of `jmp rel32`.
pub const JUMP_BYTES: u64 = 5;
/// Length of `jmp rel8`.
pub const SHORT_JUMP_BYTES: u64 = 2;

/// Most instructions that are moved into a stub.
pub const MOST_MOVED: usize = 6;

const RT_SIGRETURN: u32 = 15;

impl Plan {
    /// Decide about every instruction of a file.
    pub fn of(elf: &Elf<'_>) -> Plan {
        Plan::from_scan(elf, &Scan::of(elf))
    }

    /// The same, of a scan that was made already.
    pub fn from_scan(elf: &Elf<'_>, scan: &Scan) -> Plan {
        let mut landings = Landings::of(scan);
        let sites = scan.found.iter().map(|found| {
            let number = (found.kind == Kind::Syscall).then(|| number(elf, found)).flatten();
            let way = way(elf, scan, found, number, &mut landings);
            Site { address: found.address, kind: found.kind, number, way }
        });
        Plan { sites: sites.collect() }
    }
}

fn way(
    elf: &Elf<'_>,
    scan: &Scan,
    found: &Found,
    number: Option<u32>,
    landings: &mut Landings,
) -> Way {
    match number {
        _ if elf.has_text_relocations => return Way::Left(Reason::TextRelocations),
        _ if !found.is_sure => return Way::Left(Reason::NotUnderstood),
        Some(RT_SIGRETURN) => return Way::Left(Reason::SignalReturn),
        _ => {}
    }
    let nearest = found.before.iter().take(MOST_MOVED);
    let movable = nearest.map_while(|at| movable_at(elf, *at).map(|(one, _)| one));
    let movable: Vec<Instruction> = movable.collect();
    let long = movable.iter().find(|one| one.len() as u64 >= JUMP_BYTES).map(Instruction::ip);
    // A loop that begins behind the jump would come by it once.
    let is_passed_by = |first: u64| scan.is_reached(first + 1..found.address + 1);
    if let Some(first) = long.filter(|first| !is_passed_by(*first)) {
        return Way::Before(first);
    }
    if let Some(landing) = landings.take(found.address) {
        return Way::Hop(landing);
    }
    if let Some(first) = long {
        return Way::Before(first);
    }
    let first = movable.iter().find(|one| found.address - one.ip() >= JUMP_BYTES);
    let reason = match first.map(Instruction::ip) {
        None => Reason::NoRoom,
        Some(_) if found.has_landing_pads => Reason::LandingPads,
        Some(first) if scan.is_reached(first + 1..first + JUMP_BYTES) => Reason::BranchInside,
        Some(first) => return Way::Before(first),
    };
    if found.kind == Kind::Syscall { Way::Left(reason) } else { Way::Trap }
}

/// The instruction at an address, if it does the same elsewhere once its distance to memory is corrected.
pub fn movable_at(elf: &Elf<'_>, address: u64) -> Option<(Instruction, ConstantOffsets)> {
    let bytes = elf.at(address)?;
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let one = decoder.decode();
    let stays = one.is_invalid()
        || one.flow_control() != FlowControl::Next
        || matches!(
            one.mnemonic(),
            Mnemonic::Endbr64
                | Mnemonic::Endbr32
                | Mnemonic::Hlt
                | Mnemonic::Rdtsc
                | Mnemonic::Rdtscp
                | Mnemonic::Cpuid
        );
    (!stays).then(|| (one, decoder.get_constant_offsets(&one)))
}

/// The number of the system call: what was last loaded into `eax` before it, if that is a constant.
fn number(elf: &Elf<'_>, found: &Found) -> Option<u32> {
    let mut factory = InstructionInfoFactory::new();
    for at in &found.before {
        let one = Decoder::with_ip(64, elf.at(*at)?, *at, DecoderOptions::NONE).decode();
        let writes = factory.info(&one).used_registers().iter().any(|used| {
            let is_read_only = matches!(used.access(), OpAccess::Read | OpAccess::CondRead);
            used.register().full_register() == Register::RAX && !is_read_only
        });
        if !writes {
            continue;
        }
        return match one.code() {
            Code::Mov_r32_imm32 | Code::Mov_rm64_imm32 | Code::Mov_r64_imm64 => {
                u32::try_from(one.immediate(1)).ok()
            }
            Code::Mov_r8_imm8 if one.op0_register() == Register::AL => {
                Some(one.immediate8().into())
            }
            Code::Xor_r32_rm32 | Code::Xor_rm32_r32 if one.op0_register() == one.op1_register() => {
                Some(0)
            }
            _ => None,
        };
    }
    None
}

/// Room for long jumps in padding, by address; taken from the left, so that later sites find what is near them.
struct Landings {
    free: Vec<u64>,
}

impl Landings {
    fn of(scan: &Scan) -> Landings {
        let rooms = scan.padding.iter().flat_map(|run| {
            let count = (run.end - run.start) / JUMP_BYTES;
            (0..count).map(|index| run.start + index * JUMP_BYTES)
        });
        Landings { free: rooms.collect() }
    }

    /// A place that a short jump at `site` reaches.
    fn take(&mut self, site: u64) -> Option<u64> {
        let next = site + SHORT_JUMP_BYTES;
        let lowest = next.saturating_add_signed(i8::MIN.into());
        let index = self.free.partition_point(|landing| *landing < lowest);
        let landing = *self.free.get(index)?;
        if landing > next + i8::MAX as u64 {
            return None;
        }
        self.free.remove(index);
        Some(landing)
    }
}
