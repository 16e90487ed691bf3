/* What the calls for priorities, schedules, limits, process control and filters refuse: a case for each line of
 * their pages.
 *
 * A part's name comes in, lines go out. Always true: what succeeds by mistake would change this process only. Left
 * out: what depends on the processor or on the kernel's configuration, a schedule with deadlines, PR_SET_MM. */
#include "errors.h"
#include <sched.h>
#include <sys/prctl.h>

#define IDLE 5
#define BATCH 3

/* The instructions of a filter, as the kernel names them, and the calls that take one. */
struct sock_filter {
    uint16_t code;
    uint8_t if_true, if_false;
    uint32_t number;
};
struct sock_fprog {
    uint16_t count;
    struct sock_filter *filter;
};
enum { BPF_LD = 0, BPF_ALU = 4, BPF_JMP = 5, BPF_RET = 6, BPF_W = 0, BPF_H = 8, BPF_ABS = 0x20, BPF_MEM = 0x60, BPF_DIV = 0x30, BPF_LSH = 0x60, BPF_JA = 0, BPF_JEQ = 0x10, BPF_K = 0 };
enum { STRICT = 0, FILTER = 1, ACTION_AVAIL = 2, NOTIFY_SIZES = 3, MODE_STRICT = 1, MODE_FILTER = 2 };
#define ALLOW {BPF_RET | BPF_K, 0, 0, 0x7fff0000}

static void priorities(void) {
    pid_t other = WAITING_CHILD();
    FAILS(EINVAL, raw(SYS_getpriority, 3, 0));
    FAILS(EINVAL, raw(SYS_getpriority, -1, 0));
    FAILS(ESRCH, raw(SYS_getpriority, PRIO_PROCESS, NOBODY));
    FAILS(ESRCH, raw(SYS_getpriority, PRIO_PGRP, NOBODY));
    FAILS(ESRCH, raw(SYS_getpriority, PRIO_USER, NOBODY));
    FAILS(ESRCH, raw(SYS_getpriority, PRIO_PROCESS, -1));
    FAILS(EINVAL, raw(SYS_setpriority, 3, 0, 0));
    FAILS(EINVAL, raw(SYS_setpriority, -1, 0, 0));
    FAILS(ESRCH, raw(SYS_setpriority, PRIO_PROCESS, NOBODY, 0));
    FAILS(ESRCH, raw(SYS_setpriority, PRIO_PGRP, NOBODY, 0));
    FAILS(ESRCH, raw(SYS_setpriority, PRIO_USER, NOBODY, 0));
    AS_USER(
        FAILS(EACCES, raw(SYS_setpriority, PRIO_PROCESS, 0, -1));
        FAILS(EACCES, raw(SYS_setpriority, PRIO_PROCESS, 0, -100));
        FAILS(EPERM, raw(SYS_setpriority, PRIO_PROCESS, other, 5));
        FAILS(EPERM, raw(SYS_setpriority, PRIO_PROCESS, other, -5));
        FAILS(EPERM, nice(-1));
        WORKS(raw(SYS_setpriority, PRIO_PROCESS, 0, 5));
        FAILS(EACCES, raw(SYS_setpriority, PRIO_PROCESS, 0, 4)));
    FAILS(EINVAL, raw(SYS_ioprio_get, 4, 0));
    FAILS(ESRCH, raw(SYS_ioprio_get, 1, NOBODY));
    FAILS(EINVAL, raw(SYS_ioprio_set, 1, 0, 4 << 13));
    FAILS(ESRCH, raw(SYS_ioprio_set, 1, NOBODY, 2 << 13));
    AS_USER(
        FAILS(EPERM, raw(SYS_ioprio_set, 1, 0, 1 << 13));
        FAILS(EPERM, raw(SYS_ioprio_set, 1, other, 2 << 13)));
    end_child(other);
}

