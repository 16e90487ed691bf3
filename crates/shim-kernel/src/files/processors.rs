//! The machine's processors: `/proc/cpuinfo` and the lists of `/sys/devices/system/cpu`.
//!
//! Their number and the frequency of the time stamp counter in, text out. Always true: what is listed
//! is the least common denominator of x86-64 machines that run guests (x86-64-v2), so that a program
//! which believes the file never executes what the real machine lacks; and no random number
//! instructions, which would not repeat.

use alloc::format;
use alloc::string::String;

use crate::config::Config;

const FLAGS: &str = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 \
    clflush mmx fxsr sse sse2 ss ht syscall nx rdtscp lm constant_tsc rep_good nopl nonstop_tsc \
    cpuid tsc_known_freq pni ssse3 cx16 sse4_1 sse4_2 popcnt hypervisor lahf_lm";

/// CPUs as Linux lists them: `0-3`, or `0`.
pub(super) fn list(cpu_count: u32) -> String {
    match cpu_count {
        0 | 1 => String::from("0\n"),
        _ => format!("0-{}\n", cpu_count - 1),
    }
}

pub(super) fn cpu_info(config: &Config) -> String {
    let count = config.cpu_count.max(1);
    let khz = config.tsc_frequency_hz / 1_000;
    let mhz = format!("{}.{:03}", khz / 1_000, khz % 1_000);
    // Linux counts two of its delay loops a cycle.
    let bogomips = format!("{}.{:02}", khz / 500, khz / 5 % 100);
    let mut text = String::new();
    for cpu in 0..count {
        text += &format!(
            "processor\t: {cpu}\n\
             vendor_id\t: GenuineIntel\n\
             cpu family\t: 6\n\
             model\t\t: 85\n\
             model name\t: Simulated processor\n\
             stepping\t: 0\n\
             microcode\t: 0x1\n\
             cpu MHz\t\t: {mhz}\n\
             cache size\t: 16384 KB\n\
             physical id\t: 0\n\
             siblings\t: {count}\n\
             core id\t\t: {cpu}\n\
             cpu cores\t: {count}\n\
             apicid\t\t: {cpu}\n\
             initial apicid\t: {cpu}\n\
             fpu\t\t: yes\n\
             fpu_exception\t: yes\n\
             cpuid level\t: 13\n\
             wp\t\t: yes\n\
             flags\t\t: {FLAGS}\n\
             bugs\t\t:\n\
             bogomips\t: {bogomips}\n\
             clflush size\t: 64\n\
             cache_alignment\t: 64\n\
             address sizes\t: 46 bits physical, 48 bits virtual\n\
             power management:\n\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine;

    #[test]
    fn lists() {
        assert_eq!(list(1), "0\n");
        assert_eq!(list(2), "0-1\n");
        assert_eq!(list(96), "0-95\n");
    }

    #[test]
    fn each_processor_has_a_paragraph() {
        let (mut kernel, ..) = machine();
        kernel.config.cpu_count = 3;
        kernel.config.tsc_frequency_hz = 2_599_998_000;
        let text = cpu_info(&kernel.config);
        assert_eq!(text.matches("processor\t: ").count(), 3);
        assert_eq!(text.matches("\n\n").count(), 3);
        assert!(text.contains("\nprocessor\t: 2\n"));
        assert!(text.contains("\ncpu MHz\t\t: 2599.998\n"));
        assert!(text.contains("\nbogomips\t: 5199.99\n"));
        assert!(text.lines().all(|line| line.is_empty() || line.contains(':')));
        let flags = text.lines().find_map(|line| line.strip_prefix("flags\t\t: ")).unwrap();
        assert!(flags.split(' ').all(|flag| !flag.is_empty() && !flag.starts_with("rdra")));
        assert!(!flags.contains("rdseed"));
    }
}
