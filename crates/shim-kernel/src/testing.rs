//! A guest and a machine for tests.
//!
//! Always true: guest memory is one small region at [`DATA`]; everything else is a bad address.

use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use shim_abi::{Errno, SimTime};

use crate::{Config, Guest, GuestAddr, Kernel, Outcome, VirtualTid};

/// Where the guest's memory begins.
pub(crate) const DATA: u64 = 0x10_000;
const BYTES: usize = 0x4000;
/// The guest's user id.
pub(crate) const UID: u32 = 1234;

/// A guest that does nothing by itself.
pub(crate) struct TestGuest {
    memory: Vec<u8>,
    pub(crate) actions: BTreeMap<u32, u64>,
    pub(crate) mask: u64,
    pub(crate) cpu_ns: u64,
}

impl TestGuest {
    pub(crate) fn new() -> TestGuest {
        TestGuest { memory: vec![0; BYTES], actions: BTreeMap::new(), mask: 0, cpu_ns: 0 }
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
        (self.actions.get(&signal).copied().unwrap_or(0), 0)
    }
    fn signal_mask(&self) -> u64 {
        self.mask
    }
    fn cpu_ns(&self) -> u64 {
        self.cpu_ns
    }
    fn user_ids(&self) -> [u32; 3] {
        [UID; 3]
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

/// A signal from nobody.
pub(crate) fn signal(signal: u32) -> shim_abi::event::SignalInfo {
    shim_abi::event::SignalInfo { signal, ..Default::default() }
}
