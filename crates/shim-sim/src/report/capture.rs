//! Reads the captures that a run has left behind.
//!
//! Folders of hosts and their addresses in; flows, amounts over time and round trips out. Always true: nothing that a guest
//! may have put in the place of a capture is followed or waited for; of a damaged file everything before the damage counts, and
//! where it begins is told; a file is never in memory as a whole. What packets mean is `flows`'.

use std::fs::File;
use std::io::BufReader;
use std::net::IpAddr;
use std::path::Path;

use pcap_file::pcap::PcapReader;
use pcap_file::{DataLink, TsResolution};
use shim_abi::time::NS_PER_SEC;

use super::flows::{Flows, Seen};
use super::series::{Samples, Series};
use crate::fabric::Datagram;
use crate::output::capture::Interface;

/// What the captures of one host tell.
#[derive(Debug)]
pub(super) struct Captured {
    /// Bytes that left it.
    pub(super) sent: Series,
    /// Bytes that came to it.
    pub(super) received: Series,
    /// Round trips that it has seen.
    pub(super) trips: Samples,
}

/// What all captures tell.
#[derive(Default, Debug)]
pub(super) struct Captures {
    /// In the order of hosts; nothing where there is none.
    pub(super) hosts: Vec<Option<Captured>>,
    /// Who talked to whom.
    pub(super) flows: Flows,
    /// How many packets there were.
    pub(super) packets: u64,
}

/// What is known of a host beforehand.
pub(super) struct Owner<'a> {
    /// Its folder.
    pub(super) folder: &'a Path,
    /// Its addresses.
    pub(super) addresses: [IpAddr; 2],
}

/// When a run began and how long it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Its calendar time, in nanoseconds since 1970.
    pub(super) start_realtime_ns: i64,
    /// Its length.
    pub(super) ns: u64,
}

impl Captures {
    /// Read those of the next host; what is wrong with them.
    pub(super) fn read(&mut self, owner: &Owner<'_>, span: Span) -> Vec<String> {
        let mut troubles = Vec::new();
        let mut captured = None;
        self.flows.begin_host();
        for interface in Interface::ALL {
            let path = owner.folder.join(interface.file_name());
            match open(&path) {
                Ok(None) => {}
                Ok(Some(file)) => {
                    let captured = captured.get_or_insert_with(|| Captured {
                        sent: Series::new(span.ns),
                        received: Series::new(span.ns),
                        trips: Samples::new(span.ns),
                    });
                    if let Err(reason) = self.read_file(file, interface, owner, span, captured) {
                        troubles.push(format!("{}: {reason}", path.display()));
                    }
                }
                Err(reason) => troubles.push(format!("{}: {reason}", path.display())),
            }
        }
        self.hosts.push(captured);
        troubles
    }

    fn read_file(
        &mut self,
        file: File,
        interface: Interface,
        owner: &Owner<'_>,
        span: Span,
        captured: &mut Captured,
    ) -> Result<(), String> {
        let damage = |count: u64, error: pcap_file::PcapError| {
            let reason = match error {
                pcap_file::PcapError::IoError(error) => error.to_string(),
                other => other.to_string(),
            };
            format!("damaged after {count} packets: {reason}")
        };
        let mut reader = PcapReader::new(BufReader::new(file)).map_err(|error| damage(0, error))?;
        let header = reader.header();
        if header.datalink != DataLink::RAW {
            return Err(format!("packets of another kind: {:?}", header.datalink));
        }
        let fraction_ns = match header.ts_resolution {
            TsResolution::MicroSecond => 1_000,
            TsResolution::NanoSecond => 1,
        };
        let host = self.hosts.len();
        let (mut count, mut whole) = (0, Vec::new());
        while let Some(packet) = reader.next_raw_packet() {
            let packet = packet.map_err(|error| damage(count, error))?;
            count += 1;
            let since_1970 = i128::from(packet.ts_sec) * i128::from(NS_PER_SEC)
                + i128::from(packet.ts_frac) * fraction_ns;
            // Files have microseconds, and simulations may begin between two.
            let at_ns = (since_1970 - i128::from(span.start_realtime_ns)).max(0);
            let at_ns = u64::try_from(at_ns).unwrap_or(u64::MAX);
            let Some(datagram) = complete(&packet.data, packet.orig_len, &mut whole) else {
                continue;
            };
            let is_loopback = interface == Interface::Loopback;
            let is_sent = is_loopback || owner.addresses.contains(&datagram.source());
            let bytes = datagram.bytes().len() as u64;
            self.packets += 1;
            if !is_loopback {
                let series = if is_sent { &mut captured.sent } else { &mut captured.received };
                series.add(at_ns, bytes);
            }
            let captured_bytes = packet.data.len();
            let seen =
                Seen { host, is_loopback, is_sent, at_ns, datagram, captured: captured_bytes };
            if let Some(trip_ns) = self.flows.take(&seen) {
                captured.trips.add(at_ns, trip_ns);
            }
        }
        Ok(())
    }
}

