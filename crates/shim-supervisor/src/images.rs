//! Patched images of what guests have mapped: made once for a file, told to every guest that asks.
//!
//! A guest's question in, records of images out ([`shim_abi::image`]). Always true: an image is made of the very
//! file that a guest has mapped, as far as device, inode, size and time can tell (where stat(2) and mappings name one
//! file differently, as of an overlay, what the simulator itself maps has the guest's names); what cannot be read,
//! or patched, has none, and the guest's code stays as it is. The files of images are sealed, and as guests open them through
//! `/proc` they live as long as the launcher. How instructions are replaced is `shim-patch`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{OFlags, SealFlags, fcntl_add_seals};
use shim_abi::image::{ImageRecord, ImageText, READS_COUNTER};
use shim_patch::cache::Cache;
use shim_patch::image::Image;
use shim_patch::kept::Identity;

use crate::guest::Guest;
use crate::mappings::{Backing, Mapping, mapping_of};
use crate::region::memory_file;
use crate::views::View;

/// Larger files are not looked at: they are no libraries.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// A mapping of a guest's, and its file's path.
type Line = (Mapping, String);

/// All images of a launcher's guests.
#[derive(Debug, Default)]
pub(crate) struct Images {
    known: Mutex<BTreeMap<Identity, Known>>,
    cache: OnceLock<Cache>,
}

/// What is known of a file.
#[derive(Debug)]
struct Known {
    reads_counter: bool,
    image: Option<Published>,
    /// How `/proc/<pid>/maps` names it: device, inode, path.
    device: u64,
    inode: u64,
    path: String,
}

/// What is where an image's file is mapped, without the image.
pub(crate) enum Original {
    Nothing,
    File { backing: Backing, path: String },
}

/// An image that guests can open.
#[derive(Debug)]
struct Published {
    file: OwnedFd,
    /// Its device and inode.
    place: (u64, u64),
    area_address: i64,
    area_bytes: u32,
    texts: Vec<ImageText>,
}

impl Images {
    /// Whether code of a mapping reads the processor's counter whatever is mapped over it, and the record of the image
    /// that replaces it, if there is one. Of what cannot be examined the former is supposed.
    ///
    /// Paths are those of `view`.
    fn answer(
        &self,
        (mapping, path): &Line,
        all: &[Line],
        view: Option<&View>,
    ) -> (bool, Option<ImageRecord>) {
        self.find(mapping, path, all, view).unwrap_or((true, None))
    }

    fn find(
        &self,
        mapping: &Mapping,
        path: &str,
        all: &[Line],
        view: Option<&View>,
    ) -> Option<(bool, Option<ImageRecord>)> {
        let stat = match view {
            Some(view) => view.stat(Path::new(path)),
            None => rustix::fs::stat(path),
        };
        if let Ok(stat) = stat
            && let Some(known) = self.lock().get(&Identity::of_stat(&stat))
            && known.is_of(mapping)
        {
            return Some(known.answer(mapping, all));
        }
        let file = match view {
            Some(view) => view.open(Path::new(path)).ok()?,
            None => {
                // Whatever has the path by now is not waited for.
                let flags = OFlags::NONBLOCK.bits() as i32;
                File::options().read(true).custom_flags(flags).open(path).ok()?
            }
        };
        let metadata = file.metadata().ok()?;
        let identity = Identity::of(&metadata);
        if !metadata.is_file() || identity.bytes > MAX_FILE_BYTES {
            return None;
        }
        let backing = mapping.backing;
        let is_it = (identity.device, identity.inode) == (backing.device, backing.inode)
            || mapping_of(&file).is_some_and(|ours| ours.is_of(mapping));
        // Another file has its path by now.
        if !is_it {
            return None;
        }
        let mut known = self.lock();
        let known = match known.entry(identity) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let examined = self.cache.get_or_init(Cache::of_user).examine(&file)?;
                let image = examined.image.and_then(|image| Published::new(image).ok());
                entry.insert(Known {
                    reads_counter: examined.reads_counter,
                    image,
                    device: backing.device,
                    inode: backing.inode,
                    path: path.to_owned(),
                })
            }
        };
        Some(known.answer(mapping, all))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Identity, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there without images where this is mapped; `None`: this is no image.
    pub(crate) fn original(&self, backing: &Backing) -> Option<Original> {
        let known = self.lock();
        known.values().find_map(|known| {
            let image = known.image.as_ref()?;
            if image.place != (backing.device, backing.inode) {
                return None;
            }
            let text = image.texts.iter().find(|text| {
                (text.image_offset..text.image_offset + text.len_bytes).contains(&backing.offset)
            });
            Some(text.map_or(Original::Nothing, |text| Original::File {
                backing: Backing {
                    device: known.device,
                    inode: known.inode,
                    offset: text.file_offset + (backing.offset - text.image_offset),
                },
                path: known.path.clone(),
            }))
        })
    }
}

