//! Open files, and who refers to them.
//!
//! Objects in, a [`FileId`] out; references come and go. Always true: a file's count is the number of
//! descriptors of all processes that name it, plus the parked calls that use it; at zero it is gone, its object
//! with it, and whoever can see that is told. What an object does is in its own file.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use shim_abi::process::MAX_DESCRIPTORS;
use shim_abi::{Errno, SimTime};

use super::epoll::{Epoll, Watcher};
use super::event::Event;
use super::locks::FileLocks;
use super::owner::Owner;
use super::pipe::{PipeEnd, Pipes};
use super::process::{Task, Tasks};
use super::signals::SignalWatchers;
use super::timer::{Cancelables, Timer};
use super::transfer::Transfer;
use super::watch::{Watchers, Watches};
use crate::context::Context;
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::mqueue::QueueId;
use crate::socket::SocketId;
use crate::waiters::Source;

/// A file that somebody has opened: what POSIX calls an open file description. Numbers are not used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct FileId(pub(crate) u32);

/// What a descriptor's number stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Descriptor {
    pub(crate) file: FileId,
    pub(crate) is_close_on_exec: bool,
}

/// What a file is.
#[derive(Debug)]
pub(crate) enum Object {
    /// One end of a pipe.
    Pipe(PipeEnd),
    /// A counter, see eventfd(2).
    Event(Event),
    /// An epoll instance.
    Epoll(Epoll),
    /// A timer, see timerfd_create(2).
    Timer(Timer),
    /// Signals of whoever reads, see signalfd(2): which.
    Signals(u64),
    /// Watches of native files, see inotify(7).
    Watches(Watches),
    /// A process or a thread, see pidfd_open(2).
    Task(Task),
    /// A socket.
    Socket(SocketId),
    /// A message queue, and how far its text has been read.
    Queue { queue: QueueId, position: u32 },
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) object: Object,
    /// What F_GETFL shows: the access mode, O_NONBLOCK, O_DIRECT and so on.
    pub(crate) status_flags: u32,
    references: u32,
    /// For `fstat`.
    pub(crate) inode: u64,
    /// Calendar time of its making, for `fstat`.
    pub(crate) made_ns: u64,
    /// Who gets SIGIO.
    pub(crate) owner: Owner,
    /// The epoll entries that watch it, in the order of their making.
    pub(super) watchers: Vec<Watcher>,
}

impl OpenFile {
    /// Whether calls on it do not wait.
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.status_flags & libc::O_NONBLOCK as u32 != 0
    }
    /// Whether its owner gets signals when it is ready for something.
    pub(crate) fn signals(&self) -> bool {
        self.status_flags & libc::O_ASYNC as u32 != 0
    }
    /// Whether it was opened for reading.
    pub(crate) fn is_readable(&self) -> bool {
        self.status_flags & libc::O_ACCMODE as u32 != libc::O_WRONLY as u32
    }
    /// Whether it was opened for writing.
    pub(crate) fn is_writable(&self) -> bool {
        self.status_flags & libc::O_ACCMODE as u32 != libc::O_RDONLY as u32
    }
}

/// All open files of a host.
#[derive(Debug, Default)]
pub(crate) struct Files {
    open: BTreeMap<FileId, OpenFile>,
    last_file: u32,
    last_inode: u64,
    pub(super) pipes: Pipes,
    pub(super) cancelables: Cancelables,
    pub(super) signal_watchers: SignalWatchers,
    pub(super) tasks: Tasks,
    pub(super) locks: FileLocks,
    pub(super) watchers: Watchers,
    parked: BTreeMap<VirtualTid, ParkedCall>,
    /// References that are about to go, and whether they are going.
    released: Vec<FileId>,
    is_releasing: bool,
    /// Sockets that one refers to less, so that perhaps only sockets do that nobody can reach.
    suspects: Vec<SocketId>,
}

/// What a parked call on files keeps.
#[derive(Debug, Default)]
struct ParkedCall {
    /// The files that it uses: they stay although another thread may close their descriptors.
    files: Vec<FileId>,
    /// How far its bytes have got.
    transfer: Option<Transfer>,
}

