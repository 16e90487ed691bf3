//! A plan, carried out: the bytes that guests map.
//!
//! An [`Elf`] and its [`Plan`] in, the contents of a memory file out; the format is `shim_abi::image`'s, where it is
//! said what a guest does with it. Always true: the original's bytes are changed only where the plan says so; a
//! plan whose sites are not in the file, or behind other instructions, is an error. Making the memory file, sealing
//! it and telling guests about it is not done here.
//!
//! The file: the area (the header in a page of its own, which each guest has for itself; the stubs; the tables), then
//! the texts. Stubs reach their doors and the text relative to `rip`, so the distance between area and text is
//! part of the image: [`area_address`] proposes one.

use std::fmt;
use std::mem::offset_of;

use shim_abi::image::{
    Displaced, IMAGE_MAGIC, IMAGE_PAGE_BYTES, IMAGE_VERSION, ImageHeader, ImageText, MAX_TEXTS,
    Part, Place, TRAP_BYTE, Trap,
};

use crate::elf::Elf;
use crate::plan::{JUMP_BYTES, MOST_MOVED, Plan, Site, Way};
use crate::scan::Kind;
use crate::stub::{self, TooFar};
use crate::texts::{Text, texts_of};
use crate::unwind;

/// Why there is no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// Nothing is to be replaced.
    Nothing,
    /// The plan was made for another file: it does not fit at this address.
    Mismatch(u64),
    /// The area would be too far from the text.
    TooFar,
    /// The sites are in more segments than an image can hold.
    TooManyTexts,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::Nothing => f.write_str("nothing in it is to be rewritten"),
            ImageError::Mismatch(at) => write!(f, "the plan does not fit it at {at:#x}"),
            ImageError::TooFar => f.write_str("its code is too far from where stubs can be"),
            ImageError::TooManyTexts => f.write_str("its code is in too many pieces"),
        }
    }
}

impl std::error::Error for ImageError {}

impl From<TooFar> for ImageError {
    fn from(TooFar: TooFar) -> Self {
        ImageError::TooFar
    }
}

const PAGE: u64 = IMAGE_PAGE_BYTES as u64;
/// How far above a library its area stands. Linux maps downwards from a place that leaves at least 128 MiB for the
/// stack, and libraries first: so it is in that gap, where nothing else comes, the addresses of everything else are
/// what they are without it, and the stack still has room. See mmap_base() in Linux's mm/util.c.
const ABOVE_BYTES: i64 = 96 << 20;
/// How far below a program that is loaded anywhere: nothing else is near it but its heap, above.
const BELOW_BYTES: i64 = 1 << 30;
/// How far below a program that is not relocated: between the lowest page that Linux lets a program have, and where
/// such programs begin.
const BELOW_FIXED_BYTES: i64 = 1 << 20;
/// An instruction has at most 15 bytes.
const MOST_MOVED_BYTES: u64 = 15 * MOST_MOVED as u64;
/// Where stubs begin.
const STUB_ALIGNMENT: usize = 8;

/// Where the area of a file's image is likely to find room, relative to its load base.
pub fn area_address(elf: &Elf<'_>) -> i64 {
    let lowest = elf.segments.iter().map(|s| s.address).min().unwrap_or_default();
    let lowest = (lowest - lowest % PAGE) as i64;
    match (elf.is_fixed, elf.is_relocated_program) {
        (true, _) => lowest.saturating_sub(BELOW_FIXED_BYTES),
        (false, true) => lowest.saturating_sub(BELOW_BYTES),
        (false, false) => lowest.saturating_add(ABOVE_BYTES),
    }
}

/// An image: its file, and what is to be known of it without a look inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// [`ImageHeader::area_address`].
    pub area_address: i64,
    /// [`ImageHeader::area_bytes`].
    pub area_bytes: u32,
    /// [`ImageHeader::texts`].
    pub texts: Vec<ImageText>,
    /// The file's contents.
    pub bytes: Vec<u8>,
}

/// Carry out a plan, with the area at `area` (a multiple of a page).
pub fn build(elf: &Elf<'_>, plan: &Plan, area: i64) -> Result<Image, ImageError> {
    let mut image = Builder::new(elf, plan, area)?;
    for site in &plan.sites {
        image.replace(site)?;
    }
    image.finish()
}

struct Builder<'a> {
    elf: &'a Elf<'a>,
    area: i64,
    texts: Vec<Text>,
    stubs: Vec<u8>,
    /// Where each stub stands, and its parts.
    described: Vec<(i64, Vec<(u32, i64)>)>,
    places: Vec<Place>,
    displaced: Vec<Displaced>,
    traps: Vec<Trap>,
}

