//! Resource limits: `getrlimit`, `setrlimit`, `prlimit64`.
//!
//! Numbers in, numbers out. Always true: a hard limit never rises, because guests are unprivileged.
//! Limits are the simulated machine's: only that of descriptors (through the process's block) and that
//! of pending signals have an effect; the others are recorded. They start with what the machine's size
//! gives on Linux.

use shim_abi::Errno;

use crate::config::Config;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualTid;
use crate::memory::{read_words, write_words};

const COUNT: usize = 16;
const UNLIMITED: u64 = u64::MAX;
/// Highest limit of descriptors, `/proc/sys/fs/nr_open`.
const MAX_DESCRIPTOR_LIMIT: u64 = 1 << 20;

/// The limits of a process: soft and hard, by number.
#[derive(Clone, Debug)]
pub(crate) struct Limits([(u64, u64); COUNT]);

impl Limits {
    /// What a process of this machine starts with.
    pub(crate) fn new(config: &Config) -> Limits {
        let tasks = (config.memory_bytes >> 18).max(256);
        let mut limits = [(UNLIMITED, UNLIMITED); COUNT];
        let mut set = |resource: libc::__rlimit_resource_t, soft, hard| {
            limits[resource as usize] = (soft, hard);
        };
        set(libc::RLIMIT_STACK, config.stack_limit_bytes, UNLIMITED);
        set(libc::RLIMIT_CORE, 0, UNLIMITED);
        set(libc::RLIMIT_NPROC, tasks, tasks);
        set(libc::RLIMIT_NOFILE, config.descriptor_limit.0, config.descriptor_limit.1);
        set(libc::RLIMIT_MEMLOCK, 8 << 20, 8 << 20);
        set(libc::RLIMIT_SIGPENDING, tasks, tasks);
        set(libc::RLIMIT_MSGQUEUE, 819_200, 819_200);
        set(libc::RLIMIT_NICE, 0, 0);
        set(libc::RLIMIT_RTPRIO, 0, 0);
        Limits(limits)
    }

    /// Soft and hard limit of descriptors.
    pub(crate) fn descriptors(&self) -> (u64, u64) {
        self.0[libc::RLIMIT_NOFILE as usize]
    }
    /// How many signals may wait with a description.
    pub(crate) fn pending_signals(&self) -> u64 {
        self.0[libc::RLIMIT_SIGPENDING as usize].0
    }
}

pub(crate) fn getrlimit(context: &mut Context<'_>, resource: u32, to: GuestAddr) -> Answer {
    let (soft, hard) = context.limit_of(context.tid, resource)?;
    write_words(context.guest, to, [soft, hard])?;
    done(0)
}

pub(crate) fn setrlimit(context: &mut Context<'_>, resource: u32, from: GuestAddr) -> Answer {
    let new = read_words(context.guest, from)?;
    context.limit_of(context.tid, resource)?;
    context.set_limit(context.tid, resource, new)?;
    done(0)
}

pub(crate) fn prlimit64(
    context: &mut Context<'_>,
    pid: i32,
    resource: u32,
    from: GuestAddr,
    to: GuestAddr,
) -> Answer {
    let new = match from.is_null() {
        true => None,
        false => Some(read_words(context.guest, from)?),
    };
    let tid = context.find_thread(pid)?;
    if !context.may_touch(tid) {
        return Err(Errno::EPERM);
    }
    let (soft, hard) = context.limit_of(tid, resource)?;
    if let Some(new) = new {
        context.set_limit(tid, resource, new)?;
    }
    if !to.is_null() {
        write_words(context.guest, to, [soft, hard])?;
    }
    done(0)
}

impl Context<'_> {
    fn limit_of(&self, tid: VirtualTid, resource: u32) -> Result<(u64, u64), Errno> {
        let thread = self.kernel.threads.get(&tid).ok_or(Errno::ESRCH)?;
        let process = self.kernel.processes.get(&thread.pid).ok_or(Errno::ESRCH)?;
        process.limits.0.get(resource as usize).copied().ok_or(Errno::EINVAL)
    }

    fn set_limit(
        &mut self,
        tid: VirtualTid,
        resource: u32,
        [soft, hard]: [u64; 2],
    ) -> Result<(), Errno> {
        let (_, old_hard) = self.limit_of(tid, resource)?;
        let is_descriptors = resource == libc::RLIMIT_NOFILE;
        if soft > hard {
            return Err(Errno::EINVAL);
        }
        if hard > old_hard || (is_descriptors && hard > MAX_DESCRIPTOR_LIMIT) {
            return Err(Errno::EPERM);
        }
        let thread = self.kernel.threads.get(&tid).ok_or(Errno::ESRCH)?;
        let process = self.kernel.processes.get_mut(&thread.pid).ok_or(Errno::ESRCH)?;
        process.limits.0[resource as usize] = (soft, hard);
        process.is_changed |= is_descriptors;
        Ok(())
    }
}
