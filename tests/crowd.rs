//! Crowds: many hosts with many processes, many processes on one host, many threads in one process.
//!
//! Scenarios and scripts come in; what they print, the bytes that runs leave with any number of workers, and
//! what is left of processes, descriptors and names of memory goes out. Always true: all guests of a crowd end;
//! the simulator holds no more for the second half of a crowd than for the first. How long it takes
//! is `benches/hosts/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use shim_testkit::built::built;
use shim_testkit::guest::compile_with;
use shim_testkit::{Folder, Libc, Mark, Run, eventually};

const LIMIT: Duration = Duration::from_secs(300);

/// One host's script: a pipeline of three, a job that is waited for, and one that is substituted; what each does
/// depends on the host.
const SCRIPT: &str = "seq N | sort -rn | head -n 2; (sleep 0.1; echo job N) & wait $!; \
                      echo \"random $(head -c 8 /dev/urandom | od -An -tx1)\"; cut -d' ' -f1 /proc/uptime";

fn scenario(hosts: usize) -> String {
    let mut yaml = String::from(
        "general: {stop_time: 1 min}\nnetwork: {graph: {type: 1_gbit_switch}}\nhosts:\n",
    );
    for number in 1..=hosts {
        let script = SCRIPT.replace('N', &number.to_string()).replace('\'', "''");
        _ = write!(
            yaml,
            "  host{number}:\n    network_node_id: 0\n    processes:\n    - path: sh\n      \
             args: ['-c', '{script}']\n"
        );
    }
    yaml
}

fn tree(folder: &Folder, entry: &str) -> BTreeMap<String, (u32, Vec<u8>)> {
    let below = |(name, content): (String, _)| {
        let name = name.strip_prefix(entry)?.strip_prefix('/')?.to_owned();
        (name != "wall-stats.json").then_some((name, content))
    };
    folder.contents().into_iter().filter_map(below).collect()
}

/// Run so many hosts with one worker and with two.
#[track_caller]
fn assert_crowd_repeats(hosts: usize) {
    let folder = Folder::with(&[("shim.yaml", scenario(hosts).as_bytes())]);
    let mut trees = Vec::new();
    for workers in ["1", "2"] {
        let mark = Mark::fresh();
        let run = Run::native(&built().command)
            .args(["run", "shim.yaml", "--strace-logging-mode", "standard"])
            .args(["--parallelism", workers])
            .env(Mark::VARIABLE, mark.value())
            .folder(folder.path())
            .limit(LIMIT);
        let outcome = run.finish().expect_success();
        assert!(outcome.text().contains(", all as expected"), "{outcome:?}");
        mark.assert_nobody_left();
        let kept = format!("with-{workers}");
        fs::rename(folder.path().join("shim.data"), folder.path().join(&kept)).expect("it is ours");
        trees.push(tree(&folder, &kept));
    }
    let [one, two] = &trees[..] else { unreachable!("there were two") };
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    let differ: Vec<&String> = one
        .iter()
        .filter(|(name, content)| two[*name] != **content)
        .map(|(name, _)| name)
        .collect();
    assert!(differ.is_empty(), "{differ:?}");
    for number in [1, hosts] {
        let output = &one[&format!("hosts/host{number}/sh.1000.stdout")].1;
        let text = String::from_utf8_lossy(output);
        assert!(text.contains(&format!("\njob {number}\nrandom ")), "host{number}: {text}");
    }
}

#[test]
fn many_hosts_with_processes_repeat() {
    assert_crowd_repeats(25);
}

#[test]
#[ignore = "a minute or two; continuous integration runs it"]
fn two_hundred_hosts_with_processes_repeat() {
    assert_crowd_repeats(200);
}

#[test]
fn a_thousand_processes_live_on_one_host() {
    let script = "for i in {1..1000}; do sleep 60 & done; jobs -p | wc -l; ls -d /proc/[0-9]* | wc -l; \
                  wait; ls -d /proc/[0-9]* | wc -l; echo $SECONDS";
    let mark = Mark::fresh();
    let run = Run::guest("bash").args(["-c", script]).env(Mark::VARIABLE, mark.value());
    let outcome = run.limit(LIMIT).finish().expect_success();
    let text = outcome.text();
    let numbers: Vec<u32> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
    // bash itself, ls or wc and the shells around them are there as well.
    assert!(matches!(numbers[..], [1000, 1002..=1008, 2..=8, 60..=61]), "{outcome:?}");
    mark.assert_nobody_left();
}

#[test]
fn four_thousand_threads_live_on_one_host() {
    let program = compile_with("thread_many", Libc::Glibc, &["-lm"]);
    let run = |count: &str| {
        let run = Run::guest(&program).args(["together", count]).limit(LIMIT);
        run.finish()
    };
    let outcome = run("4000").expect_success();
    assert!(outcome.text().contains("at the same time 4000, left 0"), "{outcome:?}");
    // A host has room for 4096 threads, those of a run's other processes included; clone says EAGAIN.
    let outcome = run("5000");
    assert_eq!(outcome.text(), "failed 905, error 11\n", "{outcome:?}");
}

/// Descriptors and children, the dead ones too, of every process with this mark.
fn holdings(mark: &Mark) -> BTreeMap<i32, (usize, usize)> {
    let parents: Vec<i32> = fs::read_dir("/proc")
        .expect("/proc is mounted")
        .flatten()
        .filter_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
        })
        .collect();
    let descriptors = |pid: i32| {
        let folder = PathBuf::from(format!("/proc/{pid}/fd"));
        fs::read_dir(folder).map_or(0, |entries| entries.flatten().count())
    };
    let children = |pid: i32| parents.iter().filter(|parent| **parent == pid).count();
    mark.processes().into_iter().map(|pid| (pid, (descriptors(pid), children(pid)))).collect()
}

fn mapped(pid: i32) -> usize {
    let maps = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("maps"));
    maps.unwrap_or_default().lines().filter(|line| line.contains("shim")).count()
}

/// While bash waits for a line that comes in real time, the test looks at what everybody holds.
#[test]
fn processes_that_have_ended_hold_nothing() {
    let script = "while read -r; do for i in {1..100}; do /bin/true | cat & (exit 3); done; wait; \
                  perl -Mthreads -e '$_->join for map { threads->create(sub { 1 }) } 1 .. 20'; echo all; done";
    let mark = Mark::fresh();
    let run = Run::guest("bash").args(["-c", script]).env(Mark::VARIABLE, mark.value());
    let mut shim = run.command().spawn().expect("shim can be started");
    let mut input = shim.stdin.take().expect("it is piped");
    let mut output = BufReader::new(shim.stdout.take().expect("it is piped"));
    let mut seen = Vec::new();
    for _ in 0..3 {
        input.write_all(b"go\n").expect("bash reads");
        let mut line = String::new();
        output.read_line(&mut line).expect("bash writes");
        assert_eq!(line, "all\n");
        // The simulator, the launcher and bash remain.
        let held = eventually("the others end", || {
            let held = holdings(&mark);
            (held.len() == 3).then_some(held)
        });
        seen.push((held, mapped(shim.id().cast_signed())));
    }
    drop(input);
    let status = shim.wait().expect("it is our child");
    assert!(status.success(), "{status}");
    assert_eq!(seen[1], seen[2], "before: {:?}", seen[0]);
    mark.assert_nobody_left();
}
