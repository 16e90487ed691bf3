//! Process groups and sessions: `setpgid`, `getpgid`, `setsid`, `getsid`.
//!
//! Ids in, ids out. Always true: a process that leads a session stays what it is, and each process that a simulator
//! starts leads one; the processes of a group are of one session; a group is there as long as one of its processes
//! is, be it a zombie. What a stopped group comes to that loses its last connection is in `life::end`.

use shim_abi::Errno;

use crate::context::{Answer, Context, done};
use crate::ids::VirtualPid;
use crate::task::Process;

pub(crate) fn setpgid(context: &mut Context<'_>, pid: i32, group: i32) -> Answer {
    let own = context.pid.0 as i32;
    let pid = if pid == 0 { own } else { pid };
    let group = if group == 0 { pid } else { group };
    if group < 0 {
        return Err(Errno::EINVAL);
    }
    let tid = context.find_thread(pid)?;
    let pid = VirtualPid(tid.0);
    let Some(process) = context.kernel.processes.get(&pid) else { return Err(Errno::EINVAL) };
    let session = context.process().session;
    if process.parent == context.pid {
        if process.session != session {
            return Err(Errno::EPERM);
        }
        if process.images > 0 {
            return Err(Errno::EACCES);
        }
    } else if pid != context.pid {
        return Err(Errno::ESRCH);
    }
    if process.session == pid {
        return Err(Errno::EPERM);
    }
    let group = VirtualPid(group as u32);
    let is_there = |other: &Process| other.group == group && other.session == session;
    if group != pid && !context.kernel.processes.values().any(is_there) {
        return Err(Errno::EPERM);
    }
    if let Some(process) = context.kernel.processes.get_mut(&pid) {
        process.group = group;
        process.is_changed = true;
    }
    done(0)
}

pub(crate) fn setsid(context: &mut Context<'_>) -> Answer {
    let pid = context.pid;
    if context.process().session == pid
        || context.kernel.processes.values().any(|process| process.group == pid)
    {
        return Err(Errno::EPERM);
    }
    let process = context.process_mut();
    (process.group, process.session, process.is_changed) = (pid, pid, true);
    done(pid.0.into())
}

pub(crate) fn getpgid(context: &mut Context<'_>, pid: i32) -> Answer {
    done(context.process_named(pid)?.group.0.into())
}

pub(crate) fn getsid(context: &mut Context<'_>, pid: i32) -> Answer {
    done(context.process_named(pid)?.session.0.into())
}

impl Context<'_> {
    /// The process of the thread with this number, 0 being the caller: ESRCH if there is none.
    fn process_named(&self, id: i32) -> Result<&Process, Errno> {
        let tid = self.find_thread(id)?;
        let pid = self.kernel.process_of(tid).ok_or(Errno::ESRCH)?;
        self.kernel.processes.get(&pid).ok_or(Errno::ESRCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestGuest, machine};
    use crate::{Kernel, VirtualTid};
    use shim_abi::SimTime;
    use shim_abi::calls::nr;

    fn call(
        (kernel, guest): (&mut Kernel, &mut TestGuest),
        tid: VirtualTid,
        number: u32,
        args: [i64; 2],
    ) -> i64 {
        let [a, b] = args.map(|arg| arg as u64);
        kernel.do_call(tid, number, [a, b, 0, 0, 0, 0], guest)
    }

    #[test]
    fn the_leader_of_a_session_stays_it() {
        let (mut kernel, mut guest, tid) = machine();
        kernel.spawn(SimTime::ZERO, "another session");
        let [inval, perm, srch] = [Errno::EINVAL, Errno::EPERM, Errno::ESRCH].map(Errno::as_return);
        for (pid, group, expected) in [
            (0, 0, perm),
            (-1, 0, inval),
            (0, -1, inval),
            (999_999, -1, inval),
            (999_999, 0, srch),
            (0, 999_999, perm),
            (0, 1, perm),
            (1, 0, srch),
            (1001, 0, srch),
        ] {
            let got = call((&mut kernel, &mut guest), tid, nr::setpgid, [pid, group]);
            assert_eq!(got, expected, "{pid} {group}");
        }
        assert_eq!(call((&mut kernel, &mut guest), tid, nr::setsid, [0, 0]), perm);
    }

    #[test]
    fn a_child_is_put_into_a_group_until_it_executes() {
        let (mut kernel, mut guest, tid) = machine();
        let [a, b] = [0; 2].map(|_| kernel.fork(tid, 0, &mut guest));
        let thread = kernel.add_thread(b, &mut guest);
        let [acces, inval, perm, srch] =
            [Errno::EACCES, Errno::EINVAL, Errno::EPERM, Errno::ESRCH].map(Errno::as_return);
        let mut machine = (kernel, guest);
        let setpgid = |machine: &mut (Kernel, TestGuest), tid, args| {
            let (kernel, guest) = machine;
            call((kernel, guest), tid, nr::setpgid, args)
        };
        assert_eq!(setpgid(&mut machine, tid, [1002, 1001]), perm, "no such group");
        assert_eq!(setpgid(&mut machine, tid, [1001, 1001]), 0);
        assert_eq!(setpgid(&mut machine, tid, [1002, 1001]), 0);
        assert_eq!(setpgid(&mut machine, tid, [1003, 0]), inval, "a thread");
        assert_eq!(setpgid(&mut machine, a, [1002, 0]), srch, "not its child");
        for (of, expected) in [(0, 1000), (1001, 1001), (1002, 1001), (1003, 1001), (1, 1)] {
            let (kernel, guest) = (&mut machine.0, &mut machine.1);
            assert_eq!(call((kernel, guest), tid, nr::getpgid, [of, 0]), expected);
        }
        let (kernel, guest) = (&mut machine.0, &mut machine.1);
        assert_eq!(call((kernel, guest), tid, nr::getpgid, [-1, 0]), srch);
        assert_eq!(call((kernel, guest), thread, nr::getsid, [0, 0]), 1000);
        machine.0.exec_started(SimTime::ZERO, b, &mut machine.1);
        assert_eq!(setpgid(&mut machine, tid, [1002, 0]), acces);
        assert_eq!(setpgid(&mut machine, b, [0, 0]), 0, "but itself it may");
        // In another session it is out of reach.
        let (kernel, guest) = (&mut machine.0, &mut machine.1);
        assert_eq!(call((kernel, guest), b, nr::setsid, [0, 0]), perm, "it leads a group");
        let c = kernel.fork(tid, 0, guest);
        assert_eq!(call((kernel, guest), c, nr::setsid, [0, 0]), i64::from(c.0));
        assert_eq!(call((kernel, guest), tid, nr::getsid, [c.0.into(), 0]), i64::from(c.0));
        let (c, own) = (c.0.into(), c.0);
        assert_eq!(setpgid(&mut machine, tid, [c, 0]), perm);
        let published = machine.0.take_published(VirtualPid(own)).unwrap();
        assert_eq!((published.group, published.session), (own, own));
    }

    #[test]
    fn a_zombie_keeps_its_group() {
        let (mut kernel, mut guest, tid) = machine();
        let [a, b] = [0; 2].map(|_| kernel.fork(tid, 0, &mut guest));
        assert_eq!(call((&mut kernel, &mut guest), a, nr::setpgid, [0, 0]), 0);
        kernel.end(VirtualPid(a.0), 0, &mut guest);
        assert_eq!(call((&mut kernel, &mut guest), b, nr::setpgid, [0, a.0.into()]), 0);
    }
}
