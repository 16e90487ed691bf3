//! Servers and their clients on two hosts, as guests exactly as they run natively.
//!
//! The scripts of `pairs2.list` in, a table and each difference out. Always true: a pair runs natively first, in two network
//! namespaces that a cable joins, then as a scenario; both have the same names and addresses of hosts. What counts is what
//! the client prints, how it ends and what it leaves. `SHIM_PAIR=name` runs one pair only. One host alone is `pairs.rs`.

use std::fs;
use std::time::Duration;

use shim_testkit::built::{built, root};
use shim_testkit::compare::Folder;
use shim_testkit::whole::parse;
use shim_testkit::{Run, each};

/// How long a pair may take in wall time.
const LIMIT: Duration = Duration::from_secs(120);
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// The beginning of a native run, in namespaces of its own: the second network has the server, with the addresses that a
/// scenario gives; what is left ends with the namespace of processes.
const CABLE: &str = r#"
set -e
printf '127.0.0.1 localhost\n::1 localhost\n11.0.0.1 client\nfd00:11::b00:1 client\n11.0.0.2 server\nfd00:11::b00:2 server\n' > hosts
mount --bind hosts /etc/hosts; hostname client
unshare --net sleep infinity & other=$!
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
ip link add eth0 type veth peer name eth0 netns /proc/$other/ns/net
on_server() { nsenter --net=/proc/$other/ns/net "$@"; }
up='ip link set lo up; ip addr add 11.0.0.$0/8 dev eth0; ip addr add fd00:11::b00:$0/64 dev eth0 nodad; ip link set eth0 up'
sh -c "$up" 1; on_server sh -c "$up" 2
until ping -6 -c 1 -W 1 server > /dev/null; do sleep 0.1; done
mkdir client server
(cd server; on_server bash -c "$0" > ../server.out 2>&1) &
cd client; set +e
bash -c "$1" > ../stdout 2> ../stderr
echo $? > ../exitcode
"#;

/// Scripts of both sides.
struct Pair {
    name: String,
    server: String,
    client: String,
}

fn pairs() -> Vec<Pair> {
    let list = fs::read_to_string(root().join("tests/pairs2.list")).expect("it is there");
    let mut scripts = parse(&list).into_iter();
    let mut pairs = Vec::new();
    while let (Some(server), Some(client)) = (scripts.next(), scripts.next()) {
        assert_eq!((&*server.interpreter, &*client.interpreter), ("server", "client"));
        assert_eq!(server.name, client.name, "a server has its client");
        pairs.push(Pair { name: server.name, server: server.text, client: client.text });
    }
    pairs
}

/// What is said to both sides, status included, and the names of the client's files.
fn natively(pair: &Pair) -> Result<String, String> {
    let folder = Folder::new();
    let flags = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"];
    let run = Run::native("/usr/bin/unshare").args(flags);
    // Who is not the machine's owner may be one's own.
    let is_root = rustix::process::geteuid().is_root();
    let run = run.args(if is_root { &[][..] } else { &["--user", "--map-root-user"] });
    let run = run.args(["/bin/bash", "-c", CABLE, &pair.server, &pair.client]);
    let outcome = run.env("PATH", PATH).folder(folder.path()).limit(LIMIT).finish();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    match &*read("exitcode") {
        "0\n" => Ok(format!("{}\n{}", read("stdout"), read("stderr"))),
        code => Err(format!(
            "natively: {code} {outcome:?}\n{}{}{}",
            read("stdout"),
            read("stderr"),
            read("server.out")
        )),
    }
}

fn as_guests(pair: &Pair) -> Result<String, String> {
    let folder = Folder::new();
    let mut yaml = String::from(
        "general: {stop_time: 10 min}\nnetwork: {graph: {type: 1_gbit_switch}}\nhosts:\n",
    );
    for (host, text, state) in
        [("client", &pair.client, "{exited: 0}"), ("server", &pair.server, "running")]
    {
        let script = text.replace('\n', "\n        ");
        yaml += &format!(
            "  {host}:\n    network_node_id: 0\n    processes:\n    - path: /bin/bash\n      environment: {{PATH: '{PATH}', LC_ALL: C}}\n      expected_final_state: {state}\n      args:\n      - -c\n      - |\n        {script}\n"
        );
    }
    fs::write(folder.path().join("shim.yaml"), yaml).expect("the folder is ours");
    let run = Run::native(&built().command).args(["run", "shim.yaml"]).folder(folder.path());
    let outcome = run.limit(LIMIT).finish();
    let read = |name: &str| {
        let file = format!("shim.data/hosts/{name}");
        fs::read_to_string(folder.path().join(file)).unwrap_or_default()
    };
    match &*read("client/bash.1000.exitcode") {
        "0" | "0\n" => {
            Ok(format!("{}\n{}", read("client/bash.1000.stdout"), read("client/bash.1000.stderr")))
        }
        code => Err(format!(
            "as guests: {code} {outcome:?}\n{}{}{}{}",
            read("client/bash.1000.stdout"),
            read("client/bash.1000.stderr"),
            read("server/bash.1000.stdout"),
            read("server/bash.1000.stderr")
        )),
    }
}

/// What is wrong with a pair, in words.
fn check(pair: &Pair) -> Option<String> {
    let words = match natively(pair) {
        Ok(native) if native.trim().is_empty() => Some("it prints nothing".to_owned()),
        Ok(native) => match std::panic::catch_unwind(|| as_guests(pair)) {
            Ok(Ok(guests)) if guests == native => None,
            Ok(Ok(guests)) => Some(format!("natively:\n{native}\nas guests:\n{guests}")),
            Ok(Err(words)) => Some(words),
            Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_default()),
        },
        Err(words) => Some(words),
    };
    println!("{:32} {}", pair.name, if words.is_none() { "passes" } else { "FAILS" });
    words.map(|words| format!("== {}\n{words}", pair.name))
}

#[test]
fn servers_and_clients_on_two_hosts_do_as_they_do_natively() {
    built();
    let only = std::env::var("SHIM_PAIR").ok();
    let mut pairs = pairs();
    pairs.retain(|pair| only.as_ref().is_none_or(|only| *only == pair.name));
    assert!(!pairs.is_empty(), "no pair is named {only:?}");
    let wrong = each(&pairs, check);
    println!("{} of {} pairs", pairs.len() - wrong.len(), pairs.len());
    assert!(wrong.is_empty(), "{} of {} pairs\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
}
