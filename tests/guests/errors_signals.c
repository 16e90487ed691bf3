/* What the calls for signals and for process descriptors refuse: a case for each line of their pages.
 *
 * A part's name comes in, lines go out. Always true: no signal is sent that could end the process. Left out: ENODEV
 * and ENOMEM of a kernel that lacks what it needs, EINVAL of a process in another PID namespace. */
#include "errors.h"
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static sigset_t set, none;
static int fds[2];

static void sending(void) {
    pid_t own = getpid(), tid = raw(SYS_gettid), child = WAITING_CHILD();
    FAILS(EINVAL, kill(own, 65));
    FAILS(EINVAL, kill(own, -1));
    FAILS(EINVAL, kill(0, 100));
    FAILS(ESRCH, kill(NOBODY, 65));
    FAILS(ESRCH, kill(NOBODY, 0));
    FAILS(ESRCH, kill(-NOBODY, 0));
    FAILS(ESRCH, kill(INT32_MIN, 0));
    FAILS(EINVAL, raw(SYS_tkill, tid, 65));
    FAILS(EINVAL, raw(SYS_tkill, tid, -1));
    FAILS(EINVAL, raw(SYS_tkill, 0, 0));
    FAILS(EINVAL, raw(SYS_tkill, -1, 0));
    FAILS(ESRCH, raw(SYS_tkill, NOBODY, 0));
    FAILS(ESRCH, raw(SYS_tkill, NOBODY, 65));
    FAILS(EINVAL, raw(SYS_tgkill, own, tid, 65));
    FAILS(EINVAL, raw(SYS_tgkill, 0, tid, 0));
    FAILS(EINVAL, raw(SYS_tgkill, own, 0, 0));
    FAILS(EINVAL, raw(SYS_tgkill, -1, tid, 0));
    FAILS(EINVAL, raw(SYS_tgkill, own, -1, 0));
    FAILS(ESRCH, raw(SYS_tgkill, own, NOBODY, 0));
    FAILS(ESRCH, raw(SYS_tgkill, NOBODY, tid, 0));
    FAILS(ESRCH, raw(SYS_tgkill, own, child, 0));
    AS_USER(
        FAILS(EPERM, kill(own, 0));
        FAILS(EPERM, kill(child, SIGKILL));
        WORKS(setsid()); /* Within a session, everybody may send SIGCONT. */
        FAILS(EPERM, kill(1, SIGCONT));
        FAILS(EINVAL, kill(own, 65));
        FAILS(EPERM, raw(SYS_tkill, child, SIGTERM));
        FAILS(EPERM, raw(SYS_tgkill, own, tid, 0)));
    /* A zombie is there, a process that was waited for is not. */
    kill(child, SIGKILL), raw(SYS_waitid, P_PID, child, NULL, WEXITED | WNOWAIT, NULL);
    FAILS(0, kill(child, 0));
    status_of(child);
    FAILS(ESRCH, kill(child, 0));
    FAILS(ESRCH, raw(SYS_tkill, child, 0));
}

