//! What the tests of this crate share: a harmless library to preload, and a host's memory.
//!
//! Names and modes in, ready-made values out. Always true: everything is made in a folder of this test
//! process. The guest's side of the protocol is in `fake`.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod fake;

use std::ffi::CString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use shim_abi::clock::Rate;
use shim_abi::manager::{EmulateTsc, Patching};
use shim_supervisor::{
    Command, Event, ExitStatus, Guest, HostMemory, HostSettings, Identity, Launcher, Library,
    ManagerSettings,
};

/// A folder that belongs to this test process.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let name = std::env::current_exe().unwrap();
        let folder = folder.join(name.file_name().unwrap());
        std::fs::create_dir_all(&folder).unwrap();
        folder
    })
}

/// Build a shared object from one assembly file.
pub fn build_library(name: &str, assembly: &str) -> PathBuf {
    let unique = format!("{}-{:?}", process::id(), std::thread::current().id());
    let source = folder().join(format!("{name}-{unique}.s"));
    let built = folder().join(format!("{name}-{unique}.so"));
    std::fs::write(&source, assembly).unwrap();
    let status = process::Command::new("cc")
        .args(["-shared", "-nostdlib", "-o"])
        .args([&built, &source])
        .status()
        .expect("a C compiler named cc");
    assert!(status.success());
    let path = folder().join(format!("{name}.so"));
    std::fs::remove_file(source).unwrap();
    std::fs::rename(built, &path).unwrap();
    path
}

/// A note section that states a protocol.
pub fn note(major: u32, minor: u32) -> String {
    format!(
        ".section .note.shim,\"a\",@note\n.balign 4\n.long 5, 8, 1\n.asciz \"shim\"\n.balign 4\n\
         .long {major}, {minor}\n.section .note.GNU-stack,\"\",@progbits\n"
    )
}

/// A library with the right note that does nothing.
pub fn library() -> Library {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};
        build_library("libharmless", &note(PROTOCOL_MAJOR, PROTOCOL_MINOR))
    });
    Library::open(path).unwrap()
}

/// The memory of a host.
pub fn memory() -> Arc<HostMemory> {
    let manager = ManagerSettings {
        start_realtime_ns: 946_684_800_000_000_000,
        start_wall_ns: 0,
        tsc_frequency_hz: 1_000_000_000,
        syscall_latency_ns: 1_000,
        vdso_latency_ns: 10,
        emulate_tsc: EmulateTsc::Never,
        patching: Patching::Off,
    };
    let host = HostSettings {
        host_id: 0,
        uptime_at_start_ns: 0,
        realtime_offset_ns: 0,
        rate: Rate::EXACT,
        preemption_ns: 0,
        cpu_count: 1,
        log_level: 5,
        is_tracing: true,
        ipv4: 0,
        ipv4_prefix_bits: 8,
        ipv6: None,
        ipv6_prefix_bits: 64,
        names: None,
        hostname: "alice".into(),
        kernel_release: "6.1.0".into(),
        kernel_version: "#1".into(),
        domainname: "(none)".into(),
    };
    Arc::new(HostMemory::new(&library(), &manager, &host, None).unwrap())
}

/// Who a guest is.
pub fn identity() -> Identity {
    Identity {
        pid: 1000,
        tid: 1000,
        parent_pid: 1,
        group: 1000,
        session: 1000,
        descriptor_limit: (1024, 4096),
        random: [1, 2, 3, 4],
    }
}

/// A command with these arguments, the zeroth being the program's file too.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(text(arguments[0]));
    command.argv = arguments.iter().copied().map(text).collect();
    command
}

pub fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}

pub fn path_text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// Run to the end a program that loads no shim.
pub fn run(launcher: &Launcher, command: &Command) -> ExitStatus {
    let mut guest = launcher.spawn(&memory(), command, &identity()).unwrap();
    end(&mut guest)
}

/// The end, which must be the guest's next event.
pub fn end(guest: &mut Guest) -> ExitStatus {
    match guest.wait() {
        Event::Exited(status) => status,
        event => panic!("{event:?} instead of an end"),
    }
}

/// Run a program without a shim and give back its standard output.
pub fn bytes_of(launcher: &Launcher, mut command: Command) -> (Vec<u8>, ExitStatus) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    command.stdio[1] = Some(writer.into());
    let mut guest = launcher.spawn(&memory(), &command, &identity()).unwrap();
    drop(command);
    let mut output = Vec::new();
    reader.read_to_end(&mut output).unwrap();
    (output, end(&mut guest))
}

/// As [`bytes_of`], as text.
pub fn output_of(launcher: &Launcher, command: Command) -> (String, ExitStatus) {
    let (output, status) = bytes_of(launcher, command);
    (String::from_utf8(output).unwrap(), status)
}

/// Whether a native process exists, zombies included.
pub fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Whether a native process runs: it exists and is no zombie.
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
    state.is_some_and(|state| !"ZX".contains(state))
}

/// Wait, but not for ever.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The launcher process of this process: its id.
pub fn launcher_pid() -> Vec<u32> {
    children_of(process::id(), "shim-launcher")
}

/// Processes of this name whose parent is `parent`.
pub fn children_of(parent: u32, name: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((start, rest)) = stat.rsplit_once(')') else { continue };
        let is_parent = rest.split_whitespace().nth(1) == Some(&parent.to_string());
        if is_parent && start.ends_with(&format!("({name}")) {
            found.push(pid);
        }
    }
    found
}
