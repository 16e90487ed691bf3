//! The vDSO: its functions read the clock without a system call, so they are pointed at the entry.
//!
//! The auxiliary vector in; jumps at the start of each function out. Always true: all functions of
//! `arch::VDSO_FUNCTIONS` that this kernel's vDSO has are redirected, or the process ends with a line; its
//! own code is not run again. The mapping is made writable for a moment; where it is sealed it is written
//! through /proc/self/mem. See vdso(7), elf(5).
//!
//! # Safety
//!
//! Reads the vDSO's ELF tables and overwrites the start of its functions.
#![allow(unsafe_code)]

use core::ffi::CStr;

use shim_abi::calls::nr;

use super::environment::Found;
use super::give_up;
use crate::{arch, sys};

const AT_SYSINFO_EHDR: u64 = 33;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const PAGE: usize = 4096;

/// Redirect every function.
pub fn redirect(found: &Found) {
    let Some(base) = found.auxiliary(AT_SYSINFO_EHDR).filter(|&base| base != 0) else {
        return; // No vDSO: every call is a system call.
    };
    let image = Image { base: base as usize };
    let Some(symbols) = image.symbols() else {
        give_up(format_args!("the vDSO's symbol table is not understood"));
    };
    let bytes = image.bytes();
    let writable = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    // The mapping cannot be split: its protection is changed as a whole.
    let is_writable = sys::protect(image.base, bytes, writable).is_ok();
    for function in arch::VDSO_FUNCTIONS {
        if let Some(address) = symbols.find(function.name) {
            let jump = arch::jump_to(function.door_address());
            if is_writable {
                sys::store_bytes(address, &jump);
            } else if !write_through_proc(address, &jump) {
                give_up(format_args!("the vDSO cannot be changed (see `shim doctor`)"));
            }
        }
    }
    if is_writable {
        let _ = sys::protect(image.base, bytes, libc::PROT_READ | libc::PROT_EXEC);
    }
}

fn write_through_proc(address: usize, bytes: &[u8]) -> bool {
    let Ok(fd) = sys::open(c"/proc/self/mem", libc::O_RDWR | libc::O_CLOEXEC) else { return false };
    let args = [fd.into(), bytes.as_ptr() as u64, bytes.len() as u64, address as u64, 0, 0];
    let written = sys::call(nr::pwrite64, args);
    sys::close(fd);
    written == Ok(bytes.len() as u64)
}

/// The vDSO's image in memory.
struct Image {
    base: usize,
}

/// Its dynamic symbols.
struct Symbols {
    base: usize,
    table: usize,
    names: usize,
    count: usize,
}

impl Image {
    fn at<T: Copy>(&self, offset: usize) -> T {
        let place = (self.base + offset) as *const T;
        // SAFETY: the kernel's image is mapped and well-formed; offsets come from its own tables.
        unsafe { place.read_unaligned() }
    }

    fn segments(&self) -> impl Iterator<Item = libc::Elf64_Phdr> + '_ {
        let header: libc::Elf64_Ehdr = self.at(0);
        (0..usize::from(header.e_phnum))
            .map(move |i| self.at(header.e_phoff as usize + i * size_of::<libc::Elf64_Phdr>()))
    }

    fn bytes(&self) -> usize {
        let end = self
            .segments()
            .filter(|s| s.p_type == PT_LOAD)
            .map(|s| (s.p_vaddr + s.p_memsz) as usize)
            .max();
        end.unwrap_or(PAGE).next_multiple_of(PAGE)
    }

    fn symbols(&self) -> Option<Symbols> {
        let dynamic = self.segments().find(|s| s.p_type == PT_DYNAMIC)?;
        let (mut table, mut names, mut hash, mut gnu_hash) = (None, None, None, None);
        for i in 0..dynamic.p_memsz as usize / 16 {
            let [tag, value]: [u64; 2] = self.at(dynamic.p_vaddr as usize + i * 16);
            match tag {
                0 => break,
                DT_SYMTAB => table = Some(value as usize),
                DT_STRTAB => names = Some(value as usize),
                DT_HASH => hash = Some(value as usize),
                DT_GNU_HASH => gnu_hash = Some(value as usize),
                _ => {}
            }
        }
        let count = match (hash, gnu_hash) {
            (Some(hash), _) => self.at::<[u32; 2]>(hash)[1] as usize,
            (None, Some(hash)) => self.count_by_gnu_hash(hash),
            (None, None) => return None,
        };
        Some(Symbols { base: self.base, table: table?, names: names?, count })
    }

    /// The GNU hash table tells the number of symbols only through its longest chain.
    fn count_by_gnu_hash(&self, hash: usize) -> usize {
        let [buckets, first, bloom_words, _]: [u32; 4] = self.at(hash);
        let buckets_at = hash + 16 + bloom_words as usize * 8;
        let chains_at = buckets_at + buckets as usize * 4;
        let mut last =
            (0..buckets as usize).map(|i| self.at::<u32>(buckets_at + i * 4)).max().unwrap_or(0);
        if last < first {
            return first as usize;
        }
        while self.at::<u32>(chains_at + (last - first) as usize * 4) & 1 == 0 {
            last += 1;
        }
        last as usize + 1
    }
}

impl Symbols {
    fn find(&self, name: &[u8]) -> Option<usize> {
        let image = Image { base: self.base };
        (0..self.count).find_map(|i| {
            let symbol: libc::Elf64_Sym = image.at(self.table + i * size_of::<libc::Elf64_Sym>());
            let text =
                (self.base + self.names + symbol.st_name as usize) as *const core::ffi::c_char;
            // SAFETY: the image's names are NUL-terminated.
            let text = unsafe { CStr::from_ptr(text) };
            (symbol.st_shndx != 0 && text.to_bytes() == name)
                .then(|| self.base + symbol.st_value as usize)
        })
    }
}
