//! The instructions that rewriting writes: stubs, and the jumps that lead to them.
//!
//! A site and the addresses of what it needs in; bytes out. Always true: a stub executes what its jump replaced,
//! in order, loads the return address into the register that `shim_abi::image` promises, and jumps through a
//! door; it touches neither the stack nor the flags. Where stubs stand is [`crate::image`]'s business.

use shim_abi::image::Door;

use crate::elf::Elf;
use crate::plan::{JUMP_BYTES, SHORT_JUMP_BYTES, Site, movable_at};
use crate::scan::Kind;

/// A stub.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stub {
    /// Its code.
    pub bytes: Vec<u8>,
    /// Its instructions, in order and without gaps: how many bytes, and the original instruction that is executed
    /// next when control is at their start.
    pub parts: Vec<(u32, i64)>,
}

/// Something does not reach: more than 2 GiB are between the text and its stubs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFar;

impl Kind {
    /// Where its stubs lead.
    pub fn door(self) -> Door {
        match self {
            Kind::Syscall => Door::Call,
            Kind::Rdtsc => Door::Rdtsc,
            Kind::Rdtscp => Door::Rdtscp,
            Kind::Cpuid => Door::Cpuid,
        }
    }

    /// `lea REG, [rip + DISTANCE]` with the register that holds the return address.
    fn load_return_address(self) -> [u8; 3] {
        match self {
            Kind::Syscall => [0x48, 0x8d, 0x0d], // rcx
            Kind::Rdtsc | Kind::Rdtscp | Kind::Cpuid => [0x48, 0x8d, 0x15], // rdx
        }
    }
}

/// `jmp` from one address to another.
pub fn jump(from: i64, to: i64) -> Result<[u8; 5], TooFar> {
    let [a, b, c, d] = distance(from + JUMP_BYTES as i64, to)?.to_le_bytes();
    Ok([0xe9, a, b, c, d])
}

/// `jmp` over at most 127 bytes.
pub fn short_jump(from: i64, to: i64) -> Result<[u8; 2], TooFar> {
    let distance = i8::try_from(to - from - SHORT_JUMP_BYTES as i64).map_err(|_| TooFar)?;
    Ok([0xeb, distance as u8])
}

/// The stub of a site that stands at `at`. `first` is the first instruction that it executes for the text, the
/// site's own address if there is none; `door` is where the entry's address is. `None` if the instructions in
/// the file are not what they were when the plan was made.
pub fn stub(
    elf: &Elf<'_>,
    site: &Site,
    first: u64,
    at: i64,
    door: i64,
) -> Option<Result<Stub, TooFar>> {
    let mut stub = Stub::default();
    let mut next = first;
    while next < site.address {
        let (one, offsets) = movable_at(elf, next)?;
        let mut bytes = elf.at(next)?.get(..one.len())?.to_vec();
        if one.is_ip_rel_memory_operand() {
            let place = offsets.displacement_offset();
            let end = at + (stub.bytes.len() + bytes.len()) as i64;
            let Ok(moved) = distance(end, one.ip_rel_memory_address() as i64) else {
                return Some(Err(TooFar));
            };
            bytes.get_mut(place..place + 4)?.copy_from_slice(&moved.to_le_bytes());
        }
        stub.push(&bytes, next);
        next = one.next_ip();
    }
    if next != site.address {
        return None;
    }
    Some(stub.finish(site, at, door))
}

impl Stub {
    fn push(&mut self, bytes: &[u8], original: u64) {
        self.bytes.extend_from_slice(bytes);
        self.parts.push((bytes.len() as u32, original as i64));
    }

    fn finish(mut self, site: &Site, at: i64, door: i64) -> Result<Stub, TooFar> {
        let start = at + self.bytes.len() as i64;
        let back = site.address as i64 + site.kind.len_bytes() as i64;
        let mut load = site.kind.load_return_address().to_vec();
        load.extend(distance(start + 7, back)?.to_le_bytes());
        self.push(&load, site.address);
        let mut leave = vec![0xff, 0x25]; // jmp [rip + DISTANCE]
        leave.extend(distance(start + 13, door)?.to_le_bytes());
        self.push(&leave, site.address);
        Ok(self)
    }
}

/// What is added to the address behind an instruction to get to `to`.
fn distance(behind: i64, to: i64) -> Result<i32, TooFar> {
    i32::try_from(to.wrapping_sub(behind)).map_err(|_| TooFar)
}
