//! Executes code in this process: the original and what rewriting made of it, at the same addresses.
//!
//! An original's pages or an image, and the registers to begin with in; the registers and the memory of the code's
//! own stack out. Always true: the code leaves by a jump through [`exit_address`]; a fault that no image
//! announces ends the process with a line that names what was being tried. The entries that stubs lead to do
//! here what the kernel and the processor do, and count.
//!
//! # Safety
//!
//! Maps memory at fixed addresses that nothing else has, jumps to it, and handles its faults. One thread does
//! so at a time.
#![allow(unsafe_code)]

use std::arch::global_asm;
use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use shim_abi::image::{Displaced, Door, ImageHeader, Part, Place, Trap, is_trap};

/// Registers, in the order in which the assembly below takes them from memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    pub flags: u64,
    /// r15 down to r8, rbp, rdi, rsi, rdx, rcx, rbx, rax.
    pub general: [u64; 15],
    pub rsp: u64,
}

/// Where the code's own stack is.
pub const STACK: usize = 0x1_2000_0000;
/// Its size.
pub const STACK_BYTES: usize = 0x1000;

global_asm!(
    ".pushsection .text",
    "test_run:", // rdi: Registers; rsi: where to begin
    "    push rbx",
    "    push rbp",
    "    push r12",
    "    push r13",
    "    push r14",
    "    push r15",
    "    mov [rip + test_host_rsp], rsp",
    "    mov [rip + test_target], rsi",
    // Code may look at it, too: what was there is no part of the case.
    "    movups xmm1, [rdi]",
    "    mov rsp, rdi",
    "    popfq",
    "    pop r15",
    "    pop r14",
    "    pop r13",
    "    pop r12",
    "    pop r11",
    "    pop r10",
    "    pop r9",
    "    pop r8",
    "    pop rbp",
    "    pop rdi",
    "    pop rsi",
    "    pop rdx",
    "    pop rcx",
    "    pop rbx",
    "    pop rax",
    "    pop rsp",
    "    jmp [rip + test_target]",
    "test_exit:",
    "    mov [rip + test_result_rsp], rsp",
    "    lea rsp, [rip + test_result_rsp]",
    "    push rax",
    "    push rbx",
    "    push rcx",
    "    push rdx",
    "    push rsi",
    "    push rdi",
    "    push rbp",
    "    push r8",
    "    push r9",
    "    push r10",
    "    push r11",
    "    push r12",
    "    push r13",
    "    push r14",
    "    push r15",
    "    pushfq",
    "    cld",
    "    mov rsp, [rip + test_host_rsp]",
    "    pop r15",
    "    pop r14",
    "    pop r13",
    "    pop r12",
    "    pop rbp",
    "    pop rbx",
    "    ret",
    // The entries. What is below the red zone of the code's own stack is theirs.
    "test_call:",
    "    lea rsp, [rsp - 1024]",
    "    pushfq",
    "    inc qword ptr [rip + test_entered]",
    "    popfq",
    "    push rcx",
    "    syscall",
    "    pop rcx",
    "    lea rsp, [rsp + 1024]",
    "    jmp rcx",
    ".macro test_instruction name:req, instruction:vararg",
    "\\name:",
    "    lea rsp, [rsp - 1024]",
    "    pushfq",
    "    inc qword ptr [rip + test_entered]",
    "    popfq",
    "    push rdx",
    "    \\instruction",
    "    ret 1024",
    ".endm",
    "test_instruction test_rdtsc, rdtsc",
    "test_instruction test_rdtscp, rdtscp",
    "test_instruction test_cpuid, cpuid",
    ".popsection",
    ".pushsection .bss",
    "    .balign 16",
    "test_result:",
    "    .skip 16 * 8",
    "test_result_rsp:",
    "    .skip 8",
    "test_host_rsp: .skip 8",
    "test_target: .skip 8",
    "test_entered: .skip 8",
    ".popsection",
);

unsafe extern "C" {
    static test_exit: u8;
    static test_call: u8;
    static test_rdtsc: u8;
    static test_rdtscp: u8;
    static test_cpuid: u8;
    static test_result: Registers;
    static test_entered: AtomicU64;
    fn test_run(registers: *const Registers, target: u64);
}

/// What to say if the code faults.
static TRYING: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// Where the image's area is mapped; 0 if none is.
static AREA: AtomicU64 = AtomicU64::new(0);

/// Where code goes that has ended.
pub fn exit_address() -> u64 {
    &raw const test_exit as u64
}

/// How often an entry was reached, or a trap.
pub fn entered() -> u64 {
    // SAFETY: a word that is only counted up.
    unsafe { test_entered.load(Relaxed) }
}

fn count_entered() {
    // SAFETY: a word that is only counted up.
    unsafe { test_entered.fetch_add(1, Relaxed) };
}

