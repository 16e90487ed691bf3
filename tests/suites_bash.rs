//! bash's own tests from Debian's source package, natively and as guests of Debian's bash, script by script.
//!
//! The sources of the installed package in, the scripts that pass natively and not as guests out. Always true: a script
//! `run-*` passes if its output is the recorded one; it counts if it passes natively in one of two tries; of those that do
//! not, because of root, the locale or a terminal, those that show the same twice must show that as guests too; each
//! run has a folder of its own with all scripts. Exceptions are in `tests/expected/bash`. All of it needs the network
//! and minutes, so it runs when asked for (`cargo test --test suites_bash -- --ignored`); `SHIM_SUITE=name` runs the
//! scripts whose names begin so. Other suites are in `suites.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use shim_testkit::built::built;
use shim_testkit::suite::{self, call, text};
use shim_testkit::{Folder, Run, Status, each};

/// How long a script may take in wall time.
const LIMIT: Duration = Duration::from_secs(300);
/// Fewer scripts than this show that the sources are others.
const SCRIPTS_MIN: usize = 80;
/// What run-all leaves out: itself and two that run others.
const NO_TESTS: &[&str] = &["all", "minimal", "gprof"];
/// Programs that the scripts call, from the folder `support` of the sources.
const PROGRAMS: &[&str] = &["recho", "zecho", "printenv", "xcase"];
/// Files of bash's build that scripts read as long texts, and what stands for them.
const BUILT: &[(&str, &str)] =
    &[("y.tab.c", "parse.y"), ("config.h", "config.h.in"), ("version.h", "version.c")];

/// Runs a script without the descriptors that the test itself may have inherited, whose numbers scripts expect to be free.
const START: &str = "for fd in /proc/self/fd/*; do fd=${fd##*/}; ((fd < 3)) || eval \"exec $fd>&-\"; done; exec sh $1";

/// Where sources and programs are.
struct Suite {
    sources: PathBuf,
    programs: PathBuf,
}

/// What a script showed: nothing if it passed.
type Shown = Option<String>;

impl Suite {
    /// Fetch the sources, unless they are there, and build the programs.
    fn build() -> Suite {
        let sources = suite::sources(&["bash"]).join("bash");
        let programs = suite::folder().join("bash");
        fs::create_dir_all(&programs).expect("the target directory can be written");
        fs::write(programs.join("config.h"), "").expect("the target directory can be written");
        for program in PROGRAMS {
            let source = sources.join("support").join(program).with_extension("c");
            let include = sources.join("include");
            let defines =
                ["-DHAVE_CONFIG_H", "-DHAVE_STRING_H", "-DHAVE_STDLIB_H", "-DHAVE_UNISTD_H"];
            let folders = ["-I", ".", "-I", text(&sources), "-I", text(&include)];
            let arguments =
                [&["-w", "-o", program, text(&source)], &defines[..], &folders[..]].concat();
            let (is_ok, says) = call("gcc", &programs, &arguments);
            assert!(is_ok, "{program}: {says}");
        }
        Suite { sources, programs }
    }

    /// The names of all scripts, without `run-`.
    fn scripts(&self) -> Vec<String> {
        let entries = fs::read_dir(self.sources.join("tests")).expect("bash has tests").flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix("run-")?.to_owned()))
            .filter(|name| !NO_TESTS.contains(&name.as_str()))
            .collect();
        names.sort();
        assert!(names.len() >= SCRIPTS_MIN, "only {} scripts", names.len());
        names
    }

    /// Run a script in a fresh folder.
    fn run(&self, script: &str, is_guest: bool) -> Shown {
        let folder = Folder::new();
        let (path, tests) = (folder.path(), folder.path().join("tests"));
        let from = self.sources.join("tests");
        let (is_ok, says) = call("cp", path, &["-r", text(&from), "tests"]);
        assert!(is_ok, "{says}");
        for program in PROGRAMS {
            fs::copy(self.programs.join(program), tests.join(program)).expect("it was built");
        }
        for (name, source) in BUILT {
            fs::copy(self.sources.join(source), path.join(name)).expect("bash has it");
        }
        let temporary = path.join("tmp");
        fs::create_dir(&temporary).expect("the folder is ours");
        let output = temporary.join("out");
        let run = Run::native("bash")
            .args(["-c", START, "bash", &format!("./run-{script}")])
            .folder(&tests)
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", tests.display()))
            .env("LC_ALL", "")
            .env("LANG", "C.UTF-8")
            .env("HOME", path)
            .env("THIS_SH", "/bin/bash")
            .env("BUILD_DIR", path)
            .env("TMPDIR", &temporary)
            .env("BASH_TSTOUT", &output)
            .limit(LIMIT);
        let run = if is_guest { run.as_guest(["--quiet"]) } else { run };
        let Ok(outcome) = std::panic::catch_unwind(|| run.finish()) else {
            return Some("took too long".to_owned());
        };
        // A script removes its output when that is right.
        if outcome.status == Status::Code(0) && !output.exists() {
            return None;
        }
        let shown = fs::read(&output).unwrap_or_default();
        let shown = String::from_utf8_lossy(&shown).replace(text(path), "@");
        Some(if shown.is_empty() { format!("{outcome:?}") } else { shown })
    }

    /// What is wrong with a script as a guest, if it counts.
    fn check(&self, script: &str) -> Option<Option<String>> {
        let first = self.run(script, false);
        let native = match &first {
            None => None,
            Some(_) => match self.run(script, false) {
                second if second.is_none() || second == first => second,
                _ => return None,
            },
        };
        let guest = self.run(script, true);
        Some(match (native, guest) {
            (_, None) => None,
            (None, Some(guest)) => Some(format!("differs from what is right:\n{guest}")),
            (Some(native), Some(guest)) => first_difference(&native, &guest),
        })
    }
}

/// The first line that differs, if one does.
fn first_difference(native: &str, guest: &str) -> Option<String> {
    if native == guest {
        return None;
    }
    let same = native.lines().zip(guest.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(its end)").to_owned();
    Some(format!("line {}: {} natively, {}", same + 1, line(native), line(guest)))
}

#[test]
#[ignore = "fetches sources and takes minutes; continuous integration runs it"]
fn scripts_that_pass_natively_pass_as_guests() {
    built();
    let suite = Suite::build();
    let only = std::env::var("SHIM_SUITE").unwrap_or_default();
    let mut scripts = suite.scripts();
    scripts.retain(|script| script.starts_with(&only));
    let done = each(&scripts, |script| Some((script.clone(), suite.check(script)?)));
    let done: BTreeMap<String, Option<String>> = done.into_iter().collect();
    println!("bash: {} of {} scripts count", done.len(), scripts.len());
    let (unexpected, failing) = suite::judge("bash", &done);
    assert!(unexpected.is_empty(), "{unexpected}");
    assert!(failing * suite::ONE_OF <= done.len() || !only.is_empty(), "{failing} do not pass");
}

#[test]
fn exceptions_have_reasons() {
    suite::assert_exceptions_have_reasons("bash");
}
