/* Every call that takes pointers, with a thousand bad ones: what it returns.
 *
 * Nothing comes in, or the name of one call, which is then shown in full; for each call a line with a hash
 * of all its results goes out, and how often it returned what. Always true: pointers and lengths come from
 * a seeded generator, so that both runs make the same calls; none of them, should it succeed, changes
 * the machine; none waits. Not tried are addresses of the shim's own memory, which natively is not there. */
#include "check.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define ROUNDS 1000
#define PAGE 4096

static uint64_t state;
static uint64_t random_number(uint64_t below) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (state >> 11) % below;
}

/* A page of zeros that can only be read, with nothing after it. */
static char *read_only;
/* A page of letters, without a NUL, with nothing after it. */
static char *before_end;
/* Where nothing is mapped, and where nothing may be touched. */
static char *unmapped, *forbidden;
static long file, second_file, folder;
/* Objects that none of the calls below waits for. */
static int pipe_ends[2], sockets[2], epoll, timer, self, queue;
static int semaphores, segment, messages;

static uint64_t bad_for_sure(void) {
    switch (random_number(8)) {
    case 0: return 1;
    case 1: return (uint64_t)unmapped + random_number(PAGE);
    case 2: return (uint64_t)forbidden + random_number(PAGE);
    case 3: return (uint64_t)before_end + PAGE - 1 - random_number(3); /* less than any object */
    case 4: return 0xffff800000000000 + random_number(UINT64_C(1) << 46);
    case 5: return 0x0000800000000000 + random_number(UINT64_C(1) << 60);
    case 6: return UINT64_MAX - random_number(PAGE);
    default: return 0x00007ffffffff000 + random_number(PAGE);
    }
}

static uint64_t zeros(void) { return (uint64_t)read_only + 8 * random_number(PAGE / 8); }

