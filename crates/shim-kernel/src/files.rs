//! Contents of the files that show the simulated machine.
//!
//! A file's number and an instant in, its bytes out, in the formats of proc(5). Always true: only the
//! machine's configuration, simulated time, CPU time and the seed's streams show; nothing of the real
//! machine does. Rooms: `configuration` (of `/etc`), `counters` (of the network), `memory`, `network`, `processors`, `statistics`, and `tasks`, which has calls of its own. Which path is which file is in
//! [`shim_abi::virtual_files`]; how a descriptor shows the bytes is the guest's business.

mod configuration;
mod counters;
mod memory;
mod network;
mod processors;
mod statistics;
pub(crate) mod tasks;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use shim_abi::names::Names;
use shim_abi::random::Stream;
use shim_abi::virtual_files::VirtualFile;
use shim_abi::{Errno, SimTime};

use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::kernel::Kernel;
use crate::socket::{MAX_BACKLOG, MAX_QUEUE};

/// The shim's own call: contents of file `number`, as far as they fit, and their whole length.
pub(crate) fn read(context: &mut Context<'_>, number: u32, to: GuestAddr, bytes: u64) -> Answer {
    let file = VirtualFile::from_number(number).ok_or(Errno::ENOENT)?;
    let contents = context.kernel.virtual_file(context.now, file, context.guest.names());
    if contents.is_empty() {
        // Of something that this machine has not.
        return Err(Errno::ENOENT);
    }
    let used = contents.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
    context.guest.write(to, &contents[..used])?;
    done(contents.len() as i64)
}

/// The contents of a file at `now`.
pub(crate) fn contents(
    kernel: &mut Kernel,
    now: SimTime,
    file: VirtualFile,
    names: Names<'_>,
) -> Vec<u8> {
    let config = &kernel.config;
    let text = match file {
        VirtualFile::Uptime => statistics::uptime(kernel, now),
        VirtualFile::Stat => statistics::stat(kernel, now),
        VirtualFile::LoadAverage => statistics::load_average(kernel),
        VirtualFile::MemoryInfo => memory::memory_info(&kernel.memory()),
        VirtualFile::CpuInfo => processors::cpu_info(config),
        VirtualFile::Version => version(&config.kernel_release, &config.kernel_version),
        VirtualFile::BootId => uuid(kernel.boot_id),
        VirtualFile::Uuid => fresh_uuid(kernel),
        VirtualFile::EntropyAvailable | VirtualFile::PoolSize => String::from("256\n"),
        VirtualFile::CpuOnline | VirtualFile::CpuPossible | VirtualFile::CpuPresent => {
            processors::list(config.cpu_count)
        }
        VirtualFile::Hostname | VirtualFile::HostnameFile => format!("{}\n", config.hostname),
        VirtualFile::OsRelease => format!("{}\n", config.kernel_release),
        VirtualFile::UnixSockets => return kernel.unix_sockets_text(),
        VirtualFile::MaxDatagrams => format!("{MAX_QUEUE}\n"),
        VirtualFile::MaxBacklog => format!("{MAX_BACKLOG}\n"),
        VirtualFile::Hosts => configuration::hosts(names),
        VirtualFile::Resolver => configuration::resolver(),
        VirtualFile::NameSwitch => configuration::NAME_SWITCH.into(),
        VirtualFile::HostConf => configuration::HOST_CONF.into(),
        VirtualFile::AddressOrder => configuration::ADDRESS_ORDER.into(),
        VirtualFile::Counters => counters::basic(kernel),
        VirtualFile::MoreCounters => counters::extended(),
        VirtualFile::Counters6 => counters::of_v6(),
        _ => match file.path().strip_prefix("/sys/class/net/") {
            Some(path) => network::of_interface(kernel, path),
            None => network::text(kernel, now, file),
        },
    };
    text.into_bytes()
}

fn version(release: &str, version: &str) -> String {
    format!("Linux version {release} (shim@localhost) (rustc, GNU ld) {version}\n")
}

