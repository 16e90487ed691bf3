//! A guest's `/proc/self/maps`, as if nothing of ours were in its memory, and what follows from it.
//!
//! The real file in, its lines out. Always true: images appear as what they replace, and what the shim has reserved does
//! not appear; neighbours that are one mapping without us are one line; every other line is the kernel's. `smaps` is made from
//! these lines in `smaps.rs`. See proc_pid_maps(5).

use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader};

use shim_abi::Errno;
use shim_abi::address::overlaps_reservation;
use shim_abi::virtual_files::MemoryFile;

use crate::guest::Guest;
use crate::images::{Images, Original};
use crate::mappings::{Backing, Mapping};
use crate::smaps;

/// Where the kernel begins to write the path.
const PATH_COLUMN: usize = 73;

/// One line to be.
struct Line {
    mapping: Mapping,
    protection: String,
    path: String,
    /// As the kernel has it; empty if it has to be written anew.
    text: String,
}

impl Line {
    fn parse(text: String) -> Option<Line> {
        let mapping = Mapping::parse(&text)?;
        let protection = text.split_ascii_whitespace().nth(1)?.to_owned();
        let path = text.splitn(6, ' ').nth(5).map_or("", str::trim_start).to_owned();
        Some(Line { mapping, protection, path, text })
    }

    /// Show what an image replaces; `None` if nothing is there without it.
    fn without_images(mut self, images: &Images) -> Option<Line> {
        let mapping = &self.mapping;
        if overlaps_reservation(mapping.start as usize, (mapping.end - mapping.start) as usize) {
            return None;
        }
        match images.original(&mapping.backing) {
            None => Some(self),
            Some(Original::Nothing) => None,
            Some(Original::File { backing, path }) => {
                (self.mapping.backing, self.path) = (backing, path);
                self.text.clear();
                Some(self)
            }
        }
    }

    /// Take another line in, if both are one mapping.
    fn join(&mut self, other: &Line) -> bool {
        let (one, next) = (&self.mapping, &other.mapping);
        let offset = one.backing.offset + (one.end - one.start);
        let is_one = (self.text.is_empty() || other.text.is_empty())
            && one.end == next.start
            && self.protection == other.protection
            && next.backing == Backing { offset, ..one.backing };
        if is_one {
            self.mapping.end = next.end;
            self.text.clear();
        }
        is_one
    }

    fn push_to(&self, lines: &mut String) {
        if !self.text.is_empty() {
            lines.push_str(&self.text);
            return lines.push('\n');
        }
        let Mapping { start, end, backing, .. } = &self.mapping;
        let (major, minor) = (rustix::fs::major(backing.device), rustix::fs::minor(backing.device));
        let from = lines.len();
        let _ = write!(
            lines,
            "{start:08x}-{end:08x} {} {:08x} {major:02x}:{minor:02x} {} ",
            self.protection, backing.offset, backing.inode
        );
        while lines.len() < from + PATH_COLUMN {
            lines.push(' ');
        }
        lines.push_str(&self.path);
        lines.push('\n');
    }
}

/// The lines of a `maps` file without what is ours.
fn clean(maps: impl BufRead, images: &Images) -> String {
    let mut lines = String::new();
    let mut last: Option<Line> = None;
    let texts = maps.split(b'\n').map_while(Result::ok);
    for text in texts.map(|text| String::from_utf8_lossy(&text).into_owned()) {
        let Some(line) = Line::parse(text).and_then(|line| line.without_images(images)) else {
            continue;
        };
        if last.as_mut().is_some_and(|last| last.join(&line)) {
            continue;
        }
        if let Some(last) = last.replace(line) {
            last.push_to(&mut lines);
        }
    }
    if let Some(last) = last {
        last.push_to(&mut lines);
    }
    lines
}

impl Guest {
    /// Answer [`shim_abi::calls::PSEUDO_MAPS`] with these arguments: how long the text is.
    pub fn answer_maps(&mut self, args: [u64; 6]) -> i64 {
        let [buffer, room, file, ..] = args;
        let Some(shown) = MemoryFile::from_number(file) else { return Errno::EINVAL.as_return() };
        let open = |pid| File::open(format!("/proc/{pid}/maps")).ok();
        let Some(file) = self.process.life.while_alive(open).flatten() else { return 0 };
        let lines = clean(BufReader::with_capacity(1 << 14, file), &self.process.office.images);
        let text = match shown {
            MemoryFile::Maps => lines,
            MemoryFile::Smaps => smaps::of(&lines),
            MemoryFile::Rollup => smaps::rollup_of(&lines),
        };
        let fitting = &text.as_bytes()[..text.len().min(room as usize)];
        let mut memory = self.memory();
        // Not with the reply: the buffer is the shim's, to which a guest's own copies do not reach.
        match memory.write(buffer, fitting).and_then(|()| memory.flush()) {
            Ok(()) => text.len() as i64,
            Err(errno) => errno.as_return(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_stays_as_it_is() {
        let own = std::fs::read_to_string("/proc/self/maps").expect("our mappings");
        assert_eq!(clean(own.as_bytes(), &Images::default()), own);
    }

    #[test]
    fn lines_are_written_as_the_kernel_writes_them() {
        let own = std::fs::read_to_string("/proc/self/maps").expect("our mappings");
        for text in own.lines().filter(|line| line.contains('/')) {
            let mut line = Line::parse(text.to_owned()).expect("a line");
            line.text.clear();
            let mut lines = String::new();
            line.push_to(&mut lines);
            assert_eq!(lines.trim_end_matches('\n'), text);
        }
    }

    #[test]
    fn what_the_shim_has_reserved_does_not_appear() {
        let lines = "6f0000000000-6f0000004000 r--s 00000000 00:01 77     /memfd:shim (deleted)\n\
                     7ffff7ff0000-7ffff7ff1000 rw-p 00000000 00:00 0 \n";
        let clean = clean(lines.as_bytes(), &Images::default());
        assert_eq!(clean, "7ffff7ff0000-7ffff7ff1000 rw-p 00000000 00:00 0 \n");
    }
}
