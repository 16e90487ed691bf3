//! Writes down the packets of one host's interfaces, as tcpdump does.
//!
//! IP datagrams with the instants at which they left or came in; `lo.pcap` and `eth0.pcap` in the host's folder out. Always
//! true: a file is in the order of its packets' times, and of those that have the same time in the order in which they were
//! handed over; its bytes depend on these alone; a file that cannot be written is told once and ends nothing.
//! Which packets pass an interface, and when, is not here: that is the kernel's and the fabric's.
//!
//! Names and format are Shadow's: classic pcap, raw IP (link type 101), microseconds; time stamps are the
//! simulation's calendar, whatever the host's own clocks show. The format has 32 bits for seconds, which end in 2106.
//!
//! Packets may be handed over in another order than that of their times, because what is sent leaves an interface
//! later than the call that sends it. They are held until [`Capture::write_until`] says that no earlier one will come.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, Endianness, TsResolution};
use shim_abi::SimTime;

/// There are two files for each host.
const BUFFER_BYTES: usize = 16 * 1024;

/// An interface of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interface {
    /// `lo`: what the host sends to itself.
    Loopback,
    /// `eth0`: what goes to others and comes from them.
    Ethernet,
}

impl Interface {
    /// All.
    pub(crate) const ALL: [Interface; 2] = [Interface::Loopback, Interface::Ethernet];

    /// The name of its file.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Interface::Loopback => "lo.pcap",
            Interface::Ethernet => "eth0.pcap",
        }
    }
}

/// The files of one host.
pub struct Capture {
    folder: PathBuf,
    start_realtime_ns: i64,
    capture_bytes: u32,
    /// In the order of [`Interface::ALL`].
    files: [PcapFile; 2],
    /// What could not be written first, and why.
    error: Option<(PathBuf, String)>,
}

/// One file.
struct PcapFile {
    /// `None` from its first error on.
    writer: Option<PcapWriter<BufWriter<File>>>,
    /// What has not been written yet.
    held: Vec<Held>,
}

struct Held {
    at: SimTime,
    len_bytes: u32,
    /// The beginning, as much as is recorded.
    bytes: Vec<u8>,
}

impl Capture {
    /// Make the files in `folder`, for the first `capture_bytes` of each packet. Simulated time began at
    /// `start_realtime_ns`, in nanoseconds since 1970.
    ///
    /// They are made before the host runs, as the files of its processes: the folder is theirs, too.
    pub fn new(folder: &Path, capture_bytes: u64, start_realtime_ns: i64) -> Capture {
        let capture_bytes = u32::try_from(capture_bytes).unwrap_or(u32::MAX);
        let mut error = None;
        let files = Interface::ALL.map(|interface| {
            let path = folder.join(interface.file_name());
            let writer = match begin(&path, capture_bytes) {
                Ok(writer) => Some(writer),
                Err(reason) => {
                    error.get_or_insert((path, reason));
                    None
                }
            };
            PcapFile { writer, held: Vec::new() }
        });
        Capture { folder: folder.to_owned(), start_realtime_ns, capture_bytes, files, error }
    }

    /// The datagram `bytes` passes `interface` at `at`, which is not before what has been written.
    pub fn packet(&mut self, interface: Interface, at: SimTime, bytes: &[u8]) {
        let file = &mut self.files[interface as usize];
        if file.writer.is_none() {
            return;
        }
        let captured = bytes.len().min(self.capture_bytes as usize);
        let len_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        file.held.push(Held { at, len_bytes, bytes: bytes[..captured].to_vec() });
    }

    /// No packet of before `until` will be handed over any more: write those that have been.
    pub fn write_until(&mut self, until: SimTime) {
        for interface in Interface::ALL {
            let file = &mut self.files[interface as usize];
            file.held.sort_by_key(|held| held.at);
            let count = file.held.partition_point(|held| held.at < until);
            for held in file.held.drain(..count) {
                let Some(writer) = &mut file.writer else { continue };
                if let Err(reason) = write(writer, &held, self.start_realtime_ns) {
                    file.writer = None;
                    let path = self.folder.join(interface.file_name());
                    self.error.get_or_insert((path, reason));
                }
            }
        }
    }

    /// Write everything: there are no more packets.
    pub fn finish(&mut self) {
        self.write_until(SimTime::MAX);
        for interface in Interface::ALL {
            let Some(writer) = self.files[interface as usize].writer.take() else { continue };
            if let Err(error) = writer.into_writer().flush() {
                let path = self.folder.join(interface.file_name());
                self.error.get_or_insert((path, error.to_string()));
            }
        }
    }

    /// What could not be written first, if anything.
    pub fn write_error(&self) -> Option<String> {
        let (path, error) = self.error.as_ref()?;
        Some(format!("{} is not complete: {error}", path.display()))
    }
}

