//! Images in this memory: asked for, mapped, forgotten.
//!
//! The supervisor's list in, mappings out. Always true: the statics describe the address space, as those of places
//! do (`thread::place`), which a `vfork` child shares; only the thread that has control changes them. A mapping that
//! trapped and of which there is no image is not asked about again.
//!
//! # Safety
//!
//! Replaces code of the guest by its equal, writes the doors, and reads the header that it has mapped.
#![allow(unsafe_code)]

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use shim_abi::calls::{PSEUDO_IMAGES, nr};
use shim_abi::image::{self, IMAGE_MAGIC, IMAGE_VERSION, ImageHeader, ImageRecord, MAX_IMAGES};
use shim_abi::manager::Patching;

use crate::frame::Frame;
use crate::local::reach;
use crate::thread::{Slot, place};
use crate::trace::FixedText;
use crate::{arch, boot, forward, sys};

/// Most mappings that are remembered as unpatched.
const MAX_ASKED: usize = 64;
/// Words of an answer before the images.
const HEADER_WORDS: usize = 3;
/// Most images that one answer brings.
const MAX_ANSWERS: usize = 16;

/// The addresses of the areas of the images that are mapped; 0: none.
static AREAS: [AtomicUsize; MAX_IMAGES] = [const { AtomicUsize::new(0) }; MAX_IMAGES];
/// Up to here [`AREAS`] may hold something.
static AREA_COUNT: AtomicUsize = AtomicUsize::new(0);
/// Mappings that no image replaces: start and end.
static ASKED: [[AtomicU64; 2]; MAX_ASKED] =
    [const { [AtomicU64::new(0), AtomicU64::new(0)] }; MAX_ASKED];
static ASKED_COUNT: AtomicUsize = AtomicUsize::new(0);

/// An image that is mapped.
#[derive(Clone, Copy)]
pub(super) struct Image {
    area: usize,
}

impl Image {
    pub(super) fn header(self) -> &'static ImageHeader {
        // SAFETY: `put` mapped the area and saw that it is an image; it stays mapped until no thread uses it.
        unsafe { &*(self.area as *const ImageHeader) }
    }

    /// Where it stands.
    pub(super) fn area(self) -> u64 {
        self.area as u64
    }

    /// What it says relative to the load base is relative to this.
    fn load_base(self) -> u64 {
        self.area().wrapping_add_signed(self.header().area_address.wrapping_neg())
    }

    /// The pieces of the guest's code that it replaces: address and size.
    fn texts(self) -> impl Iterator<Item = (u64, u64)> {
        let header = self.header();
        let texts = header.texts.iter().take(header.text_count as usize);
        texts.map(move |text| (self.load_base().wrapping_add_signed(text.address), text.len_bytes))
    }

    /// Whether an address is in the code of which it is the image, replaced or not.
    fn covers(self, address: u64) -> bool {
        let start = self.texts().map(|(start, _)| start).min();
        let end = self.texts().map(|(start, bytes)| start + bytes).max();
        start.zip(end).is_some_and(|(start, end)| (start..end).contains(&address))
    }

    /// Whether an address is in its area or in a text of it.
    pub(super) fn holds(self, address: u64) -> bool {
        address.wrapping_sub(self.area()) < self.header().area_bytes.into()
            || self.texts().any(|(start, bytes)| address.wrapping_sub(start) < bytes)
    }
}

/// All images that are mapped.
pub(super) fn all() -> impl Iterator<Item = Image> {
    AREAS[..AREA_COUNT.load(Relaxed)]
        .iter()
        .map(|area| Image { area: area.load(Relaxed) })
        .filter(|image| image.area != 0)
}

/// There is code that reads the processor's counter and is not replaced, or there may be.
static READS_COUNTER: AtomicBool = AtomicBool::new(false);

/// Whether code in this memory may read the processor's time stamp counter itself.
pub fn reads_counter() -> bool {
    READS_COUNTER.load(Relaxed)
}

/// Map the images of what is in memory at an image's start.
pub fn begin(slot: &Slot) {
    if slot.manager.patching == Patching::On as u32 {
        ask(slot, 0);
    } else {
        READS_COUNTER.store(true, Relaxed);
    }
}

/// The guest has mapped code, or made some of memory: of a file, unchanged, at `address`; else (`None`) it may be
/// anything, now or later.
pub fn has_new_code(slot: &Slot, address: Option<u64>) {
    match address {
        Some(address) if slot.manager.patching == Patching::On as u32 => ask(slot, address),
        _ => READS_COUNTER.store(true, Relaxed),
    }
    boot::trap_counter(slot);
}

/// A system call trapped at `address`. If it stands in code that an image can replace, and did not ask about, map that.
#[cold]
#[inline(never)]
pub fn consider(slot: &Slot, address: u64) {
    let is_known = |range: &[AtomicU64; 2]| {
        (range[0].load(Relaxed)..range[1].load(Relaxed)).contains(&address)
    };
    if slot.manager.patching != Patching::On as u32
        || ASKED[..ASKED_COUNT.load(Relaxed)].iter().any(is_known)
        || all().any(|image| image.holds(address) || image.covers(address))
    {
        return;
    }
    ask(slot, address);
}

