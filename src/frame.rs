//! A frame: the interrupted guest's registers, as the entry saved them on the shim's stack.
//!
//! Raw registers in (by assembly), typed access out. Always true: a frame is the whole of what must
//! survive while a call is served; the entry builds it, `serve` may change it, and the exit restores
//! exactly what it then holds. Vector state beyond the xmm registers is not in it, because nothing of
//! ours touches it.

/// One vector register.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub struct Xmm(pub [u8; 16]);

/// How the guest was interrupted: values of [`Frame::kind`].
pub mod kind {
    /// At a system call (trapped or patched) or a redirected vDSO function: rcx and r11 are free.
    pub const CALL: u64 = 0;
    /// Between two instructions, by a fault or a kick: every register counts.
    pub const FAULT: u64 = 1;
}

/// The guest's registers. The order is that of the entry's pushes; from `rip` to `ss` they are what
/// `iretq` takes.
#[repr(C)]
pub struct Frame {
    /// xmm0 to xmm15.
    pub xmm: [Xmm; 16],
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    /// A value of [`kind`]; decides how the exit returns.
    pub kind: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
    /// Keeps the size a multiple of 16.
    pub unused: u64,
}

impl Frame {
    /// The system call's number.
    pub fn number(&self) -> u64 {
        self.rax
    }

    /// The system call's arguments.
    pub fn args(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }

    /// Set the system call's result.
    pub fn set_result(&mut self, result: i64) {
        self.rax = result as u64;
    }
}
