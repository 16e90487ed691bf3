//! Guests as the kernel sees them.
//!
//! The kernel's questions in, answers from the supervisor's guest and from the blocks of the others out. Always
//! true: what the supervisor allocates for an answer does not land in the kernel's arena; the answers are a guest's
//! allegations, and the kernel knows it. What it makes of them is policy, and not here.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::names::Names;
use shim_abi::process::{ProcessBlock, descriptor};
use shim_arena::outside;
use shim_kernel::{Backing, GuestAddr, Guests, VirtualPid};
use shim_supervisor::{Guest, HostMemory, Post, Segment};

use crate::watchers;

/// The blocks of the host's living processes, and what memory they share.
pub(crate) struct Blocks {
    memory: Arc<HostMemory>,
    indices: BTreeMap<VirtualPid, u32>,
    /// Memory that guests share, by the number that their shims know it by.
    segments: BTreeMap<u32, Segment>,
    /// Where guests send native files, once one has.
    post: Option<Post>,
    /// What the calling guest has sent: by its descriptors' numbers.
    sent: Vec<(u32, OwnedFd)>,
    /// The files that are under way, and watchers, by the numbers that we have them under, and what they are to guests.
    files: BTreeMap<u32, (OwnedFd, u8)>,
}

impl Blocks {
    pub(crate) fn new(memory: Arc<HostMemory>) -> Blocks {
        let (indices, segments, files) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Blocks { memory, indices, segments, post: None, sent: Vec::new(), files }
    }

    /// Where guests send native files; an error's number if there can be no such place.
    pub(crate) fn port(&mut self) -> i64 {
        if self.post.is_none() {
            match Post::new() {
                Ok(post) => self.post = Some(post),
                Err(error) => {
                    log::warn!("guests cannot send each other native files: {error}");
                    return Errno::EOPNOTSUPP.as_return();
                }
            }
        }
        self.post.as_ref().map_or(0, |post| post.port() as i64)
    }

    /// A call is over: what it was sent for and did not take is closed.
    pub(crate) fn end_call(&mut self) {
        if !self.sent.is_empty() {
            outside(|| self.sent.clear());
        }
    }

    pub(crate) fn memory(&self) -> &Arc<HostMemory> {
        &self.memory
    }

    /// A process lives, and has this block.
    pub(crate) fn add(&mut self, pid: VirtualPid, index: u32) {
        self.indices.insert(pid, index);
    }

    pub(crate) fn remove(&mut self, pid: VirtualPid) {
        self.indices.remove(&pid);
    }

    /// The session that a process is in; 0 if it is not there.
    pub(crate) fn session_of(&self, pid: VirtualPid) -> u32 {
        self.block(pid).map_or(0, |block| block.session.load(Relaxed))
    }

    fn watcher(&self, number: u32) -> Result<&OwnedFd, Errno> {
        self.files.get(&number).map(|(watcher, _)| watcher).ok_or(Errno::EBADF)
    }

    fn unwatch(&self, watcher: u32, watch: i32) -> Result<(), Errno> {
        watchers::unwatch(self.watcher(watcher)?, watch)
    }

    fn block(&self, pid: VirtualPid) -> Option<&ProcessBlock> {
        self.indices.get(&pid).and_then(|&index| self.memory.process(index))
    }
}

impl Guests for Blocks {
    fn action_of(&self, pid: VirtualPid, signal: u32) -> (u64, u64) {
        self.block(pid).map_or((0, 0), |block| action(block, signal))
    }

    fn make_memory(&mut self, bytes: u64) -> Result<u32, Errno> {
        outside(|| {
            let segment = Segment::new(bytes).map_err(|error| match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE) => Errno::ENFILE,
                _ => Errno::ENOMEM,
            })?;
            let number = segment.number();
            self.segments.insert(number, segment);
            Ok(number)
        })
    }

    fn drop_memory(&mut self, number: u32) {
        outside(|| drop(self.segments.remove(&number)));
    }

    fn drop_file(&mut self, number: u32) {
        outside(|| drop(self.files.remove(&number)));
    }

    fn read_watcher(&mut self, watcher: u32, to: &mut [u8]) -> usize {
        outside(|| self.files.get(&watcher).map_or(0, |(watcher, _)| watchers::read(watcher, to)))
    }

    fn end_watch(&mut self, watcher: u32, watch: i32) {
        // One that has ended by itself is not there any more.
        let _ = outside(|| self.unwatch(watcher, watch));
    }
}

/// The calling thread, and the others.
pub(crate) struct View<'a> {
    pub(crate) guest: &'a mut Guest,
    pub(crate) blocks: &'a mut Blocks,
}

