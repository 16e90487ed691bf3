//! Everything that is a guest anywhere in these tests, run again and again with one seed: not a byte differs.
//!
//! The programs of `programs.list`, the scripts of `whole.list` and `pairs.list`, and the C programs of `tests/guests` in, as scenarios
//! with a host for each; every difference out, with file, line and both lines. Always true: the runs of a scenario
//! use the same path, one after the other; what counts is the whole data directory, traces of all calls
//! included, but for wall-clock figures; a run that says of itself that it is not reproducible is a failure.
//! Workers alternate between one and two, some runs have no patched code, or no kernel in the guests, or neither, and
//! beside the last run of the full form every processor has a busy loop. `SHIM_REPEATS=word` takes the scenarios that have a host with this word in its name. That guests
//! do the right thing is the other tests' business.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use shim_testkit::built::{built, root, target_dir};
use shim_testkit::compare::run_difference;
use shim_testkit::guest::{self, compile_with};
use shim_testkit::scenario::{Host, Process, write_template, yaml};
use shim_testkit::{Folder, Libc, Run, Status, each, programs, whole};

/// How long one run may take in wall time.
const LIMIT: Duration = Duration::from_secs(300);
/// Runs of a scenario that takes less than this, and of the others.
const SHORT: Duration = Duration::from_secs(3);
const RUNS: usize = 10;
const RUNS_OF_LONG: usize = 3;

/// Guests that cannot repeat, by what the names of their hosts begin with, and why.
const EXCEPT: &[(&str, &str)] = &[
    ("go", "its collector's threads wait for each other in user space: the watchdog moves them on"),
    ("cancels-in-a-loop", "a thread computes until another one cancels it: as above"),
    ("conds-spinning", "a thread computes until another one writes a variable: as above"),
    (
        "thread-ends-main-returns-beside-a-loop",
        "a thread computes until the process ends: as above",
    ),
    ("thread-signals-looping", "a thread computes until another one sends it a signal: as above"),
];

/// Guests that are left to the full form, because they take seconds.
const ONLY_IN_FULL: &[&str] = &[
    "compile",
    "compressors",
    "descriptors",
    "java",
    "javac",
    "make",
    "node-processes",
    "parallel",
    "py-futures",
    "py-managers",
    "py-multiprocessing",
    "sqlite",
    "timers",
];

/// C programs that do not list their parts: what each is run with.
const ARGUMENTS: &[(&str, &[&str])] = &[
    ("bad_pointers", &[""]),
    ("bustle", &["5"]),
    ("chaos", &["2"]),
    ("clocks", &["", "poll 1"]),
    ("corners", &[""]),
    ("counter", &[""]),
    ("descriptors", &["native", "simulated"]),
    ("exec", &["chain 3", "walk", "failures", "inherit"]),
    ("faults", &["", "null", "divide", "illegal", "trap", "ignored", "blocked", "overflow"]),
    ("host_clocks", &["show sleep 5 show alarm 3 show"]),
    ("lockers", &[""]),
    ("named", &[""]),
    ("pings", &[""]),
    ("pipe_copies", &["copies", "onto", "errors", "ranges", "executed", "listing", "inherited"]),
    ("places", &["", "random"]),
    ("readers", &[""]),
    ("refusals", &[""]),
    ("signals", &["", "blocked abort", "pending", "alarm", "reset", "10", "34", "17"]),
    ("sleeper", &["20 3"]),
    ("thread_many", &["together 200", "turns 200"]),
    ("times", &[""]),
    ("tools", &["sort text.txt", "statistics text.txt", "ls", "time nonsense", "heap", "jump"]),
    ("waits", &["5000000"]),
    ("witness", &["20"]),
    (
        "visits",
        &["pipe", "event", "poll", "futex", "options", "between", "sleep", "sleeper-and-epoll"],
    ),
];

/// C programs that want what only glibc has.
const GLIBC_ONLY: &[&str] = &["bad_pointers", "clocks", "named", "times"];

/// C programs that are not run, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("busy", "computes without a call until an alarm: only the watchdog lets it ring"),
    ("capi", "is linked with the library and told by the test what to expect"),
    ("embed", "is linked with the library by each way there is"),
    ("frames", "waits for a debugger"),
    ("hostile", "writes garbage where its test says"),
    ("hosts", "asks for the hosts of its own scenario"),
    ("interrupted", "waits for a signal from outside"),
    ("names", "reads questions that its test asks"),
    ("preloaded", "is a library"),
    ("resolves", "is told by its test what to ask, of a scenario's own hosts"),
];

/// Some hosts, which are run together.
struct Scenario {
    name: String,
    hosts: Vec<Host>,
}

fn host(name: &str, processes: Vec<Process>) -> Host {
    Host { name: Host::name_of(name), processes, files: Vec::new() }
}

