//! What happens to a host's books when a guest makes a thread or a process, or replaces its image.
//!
//! The kernel's word and the guest that makes in; records of the new one out. Always true: whatever becomes of the
//! native clone, the kernel hears of it; a new thread stands at the end of those that are ready, and its first turn
//! is a reply to nothing that it said. When all this happens is `serve`'s; how it is done natively is
//! `shim-supervisor`'s.

use std::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::event::Reply;
use shim_kernel::{Outcome, VirtualPid, VirtualTid};
use shim_supervisor::{Ended, Guest, Identity};

use crate::host::Host;
use crate::observe::Observation;
use crate::serve::{Answer, Desk};
use crate::thread::{State, Thread};

impl Desk<'_> {
    /// `parent` makes the thread `tid` of process `pid`; what becomes of its call.
    pub(crate) fn bear(
        &mut self,
        parent: &mut Thread,
        pid: VirtualPid,
        tid: VirtualTid,
    ) -> Result<Outcome, Ended> {
        let blocks = if pid == parent.pid {
            parent.guest.add_thread(tid.0)
        } else {
            let identity = self.host.identity(parent, pid);
            parent.guest.add_process(&identity)
        };
        let made = match blocks {
            Ok(mut child) => parent.guest.make(&mut child).map(|made| made.map(|()| child)),
            Err(_) => Ok(Err(Errno::EAGAIN)),
        };
        let (result, is_parent_alive) = match made {
            Ok(Ok(child)) => {
                self.host.add_child(parent, child, pid, tid);
                (Ok(()), true)
            }
            Ok(Err(errno)) => (Err(errno), true),
            Err(Ended) => (Err(Errno::EAGAIN), false),
        };
        let (now, maker) = (parent.time, parent.tid);
        let outcome = self
            .host
            .machine
            .kernel_for(parent, |kernel, view| kernel.clone_done(now, maker, tid, result, view));
        if is_parent_alive { Ok(outcome) } else { Err(Ended) }
    }

    /// An image is up: the first of its process, or one that replaces another.
    pub(crate) fn start_image(&mut self, thread: &mut Thread) -> Answer {
        let Some(process) = self.host.processes.get_mut(&thread.pid) else {
            return Answer::Misbehaved("its process is not known");
        };
        let has_started = process.has_started;
        process.begin_image(&thread.guest, &mut self.host.lacks);
        thread.call = None;
        if has_started {
            let (now, tid) = (thread.time, thread.tid);
            let tid = self
                .host
                .machine
                .kernel_for(thread, |kernel, view| kernel.exec_started(now, tid, view));
            self.forget_others(thread);
            self.rename(thread, tid);
        }
        self.take_first_words(thread);
        Answer::Reply(Reply::Started)
    }

    /// What the new image's libc told the real kernel is the simulated one's to know.
    fn take_first_words(&mut self, thread: &mut Thread) {
        const ROBUST_LIST_BYTES: u64 = 24;
        let (now, tid) = (thread.time, thread.tid);
        let words = &thread.guest.thread().first_words;
        let [robust_list, cleared_word] = words.each_ref().map(|word| word.load(Relaxed));
        self.host.machine.kernel_for(thread, |kernel, view| {
            if robust_list != 0 {
                let args = [robust_list, ROBUST_LIST_BYTES, 0, 0, 0, 0];
                kernel.call(now, tid, nr::set_robust_list, args, view);
            }
            if cleared_word != 0 {
                let args = [cleared_word, 0, 0, 0, 0, 0];
                kernel.call(now, tid, nr::set_tid_address, args, view);
            }
        });
    }

    /// Another image took the place of all threads but this one.
    fn forget_others(&mut self, thread: &Thread) {
        let Some(process) = self.host.processes.get_mut(&thread.pid) else { return };
        let others: Vec<_> =
            process.threads.iter().copied().filter(|&tid| tid != thread.tid).collect();
        process.threads.retain(|&tid| tid == thread.tid);
        for tid in others {
            self.host.machine.kernel(|kernel| kernel.forget_ready(|other| other == tid));
            let Some(mut other) = self.host.threads.remove(&tid) else { continue };
            self.note_unfinished(&mut other);
            other.guest.forget();
        }
    }

    /// The thread has another number from now on: the one that executes an image becomes its process's first.
    fn rename(&mut self, thread: &mut Thread, tid: VirtualTid) {
        if let Some(process) = self.host.processes.get_mut(&thread.pid) {
            process.threads.remove(&thread.tid);
            process.threads.insert(tid);
        }
        thread.tid = tid;
        thread.guest.thread().tid.store(tid.0, Relaxed);
    }

    /// Tell of a call that will not return, if calls are told of.
    pub(crate) fn note_unfinished(&mut self, thread: &mut Thread) {
        let call = self.host.machine.call_of(thread);
        thread.call = None;
        if let Some((number, args)) = call
            && self.host.machine.config.is_tracing
        {
            let time = thread.time.max(thread.told);
            let what = Observation::Unfinished { number, args };
            self.host.tell(thread, time, what, self.observer);
        }
    }
}

impl Host {
    /// Who the new process `pid`, a child of `parent`'s maybe, is at its start.
    fn identity(&mut self, parent: &Thread, pid: VirtualPid) -> Identity {
        let block = parent.guest.process();
        let mut identity = Identity {
            pid: pid.0,
            tid: pid.leader().0,
            parent_pid: parent.pid.0,
            group: block.group.load(Relaxed),
            session: block.session.load(Relaxed),
            descriptor_limit: self.descriptor_limit,
            random: self.machine.kernel(|kernel| kernel.process_random_state(pid)),
        };
        if let Some(published) = self.machine.kernel(|kernel| kernel.take_published(pid)) {
            let limit = |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX);
            let (soft, hard) = published.descriptor_limit;
            identity.parent_pid = published.parent;
            identity.group = published.group;
            identity.session = published.session;
            identity.descriptor_limit = (limit(soft), limit(hard));
        }
        identity
    }

    /// `child` exists and waits for its first turn.
    fn add_child(&mut self, parent: &Thread, child: Guest, pid: VirtualPid, tid: VirtualTid) {
        if pid == parent.pid {
            if let Some(process) = self.processes.get_mut(&pid) {
                process.threads.insert(tid);
            }
        } else if let Some(process) = self.processes.get(&parent.pid) {
            let process = process.child(pid);
            self.interrupter.add(pid.0, child.interrupter());
            self.machine.blocks.add(pid, child.process_index());
            self.processes.insert(pid, process);
            self.census.processes += 1;
        }
        self.census.threads += 1;
        self.threads.insert(tid, Thread::new(child, (pid, tid), State::Born, parent.time));
        self.machine.kernel(|kernel| kernel.queue_ready(tid));
    }
}
