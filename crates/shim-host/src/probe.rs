//! What this machine offers to guests, what is missing, what that costs, and the cure.
//!
//! Nothing in, a list of [`Finding`]s out, in the order in which a person would want to read them.
//! Always true: everything is tried and nothing is concluded from a version number that could be
//! tried; what could leave a trace in this process is tried in a forked child (`child`). To be called
//! by a process with one thread, because it forks. The library's own check is not here: it is
//! `shim_supervisor::Library`.

mod child;

use std::ffi::CString;
use std::os::fd::AsRawFd;

use rustix::fs::{MemfdFlags, SealFlags};
use shim_abi::process::{FIRST_HIDDEN_DESCRIPTOR, HIDDEN_DESCRIPTORS};

use child::{ChildEnd, in_child};

/// How a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Grade {
    /// As it has to be.
    Ok,
    /// Guests run, with the cost that the finding names.
    Warn,
    /// Guests cannot run.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// A short name that stays the same: a key for programs that read the list.
    pub name: &'static str,
    /// How it matters.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What that costs; empty if nothing.
    pub cost: &'static str,
    /// What to do about it; empty if there is nothing to be done.
    pub cure: &'static str,
}

impl Finding {
    fn ok(name: &'static str, found: impl Into<String>) -> Finding {
        Finding { name, grade: Grade::Ok, found: found.into(), cost: "", cure: "" }
    }

    /// The same finding with another grade and its consequences.
    fn but(self, grade: Grade, cost: &'static str, cure: &'static str) -> Finding {
        Finding { grade, cost, cure, ..self }
    }

    /// `self` if `is_fine`, or else with its consequences.
    fn unless(
        self,
        is_fine: bool,
        grade: Grade,
        cost: &'static str,
        cure: &'static str,
    ) -> Finding {
        if is_fine { self } else { self.but(grade, cost, cure) }
    }
}

/// Look at everything. Forks: to be called while this process has one thread.
pub fn machine() -> Vec<Finding> {
    let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
    let maps = String::from_utf8_lossy(&maps);
    vec![
        kernel_version(),
        user_dispatch(),
        fsgsbase(),
        proc_mounted(),
        memory_files(),
        guest_memory(),
        descriptors(),
        vdso(&maps),
        time_stamp_counter(),
        cpuid(),
        address_randomisation(),
        vsyscall(&maps),
        mounts(),
    ]
}

fn kernel_version() -> Finding {
    const OLDEST: (u32, u32) = (5, 11);
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let is_fine = parse_release(&release).is_some_and(|version| version >= OLDEST);
    Finding::ok("kernel", format!("Linux {release} (5.11 or newer is needed)")).unless(
        is_fine,
        Grade::Fail,
        "no Syscall User Dispatch: calls of guests cannot be intercepted",
        "boot Linux 5.11 or newer",
    )
}

/// `6.18.44-fc` to (6, 18).
fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn user_dispatch() -> Finding {
    let end = in_child(child::try_user_dispatch);
    Finding::ok(
        "user-dispatch",
        match end {
            ChildEnd::Exited(0) => "Syscall User Dispatch works".to_owned(),
            other => format!("Syscall User Dispatch does not work ({other})"),
        },
    )
    .unless(
        end == ChildEnd::Exited(0),
        Grade::Fail,
        "calls of guests cannot be intercepted",
        "use a kernel built with CONFIG_GENERIC_ENTRY on x86-64; under gVisor, WSL 1 or valgrind \
         there is no cure",
    )
}

fn fsgsbase() -> Finding {
    const HWCAP2_FSGSBASE: usize = 1 << 1;
    let (_, capabilities) = rustix::param::linux_hwcap();
    let has_it = capabilities & HWCAP2_FSGSBASE != 0;
    let words = if has_it { "FSGSBASE instructions are enabled" } else { "no FSGSBASE" };
    Finding::ok("fsgsbase", words).unless(
        has_it,
        Grade::Warn,
        "each new thread of a guest starts about a microsecond later",
        "remove 'nofsgsbase' from the kernel's command line, if it is there",
    )
}

