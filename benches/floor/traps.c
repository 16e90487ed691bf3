/* Floors: a system call that becomes SIGSYS, by Syscall User Dispatch and by a seccomp filter.
 *
 * One operation is one getpid whose handler stores a result and returns. It is the least because a trap
 * is a signal frame, a handler and the call that takes the frame down; the filter looks at the number and
 * nothing else, and the dispatch has no range to compare with, only the byte that switches it. */
#include "../measure.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <ucontext.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

#define ANSWER 4242

static volatile char selector;

/* The handler's way back is a system call too: it stands where dispatch is off. */
static void on_sigsys(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    selector = 0;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = ANSWER;
}

static void handle_sigsys(void) {
    struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
}

static void prepare_dispatch(void) {
    handle_sigsys();
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector))
        unavailable("PR_SET_SYSCALL_USER_DISPATCH");
}

static void run_dispatch(long count) {
    for (long i = 0; i < count; i++) {
        selector = 1;
        if (raw(SYS_getpid, 0, 0, 0, 0) != ANSWER)
            abort();
    }
}

static void prepare_seccomp(void) {
    handle_sigsys();
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof instructions / sizeof *instructions, instructions};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter))
        unavailable("a seccomp filter");
}

static void run_seccomp(long count) {
    for (long i = 0; i < count; i++)
        if (raw(SYS_getpid, 0, 0, 0, 0) != ANSWER)
            abort();
}

int main(int argc, char **argv) {
    static const struct operation operations[] = {
        {"dispatch", prepare_dispatch, run_dispatch, 0, 0},
        {"seccomp", prepare_seccomp, run_seccomp, 0, 0},
        {0},
    };
    return measure(argc, argv, operations);
}
