//! Folders of a host's own: `private` and `overlay` of a scenario.
//!
//! Scenarios of shells in; what each host wrote and saw, and what became of the machine's folders, out. Always true: the
//! machine's `/tmp` is only looked at, never written by a host; where this machine permits no mounts a test says so
//! and is over. What the keys may say is tested in `crates/shim-sim/src/config/folders.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use shim_testkit::built::built;
use shim_testkit::eventually;
use shim_testkit::{Folder, Outcome, Run, Status};

/// Somebody without rights, and without a name.
const NOBODY: &str = "54321";

/// Whether hosts can have folders of their own here; a test that needs them says what it lacks.
fn can_mount() -> bool {
    let outcome = Run::native(&built().command).args(["doctor"]).finish();
    let can = outcome.text().contains("ok    mounts:");
    if !can {
        eprintln!("skipped: neither mounts nor user namespaces are permitted here: {outcome:?}");
    }
    can
}

/// A scenario whose hosts have these folders, and run these scripts, a process each.
fn scenario(folders: &str, hosts: &[(&str, &[&str])]) -> String {
    let mut yaml = format!(
        "general: {{stop_time: 60 s}}\nnetwork: {{graph: {{type: 1_gbit_switch}}}}\n\
         host_option_defaults: {{shim: {{{folders}}}}}\nhosts:\n"
    );
    for (name, scripts) in hosts {
        yaml.push_str(&format!("  {name}:\n    network_node_id: 0\n    processes:\n"));
        for (n, script) in scripts.iter().enumerate() {
            yaml.push_str(&format!(
                "    - path: /bin/sh\n      args: ['-c', '{}']\n      start_time: {} s\n      \
                 environment: {{PATH: /usr/local/bin:/usr/bin:/bin}}\n",
                script.replace('\'', "''"),
                n + 1
            ));
        }
    }
    yaml
}

/// Who runs a scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum User {
    /// Who runs the tests.
    Own,
    /// Somebody without rights. If that is not who runs the tests already.
    Ordinary,
}

fn shim(folder: &Folder, arguments: &[&str], user: User) -> Outcome {
    command(folder, arguments, user).finish()
}

fn command(folder: &Folder, arguments: &[&str], user: User) -> Run {
    let command = built().command.to_str().expect("it is UTF-8");
    let run = if user == User::Ordinary && rustix::process::geteuid().is_root() {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let ids = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--", command];
        Run::native("setpriv").args(ids)
    } else {
        Run::native(command)
    };
    run.args(arguments).folder(folder.path()).limit(Duration::from_secs(90))
}

/// Run a scenario; its data directory is `shim.data` in the folder.
fn run(yaml: &str, user: User) -> Folder {
    let folder = Folder::with(&[("shim.yaml", yaml.as_bytes())]);
    let outcome = shim(&folder, &["run", "shim.yaml"], user);
    let said = || said(&folder);
    assert_eq!(outcome.status, Status::Code(0), "{user:?}: {outcome:?}\n{}", said());
    folder
}

/// What all processes wrote to their standard streams.
fn said(folder: &Folder) -> String {
    let is_stream = |name: &str| name.ends_with(".stdout") || name.ends_with(".stderr");
    let entries = folder.contents().into_iter().filter(|(name, _)| is_stream(name));
    entries
        .map(|(name, (_, bytes))| format!("{name}: {}\n", String::from_utf8_lossy(&bytes)))
        .collect()
}

