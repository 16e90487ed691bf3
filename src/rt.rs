//! What a library without a runtime needs to be one: the constructor, the panic handler, the
//! personality, the note that states the protocol.
//!
//! The loader's arguments in; `boot` from there. Always true: a panic leaves one line in the process
//! block and ends the guest; nothing unwinds. The C library's `mem*` are `arch`'s.
//!
//! # Safety
//!
//! Symbols and sections that the loader and precompiled `core` look for.
#![allow(unsafe_code)]

use core::ffi::c_char;
use core::fmt::Write;

use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};

/// The constructor. glibc passes the program's arguments; musl passes nothing, so they are not used.
extern "C" fn construct(_argc: i32, _argv: *const *const c_char, _envp: *const *const c_char) {
    crate::boot::begin();
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn(i32, *const *const c_char, *const *const c_char) = construct;

// Precompiled `core` and `alloc` name them even where nothing unwinds. Hidden, so that they are never exported.
core::arch::global_asm!(
    ".macro SHIM_NEVER_CALLED name",
    ".pushsection .text.\\name,\"ax\",@progbits",
    ".weak \\name",
    ".hidden \\name",
    ".type \\name,@function",
    "\\name: ud2",
    ".size \\name, .-\\name",
    ".popsection",
    ".endm",
    "SHIM_NEVER_CALLED rust_eh_personality",
    "SHIM_NEVER_CALLED _Unwind_Resume",
);

#[repr(C)]
struct Note {
    name_bytes: u32,
    descriptor_bytes: u32,
    note_type: u32,
    name: [u8; 8],
    version: [u32; 2],
}

#[used]
#[unsafe(link_section = ".note.shim")]
static NOTE: Note = Note {
    name_bytes: 5,
    descriptor_bytes: 8,
    note_type: shim_abi::version::NOTE_TYPE,
    name: *b"shim\0\0\0\0",
    version: [PROTOCOL_MAJOR, PROTOCOL_MINOR],
};

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let mut line = crate::trace::FixedText::<480>::new();
    let _ = write!(line, "{}", info.message());
    if let Some(location) = info.location() {
        let _ = write!(line, " at {}:{}", location.file(), location.line());
    }
    crate::trace::fail(line.as_bytes())
}
