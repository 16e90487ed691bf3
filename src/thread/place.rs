//! Places: where a thread's slot and stacks stand in the shim's reservation.
//!
//! [`allocate`] and [`Place::release`] in and out. Always true: a place is given to one thread at a time; it is given
//! again only once the native kernel has cleared the word that says that its last thread is gone, because
//! that thread runs on the place's stack until its last instruction; a place stays mapped, so threads that come
//! and go do not make the process grow. What stands at a place's start is `slot`'s.
//!
//! These statics are the one exception to "per-process state hangs off the slot": places belong to the
//! address space, which a `vfork` child shares with its parent, and so do statics. Only the thread that has
//! control changes them, but for the words that the kernel clears.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

use shim_abi::Errno;
use shim_abi::address::{MAX_PLACES, PLACE_BYTES, PRIVATE};

use super::Slot;
use crate::frame::Frame;
use crate::sys;

const PAGE: usize = 4096;
const SERVE_STACK_BYTES: usize = 128 * 1024;
const SIGNAL_STACK_BYTES: usize = 64 * 1024;
// From the start of a place; a page stays unmapped below each stack.
const SERVE_STACK: usize = PAGE;
const SIGNAL_STACK: usize = SERVE_STACK + SERVE_STACK_BYTES + PAGE;
// Directly above the stack, which grows away from it.
const SLOT: usize = SIGNAL_STACK + SIGNAL_STACK_BYTES;

const _: () = assert!(size_of::<Slot>() <= PAGE && SLOT + PAGE <= PLACE_BYTES);

/// What is known of one place.
struct Record {
    is_used: AtomicBool,
    is_mapped: AtomicBool,
    /// Not 0 while a native thread may stand on the place's stacks: cleared by the kernel when that ends.
    is_occupied: AtomicU32,
}

static RECORDS: [Record; MAX_PLACES] = [const {
    Record {
        is_used: AtomicBool::new(false),
        is_mapped: AtomicBool::new(false),
        is_occupied: AtomicU32::new(0),
    }
}; MAX_PLACES];

/// So many of them have ever been used. Looking at all of them takes a process a page fault for each 512.
static RECORD_COUNT: AtomicUsize = AtomicUsize::new(0);

/// What is known of the places that were ever used.
fn records() -> &'static [Record] {
    &RECORDS[..RECORD_COUNT.load(Relaxed)]
}

/// A thread's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(usize);

impl Place {
    fn start(self) -> usize {
        PRIVATE + self.0 * PLACE_BYTES
    }
    /// Top of the stack on which calls are served.
    pub fn stack_top(self) -> usize {
        self.start() + SERVE_STACK + SERVE_STACK_BYTES
    }
    /// The stack on which native handlers run: start and size.
    pub fn signal_stack(self) -> (usize, usize) {
        (self.start() + SIGNAL_STACK, SIGNAL_STACK_BYTES)
    }
    /// Where the slot stands.
    pub fn slot(self) -> *mut Slot {
        (self.start() + SLOT) as *mut Slot
    }
    /// The word that the kernel clears when the native thread is gone; to be given to clone(2) as
    /// `child_tid` with CLONE_CHILD_CLEARTID.
    pub fn occupied_word(self) -> &'static AtomicU32 {
        &RECORDS[self.0].is_occupied
    }
    /// Use this place no more once its native thread is gone.
    pub fn release(self) {
        RECORDS[self.0].is_used.store(false, Relaxed);
    }
}

/// A place for a thread that does not exist yet.
pub fn allocate() -> Result<Place, Errno> {
    let is_free =
        |record: &Record| !record.is_used.load(Relaxed) && record.is_occupied.load(Relaxed) == 0;
    let index = records().iter().position(is_free).unwrap_or(records().len());
    let (place, record) = (Place(index), RECORDS.get(index).ok_or(Errno::EAGAIN)?);
    RECORD_COUNT.fetch_max(index + 1, Relaxed);
    if !record.is_mapped.load(Relaxed) {
        map(place).map_err(|_| Errno::EAGAIN)?;
        record.is_mapped.store(true, Relaxed);
    }
    record.is_used.store(true, Relaxed);
    record.is_occupied.store(1, Relaxed);
    Ok(place)
}

/// The place was not used after all.
pub fn give_back(place: Place) {
    RECORDS[place.0].is_occupied.store(0, Relaxed);
    place.release();
}

/// This is a new process with a copy of the memory of another: the threads of all places but this one are not
/// here.
pub fn keep_only(place: Place) {
    for (index, record) in records().iter().enumerate() {
        if index != place.0 {
            record.is_used.store(false, Relaxed);
            record.is_occupied.store(0, Relaxed);
        }
    }
}

/// Call `each` with the frame of every thread of this memory but the one at `place`: all of them wait in the shim.
pub fn for_each_other(place: Place, mut each: impl FnMut(*mut Frame)) {
    for (index, record) in records().iter().enumerate() {
        if index != place.0 && record.is_used.load(Relaxed) && record.is_mapped.load(Relaxed) {
            each((Place(index).stack_top() - size_of::<Frame>()) as *mut Frame);
        }
    }
}

fn map(place: Place) -> Result<(), Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    for (at, bytes) in [(SERVE_STACK, SERVE_STACK_BYTES), (SIGNAL_STACK, SIGNAL_STACK_BYTES + PAGE)]
    {
        sys::map(place.start() + at, bytes, protection, flags, -1)?;
    }
    Ok(())
}
