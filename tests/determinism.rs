//! One seed, one run: what programs get from the machine by chance is the same each time.
//!
//! Command lines and seeds come in; what several runs print, and the files they leave, is compared.
//! Always true: each run has a fresh folder, and a second seed must give something else, so that a
//! constant does not pass for randomness.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use shim_testkit::built::built;
use shim_testkit::compare::Folder;
use shim_testkit::guest::compile;
use shim_testkit::scenario::{Host, Process, write_template, yaml};
use shim_testkit::{Libc, Run};

/// Everything that a Python program can draw on.
const PYTHON: &str = "import os,uuid,random,secrets,time; print(os.urandom(8).hex(), uuid.uuid4(), \
                      random.random(), secrets.token_hex(), hash('x'), id(object()), os.getpid(), \
                      time.time_ns())";

fn text_with_seed(words: &[&str], seed: u32) -> String {
    // Python looks into its folder, and others write to the machine's for temporary files meanwhile.
    let run = Run::native(words[0]).args(&words[1..]).folder("/");
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

/// Numbers of inodes: of files that the program makes and of one that it finds; and whether all ways of asking agree.
const INODES: &str = "
import os
make = lambda name: open(name, 'w').close()
number = lambda name: os.lstat(name).st_ino
make('a'); os.mkdir('d'); os.link('a', 'b'); os.symlink('a', 'l'); os.mkfifo('p'); make('d/inner')
print([number(name) for name in ('a', 'd', 'l', 'p', 'd/inner')])
listed = {entry.name: entry.inode() for entry in os.scandir('.')}
print('listed', all(listed[name] == number(name) for name in listed), len(listed))
print('opened', os.fstat(os.open('a', 0)).st_ino == number('b') == os.stat('l').st_ino)
was = number('a'); os.rename('a', 'c'); print('renamed', number('c') == was)
print('in a child', os.system(f'test \"$(stat -c %i c)\" = {was} && test \"$(stat -c %i .)\" = {number(chr(46))}'))
os.remove('b'); os.remove('c'); make('e'); print('another', number('e') != was)
print('found', number('source.txt'))
print('distinct', len(set(map(number, os.listdir()))) == len(os.listdir()))
";

#[test]
fn inodes_have_the_same_numbers_in_every_run() {
    let run = |is_guest: bool| {
        let folder = Folder::with(&[("source.txt", b"some text\n")]);
        // Files get their times by ticks: what is made in the tick of the start is taken for new.
        std::thread::sleep(Duration::from_millis(50));
        let run = Run::native("/usr/bin/python3").args(["-c", INODES]).folder(folder.path());
        let run = if is_guest { run.as_guest(["--quiet"]) } else { run };
        let found = fs::metadata(folder.path().join("source.txt")).expect("it is ours").ino();
        let text = run.finish().expect_success().text();
        // What was there before keeps its number.
        let text = text.replace(&format!("found {found}\n"), "found, kept\n");
        let (made, rest) = text.split_once('\n').expect("there are lines");
        (made.to_owned(), rest.to_owned())
    };
    let ((_, native), (made, first)) = (run(false), run(true));
    assert_eq!(first, native);
    let (again, second) = run(true);
    assert_eq!((&again, &second), (&made, &first));
    assert_eq!(native.matches("True").count(), 5, "{native}");
    let numbers: BTreeSet<&str> = made.trim_matches(['[', ']']).split(", ").collect();
    assert_eq!(numbers.len(), 5, "{made}");
}

/// The files of a scenario's template, copied anew for each run, and its data directory's.
#[test]
fn what_was_made_just_before_a_run_is_not_of_the_run() {
    for _ in 0..30 {
        let folder = Folder::new();
        let run = Run::guest("stat").args(["-c", "%i", "."]).folder(folder.path());
        let number = fs::metadata(folder.path()).expect("it is ours").ino().to_string();
        assert_eq!(run.finish().expect_success().text().trim(), number);
    }
}

#[test]
fn inodes_of_a_data_directory_have_the_same_numbers_in_every_run() {
    let words = ["bash", "-c", "stat -c %i . text; ls -ai | sort -k2; stat -Lc %i /dev/stdout"];
    let command = words.map(str::to_owned).to_vec();
    let files = vec![("text".to_owned(), b"text".to_vec()), ("inner/text".to_owned(), vec![])];
    let processes = vec![Process { command, environment: Vec::new() }];
    let hosts = [Host { name: "alice".to_owned(), processes, files }];
    let folder = Folder::with(&[("shim.yaml", yaml(&hosts).as_bytes())]);
    write_template(&folder.path().join("template"), &hosts);
    let run = |data: &str| {
        let options = ["--template-directory", "template", "--data-directory", data];
        let run = Run::native(&built().command).args(["run", "shim.yaml"]).args(options);
        run.folder(folder.path()).finish().expect_success();
        let output = folder.path().join(data).join("hosts/alice/bash.1000.stdout");
        fs::read_to_string(output).expect("it was written")
    };
    let first = run("first");
    assert_eq!(run("second"), first);
    assert_eq!(first.lines().count(), 10, "{first}");
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
