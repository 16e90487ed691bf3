//! `shim exec`: one program on one simulated machine.
//!
//! Options in, an exit status out. Always true: standard output is the guest's alone; every failure of
//! ours is one message and status 125; the launcher is started before anything here makes a thread. How
//! a simulation runs is `shim_sim::engine`, what its lines look like `shim_sim::output`.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, LineWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use shim_abi::manager::Patching;
use shim_host::config::{ClockSettings, Watchdog, next_file_tick_ns};
use shim_host::{Host, HostConfig, ProcessEnd, StartError, image, probe};
use shim_sim::engine::{self, Ending};
use shim_sim::output::Output;
use shim_sim::summary::{lack_lines, left_behind, not_reproducible};
use shim_supervisor::{Command, resolve_program};

use crate::interrupt;
use crate::message::message;
use crate::options;
use crate::run::prepare;

/// Exit status where shim itself failed.
pub const FAILURE: u8 = 125;
/// What runs programs that name no interpreter.
const SHELL: &CStr = c"/bin/sh";

/// Run the command; its exit status.
pub fn run(options: &options::Exec) -> u8 {
    match try_run(options) {
        Ok(status) => status,
        Err(Failure { status, text }) => {
            message(text);
            status
        }
    }
}

/// Why there was no run, or none to its end.
struct Failure {
    status: u8,
    text: String,
}

impl Failure {
    /// A failure of ours.
    fn ours(text: impl Into<String>) -> Failure {
        Failure { status: FAILURE, text: text.into() }
    }
}

fn try_run(options: &options::Exec) -> Result<u8, Failure> {
    let (launcher, library) = prepare(options.library.as_deref()).map_err(Failure::ours)?;
    let command = command(&options.command)?;
    let mut output =
        Output::new(Box::new(io::stderr()), options.strace.as_deref().map(open_trace).transpose()?);
    let mut host = Host::new(config(options), &launcher, &library)
        .map_err(|error| Failure::ours(format!("cannot make the host: {error}")))?;
    // Before there is a guest: a signal that ended us meanwhile would end it at its very start.
    let watch = interrupt::watch(host.interrupter())
        .map_err(|error| Failure::ours(format!("cannot watch for signals: {error}")))?;
    let processors = engine::place(&mut host, options.pin.into());
    let pid = host.spawn(&command).map_err(|error| not_started(&error))?;

    let ending = engine::run(&mut host, pid, &mut output);
    drop(processors);

    if let Err(error) = output.finish() {
        message(format_args!("the trace is not complete: {error}"));
    }
    for failure in host.failures() {
        message(format_args!(
            "shim failure in {}[{}]: {}",
            failure.program, failure.pid, failure.text
        ));
    }
    for line in not_reproducible(&host.preemptions()) {
        message(line);
    }
    if !options.quiet {
        for line in lack_lines(&host.lacks()) {
            message(line);
        }
    }
    match ending {
        Ending::Completed(others) if !options.quiet => {
            left_behind(&others).into_iter().for_each(message);
        }
        Ending::Completed(_) => {}
        Ending::Stuck(waiting) => {
            for one in waiting {
                message(format_args!(
                    "{}[{}] waits for ever in {}: nothing can happen any more",
                    one.program, one.pid, one.call
                ));
            }
            return Ok(FAILURE);
        }
    }
    Ok(match (watch.killed_by(), host.end_of(pid)) {
        (Some(signal), _) => 128 + signal as u8,
        (None, Some(ProcessEnd::Exited(status))) => status as u8,
        (None, Some(ProcessEnd::Killed(signal))) => 128 + signal as u8,
        (None, None) => FAILURE,
    })
}

fn config(options: &options::Exec) -> HostConfig {
    HostConfig {
        seed: options.seed,
        wall_start_ns: next_file_tick_ns(),
        cpu_count: options.cpus,
        start_realtime_ns: options.start_time,
        clock: ClockSettings {
            offset_ns: options.clock_offset,
            rate: options.clock_rate_ppm,
            jumps: options.clock_jump.clone(),
        },
        watchdog: options
            .watchdog
            .0
            .map(|wall| Watchdog { wall, quantum: options.watchdog_quantum }),
        emulate_tsc: options.emulate_tsc.into(),
        patching: if options.no_patch { Patching::Off } else { Patching::On },
        is_kernel_in_guest: options.kernel_in_guest.is_yes(),
        syscall_latency: options.syscall_latency,
        vdso_latency: options.vdso_latency,
        log_level: options.log_level.into(),
        is_tracing: options.strace.is_some(),
        ..HostConfig::new(&options.hostname)
    }
}

/// The command with our environment, directory and streams.
fn command(words: &[OsString]) -> Result<Command, Failure> {
    let path = std::env::var_os("PATH");
    let program = resolve_program(&words[0], path.as_deref()).map_err(|error| Failure {
        status: error.shell_code() as u8,
        text: format!("{}: {error}", words[0].display()),
    })?;
    let mut command = Command::new(c_string(program.as_os_str())?);
    command.argv = words.iter().map(|word| c_string(word)).collect::<Result<_, _>>()?;
    if image::needs_shell(&program) {
        // As execvp(3) does it.
        let path = std::mem::replace(&mut command.program, SHELL.to_owned());
        command.argv.splice(..1, [SHELL.to_owned(), path]);
    }
    command.inherit_environment();
    if let Some((name, value)) = probe::processor_mask()
        && std::env::var_os(name).is_none()
    {
        command.env.push(c_string(OsStr::new(&format!("{name}={value}")))?);
    }
    command
        .inherit_stdio()
        .map_err(|error| Failure::ours(format!("cannot pass on the standard streams: {error}")))?;
    Ok(command)
}

fn c_string(text: &OsStr) -> Result<CString, Failure> {
    CString::new(text.as_bytes()).map_err(|error| Failure::ours(error.to_string()))
}

fn open_trace(path: &Path) -> Result<Box<dyn Write>, Failure> {
    if path == "-" {
        return Ok(Box::new(LineWriter::new(io::stderr())));
    }
    match File::create(path) {
        Ok(file) => Ok(Box::new(BufWriter::new(file))),
        Err(error) => Err(Failure::ours(format!("cannot write {}: {error}", path.display()))),
    }
}

fn not_started(error: &StartError) -> Failure {
    let status = error.shell_code().map_or(FAILURE, |code| code as u8);
    Failure { status, text: error.to_string() }
}
