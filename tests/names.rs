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

/// What each of these commands prints on alice.
#[track_caller]
fn assert_prints(commands: &[(&str, &str)]) {
    let all: String = commands.iter().map(|(command, _)| format!("{command}; echo ==\n")).collect();
    let folder = Folder::new();
    let script = folder.path().join("script");
    std::fs::write(&script, format!("cd /\nexec 2>&1\n{all}")).expect("it is ours");
    let printed = on_alice("/bin/bash", &[&script.display().to_string()]);
    let mut parts = printed.split("==\n");
    let mut wrong = String::new();
    for (command, expected) in commands {
        let got = parts.next().unwrap_or_default();
        if got != *expected {
            _ = write!(wrong, "\n== {command}\nexpected\n{expected}\ngot\n{got}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn files_tell_of_names() {
    let hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\n\
                 11.0.0.1\talice\nfd00:11::b00:1\talice\n\
                 11.0.0.2\tbob www.example.org\nfd00:11::b00:2\tbob www.example.org\n";
    let first = "127.0.0.1\tlocalhost\n";
    assert_prints(&[
        ("cat /etc/hosts", hosts),
        ("cat /etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0\n"),
        ("cat /etc/hostname; hostname; hostname -f", "alice\nalice\nalice\n"),
        ("grep hosts: /etc/nsswitch.conf", "hosts:          files dns\n"),
        (
            "stat -L -c '%F %a %U %h' /etc/hosts /etc/gai.conf",
            "regular file 644 root 1\nregular file 644 root 1\n",
        ),
        (
            "[ $(stat -c %s /etc/hosts) = $(wc -c < /etc/hosts) ] && [ -r /etc/hosts ] && echo same",
            "same\n",
        ),
        ("cd /etc && head -n 1 hosts; stat -c %a hosts; cd /", &format!("{first}644\n")),
        (
            "exec 5< /etc/hosts; stat -L -c '%a %i' /proc/self/fd/5 > /dev/null; head -n 1 <&5",
            first,
        ),
    ]);
}

#[test]
fn programs_ask_the_resolver_of_the_host() {
    let interfaces = "2 lo <nil>\n\
                      lo 65536  up|loopback [127.0.0.1/8 ::1/128] <nil>\n\
                      eth0 1500 02:00:0b:00:00:01 up|broadcast|multicast [11.0.0.1/8 fd00:11::b00:1/64] <nil>\n";
    let looked_up: String = ["true", "false"]
        .iter()
        .map(|own| {
            // Go itself lists aliases from the file, too.
            let names = if *own == "true" { "bob www.example.org." } else { "bob" };
            format!(
                "{own} bob [11.0.0.2 fd00:11::b00:2] false\n{own} 11.0.0.2 [{names}] <nil>\n\
                 {own} www.example.org [11.0.0.2 fd00:11::b00:2] false\n{own} 11.0.0.2 [{names}] <nil>\n\
                 {own} carol [] true\n"
            )
        })
        .collect();
    let go =
        format!("{}/lookup bob www.example.org carol", shim_testkit::whole::programs().display());
    let node = "node -e 'const dns = require(\"dns\").promises; (async () => { \
                console.log(await dns.resolve4(\"bob\"), await dns.resolve6(\"bob\"), await dns.reverse(\"11.0.0.2\")); \
                console.log(await dns.resolve(\"www.example.org\", \"CNAME\"), (await dns.lookup(\"bob\", 4)).address); \
                for (const name of [\"carol\", \"bob\"]) await dns.resolveMx(name).catch(it => console.log(it.code)); })()'";
    let python = "python3 -c 'import socket; print(socket.gethostbyname(\"bob\"), socket.gethostbyaddr(\"11.0.0.2\")[0], \
                  socket.getnameinfo((\"fd00:11::b00:2\", 80), 0)[0], sorted({it[4][0] for it in socket.getaddrinfo(\"www.example.org\", 80)}))'";
    assert_prints(&[
        (
            "dig +short bob A; dig +short bob AAAA; dig +short -x 11.0.0.2; dig +short -x fd00:11::b00:2",
            "11.0.0.2\nfd00:11::b00:2\nbob.\nbob.\n",
        ),
        (
            "dig +noall +answer www.example.org",
            "www.example.org.\t60\tIN\tCNAME\tbob.\nbob.\t\t\t60\tIN\tA\t11.0.0.2\n",
        ),
        (
            "dig carol | grep -oE 'status: [A-Z]+'; dig bob MX | grep -oE 'status: [A-Z]+|ANSWER: .'",
            "status: NXDOMAIN\nstatus: NOERROR\nANSWER: 0\n",
        ),
        ("dig +tcp +short bob; dig +short ANY bob | sort", "11.0.0.2\n11.0.0.2\nfd00:11::b00:2\n"),
        (
            "dig +short localhost; dig +noedns +short alice; dig bob TYPE65280 | grep -oE 'status: [A-Z]+'",
            "127.0.0.1\n11.0.0.1\nstatus: NOERROR\n",
        ),
        (
            "dig +short CH TXT version.bind; dig CH TXT version.bind | grep -oE 'status: [A-Z]+'",
            "status: REFUSED\n",
        ),
        ("host bob", "bob has address 11.0.0.2\nbob has IPv6 address fd00:11::b00:2\n"),
        ("host carol", "Host carol not found: 3(NXDOMAIN)\n"),
        (
            "nslookup bob | grep -E '^(Server|Name|Address)'",
            "Server:\t\t127.0.0.53\nAddress:\t127.0.0.53#53\nName:\tbob\nAddress: 11.0.0.2\nName:\tbob\nAddress: fd00:11::b00:2\n",
        ),
        (
            "busybox nslookup bob | grep -E '^(Server|Name|Address)'",
            "Server:\t\t127.0.0.53\nAddress:\t127.0.0.53:53\nName:\tbob\nAddress: 11.0.0.2\nName:\tbob\nAddress: fd00:11::b00:2\n",
        ),
        (
            "getent hosts bob; getent ahostsv4 www.example.org | head -n 1",
            "fd00:11::b00:2  bob\n11.0.0.2        STREAM bob\n",
        ),
        (python, "11.0.0.2 bob bob ['11.0.0.2', 'fd00:11::b00:2']\n"),
        (
            node,
            "[ '11.0.0.2' ] [ 'fd00:11::b00:2' ] [ 'www.example.org' ]\n[ 'bob' ] 11.0.0.2\nENOTFOUND\nENODATA\n",
        ),
        (&go, &format!("{looked_up}{interfaces}")),
    ]);
}

#[test]
fn the_resolvers_of_c_libraries_ask_it() {
    let expected = "bob: code 0, 1 records\n  type 1: 11.0.0.2\n";
    for (libc, arguments) in [(Libc::Glibc, &["-lresolv"][..]), (Libc::Musl, &[])] {
        let program = compile_with("resolves", libc, arguments).display().to_string();
        assert_eq!(on_alice(&program, &["bob", "1"]), expected, "{libc:?}");
        let alias = on_alice(&program, &["www.example.org", "28"]);
        assert_eq!(
            alias,
            "www.example.org: code 0, 2 records\n  type 5: \n  type 28: fd00:11::b00:2\n"
        );
    }
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