fn fresh_uuid(kernel: &mut Kernel) -> String {
    let mut stream = Stream::from_state(kernel.uuids);
    let mut bytes = [0; 16];
    stream.fill(&mut bytes);
    kernel.uuids = stream.state();
    uuid(bytes)
}

/// Random bytes as a UUID of version 4 (RFC 9562) and a line feed.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = u128::from_be_bytes(bytes);
    let part = |shift: u32, digits: u32| hex >> shift & ((1 << (4 * digits)) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}\n",
        part(96, 8),
        part(80, 4),
        part(64, 4),
        part(48, 4),
        part(0, 12)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine};
    use shim_abi::calls::PSEUDO_VIRTUAL_FILE;
    use std::collections::BTreeSet;

    fn text(kernel: &mut Kernel, file: VirtualFile) -> String {
        let names = Names::new(&shim_abi::names::LOOPBACK_NAMES);
        String::from_utf8(kernel.virtual_file(SimTime::ZERO, file, names)).unwrap()
    }

    #[test]
    fn every_file_is_lines_of_text_and_repeats_but_for_uuid() {
        let ((mut first, ..), (mut second, ..)) = (machine(), machine());
        for &file in VirtualFile::ALL {
            let a = text(&mut first, file);
            assert!(a.ends_with('\n') && !a.starts_with('\n'), "{}", file.path());
            assert_eq!(a, text(&mut second, file), "{}", file.path());
            assert_eq!(a == text(&mut first, file), file != VirtualFile::Uuid, "{}", file.path());
        }
    }

    #[test]
    fn uuids_have_their_form() {
        let (mut kernel, ..) = machine();
        let mut seen = BTreeSet::new();
        for file in [VirtualFile::Uuid, VirtualFile::Uuid, VirtualFile::BootId] {
            let uuid = text(&mut kernel, file);
            let parts: Vec<usize> = uuid.trim_end().split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12]);
            assert_eq!(uuid.as_bytes()[14], b'4');
            assert!(b"89ab".contains(&uuid.as_bytes()[19]));
            assert!(seen.insert(uuid));
        }
        kernel.config.seed ^= 1;
        let other = Kernel::new(kernel.config.clone());
        assert_ne!(kernel.boot_id, other.boot_id, "another seed, another machine");
    }

    #[test]
    fn version_says_what_uname_says() {
        let (mut kernel, ..) = machine();
        let version = text(&mut kernel, VirtualFile::Version);
        let (release, build) = (&kernel.config.kernel_release, &kernel.config.kernel_version);
        assert!(version.starts_with(&format!("Linux version {release} (")));
        assert!(version.ends_with(&format!(") {build}\n")));
    }

    #[test]
    fn the_shim_reads_a_file_in_pieces_or_learns_its_length() {
        let (mut kernel, mut guest, tid) = machine();
        let number = VirtualFile::Hostname as u64;
        let mut read = |number, to, bytes| {
            kernel.do_call(tid, PSEUDO_VIRTUAL_FILE, [number, to, bytes, 0, 0, 0], &mut guest)
        };
        assert_eq!(read(number, 8, 0), 6, "nothing is stored, so nothing faults");
        assert_eq!(read(number, 8, 1), Errno::EFAULT.as_return());
        assert_eq!(read(999, DATA, 8), Errno::ENOENT.as_return());
        assert_eq!(read(number, DATA, 3), 6);
        assert_eq!(&guest.words::<1>(DATA)[0].to_le_bytes()[..4], b"ali\0");
        assert_eq!(read_all(&mut kernel, tid, &mut guest, number), *b"alice\n\0\0");
    }

    fn read_all(
        kernel: &mut Kernel,
        tid: crate::VirtualTid,
        guest: &mut crate::testing::TestGuest,
        number: u64,
    ) -> [u8; 8] {
        kernel.do_call(tid, PSEUDO_VIRTUAL_FILE, [number, DATA, u64::MAX, 0, 0, 0], guest);
        guest.words::<1>(DATA)[0].to_le_bytes()
    }
}