impl<'a> Builder<'a> {
    fn new(elf: &'a Elf<'a>, plan: &Plan, area: i64) -> Result<Builder<'a>, ImageError> {
        let texts = texts_of(elf, plan);
        match texts.len() {
            0 => return Err(ImageError::Nothing),
            count if count > MAX_TEXTS => return Err(ImageError::TooManyTexts),
            _ => {}
        }
        Ok(Builder {
            elf,
            area,
            texts,
            stubs: Vec::new(),
            described: Vec::new(),
            places: Vec::new(),
            displaced: Vec::new(),
            traps: Vec::new(),
        })
    }

    fn replace(&mut self, site: &Site) -> Result<(), ImageError> {
        let mismatch = ImageError::Mismatch(site.address);
        let bytes = self.elf.at(site.address).ok_or(mismatch)?;
        if !bytes.starts_with(site.kind.bytes()) {
            return Err(mismatch);
        }
        match site.way {
            Way::Left(_) => Ok(()),
            Way::Trap => self.trap(site),
            Way::Before(first) => {
                let room = site.address.checked_sub(first);
                if room.is_none_or(|room| !(JUMP_BYTES..=MOST_MOVED_BYTES).contains(&room)) {
                    return Err(mismatch);
                }
                let stub = self.add_stub(site, first)?;
                self.store(first, &stub::jump(first as i64, stub)?)?;
                self.displace(first, stub)?;
                self.trap(site)
            }
            Way::Hop(landing) => {
                let stub = self.add_stub(site, site.address)?;
                self.store(landing, &stub::jump(landing as i64, stub)?)?;
                let place = self.offset(landing as i64)?;
                let original = self.offset(site.address as i64)?;
                self.places.push(Place { place, original, len_bytes: JUMP_BYTES as u32 });
                let short = stub::short_jump(site.address as i64, landing as i64)?;
                self.store(site.address, &short)
            }
        }
    }

    /// Let a site trap that does not by itself.
    fn trap(&mut self, site: &Site) -> Result<(), ImageError> {
        if site.kind == Kind::Syscall {
            return Ok(());
        }
        self.store(site.address, &[TRAP_BYTE])?;
        let at = self.offset(site.address as i64)?;
        self.traps.push(Trap { at, door: site.kind.door() as u32 });
        Ok(())
    }

    /// Add a site's stub; returns its address.
    fn add_stub(&mut self, site: &Site, first: u64) -> Result<i64, ImageError> {
        let at = self.area + PAGE as i64 + self.stubs.len() as i64;
        let door = offset_of!(ImageHeader, doors) + site.kind.door() as usize * size_of::<u64>();
        let stub = stub::stub(self.elf, site, first, at, self.area + door as i64);
        let stub = stub.ok_or(ImageError::Mismatch(site.address))??;
        let mut place = self.offset(at)?;
        for (len_bytes, original) in &stub.parts {
            let original = self.offset(*original)?;
            match self.places.last_mut() {
                Some(last) if last.original == original && is_next(last, place) => {
                    last.len_bytes += len_bytes;
                }
                _ => self.places.push(Place { place, original, len_bytes: *len_bytes }),
            }
            place += *len_bytes as i32;
        }
        self.stubs.extend(&stub.bytes);
        self.stubs.resize(self.stubs.len().next_multiple_of(STUB_ALIGNMENT), TRAP_BYTE);
        self.described.push((at, stub.parts));
        Ok(at)
    }

    /// Note which instructions begin within the jump at `first`.
    fn displace(&mut self, first: u64, stub: i64) -> Result<(), ImageError> {
        let parts = self.described.last().map(|(_, parts)| parts.clone()).unwrap_or_default();
        let mut at = stub;
        for (len_bytes, original) in parts {
            let inside = first as i64 + 1..first as i64 + JUMP_BYTES as i64;
            if inside.contains(&original) {
                let (original, place) = (self.offset(original)?, self.offset(at)?);
                self.displaced.push(Displaced { original, place });
            }
            at += i64::from(len_bytes);
        }
        Ok(())
    }

    fn store(&mut self, address: u64, bytes: &[u8]) -> Result<(), ImageError> {
        let place = self.texts.iter_mut().find_map(|text| {
            let start = address.checked_sub(text.address)? as usize;
            text.bytes.get_mut(start..start.checked_add(bytes.len())?)
        });
        place.ok_or(ImageError::Mismatch(address))?.copy_from_slice(bytes);
        Ok(())
    }

    fn offset(&self, address: i64) -> Result<i32, ImageError> {
        i32::try_from(address.wrapping_sub(self.area)).map_err(|_| ImageError::TooFar)
    }

    fn finish(mut self) -> Result<Image, ImageError> {
        self.places.sort_by_key(|place| place.place);
        self.displaced.sort_by_key(|entry| entry.original);
        self.traps.sort_by_key(|trap| trap.at);
        let mut area = Area { bytes: vec![0; IMAGE_PAGE_BYTES] };
        let stubs = area.add(&self.stubs, self.stubs.len());
        area.pad(IMAGE_PAGE_BYTES);
        let bytes: Vec<u8> = self.places.iter().flat_map(place_bytes).collect();
        let places = area.add(&bytes, self.places.len());
        let bytes: Vec<u8> = self.displaced.iter().flat_map(displaced_bytes).collect();
        let displaced = area.add(&bytes, self.displaced.len());
        let bytes: Vec<u8> = self.traps.iter().flat_map(trap_bytes).collect();
        let traps = area.add(&bytes, self.traps.len());
        area.pad(8);
        let at = self.area + area.bytes.len() as i64;
        let described = self.described.iter().map(|(start, parts)| (*start, parts.as_slice()));
        let bytes = unwind::describe(at, described).map_err(|_| ImageError::TooFar)?;
        let unwind = area.add(&bytes, bytes.len());
        area.pad(IMAGE_PAGE_BYTES);

        let area_bytes = area.bytes.len();
        let mut build_id = [0; 32];
        let known = self.elf.build_id.len().min(build_id.len());
        build_id[..known].copy_from_slice(&self.elf.build_id[..known]);
        let mut texts = [ImageText::default(); MAX_TEXTS];
        let mut image = area.bytes;
        for (entry, text) in texts.iter_mut().zip(&self.texts) {
            *entry = ImageText {
                address: text.address as i64,
                len_bytes: text.bytes.len() as u64,
                image_offset: image.len() as u64,
                file_offset: text.file_offset,
            };
            image.extend(&text.bytes);
        }
        let header = ImageHeader {
            magic: IMAGE_MAGIC,
            version: IMAGE_VERSION,
            area_bytes: u32::try_from(area_bytes).map_err(|_| ImageError::TooFar)?,
            area_address: self.area,
            doors: [0; 4],
            build_id,
            text_count: self.texts.len() as u64,
            texts,
            stubs,
            places,
            displaced,
            traps,
            unwind,
        };
        write_header(&mut image, &header);
        Ok(Image {
            area_address: header.area_address,
            area_bytes: header.area_bytes,
            texts: header.texts[..self.texts.len()].to_vec(),
            bytes: image,
        })
    }
}

