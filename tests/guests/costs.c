/* One cheap operation, many times: what benches/costs.rs measures from outside.
 *
 * The operation's name and a count come in; nothing goes out but the wall time that it took. Always
 * true: what an operation does is the same natively and as a guest. The operations whose names begin
 * with "floor" run natively and are the least that a mechanism can cost on this machine: a trap that
 * does nothing, a hand-over that says nothing, a clock that is a load from memory. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static long call(long number, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

/* A trap: SIGSYS, a handler that stores a result, sigreturn. */
static volatile char selector;

static void trapped(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    selector = 0;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = 1;
}

/* The handler's way back is a system call too: it stands where dispatch is off, and arms it again. */
static void floor_trap(long count) {
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector)) {
        perror("PR_SET_SYSCALL_USER_DISPATCH");
        exit(2);
    }
    for (long i = 0; i < count; i++) {
        selector = 1;
        call(SYS_getpid, 0, 0, 0, 0);
    }
    selector = 0;
}

/* A hand-over and back: two processes and one word, spinning for a while, then sleeping. */
struct word {
    _Atomic uint32_t turn, sleeps;
};

static void hand_over(struct word *word, uint32_t to) {
    atomic_store(&word->turn, to);
    if (atomic_exchange(&word->sleeps, 0))
        call(SYS_futex, (long)&word->turn, FUTEX_WAKE, 1, 0);
}

static void wait_for(struct word *word, uint32_t turn) {
    for (int spin = 0; spin < 2000; spin++) {
        if (atomic_load(&word->turn) == turn)
            return;
        __builtin_ia32_pause();
    }
    while (atomic_load(&word->turn) != turn) {
        atomic_store(&word->sleeps, 1);
        if (atomic_load(&word->turn) != turn)
            call(SYS_futex, (long)&word->turn, FUTEX_WAIT, 1 - turn, 0);
    }
}

static void floor_channel(long count) {
    struct word *word =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    if (child == 0) {
        for (long i = 0; i < count; i++) {
            wait_for(word, 1);
            hand_over(word, 0);
        }
        _exit(0);
    }
    for (long i = 0; i < count; i++) {
        hand_over(word, 1);
        wait_for(word, 0);
    }
    waitpid(child, NULL, 0);
}

/* A clock that is two loads, a sum and a division, called through a pointer. */
static volatile uint64_t now_ns = 1234567890, charged_ns;

static int shared_clock(clockid_t clock, struct timespec *time) {
    (void)clock;
    uint64_t now = now_ns + (charged_ns += 10);
    time->tv_sec = (time_t)(now / 1000000000);
    time->tv_nsec = (long)(now % 1000000000);
    return 0;
}

static int (*volatile clock_function)(clockid_t, struct timespec *) = shared_clock;

int main(int argc, char **argv) {
    const char *name = argc > 2 ? argv[1] : "";
    long count = argc > 2 ? atol(argv[2]) : 0;
    struct timespec time;
    char byte;
    if (strcmp(name, "local") == 0) {
        for (long i = 0; i < count; i++)
            call(SYS_getpid, 0, 0, 0, 0);
    } else if (strcmp(name, "forward") == 0) {
        for (long i = 0; i < count; i++)
            call(SYS_sched_getscheduler, 0, 0, 0, 0);
    } else if (strcmp(name, "native") == 0) {
        int file = open(argv[0], O_RDONLY);
        for (long i = 0; i < count; i++)
            call(SYS_pread64, file, (long)&byte, 1, 0);
    } else if (strcmp(name, "clock") == 0) {
        for (long i = 0; i < count; i++)
            clock_gettime(CLOCK_MONOTONIC, &time);
    } else if (strcmp(name, "floor-trap") == 0) {
        floor_trap(count);
    } else if (strcmp(name, "floor-channel") == 0) {
        floor_channel(count);
    } else if (strcmp(name, "floor-clock") == 0) {
        for (long i = 0; i < count; i++)
            clock_function(CLOCK_MONOTONIC, &time);
    } else if (strcmp(name, "start") != 0) {
        fprintf(stderr, "usage: costs OPERATION COUNT\n");
        return 2;
    }
    return 0;
}