/// A datagram of which perhaps the beginning only was captured, with zeros for the rest.
fn complete<'a>(data: &'a [u8], length: u32, whole: &'a mut Vec<u8>) -> Option<Datagram<'a>> {
    const MOST_BYTES: usize = 1 << 16;
    let length = usize::try_from(length).ok()?.min(MOST_BYTES + 40);
    if data.len() >= length {
        return Datagram::read(data);
    }
    whole.clear();
    whole.extend_from_slice(data);
    whole.resize(length, 0);
    Datagram::read(whole)
}

/// Open a file that was written by a run, and nothing else that may stand in its place.
pub(super) fn open(path: &Path) -> Result<Option<File>, String> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    File::open(path).map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::capture::Capture;
    use shim_abi::SimTime;

    const HERE: [u8; 4] = [10, 0, 0, 1];

    fn datagram(from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 60, 0, 0, 0, 0, 64, 17, 0, 0];
        let ports = if from == HERE { [0, 7, 0, 9] } else { [0, 9, 0, 7] };
        bytes.extend(from.iter().chain(&to).chain(&ports).chain(&[0, 40, 0, 0]).chain(&[0; 32]));
        bytes
    }

    /// A folder with three packets on `eth0`, of which so many bytes each are captured.
    fn folder(capture_bytes: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(folder.path(), capture_bytes, 5_000_000_000);
        for at in [1_000_000, 2_000_000, 900_000_000] {
            let there = [10, 0, 0, 2];
            let (from, to) = if at == 2_000_000 { (there, HERE) } else { (HERE, there) };
            capture.packet(Interface::Ethernet, SimTime::from_ns(at), &datagram(from, to));
        }
        capture.finish();
        folder
    }

    fn read(folder: &Path) -> (Captures, Vec<String>) {
        let mut captures = Captures::default();
        let addresses = [HERE.into(), IpAddr::from([0_u16; 8])];
        let span = Span { start_realtime_ns: 5_000_000_000, ns: NS_PER_SEC };
        let troubles = captures.read(&Owner { folder, addresses }, span);
        (captures, troubles)
    }

    #[test]
    fn packets_count_where_they_came_from() {
        for capture_bytes in [65_535, 28] {
            let folder = folder(capture_bytes);
            let (captures, troubles) = read(folder.path());
            assert_eq!((captures.packets, troubles), (3, Vec::new()));
            let captured = captures.hosts[0].as_ref().unwrap();
            assert_eq!(captured.sent.peak_per_second(), 60.0 * 600.0);
            assert!(!captured.received.is_empty());
            let flows = captures.flows.by_bytes();
            assert_eq!((flows.len(), flows[0].0.ends[0].1, flows[0].1.first_ns), (1, 7, 1_000_000));
        }
        let folder = tempfile::tempdir().unwrap();
        let (captures, troubles) = read(folder.path());
        assert!(captures.hosts[0].is_none() && troubles.is_empty());
    }

    #[test]
    fn of_a_damaged_file_counts_what_is_before_the_damage() {
        let sound = folder(65_535);
        let path = sound.path().join("eth0.pcap");
        let bytes = std::fs::read(&path).unwrap();
        // 24 bytes of header, then 16 + 60 for each packet.
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let (captures, troubles) = read(sound.path());
            let whole = length.saturating_sub(24) / 76;
            assert_eq!(captures.packets, whole as u64);
            let is_between = length >= 24 && (length - 24).is_multiple_of(76);
            assert_eq!(troubles.len(), usize::from(!is_between), "{length}: {troubles:?}");
            let words = format!("eth0.pcap: damaged after {whole} packets");
            assert!(troubles.iter().all(|text| text.contains(&words)), "{troubles:?}");
        }
        // Any byte may be wrong: it is told, or it makes a difference, or neither; but it ends.
        for index in 0..bytes.len() {
            for value in [0, 1, 0xff] {
                let mut wrong = bytes.clone();
                wrong[index] = value;
                std::fs::write(&path, &wrong).unwrap();
                assert!(read(sound.path()).0.packets <= 3);
            }
        }
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("eth0.pcap");
        assert!(std::process::Command::new("mkfifo").arg(fifo).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("lo.pcap")).unwrap();
        let (captures, troubles) = read(folder.path());
        assert_eq!((captures.packets, troubles.len()), (0, 2));
        assert!(troubles[0].ends_with("lo.pcap: not a regular file"), "{troubles:?}");
    }
}
