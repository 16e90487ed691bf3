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
