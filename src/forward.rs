//! Asking the simulator: a request out, control away, and an answer back.
//!
//! A call's number and arguments in; its result out, and perhaps a signal to deliver, left in the slot.
//! Always true: when a function here returns, this thread has control again, the answer's copies are in
//! guest memory, and the thread's clock is right. Who answers, and how, is behind the channel
//! (`shim-supervisor`, `shim-host`, `shim-kernel`); what only the kernel is asked for does not get there ([`kernel`]).

use core::cell::Cell;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::event::{Copies, Reply, Request, words_to_bytes};
use shim_abi::thread::{DATA_BYTES, kernel_place};
use shim_sync::{Baton, Control, Futex, Side};

use crate::guest_memory::{self, GuestAddr};
use crate::sys::{self, NativeFutex};
use crate::thread::Slot;
use crate::{boot, kernel, native, trace};

/// How often to look, at most, before sleeping: an answer of a simulator on another processor comes within
/// so many looks. On the same processor looking is useless, because the other side runs only once this one
/// sleeps; nobody says where it runs, so the thread learns from what happened.
pub const MAX_SPINS: u32 = 200;
/// Every so many waits, looking is tried again.
const WAITS_PER_TRIAL: u32 = 512;

/// Hand control to the simulator.
fn hand_over(slot: &Slot) {
    let futex = NativeFutex::new();
    Control::new(&slot.thread.channel.control, &futex, Side::Guest).hand_over();
    if let Some(baton) = slot.baton.get() {
        Baton::new(&baton.control, &futex).give_back();
    }
}

/// Wait for control. Looking that brought it is worth repeating, looking that ended in sleep is halved.
fn wait(slot: &Slot) {
    let futex = NativeFutex::new();
    let control = Control::new(&slot.thread.channel.control, &futex, Side::Guest);
    let calls = slot.thread.calls.load(Relaxed);
    let is_trial = calls.is_multiple_of(WAITS_PER_TRIAL);
    let spins = if is_trial { MAX_SPINS } else { slot.spins.get() };
    let result = control.wait(spins);
    if futex.has_slept() {
        slot.spins.set(spins / 2);
    } else if spins > 0 {
        slot.spins.set(MAX_SPINS);
    }
    take_control(slot);
    if result.is_err() {
        // The simulator gave this guest up, or is gone: there is nobody to go on for.
        sys::exit_group(125);
    }
}

/// Hand control to the thread with block `block`, which finishes its call then; this one waits for an answer, see
/// [`wait_for_answer`]. The kernel has said that it is that thread's turn, and is whole again.
pub fn hand_on(slot: &Slot, block: u32) {
    let (Some(thread), Some(baton)) = (boot::thread_block(block), slot.baton.get()) else {
        trace::fail(b"the kernel named a successor that cannot be")
    };
    thread.charged_ns.store(slot.thread.charged_ns.load(Relaxed), Relaxed);
    thread.channel.reply.store_reply(&Reply::GoOn);
    slot.thread.is_in_kernel.store(kernel_place::HANDS_ON, Relaxed);
    let futex = NativeFutex::new();
    Control::new(&slot.thread.channel.control, &futex, Side::Guest).hand_over();
    baton.holder.store(block, Relaxed);
    // In the place of the simulator, whose side of that channel has control.
    let waking = Successor { from: slot, futex: &futex };
    Control::new(&thread.channel.control, waking, Side::Simulator).hand_over();
    slot.thread.is_in_kernel.store(kernel_place::OUTSIDE, Relaxed);
}

/// A futex of another guest: by the time it is woken it has control, and what the one before was about is over. Whoever
/// runs on the same processor gets no further before the other has waited in its turn.
struct Successor<'a> {
    from: &'a Slot,
    futex: &'a NativeFutex,
}

impl Futex<AtomicU32> for Successor<'_> {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        self.futex.wait(word, expected);
    }
    fn wake(&self, word: &AtomicU32) {
        self.from.thread.is_in_kernel.store(kernel_place::OUTSIDE, Relaxed);
        self.futex.wake(word);
    }
}

/// The thread has got control: how far it may go now, and what others may have done to its memory.
fn take_control(slot: &Slot) {
    slot.run_until(slot.host.run_until_ns.load(Relaxed));
    // Another thread of this memory may have mapped code.
    boot::trap_counter(slot);
}

/// Where in its arguments a call points to memory that the simulator will read: argument's index and
/// length in bytes. What is listed here travels with the request, so that the simulator need not reach
/// into the guest.
const fn inputs(number: u32) -> &'static [(usize, u64)] {
    match number {
        nr::nanosleep => &[(0, 16)],
        nr::clock_nanosleep => &[(2, 16)],
        nr::setitimer => &[(1, 32)],
        nr::rt_sigtimedwait => &[(0, 8), (2, 16)],
        nr::prlimit64 => &[(2, 16)],
        nr::setrlimit => &[(1, 16)],
        // The word; a time-out, where the operation has one.
        nr::futex => &[(0, 4), (3, 16)],
        nr::epoll_ctl => &[(3, 12)],
        nr::timerfd_settime => &[(2, 32)],
        nr::signalfd4 => &[(1, 8)],
        _ => &[],
    }
}

