//! Asking the simulator: a request out, control away, and an answer back.
//!
//! A call's number and arguments in; its result out, and perhaps a signal to deliver, left in the slot.
//! Always true: when a function here returns, this thread has control again, the answer's copies are in
//! guest memory, and the thread's clock is right. Who answers, and how, is behind the channel
//! (`shim-supervisor`, `shim-host`, `shim-kernel`).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::event::{Copies, Reply, Request, words_to_bytes};
use shim_sync::{Control, Side};

use crate::guest_memory::{self, GuestAddr};
use crate::sys::{self, NativeFutex};
use crate::thread::Slot;
use crate::{native, trace};

/// How often to look, at most, before sleeping: an answer of a simulator on another processor comes within
/// so many looks. On the same processor looking is useless, because the other side runs only once this one
/// sleeps; nobody says where it runs, so the thread learns from what happened.
pub const MAX_SPINS: u32 = 200;
/// Every so many waits, looking is tried again.
const WAITS_PER_TRIAL: u32 = 512;

/// Hand control over and wait for it. Looking that brought control is worth repeating, looking that ended
/// in sleep is halved.
fn exchange(slot: &Slot) -> Result<(), shim_sync::Closed> {
    let futex = NativeFutex::new();
    let control = Control::new(&slot.thread.channel.control, &futex, Side::Guest);
    let calls = slot.thread.calls.load(Relaxed);
    let is_trial = calls.is_multiple_of(WAITS_PER_TRIAL);
    let spins = if is_trial { MAX_SPINS } else { slot.spins.get() };
    let result = control.call(spins);
    if futex.has_slept() {
        slot.spins.set(spins / 2);
    } else if spins > 0 {
        slot.spins.set(MAX_SPINS);
    }
    result
}

/// Where in its arguments a call points to memory that the simulator will read: argument's index and
/// length in bytes. What is listed here travels with the request, so that the simulator need not reach
/// into the guest.
const fn inputs(number: u32) -> &'static [(usize, usize)] {
    match number {
        nr::nanosleep => &[(0, 16)],
        nr::clock_nanosleep => &[(2, 16)],
        nr::setitimer => &[(1, 32)],
        nr::rt_sigtimedwait => &[(0, 8), (2, 16)],
        nr::prlimit64 => &[(2, 16)],
        nr::setrlimit => &[(1, 16)],
        _ => &[],
    }
}

/// Forward a system call; its result.
pub fn syscall(slot: &Slot, number: u32, args: [u64; 6]) -> i64 {
    let mut copies = Copies::new(&slot.thread.channel.data);
    for &(index, bytes) in inputs(number) {
        let mut buffer = [0; 64];
        let buffer = &mut buffer[..bytes];
        if guest_memory::read_bytes(GuestAddr(args[index]), buffer).is_ok() {
            copies.push(args[index], buffer);
        }
    }
    simple(slot, Request::Syscall { number, args, copies_bytes: copies.used_bytes() })
}

/// Forward a call one of whose arguments, `address`, points to memory of the shim's own, whose contents
/// travel with it.
pub fn syscall_with(
    slot: &Slot,
    number: u32,
    args: [u64; 6],
    address: u64,
    contents: &[u64; 2],
) -> i64 {
    let mut copies = Copies::new(&slot.thread.channel.data);
    let mut bytes = [0; 16];
    for (to, word) in bytes.chunks_exact_mut(8).zip(contents) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    copies.push(address, &bytes);
    simple(slot, Request::Syscall { number, args, copies_bytes: copies.used_bytes() })
}

/// Say `request` and carry out what comes back until it is answered; the result.
pub fn simple(slot: &Slot, request: Request) -> i64 {
    let channel = &slot.thread.channel;
    let mut request = request;
    loop {
        channel.request.store_request(&request);
        if exchange(slot).is_err() {
            // The simulator gave this guest up, or is gone: there is nobody to go on for.
            sys::exit_group(125);
        }
        match channel.reply.load_reply() {
            Some(Reply::Started) => return 0,
            Some(Reply::Complete { result, copies_bytes, is_clock_advanced, signal }) => {
                if is_clock_advanced {
                    slot.thread.charged_ns.store(0, Relaxed);
                }
                if signal.is_some() {
                    slot.deliver.set(signal);
                }
                return store_copies(slot, copies_bytes).map_or_else(Errno::as_return, |()| result);
            }
            Some(Reply::DoNative { number, args }) => {
                request = Request::SyscallComplete { result: native::execute(number, args) };
            }
            Some(Reply::Die { signal }) => {
                native::times::flush(slot);
                sys::die_of_signal(signal)
            }
            Some(Reply::AddThread) | None => {
                trace::fail(b"the simulator said something that this library does not understand")
            }
        }
    }
}

fn store_copies(slot: &Slot, copies_bytes: u32) -> Result<(), Errno> {
    let mut stored = Ok(());
    let whole = Copies::read(&slot.thread.channel.data, copies_bytes, |address, len, words| {
        let mut address = GuestAddr(address);
        let mut left = len;
        for piece in words.chunks(16) {
            let mut bytes = [0; 128];
            let bytes = &mut bytes[..left.min(128)];
            words_to_bytes(piece, bytes);
            if let Err(errno) = guest_memory::write_bytes(address, bytes) {
                stored = Err(errno);
            }
            address = address.offset(bytes.len() as u64);
            left -= bytes.len();
        }
    });
    if whole.is_none() {
        trace::fail(b"the simulator's answer holds a malformed list of copies")
    }
    stored
}
