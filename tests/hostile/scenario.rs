//! The same by `shim run`: a scenario of two hosts, of which one is maltreated.
//!
//! A seed in; what has become of the other host's folder, byte for byte, out. Always true: both runs are one scenario but for
//! what the victims' host runs; in the second its guests write garbage, and are killed from outside as long as it lasts. All
//! places and moments are the other tests'.

use std::fmt::Write;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use shim_testkit::built::built;
use shim_testkit::compare::run_difference;
use shim_testkit::guest::compile;
use shim_testkit::{Folder, Libc, Mark, Run};

use crate::plan::{Deed, PATTERNS, THEN, places};
use crate::{Chance, alone, seed};

/// What is killed, and how many write garbage.
const DEEDS: usize = 25;

/// The scenario; `deeds` are what happens.
fn yaml(mark: &Mark, deeds: &[Deed]) -> String {
    let path = |name| compile(name, Libc::Glibc).display().to_string();
    let mut yaml = String::from(
        "general: {stop_time: 400 ms, seed: 7}\nnetwork: {graph: {type: 1_gbit_switch}}\n\
         experimental: {strace_logging_mode: standard}\nhosts:\n",
    );
    let mut host = |name: &str, processes: &[(String, Vec<String>)]| {
        _ = writeln!(yaml, "  {name}:\n    network_node_id: 0\n    processes:");
        for (number, (program, words)) in processes.iter().enumerate() {
            _ = writeln!(
                yaml,
                "    - path: {program}\n      args: {words:?}\n      start_time: {} ms\n      \
                 environment: {{{}: {:?}}}",
                number * 12,
                Mark::VARIABLE,
                mark.value()
            );
        }
    };
    host("bystander", &[(path("witness"), vec!["300".into()])]);
    let mut victims =
        vec![(path("bustle"), vec!["2000".into()]), (path("chaos"), vec!["90".into()])];
    victims.extend(deeds.iter().map(|deed| (path("hostile"), deed.words.clone())));
    host("victims", &victims);
    yaml
}

/// Run it, and kill guests of the victims' host now and then; how many were killed.
fn run(folder: &Folder, yaml: &str, killing: Option<(&Mark, &mut Chance)>) -> usize {
    fs::write(folder.path().join("shim.yaml"), yaml).expect("the folder is ours");
    let run = Run::native(&built().command).args(["run", "shim.yaml"]);
    let mut shim = run.folder(folder.path()).command().spawn().expect("it can be started");
    let mut count = 0;
    if let Some((mark, chance)) = killing {
        while shim.try_wait().expect("it is our child").is_none() {
            sleep(Duration::from_micros(chance.below(30_000)));
            let is_bystander = |pid: &i32| {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                name.starts_with("witness")
            };
            let mut guests = mark.processes();
            guests.retain(|pid| !is_bystander(pid));
            if !guests.is_empty() {
                let pid = Pid::from_raw(*chance.of(&guests)).expect("it is none of ours");
                count += usize::from(kill_process(pid, Signal::KILL).is_ok());
            }
        }
    }
    let output = shim.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    // 1: processes ended otherwise than they were expected to.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}: {said}", output.status);
    assert!(!said.contains("panicked"), "{said}");
    count
}

#[test]
fn a_scenarios_other_host_leaves_the_same_folder() {
    let _one = alone();
    let mut chance = Chance(seed());
    let places = places();
    let mut deeds = Vec::new();
    while deeds.len() < DEEDS {
        let (place, pattern) = (chance.next() as usize % places.len(), *chance.of(&PATTERNS));
        let then = *chance.of(&THEN);
        deeds.push(Deed::garbage(&places[place], pattern, then, &mut chance));
    }
    let folders = [Folder::new(), Folder::new()];
    let began = SystemTime::now();
    let mark = Mark::fresh();
    run(&folders[0], &yaml(&mark, &[]), None);
    let killed = run(&folders[1], &yaml(&mark, &deeds), Some((&mark, &mut chance)));
    mark.assert_nobody_left();
    assert!(killed > 5, "{killed} were killed");
    let of_bystander = folders.each_ref().map(|f| f.path().join("shim.data/hosts/bystander"));
    let files = fs::read_dir(&of_bystander[0]).expect("it has a folder").count();
    assert!(files >= 3, "the bystander has left {files} files");
    let paths = of_bystander.each_ref().map(|path| path.as_path());
    assert_eq!(run_difference(paths, began, |_| true), None);
}