/// Most bytes of memory that one piece of a request can hold.
pub const MAX_CARRIED_BYTES: usize = DATA_BYTES - 16;

/// A call on its way to the simulator, with the memory that travels with it.
pub struct Forwarded<'a> {
    slot: &'a Slot,
    number: u32,
    args: [u64; 6],
    copies: Copies<'a>,
    /// It need not be handed over: the kernel answers here.
    is_answered_here: bool,
    /// Memory of the shim's that it reads then.
    own: OwnMemory<'a>,
}

/// Pieces of the shim's memory that the kernel in the guest reads: as many as any call has, the rest empty.
pub type OwnMemory<'a> = [&'a [u64]; 2];

impl<'a> Forwarded<'a> {
    /// A call that carries nothing yet.
    pub fn new(slot: &'a Slot, number: u32, args: [u64; 6]) -> Self {
        let copies = Copies::new(&slot.thread.channel.data);
        let is_answered_here = kernel::answers(number, args);
        Forwarded { slot, number, args, copies, is_answered_here, own: [&[]; 2] }
    }

    /// Have the simulator answer it in any case: it can reach all memory of the shim's.
    pub fn far(self) -> Self {
        Forwarded { is_answered_here: false, ..self }
    }

    /// Take guest memory along, if it can be read and there is room: else the simulator will look itself.
    pub fn carry(&mut self, address: u64, bytes: u64) {
        // Nothing is mapped in the first page, and finding that out costs a signal.
        const FIRST_ADDRESS: u64 = 4096;
        if self.is_answered_here || bytes > MAX_CARRIED_BYTES as u64 || address < FIRST_ADDRESS {
            return;
        }
        let mut buffer = [0; MAX_CARRIED_BYTES];
        let buffer = &mut buffer[..bytes as usize];
        if guest_memory::read_bytes(GuestAddr(address), buffer).is_ok() {
            self.copies.push(address, buffer);
        }
    }

    /// Take memory of the shim's own along; the kernel sees it at its own address.
    pub fn carry_own(&mut self, words: &'a [u64]) {
        if self.is_answered_here {
            match self.own.iter_mut().find(|piece| piece.is_empty()) {
                Some(piece) => *piece = words,
                None => trace::fail(b"a call takes more memory of the shim's along than any does"),
            }
        } else {
            self.copy_own(words);
        }
    }

    fn copy_own(&mut self, words: &[u64]) {
        let mut buffer = [0; MAX_CARRIED_BYTES];
        if let Some(bytes) = buffer.get_mut(..words.len() * 8) {
            for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
                to.copy_from_slice(&word.to_le_bytes());
            }
            self.copies.push(words.as_ptr() as u64, bytes);
        }
    }

    /// Have it answered; the call's result.
    pub fn send(self) -> i64 {
        self.send_into(&mut [])
    }

    /// Have it answered, with memory of the shim's own that the kernel reads and writes.
    pub fn exchange(mut self, own: &mut [u64]) -> i64 {
        if !self.is_answered_here {
            self.copy_own(own);
        }
        self.send_into(own)
    }

    /// Have it answered; what the answer stores within `own`, memory of the shim's, is no guest memory and
    /// stored all the same.
    pub fn send_into(self, own: &mut [u64]) -> i64 {
        let own = Cell::from_mut(own).as_slice_of_cells();
        if self.is_answered_here {
            return kernel::call(self.slot, self.number, self.args, &self.own, own);
        }
        let copies_bytes = self.copies.used_bytes();
        let request = Request::Syscall { number: self.number, args: self.args, copies_bytes };
        exchange_all(self.slot, request, own, &mut nobody)
    }
}

/// Forward a system call; its result.
pub fn syscall(slot: &Slot, number: u32, args: [u64; 6]) -> i64 {
    let mut call = Forwarded::new(slot, number, args);
    for &(index, bytes) in inputs(number) {
        call.carry(args[index], bytes);
    }
    call.send()
}

/// Forward a call one of whose arguments points to `contents`, memory of the shim's own.
pub fn syscall_with(slot: &Slot, number: u32, args: [u64; 6], contents: &[u64]) -> i64 {
    let mut call = Forwarded::new(slot, number, args);
    call.carry_own(contents);
    call.send()
}

/// What became of a thread or process that the simulator asked for.
pub enum Made {
    /// Its native id, or minus an errno.
    Child(i64),
    /// This is it.
    Here,
}

