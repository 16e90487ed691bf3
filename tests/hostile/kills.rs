//! Two hundred sudden deaths of guests, in the middle of whatever they do.
//!
//! A seed in; which deaths there were, or all that went wrong, out. Always true: a victim is chosen by what it is about (an
//! aim, drawn from the seed) and killed natively right after it was looked at; each kind of death occurs; after each the
//! host goes on or says that it has stopped, nobody is left, this process has what it had before, and the next guests start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use shim_host::ProcessEnd;
use shim_testkit::guest::compile;
use shim_testkit::{Libc, Mark};

use crate::stage::{Stage, children_of};
use crate::{Chance, alone, count, seed, show};

/// What a guest is about when it is killed, as the real kernel shows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    /// It is seen for the first time.
    Born,
    /// It has no shim yet: an image has taken its place, or the first one is being loaded.
    Executing,
    /// It computes.
    Computing,
    /// A native call of its runs.
    Native,
    /// It makes one simulated call after the other, and is in its shim, or in its host's kernel, nearly all of the time.
    Calling,
    /// Something else runs: its shim, or the program.
    Running,
    /// It sleeps, in simulated time.
    Sleeping,
    /// It waits for others, or for its simulator.
    Waiting,
    /// It was in its host's kernel, which has stopped.
    InKernel,
}

const AIMS: [Kind; 8] = [
    Kind::Born,
    Kind::Executing,
    Kind::Computing,
    Kind::Native,
    Kind::Calling,
    Kind::Running,
    Kind::Sleeping,
    Kind::Waiting,
];
/// How long a killer looks for somebody of the right kind.
const SEARCH: Duration = Duration::from_millis(200);
/// So many deaths more, at most, if those were not of all kinds: a busy machine shows a killer but little.
const MOST_MORE: u64 = 300;
/// Deaths that do not count: whatever is opened once is open afterwards.
const WARM_UP: u64 = 3;
/// Steps of the host after a death.
const AFTERWARDS: usize = 3;

/// What a living guest is about.
fn kind_of(pid: i32, is_new: bool) -> Option<Kind> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let stat = read("stat")?;
    let state = stat.rsplit_once(") ")?.1.bytes().next()?;
    if b"ZX".contains(&state) {
        return None;
    }
    if !read("maps")?.contains("/memfd:shim-shared") {
        return Some(Kind::Executing);
    }
    if is_new {
        return Some(Kind::Born);
    }
    let name = read("comm")?;
    Some(match (state != b'S', name.trim_end()) {
        (true, "busy") => Kind::Computing,
        (true, "calls") => Kind::Calling,
        (true, "native") => Kind::Native,
        (true, _) => Kind::Running,
        (false, "sleeps") => Kind::Sleeping,
        (false, _) => Kind::Waiting,
    })
}

/// Kills one guest.
struct Killer<'a> {
    launcher: i32,
    mark: &'a Mark,
    seen: BTreeSet<i32>,
}

impl Killer<'_> {
    /// The guests that are there, and whether they were not when it was last asked.
    fn guests(&mut self) -> Vec<(i32, bool)> {
        let mut guests = Vec::new();
        for pid in children_of(self.launcher) {
            let is_seen = self.seen.contains(&pid);
            // Others are the witness's, or become guests yet.
            if is_seen || self.mark.is_of(pid) {
                self.seen.insert(pid);
                guests.push((pid, !is_seen));
            }
        }
        guests
    }

    /// Wait, and kill somebody of the kind `aim`, or anybody; of which kind it was.
    fn kill(mut self, after: Duration, aim: Kind, chance: &mut Chance) -> Option<Kind> {
        thread::sleep(after);
        self.guests();
        let end = Instant::now() + SEARCH;
        loop {
            let mut guests = self.guests();
            let is_late = Instant::now() > end;
            while !guests.is_empty() {
                let (pid, is_new) = guests.swap_remove(chance.below(guests.len() as u64) as usize);
                let Some(kind) = kind_of(pid, is_new) else { continue };
                if (kind == aim || is_late)
                    && kill_process(Pid::from_raw(pid)?, Signal::KILL).is_ok()
                {
                    return Some(kind);
                }
            }
            if is_late && Instant::now() > end + Duration::from_secs(5) {
                return None;
            }
            thread::sleep(Duration::from_micros(300));
        }
    }
}