static void queueing(void) {
    pid_t own = getpid(), tid = raw(SYS_gettid), child = WAITING_CHILD();
    siginfo_t info = {.si_code = SI_QUEUE}, as_user = {.si_code = SI_USER}, as_thread = {.si_code = -6 /* SI_TKILL */}, as_kernel = {.si_code = 0x80};
    FAILS(EINVAL, raw(SYS_rt_sigqueueinfo, own, 65, &info));
    FAILS(EINVAL, raw(SYS_rt_sigqueueinfo, own, -1, &info));
    FAILS(ESRCH, raw(SYS_rt_sigqueueinfo, NOBODY, 0, &info));
    FAILS(ESRCH, raw(SYS_rt_sigqueueinfo, -1, 0, &info));
    FAILS(ESRCH, raw(SYS_rt_sigqueueinfo, 0, 0, &info));
    FAILS(EPERM, raw(SYS_rt_sigqueueinfo, child, SIGTERM, &as_user));
    FAILS(EPERM, raw(SYS_rt_sigqueueinfo, child, SIGTERM, &as_thread));
    FAILS(EPERM, raw(SYS_rt_sigqueueinfo, child, 0, &as_kernel));
    FAILS(EPERM, raw(SYS_rt_sigqueueinfo, NOBODY, 0, &as_user));
    FAILS(EFAULT, raw(SYS_rt_sigqueueinfo, own, 0, nowhere));
    FAILS(EFAULT, raw(SYS_rt_sigqueueinfo, NOBODY, 65, nowhere));
    FAILS(EINVAL, raw(SYS_rt_tgsigqueueinfo, own, tid, 65, &info));
    FAILS(EINVAL, raw(SYS_rt_tgsigqueueinfo, own, 0, 0, &info));
    FAILS(EINVAL, raw(SYS_rt_tgsigqueueinfo, 0, tid, 0, &info));
    FAILS(EINVAL, raw(SYS_rt_tgsigqueueinfo, -1, tid, 0, &as_user));
    FAILS(ESRCH, raw(SYS_rt_tgsigqueueinfo, own, NOBODY, 0, &info));
    FAILS(ESRCH, raw(SYS_rt_tgsigqueueinfo, NOBODY, tid, 0, &info));
    FAILS(EPERM, raw(SYS_rt_tgsigqueueinfo, child, child, SIGTERM, &as_user));
    FAILS(EPERM, raw(SYS_rt_tgsigqueueinfo, child, child, SIGTERM, &as_thread));
    FAILS(EPERM, raw(SYS_rt_tgsigqueueinfo, own, child, 0, &as_kernel));
    FAILS(EFAULT, raw(SYS_rt_tgsigqueueinfo, own, tid, 0, nowhere));
    AS_USER(
        FAILS(EPERM, raw(SYS_rt_sigqueueinfo, own, 0, &info));
        FAILS(EPERM, raw(SYS_rt_sigqueueinfo, child, SIGTERM, &info));
        FAILS(EPERM, raw(SYS_rt_tgsigqueueinfo, child, child, SIGTERM, &info)));
    end_child(child);
    /* The limit of pending signals: for those that are queued with their number only. */
    AS_USER(
        struct rlimit no_signals = {0, 0};
        WORKS(setrlimit(RLIMIT_SIGPENDING, &no_signals));
        block(SET(SIGUSR1, SIGRTMIN));
        FAILS(EAGAIN, raw(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, &info));
        FAILS(EAGAIN, raw(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGRTMIN, &info));
        FAILS(0, raw(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info));
        FAILS(EAGAIN, raw(SYS_tkill, getpid(), SIGRTMIN));
        FAILS(EAGAIN, raw(SYS_tgkill, getpid(), getpid(), SIGRTMIN));
        FAILS(0, kill(getpid(), SIGRTMIN)));
}

static void actions(void) {
    unsigned long action[4] = {0}, old[4];
    FAILS(EINVAL, raw(SYS_rt_sigaction, 0, action, NULL, 8));
    FAILS(EINVAL, raw(SYS_rt_sigaction, 65, action, NULL, 8));
    FAILS(EINVAL, raw(SYS_rt_sigaction, -1, NULL, old, 8));
    FAILS(EINVAL, raw(SYS_rt_sigaction, SIGKILL, action, NULL, 8));
    FAILS(EINVAL, raw(SYS_rt_sigaction, SIGSTOP, action, old, 8));
    FAILS(0, raw(SYS_rt_sigaction, SIGKILL, NULL, old, 8));
    FAILS(EINVAL, raw(SYS_rt_sigaction, SIGTERM, action, NULL, 16));
    FAILS(EINVAL, raw(SYS_rt_sigaction, SIGTERM, nowhere, nowhere, 0));
    FAILS(EFAULT, raw(SYS_rt_sigaction, SIGTERM, nowhere, NULL, 8));
    FAILS(EFAULT, raw(SYS_rt_sigaction, SIGTERM, NULL, nowhere, 8));
    FAILS(EFAULT, raw(SYS_rt_sigaction, SIGKILL, nowhere, NULL, 8));
    FAILS(EFAULT, raw(SYS_rt_sigaction, 65, nowhere, NULL, 8));
}