/// The inode that all files share which are neither pipe nor process.
const ANONYMOUS_INODE: u64 = 1038;
/// The inode before the first of a pipe.
const INODES_START: u64 = 20_000;

impl Files {
    /// An open file: there is one as long as somebody refers to it.
    pub(crate) fn get(&self, id: FileId) -> Result<&OpenFile, Errno> {
        self.open.get(&id).ok_or(Errno::EBADF)
    }
    /// An open file, to be changed.
    pub(crate) fn get_mut(&mut self, id: FileId) -> Result<&mut OpenFile, Errno> {
        self.open.get_mut(&id).ok_or(Errno::EBADF)
    }
    /// Whether a file is about signals, so that who waits for it waits for those, too.
    pub(super) fn has_signals(&self, id: FileId) -> bool {
        self.get(id).is_ok_and(|file| matches!(file.object, Object::Signals(_)))
    }
    /// An inode number that nobody has.
    pub(crate) fn new_inode(&mut self) -> u64 {
        self.last_inode += 1;
        INODES_START + self.last_inode
    }
    /// Keep what a call needs when it is woken.
    pub(super) fn keep_transfer(&mut self, tid: VirtualTid, transfer: Transfer) {
        self.parked.entry(tid).or_default().transfer = Some(transfer);
    }
    /// What [`Files::keep_transfer`] kept.
    pub(super) fn take_transfer(&mut self, tid: VirtualTid) -> Option<Transfer> {
        self.parked.get_mut(&tid)?.transfer.take()
    }
    /// One more refers to a file.
    pub(crate) fn retain(&mut self, id: FileId) {
        if let Some(file) = self.open.get_mut(&id) {
            file.references += 1;
        }
    }
    /// How many refer to a file.
    pub(crate) fn reference_count(&self, id: FileId) -> usize {
        self.get(id).map_or(0, |file| file.references as usize)
    }
    /// A call of `tid` parks on these files: they stay until it ends.
    pub(crate) fn hold(&mut self, tid: VirtualTid, sources: &[Source]) {
        if self.parked.get(&tid).is_some_and(|parked| !parked.files.is_empty()) {
            return;
        }
        let file_of = |source: &Source| match *source {
            Source::File(id) => Some(id),
            _ => None,
        };
        let files: Vec<FileId> = sources.iter().filter_map(file_of).collect();
        if files.is_empty() {
            return;
        }
        files.iter().for_each(|&id| self.retain(id));
        self.parked.entry(tid).or_default().files = files;
    }
}

impl Kernel {
    /// A new file, to which nobody refers yet; `inode` if it has one of its own.
    pub(crate) fn open_file(
        &mut self,
        now: SimTime,
        object: Object,
        status_flags: u32,
        inode: Option<u64>,
    ) -> FileId {
        let made_ns = u64::try_from(self.realtime_ns(now)).unwrap_or(0);
        let inode = inode.unwrap_or(ANONYMOUS_INODE);
        self.files.last_file += 1;
        let id = FileId(self.files.last_file);
        let owner = Owner::default();
        let (references, watchers) = (0, Vec::new());
        let file = OpenFile { object, status_flags, references, inode, made_ns, owner, watchers };
        self.files.open.insert(id, file);
        id
    }

    /// Somebody refers to a file no more. What goes with it (a socket may hold others) goes one by one.
    pub(crate) fn release(&mut self, now: SimTime, id: FileId) {
        self.files.released.push(id);
        if self.files.is_releasing {
            return;
        }
        self.files.is_releasing = true;
        loop {
            while let Some(id) = self.files.released.pop() {
                self.release_one(now, id);
            }
            let suspects = core::mem::take(&mut self.files.suspects);
            if suspects.is_empty() {
                break;
            }
            self.collect_sockets(now, &suspects);
        }
        self.files.is_releasing = false;
    }