static void limits(void) {
    pid_t other = WAITING_CHILD();
    struct rlimit limit, wrong = {5, 4}, huge = {10, 1 << 30}, less = {0, 0};
    FAILS(EINVAL, raw(SYS_getrlimit, 16, &limit));
    FAILS(EINVAL, raw(SYS_getrlimit, -1, nowhere));
    FAILS(EFAULT, raw(SYS_getrlimit, RLIMIT_CORE, nowhere));
    FAILS(EFAULT, raw(SYS_getrlimit, RLIMIT_CORE, NULL));
    FAILS(EINVAL, raw(SYS_setrlimit, 16, &less));
    FAILS(EINVAL, raw(SYS_setrlimit, RLIMIT_CORE, &wrong));
    FAILS(EINVAL, raw(SYS_setrlimit, RLIMIT_NOFILE, &wrong));
    FAILS(EFAULT, raw(SYS_setrlimit, RLIMIT_CORE, nowhere));
    FAILS(EFAULT, raw(SYS_setrlimit, 77, nowhere));
    FAILS(EPERM, raw(SYS_setrlimit, RLIMIT_NOFILE, &huge));
    FAILS(EINVAL, raw(SYS_prlimit64, 0, 16, NULL, &limit));
    FAILS(EINVAL, raw(SYS_prlimit64, 0, RLIMIT_CORE, &wrong, NULL));
    FAILS(EFAULT, raw(SYS_prlimit64, 0, RLIMIT_CORE, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_prlimit64, 0, RLIMIT_CORE, NULL, nowhere));
    FAILS(EFAULT, raw(SYS_prlimit64, NOBODY, 77, nowhere, NULL));
    FAILS(ESRCH, raw(SYS_prlimit64, NOBODY, RLIMIT_CORE, NULL, &limit));
    FAILS(ESRCH, raw(SYS_prlimit64, NOBODY, 77, NULL, &limit));
    FAILS(ESRCH, raw(SYS_prlimit64, -1, RLIMIT_CORE, NULL, &limit));
    AS_USER(
        FAILS(EPERM, raw(SYS_prlimit64, other, RLIMIT_CORE, NULL, &limit));
        FAILS(EPERM, raw(SYS_prlimit64, other, RLIMIT_CORE, &less, NULL));
        FAILS(EPERM, raw(SYS_prlimit64, other, 77, NULL, NULL));
        less.rlim_max = 1;
        WORKS(raw(SYS_setrlimit, RLIMIT_MSGQUEUE, &less));
        less.rlim_max = 2;
        FAILS(EPERM, raw(SYS_setrlimit, RLIMIT_MSGQUEUE, &less));
        FAILS(EPERM, raw(SYS_prlimit64, 0, RLIMIT_MSGQUEUE, &less, NULL)));
    FAILS(EINVAL, raw(SYS_getrusage, 2, page));
    FAILS(EINVAL, raw(SYS_getrusage, -3, nowhere));
    FAILS(EFAULT, raw(SYS_getrusage, RUSAGE_SELF, nowhere));
    end_child(other);
}

#define PRCTL_FAILS(error, ...) FAILS(error, raw(SYS_prctl, __VA_ARGS__))

