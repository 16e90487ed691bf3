//! A guest and a machine for tests.
//!
//! Always true: guest memory is one small region at [`DATA`]; everything else is a bad address.

pub(crate) mod bench;

use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use shim_abi::{Errno, SimTime};

use crate::{Backing, Config, Guest, GuestAddr, Guests, Kernel, Outcome, VirtualPid, VirtualTid};

/// Where the guest's memory begins.
pub(crate) const DATA: u64 = 0x10_000;
const BYTES: usize = 0x4000;
/// The guest's user id.
pub(crate) const UID: u32 = 1234;

/// A guest that does nothing by itself.
pub(crate) struct TestGuest {
    memory: Vec<u8>,
    pub(crate) actions: BTreeMap<u32, u64>,
    /// `SA_*` by signal.
    pub(crate) flags: BTreeMap<u32, u64>,
    pub(crate) mask: u64,
    pub(crate) cpu_ns: u64,
    /// Sizes of the memory that was made and not dropped; it is numbered from 100.
    pub(crate) segments: Vec<u64>,
    /// Real, effective and saved ids.
    pub(crate) users: [u32; 3],
    pub(crate) groups: [u32; 3],
    /// How often native files were taken and not dropped: each has its descriptor's number, which is 500 or more.
    pub(crate) files: BTreeMap<u32, usize>,
    /// How many watches watchers have been asked for; each sees somebody open its file once.
    pub(crate) watches: i32,
    seen: i32,
    /// Shared memory, and what stands behind its first byte.
    pub(crate) shared: Option<(core::ops::Range<u64>, Backing)>,
}

impl TestGuest {
    pub(crate) fn new() -> TestGuest {
        TestGuest {
            memory: vec![0; BYTES],
            actions: BTreeMap::new(),
            flags: BTreeMap::new(),
            mask: 0,
            cpu_ns: 0,
            users: [UID; 3],
            groups: [UID + 1; 3],
            segments: Vec::new(),
            files: BTreeMap::new(),
            watches: 0,
            seen: 0,
            shared: None,
        }
    }
    pub(crate) fn put_words(&mut self, at: u64, words: &[u64]) {
        for (i, word) in words.iter().enumerate() {
            self.write(GuestAddr(at + 8 * i as u64), &word.to_le_bytes()).unwrap();
        }
    }
    pub(crate) fn words<const N: usize>(&mut self, at: u64) -> [u64; N] {
        core::array::from_fn(|i| {
            let mut bytes = [0; 8];
            self.read(GuestAddr(at + 8 * i as u64), &mut bytes).unwrap();
            u64::from_le_bytes(bytes)
        })
    }
    fn range(&self, at: GuestAddr, len: usize) -> Result<core::ops::Range<usize>, Errno> {
        if len == 0 {
            return Ok(0..0);
        }
        let start = at.0.checked_sub(DATA).ok_or(Errno::EFAULT)? as usize;
        let end = start.checked_add(len).filter(|&end| end <= BYTES).ok_or(Errno::EFAULT)?;
        Ok(start..end)
    }
}

impl Guests for TestGuest {
    fn action_of(&self, _: VirtualPid, signal: u32) -> (u64, u64) {
        self.action(signal)
    }
    fn make_memory(&mut self, bytes: u64) -> Result<u32, Errno> {
        self.segments.push(bytes);
        Ok(99 + self.segments.len() as u32)
    }
    fn drop_memory(&mut self, number: u32) {
        self.segments.remove(number as usize - 100);
    }
    fn drop_file(&mut self, number: u32) {
        *self.files.get_mut(&number).unwrap() -= 1;
    }
    fn read_watcher(&mut self, _: u32, to: &mut [u8]) -> usize {
        if self.seen == self.watches {
            return 0;
        }
        self.seen = self.watches;
        let words = [self.watches as u32, libc::IN_OPEN, 0, 0];
        to.chunks_exact_mut(4)
            .zip(words)
            .for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
        16
    }
}

