//! `/proc` as guests see it: the host's processes only, by their virtual numbers.
//!
//! Programs that read `/proc` run as guests; what they print is compared with what the simulation must have. Always
//! true: a guest sees no process of the machine that it really runs on. What processes do is in `programs.rs`.

use shim_testkit::Run;

#[track_caller]
fn shell(script: &str) -> String {
    Run::guest("sh").args(["-c", script]).finish().expect_success().text()
}

#[test]
fn proc_lists_the_hosts_processes_only() {
    assert_eq!(shell("echo /proc/[0-9]*"), "/proc/1 /proc/1000\n");
    assert_eq!(
        shell("sleep 9 & ls -d /proc/[0-9]* | tr '\\n' ' '; kill $!"),
        "/proc/1 /proc/1000 /proc/1001 /proc/1002 /proc/1003 "
    );
    assert_eq!(
        shell("test -e /proc/999 || echo none; cat /proc/2/stat 2>&1 || true"),
        "none\ncat: /proc/2/stat: No such file or directory\n"
    );
}

#[test]
fn ps_and_its_kin_work() {
    let listed = shell("sleep 9 & ps -eo pid,ppid,pgid,sid,stat,comm; kill $!");
    let lines: Vec<Vec<&str>> =
        listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["1", "0", "1", "1", "Ss", "init"]);
    assert_eq!(lines[2], ["1000", "1", "1000", "1000", "Ss", "sh"]);
    assert_eq!(lines[3], ["1001", "1000", "1000", "1000", "S", "sleep"]);
    assert_eq!(lines[4], ["1002", "1000", "1000", "1000", "R", "ps"]);
    assert_eq!(lines.len(), 5, "{listed}");
    assert_eq!(shell("sleep 9 & pgrep -l sleep; pidof sleep; kill $!"), "1001 sleep\n1001\n");
    assert!(shell("top -bn1").contains("Tasks:   3 total"));
    assert_eq!(shell("sleep 9 & pkill sleep; wait $!; echo $?"), "143\n");
}

#[test]
fn a_process_finds_itself() {
    let script = "readlink /proc/self /proc/thread-self; cut -d' ' -f1,4-6 /proc/self/stat; \
        grep -E '^(Pid|PPid|Tgid|NSpid|Threads):' /proc/self/status; ls /proc/self/task; cd /proc/self; cut -d' ' -f1 stat; \
        cd task; ls";
    let expected = "1001\n1001/task/1001\n1002 1000 1000 1000\nTgid:\t1003\nPid:\t1003\nPPid:\t1000\n\
        NSpid:\t1003\nThreads:\t1\n1004\n1000\n1000\n";
    assert_eq!(shell(script), expected);
}

#[test]
fn a_zombie_is_shown_until_it_is_waited_for() {
    let script = "import os,time\n\
        if os.fork() == 0: os._exit(3)\n\
        time.sleep(1)\n\
        line = open('/proc/1001/stat').read().split()\n\
        print(line[:4], line[-1], open('/proc/1001/cmdline').read() == '', os.listdir('/proc')[-2:])\n\
        os.wait()\n\
        print(os.path.exists('/proc/1001'))";
    let outcome = Run::guest("/usr/bin/python3").args(["-c", script]).finish().expect_success();
    assert_eq!(
        outcome.text(),
        "['1001', '(python3)', 'Z', '1000'] 768 True ['1000', '1001']\nFalse\n"
    );
}

#[test]
fn threads_are_listed_by_their_virtual_numbers() {
    let script = "import os,threading\n\
        gate = threading.Event()\n\
        threads = [threading.Thread(target=gate.wait) for _ in range(3)]\n\
        for t in threads: t.start()\n\
        tids = sorted(map(int, os.listdir('/proc/self/task')))\n\
        print(tids == sorted([os.getpid()] + [t.native_id for t in threads]))\n\
        print([open(f'/proc/self/task/{t}/stat').read().split()[0] for t in tids] == [str(t) for t in tids])\n\
        print(open(f'/proc/self/task/{tids[1]}/comm').read())\n\
        gate.set()";
    let outcome = Run::guest("/usr/bin/python3").args(["-c", script]).finish().expect_success();
    assert_eq!(outcome.text(), "True\nTrue\npython3\n\n");
}

#[test]
fn what_is_resident_repeats_and_adds_up() {
    let script = "block = bytearray(3 << 20)\n\
        for name in 'smaps', 'smaps_rollup': print(open('/proc/self/' + name).read())";
    let run = || Run::guest("/usr/bin/python3").args(["-c", script]).finish().expect_success();
    let text = run().text();
    assert_eq!(run().text(), text);
    let (each, all) = text.split_once("\n\n").expect("two files");
    let sum = |text: &str, key: &str| -> u64 {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_suffix(" kB"));
        lines.map(|number| number.trim().parse::<u64>().expect("a number")).sum()
    };
    for key in ["Rss:", "Pss:", "Private_Clean:", "Private_Dirty:", "Anonymous:"] {
        assert!(sum(all, key) > 0, "{all}");
        assert_eq!(sum(each, key), sum(all, key), "{key}");
    }
    let of_maps = shell("grep -c : /proc/self/maps; grep -c ^Size /proc/self/smaps");
    let mut counts = of_maps.lines();
    assert_eq!(counts.next(), counts.next(), "an entry for each mapping");
}
