//! Is this a filter that Linux would take? The form of a program for seccomp(2).
//!
//! The address of instructions and their number in; nothing, EINVAL or EFAULT out. Always true: nothing is run; each
//! instruction is read once; what is accepted ends with a return, jumps forward and within itself, loads only from
//! the data of a call and from cells that were stored on every way there. What the program decides is not here.

use shim_abi::Errno;

use crate::guest_memory::{GuestAddr, read_bytes};

/// Most instructions of a filter.
pub const MAX_INSTRUCTIONS: usize = 4096;
/// Bytes of an instruction, and of the data that one can load from.
const INSTRUCTION_BYTES: u64 = 8;
const DATA_BYTES: u32 = 64;
/// The cells of a program's own memory.
const CELLS: u32 = 16;

// An instruction's class, in the lowest bits of its code.
const LD: u16 = 0;
const LDX: u16 = 1;
const ST: u16 = 2;
const STX: u16 = 3;
const ALU: u16 = 4;
const JMP: u16 = 5;
const RET: u16 = 6;
const MISC: u16 = 7;
// What it works on.
const X: u16 = 0x08;
const A: u16 = 0x10;
const IMM: u16 = 0x00;
const ABS: u16 = 0x20;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
// What it does.
const DIV: u16 = 0x30;
const LSH: u16 = 0x60;
const RSH: u16 = 0x70;
const NEG: u16 = 0x80;
const MOD: u16 = 0x90;
const XOR: u16 = 0xa0;
const JA: u16 = 0x00;
const JSET: u16 = 0x40;
const TAX: u16 = 0x00;
const TXA: u16 = 0x80;

struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    number: u32,
}

impl Instruction {
    fn read(from: GuestAddr) -> Result<Instruction, Errno> {
        let mut bytes = [0; INSTRUCTION_BYTES as usize];
        read_bytes(from, &mut bytes)?;
        let [a, b, if_true, if_false, number @ ..] = bytes;
        let number = u32::from_le_bytes(number);
        Ok(Instruction { code: u16::from_le_bytes([a, b]), if_true, if_false, number })
    }

    /// Whether filters may have it, wherever it stands.
    fn is_known(&self) -> bool {
        let Instruction { code, number, .. } = *self;
        let (class, operation, is_by_x) = (code & 0x07, code & 0xf0, code & X != 0);
        match class {
            _ if code > 0xff => false,
            LD if code == LD | ABS => number < DATA_BYTES && number.is_multiple_of(4),
            LD | LDX if code & !0x07 == MEM => number < CELLS,
            LD | LDX => code & !0x07 == IMM || code & !0x07 == LEN,
            ST | STX => code & !0x07 == 0 && number < CELLS,
            ALU => match operation {
                DIV => is_by_x || number != 0,
                LSH | RSH => is_by_x || number < 32,
                NEG => !is_by_x,
                MOD => false,
                _ => operation <= XOR,
            },
            JMP if operation == JA => !is_by_x,
            JMP => operation <= JSET,
            RET => code == RET || code == RET | A,
            MISC => code == MISC | TAX || code == MISC | TXA,
            _ => false,
        }
    }

    fn is_return(&self) -> bool {
        self.code & 0x07 == RET
    }

    /// How far it jumps, if it jumps.
    fn jumps(&self) -> Option<[usize; 2]> {
        match (self.code & 0x07, self.code & 0xf0) {
            (JMP, JA) => Some([self.number as usize; 2]),
            (JMP, _) => Some([self.if_true.into(), self.if_false.into()]),
            _ => None,
        }
    }

    /// The cell that it stores into, or loads from.
    fn cell(&self) -> Option<(bool, u32)> {
        match self.code {
            ST | STX => Some((true, self.number)),
            code if [LD | MEM, LDX | MEM].contains(&code) => Some((false, self.number)),
            _ => None,
        }
    }
}

/// EFAULT, or EINVAL, unless the `count` instructions at `from` are a program; there are at most
/// [`MAX_INSTRUCTIONS`].
#[inline(never)]
pub fn check(from: GuestAddr, count: usize) -> Result<(), Errno> {
    // All of it must be there before any of it is judged.
    for i in 0..count as u64 {
        Instruction::read(from.offset(i * INSTRUCTION_BYTES))?;
    }
    // The cells that are stored on every way to an instruction.
    let mut stored_at = [u16::MAX; MAX_INSTRUCTIONS];
    let mut stored = 0;
    let mut is_ended = false;
    for i in 0..count {
        let instruction = Instruction::read(from.offset(i as u64 * INSTRUCTION_BYTES))?;
        if !instruction.is_known() {
            return Err(Errno::EINVAL);
        }
        stored &= stored_at[i];
        match instruction.cell() {
            Some((true, cell)) => stored |= 1 << cell,
            Some((false, cell)) if stored & 1 << cell == 0 => return Err(Errno::EINVAL),
            _ => {}
        }
        if let Some(jumps) = instruction.jumps() {
            for distance in jumps {
                let to = distance.saturating_add(i + 1);
                let cells = stored_at[..count].get_mut(to).ok_or(Errno::EINVAL)?;
                *cells &= stored;
            }
            stored = u16::MAX;
        }
        is_ended = instruction.is_return();
    }
    if is_ended { Ok(()) } else { Err(Errno::EINVAL) }
}
