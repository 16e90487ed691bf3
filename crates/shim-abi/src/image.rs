//! The rewritten code of a library or program: how it lies in a memory file, and what a guest does with it.
//!
//! `shim-patch` writes such a file, an *image*, once for all guests; a guest maps it over the original. An
//! image has two parts: the *area*, which is new (this header, the stubs, tables), and *texts*, which are
//! copies of the original's executable pages in which some instructions are jumps to stubs. Addresses are
//! relative to the original's load base (what `dl_iterate_phdr` calls `dlpi_addr`), offsets to the start of
//! the area. Always true: the tables are sorted by their first word; an address that a table does not know is
//! its own translation; nothing here is written after publication but [`ImageHeader::doors`].
//!
//! # What a guest does
//!
//! 1. It maps the area, `area_bytes` from the file's start, at load base + `area_address` (privately, readable
//!    and executable, never over anything else: if that place is taken, the original stays as it is), makes
//!    its first page writable for a moment, and writes the addresses of its four entries into `doors`. That page
//!    is the only one that a process has for itself.
//! 2. It maps each of `texts` over the original (privately, fixed, readable and executable). No thread may
//!    execute that code meanwhile, and none may be inside of it: see [`place_of`].
//!
//! # What a stub does
//!
//! It executes the instructions that its jump replaced, loads the return address into a register that the
//! replaced instruction overwrites anyway, and jumps through its door. Nothing else is changed: not the stack,
//! not the flags.
//!
//! | [`Door`] | Return address in | The entry may change |
//! |---|---|---|
//! | `Call` | rcx, as the processor leaves it | rax (number in, result out), rcx, r11 |
//! | `Rdtsc` | rdx | rax, rdx |
//! | `Rdtscp` | rdx | rax, rdx, rcx |
//! | `Cpuid` | rdx | rax (leaf in), rcx (subleaf in), rbx, rdx |
//!
//! The return address is always that of the original. The replaced instruction itself stays where it was, or
//! becomes a jump of the same length, so that control which arrives *at* it in an unforeseen way (a system
//! call that is made again after a signal, 2 bytes before its return address) does what it did: a `syscall`
//! traps as before; of `rdtsc`, `rdtscp` and `cpuid` the first byte is [`TRAP_BYTE`], see [`is_trap`].
//!
//! # When control is in a stub
//!
//! A stub is a few instructions long, and something may interrupt it. What a signal frame shows of the interrupted
//! code goes through [`original_of`], for handlers look at it (musl's cancellation does) and unwinders know the
//! original only; the place that a signal frame is returned to goes through [`place_of`]. Nothing else does: a
//! call that waits has the original's return address. Unwinding through the shim's own entry takes call frame
//! information there, by which the return address is in the register of the table above until it is saved.

/// The first word of an image.
pub const IMAGE_MAGIC: u64 = u64::from_le_bytes(*b"shimtext");
/// The version of this format.
pub const IMAGE_VERSION: u32 = 2;
/// Most pieces of executable memory of one file that an image replaces.
pub const MAX_TEXTS: usize = 16;
/// The first byte of an instruction for which there was no room for a jump: `hlt`, a SIGSEGV in user space.
pub const TRAP_BYTE: u8 = 0xf4;
/// What images are laid out in.
pub const IMAGE_PAGE_BYTES: usize = 4096;

/// The entries of the shim that stubs lead to: indices of [`ImageHeader::doors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Door {
    /// A system call.
    Call = 0,
    /// `rdtsc`.
    Rdtsc = 1,
    /// `rdtscp`.
    Rdtscp = 2,
    /// `cpuid`.
    Cpuid = 3,
}

/// There is code among what was asked about that reads the processor's time stamp counter, and no image replaces it.
pub const READS_COUNTER: u64 = 1;
/// Most images in one process.
pub const MAX_IMAGES: usize = 64;

/// An image and where it goes: what a guest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ImageRecord {
    /// The simulator's descriptor of the image's file.
    pub fd: u64,
    /// Where the area goes.
    pub area: u64,
    /// Its size.
    pub area_bytes: u64,
}

impl ImageRecord {
    /// As words.
    pub const fn to_words(self) -> [u64; 3] {
        [self.fd, self.area, self.area_bytes]
    }

    /// What [`ImageRecord::to_words`] gave.
    pub fn from_words(words: &[u64]) -> ImageRecord {
        let word = |index: usize| words.get(index).copied().unwrap_or(0);
        ImageRecord { fd: word(0), area: word(1), area_bytes: word(2) }
    }
}

/// Where a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Part {
    /// Its offset in the area.
    pub offset: u32,
    /// How many entries (or bytes, where there are none) it has.
    pub count: u32,
}

/// Executable memory that is replaced: whole pages of one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ImageText {
    /// Its address.
    pub address: i64,
    /// Its size; a multiple of a page.
    pub len_bytes: u64,
    /// Where it is in the image's file.
    pub image_offset: u64,
    /// Where the original is in the original's file.
    pub file_offset: u64,
}