/// Make a file that has no packets yet.
fn begin(path: &Path, capture_bytes: u32) -> Result<PcapWriter<BufWriter<File>>, String> {
    let file = File::create(path).map_err(|error| error.to_string())?;
    let header = PcapHeader {
        snaplen: capture_bytes,
        datalink: DataLink::RAW,
        ts_resolution: TsResolution::MicroSecond,
        endianness: Endianness::Little,
        ..PcapHeader::default()
    };
    let buffer = BufWriter::with_capacity(BUFFER_BYTES, file);
    PcapWriter::with_header(buffer, header).map_err(|error| reason(&error))
}

fn write(
    writer: &mut PcapWriter<BufWriter<File>>,
    held: &Held,
    start_realtime_ns: i64,
) -> Result<(), String> {
    let start = u64::try_from(start_realtime_ns).unwrap_or(0);
    let time = Duration::from_nanos(start).saturating_add(Duration::from_nanos(held.at.as_ns()));
    if u32::try_from(time.as_secs()).is_err() {
        return Err("pcap has no instants after 2106".to_owned());
    }
    let packet = PcapPacket::new(time, held.len_bytes, &held.bytes);
    writer.write_packet(&packet).map(|_| ()).map_err(|error| reason(&error))
}

/// In the words of the operating system, if it is the one that refuses.
fn reason(error: &pcap_file::PcapError) -> String {
    match error {
        pcap_file::PcapError::IoError(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::DEFAULT_START_NS;

    fn read(folder: &Path, name: &str) -> Vec<u8> {
        std::fs::read(folder.join(name)).unwrap()
    }

    fn at(ns: u64) -> SimTime {
        SimTime::from_ns(ns)
    }

    const HEADER: [u8; 24] =
        [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 101, 0, 0, 0];

    #[test]
    fn packets_are_written_as_shadow_writes_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(folder.path(), 4, DEFAULT_START_NS);
        capture.packet(Interface::Ethernet, at(1_500_002_999), &[1, 2, 3, 4, 5, 6]);
        capture.packet(Interface::Ethernet, at(1_500_002_000), &[7, 8]);
        capture.finish();
        assert_eq!(read(folder.path(), "lo.pcap"), HEADER);
        // 946,684,801.500002 seconds, which is 0x386d4381; 2 of 2 bytes, 4 of 6.
        let packets = [
            0x81, 0x43, 0x6d, 0x38, 0x22, 0xa1, 7, 0, 2, 0, 0, 0, 2, 0, 0, 0, 7, 8, //
            0x81, 0x43, 0x6d, 0x38, 0x22, 0xa1, 7, 0, 4, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4,
        ];
        assert_eq!(read(folder.path(), "eth0.pcap"), [&HEADER[..], &packets].concat());
        assert_eq!(capture.write_error(), None);
    }

    #[test]
    fn packets_are_held_until_no_earlier_one_can_come() {
        let folder = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(folder.path(), 100, 0);
        let payload = |capture: &mut Capture, when: u64, byte: u8| {
            capture.packet(Interface::Loopback, at(when), &[byte]);
        };
        payload(&mut capture, 2_000, 1);
        payload(&mut capture, 9_000, 2);
        payload(&mut capture, 1_000, 3);
        capture.write_until(at(5_000));
        payload(&mut capture, 7_000, 4);
        payload(&mut capture, 9_000, 5);
        payload(&mut capture, 5_000, 6);
        capture.write_until(at(9_000));
        capture.finish();
        let bytes = read(folder.path(), "lo.pcap");
        let packets: Vec<(u8, u8)> =
            bytes[24..].chunks(17).map(|packet| (packet[4], packet[16])).collect();
        assert_eq!(packets, [(1, 3), (2, 1), (5, 6), (7, 4), (9, 2), (9, 5)]);
    }

    #[test]
    fn what_cannot_be_written_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(&folder.path().join("none"), 100, 0);
        capture.packet(Interface::Ethernet, at(0), &[1]);
        capture.finish();
        let error = capture.write_error().unwrap();
        assert!(error.contains("none/lo.pcap is not complete: No such file"), "{error}");

        std::os::unix::fs::symlink("/dev/full", folder.path().join("eth0.pcap")).unwrap();
        let mut capture = Capture::new(folder.path(), 100, 0);
        assert_eq!(capture.write_error(), None, "it is in the buffer");
        capture.finish();
        let error = capture.write_error().unwrap();
        assert!(error.contains("eth0.pcap is not complete: No space left"), "{error}");
    }

    #[test]
    fn the_format_ends_in_2106() {
        let folder = tempfile::tempdir().unwrap();
        let start = i64::from(u32::MAX) * 1_000_000_000;
        let mut capture = Capture::new(folder.path(), 100, start);
        capture.packet(Interface::Ethernet, at(999_999_999), &[1]);
        capture.packet(Interface::Ethernet, at(1_000_000_000), &[2]);
        capture.packet(Interface::Ethernet, at(1_000_000_001), &[3]);
        capture.finish();
        assert_eq!(read(folder.path(), "eth0.pcap").len(), 24 + 17);
        assert!(capture.write_error().unwrap().ends_with("pcap has no instants after 2106"));
    }
}
