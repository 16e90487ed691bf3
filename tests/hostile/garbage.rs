//! Garbage over everything that guests can write, and requests that nobody may make.
//!
//! Deeds of hostile guests in; all that went wrong out. Always true: the simulator, this process, lives and waits for nobody
//! for ever; the worst that happens is that such a guest, or its host, is killed, and then its host says so; the next one
//! starts on the same host. What is written where is `plan`'s.

use std::collections::BTreeMap;
use std::fs;
use std::thread;

use shim_host::ProcessEnd;
use shim_testkit::guest::compile;
use shim_testkit::{Libc, eventually};

use crate::plan::{Deed, PATTERNS, THEN, places};
use crate::stage::{Stage, Witness, children_of};
use crate::{Chance, alone, count, seed, show};

/// Steps after which whoever has not ended is ended: most need a few.
const STEPS: usize = 40;
/// A host is used for so many deeds, on the average.
const DEEDS_OF_A_HOST: u64 = 6;

struct Run {
    stage: Stage,
    witness: Witness,
    program: String,
    chance: Chance,
    /// How deeds ended, and how often.
    ends: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

impl Run {
    fn new(is_kernel_in_guest: bool) -> Run {
        let (stage, witness) = Stage::new(is_kernel_in_guest);
        let program = compile("hostile", Libc::Glibc);
        let program = program.into_os_string().into_string().expect("the path is text");
        let (ends, wrong) = (BTreeMap::new(), Vec::new());
        let mut run = Run { stage, witness, program, chance: Chance(seed()), ends, wrong };
        let end = run.run(&Deed::that_harms_nobody());
        assert_eq!(end, Some(ProcessEnd::Exited(0)));
        run.stage.begin_to_count();
        run
    }

    /// Have it done; how the guest ended.
    fn run(&mut self, deed: &Deed) -> Option<ProcessEnd> {
        let Run { stage, witness, program, chance, ends, wrong } = self;
        let words: Vec<&str> = std::iter::once(program.as_str())
            .chain(deed.words.iter().map(String::as_str))
            .collect();
        let what = deed.words.join(" ");
        show(|| format!("{}: {what}", deed.name));
        stage.log.0.clear();
        let failures = stage.host().failures().len();
        let pid = stage.spawn(&words);
        thread::scope(|scope| {
            scope.spawn(|| witness.go_on());
            for _ in 0..STEPS {
                if !stage.step() {
                    break;
                }
            }
        });
        let end = stage.host().end_of(pid);
        let failures: Vec<_> = stage.host().failures()[failures..].to_vec();
        let is_named = stage.log.0.contains("killed: ") || !failures.is_empty();
        stage.kill_all();
        let kind = match end {
            Some(ProcessEnd::Killed(9)) if is_named => "killed and named".to_owned(),
            Some(end) => format!("{end:?}"),
            None => "had not ended".to_owned(),
        };
        let is_by_itself = ["die", "race", "forge"].contains(&deed.then);
        if end == Some(ProcessEnd::Killed(9)) && !is_named && !is_by_itself {
            wrong.push(format!("{what}: killed, and nobody says so"));
        }
        *ends.entry(kind).or_default() += 1;
        if stage.hangs > 0 {
            wrong.push(format!("{what}: a step did not end"));
            stage.hangs = 0;
        }
        if deed.then == "forge" {
            // It may have made what stays as long as the host does: a segment, the post.
            stage.replace_host();
        }
        wrong.extend(stage.leftovers().into_iter().map(|words| format!("{what}: {words}")));
        if chance.below(DEEDS_OF_A_HOST) == 0 {
            stage.replace_host();
        }
        end
    }

    #[track_caller]
    fn finish(self) {
        println!("{:?}", self.ends);
        assert!(self.wrong.is_empty(), "{} wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
        self.stage.assert_undisturbed(self.witness);
    }
}

/// Each place is written to so often.
#[track_caller]
fn assert_survived(is_kernel_in_guest: bool, times: u64) {
    let mut run = Run::new(is_kernel_in_guest);
    let mut done = 0;
    for _ in 0..times {
        for place in places() {
            let (pattern, then) = (*run.chance.of(&PATTERNS), *run.chance.of(&THEN));
            let deed = Deed::garbage(&place, pattern, then, &mut run.chance);
            run.run(&deed);
            done += 1;
        }
    }
    assert!(done > 60, "{done} deeds");
    run.finish();
}

#[track_caller]
fn assert_forgeries_survived(is_kernel_in_guest: bool, times: u64) {
    let mut run = Run::new(is_kernel_in_guest);
    for _ in 0..times {
        let deed = Deed::forgery(300, is_kernel_in_guest, &mut run.chance);
        run.run(&deed);
    }
    run.finish();
}

#[test]
fn garbage_over_every_block_disturbs_nobody() {
    let _one = alone();
    assert_survived(true, 1);
}

#[test]
fn garbage_disturbs_nobody_where_guests_do_not_call_the_kernel() {
    let _one = alone();
    assert_survived(false, 1);
}

#[test]
fn requests_that_no_shim_makes_disturb_nobody() {
    let _one = alone();
    assert_forgeries_survived(true, 12);
    assert_forgeries_survived(false, 12);
}

#[test]
#[ignore = "minutes; continuous integration runs it"]
fn much_garbage_disturbs_nobody() {
    let _one = alone();
    for is_kernel_in_guest in [true, false] {
        assert_survived(is_kernel_in_guest, count(2));
        assert_forgeries_survived(is_kernel_in_guest, count(2) * 20);
    }
}

#[test]
fn a_host_in_which_nobody_has_control_stops_and_says_so() {
    let _one = alone();
    let mut run = Run::new(true);
    let end = run.run(&Deed::that_loses_control());
    assert_eq!(end, Some(ProcessEnd::Killed(9)));
    let failures = run.stage.host().failures();
    let said = failures.iter().any(|failure| failure.text.ends_with("the host has stopped"));
    assert!(said, "{failures:?}");
    assert!(run.stage.log.0.matches("Ended").count() >= 2, "{}", run.stage.log.0);
    assert_eq!(run.wrong, [""; 0]);
}

/// The writable memory files of ours in a guest's memory.
fn writable_in(pid: i32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let lines = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|p| p.contains('w')));
    let names = lines.filter_map(|line| line.split_once("/memfd:")?.1.split(' ').next());
    let mut names: Vec<_> =
        names.filter(|name| name.starts_with("shim-")).map(str::to_owned).collect();
    names.dedup();
    names
}

/// What is not in the list cannot be written over, and above all: the kernel's state.
#[test]
fn only_what_is_written_over_here_is_writable_in_guests() {
    let _one = alone();
    for (is_kernel_in_guest, expected) in
        [(true, &["shim-arena", "shim-shared"][..]), (false, &["shim-shared"])]
    {
        let mut run = Run::new(is_kernel_in_guest);
        let end = run.run(&Deed::over_what_is_read_only());
        assert_eq!(end, Some(ProcessEnd::Killed(11)));
        let sleeper = compile("witness", Libc::Glibc);
        run.stage.spawn(&[sleeper.to_str().expect("it is text"), "1000"]);
        let mut found = eventually("there is a guest", || {
            run.stage.step();
            let children = children_of(run.stage.launcher_pid);
            let guest = children.into_iter().find(|&pid| run.stage.mark.is_of(pid))?;
            Some(writable_in(guest)).filter(|names| !names.is_empty())
        });
        found.sort();
        assert_eq!(found, expected);
        run.stage.kill_all();
        assert_eq!(run.wrong, [""; 0]);
    }
}
