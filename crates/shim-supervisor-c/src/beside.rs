//! Where `libshim.so.1` is if the caller does not say it: beside this library.
//!
//! Nothing in, a path or the list of places that were looked at out. Always true: it is the folder of the file that
//! this very code was loaded from, not that of the program; links are not followed, so that a link in a folder with
//! a possible name can stand for one that cannot be preloaded. Whether the file is a library that can be worked
//! with is `shim_supervisor::Library`'s.
//!
//! # Safety
//!
//! Unsafe here: dladdr(3), which is asked about an address of this library.
#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Failure, Result};

/// By its soname, as it is installed; by the name that a build gives it.
const NAMES: [&str; 2] = ["libshim.so.1", "libshim.so"];

/// The guest library beside this one.
pub(crate) fn library() -> Result<PathBuf> {
    let own = own_path().ok_or_else(|| {
        Failure::new(libc::ENOENT, "cannot tell where this library lies: pass library_path")
    })?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let places = NAMES.map(|name| folder.join(name));
    places.iter().find(|place| place.exists()).cloned().ok_or_else(|| {
        let [one, other] = places.each_ref().map(|place| place.display());
        Failure::new(
            libc::ENOENT,
            format!("there is neither {one} nor {other}: install libshim, or pass library_path"),
        )
    })
}

/// The file that this code was loaded from.
fn own_path() -> Option<PathBuf> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    let address = own_path as *const ();
    // SAFETY: the address is that of a function, and the pointer is valid for one record.
    if unsafe { libc::dladdr(address.cast(), info.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: zeroed before, and the record consists of pointers.
    let info = unsafe { info.assume_init() };
    if info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader's own text, which stays as long as this library is loaded, which runs here.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    std::path::absolute(OsStr::from_bytes(name.to_bytes())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_knows_the_file_that_it_is_in() {
        assert_eq!(own_path(), std::env::current_exe().ok());
    }
}
