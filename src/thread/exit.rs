//! The end of a thread, and of a process.
//!
//! A status in; nothing comes back. Always true: what waits to be written is written before; the simulator knows
//! before the native thread ends. A thread that is not its process's first does not wait for an answer: it
//! has released its place, and touches nothing of the shim's but the stack under it, which is given to nobody
//! before the native kernel has said that the thread is gone. The first thread waits natively until its process ends,
//! because its own end would be seen from outside. See _exit(2), exit_group(2).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::calls::nr;
use shim_abi::event::Request;

use crate::native::times;
use crate::thread::Slot;
use crate::{forward, sys};

/// exit(status), exit_group(status): write back what waits, tell the simulator, end.
pub fn process_exit(slot: &'static Slot, number: u32, status: i32) -> ! {
    times::flush(slot);
    let is_first = slot.thread.tid.load(Relaxed) == slot.process.pid.load(Relaxed);
    let args = [status as u32 as u64, 0, 0, 0, 0, 0];
    let request = Request::Syscall { number, args, copies_bytes: 0 };
    if number == nr::exit && !is_first {
        sys::block_all_signals();
        slot.place.release();
        forward::last_word(slot, request);
        sys::exit(status);
    }
    slot.process.exit_status.store(status & 0xff, Relaxed);
    forward::simple(slot, request);
    sys::exit_group(status)
}

/// Release the shim's state of this thread and end it, for code that does so without its libc.
pub fn exit_thread(slot: &'static Slot, status: i32) -> ! {
    process_exit(slot, nr::exit, status)
}
