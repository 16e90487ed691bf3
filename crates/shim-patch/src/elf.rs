//! What an ELF file says about its code: where it is, and where functions begin.
//!
//! The bytes of a file in, an [`Elf`] or an [`ElfError`] out. Always true: the contents are data to validate;
//! no file, however broken, makes this panic or read outside its bytes. Segments, symbols and unwind tables
//! are read by `object` and `gimli`; which instructions stand in the code is [`crate::scan`]'s business.
//! See elf(5).

use std::fmt;
use std::ops::Range;

use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};
use object::read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, elf};

/// A 64-bit x86 ELF file, as far as rewriting needs it.
pub struct Elf<'a> {
    /// The whole file.
    pub bytes: &'a [u8],
    /// Its build-id; empty if it has none.
    pub build_id: Vec<u8>,
    /// What is loaded, in the file's order.
    pub segments: Vec<Segment>,
    /// Addresses of executable sections, sorted, without data that symbols declare in them.
    pub code: Vec<Range<u64>>,
    /// Known functions, sorted by start, without duplicates.
    pub functions: Vec<Function>,
    /// Whether the dynamic linker changes its code.
    pub has_text_relocations: bool,
    /// Whether it is loaded where its addresses say.
    pub is_fixed: bool,
    /// Whether it is a program, and loaded anywhere.
    pub is_relocated_program: bool,
    /// Whether the unwind table describes most of the code, so that what it does not know may be data.
    pub is_unwind_table_complete: bool,
    /// Names of functions, sorted by address.
    pub names: Vec<(u64, String)>,
}

/// A PT_LOAD segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where its bytes are in the file.
    pub offset: u64,
    /// Where they are loaded, relative to the file's base.
    pub address: u64,
    /// How many.
    pub len_bytes: u64,
    /// Whether they can be executed, and not written.
    pub is_executable: bool,
}

/// Where a function begins, and what else is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its first instruction.
    pub start: u64,
    /// Its end, if a table tells it.
    pub end: Option<u64>,
    /// Whether exceptions land in it.
    pub has_landing_pads: bool,
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfError {
    /// It is no 64-bit little-endian ELF file.
    NotElf,
    /// It is for another processor.
    WrongMachine,
    /// It is neither a program nor a shared object.
    WrongType,
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ElfError::NotElf => "it is not a 64-bit ELF file",
            ElfError::WrongMachine => "it is for another processor",
            ElfError::WrongType => "it is neither a program nor a shared object",
        })
    }
}

impl std::error::Error for ElfError {}

/// Nothing is loaded beyond what user space has.
const USER_SPACE_BYTES: u64 = 1 << 47;

type File<'a> = ElfFile64<'a, Endianness>;

impl<'a> Elf<'a> {
    /// Read a file's tables.
    pub fn parse(bytes: &'a [u8]) -> Result<Elf<'a>, ElfError> {
        let file = File::parse(bytes).map_err(|_| ElfError::NotElf)?;
        let (header, endian) = (file.elf_header(), file.endian());
        if endian != Endianness::Little {
            return Err(ElfError::NotElf);
        }
        if header.e_machine(endian) != elf::EM_X86_64 {
            return Err(ElfError::WrongMachine);
        }
        if !matches!(header.e_type(endian), elf::ET_DYN | elf::ET_EXEC) {
            return Err(ElfError::WrongType);
        }
        let mut found = Elf {
            bytes,
            build_id: build_id(&file, bytes).unwrap_or_default().to_vec(),
            segments: segments(&file, bytes),
            code: Vec::new(),
            functions: Vec::new(),
            has_text_relocations: has_text_relocations(&file, bytes),
            is_fixed: header.e_type(endian) == elf::ET_EXEC,
            is_relocated_program: has_tag(&file, bytes, |tag, value| {
                tag == elf::DT_FLAGS_1 && value & elf::DF_1_PIE.0 != 0
            }),
            is_unwind_table_complete: false,
            names: Vec::new(),
        };
        let mut data = Vec::new();
        found.add_symbols(&file, &mut data);
        let described_bytes = found.add_unwind_table(&file);
        found.functions.push(Function {
            start: header.e_entry(endian),
            end: None,
            has_landing_pads: false,
        });
        found.code = found.code_ranges(&file, data);
        let code_bytes: u64 = found.code.iter().map(|range| range.end - range.start).sum();
        found.is_unwind_table_complete = described_bytes > code_bytes / 2;
        found.tidy_up();
        Ok(found)
    }

    /// The loaded bytes from `address` to the end of its segment in the file.
    pub fn at(&self, address: u64) -> Option<&'a [u8]> {
        let segment = self.segments.iter().find(|s| s.range().contains(&address))?;
        let from = segment.offset + (address - segment.address);
        self.bytes.get(from as usize..(segment.offset + segment.len_bytes) as usize)
    }

