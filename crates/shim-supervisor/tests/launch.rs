//! What a program finds when it starts: compared with what Linux gives to any program.
//!
//! Programs are small shell scripts that say what they found. Always true: a native run of the same program
//! is the oracle.
//!
//! # Safety
//!
//! Unsafe here: calls of the C library that change this process, in tests that put it back.
#![allow(unsafe_code)]

mod common;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use common::{
    bytes_of, command, folder, identity, library, memory, output_of, path_text, run, text,
};
use shim_supervisor::{Command, ExitStatus, Launcher, SpawnError};

fn shell(script: &str) -> Command {
    command(&["/bin/sh", "-c", script])
}

fn output(script: &str) -> String {
    let launcher = Launcher::start().unwrap();
    output_of(&launcher, shell(script)).0
}

fn failure(command: &Command) -> SpawnError {
    let launcher = Launcher::start().unwrap();
    launcher.spawn(&memory(), command, &identity()).unwrap_err()
}

#[test]
fn the_end_is_the_true_one() {
    let launcher = Launcher::start().unwrap();
    assert_eq!(run(&launcher, &command(&["/bin/true"])), ExitStatus::Code(0));
    assert_eq!(run(&launcher, &command(&["/bin/false"])), ExitStatus::Code(1));
    assert_eq!(run(&launcher, &shell("exit 255")), ExitStatus::Code(255));
    let killed = run(&launcher, &shell("kill -9 $$"));
    assert_eq!(killed, ExitStatus::Signal { signal: 9, has_core: false });
    assert_eq!(killed.shell_code(), 137);
    let aborted = run(&launcher, &shell("ulimit -c 0; kill -ABRT $$"));
    assert_eq!(aborted, ExitStatus::Signal { signal: 6, has_core: false });
}

#[test]
fn what_cannot_be_executed_is_told_with_its_errno() {
    let error = failure(&command(&["/bin/no-such-program"]));
    assert_eq!(error.shell_code(), 127, "{error}");
    assert!(error.to_string().contains("/bin/no-such-program"), "{error}");
    let error = failure(&command(&["/etc/passwd"]));
    assert_eq!(error.shell_code(), 126, "{error}");
    let script = folder().join("no-shebang");
    std::fs::write(&script, "true\n").unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    match failure(&command(&[script.to_str().unwrap()])) {
        SpawnError::Program { error, .. } => {
            assert_eq!(error.raw_os_error(), Some(libc::ENOEXEC));
        }
        error => panic!("{error}"),
    }
    let mut command = command(&["/bin/true"]);
    command.cwd = Some("/nowhere".into());
    assert!(matches!(failure(&command), SpawnError::Directory(_)));
    command.cwd = None;
    command.argv.push(CString::new(vec![b'a'; 200_000]).unwrap());
    match failure(&command) {
        SpawnError::Program { error, .. } => assert_eq!(error.raw_os_error(), Some(libc::E2BIG)),
        error => panic!("{error}"),
    }
}

#[test]
fn a_failed_start_leaves_its_blocks_and_the_launcher_usable() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    for _ in 0..1500 {
        let missing = command(&["/bin/no-such-program"]);
        assert!(launcher.spawn(&memory, &missing, &identity()).is_err());
    }
    assert_eq!(run(&launcher, &command(&["/bin/true"])), ExitStatus::Code(0));
}

#[test]
fn arguments_and_environment_are_any_bytes_and_many() {
    let launcher = Launcher::start().unwrap();
    let mut printf = command(&["/usr/bin/printf", "%s|"]);
    let every_byte: Vec<u8> = (1..=255).collect();
    printf.argv.push(CString::new(every_byte.clone()).unwrap());
    printf.argv.push(CString::default());
    assert_eq!(bytes_of(&launcher, printf).0, [&every_byte[..], b"||"].concat());

    let mut env = command(&["/usr/bin/env"]);
    env.env = (0..10_000).map(|n| text(&format!("V{n}={}", "x".repeat(100)))).collect();
    let (printed, status) = output_of(&launcher, env);
    assert_eq!(status, ExitStatus::Code(0));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 10_002);
    assert_eq!(lines[0], format!("LD_PRELOAD={}", library().path().display()));
    assert_eq!(lines[1], format!("SHIM_HANDOFF_FD={}", launcher.handoff_number()));
    assert_eq!(lines[10_001], format!("V9999={}", "x".repeat(100)));
}

