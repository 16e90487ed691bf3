//! A host's side of the network: the datagrams that come to it and leave it, and what its sockets have carried.
//!
//! Bytes with instants in and out. Always true: what is handed out lies outside the kernel's arena; all of it is for
//! between two steps. What becomes of datagrams between hosts is the owner's, what a host makes of them its kernel's.

use shim_abi::SimTime;
use shim_kernel::{Departure, Kernel, SocketRecord, SocketSum};

use crate::host::Host;

impl Host {
    /// An IP datagram of another host comes at `at`, which is not before the end of the last step; not before
    /// those that were handed over earlier. Between steps. What makes no sense is dropped, as a real host does.
    pub fn deliver(&mut self, at: SimTime, datagram: &[u8]) {
        self.machine.kernel(|kernel| kernel.deliver(at, datagram));
    }

    /// The IP datagrams for other hosts that were sent since the last time, in the order in which they leave. Between steps.
    pub fn take_departures(&mut self) -> Vec<Departure> {
        let departures = self.machine.kernel(Kernel::take_departures);
        departures.iter().map(copy_of).collect()
    }

    /// The IP datagrams that the host has sent to itself since the last time, by its loopback interface, if they are kept.
    /// Between steps.
    pub fn take_looped(&mut self) -> Vec<Departure> {
        let looped = self.machine.kernel(Kernel::take_looped);
        looped.iter().map(copy_of).collect()
    }

    /// What sockets of IP have carried since the host booted: a record of each of the first of them, and the sum of the
    /// others. Between steps; before the host's processes are ended from outside, if that is not to be seen in it.
    pub fn socket_records(&mut self) -> (Vec<SocketRecord>, SocketSum) {
        let (records, sum) = self.machine.kernel(|kernel| kernel.socket_records());
        (records.as_slice().to_vec(), sum)
    }
}

/// A datagram outside the arena in which it was made.
fn copy_of(departure: &Departure) -> Departure {
    Departure { at: departure.at, bytes: departure.bytes.to_vec() }
}
