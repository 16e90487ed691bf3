//! What comes from C, made into references and texts.
//!
//! Pointers in, typed values or a [`Failure`] that names the argument out. Always true: NULL is a failure, except
//! where a function says what it means; a text is read up to its NUL and must be UTF-8 where a name is
//! meant. Whether a pointer that is not NULL points to what its type says is not here: the C caller guarantees that.
//!
//! # Safety
//!
//! Unsafe here: reading and writing through the caller's pointers. Each function says what its caller passes on.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_void};

use crate::error::{Failure, Result};

fn null(name: &str) -> Failure {
    Failure::invalid(format!("{name} is NULL"))
}

/// An object of this library.
///
/// # Safety
///
/// `pointer` is NULL or an object that this library made and that is not freed while the reference is used.
pub(crate) unsafe fn object<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// An object of this library, to be changed.
///
/// # Safety
///
/// As [`object`], and nobody else uses it meanwhile.
pub(crate) unsafe fn object_mut<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(name))
}

/// Take an object of this library back, to end it. NULL is nobody.
///
/// # Safety
///
/// `pointer` is NULL or came from [`give`], and nobody uses it from now on.
pub(crate) unsafe fn take<T>(pointer: *mut T) -> Option<Box<T>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { Box::from_raw(pointer) })
}

/// Give an object to the caller, who ends it by [`take`]. Where there is no place for it, `make` is not called.
///
/// # Safety
///
/// `place` is NULL or a pointer that can be written.
pub(crate) unsafe fn give<T>(
    place: *mut *mut T,
    name: &str,
    make: impl FnOnce() -> Result<T>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let place = unsafe { place.as_mut() }.ok_or_else(|| null(name))?;
    // Whoever looks at it after a failure finds nobody.
    *place = std::ptr::null_mut();
    *place = Box::into_raw(Box::new(make()?));
    Ok(())
}

/// Store a result, if the caller wants it.
///
/// # Safety
///
/// `place` is NULL or can be written.
pub(crate) unsafe fn store<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the caller's promise; what was there is a number or a pointer, and needs no end.
        unsafe { place.write(value) };
    }
}

/// A text.
///
/// # Safety
///
/// `pointer` is NULL or points to bytes that end with a NUL, which nobody changes while the reference is used.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a CStr> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// A text that may be absent.
///
/// # Safety
///
/// As [`text`].
pub(crate) unsafe fn text_or_none<'a>(pointer: *const c_char) -> Option<&'a CStr> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { CStr::from_ptr(pointer) })
}

/// `length` bytes.
///
/// # Safety
///
/// `pointer` is NULL or points to `length` bytes that nobody changes while the reference is used.
pub(crate) unsafe fn bytes<'a>(
    pointer: *const c_void,
    length: usize,
    name: &str,
) -> Result<&'a [u8]> {
    if pointer.is_null() {
        return Err(null(name));
    }
    if length > isize::MAX as usize {
        return Err(Failure::invalid(format!("{name} cannot have {length} bytes")));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), length) })
}

/// A text as UTF-8.
pub(crate) fn utf8<'a>(text: &'a CStr, name: &str) -> Result<&'a str> {
    text.to_str().map_err(|_| Failure::invalid(format!("{name} is not UTF-8: {text:?}")))
}
