//! Hosts of ours inside ns-3: curl and Python's web server on both sides of a router of ns-3's.
//!
//! The example of `examples/ns3`, built in an empty folder from the installed SDK and Debian's ns-3, in; what it prints and
//! the files that its guests leave behind out. Always true: the sources are copied, and what builds them knows nothing of this
//! repository but the prefix; no number here was taken from a run. Our own network is tested in `network.rs`, an event loop
//! without ns-3 in `stepping.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use shim_testkit::built::{root, target_dir};
use shim_testkit::installed::prefix;
use shim_testkit::{Folder, Run};

const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of the larger file, by the default of the example.
const LARGE_BYTES: usize = 600 * 1024;
/// What a full datagram holds of a file, beside the headers of IP and of TCP with time stamps.
const SEGMENT_BYTES: usize = 1448;
/// A full datagram and the header of PPP.
const FRAME_BYTES: usize = 1502;

/// The example; built by the first caller, in a folder that was empty.
fn example() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = target_dir().join("tests").join("ns3");
        _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("it can be made");
        let sources = root().join("examples/ns3");
        for name in ["Makefile", "fetch.cc", "shim-host.cc", "shim-host.h"] {
            std::fs::copy(sources.join(name), folder.join(name)).expect("it is there");
        }
        let output = Command::new("make")
            .arg("CXXFLAGS=-O1 -Wall -Wextra -Werror")
            .current_dir(&folder)
            .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"))
            .env_remove("MAKEFLAGS")
            .output()
            .expect("make can be started");
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{says}");
        folder.join("fetch")
    })
}

/// What the example prints with these options, and the folder in which its guests worked.
fn run(options: &[&str]) -> (String, Folder) {
    let folder = Folder::new();
    let directory = format!("--directory={}", folder.path().display());
    let run = Run::native(example()).args(options).args([directory]).limit(LIMIT);
    (run.finish().expect_success().text(), folder)
}

/// How many seconds curl says that a file took, in simulated time.
fn seconds(text: &str, file: &str) -> f64 {
    let head = format!("curl: {file}: ");
    let line = text.lines().find_map(|line| line.strip_prefix(&head)).expect(text);
    let number = line.split(' ').rev().nth(1).expect("a number stands before its unit");
    number.parse().expect("it is a number")
}

/// A connection is made and a file asked for in a round trip each; then it comes as fast as the link is.
fn predicted(bytes: usize, bits_per_second: f64, round_trip: f64) -> f64 {
    let frames = bytes as f64 / SEGMENT_BYTES as f64;
    2.0 * round_trip + frames * FRAME_BYTES as f64 * 8.0 / bits_per_second
}

#[track_caller]
fn assert_close(seconds: f64, predicted: f64) {
    let ratio = seconds / predicted;
    assert!((0.9..1.1).contains(&ratio), "it took {seconds} s instead of {predicted} s");
}

fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(1_099_511_628_211);
    bytes.iter().fold(14_695_981_039_346_656_037, step)
}

#[test]
fn files_pass_a_router_of_ns_3_and_two_runs_are_the_same() {
    let (text, folder) = run(&[]);
    let contents = folder.contents();
    for (name, bytes) in [("small", 100), ("large", LARGE_BYTES)] {
        let fetched = &contents[&format!("fetched/{name}")].1;
        assert_eq!(fetched.len(), bytes);
        assert!(*fetched == contents[&format!("served/{name}")].1, "{name} is not what was served");
        let sum = checksum(fetched);
        let line = format!("fetched: {name}: {bytes} bytes, checksum {sum:016x}, as served\n");
        assert!(text.contains(&line), "{line} is not in {text}");
    }
    let log = String::from_utf8_lossy(&contents["server.log"].1);
    assert!(
        log.contains("10.0.0.1 - - [01/Jan/2000 00:00:01] \"GET /large HTTP/1.1\" 200 -"),
        "{log}"
    );
    // 10 Mbit/s; there and back over links of 2 ms and 3 ms.
    assert_close(seconds(&text, "large"), predicted(LARGE_BYTES, 10e6, 0.010));
    let (again, other) = run(&[]);
    assert_eq!(again, text);
    assert!(other.contents() == contents, "the guests' files differ");
}

#[test]
fn links_of_ns_3_delay_what_our_hosts_send() {
    let (text, _) = run(&["--rate=50Mbps", "--delay=40ms", "--clientDelay=10ms"]);
    // A file that fits into one datagram takes the two round trips, whatever the rate is.
    assert_close(seconds(&text, "small"), predicted(100, 50e6, 0.100));
    let least = predicted(LARGE_BYTES, 50e6, 0.100);
    assert!(seconds(&text, "large") > least, "sooner than the link can: {text}");
}
