//! Where things stand in a guest's address space.
//!
//! Constants only. Always true: one reservation of [`RESERVATION_BYTES`] at [`RESERVATION`] holds
//! everything that the shim maps in a guest but for the host's arena, so the addresses that the guest's own
//! allocations get do not depend on what the shim does. Not here: how much of each part is used (`region`, and the
//! guest's `boot`).
//!
//! Why this address: below everything that Linux hands out from the top of the address space, with
//! and without randomisation, above every heap and every position-independent executable, and
//! outside the ranges that the sanitizers of gcc and clang take for shadow memory.

/// Start of the reservation.
pub const RESERVATION: usize = 0x6f00_0000_0000;
/// Its size.
pub const RESERVATION_BYTES: usize = 0x8000_0000;
/// The read-only memory file of the host (manager and host block).
pub const READ_ONLY_REGION: usize = RESERVATION;
/// The names of the simulation: a memory file that all hosts share, read-only.
pub const NAMES_REGION: usize = RESERVATION + 0x0010_0000;
/// The memory file that the host's guests write (processes, threads, channels).
pub const SHARED_REGION: usize = RESERVATION + 0x0100_0000;
/// Room for a text that is longer than a stack should be, for as long as it is needed.
pub const TEXT_BUFFER: usize = RESERVATION + 0x1800_0000;
/// Its size.
pub const TEXT_BUFFER_BYTES: usize = 0x0100_0000;
/// Private memory of the shim: a place of [`PLACE_BYTES`] for each thread (its slot and stacks).
pub const PRIVATE: usize = RESERVATION + 0x2000_0000;
/// Room of one thread's place.
pub const PLACE_BYTES: usize = 0x4_0000;
/// Threads that one address space can hold.
pub const MAX_PLACES: usize = (RESERVATION + RESERVATION_BYTES - PRIVATE) / PLACE_BYTES;

/// Start of the first arena: the memory in which the kernel of a host lives, at one address in every process
/// that has it, the simulator included. A guest has at most its own host's.
///
/// Between what the sanitizers' allocators take from the bottom of this part of the address space and
/// [`RESERVATION`].
pub const ARENAS: usize = 0x6500_0000_0000;
/// Size of the largest arena, and distance from one to the next.
pub const ARENA_BYTES: usize = 1 << 30;
/// How many arenas there can be, in all processes that share any.
pub const MAX_ARENAS: usize = 4096;

const _: () = assert!(ARENAS + MAX_ARENAS * ARENA_BYTES <= RESERVATION);

/// Whether `[start, start + len)` touches the reservation, or where arenas stand. Wrapping ranges count as touching.
pub const fn overlaps_reservation(start: usize, len: usize) -> bool {
    match start.checked_add(len) {
        None => true,
        Some(end) => {
            start < RESERVATION + RESERVATION_BYTES && end > RESERVATION
                || start < ARENAS + MAX_ARENAS * ARENA_BYTES && end > ARENAS
        }
    }
}