impl Known {
    /// Whether a mapping is one of this file.
    fn is_of(&self, mapping: &Mapping) -> bool {
        (self.device, self.inode) == (mapping.backing.device, mapping.backing.inode)
    }

    fn answer(&self, mapping: &Mapping, all: &[Line]) -> (bool, Option<ImageRecord>) {
        let Some(image) = &self.image else { return (self.reads_counter, None) };
        let record = image.record(mapping, all);
        let is_left = record.is_none() && image.concerns(mapping);
        (self.reads_counter || is_left, record)
    }
}

impl Published {
    fn new(image: Image) -> io::Result<Published> {
        let mut file = File::from(memory_file("shim-image")?);
        file.write_all(&image.bytes)?;
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        let metadata = file.metadata()?;
        Ok(Published {
            place: (metadata.dev(), metadata.ino()),
            file: file.into(),
            area_address: image.area_address,
            area_bytes: image.area_bytes,
            texts: image.texts,
        })
    }

    /// Where it goes if a text of it replaces code in this mapping, and all are mapped as the file has them.
    fn record(&self, mapping: &Mapping, all: &[Line]) -> Option<ImageRecord> {
        let load_base = self.texts.iter().find_map(|text| {
            let address = mapping.address_of(text.file_offset, text.len_bytes)?;
            Some(address.wrapping_add_signed(-text.address))
        })?;
        let is_there = |text: &ImageText| {
            let address = Some(load_base.wrapping_add_signed(text.address));
            all.iter()
                .filter(|(other, _)| other.is_of(mapping))
                .any(|(other, _)| other.address_of(text.file_offset, text.len_bytes) == address)
        };
        self.texts.iter().all(is_there).then(|| ImageRecord {
            fd: self.file.as_raw_fd() as u64,
            area: load_base.wrapping_add_signed(self.area_address),
            area_bytes: self.area_bytes.into(),
        })
    }

    /// Whether some of this mapping is replaced where the image is mapped.
    fn concerns(&self, mapping: &Mapping) -> bool {
        self.texts.iter().any(|text| mapping.overlaps(text.file_offset, text.len_bytes))
    }
}

impl Guest {
    /// Answer [`shim_abi::calls::PSEUDO_IMAGES`] with these arguments: how many images there are.
    pub fn answer_images(&mut self, args: [u64; 6]) -> i64 {
        let [address, answer, room, own, ..] = args;
        let Some(lines) = self.code_mappings() else { return 0 };
        let asked = lines.iter().find(|(mapping, _)| mapping.holds(address));
        let range = asked.map_or([0, 0], |(mapping, _)| [mapping.start, mapping.end]);
        let images = &self.process.office.images;
        let view = self.process.view.as_deref();
        let mut reads_counter = false;
        let mut records = Vec::new();
        let is_meant = |mapping: &Mapping| address == 0 || mapping.holds(address);
        for line in &lines {
            let mapping = &line.0;
            if is_meant(mapping) && !mapping.holds(own) {
                let (reads, record) = images.answer(line, &lines, view);
                let is_heard = records.len() < room as usize;
                reads_counter |= reads || record.is_some() && !is_heard;
                // One that has texts in several mappings is said once.
                records.extend(record.filter(|one| is_heard && !records.contains(one)));
            }
        }
        let flags = if reads_counter { READS_COUNTER } else { 0 };
        let words = range.into_iter().chain([flags]);
        let words = words.chain(records.iter().flat_map(|record| record.to_words()));
        let bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
        match self.memory().write(answer, &bytes) {
            Ok(()) => records.len() as i64,
            Err(errno) => errno.as_return(),
        }
    }
}
