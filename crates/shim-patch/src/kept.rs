//! Images on disk, so that a run neither decodes nor hashes the libraries that it uses.
//!
//! An open file in, what was [`Examined`] out, an image most of all: from the cache, or made and put there. Always true: as for plans ([`crate::cache`]);
//! and an image belongs to a file as it was, by device, inode, size and both times of change, of which the kernel alone
//! sets the second. That nothing in a file can be replaced is kept, too.
//!
//! A plan is found by its file's contents, because it may come from anywhere; an image is found by its file's
//! identity on this machine, because reading glibc to hash it takes longer than a program takes to start.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use sha2::{Digest, Sha256};
use shim_abi::image::ImageText;

use crate::cache::Cache;
use crate::elf::Elf;
use crate::image::{Image, area_address, build};
use crate::plan::{Plan, Site, Way};
use crate::scan::Kind;

const MAGIC: u64 = u64::from_le_bytes(*b"shimkept");
/// Raised whenever such a file is written differently.
const VERSION: u64 = 2;
/// What images are made by. One by other sources may be another one.
const MADE_BY: [&str; 7] = [
    include_str!("elf.rs"),
    include_str!("image.rs"),
    include_str!("plan.rs"),
    include_str!("scan.rs"),
    include_str!("stub.rs"),
    include_str!("texts.rs"),
    include_str!("unwind.rs"),
];
const HASH_BYTES: usize = 32;
const TEXT_WORDS: usize = 4;

/// A file as it is now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Identity {
    /// Device number, as stat(2) shows it.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Size.
    pub bytes: u64,
    /// When its contents changed: seconds and nanoseconds.
    pub modified: (i64, i64),
    /// When anything of it changed.
    pub changed: (i64, i64),
}

