//! Memory of the machine: `/proc/meminfo`, and the figures of `sysinfo`.
//!
//! The machine's size in, figures out. Always true: they depend on the size alone, so that what a
//! program derives from them (heap sizes, cache sizes) repeats; they fit together as on Linux (free
//! is less than available, available less than total).

use alloc::format;
use alloc::string::String;

use crate::kernel::Kernel;

/// Figures of the machine's memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) total_bytes: u64,
    pub(crate) free_bytes: u64,
    pub(crate) buffer_bytes: u64,
    pub(crate) cached_bytes: u64,
    pub(crate) shared_bytes: u64,
    pub(crate) available_bytes: u64,
}

impl Kernel {
    /// The machine's memory: a sixteenth is in use, a part of that as cache.
    pub(crate) fn memory(&self) -> Memory {
        const KIB: u64 = 1024;
        let kib = self.config.memory_bytes / KIB;
        let free = kib - kib / 16;
        let (buffers, cached) = (kib / 1024, kib / 64);
        Memory {
            total_bytes: kib * KIB,
            free_bytes: free * KIB,
            buffer_bytes: buffers * KIB,
            cached_bytes: cached * KIB,
            shared_bytes: kib / 2048 * KIB,
            available_bytes: (free + buffers + cached / 2) * KIB,
        }
    }
}

/// A line of the file, in pages of bytes or as a plain number.
enum Line {
    /// So many bytes, shown in units of 1024.
    Bytes(&'static str, u64),
    /// A number.
    Count(&'static str, u64),
}

pub(super) fn memory_info(memory: &Memory) -> String {
    use Line::{Bytes, Count};
    let in_use = memory.total_bytes - memory.free_bytes;
    let file = memory.cached_bytes + memory.buffer_bytes - memory.shared_bytes;
    let anonymous = in_use / 8;
    let slab = in_use / 16;
    let lines = [
        Bytes("MemTotal", memory.total_bytes),
        Bytes("MemFree", memory.free_bytes),
        Bytes("MemAvailable", memory.available_bytes),
        Bytes("Buffers", memory.buffer_bytes),
        Bytes("Cached", memory.cached_bytes),
        Bytes("SwapCached", 0),
        Bytes("Active", anonymous + file / 2),
        Bytes("Inactive", file / 2),
        Bytes("Active(anon)", anonymous),
        Bytes("Inactive(anon)", 0),
        Bytes("Active(file)", file / 2),
        Bytes("Inactive(file)", file / 2),
        Bytes("Unevictable", 0),
        Bytes("Mlocked", 0),
        Bytes("SwapTotal", 0),
        Bytes("SwapFree", 0),
        Bytes("Dirty", 0),
        Bytes("Writeback", 0),
        Bytes("AnonPages", anonymous),
        Bytes("Mapped", anonymous / 2),
        Bytes("Shmem", memory.shared_bytes),
        Bytes("KReclaimable", slab / 2),
        Bytes("Slab", slab),
        Bytes("SReclaimable", slab / 2),
        Bytes("SUnreclaim", slab / 2),
        Bytes("KernelStack", 2 << 20),
        Bytes("PageTables", 2 << 20),
        Bytes("SecPageTables", 0),
        Bytes("NFS_Unstable", 0),
        Bytes("Bounce", 0),
        Bytes("WritebackTmp", 0),
        Bytes("CommitLimit", memory.total_bytes / 2),
        Bytes("Committed_AS", anonymous * 2),
        Bytes("VmallocTotal", (1 << 45) - 1024),
        Bytes("VmallocUsed", 16 << 20),
        Bytes("VmallocChunk", 0),
        Bytes("Percpu", 1 << 20),
        Bytes("AnonHugePages", 0),
        Bytes("ShmemHugePages", 0),
        Bytes("ShmemPmdMapped", 0),
        Bytes("FileHugePages", 0),
        Bytes("FilePmdMapped", 0),
        Count("HugePages_Total", 0),
        Count("HugePages_Free", 0),
        Count("HugePages_Rsvd", 0),
        Count("HugePages_Surp", 0),
        Bytes("Hugepagesize", 2 << 20),
        Bytes("Hugetlb", 0),
        Bytes("DirectMap4k", 32 << 20),
        Bytes("DirectMap2M", memory.total_bytes.saturating_sub(32 << 20)),
    ];
    let mut text = String::new();
    for line in lines {
        text += &match line {
            Bytes(name, bytes) => format!("{:16}{:8} kB\n", format!("{name}:"), bytes / 1024),
            Count(name, count) => format!("{:16}{count:8}\n", format!("{name}:")),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine;

    #[test]
    fn lines_stand_as_on_linux() {
        let (mut kernel, ..) = machine();
        kernel.config.memory_bytes = 24_684_084 * 1024;
        let text = memory_info(&kernel.memory());
        // Copied from a Linux machine.
        assert!(text.contains("MemTotal:       24684084 kB\n"));
        assert!(text.contains("Hugetlb:               0 kB\n"));
        assert!(text.contains("HugePages_Total:       0\n"));
        assert!(text.contains("VmallocTotal:   34359738367 kB\n"));
        for name in ["MemFree", "MemAvailable", "Buffers", "Cached", "SwapTotal", "SReclaimable"] {
            assert!(text.contains(&format!("\n{name}:")), "{name}");
        }
    }

    #[test]
    fn figures_fit_together_for_any_size() {
        let (mut kernel, ..) = machine();
        for bytes in [0, 1, 4096, 1 << 30, 8 << 30, u64::MAX] {
            kernel.config.memory_bytes = bytes;
            let memory = kernel.memory();
            assert!(memory.free_bytes <= memory.available_bytes);
            assert!(memory.available_bytes <= memory.total_bytes);
            assert!(memory.total_bytes <= bytes);
            memory_info(&memory);
        }
    }
}
