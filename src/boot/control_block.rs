//! Where a C library keeps a thread's id in its control block.
//!
//! The first words of a thread's control block and the native id in, the id's offset out. Always true: half a pointer
//! is not taken for an id: on a machine that randomizes no addresses, and in guests none are, the upper half of each
//! pointer into a library is 0x7fff, which is the native id 32767 now and then. Pure; `tests/threads.rs` tests it.
//! Who looks and writes is `identity`.

/// How many words may hold the id.
pub const WORDS: usize = 32;
/// Before them stand pointers and the canary, in every version of musl: self, dtv, two links, sysinfo, canary.
const FIRST: usize = 6;

/// The offset in bytes of the id `native`, which is a word's lower half in every version of musl.
pub fn id_offset(block: &[u64; WORDS], native: u32) -> Option<usize> {
    let is_id = |word: &u64| *word as u32 == native;
    block[FIRST..].iter().position(is_id).map(|at| (FIRST + at) * size_of::<u64>())
}