static void masks(void) {
    FAILS(EINVAL, raw(SYS_rt_sigprocmask, 3, &set, NULL, 8));
    FAILS(EINVAL, raw(SYS_rt_sigprocmask, -1, &set, NULL, 8));
    FAILS(0, raw(SYS_rt_sigprocmask, 77, NULL, &set, 8));
    FAILS(EINVAL, raw(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16));
    FAILS(EINVAL, raw(SYS_rt_sigprocmask, SIG_BLOCK, nowhere, NULL, 4));
    FAILS(EFAULT, raw(SYS_rt_sigprocmask, SIG_BLOCK, nowhere, NULL, 8));
    FAILS(EFAULT, raw(SYS_rt_sigprocmask, 77, nowhere, NULL, 8));
    FAILS(EFAULT, raw(SYS_rt_sigprocmask, SIG_BLOCK, NULL, nowhere, 8));
    FAILS(EINVAL, raw(SYS_rt_sigpending, &set, 16));
    FAILS(EINVAL, raw(SYS_rt_sigpending, nowhere, 9));
    FAILS(EFAULT, raw(SYS_rt_sigpending, nowhere, 8));
    FAILS(EFAULT, raw(SYS_rt_sigpending, NULL, 8));
    FAILS(EINVAL, raw(SYS_rt_sigsuspend, &set, 16));
    FAILS(EINVAL, raw(SYS_rt_sigsuspend, nowhere, 4));
    FAILS(EFAULT, raw(SYS_rt_sigsuspend, nowhere, 8));
    INTERRUPTED(FAILS(EINTR, raw(SYS_rt_sigsuspend, &none, 8)));
}

static void waits(void) {
    struct timespec at_once = {0, 0}, wrong = {-1, 0}, much = {0, 1000000000}, some = {0, 1000000};
    siginfo_t info;
    set = SET(SIGUSR1), block(set);
    FAILS(EAGAIN, raw(SYS_rt_sigtimedwait, &set, &info, &at_once, 8));
    FAILS(EAGAIN, raw(SYS_rt_sigtimedwait, &set, NULL, &some, 8));
    FAILS(EINVAL, raw(SYS_rt_sigtimedwait, &set, &info, &wrong, 8));
    FAILS(EINVAL, raw(SYS_rt_sigtimedwait, &set, &info, &much, 8));
    FAILS(EINVAL, raw(SYS_rt_sigtimedwait, &set, &info, &at_once, 16));
    FAILS(EINVAL, raw(SYS_rt_sigtimedwait, nowhere, &info, &at_once, 4));
    FAILS(EFAULT, raw(SYS_rt_sigtimedwait, nowhere, &info, &at_once, 8));
    FAILS(EFAULT, raw(SYS_rt_sigtimedwait, &set, &info, nowhere, 8));
    INTERRUPTED(FAILS(EINTR, raw(SYS_rt_sigtimedwait, &set, NULL, NULL, 8)); FAILS(EINTR, raw(SYS_rt_sigtimedwait, &set, &info, &(struct timespec){100, 0}, 8)));
    raise(SIGUSR1);
    FAILS(EINVAL, raw(SYS_rt_sigtimedwait, &set, &info, &wrong, 8));
    FAILS(EFAULT, raw(SYS_rt_sigtimedwait, &set, nowhere, NULL, 8));
    FAILS(EAGAIN, raw(SYS_rt_sigtimedwait, &set, NULL, &at_once, 8));
}

static void on_stack(int signal) {
    (void)signal;
    stack_t other = {.ss_sp = page, .ss_size = 1 << 16}, off = {.ss_flags = SS_DISABLE};
    FAILS(EPERM, raw(SYS_sigaltstack, &other, NULL));
    FAILS(EPERM, raw(SYS_sigaltstack, &off, NULL));
    FAILS(EFAULT, raw(SYS_sigaltstack, NULL, nowhere));
}