/// Give each host a folder for temporary files below `data`: what earlier runs left in the machine's is no input.
fn add_temporary(hosts: &mut [Host], data: &Path) {
    for host in hosts {
        let folder = data.join("hosts").join(&host.name).join("tmp");
        let folder = folder.to_str().expect("the path is text").to_owned();
        host.files.push(("tmp/empty".into(), Vec::new()));
        for process in &mut host.processes {
            process.environment.push(("TMPDIR".into(), folder.clone()));
        }
    }
}

/// What every process has in its environment.
fn environment(more: &[(&str, String)]) -> Vec<(String, String)> {
    let common = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LC_ALL", "C"),
        ("TZ", "UTC0"),
        // Its counters are files in the machine's own /tmp.
        ("JAVA_TOOL_OPTIONS", "-XX:-UsePerfData"),
    ];
    let common = common.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, value) in common.chain([("HOME", "/nonexistent".into())]).chain(more.iter().cloned())
    {
        all.retain(|(old, _)| old != name);
        all.push((name.to_owned(), value));
    }
    all
}

/// A word as a shell reads it.
fn shell_word(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// One host for each line of `programs.list`.
fn of_programs() -> Vec<Host> {
    let files = programs::files();
    let contents = files.all.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone()));
    let contents: Vec<(String, Vec<u8>)> = contents.collect();
    let of_line = |line: programs::Line| {
        let mut commands = line.on_files.clone();
        if !line.on_pipe.is_empty() {
            let stages = line.on_pipe.iter().map(|command| {
                command.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
            });
            let text = format!("cat piped.in | {}", stages.collect::<Vec<_>>().join(" | "));
            commands.push(vec!["bash".into(), "-c".into(), text]);
        }
        let process = |command| Process { command, environment: environment(&[]) };
        let mut host = host(&line.name, commands.into_iter().map(process).collect());
        host.files.clone_from(&contents);
        host.files.push(("piped.in".into(), line.piped(&files)));
        host
    };
    programs::lines().into_iter().map(of_line).collect()
}

/// One host for each script of `whole.list`.
fn of_scripts() -> Vec<Host> {
    let variables: Vec<(&str, String)> = whole::environment()
        .into_iter()
        .map(|(name, value)| (name, value.to_str().expect("the path is text").to_owned()))
        .collect();
    whole::scripts().into_iter().map(|script| of_script(script, &variables)).collect()
}

/// One host for each server and its clients of `pairs.list`.
fn of_pairs() -> Vec<Host> {
    let list = fs::read_to_string(root().join("tests/pairs.list")).expect("it is there");
    let built = whole::programs().to_str().expect("the path is text");
    let variables =
        [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()), ("BUILT", built.to_owned())];
    whole::parse(&list).into_iter().map(|script| of_script(script, &variables)).collect()
}

fn of_script(script: whole::Script, variables: &[(&str, String)]) -> Host {
    let command = vec![script.interpreter.clone(), script.option().into(), script.text];
    host(&script.name, vec![Process { command, environment: environment(variables) }])
}

/// One host for each part of a C program, through both libraries.
fn of_c_program(name: &str) -> Vec<Host> {
    let mut hosts = Vec::new();
    for libc in Libc::ALL {
        if libc == Libc::Musl && GLIBC_ONLY.contains(&name) {
            continue;
        }
        let program = compile_with(name, libc, &["-lrt", "-lm"]);
        let path = program.to_str().expect("the path is text");
        let mut add = |part: &str, arguments: Vec<String>| {
            let command = [vec![path.to_owned()], arguments].concat();
            let process = Process { command, environment: environment(&[]) };
            let mut host = host(&format!("{name} {part} {libc:?}"), vec![process]);
            host.files.push(("text.txt".into(), programs::files().text.into()));
            hosts.push(host);
        };
        if let Some((_, all)) = ARGUMENTS.iter().find(|(program, _)| *program == name) {
            for line in *all {
                add(line, line.split_whitespace().map(str::to_owned).collect());
            }
            continue;
        }
        let parts = guest::parts(name, &program);
        assert!(!parts.is_empty(), "{name} lists no parts");
        for part in parts {
            add(&part, vec![part.clone()]);
        }
    }
    hosts
}

