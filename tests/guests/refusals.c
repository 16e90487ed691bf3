/* What a guest cannot have yet: each thing is asked for three times.
 *
 * Nothing comes in; a line with the error's number for each thing goes out. Always true: a refusal changes
 * nothing and can be repeated; nothing here is meant to run natively. */
#include "check.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
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
    int fds[2];
    struct epoll_event event = {0};
    char big[256] = {0};
    THRICE("fork", raw(SYS_fork));
    THRICE("vfork", raw(SYS_vfork));
    THRICE("clone", raw(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    THRICE("clone3", raw(SYS_clone3, big, 64));
    THRICE("wait4", raw(SYS_wait4, -1, 0, 0, 0));
    THRICE("socket", raw(SYS_socket, AF_INET, SOCK_STREAM, 0));
    THRICE("socketpair", raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds));
    THRICE("connect", raw(SYS_connect, 0, big, 16));
    THRICE("pipe", raw(SYS_pipe, fds));
    THRICE("pipe2", raw(SYS_pipe2, fds, O_CLOEXEC));
    THRICE("eventfd", raw(SYS_eventfd, 0));
    THRICE("eventfd2", raw(SYS_eventfd2, 0, 0));
    THRICE("epoll_create1", raw(SYS_epoll_create1, 0));
    THRICE("epoll_ctl", raw(SYS_epoll_ctl, 3, EPOLL_CTL_ADD, 0, &event));
    THRICE("timerfd_create", raw(SYS_timerfd_create, CLOCK_MONOTONIC, 0));
    THRICE("signalfd4", raw(SYS_signalfd4, -1, big, 8, 0));
    THRICE("inotify_init1", raw(SYS_inotify_init1, 0));
    THRICE("io_uring_setup", raw(SYS_io_uring_setup, 1, big));
    THRICE("ptrace", raw(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
    THRICE("mount", raw(SYS_mount, "a", "b", "tmpfs", 0, 0));
    THRICE("setuid", raw(SYS_setuid, 12345));
    THRICE("bpf", raw(SYS_bpf, 0, big, 16));
    THRICE("shmget", raw(SYS_shmget, 1, 4096, 0600));
    THRICE("prctl", raw(SYS_prctl, 59, 0, 0, 0, 0)); /* PR_SET_SYSCALL_USER_DISPATCH: the shim's own */
    THRICE("number 1000", raw(1000L));
    THRICE("number 100000", raw(100000L));
    THRICE("x32", raw(0x40000000L + SYS_getpid));
    THRICE("negative", raw(-5L));
    THRICE("int80", by_int80(20)); /* getpid there */
    return 0;
}