static uint64_t length(void) {
    static const uint64_t lengths[] = {0, 1, 4, 7, 8, 16, 24, 100, PAGE, PAGE + 1, 1 << 20, UINT64_C(1) << 31,
                                       UINT64_C(1) << 32, UINT64_C(1) << 47, INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
    return lengths[random_number(sizeof lengths / sizeof *lengths)];
}

/* One argument for a letter of a call's line. */
static uint64_t argument(char kind) {
    switch (kind) {
    case 'p': /* any pointer: now and then one of those that can partly be used */
        switch (random_number(4)) {
        case 0: return random_number(2) ? 0 : zeros();
        case 1: return (uint64_t)before_end + random_number(PAGE);
        default: return bad_for_sure();
        }
    case 'b': return random_number(8) ? bad_for_sure() : 0;          /* nothing usable */
    case 'z': return random_number(4) ? bad_for_sure() : zeros();    /* a time: bad, or no time at all */
    case 'y': /* partly usable, but never zeros */
        return random_number(2) ? (uint64_t)before_end + random_number(PAGE) : bad_for_sure();
    case 'n': return length();
    case 'l': return PAGE << random_number(8);                       /* bytes that cannot wrap around */
    case 'f': return file;
    case 'g': return second_file;
    case 'd': return folder;
    case 's': return random_number(66);                              /* a signal */
    case 'k': return random_number(8);                               /* a clock that can always be read */
    case 'c': return random_number(2) ? random_number(4) : length(); /* a count */
    case 'o': return random_number(100);                             /* an offset */
    case '8': return random_number(8) ? 8 : length();                /* the size of a set of signals */
    case '0': return 0;
    case '1': return 1;
    case '5': return 5;
    case 'i': return getpid();
    case 'j': return raw(SYS_gettid);
    case 'E': return AT_EMPTY_PATH;
    case 'K': return 1024;
    case 'x': return 0xfff;                                          /* STATX_ALL */
    case 'w': return random_number(4);                               /* how, which, whose */
    case 'r': return random_number(20);                              /* a resource */
    case 'L': return F_GETLK + random_number(2);                     /* F_GETLK, F_SETLK */
    case 'O': return F_OFD_GETLK;
    case 'Z': return FIGETBSZ;
    case 'N': return 15 + random_number(2);                          /* PR_SET_NAME, PR_GET_NAME */
    case 'F': return 0x1003;                                         /* ARCH_GET_FS */
    case 'C': return RLIMIT_CORE;
    case 'R': return S_IFREG;
    case 'm': return (uint64_t)before_end;                           /* memory that is there */
    case '2': return 2;                                              /* IPC_STAT, SECCOMP_GET_ACTION_AVAIL */
    case '3': return 3;                                              /* FUTEX_REQUEUE */
    case 'P': return pipe_ends[0];
    case 'Q': return pipe_ends[1];
    case 'S': return sockets[0];
    case 'e': return epoll;
    case 't': return timer;
    case 'D': return self;
    case 'q': return queue;
    case 'H': return semaphores;
    case 'G': return segment;
    case 'M': return messages;
    case 'W': return IPC_NOWAIT;
    default: abort();
    }
}

struct call {
    const char *name;
    long number;
    const char *arguments;
    int is_yes_or_no; /* a success's value depends on the machine, or on when it is made */
};

#define CALL(name, arguments) {#name, SYS_##name, arguments, 0}
#define SOME(name, arguments) {#name, SYS_##name, arguments, 1}
static const struct call calls[] = {
    CALL(read, "fpn"), CALL(write, "fpn"), CALL(pread64, "fpno"), CALL(pwrite64, "fpno"),
    CALL(readv, "fpc"), CALL(writev, "fpc"), CALL(preadv, "fpco"), CALL(pwritev, "fpco"),
    CALL(preadv2, "fpco00"), CALL(pwritev2, "fpco00"),
    CALL(sendfile, "fgpn"), CALL(copy_file_range, "fpgpn0"), SOME(getdents, "dpn"), SOME(getdents64, "dpn"),
    CALL(open, "p00"), CALL(openat, "dp00"), CALL(openat2, "dppn"), CALL(creat, "p0"),
    CALL(memfd_create, "b0"), CALL(fcntl, "fLb"), CALL(fcntl, "fOb"), CALL(ioctl, "fZb"),
    CALL(poll, "pc0"), CALL(ppoll, "pcz08"), CALL(ppoll, "0czp8"), CALL(select, "wpppz"),
    CALL(select, "opppz"), CALL(pselect6, "wpppzp"), CALL(pselect6, "opppz0"),
    CALL(stat, "pp"), CALL(lstat, "pp"), CALL(fstat, "fp"), CALL(newfstatat, "dpp0"), CALL(newfstatat, "fppE"),
    CALL(statx, "dp0xp"), CALL(statx, "fpExp"), CALL(statfs, "pp"), CALL(fstatfs, "fp"),
    CALL(access, "pw"), CALL(faccessat, "dpw"), CALL(faccessat2, "dpw0"), CALL(readlink, "ppn"),
    CALL(readlinkat, "dppn"), SOME(getcwd, "pn"), CALL(chdir, "p"),
    CALL(mkdir, "p0"), CALL(mkdirat, "dp0"), CALL(rmdir, "p"), CALL(mknod, "pR0"), CALL(mknodat, "dpR0"),
    CALL(link, "pp"), CALL(linkat, "dpdp0"), CALL(symlink, "pp"), CALL(symlinkat, "pdp"), CALL(unlink, "p"),
    CALL(unlinkat, "dp0"), CALL(rename, "pp"), CALL(renameat, "dpdp"), CALL(renameat2, "dpdp0"),
    CALL(chmod, "p0"), CALL(fchmodat, "dp0"), CALL(fchmodat2, "dp00"), CALL(chown, "p00"),
    CALL(lchown, "p00"), CALL(fchownat, "dp000"), CALL(truncate, "po"),
    CALL(utime, "pp"), CALL(utimes, "pp"), CALL(futimesat, "dpp"), CALL(utimensat, "dpp0"),
    CALL(setxattr, "pppn0"), CALL(lsetxattr, "pppn0"), CALL(fsetxattr, "fppn0"), CALL(getxattr, "pppn"),
    CALL(lgetxattr, "pppn"), CALL(fgetxattr, "fppn"), CALL(listxattr, "ppn"), CALL(llistxattr, "ppn"),
    CALL(flistxattr, "fpn"), CALL(removexattr, "pp"), CALL(lremovexattr, "pp"), CALL(fremovexattr, "fp"),
    CALL(execve, "ppp"), CALL(execveat, "dppp0"), CALL(execveat, "fbppE"),
    CALL(mincore, "mlp"), CALL(cachestat, "fpp0"),
    CALL(rt_sigaction, "sbb8"), CALL(rt_sigprocmask, "wbp8"), CALL(rt_sigpending, "pn"),
    CALL(rt_sigtimedwait, "ppz8"), CALL(rt_sigqueueinfo, "i0p"), CALL(rt_tgsigqueueinfo, "ij0p"),
    CALL(rt_sigsuspend, "b8"),
    /* No zeros: whether a stack of no size is the one that is there already depends on who started us. */
    CALL(sigaltstack, "yp"),
    CALL(nanosleep, "zp"), CALL(clock_nanosleep, "00zp"), CALL(clock_nanosleep, "k1zp"),
    CALL(clock_gettime, "kp"), CALL(clock_getres, "kp"), CALL(gettimeofday, "pp"), SOME(time, "p"),
    SOME(times, "p"), CALL(clock_settime, "0b"), CALL(settimeofday, "bb"), SOME(adjtimex, "b"),
    SOME(clock_adjtime, "0b"), CALL(getitimer, "wp"), CALL(setitimer, "wzp"),
    CALL(getrlimit, "rp"), CALL(setrlimit, "Cb"), CALL(prlimit64, "0rbp"), CALL(getrusage, "wp"),
    CALL(sysinfo, "p"), CALL(uname, "p"), CALL(sethostname, "b5"), CALL(setdomainname, "b5"),
    CALL(getgroups, "cp"), CALL(getresuid, "ppp"), CALL(getresgid, "ppp"), CALL(capget, "bp"),
    CALL(getcpu, "ppp"), CALL(getrandom, "pn0"), CALL(prctl, "Np"), CALL(arch_prctl, "Fp"),
    /* In this order: once a bad head is set, Linux takes it for an error's number. */
    CALL(get_robust_list, "0pp"), CALL(set_robust_list, "pn"),
    CALL(sched_setparam, "0p"), CALL(sched_getparam, "0p"), CALL(sched_setscheduler, "00p"),
    CALL(sched_rr_get_interval, "0p"), SOME(sched_setaffinity, "0nb"), SOME(sched_getaffinity, "0Kp"),
    CALL(sched_setattr, "0b0"), CALL(sched_getattr, "0pn0"),
    CALL(pipe, "b"), CALL(pipe2, "b0"), CALL(socketpair, "110b"), CALL(read, "Ppn"), CALL(readv, "Ppc"), CALL(write, "Qpn"),
    CALL(writev, "Qpc"), CALL(vmsplice, "Qbc2"), CALL(splice, "Pbf0n2"), CALL(splice, "f0Qbn2"), CALL(sendfile, "Qfbn"),
    CALL(fcntl, "QLb"), CALL(fstat, "Pp"), CALL(poll, "bc0"),
    CALL(getsockopt, "S15pp"), CALL(setsockopt, "S15pn"), CALL(getsockname, "Spp"), CALL(getpeername, "Spp"),
    CALL(sendto, "Spn000"), CALL(sendto, "S0000b5"), CALL(recvfrom, "Spn0pp"), CALL(sendmsg, "Sb0"), CALL(recvmsg, "Sb0"),
    CALL(sendmmsg, "Sb50"), CALL(recvmmsg, "Sb500"), CALL(bind, "Sbn"), CALL(connect, "Sbn"),
    CALL(epoll_ctl, "e1Pp"), CALL(epoll_wait, "epc0"), CALL(epoll_pwait, "epc0p8"),
    CALL(timerfd_settime, "t0pp"), CALL(timerfd_gettime, "tp"), CALL(read, "tpn"), CALL(signalfd4, "fp80"),
    CALL(timer_create, "0bb"), CALL(timer_settime, "00bp"), CALL(timer_gettime, "0p"),
    CALL(futex, "p11"), CALL(futex, "p05b"), CALL(futex, "p311p"), CALL(futex_waitv, "b100"), CALL(futex_waitv, "bc0b1"),
    CALL(clone3, "bn"), CALL(seccomp, "10b"), CALL(seccomp, "20p"), CALL(wait4, "ip0p"), CALL(waitid, "1ip5p"),
    CALL(pidfd_send_signal, "D0b0"), CALL(ioctl, "PZb"),
    CALL(mq_open, "p00b"), CALL(mq_unlink, "p"), CALL(mq_timedsend, "qbn0z"), CALL(mq_timedreceive, "qpnpz"),
    CALL(mq_notify, "qb"), CALL(mq_getsetattr, "qpp"),
    CALL(semop, "Hpc"), CALL(semtimedop, "Hpcz"), CALL(semctl, "H02p"), CALL(shmctl, "G2p"), SOME(shmat, "Gb0"), CALL(shmdt, "b"),
    CALL(msgsnd, "MpnW"), CALL(msgrcv, "Mpn0W"), CALL(msgctl, "M2p"),
};

#define MAX_VALUES 24

static void try_call(const struct call *call, int is_shown) {
    long values[MAX_VALUES];
    int counts[MAX_VALUES], count = 0;
    uint64_t hash = 14695981039346656037u;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t a[6] = {0};
        memset(before_end, 'a', PAGE); /* what the last one stored there */
        for (int i = 0; call->arguments[i]; i++)
            a[i] = argument(call->arguments[i]);
        long result = raw(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (call->is_yes_or_no && result > 0)
            result = 0;
        if (is_shown)
            say("%4d %s(%lx, %lx, %lx, %lx, %lx, %lx) = %ld", round, call->name, a[0], a[1], a[2], a[3], a[4],
                a[5], result);
        hash = (hash ^ (uint64_t)result) * 1099511628211u;
        int at = 0;
        while (at < count && values[at] != result)
            at++;
        if (at == count && count < MAX_VALUES)
            values[count] = result, counts[count++] = 0;
        if (at < count)
            counts[at]++;
    }
    char text[400] = "";
    int used = 0;
    for (int i = 0; i < count && i < 8; i++)
        used += snprintf(text + used, sizeof text - used, " %ld:%d", values[i], counts[i]);
    say("%s(%s) %016lx%s", call->name, call->arguments, hash, text);
}

/* Where memory lies decides which lengths reach beyond what a program can have: the same in both runs. */
static char *map(uint64_t at, int protection) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    if (mmap((void *)at, PAGE, protection, flags, -1, 0) != (void *)at)
        abort();
    return (char *)at;
}

