//! What the tests of this crate share: a host, an observer that writes down what it hears, and a library
//! that does nothing.
//!
//! Modes of fake guests in, what happened to them out. Always true: everything is made in a folder of
//! this test program. The guest's side of the protocol is in `fake`.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod fake;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use shim_abi::SimTime;
use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};
use shim_host::{Host, HostConfig, Observation, Observer, Source};
use shim_supervisor::{Launcher, Library};

/// Hears everything, and writes it down as lines.
#[derive(Default)]
pub struct Notes(pub Vec<String>);

impl Observer for Notes {
    fn observe(&mut self, source: &Source<'_>, time: SimTime, what: Observation<'_>) {
        let Source { host, program, pid, .. } = source;
        let what = match what {
            Observation::Log { level, text } => format!("{level} {text}"),
            Observation::Call { record, .. } => format!("call {}", record.number),
            Observation::Unfinished { number, .. } => format!("unfinished {number}"),
            Observation::Signal(info) => format!("signal {}", info.signal),
            Observation::Preempted { .. } => "preempted".to_owned(),
            Observation::Ended(end) => format!("{end:?}"),
        };
        self.0.push(format!("{host} {program} {pid} {} {what}", time.as_ns()));
    }
}

/// A host named `alice` whose guests may do everything that the real machine offers.
pub fn host() -> Host {
    host_with(|config| config)
}

/// The same, configured further.
pub fn host_with(change: impl FnOnce(HostConfig) -> HostConfig) -> Host {
    let launcher = Arc::new(Launcher::start().expect("a launcher"));
    // Tests run side by side, and no two hosts of one process may have the same number.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let host_id = NEXT.fetch_add(1, Relaxed);
    // Fakes have no kernel, and hand control over by their channels alone.
    let config = HostConfig {
        host_id,
        is_tracing: true,
        is_kernel_in_guest: false,
        ..HostConfig::new("alice")
    };
    Host::new(change(config), &launcher, &library()).expect("a host")
}

/// A library with the right note that does nothing.
fn library() -> Library {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let source = folder.join(format!("harmless-{}.s", std::process::id()));
        let built = source.with_extension("so");
        let note = format!(
            ".section .note.shim,\"a\",@note\n.balign 4\n.long 5, 8, 1\n.asciz \"shim\"\n.balign 4\n\
             .long {PROTOCOL_MAJOR}, {PROTOCOL_MINOR}\n.section .note.GNU-stack,\"\",@progbits\n"
        );
        std::fs::write(&source, note).unwrap();
        let status = std::process::Command::new("cc")
            .args(["-shared", "-nostdlib", "-o"])
            .args([&built, &source])
            .status()
            .expect("a C compiler named cc");
        assert!(status.success());
        std::fs::remove_file(source).unwrap();
        built
    });
    Library::open(path).unwrap()
}