static void stacks(void) {
    static char memory[1 << 17];
    stack_t small = {.ss_sp = memory, .ss_size = 2047}, odd = {.ss_sp = memory, .ss_size = sizeof memory, .ss_flags = 4},
            both = {.ss_sp = memory, .ss_size = sizeof memory, .ss_flags = SS_DISABLE | SS_ONSTACK}, good = {.ss_sp = memory, .ss_size = sizeof memory};
    FAILS(ENOMEM, raw(SYS_sigaltstack, &small, NULL));
    FAILS(EINVAL, raw(SYS_sigaltstack, &odd, NULL));
    FAILS(EINVAL, raw(SYS_sigaltstack, &both, NULL));
    odd.ss_flags = 1 << 30, odd.ss_size = 0;
    FAILS(EINVAL, raw(SYS_sigaltstack, &odd, NULL));
    FAILS(EFAULT, raw(SYS_sigaltstack, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_sigaltstack, NULL, nowhere));
    WORKS(raw(SYS_sigaltstack, &good, NULL));
    handle(SIGUSR1, on_stack, SA_ONSTACK);
    raise(SIGUSR1);
}

static void descriptors(void) {
    WORKS(pipe(fds));
    int file = new_file("file", O_RDWR, 0600);
    set = SET(SIGUSR1), block(set);
    FAILS(EBADF, raw(SYS_signalfd4, CLOSED, &set, 8, 0));
    FAILS(EBADF, raw(SYS_signalfd4, -2, &set, 8, 0));
    int path = open("file", O_PATH);
    FAILS(EBADF, raw(SYS_signalfd4, path, &set, 8, 0));
    FAILS(EINVAL, raw(SYS_signalfd4, path, &set, 8, 1));
    FAILS(EINVAL, raw(SYS_signalfd4, fds[0], &set, 8, 0));
    FAILS(EINVAL, raw(SYS_signalfd4, file, &set, 8, 0));
    FAILS(EINVAL, raw(SYS_signalfd4, eventfd(0, 0), &set, 8, 0));
    FAILS(EINVAL, raw(SYS_signalfd4, -1, &set, 8, 1));
    FAILS(EINVAL, raw(SYS_signalfd4, -1, &set, 8, -1));
    FAILS(EINVAL, raw(SYS_signalfd4, CLOSED, &set, 8, O_APPEND));
    FAILS(EINVAL, raw(SYS_signalfd4, -1, &set, 16, 0));
    FAILS(EINVAL, raw(SYS_signalfd4, -1, nowhere, 4, 0));
    FAILS(EINVAL, raw(SYS_signalfd, -1, &set, 4));
    FAILS(EFAULT, raw(SYS_signalfd4, -1, nowhere, 8, 0));
    FAILS(EFAULT, raw(SYS_signalfd, CLOSED, nowhere, 8));
    WITHOUT_ROOM(FAILS(EMFILE, raw(SYS_signalfd4, -1, &set, 8, 0)));
    WITHOUT_ROOM(FAILS(EINVAL, raw(SYS_signalfd4, -1, &set, 8, 1)));
    int signals = raw(SYS_signalfd4, -1, &set, 8, O_NONBLOCK), waits = raw(SYS_signalfd4, -1, &set, 8, 0);
    struct signalfd_siginfo info;
    FAILS(EAGAIN, read(signals, &info, sizeof info));
    FAILS(EINVAL, read(signals, &info, sizeof info - 1));
    FAILS(EINVAL, read(signals, nowhere, 0));
    FAILS(EINVAL, write(signals, &info, sizeof info));
    INTERRUPTED(FAILS(EINTR, read(waits, &info, sizeof info)));
    raise(SIGUSR1);
    FAILS(EFAULT, raw(SYS_read, signals, nowhere, sizeof info));
    FAILS(EAGAIN, read(signals, &info, sizeof info));
}