    /// Whether `address` is in code.
    pub fn is_code(&self, address: u64) -> bool {
        let next = self.code.partition_point(|range| range.end <= address);
        self.code.get(next).is_some_and(|range| range.contains(&address))
    }

    /// The function in which `address` stands, by name, and how far from its start.
    pub fn name_of(&self, address: u64) -> Option<(&str, u64)> {
        let next = self.names.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.names.get(next.checked_sub(1)?)?;
        Some((name, address - start))
    }

    fn add_symbols(&mut self, file: &File<'a>, data: &mut Vec<Range<u64>>) {
        let endian = file.endian();
        for table in [file.elf_symbol_table(), file.elf_dynamic_symbol_table()] {
            for symbol in table.iter().filter(|s| !s.is_undefined(endian)) {
                let (start, len) = (symbol.st_value(endian), symbol.st_size(endian));
                match symbol.st_type() {
                    elf::STT_FUNC | elf::STT_GNU_IFUNC => {
                        let end = start.checked_add(len).filter(|end| *end > start);
                        self.functions.push(Function { start, end, has_landing_pads: false });
                        if let Ok(name) = symbol.name(endian, table.strings()) {
                            self.names.push((start, String::from_utf8_lossy(name).into_owned()));
                        }
                    }
                    elf::STT_OBJECT if len > 0 => data.push(start..start.saturating_add(len)),
                    _ => {}
                }
            }
        }
    }

