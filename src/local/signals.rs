//! What a guest does about signals: dispositions, the mask, the alternate stack.
//!
//! Addresses in, words of the process and thread block out. Always true: everything here is virtual;
//! the native dispositions and mask are the shim's and never change; SIGKILL and SIGSTOP can be neither
//! caught nor blocked. Which signals arrive is the kernel's decision, running handlers is `signal/`.
//! See sigaction(2), sigprocmask(2), sigaltstack(2), sigpending(2).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::process::{MAX_SIGNAL, SignalAction};

use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::thread::Slot;
use crate::{forward, signal};

/// Signals that cannot be blocked: SIGKILL and SIGSTOP.
pub const UNBLOCKABLE: u64 = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);
/// The flags that Linux keeps; unknown ones are cleared, so that programs can probe for them.
const KNOWN_FLAGS: u64 = 0x0000_0807 | 0x0c00_0000 | 0x1000_0000 | 0x4000_0000 | 0x8000_0000;
const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;
/// SIGCHLD, SIGCONT, SIGURG, SIGWINCH.
const IGNORED_BY_DEFAULT: u64 = 1 << (libc::SIGCHLD - 1)
    | 1 << (libc::SIGCONT - 1)
    | 1 << (libc::SIGURG - 1)
    | 1 << (libc::SIGWINCH - 1);
const SET_BYTES: u64 = 8;
const SS_ONSTACK: i32 = 1;
const SS_DISABLE: i32 = 2;
/// The smallest alternate stack that Linux accepts on x86-64.
const MINIMUM_STACK_BYTES: u64 = 2048;

/// The action for `signal`, if that is a signal.
pub fn action(slot: &Slot, signal: u32) -> Option<&SignalAction> {
    slot.process.actions.get((signal as usize).checked_sub(1)?)
}

/// rt_sigaction(signal, new, old, bytes)
pub fn rt_sigaction(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [signal, new, old, bytes, ..] = call.args;
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    // Linux reads the new action first, then looks at the number.
    let new = if new != 0 { Some(read_value::<[u64; 4]>(GuestAddr(new))?) } else { None };
    let signal = signal as u32;
    let Some(action) = action(call.slot, signal).filter(|_| signal as usize <= MAX_SIGNAL) else {
        return Err(Errno::EINVAL);
    };
    if new.is_some() && UNBLOCKABLE & (1 << (signal - 1)) != 0 {
        return Err(Errno::EINVAL);
    }
    let words = [&action.handler, &action.flags, &action.restorer, &action.mask];
    let before: [u64; 4] = core::array::from_fn(|i| words[i].load(Relaxed));
    if let Some([handler, flags, restorer, mask]) = new {
        let now = [handler, flags & KNOWN_FLAGS, restorer, mask & !UNBLOCKABLE];
        for (word, value) in words.iter().zip(now) {
            word.store(value, Relaxed);
        }
        if handler == SIG_IGN || handler == SIG_DFL && IGNORED_BY_DEFAULT & (1 << (signal - 1)) != 0
        {
            discard(call.slot, signal);
        }
    }
    if old != 0 {
        write_value(GuestAddr(old), &before)?;
    }
    Ok(0)
}

/// A signal that waits, blocked, becomes ignored: it is gone. The kernel holds it, so it is waited for,
/// which takes no time.
fn discard(slot: &Slot, signal: u32) {
    let bit = 1u64 << (signal - 1);
    let thread = slot.thread.get();
    while thread.pending_signals.load(Relaxed) & thread.signal_mask.load(Relaxed) & bit != 0 {
        let set = [bit, 0];
        let at = (&raw const set) as u64;
        let args = [at, 0, 0, SET_BYTES, 0, 0];
        if forward::syscall_with(slot, nr::rt_sigtimedwait, args, &set) < 0 {
            break;
        }
    }
}