#[track_caller]
fn read(folder: &Folder, file: &str) -> String {
    let path = folder.path().join("shim.data").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn hosts_do_not_see_each_others_files() {
    if !can_mount() {
        return;
    }
    let script = "test -z \"$(ls -A /run)\" && hostname > /tmp/who && echo $$ > /run/it.pid && \
                  mkdir -p /dev/shm/a && hostname > /dev/shm/a/b && pwd > /tmp/where && ls -d /tmp";
    // Another process of the same host sees them, an hour of the machine's or not.
    let later = "cat /tmp/who /run/it.pid /dev/shm/a/b && ls -ld /tmp | cut -c 1-10";
    let yaml = scenario(
        "private: [/tmp, /run, /dev/shm]",
        &[("alice", &[script, later]), ("bob", &[script, later])],
    );
    for user in [User::Own, User::Ordinary] {
        let folder = run(&yaml, user);
        for host in ["alice", "bob"] {
            assert_eq!(read(&folder, &format!("private/{host}/tmp/who")), format!("{host}\n"));
            let pid = read(&folder, &format!("private/{host}/run/it.pid"));
            // A virtual process id: the same on both hosts.
            assert_eq!(pid, "1000\n");
            let seen = said(&folder);
            assert!(seen.contains(&format!("{host}\n1000\n{host}\ndrwxrwxrwt\n")), "{seen}");
            // The working directory is where it always is, though it may lie in the machine's /tmp.
            let place = folder.path().join("shim.data/hosts").join(host).canonicalize().unwrap();
            let pwd = read(&folder, &format!("private/{host}/tmp/where"));
            assert_eq!(Path::new(pwd.trim_end()), place);
        }
        assert!(!Path::new("/tmp/who").exists());
    }
}

#[test]
fn an_overlay_shows_the_machines_files_and_keeps_changes() {
    if !can_mount() {
        return;
    }
    let script = "cat lower/kept lower/changed; echo $(hostname) > lower/changed; rm lower/removed; \
                  echo new > lower/sub/new; ls lower lower/sub; cat lower/changed";
    for user in [User::Own, User::Ordinary] {
        let folder = Folder::new();
        if user == User::Ordinary {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        }
        // The lower folder, made by who runs the scenario.
        let make = "umask 0; mkdir -p lower/sub; cd lower; echo k > kept; echo c > changed; echo r > removed";
        let made = if user == User::Ordinary && rustix::process::geteuid().is_root() {
            let ids =
                ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--", "sh", "-c", make];
            Run::native("setpriv").args(ids).folder(folder.path()).finish()
        } else {
            Run::native("sh").args(["-c", make]).folder(folder.path()).finish()
        };
        made.expect_success();
        let lower = folder.path().join("lower").canonicalize().unwrap();
        let lower = lower.to_str().unwrap();
        let script = format!("cd {}; {script}", folder.path().display());
        let yaml =
            scenario(&format!("overlay: [{lower}]"), &[("alice", &[&script]), ("bob", &[&script])]);
        fs::write(folder.path().join("shim.yaml"), yaml).unwrap();
        let outcome = shim(&folder, &["run", "shim.yaml"], user);
        assert_eq!(outcome.status, Status::Code(0), "{user:?}: {outcome:?}\n{}", said(&folder));
        for host in ["alice", "bob"] {
            let seen = read(&folder, &format!("hosts/{host}/sh.1000.stdout"));
            assert_eq!(
                seen,
                format!("k\nc\nlower:\nchanged\nkept\nsub\n\nlower/sub:\nnew\n{host}\n")
            );
            let upper = format!("private/{host}{lower}");
            assert_eq!(read(&folder, &format!("{upper}/changed")), format!("{host}\n"));
            assert_eq!(read(&folder, &format!("{upper}/sub/new")), "new\n");
        }
        let here = |name: &str| fs::read_to_string(Path::new(lower).join(name)).unwrap();
        assert_eq!(
            (here("kept"), here("changed"), here("removed")),
            ("k\n".into(), "c\n".into(), "r\n".into())
        );
        assert!(!Path::new(lower).join("sub/new").exists());
        assert!(!folder.path().join("shim.data/private/.work").exists());
    }
}

/// Programs that the simulator cannot see by their paths: it looks at them for patches and interpreters.
#[test]
fn programs_are_made_and_run_in_a_private_folder() {
    if !can_mount() {
        return;
    }
    let script = "cd /tmp && cat > p.c <<E\n\
                  #include <stdio.h>\n#include <time.h>\nint f(void);\n\
                  int main(void) { printf(\"%d %ld\\n\", f(), (long)time(0)); return 0; }\nE\n\
                  echo 'int f(void) { return 7; }' > f.c && \
                  gcc -shared -fPIC -o libf.so f.c && gcc -o p p.c -L. -lf -Wl,-rpath,/tmp && \
                  printf '#!/tmp/p\\n' > script && chmod +x script && ./p && ./script && /tmp/p";
    let script = script.replace('\n', "\n\n        ");
    let yaml = scenario("private: [/tmp]", &[("alice", &[&script])]);
    for user in [User::Own, User::Ordinary] {
        let folder = run(&yaml, user);
        let seen = read(&folder, "hosts/alice/sh.1000.stdout");
        // The simulated calendar's year 2000.
        assert_eq!(seen.matches("7 9466848").count(), 3, "{seen}");
    }
}

/// A library that only the host sees is patched as any other: the simulator opens it as the host sees it.
#[test]
fn libraries_of_a_private_folder_are_patched() {
    if !can_mount() {
        return;
    }
    let script = "cp $(grep -o \"/[^ ]*libc.so.6\" /proc/self/maps | head -1) /tmp && LD_LIBRARY_PATH=/tmp \
                  perl -e \"stat(q(/)) for 1..3000; open(F, q(/proc/self/maps)); print grep m(libc.so.6), <F>\"";
    let yaml = scenario("private: [/tmp]", &[("alice", &[script])]);
    for user in [User::Own, User::Ordinary] {
        let folder = run(&yaml, user);
        let maps = read(&folder, "hosts/alice/sh.1000.stdout");
        assert!(maps.contains(" /tmp/libc.so.6\n") && !maps.contains("lib/"), "{maps}");
        let stats = read(&folder, "wall-stats.json");
        let trapped = stats
            .split("\"trapped_calls\": ")
            .nth(1)
            .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok());
        assert!(trapped.is_some_and(|trapped| trapped < 1000), "{stats}");
    }
}