    fn release_one(&mut self, now: SimTime, id: FileId) {
        let Some(file) = self.files.open.get_mut(&id) else { return };
        file.references = file.references.saturating_sub(1);
        if file.references > 0 {
            if let Object::Socket(socket) = file.object {
                self.files.suspects.push(socket);
            }
            return;
        }
        self.drop_file_locks(now, id);
        let Some(file) = self.files.open.remove(&id) else { return };
        self.files.forget_watched(id, file.watchers);
        match file.object {
            Object::Pipe(end) => self.close_pipe_end(now, id, end),
            Object::Epoll(epoll) => self.files.forget_watcher(id, &epoll),
            Object::Timer(timer) => self.close_timer(id, timer),
            Object::Task(task) => self.close_task(id, task),
            Object::Event(_) | Object::Signals(_) => {}
            Object::Watches(watches) => self.close_watches(id, &watches),
            Object::Socket(socket) => self.close_socket(now, socket),
            Object::Queue { queue, .. } => self.close_queue(id, queue),
        }
    }

    /// What a new process inherits from `parent`: the same files under the same numbers.
    pub(crate) fn copy_descriptors(&mut self, parent: VirtualPid) -> BTreeMap<u32, Descriptor> {
        let Some(process) = self.processes.get(&parent) else { return BTreeMap::new() };
        let copy = process.descriptors.clone();
        copy.values().for_each(|descriptor| self.files.retain(descriptor.file));
        copy
    }

    /// A process has a new image: its other threads are gone, and some of its descriptors.
    pub(crate) fn close_on_exec(&mut self, now: SimTime, pid: VirtualPid) {
        self.end_parked_calls(now, pid);
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let mut closed = Vec::new();
        process.descriptors.retain(|_, descriptor| {
            if descriptor.is_close_on_exec {
                closed.push(descriptor.file);
            }
            !descriptor.is_close_on_exec
        });
        closed.into_iter().for_each(|id| self.let_go(now, pid, id));
    }

    /// A process is over: so are its threads' calls, and all its descriptors are closed.
    pub(crate) fn close_all(&mut self, now: SimTime, pid: VirtualPid) {
        self.end_parked_calls(now, pid);
        self.files.signal_watchers.retain(|(watcher, ..)| *watcher != pid);
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let closed = core::mem::take(&mut process.descriptors);
        closed.into_values().for_each(|descriptor| self.let_go(now, pid, descriptor.file));
    }

    /// Forget what parked calls of a process, or of threads that are gone, keep.
    fn end_parked_calls(&mut self, now: SimTime, pid: VirtualPid) {
        let is_over =
            |tid: &VirtualTid| self.threads.get(tid).is_none_or(|thread| thread.pid == pid);
        let over: Vec<VirtualTid> = self.files.parked.keys().copied().filter(is_over).collect();
        let receivers: Vec<VirtualTid> = self.sockets.receivers().filter(is_over).collect();
        over.into_iter().for_each(|tid| self.end_parked_call(now, tid));
        receivers.into_iter().for_each(|tid| self.forget_arrived(now, tid));
    }

    /// A call of `tid` has ended: it uses no file any more.
    pub(crate) fn end_parked_call(&mut self, now: SimTime, tid: VirtualTid) {
        self.end_exchange(now, tid);
        if let Some(parked) = self.files.parked.remove(&tid) {
            parked.files.into_iter().for_each(|id| self.release(now, id));
        }
    }
}

impl Context<'_> {
    /// The file behind one of the caller's descriptors: EBADF if there is none.
    pub(crate) fn file(&self, fd: u32) -> Result<FileId, Errno> {
        let descriptor = self.process().descriptors.get(&fd).ok_or(Errno::EBADF)?;
        Ok(descriptor.file)
    }

    /// Give the caller's descriptor `fd` to a file; what it was before is closed. The number is one that
    /// [`check_number`] has accepted.
    pub(crate) fn install(&mut self, fd: u32, file: FileId, is_close_on_exec: bool) {
        if let Some(old) = self.exchange_descriptor(fd, file, is_close_on_exec) {
            self.kernel.let_go(self.now, self.pid, old);
        }
    }

    /// The same; what the descriptor was before, which is to be let go.
    pub(super) fn exchange_descriptor(
        &mut self,
        fd: u32,
        file: FileId,
        is_close_on_exec: bool,
    ) -> Option<FileId> {
        self.kernel.files.retain(file);
        let descriptor = Descriptor { file, is_close_on_exec };
        self.process_mut().descriptors.insert(fd, descriptor).map(|old| old.file)
    }

    /// Open a file under the number that the shim has reserved; `flags` are those of the call.
    pub(crate) fn create(
        &mut self,
        fd: u32,
        object: Object,
        status_flags: u32,
        flags: u32,
    ) -> Result<FileId, Errno> {
        check_number(fd)?;
        let id = self.kernel.open_file(self.now, object, status_flags, None);
        self.install(fd, id, flags & libc::O_CLOEXEC as u32 != 0);
        Ok(id)
    }
}