/// rt_sigprocmask(how, new, old, bytes)
pub fn rt_sigprocmask(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [how, new, old, bytes, ..] = call.args;
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let mask = &call.slot.thread.signal_mask;
    let before = mask.load(Relaxed);
    if new != 0 {
        let set = read_value::<u64>(GuestAddr(new))?;
        let after = match how as i32 {
            libc::SIG_BLOCK => before | set,
            libc::SIG_UNBLOCK => before & !set,
            libc::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        mask.store(after & !UNBLOCKABLE, Relaxed);
    }
    if old != 0 {
        write_value(GuestAddr(old), &before)?;
    }
    Ok(0)
}

/// rt_sigpending(set, bytes)
pub fn rt_sigpending(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [set, bytes, ..] = call.args;
    if bytes > SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let thread = call.slot.thread.get();
    let pending = thread.pending_signals.load(Relaxed) & thread.signal_mask.load(Relaxed);
    crate::guest_memory::write_bytes(GuestAddr(set), &pending.to_le_bytes()[..bytes as usize])?;
    Ok(0)
}

/// rt_sigreturn(): the guest's handler is done.
pub fn rt_sigreturn(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    signal::return_from_handler(call.slot, GuestAddr(call.frame.rsp))
}

/// The guest's alternate stack: address, flags and size as `stack_t` has them.
#[derive(Clone, Copy)]
pub struct AltStack {
    /// Lowest address.
    pub pointer: u64,
    /// `SS_DISABLE`, `SS_AUTODISARM`.
    pub flags: i32,
    /// Size.
    pub bytes: u64,
}

impl AltStack {
    /// The thread's alternate stack.
    pub fn of(slot: &Slot) -> AltStack {
        let thread = slot.thread.get();
        let bytes = thread.alt_stack_bytes.load(Relaxed);
        let flags = thread.alt_stack_flags.load(Relaxed);
        AltStack {
            pointer: thread.alt_stack_pointer.load(Relaxed),
            flags: if bytes == 0 { SS_DISABLE } else { flags },
            bytes,
        }
    }
    /// Make this the thread's alternate stack.
    pub fn store(self, slot: &Slot) {
        let thread = slot.thread.get();
        thread.alt_stack_pointer.store(self.pointer, Relaxed);
        thread.alt_stack_bytes.store(self.bytes, Relaxed);
        thread.alt_stack_flags.store(self.flags, Relaxed);
    }
    /// Whether there is one.
    pub fn is_enabled(self) -> bool {
        self.bytes != 0
    }
    /// Whether it is disarmed while it is in use.
    pub fn is_auto_disarmed(self) -> bool {
        self.flags & i32::MIN != 0
    }
    /// Whether a thread with this stack pointer runs on it.
    pub fn holds(self, stack_pointer: u64) -> bool {
        !self.is_auto_disarmed()
            && stack_pointer > self.pointer
            && stack_pointer - self.pointer <= self.bytes
    }
    /// From the words of a `stack_t`.
    pub fn from_words([pointer, flags, bytes]: [u64; 3]) -> AltStack {
        AltStack { pointer, flags: flags as i32, bytes }
    }
    /// As the words of a `stack_t`.
    pub fn to_words(self) -> [u64; 3] {
        [self.pointer, u64::from(self.flags as u32), self.bytes]
    }
    /// As sigaltstack(2) checks it; what is then the alternate stack.
    pub fn checked(self) -> Result<AltStack, Errno> {
        match self.flags & i32::MAX {
            SS_DISABLE => Ok(AltStack { pointer: 0, flags: SS_DISABLE, bytes: 0 }),
            0 | SS_ONSTACK if self.bytes < MINIMUM_STACK_BYTES => Err(Errno::ENOMEM),
            0 | SS_ONSTACK => Ok(self),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// sigaltstack(new, old)
pub fn sigaltstack(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [new, old, ..] = call.args;
    let slot = call.slot;
    let before = AltStack::of(slot);
    let is_on_it = before.is_enabled() && before.holds(call.frame.rsp);
    let new = if new != 0 { Some(read_value::<[u64; 3]>(GuestAddr(new))?) } else { None };
    if let Some(words) = new {
        if is_on_it {
            return Err(Errno::EPERM);
        }
        AltStack::from_words(words).checked()?.store(slot);
    }
    if old != 0 {
        // SS_ONSTACK tells where the thread is, whatever it was set with.
        let flags = before.flags & !SS_ONSTACK | if is_on_it { SS_ONSTACK } else { 0 };
        write_value(GuestAddr(old), &AltStack { flags, ..before }.to_words())?;
    }
    Ok(0)
}