#[test]
fn the_program_starts_in_its_directory_and_paths_start_there() {
    let launcher = Launcher::start().unwrap();
    let mut pwd = command(&["./pwd"]);
    pwd.cwd = Some("/bin".into());
    let expected = std::fs::canonicalize("/bin").unwrap();
    assert_eq!(output_of(&launcher, pwd).0.trim(), expected.to_str().unwrap());
    let here = std::env::current_dir().unwrap();
    assert_eq!(output_of(&launcher, command(&["/bin/pwd"])).0.trim(), here.to_str().unwrap());
    // A path of nearly the length that the kernel takes.
    let mut path = folder().join("deep");
    while path.as_os_str().len() < 3800 {
        path.push("d".repeat(200));
    }
    std::fs::create_dir_all(&path).unwrap();
    let program = path.join("true");
    std::fs::copy("/bin/true", &program).unwrap();
    let mut command = Command::new(path_text(&program));
    command.cwd = Some(path.clone());
    assert_eq!(run(&launcher, &command), ExitStatus::Code(0));
    assert!(program.as_os_str().as_bytes().len() > 3800);
}

#[test]
fn only_the_standard_streams_and_the_hand_off_are_open() {
    let launcher = Launcher::start().unwrap();
    let mut list = shell("exec 2>/dev/null; cd /proc/self/fd; echo *");
    list.stdio[0] = Some(std::fs::File::open("/dev/null").unwrap().into());
    list.stdio[2] = Some(std::fs::File::open("/dev/null").unwrap().into());
    // Something that is open here and inheritable.
    // SAFETY: no pointers.
    let open = unsafe { libc::dup(1) };
    let (printed, _) = output_of(&launcher, list);
    let mut numbers: Vec<u32> = printed.split_whitespace().map(|n| n.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers[..3], [0, 1, 2]);
    assert_eq!(numbers.last(), Some(&launcher.handoff_number()));
    // The shell itself has nothing more open, but for what it reads the directory with.
    assert!(numbers.len() <= 5, "{numbers:?}");
    assert!(!numbers.contains(&(open as u32)) || open == 3, "{numbers:?}");
    // Closed streams are closed.
    let mut closed = shell("[ ! -e /proc/$$/fd/0 ] && [ ! -e /proc/$$/fd/2 ] && echo closed");
    closed.stdio = [None, None, None];
    assert_eq!(output_of(&launcher, closed).0, "closed\n");
}

#[test]
fn signals_privileges_limits_and_session_are_as_agreed() {
    // What this process ignores or blocks does not reach the guest.
    // SAFETY: no handler is involved.
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
    let status = output("exec grep -E '^(SigBlk|SigIgn|SigCgt|NoNewPrivs):' /proc/self/status");
    let values: Vec<&str> = status.split_whitespace().skip(1).step_by(2).collect();
    assert_eq!(values.len(), 4, "{status}");
    let by_name = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    assert_eq!((by_name("SigBlk"), by_name("SigIgn"), by_name("NoNewPrivs")), (0, 0, 1));

    let launcher = Launcher::start().unwrap();
    let limits = output("ulimit -Sn; ulimit -Hn; ulimit -Ss");
    let limit = launcher.descriptor_limit().to_string();
    assert_eq!(limits.split_whitespace().collect::<Vec<_>>(), [&limit, &limit, "8192"]);
    assert_eq!((launcher.descriptor_limit(), launcher.handoff_number()), (4160, 4096));

    // Fields of stat after the name: state, parent, group, session, terminal.
    let stat = output("echo $$; exec cat /proc/self/stat");
    let (pid, stat) = stat.split_once('\n').unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[2..5], [pid, pid, "0"]);
}

#[test]
fn addresses_repeat_where_that_is_permitted() {
    let launcher = Launcher::start().unwrap();
    let maps = || output_of(&launcher, command(&["/bin/cat", "/proc/self/maps"])).0;
    assert_eq!(maps() == maps(), launcher.is_layout_fixed());
}
