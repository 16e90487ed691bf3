//! x86-64: what the other rooms use of it.
//!
//! See [`super`] for what crosses. Always true: vector and flag state is the guest's; assembly saves
//! what Rust code may touch (general registers, flags, the 16 xmm registers), and the crate is built
//! without AVX, so nothing else changes.

mod copy;
mod entry;
mod fast_clock;
mod gate;
mod mem;
mod registers;
mod vdso;
mod weak;

pub use copy::{copy_fixup, copy_guest};
pub use entry::{
    doors, enter, entry_call_address, entry_fault_address, leave_by_frame, leave_by_sigreturn,
    redirect_exit, restorer_address,
};
pub use fast_clock::is_fast_clock;
pub use gate::{clone_sharing, interruptible_fixup, syscall, syscall_interruptible};
pub use registers::{
    cpuid, enabled_components, load_xmm, save_extended_state, set_thread_slot, thread_pointer,
    thread_slot,
};
pub use vdso::{PSEUDO_VDSO, VDSO_FUNCTIONS, jump_to};
pub use weak::{dlopen, dlsym, environ, errno_location, libc_stack_end, rseq_offset, rseq_size};
