//! Registers: calls, clocks, handlers and other threads leave everything in them, wherever a call comes from.
//!
//! The parts of `tests/guests/registers.c` come in; what they print natively and as guests, with patched code and
//! without, is compared, through both C libraries. Always true: natively no register differs; all that this machine's
//! processor has are looked at; each kind of site is what the program believes it to be. Instructions around sites in
//! all combinations are `shim-patch`'s neighbourhoods.

mod parts;

use std::path::Path;

use parts::assert_parts_same;
use shim_testkit::compare::difference;
use shim_testkit::guest::{self, compile, compile_with};
use shim_testkit::{Libc, Run};

#[test]
fn they_are_the_same_after_every_call_from_every_site() {
    assert_parts_same("registers");
}

#[test]
fn they_are_the_same_where_every_call_traps() {
    for libc in Libc::ALL {
        let program = compile_with("registers", libc, &["-lrt"]);
        for part in guest::parts("registers", &program) {
            let run = Run::native(&program).args([&part]);
            let native = run.clone().finish().expect_success();
            // No line tells a register that differs.
            for line in native.text().lines().filter(|line| line.contains(" = ")) {
                assert!(line.ends_with(": all registers"), "{line}");
            }
            let guest = run.as_guest(["--quiet", "--no-patch"]).finish();
            assert_eq!(difference(&native, &guest), None, "{part}, {libc:?}");
        }
    }
}

#[test]
fn whoever_is_preempted_finds_them() {
    for libc in Libc::ALL {
        let run = Run::native(compile("registers", libc)).args(["computing"]);
        let native = run.clone().finish().expect_success();
        let guest = run.as_guest(["--quiet", "--watchdog", "50ms"]).finish().expect_success();
        assert_eq!(guest.text(), native.text());
        let remarks = String::from_utf8_lossy(&guest.stderr);
        assert!(remarks.contains("was preempted"), "{guest:?}");
    }
}

/// What the processor has, in the words of the program.
fn what_the_processor_has() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").expect("it is there");
    let flags = text.lines().find(|line| line.starts_with("flags")).expect("a line of flags");
    let has = |name: &str| flags.split_whitespace().any(|flag| flag == name);
    let mut line = "general, flags, x87, mxcsr, xmm".to_owned();
    for (flag, words) in
        [("avx", " ymm"), ("avx512f", " zmm k"), ("avx512bw", " wide"), ("ospke", " pkru")]
    {
        line += if has(flag) { words } else { "" };
    }
    line
}

/// What is done about the sites of a program, in its own words.
fn places(program: &Path, options: &[&str]) -> Vec<String> {
    let guest = Run::native(program).args(["places"]).as_guest(options).finish().expect_success();
    let text = guest.text();
    let (registers, places) = text.split_once('\n').expect("two lines");
    println!("looked at: {registers}");
    assert_eq!(registers, what_the_processor_has());
    places.lines().map(str::to_owned).collect()
}

#[test]
fn sites_are_of_every_kind() {
    let sites = [
        ("an instruction before", true),
        ("instructions before", true),
        ("padding", true),
        ("no room", false),
        ("anonymous code", false),
        ("first", false),
        ("later", true),
        ("counter, padding", true),
        ("counter, no room", true),
        ("name, no room", true),
    ];
    for libc in Libc::ALL {
        let program = compile("registers", libc);
        for is_patched in [true, false] {
            let options: &[&str] =
                if is_patched { &["--quiet"] } else { &["--quiet", "--no-patch"] };
            let word =
                |is_replaced| if is_replaced && is_patched { "replaced" } else { "as it was" };
            let expected =
                sites.map(|(site, is_replaced)| format!("{site}: {}", word(is_replaced)));
            assert_eq!(places(&program, options), expected, "{libc:?}");
        }
    }
}
