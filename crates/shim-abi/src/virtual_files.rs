//! Files that show the simulated machine in place of the real one.
//!
//! A path in, a file's number out. Always true: the list is complete: a path that is not in it is
//! the real file. Their contents are the kernel's (`shim-kernel`); how a descriptor shows them is the
//! guest's (`src/native/open.rs`).

macro_rules! files {
    ($($variant:ident = $number:literal $path:literal;)*) => {
        /// One such file.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum VirtualFile {
            $(
                #[doc = concat!("`", $path, "`")]
                $variant = $number,
            )*
        }

        impl VirtualFile {
            /// All of them.
            pub const ALL: &'static [VirtualFile] = &[$(VirtualFile::$variant),*];

            /// Its path.
            pub const fn path(self) -> &'static str {
                match self { $(VirtualFile::$variant => $path,)* }
            }
            /// The file with this number.
            pub const fn from_number(number: u32) -> Option<VirtualFile> {
                match number { $($number => Some(VirtualFile::$variant),)* _ => None }
            }
        }
    };
}

files! {
    Uptime = 1 "/proc/uptime";
    Stat = 2 "/proc/stat";
    LoadAverage = 3 "/proc/loadavg";
    MemoryInfo = 4 "/proc/meminfo";
    CpuInfo = 5 "/proc/cpuinfo";
    Version = 6 "/proc/version";
    BootId = 7 "/proc/sys/kernel/random/boot_id";
    Uuid = 8 "/proc/sys/kernel/random/uuid";
    EntropyAvailable = 9 "/proc/sys/kernel/random/entropy_avail";
    PoolSize = 10 "/proc/sys/kernel/random/poolsize";
    CpuOnline = 11 "/sys/devices/system/cpu/online";
    CpuPossible = 12 "/sys/devices/system/cpu/possible";
    CpuPresent = 13 "/sys/devices/system/cpu/present";
    Hostname = 14 "/proc/sys/kernel/hostname";
    OsRelease = 15 "/proc/sys/kernel/osrelease";
}

impl VirtualFile {
    /// The file at `path`, an absolute path without redundant parts.
    pub fn at(path: &[u8]) -> Option<VirtualFile> {
        Self::ALL.iter().copied().find(|file| file.path().as_bytes() == path)
    }
}