/// All scenarios, without the hosts that cannot repeat, and for the short form without those that take long.
fn scenarios(is_full: bool) -> Vec<Scenario> {
    let begins = |host: &Host, name: &str| host.name.starts_with(name);
    let is_wanted = |host: &Host| {
        !EXCEPT.iter().any(|(name, _)| begins(host, name))
            && (is_full || !ONLY_IN_FULL.iter().any(|name| begins(host, name)))
    };

    let mut all = Vec::new();
    let mut add = |name: &str, hosts: Vec<Host>, at_once: usize| {
        for (number, hosts) in hosts.chunks(at_once).enumerate() {
            all.push(Scenario { name: format!("{name}-{}", number + 1), hosts: hosts.to_vec() });
        }
    };
    add("scripts", of_scripts(), 3);
    add("pairs", of_pairs(), 3);
    add("programs", of_programs(), 10);
    let mut c_programs = guest::names();
    c_programs.retain(|name| !LEFT_OUT.iter().any(|(left, _)| left == name));
    for (name, hosts) in each(&c_programs, |name| Some((name.clone(), of_c_program(name)))) {
        add(&name, hosts, 50);
    }
    for scenario in &mut all {
        scenario.hosts.retain(is_wanted);
    }
    all.retain(|scenario| !scenario.hosts.is_empty());
    all
}

/// Keep every processor busy while `work` is done.
fn beside_busy_loops<T>(work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    let count = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = work();
        is_over.store(true, Relaxed);
        result
    })
}

/// What makes runs faster or slower, and no difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Means {
    is_patching: bool,
    is_kernel_in_guest: bool,
}

impl Means {
    const ALL: Means = Means { is_patching: true, is_kernel_in_guest: true };

    /// Those of run `number`, the first being 0: each alone, and both together, are missing in some.
    fn of_run(number: usize) -> Means {
        match number % 6 {
            1 => Means { is_patching: false, is_kernel_in_guest: false },
            2 => Means { is_kernel_in_guest: false, ..Means::ALL },
            4 => Means { is_patching: false, ..Means::ALL },
            _ => Means::ALL,
        }
    }

    fn options(self) -> Vec<&'static str> {
        let mut options = Vec::new();
        options.extend((!self.is_patching).then_some("--no-patch"));
        options.extend((!self.is_kernel_in_guest).then_some("--kernel-in-guest=no"));
        options
    }
}

/// What one run printed and how long it took; a failure in words.
fn run(folder: &Path, workers: usize, means: Means) -> Result<(String, Duration), String> {
    // A compressor may well compute for a second of a busy machine, and is not to be preempted for that.
    let mode = [
        "--strace-logging-mode",
        "standard",
        "--template-directory",
        "template",
        "--watchdog",
        "30s",
    ];
    let run = Run::native(&built().command)
        .args(["run", "shim.yaml", "--parallelism", &workers.to_string()])
        .args(mode)
        .args(means.options())
        .folder(folder)
        .limit(LIMIT);
    let outcome = std::panic::catch_unwind(|| run.finish())
        .map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())?;
    let text = outcome.text();
    // Some scripts end with a status of their own, which is not what a scenario expects.
    let is_run = matches!(outcome.status, Status::Code(0 | 1)) && text.contains("simulated time");
    if !is_run || text.contains("not reproducible") {
        return Err(format!("{outcome:?}"));
    }
    Ok((text, outcome.wall))
}

/// Change the lines in which a run without some of the means may differ.
fn say_that_it_has_all(config: &Path, means: Means) {
    let mut text = fs::read_to_string(config).expect("every run writes it");
    let missing = [("patching", means.is_patching), ("kernel_in_guest", means.is_kernel_in_guest)];
    for (key, _) in missing.into_iter().filter(|(_, is_there)| !is_there) {
        let line = format!("{key}: false");
        assert!(text.contains(&line), "{text}");
        text = text.replace(&line, &format!("{key}: true"));
    }
    fs::write(config, text).expect("it is ours");
}

/// Fail unless the hosts' programs have done something.
fn look_at(data: &Path, scenario: &Scenario) -> Result<(), String> {
    for host in &scenario.hosts {
        let folder = data.join("hosts").join(&host.name);
        let entries: Vec<PathBuf> = fs::read_dir(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?
            .flatten()
            .map(|entry| entry.path())
            .collect();
        let of_kind = |kind: &'static str| {
            entries.iter().filter(move |path| path.extension().is_some_and(|it| it == kind))
        };
        if of_kind("exitcode").count() < host.processes.len() {
            return Err(format!("{}: not every process has ended", host.name));
        }
        for path in of_kind("exitcode") {
            let code = fs::read_to_string(path).unwrap_or_default();
            if ["126", "127", ""].contains(&code.trim()) {
                return Err(format!("{}: {code:?}", path.display()));
            }
        }
        for path in of_kind("strace") {
            let trace = fs::read(path).unwrap_or_default();
            if !trace.contains(&b'\n') {
                return Err(format!("{}: no call", path.display()));
            }
        }
    }
    Ok(())
}