fn proc_mounted() -> Finding {
    let is_there =
        std::fs::read_link("/proc/self/fd/0").is_ok() || std::fs::read_dir("/proc/self/fd").is_ok();
    let words = if is_there { "/proc is mounted" } else { "/proc is not mounted" };
    Finding::ok("proc", words).unless(
        is_there,
        Grade::Fail,
        "guests reach their simulator through /proc",
        "mount it: mount -t proc proc /proc",
    )
}

fn memory_files() -> Finding {
    let tried = try_memory_file();
    Finding::ok("memory-files", match &tried {
        Ok(()) => "memory files can be made, sealed and opened by another process".to_owned(),
        Err(problem) => problem.clone(),
    })
    .unless(
        tried.is_ok(),
        Grade::Fail,
        "a guest and its simulator share memory through sealed memory files",
        "use Linux 5.1 or newer, and allow memfd_create and fcntl in the container's seccomp profile",
    )
}

fn try_memory_file() -> Result<(), String> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("shim-doctor", flags)
        .map_err(|errno| format!("memory files cannot be made: {errno}"))?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
    rustix::fs::ftruncate(&file, 4096)
        .and_then(|()| rustix::fs::fcntl_add_seals(&file, seals))
        .map_err(|errno| format!("memory files cannot be sealed: {errno}"))?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let path = CString::new(path).map_err(|error| error.to_string())?;
    match in_child(|| child::try_open(&path)) {
        ChildEnd::Exited(0) => Ok(()),
        other => Err(format!("another process cannot open them through /proc ({other})")),
    }
}

fn guest_memory() -> Finding {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok();
    let scope = scope.as_deref().map_or("none", str::trim);
    let reached = child::reach_child();
    Finding::ok("guest-memory", match &reached {
        Ok(()) => format!("a child's memory can be read and written (Yama ptrace_scope: {scope})"),
        Err(error) => {
            format!("a child's memory cannot be reached: {error} (Yama ptrace_scope: {scope})")
        }
    })
    .unless(
        reached.is_ok(),
        Grade::Fail,
        "a simulator reads and writes its guests' memory with process_vm_readv and process_vm_writev",
        "set kernel.yama.ptrace_scope to 0 or 1; in a container allow both calls in the seccomp profile",
    )
}

fn descriptors() -> Finding {
    let needed = u64::from(FIRST_HIDDEN_DESCRIPTOR + HIDDEN_DESCRIPTORS);
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let words = match hard {
        Some(hard) => format!("hard limit of open files: {hard} ({needed} are needed)"),
        None => "no hard limit of open files".to_owned(),
    };
    Finding::ok("open-files", words).unless(
        hard.is_none_or(|hard| hard >= needed),
        Grade::Warn,
        "guests see a lower limit of open files, and programs may behave otherwise than elsewhere",
        "raise the hard limit: ulimit -Hn 4160 as root, limits.conf, or docker run --ulimit nofile=8192",
    )
}

fn vdso(maps: &str) -> Finding {
    const NAME: &str = "vdso";
    let Some((start, end)) = mapping(maps, "[vdso]") else {
        return Finding::ok(NAME, "there is no vDSO: clocks are read by system calls");
    };
    if in_child(|| child::try_vdso_protection(start, end)) == ChildEnd::Exited(0) {
        return Finding::ok(NAME, "the vDSO can be redirected");
    }
    if in_child(|| child::try_vdso_by_proc(start)) == ChildEnd::Exited(0) {
        return Finding::ok(
            NAME,
            "the vDSO is sealed and can be redirected through /proc/self/mem",
        );
    }
    Finding::ok(NAME, "the vDSO can be written neither directly nor through /proc/self/mem").but(
        Grade::Fail,
        "clock_gettime, gettimeofday and time would show real time",
        "boot with proc_mem.force_override=always, or with vdso=0",
    )
}

fn time_stamp_counter() -> Finding {
    let end = in_child(child::try_time_stamp_counter);
    let is_fine = end == ChildEnd::Killed(libc::SIGSEGV);
    Finding::ok(
        "time-stamp-counter",
        match end {
            _ if is_fine => "reads of the time stamp counter can be trapped".to_owned(),
            other => format!("PR_SET_TSC does not trap reads of the time stamp counter ({other})"),
        },
    )
    .unless(
        is_fine,
        Grade::Warn,
        "programs that execute rdtsc see real time: their runs do not repeat",
        "allow prctl(PR_SET_TSC) in the container's seccomp profile",
    )
}