/// Have the stack, and the handler of faults.
pub fn prepare() {
    map(STACK, &[0; STACK_BYTES], false);
    // SAFETY: any bytes are one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    let own = map(STACK - 0x10_0000, &[0; 0x8000], false);
    let stack = libc::stack_t { ss_sp: own.cast(), ss_flags: 0, ss_size: 0x8000 };
    // SAFETY: the stack stays mapped.
    assert_eq!(unsafe { libc::sigaltstack(&stack, ptr::null_mut()) }, 0);
    for signal in [libc::SIGSEGV, libc::SIGILL, libc::SIGBUS, libc::SIGTRAP] {
        // SAFETY: the handler touches only what is its own, and the registers of what faulted.
        assert_eq!(unsafe { libc::sigaction(signal, &action, ptr::null_mut()) }, 0);
    }
}

/// Map bytes at an address: executable and read-only, or writable.
pub fn map(address: usize, bytes: &[u8], is_code: bool) -> *mut u8 {
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let address = address as *mut c_void;
    // SAFETY: the addresses of the tests are used by nothing else.
    let memory = unsafe { libc::mmap(address, bytes.len(), writable, flags, -1, 0) };
    assert_eq!(memory, address);
    // SAFETY: the new memory has this size.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), memory.cast(), bytes.len()) };
    if is_code {
        let executable = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: nobody has a reference to it.
        assert_eq!(unsafe { libc::mprotect(memory, bytes.len(), executable) }, 0);
    }
    memory.cast()
}

/// Map an image of something whose load base is 0, as a guest does. Returns its header.
pub fn map_image(image: &[u8]) -> ImageHeader {
    // SAFETY: the header begins the image, and any bytes are one.
    let mut header: ImageHeader = unsafe { ptr::read_unaligned(image.as_ptr().cast()) };
    header.doors = [
        &raw const test_call as u64,
        &raw const test_rdtsc as u64,
        &raw const test_rdtscp as u64,
        &raw const test_cpuid as u64,
    ];
    let mut area = image[..header.area_bytes as usize].to_vec();
    for (index, door) in header.doors.iter().enumerate() {
        let at = offset_of!(ImageHeader, doors) + index * 8;
        area[at..at + 8].copy_from_slice(&door.to_le_bytes());
    }
    map(header.area_address as usize, &area, true);
    AREA.store(header.area_address as u64, Relaxed);
    for text in &header.texts[..header.text_count as usize] {
        let from = text.image_offset as usize;
        let bytes = &image[from..from + text.len_bytes as usize];
        map(text.address as usize, bytes, true);
    }
    header
}

/// Forget the image.
pub fn unmap_image() {
    AREA.store(0, Relaxed);
}

/// The tables of the image that is mapped.
pub fn tables() -> Option<(&'static [Place], &'static [Displaced], &'static [Trap])> {
    let header = AREA.load(Relaxed) as *const ImageHeader;
    // SAFETY: the area is mapped for as long as its tables are used.
    let header = unsafe { header.as_ref() }?;
    Some((
        table(header, header.places),
        table(header, header.displaced),
        table(header, header.traps),
    ))
}

fn table<T>(header: &'static ImageHeader, part: Part) -> &'static [T] {
    let start = (&raw const *header).wrapping_byte_add(part.offset as usize);
    // SAFETY: the image says that it has a table of this type there.
    unsafe { std::slice::from_raw_parts(start.cast(), part.count as usize) }
}

/// Execute code from `target` until it leaves; its registers then, and its stack. `trying` is what to say if it
/// faults.
pub fn run(
    registers: &Registers,
    stack: &[u8],
    target: u64,
    trying: [u64; 3],
) -> (Registers, Vec<u8>) {
    for (place, value) in TRYING.iter().zip(trying) {
        place.store(value, Relaxed);
    }
    assert_eq!(stack.len(), STACK_BYTES);
    // SAFETY: the stack is mapped, and code runs on it only below.
    unsafe { ptr::copy_nonoverlapping(stack.as_ptr(), STACK as *mut u8, STACK_BYTES) };
    // SAFETY: the code is mapped, uses its own stack only, and leaves through `test_exit`, which has kept what
    // the calling convention wants kept.
    unsafe { test_run(registers, target) };
    // SAFETY: as before.
    let memory = unsafe { std::slice::from_raw_parts(STACK as *const u8, STACK_BYTES) };
    // SAFETY: written by `test_exit`.
    let result = unsafe { ptr::read(&raw const test_result) };
    (result, memory.to_vec())
}

extern "C" fn on_fault(signal: i32, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's own context.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let rip = registers[libc::REG_RIP as usize];
    let door = tables().and_then(|(_, _, traps)| {
        let at = i32::try_from(rip.wrapping_sub(AREA.load(Relaxed) as i64)).ok()?;
        is_trap(traps, at)
    });
    if let Some(door) = door {
        count_entered();
        // The results are overwritten by what follows the site.
        registers[libc::REG_RIP as usize] += if door == Door::Rdtscp { 3 } else { 2 };
        return;
    }
    let [seed, case, at] = [0, 1, 2].map(|index: usize| TRYING[index].load(Relaxed));
    eprintln!("signal {signal} at {rip:#x}; seed {seed}, case {case}, from instruction {at}");
    std::process::abort();
}