/// The first words of an image.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ImageHeader {
    /// [`IMAGE_MAGIC`].
    pub magic: u64,
    /// [`IMAGE_VERSION`].
    pub version: u32,
    /// Size of the area; a multiple of a page.
    pub area_bytes: u32,
    /// Where the area has to stand; a multiple of a page, often negative.
    pub area_address: i64,
    /// The entries, in the order of [`Door`]. Zero in the file; written by each guest into its own copy.
    pub doors: [u64; 4],
    /// The original's build-id, filled up with zeros; all zero if it has none.
    pub build_id: [u8; 32],
    /// How many of `texts` there are.
    pub text_count: u64,
    /// What is replaced, by address.
    pub texts: [ImageText; MAX_TEXTS],
    /// The stubs, in bytes.
    pub stubs: Part,
    /// Table of [`Place`].
    pub places: Part,
    /// Table of [`Displaced`].
    pub displaced: Part,
    /// Table of [`Trap`].
    pub traps: Part,
    /// Call frame information of the stubs in the format of `.eh_frame`, in bytes, with its terminator. It says
    /// that whoever is in a stub was called, with the same registers, from where its [`Place`] says.
    pub unwind: Part,
}

/// Code of an image that stands for code of the original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Place {
    /// Where it begins: an offset from the start of the area, which for a jump in the text is not inside of it.
    pub place: i32,
    /// The instruction of the original that is executed next when control is there: an offset likewise.
    pub original: i32,
    /// How long it is.
    pub len_bytes: u32,
}

/// An instruction of the original whose bytes are overwritten by a jump before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Displaced {
    /// Where it was: an offset from the start of the area.
    pub original: i32,
    /// Where it is now: an offset likewise.
    pub place: i32,
}

/// An instruction whose first byte is [`TRAP_BYTE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Trap {
    /// Where it is: an offset from the start of the area.
    pub at: i32,
    /// Which it is: a [`Door`].
    pub door: u32,
}

/// Where in the original control is that is at `at` in an image: what a signal frame shows, and an unwinder
/// can use. Code that no table entry covers is the original's own.
pub fn original_of(places: &[Place], at: i32) -> i32 {
    let next = places.partition_point(|place| place.place <= at);
    match next.checked_sub(1).and_then(|index| places.get(index)) {
        Some(place) if (at as i64) < i64::from(place.place) + i64::from(place.len_bytes) => {
            place.original
        }
        _ => at,
    }
}

/// Where control has to go to continue at `original`, an address that [`original_of`] may have told, or at which
/// a thread stood when the original was replaced.
pub fn place_of(displaced: &[Displaced], original: i32) -> i32 {
    match displaced.binary_search_by_key(&original, |entry| entry.original) {
        Ok(index) => displaced[index].place,
        Err(_) => original,
    }
}

/// Which instruction trapped at `at`; `None` if none of ours stands there.
pub fn is_trap(traps: &[Trap], at: i32) -> Option<Door> {
    let index = traps.binary_search_by_key(&at, |trap| trap.at).ok()?;
    Door::from_index(traps[index].door)
}

impl Door {
    /// The door with this index.
    pub const fn from_index(index: u32) -> Option<Door> {
        match index {
            0 => Some(Door::Call),
            1 => Some(Door::Rdtsc),
            2 => Some(Door::Rdtscp),
            3 => Some(Door::Cpuid),
            _ => None,
        }
    }
}

const _: () = assert!(size_of::<ImageHeader>() <= IMAGE_PAGE_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [Place; 3] = [
        Place { place: 0x1000, original: 0x9000, len_bytes: 5 },
        Place { place: 0x1005, original: 0x9005, len_bytes: 13 },
        Place { place: 0x9100, original: 0x9080, len_bytes: 5 },
    ];

    #[test]
    fn places_are_translated_and_nothing_else() {
        for (at, original) in [
            (0, 0),
            (0xfff, 0xfff),
            (0x1000, 0x9000),
            (0x1004, 0x9000),
            (0x1005, 0x9005),
            (0x1011, 0x9005),
            (0x1012, 0x1012),
            (0x9000, 0x9000),
            (0x9100, 0x9080),
            (0x9105, 0x9105),
            (i32::MAX, i32::MAX),
            (i32::MIN, i32::MIN),
        ] {
            assert_eq!(original_of(&PLACES, at), original, "{at:#x}");
            assert_eq!(original_of(&[], at), at);
        }
    }

    #[test]
    fn displaced_instructions_are_found_and_nothing_else() {
        let table = [Displaced { original: 3, place: 100 }, Displaced { original: 9, place: 200 }];
        assert_eq!([2, 3, 4, 9].map(|at| place_of(&table, at)), [2, 100, 4, 200]);
    }

    #[test]
    fn a_trap_names_its_door() {
        let table = [Trap { at: -5, door: 3 }, Trap { at: 7, door: 1 }, Trap { at: 8, door: 9 }];
        assert_eq!(is_trap(&table, -5), Some(Door::Cpuid));
        assert_eq!(is_trap(&table, 7), Some(Door::Rdtsc));
        assert_eq!(is_trap(&table, 8), None);
        assert_eq!(is_trap(&table, 6), None);
    }
}
