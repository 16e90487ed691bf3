//! The end of a thread that leaves through the C interface.
//!
//! A status in; nothing comes back. Always true: signals are blocked before the slot's memory goes, so
//! nothing can look for it afterwards. A whole process's end is `native::process_exit`.

use shim_abi::calls::nr;

use crate::sys;
use crate::thread::Slot;

/// Release the shim's state of this thread and end it.
///
/// The slot of a process's only thread stays mapped: the process ends with it, and its end is told to
/// the simulator first.
pub fn exit_thread(slot: &'static Slot, status: i32) -> ! {
    sys::block_all_signals();
    crate::native::process_exit(slot, nr::exit, status)
}
