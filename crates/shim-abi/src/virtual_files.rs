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
    UnixSockets = 16 "/proc/net/unix";
    MaxDatagrams = 17 "/proc/sys/net/unix/max_dgram_qlen";
    MaxBacklog = 18 "/proc/sys/net/core/somaxconn";
    Tcp = 19 "/proc/net/tcp";
    Tcp6 = 20 "/proc/net/tcp6";
    Udp = 21 "/proc/net/udp";
    Udp6 = 22 "/proc/net/udp6";
    UdpLite = 23 "/proc/net/udplite";
    UdpLite6 = 24 "/proc/net/udplite6";
    Raw = 25 "/proc/net/raw";
    Raw6 = 26 "/proc/net/raw6";
    Icmp = 27 "/proc/net/icmp";
    Icmp6 = 28 "/proc/net/icmp6";
    Netlink = 29 "/proc/net/netlink";
    Packet = 30 "/proc/net/packet";
    SocketStatistics = 31 "/proc/net/sockstat";
    SocketStatistics6 = 32 "/proc/net/sockstat6";
    Interfaces = 33 "/proc/net/dev";
    Routes = 34 "/proc/net/route";
    Addresses6 = 35 "/proc/net/if_inet6";
    Routes6 = 36 "/proc/net/ipv6_route";
    Neighbours = 37 "/proc/net/arp";
    Groups = 38 "/proc/net/igmp";
    Groups6 = 39 "/proc/net/igmp6";
    HardwareGroups = 40 "/proc/net/dev_mcast";
    Hosts = 41 "/etc/hosts";
    Resolver = 42 "/etc/resolv.conf";
    HostnameFile = 43 "/etc/hostname";
    NameSwitch = 44 "/etc/nsswitch.conf";
    HostConf = 45 "/etc/host.conf";
    AddressOrder = 46 "/etc/gai.conf";
    Counters = 47 "/proc/net/snmp";
    MoreCounters = 48 "/proc/net/netstat";
    Counters6 = 49 "/proc/net/snmp6";
    LoopbackAddressLength = 50 "/sys/class/net/lo/addr_len";
    LoopbackAddress = 51 "/sys/class/net/lo/address";
    LoopbackBroadcast = 52 "/sys/class/net/lo/broadcast";
    LoopbackCarrier = 53 "/sys/class/net/lo/carrier";
    LoopbackFlags = 54 "/sys/class/net/lo/flags";
    LoopbackIndex = 55 "/sys/class/net/lo/ifindex";
    LoopbackLink = 56 "/sys/class/net/lo/iflink";
    LoopbackMtu = 57 "/sys/class/net/lo/mtu";
    LoopbackState = 58 "/sys/class/net/lo/operstate";
    LoopbackReceivedBytes = 59 "/sys/class/net/lo/statistics/rx_bytes";
    LoopbackReceivedPackets = 60 "/sys/class/net/lo/statistics/rx_packets";
    LoopbackSentBytes = 61 "/sys/class/net/lo/statistics/tx_bytes";
    LoopbackSentPackets = 62 "/sys/class/net/lo/statistics/tx_packets";
    LoopbackQueue = 63 "/sys/class/net/lo/tx_queue_len";
    LoopbackKind = 64 "/sys/class/net/lo/type";
    NetworkAddressLength = 65 "/sys/class/net/eth0/addr_len";
    NetworkAddress = 66 "/sys/class/net/eth0/address";
    NetworkBroadcast = 67 "/sys/class/net/eth0/broadcast";
    NetworkCarrier = 68 "/sys/class/net/eth0/carrier";
    NetworkFlags = 69 "/sys/class/net/eth0/flags";
    NetworkIndex = 70 "/sys/class/net/eth0/ifindex";
    NetworkLink = 71 "/sys/class/net/eth0/iflink";
    NetworkMtu = 72 "/sys/class/net/eth0/mtu";
    NetworkState = 73 "/sys/class/net/eth0/operstate";
    NetworkReceivedBytes = 74 "/sys/class/net/eth0/statistics/rx_bytes";
    NetworkReceivedPackets = 75 "/sys/class/net/eth0/statistics/rx_packets";
    NetworkSentBytes = 76 "/sys/class/net/eth0/statistics/tx_bytes";
    NetworkSentPackets = 77 "/sys/class/net/eth0/statistics/tx_packets";
    NetworkQueue = 78 "/sys/class/net/eth0/tx_queue_len";
    NetworkKind = 79 "/sys/class/net/eth0/type";
}

/// What is told of processes and threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ProcessFile {
    /// The numbers of all processes, 32 bits each, in ascending order.
    Processes = 0,
    /// The numbers of a process's threads, in the same form.
    Threads = 1,
    /// `/proc/<pid>/stat`, with zeroes for what only the real kernel knows.
    Stat = 2,
    /// `/proc/<pid>/status`, without what only the real kernel knows.
    Status = 3,
}

impl ProcessFile {
    /// The one with this number.
    pub const fn from_number(number: u32) -> Option<ProcessFile> {
        match number {
            0 => Some(ProcessFile::Processes),
            1 => Some(ProcessFile::Threads),
            2 => Some(ProcessFile::Stat),
            3 => Some(ProcessFile::Status),
            _ => None,
        }
    }
}

/// What a process is shown of its own memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum MemoryFile {
    /// `/proc/self/maps`.
    Maps = 0,
    /// `/proc/self/smaps`.
    Smaps = 1,
    /// `/proc/self/smaps_rollup`.
    Rollup = 2,
}

impl MemoryFile {
    const ALL: [MemoryFile; 3] = [MemoryFile::Maps, MemoryFile::Smaps, MemoryFile::Rollup];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            MemoryFile::Maps => "maps",
            MemoryFile::Smaps => "smaps",
            MemoryFile::Rollup => "smaps_rollup",
        }
    }
    /// The one with this number.
    pub fn from_number(number: u64) -> Option<MemoryFile> {
        Self::ALL.into_iter().find(|file| *file as u64 == number)
    }
    /// The one with this name.
    pub fn named(name: &[u8]) -> Option<MemoryFile> {
        Self::ALL.into_iter().find(|file| file.name().as_bytes() == name)
    }
}

impl VirtualFile {
    /// Whether it is an ordinary file, with a size, and not one of the kernel's.
    pub fn is_ordinary(self) -> bool {
        self.path().starts_with("/etc/")
    }
    /// The file at `path`, an absolute path without redundant parts. `/proc/net` is a link.
    pub fn at(path: &[u8]) -> Option<VirtualFile> {
        let of_net = path.strip_prefix(b"/proc/self/net/");
        let is_it = |file: &VirtualFile| match of_net {
            Some(rest) => file.path().as_bytes().strip_prefix(b"/proc/net/") == Some(rest),
            None => file.path().as_bytes() == path,
        };
        Self::ALL.iter().copied().find(is_it)
    }
}