/// Ask what can be replaced: all, or what is at an address.
fn ask(slot: &Slot, address: u64) {
    const WORDS: usize = size_of::<ImageRecord>() / 8;
    let mut answer = [0u64; HEADER_WORDS + MAX_ANSWERS * WORDS];
    let own = boot::own_text().0 as u64;
    let args = [address, answer.as_mut_ptr() as u64, MAX_ANSWERS as u64, own, 0, 0];
    let count = forward::Forwarded::new(slot, PSEUDO_IMAGES, args).send_into(&mut answer);
    let count = usize::try_from(count).unwrap_or(0).min(MAX_ANSWERS);
    let [start, end, flags, ref records @ ..] = answer;
    let mut put_count = 0;
    for words in records.chunks_exact(WORDS).take(count) {
        put_count += usize::from(put(slot, &ImageRecord::from_words(words)));
    }
    if put_count == 0 {
        // The supervisor knows no mapping of a file there: code that the guest has written.
        let page = address & !0xfff;
        let range = if start < end { (start, end) } else { (page, page + 0x1000) };
        remember(range.0, range.1);
    }
    if flags & image::READS_COUNTER != 0 || put_count < count {
        READS_COUNTER.store(true, Relaxed);
    }
}

/// There is no image of this mapping.
fn remember(start: u64, end: u64) {
    let count = ASKED_COUNT.load(Relaxed);
    if let Some(range) = ASKED.get(count) {
        range[0].store(start, Relaxed);
        range[1].store(end, Relaxed);
        ASKED_COUNT.store(count + 1, Relaxed);
    }
}

/// Map an image; whether that could be done. Where its area's place is taken the original stays as it is.
fn put(slot: &Slot, record: &ImageRecord) -> bool {
    let Some(free) = AREAS.iter().position(|area| area.load(Relaxed) == 0) else { return false };
    let mut path = FixedText::<64>::new();
    let _ = write!(path, "/proc/{}/fd/{}\0", slot.handoff.get().simulator_pid, record.fd);
    let name = core::ffi::CStr::from_bytes_until_nul(path.as_bytes()).unwrap_or(c"");
    let open = || sys::open(name, libc::O_RDONLY | libc::O_CLOEXEC);
    let Ok(fd) = reach::as_simulator(slot, open) else { return false };
    let is_put = put_file(record, fd);
    sys::close(fd);
    if is_put {
        AREAS[free].store(record.area as usize, Relaxed);
        AREA_COUNT.fetch_max(free + 1, Relaxed);
        continue_in_images(slot);
    }
    is_put
}

fn put_file(record: &ImageRecord, fd: u32) -> bool {
    const READ_EXECUTE: i32 = libc::PROT_READ | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_FIXED_NOREPLACE;
    let (area, bytes) = (record.area as usize, record.area_bytes as usize);
    match sys::map_at(area, bytes, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0) {
        Ok(at) if at == area => {}
        Ok(elsewhere) => {
            // A kernel that does not know MAP_FIXED_NOREPLACE.
            unmap(elsewhere, bytes);
            return false;
        }
        Err(_) => return false,
    }
    let header = area as *mut ImageHeader;
    // SAFETY: just mapped, at least a page, and nobody else refers to it.
    let header = unsafe { &mut *header };
    // Before anything is read there: two faults would be taken otherwise.
    header.doors = arch::doors();
    let is_usable = header.magic == IMAGE_MAGIC
        && header.version == IMAGE_VERSION
        && header.area_bytes as usize == bytes;
    if !is_usable || sys::protect(area, bytes, READ_EXECUTE).is_err() {
        unmap(area, bytes);
        return false;
    }
    for (text, (address, bytes)) in header.texts.iter().zip(Image { area }.texts()) {
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
        let (address, bytes) = (address as usize, bytes as usize);
        if sys::map_at(address, bytes, READ_EXECUTE, flags, fd, text.image_offset).is_err() {
            // A failed MAP_FIXED leaves what was there; what is replaced already keeps its area.
            break;
        }
    }
    true
}

fn unmap(address: usize, bytes: usize) {
    let _ = sys::call(nr::munmap, [address as u64, bytes as u64, 0, 0, 0, 0]);
}

/// Code was replaced: have the other threads, all of which wait in the shim, go on in its equal.
fn continue_in_images(slot: &Slot) {
    place::for_each_other(slot.place, |frame: *mut Frame| {
        // SAFETY: that thread waits for control, and restores this frame once it has it.
        let rip = unsafe { &mut (*frame).rip };
        *rip = super::place(*rip);
    });
}

/// The guest has unmapped or replaced memory: an image whose texts were all there is gone with them. One of which a text
/// is left is still in use.
pub fn forget(slot: &Slot, start: u64, bytes: u64) {
    let end = start.saturating_add(bytes);
    for cell in &AREAS[..AREA_COUNT.load(Relaxed)] {
        let image = Image { area: cell.load(Relaxed) };
        if image.area != 0 && image.texts().all(|(at, len)| start <= at && at + len <= end) {
            cell.store(0, Relaxed);
            let mut is_left = true;
            place::for_each_other(slot.place, |frame: *mut Frame| {
                // SAFETY: that thread waits for control, and does not touch its frame meanwhile.
                let rip = unsafe { (*frame).rip };
                is_left &= rip.wrapping_sub(image.area()) >= image.header().area_bytes.into();
            });
            // Where a thread was interrupted in a stub, it faults behind it, as it would without us.
            if is_left {
                unmap(image.area, image.header().area_bytes as usize);
            }
        }
    }
    for range in &ASKED[..ASKED_COUNT.load(Relaxed)] {
        if range[0].load(Relaxed) < end && start < range[1].load(Relaxed) {
            range[1].store(0, Relaxed);
        }
    }
}