    /// Add the functions that the unwind table describes; returns how many bytes they have.
    fn add_unwind_table(&mut self, file: &File<'a>) -> u64 {
        let endian = file.endian();
        let sections = file.elf_section_table();
        let Some((_, section)) = sections.section_by_name(endian, b".eh_frame") else { return 0 };
        let Ok(bytes) = section.data(endian, self.bytes) else { return 0 };
        let mut described_bytes = 0_u64;
        let table = EhFrame::new(bytes, LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(section.sh_addr(endian));
        let mut entries = table.entries(&bases);
        while let Ok(Some(entry)) = entries.next() {
            let CieOrFde::Fde(fde) = entry else { continue };
            let Ok(fde) = fde.parse(|_, bases, offset| table.cie_from_offset(bases, offset)) else {
                continue;
            };
            // Unwinders look up the instruction before the one that control returns to. A signal's return is
            // reached by no call, so its description begins a byte early.
            let start = fde.initial_address().wrapping_add(fde.is_signal_trampoline().into());
            described_bytes = described_bytes.saturating_add(fde.len());
            self.functions.push(Function {
                start,
                end: fde.initial_address().checked_add(fde.len()),
                has_landing_pads: fde.lsda().is_some(),
            });
        }
        described_bytes
    }

    /// Executable sections, or executable segments where there are no sections, less `data`.
    fn code_ranges(&self, file: &File<'a>, mut data: Vec<Range<u64>>) -> Vec<Range<u64>> {
        let endian = file.endian();
        let is_code = |section: &&elf::SectionHeader64<Endianness>| {
            section.sh_flags(endian).contains(elf::SHF_EXECINSTR)
                && section.sh_type(endian) == elf::SHT_PROGBITS
        };
        let range = |section: &elf::SectionHeader64<Endianness>| {
            let start = section.sh_addr(endian);
            start..start.saturating_add(section.sh_size(endian))
        };
        let mut code: Vec<_> = file.elf_section_table().iter().filter(is_code).map(range).collect();
        let executable = || self.segments.iter().filter(|s| s.is_executable);
        if code.is_empty() {
            code = executable().map(Segment::range).collect();
        }
        code.retain(|range| {
            executable().any(|s| s.range().start <= range.start && range.end <= s.range().end)
        });
        code.sort_by_key(|range| range.start);
        code.dedup_by(|next, kept| next.start < kept.end);
        data.sort_by_key(|range| range.start);
        code.into_iter().flat_map(|range| without(range, &data)).collect()
    }

    fn tidy_up(&mut self) {
        let code = std::mem::take(&mut self.functions);
        self.functions = code.into_iter().filter(|f| self.is_code(f.start)).collect();
        self.functions.sort_by_key(|f| (f.start, !f.has_landing_pads, std::cmp::Reverse(f.end)));
        self.functions.dedup_by_key(|f| f.start);
        self.names.sort();
        self.names.dedup_by_key(|(start, _)| *start);
    }
}

impl Segment {
    /// Addresses of its bytes that are in the file.
    pub fn range(&self) -> Range<u64> {
        self.address..self.address + self.len_bytes
    }
}

/// `range` less the sorted `holes`.
fn without(range: Range<u64>, holes: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut rest = Vec::new();
    let mut start = range.start;
    for hole in holes.iter().filter(|hole| hole.start < range.end && hole.end > range.start) {
        if hole.start > start {
            rest.push(start..hole.start);
        }
        start = start.max(hole.end);
    }
    if start < range.end {
        rest.push(start..range.end);
    }
    rest
}

fn segments(file: &File<'_>, bytes: &[u8]) -> Vec<Segment> {
    let endian = file.endian();
    let loaded = file.elf_program_headers().iter().filter(|p| p.p_type(endian) == elf::PT_LOAD);
    loaded
        .map(|p| Segment {
            offset: p.p_offset(endian),
            address: p.p_vaddr(endian),
            len_bytes: p.p_filesz(endian).min(p.p_memsz(endian)),
            is_executable: p.p_flags(endian).contains(elf::PF_X)
                && !p.p_flags(endian).contains(elf::PF_W),
        })
        .filter(|s| s.offset.checked_add(s.len_bytes).is_some_and(|end| end <= bytes.len() as u64))
        .filter(|s| s.address.checked_add(s.len_bytes).is_some_and(|end| end <= USER_SPACE_BYTES))
        .collect()
}

fn build_id<'a>(file: &File<'a>, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let endian = file.endian();
    file.elf_program_headers()
        .iter()
        .filter_map(|header| header.notes(endian, bytes).ok().flatten())
        .flat_map(|notes| notes.map_while(Result::ok))
        .find(|note| {
            note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID
        })
        .map(|note| note.desc())
}

fn has_text_relocations(file: &File<'_>, bytes: &[u8]) -> bool {
    has_tag(file, bytes, |tag, value| {
        tag == elf::DT_TEXTREL || tag == elf::DT_FLAGS && value & elf::DF_TEXTREL.0 != 0
    })
}

/// Whether an entry of the dynamic table is such a one.
fn has_tag(file: &File<'_>, bytes: &[u8], is_such: impl Fn(elf::DynamicTag, u64) -> bool) -> bool {
    let endian = file.endian();
    let headers = file.elf_program_headers().iter();
    let entries =
        headers.filter_map(|header| header.dynamic(endian, bytes).ok().flatten()).flatten();
    entries
        .map(|entry| (entry.tag(endian), entry.val(endian)))
        .any(|(tag, value)| is_such(tag, value))
}