/// Kill one guest, if it can be one of these; of which kind it was, and all that was wrong.
fn one_kill(
    stage: &mut Stage,
    programs: &[String],
    aims: &[Kind],
    chance: &mut Chance,
) -> (Option<Kind>, Vec<String>) {
    let mut wrong = Vec::new();
    let pids: Vec<u32> =
        programs.iter().map(|program| stage.spawn(&[program, "1000000"])).collect();
    let after = Duration::from_micros(chance.below(60_000));
    let aim = *chance.of(aims);
    let killer =
        Killer { launcher: stage.launcher_pid, mark: &stage.mark.clone(), seen: BTreeSet::new() };
    let is_done = AtomicBool::new(false);
    let failures = stage.host().failures().len();
    let mut kind = thread::scope(|scope| {
        let killing = scope.spawn(|| {
            let kind = killer.kill(after, aim, chance);
            is_done.store(true, Relaxed);
            kind
        });
        while stage.step() {
            if is_done.load(Relaxed) {
                break;
            }
        }
        killing.join().expect("it ends")
    });
    for _ in 0..AFTERWARDS {
        stage.step();
    }
    let said: Vec<_> = stage.host().failures()[failures..].iter().map(|f| f.text.clone()).collect();
    let is_in_kernel = |text: &String| text.contains("in its host's kernel");
    if said.iter().any(is_in_kernel) {
        kind = kind.map(|_| Kind::InKernel);
        let alive = pids.iter().filter(|&&pid| stage.host().end_of(pid).is_none()).count();
        if alive > 0 {
            wrong.push(format!("the host has stopped, and {alive} of its processes run"));
        }
    }
    let strange: Vec<_> = said.iter().filter(|text| !is_in_kernel(text)).collect();
    if !strange.is_empty() {
        wrong.push(format!("failures: {strange:?}"));
    }
    if kind.is_none() {
        wrong.push(format!("nobody was killed, aiming at {aim:?}"));
    }
    stage.kill_all();
    let ends: Vec<_> = pids.iter().map(|&pid| stage.host().end_of(pid)).collect();
    if !ends
        .iter()
        .all(|end| matches!(end, Some(ProcessEnd::Killed(9) | ProcessEnd::Exited(0 | 3))))
    {
        wrong.push(format!("they ended so: {ends:?}"));
    }
    if stage.hangs > 0 {
        wrong.push("a step did not end".to_owned());
        stage.hangs = 0;
    }
    if kind == Some(Kind::InKernel) {
        stage.replace_host();
    }
    (kind, wrong.into_iter().map(|words| format!("{aim:?} after {after:?}: {words}")).collect())
}

/// Kill so often; fail with all that went wrong.
fn assert_survived(is_kernel_in_guest: bool, times: u64, required: &[Kind]) {
    let _one = alone();
    let mut chance = Chance(seed());
    let programs = ["chaos", "bustle"].map(|name| {
        compile(name, Libc::Glibc).into_os_string().into_string().expect("the path is text")
    });
    let (mut stage, mut witness) = Stage::new(is_kernel_in_guest);
    let mut kinds = BTreeMap::<_, u64>::new();
    let mut wrong = Vec::new();
    let is_missing = |kinds: &BTreeMap<Option<Kind>, u64>| {
        required.iter().find(|&&kind| !kinds.contains_key(&Some(kind))).copied()
    };
    let (enough, most) = (WARM_UP + times, WARM_UP + times + MOST_MORE);
    let mut number = 0;
    while number < enough || number < most && is_missing(&kinds).is_some() {
        // Whoever makes calls is in the kernel.
        let missing = is_missing(&kinds).filter(|_| number >= enough);
        let missing =
            missing.map(|kind| [if kind == Kind::InKernel { Kind::Calling } else { kind }]);
        let aims = missing.as_ref().map_or(&AIMS[..], |missing| missing);
        let (kind, mut words) = thread::scope(|scope| {
            scope.spawn(|| witness.go_on());
            one_kill(&mut stage, &programs, aims, &mut chance)
        });
        if number < WARM_UP {
            stage.begin_to_count();
        } else {
            *kinds.entry(kind).or_default() += 1;
        }
        words.extend(stage.leftovers());
        show(|| format!("kill {number}: {kind:?} {words:?}"));
        wrong.extend(words.into_iter().map(|words| format!("kill {number}: {words}")));
        number += 1;
    }
    println!("{kinds:?}");
    assert!(wrong.is_empty(), "{} times of {times}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(is_missing(&kinds), None, "nobody was killed so; {kinds:?}");
    stage.assert_undisturbed(witness);
}

#[test]
fn two_hundred_deaths_disturb_nobody() {
    let all: Vec<Kind> = AIMS.into_iter().chain([Kind::InKernel]).collect();
    assert_survived(true, count(200), &all);
}

#[test]
fn deaths_disturb_nobody_where_guests_do_not_call_the_kernel() {
    assert_survived(false, count(40), &[]);
}

#[test]
#[ignore = "minutes; continuous integration runs it"]
fn many_deaths_disturb_nobody() {
    assert_survived(true, count(100), &AIMS);
    assert_survived(false, count(50), &AIMS);
}
