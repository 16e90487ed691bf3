//! A guest's `/proc/self/smaps` and `smaps_rollup`, made from the lines of its `maps`.
//!
//! Lines in, text out. Always true: the same lines give the same text. How much is resident is a plausible figure, as in
//! getrusage(2), because the real one differs from run to run: of each mapping that can be accessed its first [`RESIDENT_KIB`], dirty
//! where it can be written. Nothing is swapped out, locked or made of huge pages. Which lines there are is `maps.rs`'s. See
//! proc_pid_smaps(5).

use std::fmt::Write;

/// How much of a mapping is resident, at most.
const RESIDENT_KIB: u64 = 64;

/// What is counted, of one mapping or of all.
#[derive(Clone, Copy, Default)]
struct Counts {
    clean_kib: u64,
    dirty_kib: u64,
    anonymous_kib: u64,
}

/// What a line tells.
struct Line<'a> {
    start: u64,
    end: u64,
    protection: &'a [u8],
    is_of_file: bool,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Option<Line<'a>> {
        let mut words = text.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let protection = words.next()?.as_bytes();
        let is_of_file = words.nth(2)? != "0";
        let number = |digits| u64::from_str_radix(digits, 16).ok();
        Some(Line { start: number(start)?, end: number(end)?, protection, is_of_file })
    }

    fn has(&self, letter: u8) -> bool {
        self.protection.contains(&letter)
    }

    /// The vsyscall page, which belongs to no process.
    fn is_of_kernel(&self) -> bool {
        self.start >> 63 != 0
    }

    fn size_kib(&self) -> u64 {
        (self.end - self.start) / 1024
    }

    fn counts(&self) -> Counts {
        let is_accessible = self.has(b'r') || self.has(b'w') || self.has(b'x');
        let resident_kib = if is_accessible && !self.is_of_kernel() {
            self.size_kib().min(RESIDENT_KIB)
        } else {
            0
        };
        if !self.has(b'w') {
            return Counts { clean_kib: resident_kib, ..Counts::default() };
        }
        let is_anonymous = self.has(b'p') || !self.is_of_file;
        let anonymous_kib = if is_anonymous { resident_kib } else { 0 };
        Counts { dirty_kib: resident_kib, anonymous_kib, ..Counts::default() }
    }

    fn push_flags(&self, text: &mut String) {
        text.push_str("VmFlags: ");
        for (letter, flag) in [(b'r', "rd "), (b'w', "wr "), (b'x', "ex "), (b's', "sh ")] {
            text.push_str(if self.has(letter) { flag } else { "" });
        }
        text.push_str("mr mw me ");
        text.push_str(if self.has(b's') { "ms " } else { "" });
        text.push_str(if self.has(b'w') && self.has(b'p') { "ac \n" } else { "\n" });
    }
}

fn push(text: &mut String, name: &str, kib: u64) {
    let _ = writeln!(text, "{:<16}{kib:8} kB", format!("{name}:"));
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.clean_kib += other.clean_kib;
        self.dirty_kib += other.dirty_kib;
        self.anonymous_kib += other.anonymous_kib;
    }

    fn push_to(self, text: &mut String, is_of_all: bool) {
        let Counts { clean_kib, dirty_kib, anonymous_kib } = self;
        let resident_kib = clean_kib + dirty_kib;
        push(text, "Rss", resident_kib);
        push(text, "Pss", resident_kib);
        push(text, "Pss_Dirty", dirty_kib);
        if is_of_all {
            push(text, "Pss_Anon", anonymous_kib);
            push(text, "Pss_File", resident_kib - anonymous_kib);
            push(text, "Pss_Shmem", 0);
        }
        push(text, "Shared_Clean", 0);
        push(text, "Shared_Dirty", 0);
        push(text, "Private_Clean", clean_kib);
        push(text, "Private_Dirty", dirty_kib);
        push(text, "Referenced", resident_kib);
        push(text, "Anonymous", anonymous_kib);
        for name in [
            "KSM",
            "LazyFree",
            "AnonHugePages",
            "ShmemPmdMapped",
            "FilePmdMapped",
            "Shared_Hugetlb",
            "Private_Hugetlb",
            "Swap",
            "SwapPss",
            "Locked",
        ] {
            push(text, name, 0);
        }
    }
}

/// The contents of `smaps`.
pub fn of(maps: &str) -> String {
    let mut text = String::new();
    for whole in maps.lines() {
        let Some(line) = Line::parse(whole) else { continue };
        text.push_str(whole);
        text.push('\n');
        push(&mut text, "Size", line.size_kib());
        push(&mut text, "KernelPageSize", 4);
        push(&mut text, "MMUPageSize", 4);
        line.counts().push_to(&mut text, false);
        text.push_str("THPeligible:           0\n");
        line.push_flags(&mut text);
    }
    text
}

/// The contents of `smaps_rollup`.
pub fn rollup_of(maps: &str) -> String {
    let (mut counts, mut range) = (Counts::default(), None);
    for line in maps.lines().filter_map(Line::parse).filter(|line| !line.is_of_kernel()) {
        counts.add(line.counts());
        range = Some((range.map_or(line.start, |(start, _)| start), line.end));
    }
    let Some((start, end)) = range else { return String::new() };
    let mut text = format!("{start:08x}-{end:08x} ---p 00000000 00:00 0 ");
    text.push_str(&" ".repeat(73usize.saturating_sub(text.len())));
    text.push_str("[rollup]\n");
    counts.push_to(&mut text, true);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_kernels() {
        // Older kernels have fewer.
        let newest = ["KSM", "Pss_Dirty", "THPeligible", "VmFlags", "ProtectionKey"];
        let of_first = |text: String| -> Vec<String> {
            let lines = text.lines().skip(1).take_while(|line| !line.contains(" 00:00 "));
            let keys = lines.filter_map(|line| Some(line.split_once(':')?.0.to_owned()));
            keys.filter(|key| !newest.contains(&&**key)).take(18).collect()
        };
        let read = |name| std::fs::read_to_string(name).expect("our mappings");
        assert_eq!(of_first(of(&read("/proc/self/maps"))), of_first(read("/proc/self/smaps")));
    }

    #[test]
    fn the_rollup_is_the_sum() {
        let maps = "00400000-00500000 r-xp 00000000 08:01 7                          /bin/x\n\
                    00600000-00608000 rw-p 00000000 00:00 0 \n\
                    00700000-00708000 ---p 00000000 00:00 0 \n\
                    00800000-00804000 rw-s 00000000 08:01 8                          /shared\n\
                    ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";
        let each = of(maps);
        assert!(
            each.contains("Size:               1024 kB\nKernelPageSize:        4 kB\n"),
            "{each}"
        );
        assert!(each.contains("VmFlags: rd ex mr mw me \n"), "{each}");
        assert!(each.contains("VmFlags: rd wr sh mr mw me ms \n"), "{each}");
        let all = rollup_of(maps);
        let first = all.lines().next().expect("it has lines");
        assert_eq!(
            first.split_once("[rollup]"),
            Some((&*format!("{:73}", "00400000-00804000 ---p 00000000 00:00 0"), ""))
        );
        for line in [
            "Rss:                 112 kB",
            "Private_Clean:        64 kB",
            "Private_Dirty:        48 kB",
            "Anonymous:            32 kB",
            "Pss_File:             80 kB",
        ] {
            assert!(all.lines().any(|it| it == line), "{line} in {all}");
        }
    }
}