fn is_next(last: &Place, place: i32) -> bool {
    i64::from(last.place) + i64::from(last.len_bytes) == i64::from(place)
}

/// The area's bytes, in the making.
struct Area {
    bytes: Vec<u8>,
}

impl Area {
    fn add(&mut self, bytes: &[u8], count: usize) -> Part {
        let part = Part { offset: self.bytes.len() as u32, count: count as u32 };
        self.bytes.extend(bytes);
        part
    }

    fn pad(&mut self, alignment: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
    }
}

fn place_bytes(place: &Place) -> [u8; size_of::<Place>()] {
    let mut bytes = [0; size_of::<Place>()];
    put(&mut bytes, offset_of!(Place, place), &place.place.to_le_bytes());
    put(&mut bytes, offset_of!(Place, original), &place.original.to_le_bytes());
    put(&mut bytes, offset_of!(Place, len_bytes), &place.len_bytes.to_le_bytes());
    bytes
}

fn displaced_bytes(entry: &Displaced) -> [u8; size_of::<Displaced>()] {
    let mut bytes = [0; size_of::<Displaced>()];
    put(&mut bytes, offset_of!(Displaced, original), &entry.original.to_le_bytes());
    put(&mut bytes, offset_of!(Displaced, place), &entry.place.to_le_bytes());
    bytes
}

fn trap_bytes(trap: &Trap) -> [u8; size_of::<Trap>()] {
    let mut bytes = [0; size_of::<Trap>()];
    put(&mut bytes, offset_of!(Trap, at), &trap.at.to_le_bytes());
    put(&mut bytes, offset_of!(Trap, door), &trap.door.to_le_bytes());
    bytes
}

fn write_header(image: &mut [u8], header: &ImageHeader) {
    put(image, offset_of!(ImageHeader, magic), &header.magic.to_le_bytes());
    put(image, offset_of!(ImageHeader, version), &header.version.to_le_bytes());
    put(image, offset_of!(ImageHeader, area_bytes), &header.area_bytes.to_le_bytes());
    put(image, offset_of!(ImageHeader, area_address), &header.area_address.to_le_bytes());
    put(image, offset_of!(ImageHeader, build_id), &header.build_id);
    put(image, offset_of!(ImageHeader, text_count), &header.text_count.to_le_bytes());
    for (index, text) in header.texts.iter().enumerate() {
        let at = offset_of!(ImageHeader, texts) + index * size_of::<ImageText>();
        put(image, at + offset_of!(ImageText, address), &text.address.to_le_bytes());
        put(image, at + offset_of!(ImageText, len_bytes), &text.len_bytes.to_le_bytes());
        put(image, at + offset_of!(ImageText, image_offset), &text.image_offset.to_le_bytes());
        put(image, at + offset_of!(ImageText, file_offset), &text.file_offset.to_le_bytes());
    }
    for (at, part) in [
        (offset_of!(ImageHeader, stubs), header.stubs),
        (offset_of!(ImageHeader, places), header.places),
        (offset_of!(ImageHeader, displaced), header.displaced),
        (offset_of!(ImageHeader, traps), header.traps),
        (offset_of!(ImageHeader, unwind), header.unwind),
    ] {
        put(image, at + offset_of!(Part, offset), &part.offset.to_le_bytes());
        put(image, at + offset_of!(Part, count), &part.count.to_le_bytes());
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}
