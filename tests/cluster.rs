//! Real distributed programs on the hosts of a scenario, with faults: who leads, who has what, and that it repeats.
//!
//! Scenarios of `examples/scenarios` and `tests/clusters` in; what their clients printed, out. Always true: a scenario runs twice, with
//! one worker and with two, and both data directories are the same, system calls included; what a client prints does not
//! depend on the seed, but for Tor's choice of relays. Servers with one client each are in `pairs2.rs`, the faults themselves in `faults.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use shim_testkit::Folder;
use shim_testkit::built::root;
use shim_testkit::compare::run_difference;
use shim_testkit::network::{Data, run_in};

/// What a scenario leaves, whatever the number of workers.
#[track_caller]
fn run(scenario: &str) -> Data {
    let yaml = fs::read(root().join(scenario)).expect("it is there");
    let folder = Folder::with(&[("shim.yaml", &yaml)]);
    // PostgreSQL's servers do not run as root.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).expect("it is ours");
    let (data, other) = (folder.path().join("shim.data"), folder.path().join("other"));
    run_in(&folder, &["--parallelism", "1", "--strace-logging-mode", "standard"]);
    fs::rename(&data, &other).expect("the folder is ours");
    run_in(&folder, &["--parallelism", "2", "--strace-logging-mode", "standard"]);
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let differs = run_difference([&*data, &*other], yesterday, |name| name != "wall-stats.json");
    assert_eq!(differs, None, "{scenario}");
    Data { folder }
}

const ETCD: &str = "\
-- second 12
OK
one leads
-- second 22
Error: context deadline exceeded
another one leads
OK
one: before fault
another one: before fault during fault
-- second 45
the same one leads
OK
one: after fault before fault during fault
two: after fault before fault during fault
three: after fault before fault during fault
all have the same
";

#[test]
fn etcd_elects_another_leader_while_the_first_is_parted_from_the_others() {
    let data = run("examples/scenarios/etcd.yaml");
    assert_eq!(data.said("client", "sh", 0), ETCD);
}

const REDIS: &str = "\
-- second 10
primary: one
OK
2
crash
READONLY You can't write against a read only replica.

-- second 40
another primary
crash
OK
1
one: 124
-- second 70
the same primary
crash
crash
crash
crash
crash
crash
slave
connected_slaves:2
";

#[test]
fn redis_makes_a_replica_the_primary_when_the_primary_crashes() {
    let data = run("tests/clusters/redis.yaml");
    assert_eq!(data.said("client", "bash", 0), REDIS);
}

const POSTGRESQL: &str = "\
-- second 20
two|sync
t
ERROR:  cannot execute INSERT in a read-only transaction
-- second 45
t|t
f
t|t
-- second 100
t
1
one|streaming
both have the same
";

#[test]
fn postgresql_loses_no_row_when_the_primary_crashes() {
    let data = run("tests/clusters/postgresql.yaml");
    assert_eq!(data.said("client", "bash", 0), POSTGRESQL);
}

const NATS: &str = "\
-- second 12
one took [1, 2, 3, 4, 5]
-- second 35
another one leads: True
two took [6, 7, 8, 9, 10]
-- second 75
the same one leads: True
all are current: True
one 10 10
two 10 10
three 10 10
";

#[test]
fn nats_goes_on_with_a_stream_while_a_server_is_down() {
    let data = run("tests/clusters/nats.yaml");
    assert_eq!(data.said("client", "python3", 0), NATS);
}

#[test]
fn a_page_is_fetched_by_a_tor_network() {
    let data = run("examples/scenarios/tor.yaml");
    // The second process begins after the first one's children.
    let hosts = data.folder.path().join("shim.data/hosts");
    let mut said = String::new();
    for file in fs::read_dir(hosts.join("client")).expect("it is there").flatten() {
        if file.path().extension().is_some_and(|it| it == "stdout") {
            said += &fs::read_to_string(file.path()).expect("it is there");
        }
    }
    assert!(said.contains("Bootstrapped 100% (done): Done"), "{said}");
    let mut exits: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("hello, ")).collect();
    assert_eq!(exits.len(), 6, "{said}");
    assert!(exits.iter().all(|exit| ["relay1", "relay2", "relay3"].contains(exit)), "{said}");
    exits.sort_unstable();
    exits.dedup();
    assert!(exits.len() > 1, "{said}");
}