static void process_descriptors(void) {
    WORKS(pipe(fds));
    pid_t own = getpid(), child = WAITING_CHILD();
    int file = new_file("file", O_RDWR, 0600), self_fd = raw(SYS_pidfd_open, own, 0), other = raw(SYS_pidfd_open, child, 0);
    siginfo_t info = {.si_code = SI_QUEUE, .si_signo = SIGUSR1}, as_user = {.si_code = SI_USER, .si_signo = SIGUSR1};
    FAILS(EINVAL, raw(SYS_pidfd_open, own, 1));
    FAILS(EINVAL, raw(SYS_pidfd_open, own, -1));
    FAILS(EINVAL, raw(SYS_pidfd_open, 0, 0));
    FAILS(EINVAL, raw(SYS_pidfd_open, -1, 0));
    FAILS(ESRCH, raw(SYS_pidfd_open, NOBODY, 0));
    WITHOUT_ROOM(FAILS(EMFILE, raw(SYS_pidfd_open, own, 0)));
    WITHOUT_ROOM(FAILS(ESRCH, raw(SYS_pidfd_open, NOBODY, 0)));
    FAILS(EBADF, raw(SYS_pidfd_send_signal, CLOSED, 0, NULL, 0));
    FAILS(EBADF, raw(SYS_pidfd_send_signal, file, 0, NULL, 0));
    FAILS(EBADF, raw(SYS_pidfd_send_signal, fds[0], 0, NULL, 0));
    FAILS(EINVAL, raw(SYS_pidfd_send_signal, other, 65, NULL, 0));
    FAILS(EINVAL, raw(SYS_pidfd_send_signal, other, 0, NULL, 0x100));
    FAILS(EINVAL, raw(SYS_pidfd_send_signal, CLOSED, 0, NULL, 0x100));
    FAILS(EINVAL, raw(SYS_pidfd_send_signal, other, SIGUSR2, &info, 0));
    FAILS(EPERM, raw(SYS_pidfd_send_signal, other, SIGUSR1, &as_user, 0));
    FAILS(EFAULT, raw(SYS_pidfd_send_signal, other, SIGUSR1, nowhere, 0));
    FAILS(EBADF, raw(SYS_pidfd_getfd, CLOSED, 0, 0));
    FAILS(EBADF, raw(SYS_pidfd_getfd, file, 0, 0));
    FAILS(EBADF, raw(SYS_pidfd_getfd, fds[0], 0, 0));
    FAILS(EBADF, raw(SYS_pidfd_getfd, self_fd, CLOSED, 0));
    int path = open("file", O_PATH);
    FAILS(EBADF, raw(SYS_pidfd_getfd, path, 0, 0));
    FAILS(EBADF, raw(SYS_pidfd_send_signal, path, 0, NULL, 0));
    WITHOUT_ROOM(FAILS(EBADF, raw(SYS_pidfd_getfd, CLOSED, 0, 0)));
    WITHOUT_ROOM(FAILS(EBADF, raw(SYS_pidfd_getfd, self_fd, CLOSED, 0)));
    FAILS(EBADF, raw(SYS_pidfd_getfd, other, -1, 0));
    FAILS(EINVAL, raw(SYS_pidfd_getfd, self_fd, 0, 1));
    FAILS(EINVAL, raw(SYS_pidfd_getfd, CLOSED, 0, 1));
    WITHOUT_ROOM(FAILS(EMFILE, raw(SYS_pidfd_getfd, self_fd, fds[0], 0)));
    WITHOUT_ROOM(FAILS(EMFILE, raw(SYS_pidfd_getfd, other, fds[0], 0)));
    AS_USER(
        FAILS(EPERM, raw(SYS_pidfd_send_signal, other, 0, NULL, 0));
        FAILS(EPERM, raw(SYS_pidfd_send_signal, self_fd, SIGTERM, NULL, 0));
        FAILS(EPERM, raw(SYS_pidfd_getfd, other, fds[0], 0)));
    FAILS(EINVAL, read(other, page, 8));
    FAILS(EINVAL, write(other, page, 8));
    end_child(child);
    FAILS(ESRCH, raw(SYS_pidfd_send_signal, other, 0, NULL, 0));
    FAILS(ESRCH, raw(SYS_pidfd_getfd, other, fds[0], 0));
    FAILS(ECHILD, raw(SYS_waitid, P_PIDFD, other, NULL, WEXITED, NULL));
    FAILS(ESRCH, raw(SYS_pidfd_open, child, 0));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"kill", sending}, {"sigqueue", queueing}, {"sigaction", actions}, {"sigprocmask", masks}, {"sigtimedwait", waits},
        {"sigaltstack", stacks}, {"signalfd", descriptors}, {"pidfd", process_descriptors}, {NULL, NULL},
    };
    return run_parts_of_errors(parts, count, words);
}