impl Identity {
    /// What stat(2) says.
    pub fn of(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// What a stat call of rustix says.
    pub fn of_stat(stat: &rustix::fs::Stat) -> Identity {
        Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
            bytes: stat.st_size as u64,
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }

    fn words(&self) -> [u64; 7] {
        let (modified, changed) = (self.modified, self.changed);
        let times = [modified.0, modified.1, changed.0, changed.1].map(|word| word as u64);
        let [a, b, c, d] = times;
        [self.device, self.inode, self.bytes, a, b, c, d]
    }

    fn file_name(&self) -> String {
        let words = self.words().map(|word| format!("{word:x}"));
        words.join("-") + ".image"
    }
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Its code reads the processor's time stamp counter, also where the image is mapped.
    pub reads_counter: bool,
    /// What replaces it, if anything can be replaced.
    pub image: Option<Image>,
}

impl Cache {
    /// What is to be known of an open file; `None` if it cannot be read.
    pub fn examine(&self, file: &File) -> Option<Examined> {
        let identity = Identity::of(&file.metadata().ok()?);
        let name = identity.file_name();
        if let Some(kept) = self.read(&name).and_then(|bytes| decode(bytes, &identity)) {
            return Some(kept);
        }
        let mut bytes = Vec::new();
        { file }.read_to_end(&mut bytes).ok()?;
        let examined = match Elf::parse(&bytes) {
            Ok(elf) => Examined::of(&elf, &self.plan(&elf).0),
            // Whoever executes it knows what it is.
            Err(_) => Examined { reads_counter: true, image: None },
        };
        if Identity::of(&file.metadata().ok()?) == identity {
            // A full disk costs the next run the same time again, not this run anything.
            let _ = self.write(&name, &encode(&examined, &identity));
        }
        Some(examined)
    }
}

impl Examined {
    fn of(elf: &Elf<'_>, plan: &Plan) -> Examined {
        let image = build(elf, plan, area_address(elf)).ok();
        let is_left = |site: &Site| image.is_none() || matches!(site.way, Way::Left(_));
        let reads = |site: &Site| matches!(site.kind, Kind::Rdtsc | Kind::Rdtscp);
        Examined {
            reads_counter: plan.sites.iter().any(|site| reads(site) && is_left(site)),
            image,
        }
    }
}

fn made_by() -> [u64; 2] {
    let hash = MADE_BY.iter().fold(Sha256::new(), |hash, text| hash.chain_update(text)).finalize();
    let word = |at: usize| u64::from_le_bytes(core::array::from_fn(|i| hash[at + i]));
    [word(0), word(8)]
}

/// What every file of this identity begins with.
fn beginning(identity: &Identity) -> Vec<u64> {
    [MAGIC, VERSION].into_iter().chain(made_by()).chain(identity.words()).collect()
}

fn encode(examined: &Examined, identity: &Identity) -> Vec<u8> {
    let mut words = beginning(identity);
    words.push(examined.reads_counter.into());
    let image = examined.image.as_ref();
    if let Some(image) = image {
        words.extend([image.area_address as u64, image.area_bytes.into()]);
        for text in &image.texts {
            words.extend([text.address as u64, text.len_bytes]);
            words.extend([text.image_offset, text.file_offset]);
        }
    }
    let mut bytes = Vec::new();
    bytes.extend((words.len() as u64).to_le_bytes());
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(image.map_or(&[][..], |image| &image.bytes));
    let hash = Sha256::digest(&bytes);
    bytes.extend(hash);
    bytes
}

/// What [`encode`] wrote for this identity; `None` if that is not what these bytes are.
fn decode(mut bytes: Vec<u8>, identity: &Identity) -> Option<Examined> {
    let (contents, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_BYTES)?)?;
    let (count, rest) = contents.split_first_chunk::<8>()?;
    let word_bytes = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(8)?;
    let words: Vec<u64> = rest
        .get(..word_bytes)?
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()))
        .collect();
    let beginning = beginning(identity);
    if !words.starts_with(&beginning) || Sha256::digest(contents).as_slice() != hash {
        return None;
    }
    let (reads_counter, words) = words.get(beginning.len()..)?.split_first()?;
    let reads_counter = *reads_counter != 0;
    let [area_address, area_bytes, texts @ ..] = words else {
        return Some(Examined { reads_counter, image: None });
    };
    let texts = texts.chunks_exact(TEXT_WORDS).map(|text| ImageText {
        address: text[0] as i64,
        len_bytes: text[1],
        image_offset: text[2],
        file_offset: text[3],
    });
    let (area_address, area_bytes, texts) =
        (*area_address as i64, *area_bytes as u32, texts.collect());
    let end = bytes.len() - HASH_BYTES;
    bytes.truncate(end);
    bytes.drain(..8 + word_bytes);
    let image = Some(Image { area_address, area_bytes, texts, bytes });
    Some(Examined { reads_counter, image })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity =
        Identity { device: 1, inode: 2, bytes: 3, modified: (4, 5), changed: (6, 7) };

    fn image() -> Image {
        let text =
            ImageText { address: -8192, len_bytes: 4096, image_offset: 4096, file_offset: 12288 };
        Image {
            area_address: -(1 << 30),
            area_bytes: 4096,
            texts: vec![text; 2],
            bytes: (0..200).collect(),
        }
    }

    #[test]
    fn only_what_was_written_for_this_file_is_read() {
        for (reads_counter, image) in [(true, Some(image())), (false, None)] {
            let examined = Examined { reads_counter, image };
            let good = encode(&examined, &IDENTITY);
            assert_eq!(decode(good.clone(), &IDENTITY), Some(examined));
            let later = Identity { changed: (6, 8), ..IDENTITY };
            assert_eq!(decode(good.clone(), &later), None, "the file was changed");
            assert_ne!(IDENTITY.file_name(), later.file_name());
            for len in 0..good.len() {
                assert_eq!(decode(good[..len].to_vec(), &IDENTITY), None, "{len} bytes");
            }
            for bit in 0..good.len() * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode(bad, &IDENTITY), None, "bit {bit}");
            }
        }
    }
}
