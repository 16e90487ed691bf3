//! Names and interfaces, as guests and natively.
//!
//! The questions of `names.list` in, each wrong answer out. Always true: the C library's own answers are the
//! oracle wherever they do not depend on the machine; for the simulation's names the answers stand in the list.
//! Programs of the distribution ask in their own ways. What the functions' documentation promises beyond
//! answers is tested in `sdk.rs`.

use std::fmt::Write;

use shim_testkit::built::{built, library, root};
use shim_testkit::guest::{compile, compile_with};
use shim_testkit::{Folder, Libc, Outcome, Run, Status};

/// The questions whose answer the C library knows, and those with their answers.
fn questions() -> (Vec<String>, Vec<(String, String)>) {
    let list = std::fs::read_to_string(root().join("tests/names.list")).expect("it is there");
    let (mut alone, mut answered) = (Vec::new(), Vec::new());
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(" -> ") {
            Some((question, answer)) => answered.push((question.to_owned(), answer.to_owned())),
            None => alone.push(line.to_owned()),
        }
    }
    assert!(alone.len() >= 200 && answered.len() >= 100, "{} {}", alone.len(), answered.len());
    (alone, answered)
}

fn text(questions: &[String]) -> String {
    questions.iter().map(|question| format!("{question}\n")).collect()
}

#[track_caller]
fn assert_same_lines(expected: &str, got: &str) {
    let (left, right) = (expected.lines(), got.lines());
    let differing: Vec<_> = left.zip(right).filter(|(a, b)| a != b).collect();
    let mut words = String::new();
    for (expected, got) in &differing {
        _ = write!(words, "\nexpected {expected}\n     got {got}");
    }
    assert!(differing.is_empty(), "{} answers differ:{words}", differing.len());
    assert_eq!(expected.lines().count(), got.lines().count());
}

/// What the C library of this machine answers.
fn oracle(questions: &str) -> String {
    let run = Run::native(compile("names", Libc::Glibc)).stdin(questions);
    run.finish().expect_success().text()
}

/// The program that asks libshim's own functions.
fn asks_shim(libc: Libc) -> Run {
    let path = library().display().to_string();
    let folder = library().parent().expect("it lies in a folder");
    Run::native(compile_with("names", libc, &["-DASK_SHIM", &path])).env("LD_LIBRARY_PATH", folder)
}

#[test]
fn numbers_are_read_as_the_c_library_reads_them() {
    let questions = text(&questions().0);
    let expected = oracle(&questions);
    for libc in Libc::ALL {
        let guest = Run::guest(compile("names", libc)).stdin(questions.clone()).finish();
        assert_same_lines(&expected, &guest.expect_success().text());
    }
    let guest = asks_shim(Libc::Glibc).as_guest(["--quiet"]).stdin(questions.clone()).finish();
    assert_same_lines(&expected, &guest.expect_success().text());
}

#[test]
fn natively_libshim_answers_as_the_c_library() {
    let (mut questions, _) = questions();
    for node in ["localhost", "-", "1.2.3.4", "fe80::1%lo"] {
        for flags in ["-", "0", "passive", "v4mapped+all", "addrconfig", "numerichost", "idn"] {
            for family in ["unspec", "inet", "inet6"] {
                questions.push(format!("{node} http {flags} {family}"));
            }
        }
    }
    let questions = text(&questions);
    let expected = oracle(&questions);
    let native = asks_shim(Libc::Glibc).stdin(questions).finish().expect_success();
    assert_same_lines(&expected, &native.text());
}

/// Run a scenario of the hosts alice, on which `program` runs, and bob; what the program wrote.
fn on_alice(program: &str, arguments: &[&str]) -> String {
    let folder = Folder::new();
    let arguments: Vec<String> = arguments.iter().map(|word| format!("{word:?}")).collect();
    let scenario = format!(
        "general: {{stop_time: 10s, progress: false}}\n\
         network: {{graph: {{type: 1_gbit_switch}}}}\n\
         hosts:\n\
         \x20 alice:\n\
         \x20   network_node_id: 0\n\
         \x20   ip_addr: 11.0.0.1\n\
         \x20   processes: [{{path: {program:?}, args: [{}]}}]\n\
         \x20 bob:\n\
         \x20   network_node_id: 0\n\
         \x20   ip_addr: 11.0.0.2\n\
         \x20   processes: []\n\
         \x20   shim: {{aliases: [www.example.org]}}\n",
        arguments.join(", ")
    );
    std::fs::write(folder.path().join("scenario.yaml"), scenario).expect("it is ours");
    let run = Run::native(&built().command).args(["run", "scenario.yaml"]).folder(folder.path());
    let outcome = run.finish().expect_success();
    let host = folder.path().join("shim.data/hosts/alice");
    let mut written = String::new();
    for entry in std::fs::read_dir(host).expect("the host has run") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_some_and(|extension| extension == "stdout") {
            written += &std::fs::read_to_string(path).expect("programs write text");
        }
    }
    assert!(!written.is_empty(), "{outcome:?}");
    written
}

