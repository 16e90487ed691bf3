//! The libraries of this machine: every site is found, and nearly all are replaced.
//!
//! What `objdump` disassembles is the oracle for what is there. Always true: the shares are those that the fast
//! path is worth building for, and hold for every release of these libraries so far; broken files are errors or
//! empty plans, never panics.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use shim_patch::elf::Elf;
use shim_patch::image;
use shim_patch::plan::{Plan, Reason, Way};
use shim_patch::scan::Kind;

fn existing(paths: &[&str]) -> Option<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| path.exists())
}

fn glibc() -> PathBuf {
    let paths = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6"];
    existing(&paths).expect("a glibc")
}

fn dynamic_linker() -> PathBuf {
    existing(&["/lib64/ld-linux-x86-64.so.2"]).expect("glibc's dynamic linker")
}

fn musl() -> PathBuf {
    existing(&["/lib/ld-musl-x86_64.so.1"]).expect("musl (package musl-tools)")
}

/// Addresses of an instruction, as objdump has them.
fn disassembled(path: &Path, mnemonic: &str) -> Vec<u64> {
    let output = Command::new("objdump")
        .args(["--disassemble", "--no-show-raw-insn"])
        .arg(path)
        .output()
        .expect("objdump (package binutils)");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter_map(|line| line.split_once(":\t"));
    lines
        .filter(|(_, instruction)| instruction.split_whitespace().next() == Some(mnemonic))
        .map(|(address, _)| u64::from_str_radix(address.trim(), 16).expect("an address"))
        .collect()
}

/// Plan a file, compare what was found with objdump, carry the plan out; percent of system calls that jump,
/// and what is left.
fn examine(path: &Path) -> (f64, Vec<Reason>) {
    let bytes = fs::read(path).expect("it can be read");
    let elf = Elf::parse(&bytes).expect("it is a library");
    let plan = Plan::of(&elf);
    for (kind, mnemonic) in [
        (Kind::Syscall, "syscall"),
        (Kind::Rdtsc, "rdtsc"),
        (Kind::Rdtscp, "rdtscp"),
        (Kind::Cpuid, "cpuid"),
    ] {
        let found = plan.sites.iter().filter(|site| site.kind == kind);
        let found: Vec<u64> = found.map(|site| site.address).collect();
        assert_eq!(found, disassembled(path, mnemonic), "{}: {mnemonic}", path.display());
    }
    let image = image::build(&elf, &plan, image::area_address(&elf));
    let image = image.expect("it can be built").bytes;
    assert!(image.len() < bytes.len() * 2);

    let calls = plan.sites.iter().filter(|site| site.kind == Kind::Syscall);
    let (left, jumping): (Vec<Way>, Vec<Way>) =
        calls.map(|site| site.way).partition(|way| matches!(way, Way::Left(_)));
    let percent = jumping.len() as f64 / (jumping.len() + left.len()) as f64 * 100.0;
    let hops = jumping.iter().filter(|way| matches!(way, Way::Hop(_))).count();
    println!("{}: {} jump ({hops} hop), {left:?}", path.display(), jumping.len());
    let reason = |way: Way| match way {
        Way::Left(reason) => reason,
        other => panic!("{other:?}"),
    };
    (percent, left.into_iter().map(reason).collect())
}

#[test]
fn glibc_is_rewritten() {
    let (percent, left) = examine(&glibc());
    assert!(percent >= 98.0, "{percent}");
    assert!(left.contains(&Reason::SignalReturn), "__restore_rt: {left:?}");
}

#[test]
fn the_dynamic_linker_is_rewritten() {
    let (percent, left) = examine(&dynamic_linker());
    assert!(percent >= 95.0, "{percent} {left:?}");
}

#[test]
fn musl_is_rewritten() {
    let (percent, left) = examine(&musl());
    assert!(percent >= 97.0, "{percent}");
    assert!(left.contains(&Reason::SignalReturn), "__restore_rt: {left:?}");
}

#[test]
fn every_reading_of_the_clock_is_replaced() {
    // OpenSSL's tables stand among its functions, and hold the bytes of all four instructions.
    let libcrypto = existing(&["/lib/x86_64-linux-gnu/libcrypto.so.3", "/lib64/libcrypto.so.3"]);
    for path in [glibc(), dynamic_linker(), libcrypto.expect("OpenSSL")] {
        let bytes = fs::read(&path).expect("it can be read");
        let plan = Plan::of(&Elf::parse(&bytes).expect("it is a library"));
        for site in plan.sites.iter().filter(|site| site.kind != Kind::Syscall) {
            assert!(!matches!(site.way, Way::Left(_)), "{}: {site:?}", path.display());
        }
    }
}

#[test]
fn bytes_of_a_site_in_data_are_none() {
    let path = existing(&["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/libm.so.6"]).expect("libm");
    let bytes = fs::read(&path).expect("it can be read");
    assert!(bytes.windows(2).any(|two| two == Kind::Syscall.bytes()), "else this shows nothing");
    assert!(Plan::of(&Elf::parse(&bytes).expect("it is a library")).sites.is_empty());
}

#[test]
fn broken_files_are_survived() {
    let good = fs::read(dynamic_linker()).expect("it can be read");
    let attempt = |bytes: &[u8]| {
        let Ok(elf) = Elf::parse(bytes) else { return false };
        let plan = Plan::of(&elf);
        let _ = image::build(&elf, &plan, image::area_address(&elf));
        true
    };
    assert!(attempt(&good));
    let mut planned = 0;
    for len in (0..good.len()).step_by(good.len() / 20) {
        planned += u32::from(attempt(&good[..len]));
    }
    // Tables stand at the start and at the end.
    let places = (16..0x400).step_by(11).chain((good.len() - 0x800..good.len()).step_by(43));
    for (index, place) in places.enumerate() {
        let mut bad = good.clone();
        bad[place] ^= [0xff, 0x80, 0x01, 0x10][index % 4];
        bad[good.len() / 2 + index * 64..][..8].fill(0xff);
        planned += u32::from(attempt(&bad));
    }
    assert!(planned > 10, "{planned}: else only the header was looked at");
    // A plan for another file is refused where it shows.
    let elf = Elf::parse(&good).expect("it is a library");
    let plan = Plan::of(&elf);
    let other = fs::read(musl()).expect("it can be read");
    let other = Elf::parse(&other).expect("it is a library");
    assert!(image::build(&other, &plan, image::area_address(&other)).is_err());
    assert!(image::build(&elf, &plan, 1 << 40).is_err(), "too far");
}
