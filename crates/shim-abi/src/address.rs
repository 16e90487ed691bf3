//! Where things stand in a guest's address space.
//!
//! Constants only. Always true: one reservation of [`RESERVATION_BYTES`] at [`RESERVATION`] holds
//! everything that the shim maps in a guest, so the addresses that the guest's own allocations get
//! do not depend on what the shim does. Not here: how much of each part is used (`region`, and the
//! guest's `boot`).
//!
//! Why this address: below everything that Linux hands out from the top of the address space, with
//! and without randomisation, above every heap and every position-independent executable, and
//! outside the ranges that the sanitizers of gcc and clang take for shadow memory.

/// Start of the reservation.
pub const RESERVATION: usize = 0x6f00_0000_0000;
/// Its size.
pub const RESERVATION_BYTES: usize = 0x4000_0000;
/// The read-only memory file of the host (manager and host block).
pub const READ_ONLY_REGION: usize = RESERVATION;
/// The names of the simulation: a memory file that all hosts share, read-only.
pub const NAMES_REGION: usize = RESERVATION + 0x0010_0000;
/// The memory file that the host's guests write (processes, threads, channels).
pub const SHARED_REGION: usize = RESERVATION + 0x0100_0000;
/// Private memory of the shim: thread slots, stacks, scratch.
pub const PRIVATE: usize = RESERVATION + 0x2000_0000;

/// Whether `[start, start + len)` touches the reservation. Wrapping ranges count as touching.
pub const fn overlaps_reservation(start: usize, len: usize) -> bool {
    match start.checked_add(len) {
        None => true,
        Some(end) => start < RESERVATION + RESERVATION_BYTES && end > RESERVATION,
    }
}
