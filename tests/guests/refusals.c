/* What a guest cannot have yet: each thing is asked for three times.
 *
 * Nothing comes in; a line with the error's number for each thing goes out. Always true: a refusal changes
 * nothing and can be repeated; nothing here is meant to run natively. */
#include "check.h"
#include <sys/ptrace.h>
#include <sys/socket.h>

/* A call the 32-bit way. */
static long by_int80(long number) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory", "rcx", "r8", "r9", "r10", "r11");
    return (int)result;
}

#define THRICE(name, call) \
    do { \
        long one = (call), two = (call), three = (call); \
        say("%s %ld%s", name, one, one == two && two == three ? "" : ", not always"); \
    } while (0)

int main(void) {
    char big[256] = {0};

    THRICE("fanotify_init", raw(SYS_fanotify_init, 0, 0));
    THRICE("io_uring_setup", raw(SYS_io_uring_setup, 1, big));
    THRICE("ptrace", raw(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
    THRICE("mount", raw(SYS_mount, "a", "b", "tmpfs", 0, 0));
    THRICE("bpf", raw(SYS_bpf, 0, big, 16));
    THRICE("socket", raw(SYS_socket, AF_ALG, SOCK_STREAM, 0));
    THRICE("prctl", raw(SYS_prctl, 59, 0, 0, 0, 0)); /* PR_SET_SYSCALL_USER_DISPATCH: the shim's own */
    THRICE("number 1000", raw(1000L));
    THRICE("number 100000", raw(100000L));
    THRICE("x32", raw(0x40000000L + SYS_getpid));
    THRICE("negative", raw(-5L));
    THRICE("int80", by_int80(20)); /* getpid there */
    return 0;
}