/// Run a scenario as often as asked for; how often and how long, or what is wrong.
fn repeat(scenario: &Scenario, is_full: bool) -> Result<String, String> {
    let folder = target_dir().join("repeats").join(&scenario.name);
    _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target directory can be written");
    let (data, first) = (folder.join("shim.data"), folder.join("first"));
    let mut hosts = scenario.hosts.clone();
    add_temporary(&mut hosts, &data);
    fs::write(folder.join("shim.yaml"), yaml(&hosts)).expect("the folder is ours");
    write_template(&folder.join("template"), &hosts);
    let kept = |words: String| format!("== {}\n{words}", folder.display());

    // Files' times that are not simulated are later, and do not count.
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let (text, wall) = run(&folder, 1, Means::ALL).map_err(&kept)?;
    look_at(&data, scenario).map_err(&kept)?;
    fs::rename(&data, &first).expect("the folder is ours");
    let runs = match (is_full, wall < SHORT) {
        (false, _) => 2,
        (true, true) => RUNS,
        (true, false) => RUNS_OF_LONG,
    };
    for number in 1..runs {
        let means = Means::of_run(number);
        let once = || run(&folder, 1 + number % 2, means);
        let is_last = is_full && number + 1 == runs;
        let result = if is_last { beside_busy_loops(once) } else { once() };
        let (again, _) = result.map_err(&kept)?;
        say_that_it_has_all(&data.join("processed-config.yaml"), means);
        let is_wanted = |name: &str| name != "wall-stats.json";
        let differs = run_difference([&first, &data], yesterday, is_wanted).unwrap_or_default();
        if !differs.is_empty() || again != text {
            let differs = if differs.is_empty() { format!("{text}\n{again}") } else { differs };
            return Err(kept(format!("run {} of {runs}:\n{differs}", number + 1)));
        }
        fs::remove_dir_all(&data).expect("the folder is ours");
    }
    fs::remove_dir_all(&folder).expect("the folder is ours");
    Ok(format!("{}: {} hosts, {runs} runs, {wall:.1?}", scenario.name, scenario.hosts.len()))
}

/// Repeat all scenarios, as many side by side as there are processors.
fn repeat_all(is_full: bool) {
    built();
    let mut scenarios = scenarios(is_full);
    if let Ok(only) = std::env::var("SHIM_REPEATS") {
        scenarios.retain(|scenario| scenario.hosts.iter().any(|host| host.name.contains(&only)));
    }
    assert!(!scenarios.is_empty(), "no scenario has such a host");
    let started = Instant::now();
    let said = each(&scenarios, |scenario| {
        let said = repeat(scenario, is_full);
        if let Ok(words) = &said {
            println!("{words}");
        }
        Some(said)
    });
    let wrong: Vec<String> = said.into_iter().filter_map(Result::err).collect();
    let (all, hosts) = (scenarios.len(), scenarios.iter().map(|s| s.hosts.len()).sum::<usize>());
    assert!(wrong.is_empty(), "{} of {all} scenarios\n{}", wrong.len(), wrong.join("\n"));
    println!("{hosts} guests in {all} scenarios repeat, after {:.0?}", started.elapsed());
}

#[test]
#[ignore = "a quarter of an hour; continuous integration runs it"]
fn everything_repeats_ten_times() {
    repeat_all(true);
}

#[test]
fn guests_repeat_with_any_number_of_workers() {
    repeat_all(false);
}

#[test]
fn exceptions_have_reasons_and_guests() {
    let c_programs = guest::names();
    for (name, reason) in EXCEPT.iter().chain(LEFT_OUT) {
        assert!(reason.len() > 5, "{name}: no reason");
    }
    let left_out = LEFT_OUT.iter().map(|(name, _)| name);
    for name in left_out.chain(ARGUMENTS.iter().map(|(name, _)| name)).chain(GLIBC_ONLY) {
        assert!(c_programs.iter().any(|program| program == name), "there is no {name}.c");
    }
}

#[test]
fn differences_are_named_with_line_and_both_lines() {
    let folder = |text: &str| Folder::with(&[("same", b"same"), ("p.strace", text.as_bytes())]);
    let (one, other) = (folder("1 call\n2 a\n3 end\n"), folder("1 call\n2 b\n3 end\n"));
    let differ = |is_wanted: fn(&str) -> bool| {
        run_difference([one.path(), other.path()], SystemTime::now(), is_wanted)
    };
    assert_eq!(differ(|name| name == "same"), None);
    let words = differ(|_| true).expect("they differ");
    assert_eq!(words, "p.strace:2:\n  first:  2 a\n  second: 2 b\n");
    // Times before the newest that counts do, and a file that is in one folder only.
    fs::write(other.path().join("more"), "").expect("the folder is ours");
    let file = fs::File::options().write(true).open(other.path().join("same"));
    let file = file.expect("it is there");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("it is ours");
    let words = differ(|name| name != "p.strace").expect("they differ");
    assert!(words.contains("more: in the second run only\n"), "{words}");
    assert!(words.contains("same: changed at "), "{words}");
}