static void controls(void) {
    struct sock_filter allow = ALLOW;
    struct sock_fprog program = {1, &allow};
    PRCTL_FAILS(EINVAL, 9999, 0, 0, 0, 0);
    PRCTL_FAILS(EINVAL, -1, 0, 0, 0, 0);
    PRCTL_FAILS(EINVAL, 0, 0, 0, 0, 0);
    PRCTL_FAILS(EFAULT, PR_SET_NAME, nowhere);
    PRCTL_FAILS(EFAULT, PR_GET_NAME, nowhere);
    PRCTL_FAILS(EFAULT, PR_GET_PDEATHSIG, nowhere);
    PRCTL_FAILS(EFAULT, PR_GET_CHILD_SUBREAPER, nowhere);
    PRCTL_FAILS(EFAULT, PR_GET_TID_ADDRESS, nowhere);
    PRCTL_FAILS(EFAULT, PR_GET_TSC, nowhere);
    PRCTL_FAILS(EINVAL, PR_SET_PDEATHSIG, 65);
    PRCTL_FAILS(EINVAL, PR_SET_PDEATHSIG, -1);
    PRCTL_FAILS(EINVAL, PR_SET_DUMPABLE, 2);
    PRCTL_FAILS(EINVAL, PR_SET_DUMPABLE, -1);
    PRCTL_FAILS(EINVAL, PR_SET_TIMING, 1);
    PRCTL_FAILS(EINVAL, PR_SET_TSC, 0);
    PRCTL_FAILS(EINVAL, PR_SET_TSC, 3);
    PRCTL_FAILS(EINVAL, PR_SET_KEEPCAPS, 2);
    PRCTL_FAILS(EINVAL, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0);
    PRCTL_FAILS(EINVAL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 1);
    PRCTL_FAILS(EINVAL, PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_GET_NO_NEW_PRIVS, 0, 0, 1, 0);
    PRCTL_FAILS(EINVAL, PR_SET_THP_DISABLE, 0, 0, 1, 0);
    PRCTL_FAILS(EINVAL, PR_GET_THP_DISABLE, 0, 1, 0, 0);
    PRCTL_FAILS(EINVAL, PR_CAPBSET_READ, 64);
    PRCTL_FAILS(EINVAL, PR_CAPBSET_DROP, 64);
    PRCTL_FAILS(EINVAL, PR_CAP_AMBIENT, 5, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0);
    PRCTL_FAILS(EINVAL, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 64, 0, 0);
    PRCTL_FAILS(EINVAL, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 64, 0, 0);
    PRCTL_FAILS(EINVAL, PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, 0, 1, 0);
    PRCTL_FAILS(EPERM, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_MCE_KILL, 2, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_MCE_KILL, 0, 1, 0, 0);
    PRCTL_FAILS(EINVAL, PR_MCE_KILL_GET, 1, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_SET_MM, 0, 0, 0, 1);
    PRCTL_FAILS(EINVAL, PR_GET_SPECULATION_CTRL, 0, 1, 0, 0);
    PRCTL_FAILS(EINVAL, PR_SET_SPECULATION_CTRL, 0, 0, 1, 0);
    PRCTL_FAILS(ENODEV, PR_GET_SPECULATION_CTRL, 77, 0, 0, 0);
    PRCTL_FAILS(ENODEV, PR_SET_SPECULATION_CTRL, 77, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_SET_SECCOMP, 0);
    PRCTL_FAILS(EINVAL, PR_SET_SECCOMP, 3);
    PRCTL_FAILS(EFAULT, PR_SET_SECCOMP, MODE_FILTER, nowhere);
    PRCTL_FAILS(EPERM, PR_SET_SECUREBITS, 1 << 20);
    PRCTL_FAILS(EINVAL, PR_SET_FP_MODE, 1);
    PRCTL_FAILS(EINVAL, PR_SVE_GET_VL);
    PRCTL_FAILS(EINVAL, PR_SVE_SET_VL, 16);
    PRCTL_FAILS(EINVAL, PR_PAC_RESET_KEYS, 0, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_SET_TAGGED_ADDR_CTRL, 0, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0);
    PRCTL_FAILS(EINVAL, 43 /* PR_MPX_ENABLE_MANAGEMENT */, 0, 0, 0, 0);
    PRCTL_FAILS(EINVAL, PR_SET_CHILD_SUBREAPER + 1000, 0);
    AS_USER(
        PRCTL_FAILS(EPERM, PR_CAPBSET_DROP, 0);
        PRCTL_FAILS(EPERM, PR_SET_SECUREBITS, 1);
        PRCTL_FAILS(EPERM, PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0);
        PRCTL_FAILS(EPERM, PR_SET_MM, 77, 0, 0, 0);
        PRCTL_FAILS(EPERM, PR_CAPBSET_DROP, 64);
        PRCTL_FAILS(EACCES, PR_SET_SECCOMP, MODE_FILTER, &program));
}