fn cpuid() -> Finding {
    let end = in_child(child::try_cpuid);
    let is_fine = end == ChildEnd::Killed(libc::SIGSEGV);
    Finding::ok(
        "cpuid",
        match end {
            _ if is_fine => "the processor can trap cpuid: RDRAND and RDSEED are hidden".to_owned(),
            other => format!("the processor cannot trap cpuid ({other})"),
        },
    )
    .unless(
        is_fine,
        Grade::Warn,
        "programs find RDRAND and RDSEED, whose numbers do not repeat; only OpenSSL is told not to \
         use them (OPENSSL_ia32cap)",
        "use a machine or a hypervisor that offers CPUID faulting (cpuid_fault in /proc/cpuinfo)",
    )
}

/// Where `cpuid` cannot be made to trap: the variable by which OpenSSL leaves RDRAND (bit 62 of the first
/// mask) and RDSEED (bit 18 of the second) alone, see OPENSSL_ia32cap(3). To be added to the environment
/// of every guest that does not bring its own.
pub fn processor_mask() -> Option<(&'static str, &'static str)> {
    (!child::can_trap_cpuid()).then_some(("OPENSSL_ia32cap", "~0x4000000000000000:~0x40000"))
}

fn address_randomisation() -> Finding {
    let end = in_child(child::try_personality);
    let is_fine = end == ChildEnd::Exited(0);
    Finding::ok(
        "addresses",
        match end {
            _ if is_fine => "address space randomisation can be switched off".to_owned(),
            other => format!("personality(ADDR_NO_RANDOMIZE) is forbidden ({other})"),
        },
    )
    .unless(
        is_fine,
        Grade::Warn,
        "addresses differ from run to run: what depends on them (python's id(), hash tables of \
         pointers) does not repeat",
        "docker run --security-opt seccomp=unconfined, or a seccomp profile that allows \
         personality(0x0040000)",
    )
}

fn vsyscall(maps: &str) -> Finding {
    const NAME: &str = "vsyscall";
    if mapping(maps, "[vsyscall]").is_none() {
        return Finding::ok(NAME, "there is no vsyscall page");
    }
    Finding::ok(NAME, "the kernel offers the legacy vsyscall page").but(
        Grade::Warn,
        "programs that call it (static ones from before 2013) see real time",
        "if you have such programs: boot with vsyscall=none",
    )
}

fn mounts() -> Finding {
    let end = in_child(child::try_mounts);
    let is_fine = end == ChildEnd::Exited(0);
    Finding::ok(
        "mounts",
        match end {
            _ if is_fine => "hosts of a scenario can have folders of their own".to_owned(),
            other => format!("hosts of a scenario cannot have folders of their own ({other})"),
        },
    )
    .unless(
        is_fine,
        Grade::Warn,
        "the keys private and overlay of a scenario are refused: its hosts share /tmp, /run and the like",
        MOUNTS_CURE,
    )
}

/// What helps where hosts cannot have folders of their own.
pub const MOUNTS_CURE: &str = "run as root, or permit user namespaces (user.max_user_namespaces, on Ubuntu \
     kernel.apparmor_restrict_unprivileged_userns=0); docker run --cap-add SYS_ADMIN --security-opt \
     seccomp=unconfined --security-opt apparmor=unconfined";

/// Start and end of the mapping with this name in the text of /proc/self/maps.
fn mapping(maps: &str, name: &str) -> Option<(usize, usize)> {
    let line = maps.lines().find(|line| line.ends_with(name))?;
    let (start, rest) = line.split_once('-')?;
    let (end, _) = rest.split_once(' ')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(parse_release("6.18.44-fc"), Some((6, 18)));
        assert_eq!(parse_release("5.9"), Some((5, 9)));
        assert_eq!(parse_release("unknown"), None);
    }

    #[test]
    fn mappings_are_found_by_name() {
        let maps = "7fff0000-7fff1000 r--p 00000000 00:00 0  [vvar]\n\
                    7fff1000-7fff3000 r-xp 00000000 00:00 0  [vdso]\n";
        assert_eq!(mapping(maps, "[vdso]"), Some((0x7fff_1000, 0x7fff_3000)));
        assert_eq!(mapping(maps, "[vsyscall]"), None);
    }
}