/// What the shim says if it has no number for a new descriptor.
const NO_NUMBER: u32 = u32::MAX;

/// EMFILE if the shim has no number, EBADF for one that no descriptor has.
pub(crate) fn check_number(fd: u32) -> Result<(), Errno> {
    match fd {
        NO_NUMBER => Err(Errno::EMFILE),
        _ if (fd as usize) < MAX_DESCRIPTORS => Ok(()),
        _ => Err(Errno::EBADF),
    }
}

#[cfg(test)]
impl Files {
    /// The files that parked calls use.
    pub(super) fn held(&self) -> impl Iterator<Item = FileId> {
        self.parked.values().flat_map(|parked| parked.files.iter().copied())
    }
    /// How many references each file counts.
    pub(super) fn references(&self) -> std::collections::BTreeMap<FileId, u32> {
        self.open.iter().map(|(&id, file)| (id, file.references)).collect()
    }
    /// The files by number.
    pub(super) fn all(&self) -> impl Iterator<Item = (FileId, &OpenFile)> {
        self.open.iter().map(|(&id, file)| (id, file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use crate::testing::{DATA, TestGuest, machine};
    use shim_abi::calls::nr;

    const NOW: SimTime = SimTime::ZERO;

    fn pipe(kernel: &mut Kernel, tid: VirtualTid, guest: &mut TestGuest, flags: i32) {
        let args = [DATA, flags as u64, 3, 4, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::pipe2, args, guest), 0);
    }

    #[test]
    fn a_file_lives_as_long_as_a_process_refers_to_it() {
        let (mut kernel, mut guest, tid) = machine();
        pipe(&mut kernel, tid, &mut guest, libc::O_CLOEXEC);
        let copy = kernel.copy_descriptors(VirtualPid(tid.0));
        let (child, _) = kernel.spawn(NOW, "child");
        kernel.processes.get_mut(&child).unwrap().descriptors = copy;
        assert_eq!(kernel.files.get(FileId(1)).unwrap().references, 2);
        kernel.close_all(NOW, VirtualPid(tid.0));
        assert_eq!(kernel.files.open.len(), 2);
        kernel.close_on_exec(NOW, child);
        assert_eq!(kernel.files.open.len(), 0);
        assert!(kernel.processes[&child].descriptors.is_empty());
    }

    #[test]
    fn a_parked_call_keeps_its_file_until_it_ends() {
        let (mut kernel, mut guest, tid) = machine();
        pipe(&mut kernel, tid, &mut guest, 0);
        let read = [3, DATA, 1, 0, 0, 0];
        assert_eq!(kernel.call(NOW, tid, nr::read, read, &mut guest), Outcome::Park);
        kernel.close_all(NOW, VirtualPid(7));
        assert_eq!(kernel.files.get(FileId(1)).unwrap().references, 2, "not its process");
        kernel.close_all(NOW, VirtualPid(tid.0));
        assert!(kernel.files.open.is_empty() && kernel.files.parked.is_empty());
    }

    #[test]
    fn a_number_that_no_descriptor_has_leaves_nothing_behind() {
        let (mut kernel, mut guest, tid) = machine();
        for (first, second, errno) in [(4096, 4, Errno::EBADF), (3, u64::MAX, Errno::EMFILE)] {
            let args = [DATA, 0, first, second, 0, 0];
            let result = kernel.do_call(tid, nr::pipe2, args, &mut guest);
            assert_eq!(result, errno.as_return());
        }
        assert!(kernel.files.open.is_empty());
    }
}