static void processor(void) {
    FAILS(EINVAL, raw(SYS_arch_prctl, 0x9999, 0));
    FAILS(EINVAL, raw(SYS_arch_prctl, 0, 0));
    FAILS(EINVAL, raw(SYS_arch_prctl, -1, nowhere));
    FAILS(EFAULT, raw(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, nowhere));
    FAILS(EFAULT, raw(SYS_arch_prctl, 0x1004 /* ARCH_GET_GS */, nowhere));
    FAILS(EPERM, raw(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, 0x800000000000));
    FAILS(EPERM, raw(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, -1L));
}

static void filters(void) {
    struct sock_filter allow = ALLOW;
    static struct sock_filter many[4097];
    struct sock_fprog program = {1, &allow}, empty = {0, &allow}, lost = {1, nowhere}, long_one = {4097, many};
    uint32_t action = 0x12340000;
    FAILS(EINVAL, raw(SYS_seccomp, 77, 0, NULL));
    FAILS(EINVAL, raw(SYS_seccomp, -1, 0, NULL));
    FAILS(EINVAL, raw(SYS_seccomp, STRICT, 1, NULL));
    FAILS(EINVAL, raw(SYS_seccomp, STRICT, 0, &program));
    FAILS(EINVAL, raw(SYS_seccomp, FILTER, 0x1000, &program));
    FAILS(EINVAL, raw(SYS_seccomp, FILTER, 1 | 8 /* TSYNC, NEW_LISTENER */, &program));
    FAILS(EINVAL, raw(SYS_seccomp, ACTION_AVAIL, 1, &action));
    FAILS(EINVAL, raw(SYS_seccomp, NOTIFY_SIZES, 1, page));
    FAILS(EOPNOTSUPP, raw(SYS_seccomp, ACTION_AVAIL, 0, &action));
    FAILS(EFAULT, raw(SYS_seccomp, ACTION_AVAIL, 0, nowhere));
    FAILS(EFAULT, raw(SYS_seccomp, NOTIFY_SIZES, 0, nowhere));
    FAILS(EFAULT, raw(SYS_seccomp, FILTER, 0, nowhere));
    FAILS(EFAULT, raw(SYS_seccomp, FILTER, 0, NULL));
    FAILS(EFAULT, raw(SYS_seccomp, FILTER, 0, &lost));
    FAILS(EINVAL, raw(SYS_seccomp, FILTER, 0, &empty));
    FAILS(EINVAL, raw(SYS_seccomp, FILTER, 0, &long_one));
    /* Beyond the data, not on a word's boundary, no return, an unknown instruction, a jump out. */
    struct sock_filter beyond[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 64}, ALLOW}, odd[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 2}, ALLOW},
                       endless[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}}, unknown[] = {{0xffff, 0, 0, 0}, ALLOW}, half[] = {{BPF_LD | BPF_H | BPF_ABS, 0, 0, 0}, ALLOW},
                       jump[] = {{BPF_JMP | BPF_JA, 0, 0, 5}, ALLOW}, divides[] = {{BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0}, ALLOW},
                       cell[] = {{BPF_LD | BPF_MEM, 0, 0, 16}, ALLOW}, unset[] = {{BPF_LD | BPF_MEM, 0, 0, 1}, ALLOW}, branch[] = {{BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0}, ALLOW},
                       shift[] = {{BPF_ALU | BPF_LSH | BPF_K, 0, 0, 32}, ALLOW};
    struct sock_filter *const bad[] = {beyond, odd, endless, unknown, half, jump, divides, cell, unset, branch, shift};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sock_fprog wrong = {bad[i] == endless ? 1 : 2, bad[i]};
        FAILS(EINVAL, raw(SYS_seccomp, FILTER, 0, &wrong));
        FAILS(EINVAL, raw(SYS_prctl, PR_SET_SECCOMP, MODE_FILTER, &wrong));
    }
    AS_USER(
        FAILS(EACCES, raw(SYS_seccomp, FILTER, 0, &program));
        FAILS(EINVAL, raw(SYS_seccomp, FILTER, 0, &empty));
        FAILS(EACCES, raw(SYS_seccomp, FILTER, 0, &lost)));
    IN_CHILD(
        WORKS(raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        WORKS(raw(SYS_seccomp, FILTER, 0, &program));
        FAILS(EINVAL, raw(SYS_seccomp, STRICT, 0, NULL));
        FAILS(EINVAL, raw(SYS_prctl, PR_SET_SECCOMP, MODE_STRICT)));
}

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t least, most, later[2];
};

