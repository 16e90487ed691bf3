//! Memory that guests of a host map to share it, beside the host's two files.
//!
//! A size in, a number out. Always true: a guest reaches it as `/proc/<our pid>/fd/<number>`, so the number stays as
//! long as the value lives, and what guests have mapped stays theirs when it is dropped; its size is fixed, so that no
//! guest's `ftruncate` can make another one fault. Who may map it, and where, is not here.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{SealFlags, fcntl_add_seals, ftruncate};

use crate::region::memory_file;

/// A file of zeroed memory.
#[derive(Debug)]
pub struct Segment {
    fd: OwnedFd,
}

impl Segment {
    /// So many bytes.
    pub fn new(bytes: u64) -> io::Result<Segment> {
        let fd = memory_file("shim-segment")?;
        ftruncate(&fd, bytes)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(Segment { fd })
    }

    /// Our descriptor's number.
    pub fn number(&self) -> u32 {
        self.fd.as_raw_fd() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_segment_is_reached_by_its_number_and_keeps_its_size() {
        let segment = Segment::new(8192).unwrap();
        let path = format!("/proc/self/fd/{}", segment.number());
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        assert_eq!(file.metadata().unwrap().size(), 8192);
        assert!(file.set_len(4096).is_err() && file.set_len(16_384).is_err());
        let other = Segment::new(1).unwrap();
        assert_ne!(other.number(), segment.number());
    }
}