impl Guest for TestGuest {
    fn read(&mut self, from: GuestAddr, to: &mut [u8]) -> Result<(), Errno> {
        let range = self.range(from, to.len())?;
        to.copy_from_slice(&self.memory[range]);
        Ok(())
    }
    fn write(&mut self, to: GuestAddr, bytes: &[u8]) -> Result<(), Errno> {
        let range = self.range(to, bytes.len())?;
        self.memory[range].copy_from_slice(bytes);
        Ok(())
    }
    fn action(&self, signal: u32) -> (u64, u64) {
        let of = |map: &BTreeMap<u32, u64>| map.get(&signal).copied().unwrap_or(0);
        (of(&self.actions), of(&self.flags))
    }
    fn signal_mask(&self) -> u64 {
        self.mask
    }
    fn cpu_ns(&self) -> u64 {
        self.cpu_ns
    }
    fn backing(&mut self, at: GuestAddr) -> Result<Option<Backing>, Errno> {
        let found = self.shared.clone().filter(|(range, _)| range.contains(&at.0));
        let offset = |(range, start): (core::ops::Range<u64>, Backing)| Backing {
            offset: start.offset + at.0 - range.start,
            ..start
        };
        Ok(found.map(offset))
    }
    fn take_file(&mut self, fd: u32) -> Result<u32, Errno> {
        if fd < 500 {
            return Err(Errno::EBADF);
        }
        *self.files.entry(fd).or_default() += 1;
        Ok(fd)
    }
    fn send_file(&mut self, number: u32, _: u64) -> Result<u8, Errno> {
        if self.files.get(&number).is_some_and(|&count| count > 0) {
            Ok(3)
        } else {
            Err(Errno::EBADF)
        }
    }
    fn make_watcher(&mut self) -> Result<u32, Errno> {
        *self.files.entry(499).or_default() += 1;
        Ok(499)
    }
    fn watch(&mut self, _: u32, _: u32, _: u32) -> Result<i32, Errno> {
        self.watches += 1;
        Ok(self.watches)
    }
    fn user_ids(&self) -> [u32; 3] {
        self.users
    }
    fn group_ids(&self) -> [u32; 3] {
        self.groups
    }
}

/// A machine of two processors called alice.
pub(crate) fn config() -> Config {
    Config {
        seed: 1,
        hostname: "alice".into(),
        cpu_count: 2,
        memory_bytes: 8 << 30,
        start_realtime_ns: 946_684_800_000_000_000,
        uptime_at_start_ns: 100_000_000_000,
        clock: crate::ClockSettings::default(),
        kernel_release: "6.1.0".into(),
        kernel_version: "#1 SMP".into(),
        descriptor_limit: (1024, 4096),
        stack_limit_bytes: 8 << 20,
        ipv4: Some([11, 0, 0, 1]),
        ipv4_prefix_bits: 8,
        ipv6: None,
        ipv6_prefix_bits: 64,
        is_connected: false,
        is_capturing: false,
        upload_bits_per_second: 0,
        upload_unlimited_until: SimTime::ZERO,
        tsc_frequency_hz: 1_000_000_000,
    }
}

/// A machine with one process (1000) of one thread, and its guest.
pub(crate) fn machine() -> (Kernel, TestGuest, VirtualTid) {
    let mut kernel = Kernel::new(config());
    let (_, tid) = kernel.spawn(SimTime::ZERO, "program");
    (kernel, TestGuest::new(), tid)
}

impl Kernel {
    /// What `fork` gives with these flags beside SIGCHLD; the child's first thread.
    pub(crate) fn fork(
        &mut self,
        tid: VirtualTid,
        flags: i32,
        guest: &mut TestGuest,
    ) -> VirtualTid {
        let flags = flags as u64 | libc::SIGCHLD as u64;
        let args = [flags, 0, DATA, DATA + 8, 0, u64::MAX];
        let outcome = self.call(SimTime::ZERO, tid, shim_abi::calls::nr::clone, args, guest);
        let Outcome::Clone { tid: child, .. } = outcome else { panic!("{outcome:?}") };
        self.clone_done(SimTime::ZERO, tid, child, Ok(()), guest);
        child
    }

    /// Another thread of a process.
    pub(crate) fn add_thread(&mut self, tid: VirtualTid, guest: &mut TestGuest) -> VirtualTid {
        self.fork(tid, THREAD_FLAGS, guest)
    }

    /// A process exits with a status at the start of time.
    pub(crate) fn end(&mut self, pid: VirtualPid, status: i32, guest: &mut TestGuest) {
        self.process_ended(SimTime::ZERO, pid, crate::End::Exited(status), guest);
    }

    /// A call at the start of time that does not wait.
    pub(crate) fn do_call(
        &mut self,
        tid: VirtualTid,
        number: u32,
        args: [u64; 6],
        guest: &mut TestGuest,
    ) -> i64 {
        match self.call(SimTime::ZERO, tid, number, args, guest) {
            Outcome::Done(value) => value,
            other => panic!("call {number} of {args:?}: {other:?}"),
        }
    }
}

/// What glibc asks for when it makes a thread.
pub(crate) const THREAD_FLAGS: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;

/// A signal from nobody.
pub(crate) fn signal(signal: u32) -> shim_abi::event::SignalInfo {
    shim_abi::event::SignalInfo { signal, ..Default::default() }
}
