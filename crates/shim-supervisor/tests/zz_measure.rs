mod common;
use common::{fake, identity, memory};
use shim_abi::event::{Reply, Request};
use shim_supervisor::{Event, Launcher};
use std::time::Instant;
#[test]
fn fake_guest() {
    fake::enter();
}
fn pin(pid: i32, cpu: usize) {
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        for t in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let tid: i32 = t.unwrap().file_name().to_str().unwrap().parse().unwrap();
            libc::sched_setaffinity(tid, size_of_val(&set), &set);
        }
    }
}
#[test]
fn measure() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let mut g = launcher.spawn(&memory, &fake::command("loop"), &identity()).unwrap();
    assert_eq!(g.wait(), Event::Request(Request::Start));
    g.reply(&Reply::Started);
    let me = unsafe { libc::getpid() };
    for (name, a, b) in [("unpinned", 9, 9), ("same", 0, 0), ("across", 0, 1)] {
        if a < 9 {
            pin(me, a);
            pin(g.native_pid() as i32, b);
        }
        for think in [0u64, 2_000, 20_000] {
            let n = if think > 2_000 { 20_000 } else { 100_000 };
            let mut ts = Vec::with_capacity(n);
            let start = Instant::now();
            for _ in 0..n {
                let t = Instant::now();
                match g.wait() {
                    Event::Request(_) => {}
                    e => panic!("{e:?}"),
                }
                if think > 0 {
                    let s = Instant::now();
                    while s.elapsed().as_nanos() < think as u128 {}
                }
                g.reply(&Reply::Complete {
                    result: 0,
                    copies_bytes: 0,
                    is_clock_advanced: false,
                    signal: None,
                });
                ts.push(t.elapsed().as_nanos() as u64);
            }
            let total = start.elapsed();
            ts.sort();
            println!(
                "{name} think {think}: mean {} p50 {} p99 {}",
                total.as_nanos() / n as u128,
                ts[n / 2],
                ts[n * 99 / 100]
            );
        }
    }
    for _ in 0..2 {
        let s = Instant::now();
        for _ in 0..200 {
            let mut g =
                launcher.spawn(&memory, &common::command(&["/bin/true"]), &identity()).unwrap();
            g.wait();
        }
        println!("spawn+wait true {:?}", s.elapsed() / 200);
        let s = Instant::now();
        for _ in 0..200 {
            std::process::Command::new("/bin/true").status().unwrap();
        }
        println!("std spawn+wait true {:?}", s.elapsed() / 200);
    }
}