impl Guests for View<'_> {
    fn action_of(&self, pid: VirtualPid, signal: u32) -> (u64, u64) {
        self.blocks.action_of(pid, signal)
    }

    fn make_memory(&mut self, bytes: u64) -> Result<u32, Errno> {
        self.blocks.make_memory(bytes)
    }

    fn drop_memory(&mut self, number: u32) {
        self.blocks.drop_memory(number);
    }

    fn drop_file(&mut self, number: u32) {
        self.blocks.drop_file(number);
    }

    fn read_watcher(&mut self, watcher: u32, to: &mut [u8]) -> usize {
        self.blocks.read_watcher(watcher, to)
    }

    fn end_watch(&mut self, watcher: u32, watch: i32) {
        self.blocks.end_watch(watcher, watch);
    }
}

impl shim_kernel::Guest for View<'_> {
    fn read(&mut self, from: GuestAddr, to: &mut [u8]) -> Result<(), Errno> {
        outside(|| self.guest.memory().read(from.0, to))
    }

    fn write(&mut self, to: GuestAddr, bytes: &[u8]) -> Result<(), Errno> {
        outside(|| self.guest.memory().write(to.0, bytes))
    }

    fn flush(&mut self) -> Result<(), Errno> {
        outside(|| self.guest.memory().flush())
    }

    fn action(&self, signal: u32) -> (u64, u64) {
        action(self.guest.process(), signal)
    }

    fn signal_mask(&self) -> u64 {
        self.guest.thread().signal_mask.load(Relaxed)
    }

    fn cpu_ns(&self) -> u64 {
        self.guest.process().cpu_ns.load(Relaxed)
    }

    fn thread_cpu_ns(&self) -> u64 {
        self.guest.thread().cpu_ns.load(Relaxed)
    }

    fn backing(&mut self, at: GuestAddr) -> Result<Option<Backing>, Errno> {
        let found = outside(|| self.guest.backing(at.0))?;
        Ok(found.map(|found| Backing {
            device: found.device,
            inode: found.inode,
            offset: found.offset,
        }))
    }

    fn take_file(&mut self, fd: u32) -> Result<u32, Errno> {
        let View { guest, blocks } = self;
        outside(|| {
            if blocks.sent.is_empty() {
                let mark = guest.thread().tid.load(Relaxed).into();
                blocks.sent = blocks.post.as_ref().ok_or(Errno::EBADF)?.collect(mark);
            }
            let index = blocks.sent.iter().position(|&(number, _)| number == fd);
            let (_, file) = blocks.sent.remove(index.ok_or(Errno::EBADF)?);
            let number = file.as_raw_fd() as u32;
            blocks.files.insert(number, (file, guest.process().descriptor(fd)));
            Ok(number)
        })
    }

    fn send_file(&mut self, number: u32, port: u64) -> Result<u8, Errno> {
        outside(|| {
            let (file, kind) = self.blocks.files.get(&number).ok_or(Errno::EBADF)?;
            let post = self.blocks.post.as_ref().ok_or(Errno::EBADF)?;
            post.deliver(port, file.as_fd(), *kind).map_err(|_| Errno::EBADF)?;
            Ok(*kind)
        })
    }

    fn make_watcher(&mut self) -> Result<u32, Errno> {
        outside(|| {
            let watcher = watchers::make()?;
            let number = watcher.as_raw_fd() as u32;
            self.blocks.files.insert(number, (watcher, descriptor::NATIVE));
            Ok(number)
        })
    }

    fn watch(&mut self, watcher: u32, fd: u32, mask: u32) -> Result<i32, Errno> {
        let pid = self.guest.native_pid();
        outside(|| watchers::watch(self.blocks.watcher(watcher)?, pid, fd, mask))
    }

    fn unwatch(&mut self, watcher: u32, watch: i32) -> Result<(), Errno> {
        outside(|| self.blocks.unwatch(watcher, watch))
    }

    fn names(&self) -> Names<'_> {
        self.blocks.memory.names().view()
    }

    fn user_ids(&self) -> [u32; 3] {
        self.guest.thread().user_ids.each_ref().map(|id| id.load(Relaxed))
    }

    fn group_ids(&self) -> [u32; 3] {
        self.guest.thread().group_ids.each_ref().map(|id| id.load(Relaxed))
    }
}

fn action(block: &ProcessBlock, signal: u32) -> (u64, u64) {
    match block.actions.get((signal as usize).wrapping_sub(1)) {
        Some(action) => (action.handler.load(Relaxed), action.flags.load(Relaxed)),
        None => (0, 0),
    }
}
