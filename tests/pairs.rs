//! Servers and their clients on one host, as guests exactly as they run natively.
//!
//! The scripts of `pairs.list` in, a table and each difference out. Always true: a script runs natively first, in a
//! network namespace of its own, so that nobody else's ports matter; then as guests, whose network is simulated anyway. Both
//! start in empty folders, and what they leave there is compared, too. `SHIM_PAIR=name` runs one script only.

use std::collections::BTreeSet;
use std::time::Duration;

use shim_testkit::built::{built, root};
use shim_testkit::compare::{Folder, difference, folder_difference};
use shim_testkit::whole::{Script, parse, programs};
use shim_testkit::{Outcome, Run, Status, each};

/// How long a script may take in wall time.
const LIMIT: Duration = Duration::from_secs(120);
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

fn scripts() -> Vec<Script> {
    let list = std::fs::read_to_string(root().join("tests/pairs.list")).expect("it is there");
    parse(&list)
}

/// Run it natively: alone with its loopback interface.
fn natively(script: &Script, folder: &Folder) -> Outcome {
    // Who is not the machine's owner may be one's own.
    let flags = if rustix::process::geteuid().is_root() { "-n" } else { "-rn" };
    let begin = "ip link set lo up && exec \"$@\"";
    Run::native("/usr/bin/unshare")
        .args([flags, "/bin/sh", "-c", begin, "sh", &script.interpreter])
        .args([script.option(), &script.text])
        .env("PATH", PATH)
        .env("BUILT", programs())
        .folder(folder.path())
        .limit(LIMIT)
        .finish()
}

fn as_guests(script: &Script, folder: &Folder) -> Outcome {
    Run::native(&script.interpreter)
        .args([script.option(), &script.text])
        .env("PATH", PATH)
        .env("BUILT", programs())
        .folder(folder.path())
        .limit(LIMIT)
        .as_guest(["--quiet"])
        .finish()
}

/// What is wrong with a script, in words.
fn check(script: &Script) -> Option<String> {
    let (here, there) = (Folder::new(), Folder::new());
    let native = natively(script, &here);
    let words = if native.status == Status::Code(0) && !native.stdout.is_empty() {
        let guests = std::panic::catch_unwind(|| as_guests(script, &there));
        match guests {
            Ok(guests) => difference(&native, &guests).or_else(|| folder_difference(&here, &there)),
            Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_default()),
        }
    } else {
        Some(format!("natively {native:?}"))
    };
    let verdict = if words.is_none() { "passes" } else { "FAILS" };
    println!("{:32} {verdict}", script.name);
    words.map(|words| format!("== {}\n{words}", script.name))
}

#[test]
fn servers_and_clients_do_as_they_do_natively() {
    built();
    let only = std::env::var("SHIM_PAIR").ok();
    let mut scripts = scripts();
    scripts.retain(|script| only.as_ref().is_none_or(|only| *only == script.name));
    assert!(!scripts.is_empty(), "no script is named {only:?}");
    let wrong = each(&scripts, check);
    let passing = scripts.len() - wrong.len();
    println!("{passing} of {} pairs", scripts.len());
    assert!(wrong.is_empty(), "{} of {} pairs\n{}", wrong.len(), scripts.len(), wrong.join("\n"));
}

#[test]
fn the_list_names_each_once() {
    let scripts = scripts();
    let names: BTreeSet<_> = scripts.iter().map(|script| &script.name).collect();
    assert_eq!(names.len(), scripts.len());
    assert!(scripts.iter().all(|script| !script.text.is_empty()));
}