#[test]
fn sockets_in_private_folders_are_the_hosts() {
    if !can_mount() {
        return;
    }
    let serve = "python3 -c \"import socket as s; l = s.socket(s.AF_UNIX); l.bind('/tmp/s'); l.listen(); \
                 c = l.accept()[0]; c.sendall(b'from ' + s.gethostname().encode())\"";
    let ask = "test -S /tmp/s && python3 -c \"import socket as s; c = s.socket(s.AF_UNIX); c.connect('/tmp/s'); \
               print(c.recv(99))\"";
    let yaml = scenario("private: [/tmp]", &[("alice", &[serve, ask]), ("bob", &[serve, ask])]);
    let folder = run(&yaml, User::Own);
    let seen = said(&folder);
    for host in ["alice", "bob"] {
        assert!(seen.contains(&format!("b'from {host}'")), "{seen}");
    }
}

#[test]
fn files_that_several_hosts_write_are_named() {
    let folder = Folder::new();
    let shared = folder.path().canonicalize().unwrap().join("shared");
    let shared = shared.to_str().unwrap();
    // Reading does not count, nor a file of a host's own folder.
    let script = format!(
        "echo x >> {shared}; cat /etc/passwd > out; cat {shared} > /dev/null; echo 7 > /proc/self/oom_score_adj"
    );
    let yaml = scenario(
        "private: []",
        &[("alice", &[&script]), ("bob", &[&script]), ("carol", &["true"])],
    );
    fs::write(folder.path().join("shim.yaml"), yaml).unwrap();
    let outcome = shim(&folder, &["run", "shim.yaml"], User::Own).expect_success();
    let lines: Vec<String> = outcome.text().lines().map(str::to_owned).collect();
    assert!(lines.contains(&format!("  {shared}: alice, bob")), "{outcome:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("  /")).count(), 1, "{outcome:?}");
    let stats = read(&folder, "sim-stats.json");
    let at = stats.find("shared_files").unwrap_or_else(|| panic!("{stats}"));
    assert!(stats[at..].contains(shared) && !stats[at..].contains("passwd"), "{stats}");

    if can_mount() {
        let yaml = scenario(
            &format!("private: [{}]", folder.path().canonicalize().unwrap().display()),
            &[("alice", &[&script]), ("bob", &[&script])],
        );
        let other = Folder::with(&[("shim.yaml", yaml.as_bytes())]);
        let outcome = shim(&other, &["run", "shim.yaml"], User::Own).expect_success();
        assert!(!outcome.text().contains("several hosts"), "{outcome:?}");
    }
}

#[test]
fn runs_with_private_folders_repeat() {
    if !can_mount() {
        return;
    }
    let script = "for i in 1 2 3; do mktemp /tmp/XXXXXX; done; ls -li --time-sort /tmp; stat -c %i /tmp/*; \
                  date > /etc/motd2; ls -l /etc/motd2; python3 -c \"import socket as s; \
                  s.socket(s.AF_UNIX).bind('/tmp/socket')\"; mkfifo /tmp/pipe; rm -f /etc/motd; sleep 1";
    let script = script.replace("--time-sort", "-t");
    let mut yaml =
        scenario("private: [/tmp], overlay: [/etc]", &[("a", &[&script]), ("b", &[&script])]);
    if !rustix::process::geteuid().is_root() {
        yaml = yaml.replace(", overlay: [/etc]", "").replace("/etc/", "/tmp/");
    }
    let folder = Folder::with(&[("shim.yaml", yaml.as_bytes())]);
    let outcome = shim(&folder, &["verify", "shim.yaml"], User::Own);
    assert!(outcome.text().starts_with("identical: "), "{outcome:?}");
    let yaml = yaml.replace(", overlay: [/etc]", "").replace("/etc/", "/tmp/");
    fs::write(folder.path().join("shim.yaml"), yaml).unwrap();
    let outcome = shim(&folder, &["verify", "shim.yaml"], User::Ordinary);
    assert!(outcome.text().starts_with("identical: "), "{outcome:?}");
    assert!(folder.contents().keys().eq(["shim.yaml"]), "{:?}", folder.contents().keys());
}

#[test]
fn what_does_not_make_sense_is_refused_before_anything_starts() {
    let expect = |folders: &str, expected: &str| {
        let yaml = scenario(folders, &[("alice", &["true"])]);
        let folder = Folder::with(&[("shim.yaml", yaml.as_bytes())]);
        let outcome = shim(&folder, &["run", "shim.yaml"], User::Own);
        let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert_eq!(outcome.status, Status::Code(2), "{outcome:?}");
        assert!(told.contains(expected) && told.contains("shim.yaml:3:"), "{expected}: {told}");
        assert!(!folder.path().join("shim.data").exists());
    };
    expect("private: [tmp]", "'tmp' is not absolute");
    expect("private: [/no/such]", "'/no/such' cannot be examined");
    expect("private: [/bin]", "whose program /bin/sh lies in it");
    expect("private: [/var, /var/tmp]", "one contains the other");
    expect("privat: [/tmp]", "private");
}

/// How many processes see the folder of the host `survivor`.
fn namespaces() -> usize {
    let links = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        fs::read_to_string(entry.path().join("mountinfo")).ok()
    });
    links.filter(|mounts| mounts.contains("shim.data/private/survivor")).count()
}