/// Say `request` and carry out what comes back until it is answered; the result.
pub fn simple(slot: &Slot, request: Request) -> i64 {
    exchange_all(slot, request, &[], &mut nobody)
}

/// As [`simple`], with what makes a thread that has these blocks: its process's and its own index.
pub fn converse(slot: &Slot, request: Request, make: &mut dyn FnMut(u32, u32) -> Made) -> i64 {
    exchange_all(slot, request, &[], make)
}

fn nobody(_: u32, _: u32) -> Made {
    trace::fail(b"the simulator asked for a thread that nobody wants")
}

fn exchange_all(
    slot: &Slot,
    request: Request,
    own: &[Cell<u64>],
    make: &mut dyn FnMut(u32, u32) -> Made,
) -> i64 {
    match converse_until(slot, Some(request), own, make) {
        Answer::Result(result) => result,
        Answer::GoOn => trace::fail(b"another guest handed control to one that cannot go on"),
    }
}

/// How a call comes to its end.
pub enum Answer {
    /// It returns this.
    Result(i64),
    /// The thread that waits finishes it by the kernel.
    GoOn,
}

/// Wait for the answer to a call that is the kernel's in this guest, after `request` to the simulator, or after control
/// was handed on.
pub fn wait_for_answer(slot: &Slot, request: Option<Request>, own: &[Cell<u64>]) -> Answer {
    converse_until(slot, request, own, &mut nobody)
}

fn converse_until(
    slot: &Slot,
    request: Option<Request>,
    own: &[Cell<u64>],
    make: &mut dyn FnMut(u32, u32) -> Made,
) -> Answer {
    let channel = &slot.thread.get().channel;
    let mut request = request;
    loop {
        if let Some(request) = request {
            channel.request.store_request(&request);
            hand_over(slot);
        }
        wait(slot);
        match channel.reply.load_reply() {
            Some(Reply::Started) => return Answer::Result(0),
            Some(Reply::GoOn) => return Answer::GoOn,
            Some(Reply::Complete { result, copies_bytes, is_clock_advanced, signal }) => {
                if is_clock_advanced {
                    slot.thread.charged_ns.store(0, Relaxed);
                }
                if signal.is_some() {
                    slot.deliver.set(signal);
                }
                let stored = store_copies(slot, copies_bytes, own);
                return Answer::Result(stored.map_or_else(Errno::as_return, |()| result));
            }
            Some(Reply::DoNative { number, args }) => {
                let result = native::execute(number, args);
                request = Some(Request::SyscallComplete { result });
            }
            Some(Reply::Die { signal }) => {
                slot.is_dying.set(true);
                native::times::flush(slot);
                sys::die_of_signal(signal)
            }
            Some(Reply::AddThread { process_index, thread_index }) => {
                match make(process_index, thread_index) {
                    Made::Child(result) => request = Some(Request::AddThreadRes { result }),
                    Made::Here => return Answer::Result(0),
                }
            }
            None => {
                trace::fail(b"the simulator said something that this library does not understand")
            }
        }
    }
}

/// Wait until the simulator gives this new thread its first control.
pub fn wait_for_turn(slot: &Slot) {
    let futex = NativeFutex::new();
    let channel = &slot.thread.channel;
    if Control::new(&channel.control, &futex, Side::Guest).wait(0).is_err() {
        sys::exit_group(125);
    }
    take_control(slot);
    if channel.reply.load_reply() != Some(Reply::Started) {
        trace::fail(b"the simulator answered a thread that had not said anything");
    }
}

/// Say `request` and give control away for good.
pub fn last_word(slot: &Slot, request: Request) {
    slot.thread.channel.request.store_request(&request);
    hand_over(slot);
}

fn store_copies(slot: &Slot, copies_bytes: u32, own: &[Cell<u64>]) -> Result<(), Errno> {
    let mut stored = Ok(());
    let whole = Copies::read(&slot.thread.channel.data, copies_bytes, |address, len, words| {
        let mut address = GuestAddr(address);
        let mut left = len;
        for piece in words.chunks(16) {
            let mut bytes = [0; 128];
            let bytes = &mut bytes[..left.min(128)];
            words_to_bytes(piece, bytes);
            if !store_own(own, address, bytes)
                && let Err(errno) = guest_memory::write_bytes(address, bytes)
            {
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

/// Store bytes that belong into `own`, memory of the shim's; whether they do.
pub fn store_own(own: &[Cell<u64>], address: GuestAddr, bytes: &[u8]) -> bool {
    let offset = address.0.wrapping_sub(own.as_ptr() as u64) as usize;
    if offset.checked_add(bytes.len()).is_none_or(|end| end > own.len() * 8) {
        return false;
    }
    for (at, &byte) in (offset..).zip(bytes) {
        let shift = at % 8 * 8;
        let word = &own[at / 8];
        word.set(word.get() & !(0xff << shift) | u64::from(byte) << shift);
    }
    true
}
