//! Resource limits: `getrlimit`, `setrlimit`, `prlimit64`.
//!
//! Numbers in, numbers out. Always true: a hard limit never rises, because guests are unprivileged.
//! Limits are the simulated machine's: those of descriptors (through the process's block), of threads, of
//! processor time, of pending signals and of the address space (which the real kernel watches over) have an effect;
//! the others are recorded. They start with what the machine's size gives on Linux.

use shim_abi::Errno;
use shim_abi::time::NS_PER_SEC;

use crate::config::Config;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualTid;
use crate::memory::{read_words, write_words};

const COUNT: usize = 16;
const UNLIMITED: u64 = u64::MAX;
/// Highest limit of descriptors, `/proc/sys/fs/nr_open`.
const MAX_DESCRIPTOR_LIMIT: u64 = 1 << 20;

/// The limits of a process.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Soft and hard, by number.
    values: [(u64, u64); COUNT],
    /// Whether the process, or one that it descends from, has set that of the address space.
    is_address_space_set: bool,
}

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
        Limits { values: limits, is_address_space_set: false }
    }

    /// Most bytes of address space, if they were ever limited; `u64::MAX`: not any more.
    pub(crate) fn address_space_bytes(&self) -> Option<u64> {
        let (soft, _) = self.values[libc::RLIMIT_AS as usize];
        self.is_address_space_set.then_some(soft)
    }

    /// Soft and hard limit of descriptors.
    pub(crate) fn descriptors(&self) -> (u64, u64) {
        self.values[libc::RLIMIT_NOFILE as usize]
    }
    /// How many threads the user may have.
    pub(crate) fn tasks(&self) -> u64 {
        self.values[libc::RLIMIT_NPROC as usize].0
    }
    /// Whether any memory may be locked.
    pub(crate) fn can_lock_memory(&self) -> bool {
        self.values[libc::RLIMIT_MEMLOCK as usize].0 > 0
    }
    /// How many bytes the user's message queues may have.
    pub(crate) fn message_queue_bytes(&self) -> u64 {
        self.values[libc::RLIMIT_MSGQUEUE as usize].0
    }
    /// Soft and hard limit of processor time, if there is a soft one.
    pub(crate) fn cpu_ns(&self) -> Option<(u64, u64)> {
        let (soft, hard) = self.values[libc::RLIMIT_CPU as usize];
        let ns = |secs: u64| secs.saturating_mul(NS_PER_SEC);
        (soft != UNLIMITED).then_some((ns(soft), ns(hard)))
    }
    /// The soft limit of processor time was reached: it is a second more from now on.
    pub(crate) fn raise_cpu(&mut self) {
        self.values[libc::RLIMIT_CPU as usize].0 += 1;
    }
    /// How many signals may wait with a description.
    pub(crate) fn pending_signals(&self) -> u64 {
        self.values[libc::RLIMIT_SIGPENDING as usize].0
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
    if !context.may_inspect(tid) {
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
        process.limits.values.get(resource as usize).copied().ok_or(Errno::EINVAL)
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
        process.limits.values[resource as usize] = (soft, hard);
        let is_address_space = resource == libc::RLIMIT_AS;
        process.limits.is_address_space_set |= is_address_space;
        process.is_changed |= is_descriptors || is_address_space;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine};
    use shim_abi::calls::nr;

    const NOFILE: u64 = libc::RLIMIT_NOFILE as u64;

    #[test]
    fn a_process_starts_with_what_its_machine_gives() {
        let (mut kernel, mut guest, tid) = machine();
        let mut get = |resource: libc::__rlimit_resource_t| {
            let args = [resource.into(), DATA, 0, 0, 0, 0];
            assert_eq!(kernel.do_call(tid, nr::getrlimit, args, &mut guest), 0);
            guest.words::<2>(DATA)
        };
        assert_eq!(get(libc::RLIMIT_NOFILE), [1024, 4096]);
        assert_eq!(get(libc::RLIMIT_STACK), [8 << 20, UNLIMITED]);
        assert_eq!(get(libc::RLIMIT_AS), [UNLIMITED, UNLIMITED]);
        assert_eq!(get(libc::RLIMIT_NPROC), [32_768, 32_768]);
    }

    #[test]
    fn errors_come_in_linux_order() {
        let (mut kernel, mut guest, tid) = machine();
        let [inval, fault, perm, srch] =
            [Errno::EINVAL, Errno::EFAULT, Errno::EPERM, Errno::ESRCH].map(Errno::as_return);
        guest.put_words(DATA, &[2, 1, 5, 4097, 4098, 4097, 1, 1 << 40, 7, 99]);
        let mut call = |number, args: [i64; 4]| {
            let [a, b, c, d] = args.map(|arg| arg as u64);
            kernel.do_call(tid, number, [a, b, c, d, 0, 0], &mut guest)
        };
        let data = DATA as i64;
        for (number, args, expected) in [
            (nr::getrlimit, [16, 8, 0, 0], inval),
            (nr::getrlimit, [0, 8, 0, 0], fault),
            (nr::setrlimit, [16, 8, 0, 0], fault),
            (nr::setrlimit, [16, data, 0, 0], inval),
            (nr::setrlimit, [7, data, 0, 0], inval),
            (nr::setrlimit, [7, data + 16, 0, 0], perm),
            (nr::setrlimit, [7, data + 32, 0, 0], inval),
            (nr::setrlimit, [7, data + 48, 0, 0], perm),
            (nr::prlimit64, [0, 99, 8, 0], fault),
            (nr::prlimit64, [0, 99, data + 64, 0], inval),
            (nr::prlimit64, [999_999, 99, data + 64, 0], srch),
            (nr::prlimit64, [-1, 7, 0, data], srch),
            (nr::prlimit64, [1, 99, 0, 0], perm),
            (nr::prlimit64, [0, 7, 0, 8], fault),
            (nr::prlimit64, [0, 7, 0, 0], 0),
        ] {
            assert_eq!(call(number, args), expected, "{number} {args:?}");
        }
    }

    #[test]
    fn a_limit_of_the_address_space_is_published_once_it_was_set() {
        let (mut kernel, mut guest, tid) = machine();
        let pid = kernel.process_of(tid).unwrap();
        assert_eq!(kernel.take_published(pid).unwrap().address_space_bytes, None);
        for soft in [5 << 20, UNLIMITED] {
            guest.put_words(DATA, &[soft, UNLIMITED]);
            let args = [libc::RLIMIT_AS.into(), DATA, 0, 0, 0, 0];
            assert_eq!(kernel.do_call(tid, nr::setrlimit, args, &mut guest), 0);
            assert_eq!(kernel.take_published(pid).unwrap().address_space_bytes, Some(soft));
        }
    }

    #[test]
    fn a_change_is_published_and_not_undone() {
        let (mut kernel, mut guest, tid) = machine();
        let pid = kernel.process_of(tid).unwrap();
        let published = kernel.take_published(pid).unwrap();
        assert_eq!((published.descriptor_limit, published.parent), ((1024, 4096), 1));
        assert_eq!(kernel.take_published(pid), None);
        guest.put_words(DATA, &[7, 99]);
        let args = [0, NOFILE, DATA, DATA + 16, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::prlimit64, args, &mut guest), 0);
        assert_eq!(guest.words::<2>(DATA + 16), [1024, 4096], "the old ones");
        assert_eq!(kernel.take_published(pid).unwrap().descriptor_limit, (7, 99));
        // As on Linux, the limit is set although the old one cannot be stored.
        guest.put_words(DATA, &[6, 98]);
        let args = [0, NOFILE, DATA, 8, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::prlimit64, args, &mut guest), Errno::EFAULT.as_return());
        assert_eq!(kernel.take_published(pid).unwrap().descriptor_limit, (6, 98));
    }
}
