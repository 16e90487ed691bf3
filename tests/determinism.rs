//! One seed, one run: what programs get from the machine by chance is the same each time.
//!
//! Command lines and seeds come in; what several runs print, and the files they leave, is compared.
//! Always true: each run has a fresh folder, and a second seed must give something else, so that a
//! constant does not pass for randomness.

use std::fs;

use shim_testkit::compare::Folder;
use shim_testkit::guest::compile;
use shim_testkit::{Libc, Run};

/// Everything that a Python program can draw on.
const PYTHON: &str = "import os,uuid,random,secrets,time; print(os.urandom(8).hex(), uuid.uuid4(), \
                      random.random(), secrets.token_hex(), hash('x'), id(object()), os.getpid(), \
                      time.time_ns())";

fn text_with_seed(words: &[&str], seed: u32) -> String {
    let run = Run::native(words[0]).args(&words[1..]);
    run.as_guest(["--quiet", "--seed", &seed.to_string()]).finish().expect_success().text()
}

/// The same in three runs with one seed; what it is with another seed.
#[track_caller]
fn repeated(words: &[&str]) -> (String, String) {
    let first = text_with_seed(words, 1);
    for _ in 0..2 {
        assert_eq!(text_with_seed(words, 1), first, "{words:?}");
    }
    assert!(!first.trim().is_empty(), "{words:?}");
    (first, text_with_seed(words, 2))
}

#[track_caller]
fn assert_follows_seed(words: &[&str]) {
    let (one, two) = repeated(words);
    assert_ne!(one, two, "{words:?}");
}

#[test]
fn interpreters_and_tools_repeat_themselves() {
    assert_follows_seed(&["/usr/bin/python3", "-c", PYTHON]);
    assert_follows_seed(&["openssl", "rand", "-hex", "16"]);
    assert_follows_seed(&[
        "perl",
        "-e",
        "print rand(), ' ', join ',', keys %{{map {$_ => 1} 1..20}}",
    ]);
    assert_follows_seed(&["mktemp", "-u"]);
}

#[test]
fn every_source_of_randomness_follows_the_seed() {
    let places = compile("places", Libc::Glibc);
    let places = places.to_str().expect("it is ASCII");
    let (one, two) = repeated(&[places, "random"]);
    let (one, two): (Vec<&str>, Vec<&str>) = (one.lines().collect(), two.lines().collect());
    assert_eq!(one.len(), 5);
    for i in 0..5 {
        assert_ne!(one[i], two[i]);
        assert_eq!(one.iter().filter(|line| **line == one[i]).count(), 1, "a line comes twice");
    }
    assert_follows_seed(&["cat", "/proc/sys/kernel/random/uuid"]);
    assert_follows_seed(&["cat", "/proc/sys/kernel/random/boot_id"]);
}

#[test]
fn addresses_are_the_same_in_every_run() {
    for libc in Libc::ALL {
        let places = compile("places", libc);
        repeated(&[places.to_str().expect("it is ASCII")]);
    }
}

#[test]
fn the_machine_is_the_same_in_every_run() {
    for path in [
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/meminfo",
        "/proc/cpuinfo",
        "/proc/stat",
        "/proc/version",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/osrelease",
        "/sys/devices/system/cpu/online",
        "/sys/devices/system/cpu/possible",
    ] {
        let (_, _) = repeated(&["cat", path]);
    }
    assert_eq!(text_with_seed(&["cat", "/sys/devices/system/cpu/online"], 1), "0\n");
    assert_eq!(text_with_seed(&["nproc"], 1), "1\n");
    let uname = text_with_seed(&["uname", "-a"], 1);
    let release = text_with_seed(&["cat", "/proc/sys/kernel/osrelease"], 1);
    assert!(uname.starts_with(&format!("Linux host {} ", release.trim())), "{uname}");
    repeated(&["free"]);
    repeated(&["uptime"]);
}

/// Run these commands one after another in a fresh folder; the folder.
fn folder_after(commands: &[&[&str]]) -> Folder {
    let folder = Folder::with(&[("source.txt", b"some text\nmore text\n")]);
    for words in commands {
        Run::guest(words[0]).args(&words[1..]).folder(folder.path()).finish().expect_success();
    }
    folder
}

#[track_caller]
fn assert_same_file(commands: &[&[&str]], name: &str) {
    let [one, two] =
        [(); 2].map(|()| fs::read(folder_after(commands).path().join(name)).expect("it was made"));
    assert!(!one.is_empty());
    assert!(one == two, "{name} differs after {commands:?}");
}

#[test]
fn archives_repeat_byte_for_byte() {
    let tree: &[&[&str]] = &[
        &["mkdir", "tree", "tree/sub"],
        &["touch", "tree/empty"],
        &["cp", "source.txt", "tree/sub/copied.txt"],
        &["ln", "-s", "sub/copied.txt", "tree/link"],
        &["chmod", "600", "tree/empty"],
        &["sed", "-i", "s/some/any/", "tree/sub/copied.txt"],
    ];
    let make = |last: &'static [&'static str]| [tree, &[last]].concat();
    assert_same_file(&make(&["tar", "cf", "all.tar", "--sort=name", "tree"]), "all.tar");
    assert_same_file(
        &make(&["tar", "cf", "all.tar", "--sort=name", "--format=posix", "tree"]),
        "all.tar",
    );
    assert_same_file(&[&["cp", "source.txt", "f"], &["gzip", "-k", "f"]], "f.gz");
}

#[test]
fn files_carry_simulated_times() {
    let folder = folder_after(&[&["touch", "f"]]);
    let stat = |format: &str| {
        let run = Run::guest("stat").args(["-c", format, "f"]).folder(folder.path());
        run.finish().expect_success().text()
    };
    assert_eq!(stat("%Y"), "946684800\n");
    let native = Run::native("stat").args(["-c", "%Y", "f"]).folder(folder.path()).finish();
    assert_eq!(native.text(), "946684800\n", "the inode itself carries the simulated time");
    let date = Run::guest("date").args(["-r", "f", "-u", "+%F"]).folder(folder.path()).finish();
    assert_eq!(date.text(), "2000-01-01\n");
}