#[test]
fn nothing_stays_mounted_whoever_is_killed() {
    if !can_mount() {
        return;
    }
    for user in [User::Own, User::Ordinary] {
        kill_one(user);
    }
}

fn kill_one(user: User) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let yaml =
        scenario("private: [/tmp]", &[("survivor", &["echo x > /tmp/x; while :; do :; done"])]);
    let folder = Folder::with(&[("shim.yaml", yaml.as_bytes())]);
    let mut child = command(&folder, &["run", "shim.yaml"], user)
        .command()
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the guest runs in its folder", || (namespaces() > 0).then_some(()));
    let began = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("no process is left in the namespace", || (namespaces() == 0).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    // No mount point is busy.
    fs::remove_dir_all(folder.path().join("shim.data")).unwrap();
}

/// As in a container without rights: neither mounts nor user namespaces.
#[test]
fn where_mounts_are_not_permitted_it_is_said_and_nothing_is_made() {
    let yaml = scenario("private: [/tmp]", &[("alice", &["true"])]);
    let folder = Folder::with(&[("shim.yaml", yaml.as_bytes())]);
    let command = built().command.to_str().expect("it is UTF-8");
    // A user namespace in which there may be no other, entered without rights: what Docker's profile comes to.
    let script = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all \
         --securebits=+noroot,+noroot_locked -- {command} run shim.yaml"
    );
    let arguments = ["--user", "--map-root-user", "--", "sh", "-c", &script];
    let outcome = Run::native("unshare").args(arguments).folder(folder.path()).finish();
    let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
    if told.starts_with("unshare:") || told.contains("max_user_namespaces:") {
        eprintln!("skipped: user namespaces are not permitted here: {told}");
        return;
    }
    assert_eq!(outcome.status, Status::Code(2), "{outcome:?}");
    for part in [
        "hosts.alice.shim: private and overlay are not possible here",
        "user namespace",
        "--cap-add SYS_ADMIN",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!folder.path().join("shim.data").exists());
}
