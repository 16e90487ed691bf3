//! A machine with descriptors for tests.
//!
//! Always true: a pipe reads at 3 and writes at 4, a counter is at 5.

use shim_abi::calls::nr;

use crate::testing::{DATA, TestGuest, machine};
use crate::{Kernel, VirtualTid};

pub(super) type Machine = (Kernel, TestGuest, VirtualTid);

/// A call at the start of time that does not wait.
pub(super) fn call((kernel, guest, tid): &mut Machine, number: u32, [a, b, c, d]: [u64; 4]) -> i64 {
    kernel.do_call(*tid, number, [a, b, c, d, 0, 0], guest)
}

pub(super) fn bench() -> Machine {
    let mut machine = machine();
    assert_eq!(call(&mut machine, nr::pipe2, [DATA, 0, 3, 4]), 0);
    assert_eq!(call(&mut machine, nr::eventfd2, [0, 0, 5, 0]), 5);
    machine
}