static void schedules(void) {
    pid_t other = WAITING_CHILD();
    struct sched_param zero = {.sched_priority = 0}, one = {.sched_priority = 1}, hundred = {.sched_priority = 100}, negative = {.sched_priority = -1};
    FAILS(EINVAL, raw(SYS_sched_setscheduler, -1, SCHED_OTHER, &zero));
    FAILS(EINVAL, raw(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL));
    FAILS(EINVAL, raw(SYS_sched_setscheduler, 0, 77, &zero));
    FAILS(EINVAL, raw(SYS_sched_setscheduler, 0, -1, &zero));
    FAILS(EINVAL, raw(SYS_sched_setscheduler, 0, 4, &zero));
    FAILS(EINVAL, raw(SYS_sched_setscheduler, 0, SCHED_OTHER, &one));
    FAILS(EINVAL, raw(SYS_sched_setscheduler, 0, BATCH, &one));
    FAILS(EINVAL, raw(SYS_sched_setscheduler, 0, SCHED_FIFO, &zero));
    FAILS(EINVAL, raw(SYS_sched_setscheduler, 0, SCHED_RR, &hundred));
    FAILS(EINVAL, raw(SYS_sched_setscheduler, 0, SCHED_FIFO, &negative));
    FAILS(EFAULT, raw(SYS_sched_setscheduler, 0, SCHED_OTHER, nowhere));
    FAILS(ESRCH, raw(SYS_sched_setscheduler, NOBODY, SCHED_OTHER, &zero));
    FAILS(ESRCH, raw(SYS_sched_setscheduler, NOBODY, 77, &zero));
    FAILS(EINVAL, raw(SYS_sched_getscheduler, -1));
    FAILS(ESRCH, raw(SYS_sched_getscheduler, NOBODY));
    FAILS(EINVAL, raw(SYS_sched_setparam, 0, NULL));
    FAILS(EINVAL, raw(SYS_sched_setparam, -1, &zero));
    FAILS(EINVAL, raw(SYS_sched_setparam, 0, &one));
    FAILS(EFAULT, raw(SYS_sched_setparam, 0, nowhere));
    FAILS(ESRCH, raw(SYS_sched_setparam, NOBODY, &zero));
    FAILS(EINVAL, raw(SYS_sched_getparam, 0, NULL));
    FAILS(EINVAL, raw(SYS_sched_getparam, -1, &zero));
    FAILS(EFAULT, raw(SYS_sched_getparam, 0, nowhere));
    FAILS(ESRCH, raw(SYS_sched_getparam, NOBODY, nowhere));
    FAILS(EINVAL, raw(SYS_sched_get_priority_max, 77));
    FAILS(EINVAL, raw(SYS_sched_get_priority_max, -1));
    FAILS(EINVAL, raw(SYS_sched_get_priority_min, 4));
    struct timespec slice;
    FAILS(EINVAL, raw(SYS_sched_rr_get_interval, -1, &slice));
    FAILS(ESRCH, raw(SYS_sched_rr_get_interval, NOBODY, &slice));
    FAILS(EFAULT, raw(SYS_sched_rr_get_interval, 0, nowhere));
    uint64_t mask[16] = {1}, no_mask[16] = {0}, beyond[16] = {0};
    beyond[15] = UINT64_C(1) << 63;
    FAILS(EFAULT, raw(SYS_sched_setaffinity, 0, sizeof mask, nowhere));
    FAILS(EINVAL, raw(SYS_sched_setaffinity, 0, sizeof no_mask, no_mask));
    FAILS(EINVAL, raw(SYS_sched_setaffinity, 0, sizeof beyond, beyond));
    FAILS(EINVAL, raw(SYS_sched_setaffinity, 0, 0, mask));
    FAILS(ESRCH, raw(SYS_sched_setaffinity, NOBODY, sizeof mask, mask));
    FAILS(EFAULT, raw(SYS_sched_getaffinity, 0, sizeof mask, nowhere));
    FAILS(EINVAL, raw(SYS_sched_getaffinity, 0, 0, mask));
    FAILS(EINVAL, raw(SYS_sched_getaffinity, 0, 12, mask));
    FAILS(ESRCH, raw(SYS_sched_getaffinity, NOBODY, sizeof mask, mask));
    AS_USER(
        FAILS(EPERM, raw(SYS_sched_setscheduler, 0, SCHED_FIFO, &one));
        FAILS(EPERM, raw(SYS_sched_setscheduler, other, SCHED_OTHER, &zero));
        FAILS(EPERM, raw(SYS_sched_setparam, other, &zero));
        FAILS(EPERM, raw(SYS_sched_setaffinity, other, sizeof mask, mask));
        WORKS(raw(SYS_sched_setscheduler, 0, IDLE, &zero)));
    struct attributes good = {.size = 56}, now;
#define SET_FAILS(error, size, ...) FAILS(error, raw(SYS_sched_setattr, 0, &(struct attributes){size, __VA_ARGS__}, 0))
    FAILS(EINVAL, raw(SYS_sched_setattr, 0, NULL, 0));
    FAILS(EINVAL, raw(SYS_sched_setattr, -1, &good, 0));
    FAILS(EINVAL, raw(SYS_sched_setattr, 0, &good, 1));
    FAILS(ESRCH, raw(SYS_sched_setattr, NOBODY, &good, 0));
    FAILS(EFAULT, raw(SYS_sched_setattr, 0, nowhere, 0));
    SET_FAILS(E2BIG, 47, .policy = 0);
    SET_FAILS(E2BIG, 4097, .policy = 0);
    SET_FAILS(E2BIG, 64, .later = {1});
    SET_FAILS(EINVAL, 56, .policy = 77);
    SET_FAILS(EINVAL, 56, .policy = SCHED_FIFO);
    SET_FAILS(EINVAL, 56, .priority = 1);
    SET_FAILS(EINVAL, 56, .flags = 1 << 20);
    SET_FAILS(EINVAL, 56, .policy = 6, .runtime = 0);
    SET_FAILS(EINVAL, 56, .policy = 6, .runtime = 20000000, .deadline = 10000000, .period = 30000000);
    FAILS(EINVAL, raw(SYS_sched_getattr, 0, NULL, 56, 0));
    FAILS(EINVAL, raw(SYS_sched_getattr, -1, &now, 56, 0));
    FAILS(EINVAL, raw(SYS_sched_getattr, 0, &now, 56, 1));
    FAILS(EINVAL, raw(SYS_sched_getattr, 0, &now, 47, 0));
    FAILS(EINVAL, raw(SYS_sched_getattr, 0, &now, 4097, 0));
    FAILS(ESRCH, raw(SYS_sched_getattr, NOBODY, &now, 56, 0));
    FAILS(EFAULT, raw(SYS_sched_getattr, 0, nowhere, 56, 0));
    AS_USER(
        SET_FAILS(EPERM, 56, .policy = SCHED_RR, .priority = 1);
        SET_FAILS(EPERM, 56, .policy = 6, .runtime = 1000000, .deadline = 30000000, .period = 30000000);
        SET_FAILS(EPERM, 56, .nice = -5);
        FAILS(EPERM, raw(SYS_sched_setattr, other, &good, 0)));
    end_child(other);
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"setpriority", priorities}, {"setrlimit", limits}, {"prctl", controls}, {"arch_prctl", processor}, {"seccomp", filters},
        {"sched", schedules}, {NULL, NULL},
    };
    return run_parts_of_errors(parts, count, words);
}
