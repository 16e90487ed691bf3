//! Names and groups: `setpgid`, `setsid`, `sethostname`, `setdomainname`.
//!
//! Ids in, ids out. Always true: a process that leads a session stays what it is, and each process
//! that a simulator starts leads one; a machine's names are its configuration. Reading ids and names is
//! the guest's own business, from what [`crate::Kernel::take_published`] reports.

use shim_abi::Errno;

use crate::context::{Answer, Context, done};
use crate::ids::VirtualPid;

pub(crate) fn setpgid(context: &mut Context<'_>, pid: i32, group: i32) -> Answer {
    let own = context.pid.0 as i32;
    let pid = if pid == 0 { own } else { pid };
    let group = if group == 0 { pid } else { group };
    if group < 0 {
        return Err(Errno::EINVAL);
    }
    // A process other than the caller would have to be its child.
    if pid != own {
        return Err(Errno::ESRCH);
    }
    let group = VirtualPid(group as u32);
    let process = context.process();
    if process.session == context.pid {
        return Err(Errno::EPERM);
    }
    let session = process.session;
    let mut processes = context.kernel.processes.values();
    if group != context.pid
        && !processes.any(|other| other.group == group && other.session == session)
    {
        return Err(Errno::EPERM);
    }
    let process = context.process_mut();
    process.group = group;
    process.is_changed = true;
    done(0)
}

pub(crate) fn setsid(context: &mut Context<'_>) -> Answer {
    let pid = context.pid;
    if context.kernel.processes.values().any(|process| process.group == pid) {
        return Err(Errno::EPERM);
    }
    let process = context.process_mut();
    (process.group, process.session, process.is_changed) = (pid, pid, true);
    done(pid.0.into())
}

pub(crate) fn sethostname(_: &mut Context<'_>) -> Answer {
    Err(Errno::EPERM)
}

pub(crate) fn setdomainname(_: &mut Context<'_>) -> Answer {
    Err(Errno::EPERM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine;
    use shim_abi::calls::nr;

    #[test]
    fn the_leader_of_a_session_stays_it() {
        let (mut kernel, mut guest, tid) = machine();
        let mut call = |number, a: i64, b: i64| {
            kernel.do_call(tid, number, [a as u64, b as u64, 0, 0, 0, 0], &mut guest)
        };
        let [inval, perm, srch] = [Errno::EINVAL, Errno::EPERM, Errno::ESRCH].map(Errno::as_return);
        for (pid, group, expected) in [
            (0, 0, perm),
            (-1, 0, inval),
            (0, -1, inval),
            (999_999, 0, srch),
            (0, 999_999, perm),
            (0, 1, perm),
            (1, 0, srch),
        ] {
            assert_eq!(call(nr::setpgid, pid, group), expected, "{pid} {group}");
        }
        assert_eq!(call(nr::setsid, 0, 0), perm);
        assert_eq!(call(nr::sethostname, 8, 65), perm);
        assert_eq!(call(nr::setdomainname, 8, -1), perm);
    }

    #[test]
    fn another_leaves_its_group_for_one_of_its_session_and_founds_a_session() {
        let (mut kernel, mut guest, first) = machine();
        let (pid, tid) = kernel.spawn(shim_abi::SimTime::ZERO, "child");
        let leader = kernel.process_of(first).unwrap();
        let child = kernel.processes.get_mut(&pid).unwrap();
        (child.group, child.session) = (leader, leader);
        kernel.take_published(pid);
        let mut call = |number, a: u64, b: u64| {
            let result = kernel.do_call(tid, number, [a, b, 0, 0, 0, 0], &mut guest);
            let published = kernel.take_published(pid);
            (result, published.map(|published| (published.group, published.session)))
        };
        assert_eq!(call(nr::setpgid, 0, 1), (Errno::EPERM.as_return(), None), "another session's");
        assert_eq!(call(nr::setpgid, 0, 0), (0, Some((1001, 1000))));
        assert_eq!(call(nr::setsid, 0, 0), (Errno::EPERM.as_return(), None), "it leads a group");
        assert_eq!(call(nr::setpgid, 0, 1000), (0, Some((1000, 1000))));
        assert_eq!(call(nr::setsid, 0, 0), (1001, Some((1001, 1001))));
    }
}