#[test]
fn hosts_know_each_other_by_name() {
    let (_, answered) = questions();
    let folder = Folder::new();
    let file = folder.path().join("questions");
    let asked: Vec<String> = answered.iter().map(|(question, _)| question.clone()).collect();
    std::fs::write(&file, text(&asked)).expect("it is ours");
    let expected: String =
        answered.iter().map(|(q, answer)| format!("{q} -> {answer}\n")).collect();
    for libc in Libc::ALL {
        let program = compile("names", libc).display().to_string();
        assert_same_lines(&expected, &on_alice(&program, &[&file.display().to_string()]));
    }
}

#[test]
fn programs_of_the_distribution_find_other_hosts() {
    let ahosts = "fd00:11::b00:2  STREAM bob\nfd00:11::b00:2  DGRAM  \nfd00:11::b00:2  RAW    \n\
                  11.0.0.2        STREAM \n11.0.0.2        DGRAM  \n11.0.0.2        RAW    \n";
    assert_eq!(on_alice("/usr/bin/getent", &["ahosts", "bob"]), ahosts);
    assert_eq!(on_alice("/usr/bin/getent", &["hosts", "bob"]), "fd00:11::b00:2  bob\n");
    assert_eq!(on_alice("/usr/bin/getent", &["hosts", "11.0.0.2"]), "11.0.0.2        bob\n");
    let script = "import socket; print(socket.gethostbyname('bob'), socket.gethostbyname_ex('BOB'), \
                  socket.gethostbyaddr('fd00:11::b00:2'), socket.getfqdn())";
    let expected = "11.0.0.2 ('bob', [], ['11.0.0.2']) ('bob', [], ['fd00:11::b00:2']) alice\n";
    assert_eq!(on_alice("/usr/bin/python3", &["-c", script]), expected);
}

/// The next image asks the simulation too, and sees nothing of how.
#[test]
fn names_outlive_an_exec() {
    let script = "exec env sh -c 'echo $LD_PRELOAD $SHIM_HANDOFF_FD; exec getent hosts alice'";
    let run = Run::native("sh").args(["-c", script]).as_guest(["--quiet", "--hostname", "alice"]);
    let outcome = run.finish().expect_success();
    assert_eq!(outcome.text(), "\n11.0.0.1        alice\n", "{outcome:?}");
}

#[test]
fn the_family_of_gethostbyname_answers_as_documented() {
    for libc in Libc::ALL {
        let program = compile("hosts", libc).display().to_string();
        assert_eq!(on_alice(&program, &["guest"]), "all true\n");
        let native = Run::native(compile("hosts", libc)).args(["native"]).finish();
        assert_eq!(native.expect_success().text(), "all true\n");
    }
}

#[track_caller]
fn assert_complains(outcome: &Outcome, words: &str) {
    let stderr = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status == Status::Code(1) && stderr.contains(words), "{outcome:?}");
}

/// jemalloc asks for locks and memory in places where the C library's allocator does not.
#[test]
fn programs_with_jemalloc_do_not_hang() {
    let ask = |host: &str| {
        let run = Run::native("redis-cli").args(["-h", host, "-p", "7", "ping"]);
        run.as_guest(["--hostname", "alice"]).finish()
    };
    assert_complains(&ask("alice"), "Could not connect to Redis at alice:7: ");
    assert!(!String::from_utf8_lossy(&ask("alice").stderr).contains("not known"));
    assert_complains(
        &ask("nobody"),
        "Could not connect to Redis at nobody:7: Name or service not known",
    );
}

/// Natively the preloaded library is not there, as far as a program can tell.
#[test]
fn a_preloaded_program_asks_its_c_library() {
    let questions = text(&questions().0[..60]) + "localhost http 0\n";
    let interposer = built().library.with_file_name("libshim-preload.so.1");
    for libc in Libc::ALL {
        let run = Run::native(compile("names", libc)).stdin(questions.clone());
        let plain = run.clone().finish().expect_success();
        let preloaded = run.env("LD_PRELOAD", &interposer).finish().expect_success();
        assert_same_lines(&plain.text(), &preloaded.text());
    }
}
