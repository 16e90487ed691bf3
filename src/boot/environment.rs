//! The initial stack: the environment and the auxiliary vector, as the kernel laid them out.
//!
//! Weak symbols of the libc in; what we need of the stack out, and our two variables gone from it.
//! Always true: a program that walks from the environment to the auxiliary vector finds what it would
//! natively find: the two words that become free hold an AT_IGNORE entry. Nothing is changed unless the
//! hand-off variable is there. See getauxval(3).
//!
//! # Safety
//!
//! Walks and edits the arrays that the kernel put on the initial stack.
#![allow(unsafe_code)]

use core::ffi::CStr;

use shim_abi::handoff::{HANDOFF_VARIABLE, HIDDEN_PRELOAD_VARIABLE, PRELOAD_VARIABLE};

use super::give_up;
use crate::arch;

/// What was found on the initial stack.
pub struct Found {
    /// The hand-off's descriptor.
    pub handoff_fd: u32,
    auxiliary: *const [u64; 2],
}

const AT_IGNORE: u64 = 1;

impl Found {
    /// A value of the auxiliary vector.
    pub fn auxiliary(&self, kind: u64) -> Option<u64> {
        let mut at = self.auxiliary;
        loop {
            // SAFETY: the vector ends with an entry of kind 0, and we have not passed it.
            let [entry, value] = unsafe { *at };
            match entry {
                0 => return None,
                _ if entry == kind => return Some(value),
                _ => at = at.wrapping_add(1),
            }
        }
    }

    /// A text of the auxiliary vector.
    pub fn auxiliary_text(&self, kind: u64) -> Option<&'static CStr> {
        let at = self.auxiliary(kind).filter(|&at| at != 0)?;
        // SAFETY: the kernel points such entries at NUL-terminated texts on the stack.
        Some(unsafe { CStr::from_ptr(at as *const core::ffi::c_char) })
    }
}

/// The environment's array. glibc leaves the stack's start in a symbol (its `environ` is not set yet when
/// the first constructors run); musl sets `environ` before any constructor.
fn environment() -> Option<*mut *mut u8> {
    let word = |symbol: usize| {
        let at = symbol as *const usize;
        // SAFETY: a weak symbol is 0 or the address of a pointer-sized variable of the libc.
        if at.is_null() { 0 } else { unsafe { *at } }
    };
    let stack = word(arch::libc_stack_end());
    if stack != 0 {
        // SAFETY: the kernel puts the number of arguments there.
        let arguments = unsafe { *(stack as *const usize) };
        return Some((stack as *mut *mut u8).wrapping_add(arguments + 2));
    }
    let environ = word(arch::environ());
    (environ != 0).then_some(environ as *mut *mut u8)
}

/// Look for the hand-off variable; if it is there, take what was added out again.
pub fn find() -> Option<Found> {
    let array = environment()?;
    let mut count = 0;
    let mut handoff_at = None;
    let mut preload_at = None;
    while let Some(text) = variable(array, count) {
        if has_name(text, HANDOFF_VARIABLE) && handoff_at.is_none() {
            handoff_at = Some(count);
        } else if has_name(text, PRELOAD_VARIABLE) && preload_at.is_none() {
            preload_at = Some(count);
        }
        count += 1;
    }
    let handoff_at = handoff_at?;
    let value = &variable(array, handoff_at)?.to_bytes()[HANDOFF_VARIABLE.len() + 1..];
    let Some(handoff_fd) = core::str::from_utf8(value).ok().and_then(|v| v.parse().ok()) else {
        give_up(format_args!("{HANDOFF_VARIABLE} does not hold a descriptor's number"));
    };
    for i in 0..count {
        restore_preload(array, i);
    }
    let auxiliary = array.wrapping_add(count + 1).cast::<[u64; 2]>();
    remove(array, count, handoff_at, preload_at);
    Some(Found { handoff_fd, auxiliary })
}

fn variable(array: *mut *mut u8, index: usize) -> Option<&'static CStr> {
    // SAFETY: the array ends with NULL, and callers do not go beyond it.
    let text = unsafe { *array.wrapping_add(index) };
    if text.is_null() {
        return None;
    }
    // SAFETY: the kernel made every entry a NUL-terminated text on the stack.
    Some(unsafe { CStr::from_ptr(text.cast()) })
}

fn has_name(text: &CStr, name: &str) -> bool {
    text.to_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
}

/// The guest's own LD_PRELOAD was renamed on the way; give it its name back.
fn restore_preload(array: *mut *mut u8, index: usize) {
    if !variable(array, index).is_some_and(|text| has_name(text, HIDDEN_PRELOAD_VARIABLE)) {
        return;
    }
    // SAFETY: as in `variable`.
    let text = unsafe { *array.wrapping_add(index) };
    for (i, &byte) in PRELOAD_VARIABLE.as_bytes().iter().enumerate() {
        // SAFETY: the entry begins with a name of the same length, on the writable stack.
        unsafe { *text.wrapping_add(i) = byte };
    }
}

/// Take the two variables out, and make one ignored auxiliary entry of the words that become free. If the
/// preload variable is not there (somebody else set the hand-off), only one word is free: it stays a
/// second end of the array.
fn remove(array: *mut *mut u8, count: usize, first: usize, second: Option<usize>) {
    let mut to = 0;
    for from in 0..count {
        if from == first || Some(from) == second {
            continue;
        }
        // SAFETY: both lie in the array, on the writable stack.
        let entry = unsafe { *array.wrapping_add(from) };
        // SAFETY: as above.
        unsafe { *array.wrapping_add(to) = entry };
        to += 1;
    }
    // SAFETY: `to` is at most `count`, where the array's NULL stands.
    unsafe { *array.wrapping_add(to) = core::ptr::null_mut() };
    if count - to == 2 {
        let free = array.wrapping_add(to + 1).cast::<[u64; 2]>();
        // SAFETY: the two words between the array's new end and the auxiliary vector.
        unsafe { *free = [AT_IGNORE, 0] };
    } else {
        // SAFETY: the one word between the array's new end and the auxiliary vector.
        unsafe { *array.wrapping_add(to + 1) = core::ptr::null_mut() };
    }
}
