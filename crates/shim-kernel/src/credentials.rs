//! Who may do what to another process: the rules that compare users and groups.
//!
//! A caller and a thread in, yes or no out. Always true: a caller whose effective user is 0 may do everything to
//! everybody but the machine's first process; whose another thread is, is what it said with its last call, and its shim
//! makes one when that changes. Not here: who may use an object (`sysv`, `mqueue`), and what a process may do to
//! itself.

use alloc::vec::Vec;

use crate::context::{Answer, Context, done};
use crate::guest::Ids;
use crate::ids::{VirtualPid, VirtualTid};

/// Real, effective and saved id.
const REAL: usize = 0;
const EFFECTIVE: usize = 1;
const SAVED: usize = 2;

/// The shim's call after one that changed whose the caller is: nothing else is to be done.
pub(crate) fn changed(_: &mut Context<'_>) -> Answer {
    done(0)
}

impl Context<'_> {
    /// Whose the caller is.
    fn ids(&self) -> Ids {
        self.thread().ids
    }

    /// Whose a thread is.
    fn ids_of(&self, tid: VirtualTid) -> Ids {
        self.kernel.threads.get(&tid).map_or_else(Ids::default, |thread| thread.ids)
    }

    /// By a rule that compares the caller's ids to those of a thread that is not in its process.
    fn may(&self, tid: VirtualTid, rule: impl FnOnce(Ids, Ids) -> bool) -> bool {
        if tid == VirtualPid::INIT.leader() {
            return false;
        }
        let own = self.ids();
        let is_own = self.kernel.process_of(tid) == Some(self.pid);
        is_own || own.users[EFFECTIVE] == 0 || rule(own, self.ids_of(tid))
    }

    /// Whether the caller may send a signal to a thread. See kill(2).
    pub(crate) fn may_signal(&self, tid: VirtualTid, signal: u32) -> bool {
        let session = |pid| self.kernel.processes.get(&pid).map(|process| process.session);
        let is_same_session =
            || self.kernel.process_of(tid).and_then(session) == Some(self.process().session);
        self.may(tid, |own, other| {
            let known = [other.users[REAL], other.users[SAVED]];
            own.users[..=EFFECTIVE].iter().any(|user| known.contains(user))
                || signal == libc::SIGCONT as u32 && is_same_session()
        })
    }

    /// Whether the caller may change how a thread is scheduled. See setpriority(2), sched(7).
    pub(crate) fn may_schedule(&self, tid: VirtualTid) -> bool {
        self.may(tid, |own, other| other.users[..=EFFECTIVE].contains(&own.users[EFFECTIVE]))
    }

    /// Whether the caller may change the I/O priority of a thread. See ioprio_set(2).
    pub(crate) fn may_schedule_io(&self, tid: VirtualTid) -> bool {
        self.may(tid, |own, other| own.users[..=EFFECTIVE].contains(&other.users[REAL]))
    }

    /// Whether the caller may look into a process, and change its limits: all ids of it are the caller's real ones.
    /// See ptrace(2), "Ptrace access mode checking", and prlimit(2).
    pub(crate) fn may_inspect(&self, tid: VirtualTid) -> bool {
        self.may(tid, |own, other| {
            other.users == [own.users[REAL]; 3] && other.groups == [own.groups[REAL]; 3]
        })
    }

    /// The threads of all processes of a user.
    pub(crate) fn threads_of_user(&self, user: u32) -> Vec<VirtualTid> {
        let init = VirtualPid::INIT.leader();
        let threads = self.kernel.threads.keys().copied();
        threads.filter(|&tid| tid != init && self.ids_of(tid).users[REAL] == user).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestGuest, UID, machine};
    use crate::{Kernel, Outcome};
    use shim_abi::calls::nr;
    use shim_abi::{Errno, SimTime};

    const EPERM: i64 = Errno::EPERM.as_return();
    const ESRCH: i64 = Errno::ESRCH.as_return();

    /// A process of its own, whose ids are these.
    fn other(kernel: &mut Kernel, users: [u32; 3], groups: [u32; 3]) -> (VirtualTid, TestGuest) {
        let (_, tid) = kernel.spawn(SimTime::ZERO, "other");
        let mut guest = TestGuest::new();
        (guest.users, guest.groups) = (users, groups);
        (tid, guest)
    }

    /// What a call on `tid` gives one of other users, of `session` if it is another one.
    fn results(users: [u32; 3], signal: i32) -> [i64; 5] {
        let (mut kernel, mut guest, tid) = machine();
        let (caller, mut calling) = other(&mut kernel, users, [UID + 1; 3]);
        assert_eq!(kernel.do_call(tid, nr::getpriority, [0; 6], &mut guest), 20);
        let target = u64::from(tid.0);
        [
            (nr::kill, [target, signal as u64, 0, 0, 0, 0]),
            (nr::setpriority, [0, target, 19, 0, 0, 0]),
            (nr::ioprio_set, [1, target, 2 << 13, 0, 0, 0]),
            (nr::prlimit64, [target, 0, 0, 0, 0, 0]),
            (nr::getpriority, [2, UID.into(), 0, 0, 0, 0]),
        ]
        .map(|(number, args)| {
            match kernel.call(SimTime::ZERO, caller, number, args, &mut calling) {
                Outcome::Done(value) => value,
                outcome => panic!("{outcome:?}"),
            }
        })
    }

    #[test]
    fn each_rule_compares_other_ids() {
        const OTHER: u32 = UID + 7;
        let nobodys = [EPERM; 4];
        for (users, expected) in [
            ([UID; 3], [0; 4]),
            ([OTHER, 0, OTHER], [0; 4]),
            ([OTHER; 3], nobodys),
            ([UID, OTHER, OTHER], [0, EPERM, 0, 0]),
            ([OTHER, UID, OTHER], [0, 0, 0, EPERM]),
            ([OTHER, OTHER, UID], nobodys),
            ([0, OTHER, OTHER], nobodys),
        ] {
            assert_eq!(results(users, 0)[..4], expected, "{users:?}");
        }
        let [continued, .., nice] = results([OTHER; 3], libc::SIGCONT);
        assert_eq!((continued, nice), (EPERM, 20), "each is in a session of its own");
        assert_ne!(nice, ESRCH);
    }
}