int main(int count, char **words) {
    raw(SYS_close_range, 3, ~0u, 0);
    struct rlimit limit = {256, 4096};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 2;
    read_only = map(0x100000000000, PROT_READ);
    before_end = map(0x100000100000, PROT_READ | PROT_WRITE);
    forbidden = map(0x100000200000, PROT_NONE);
    unmapped = read_only + PAGE;
    memset(before_end, 'a', PAGE);
    if (pipe2(pipe_ends, O_NONBLOCK) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) != 0)
        return 2;
    epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), self = raw(SYS_pidfd_open, getpid(), 0);
    char name[32];
    snprintf(name, sizeof name, "pointers-%d", getpid());
    queue = raw(SYS_mq_open, name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, NULL), raw(SYS_mq_unlink, name);
    semaphores = semget(IPC_PRIVATE, 4, 0600), segment = shmget(IPC_PRIVATE, PAGE, 0600), messages = msgget(IPC_PRIVATE, 0600);
    folder = open(".", O_RDONLY | O_DIRECTORY);
    file = open("file", O_RDWR | O_CREAT, 0600);
    second_file = open("second", O_RDWR | O_CREAT, 0600);
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        state = 88172645463325252u + i;
        /* Each call finds what the first one found. */
        if (pwrite(file, before_end, 100, 0) != 100 || pwrite(second_file, before_end, PAGE, 0) != PAGE ||
            ftruncate(file, 100) != 0 || lseek(file, 0, SEEK_SET) != 0 || lseek(second_file, 0, SEEK_SET) != 0)
            abort();
        if (count < 2 || strcmp(words[1], calls[i].name) == 0)
            try_call(&calls[i], count > 1);
        raw(SYS_close_range, second_file + 1, ~0u, 0);
        raw(SYS_rt_sigprocmask, SIG_SETMASK, read_only, NULL, 8);
    }
    raw(SYS_semctl, semaphores, 0, IPC_RMID, 0), shmctl(segment, IPC_RMID, NULL), msgctl(messages, IPC_RMID, NULL);
    return 0;
}
