/* Signals that the process sends itself: dispositions, masks, waits.
 *
 * Nothing comes in, or a way to die; lines go out, also from handlers. Always true: nobody else sends a
 * signal, so that what is delivered where is the same in every run. */
#include "check.h"
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#define NS 1000000000

static sigset_t set_of(int first, int second) {
    sigset_t set;
    sigemptyset(&set);
    if (first)
        sigaddset(&set, first);
    if (second)
        sigaddset(&set, second);
    return set;
}

static void show_mask(const char *where) {
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    say("%s: blocked %d %d %d", where, sigismember(&mask, SIGUSR1), sigismember(&mask, SIGUSR2),
        sigismember(&mask, SIGTERM));
}

static int depth, entries;
static void on_signal(int signal) { say("handler for %d, depth %d", signal, depth); }
static void on_info(int signal, siginfo_t *info, void *context) {
    say("signal %d, info %d, code %d, own pid %d, own uid %d, value %d, context %d", signal, info->si_signo,
        info->si_code, info->si_pid == getpid(), info->si_uid == getuid(), info->si_value.sival_int,
        context != NULL);
    show_mask("in the handler");
}
static void on_nested(int signal) {
    depth++;
    say("entered for %d, depth %d", signal, depth);
    if (++entries < 4)
        raise(signal == SIGUSR1 ? SIGUSR2 : SIGUSR1);
    say("leaving %d, depth %d", signal, depth);
    depth--;
}
static void on_itself(int signal) {
    depth++;
    say("entered for %d, depth %d", signal, depth);
    if (++entries < 4)
        raise(signal);
    say("leaving, depth %d", depth);
    depth--;
}

static void handle(int signal, void (*handler)(int), int flags, sigset_t mask) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags, .sa_mask = mask};
    say("sigaction %d = %ld", signal, got(sigaction(signal, &action, NULL)));
}

static void handle_info(int signal, int flags, sigset_t mask) {
    struct sigaction action = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | flags, .sa_mask = mask};
    say("sigaction %d = %ld", signal, got(sigaction(signal, &action, NULL)));
}

static void show_action(int signal) {
    struct sigaction action;
    sigaction(signal, NULL, &action);
    say("action %d: %s, flags %x, mask %d", signal, action.sa_handler == SIG_DFL   ? "default"
                                                   : action.sa_handler == SIG_IGN ? "ignored" : "handled",
        (unsigned)action.sa_flags & ~0x04000000u, sigismember(&action.sa_mask, SIGTERM));
}

static void dispositions(void) {
    handle_info(SIGUSR1, 0, set_of(SIGTERM, 0));
    show_action(SIGUSR1);
    say("kill = %ld", got(kill(getpid(), SIGUSR1)));
    say("raise = %d", raise(SIGUSR1));
    long thread = raw(SYS_gettid);
    say("tgkill = %ld", raw(SYS_tgkill, getpid(), thread, SIGUSR1));
    say("sigqueue = %ld", got(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42})));
    show_mask("afterwards");
    handle(SIGUSR1, on_signal, SA_RESETHAND, set_of(0, 0));
    raise(SIGUSR1);
    show_action(SIGUSR1);
    handle(SIGUSR1, SIG_IGN, 0, set_of(0, 0));
    say("ignored: %d", raise(SIGUSR1));
    handle(SIGUSR2, on_nested, 0, set_of(0, 0)), handle(SIGUSR1, on_nested, 0, set_of(0, 0));
    raise(SIGUSR1), entries = 0;
    handle(SIGUSR1, on_itself, SA_NODEFER, set_of(0, 0));
    raise(SIGUSR1), entries = 0;
    handle(SIGUSR1, on_itself, 0, set_of(0, 0));
    raise(SIGUSR1);
    say("ignored by default: %d %d %d", raise(SIGCHLD), raise(SIGURG), raise(SIGWINCH));
    const int odd[] = {0, -1, 65, SIGKILL, SIGSTOP};
    struct sigaction action = {.sa_handler = on_signal};
    for (int i = 0; i < 5; i++)
        say("sigaction %d = %ld, ask %ld", odd[i], raw(SYS_rt_sigaction, odd[i], &action, NULL, 8),
            raw(SYS_rt_sigaction, odd[i], NULL, &action, 8));
    say("short set = %ld", raw(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
    say("kill odd = %ld %ld %ld", raw(SYS_kill, getpid(), 65), raw(SYS_kill, getpid(), -1),
        raw(SYS_kill, getpid(), 0));
    say("kill none = %ld %ld", raw(SYS_kill, 1 << 29, 0), raw(SYS_tkill, 0, SIGUSR1));
    say("kill group = %ld", got(kill(0, 0)));
}

static void masks(void) {
    sigset_t both = set_of(SIGUSR1, SIGUSR2), empty = set_of(0, 0), pending, old;
    handle_info(SIGUSR1, 0, empty), handle_info(SIGUSR2, 0, empty);
    sigprocmask(SIG_BLOCK, &both, NULL);
    raise(SIGUSR1), raise(SIGUSR2), raise(SIGUSR1);
    sigpending(&pending);
    say("pending %d %d %d", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2),
        sigismember(&pending, SIGTERM));
    say("unblocking");
    long result = got(sigprocmask(SIG_SETMASK, &empty, &old));
    say("unblocked = %ld, was %d", result, sigismember(&old, SIGUSR1));
    sigpending(&pending);
    say("pending %d %d", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2));
    sigset_t unblockable = set_of(SIGKILL, SIGSTOP);
    sigprocmask(SIG_BLOCK, &unblockable, NULL), sigprocmask(SIG_BLOCK, NULL, &old);
    say("unblockable %d %d", sigismember(&old, SIGKILL), sigismember(&old, SIGSTOP));
    say("odd = %ld %ld", raw(SYS_rt_sigprocmask, 7, &empty, NULL, 8), raw(SYS_rt_sigprocmask, 0, &empty, NULL, 4));
    /* Becoming ignored, a pending signal is gone. */
    sigprocmask(SIG_BLOCK, &both, NULL);
    raise(SIGUSR1);
    handle(SIGUSR1, SIG_IGN, 0, empty), handle(SIGUSR1, on_signal, 0, empty);
    sigpending(&pending);
    say("discarded: %d", !sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_SETMASK, &empty, NULL);
    /* Real-time signals queue, with their values, in order, lower numbers first. */
    sigset_t queued = set_of(SIGRTMIN, SIGRTMIN + 1);
    handle_info(SIGRTMIN, 0, empty), handle_info(SIGRTMIN + 1, 0, empty);
    sigprocmask(SIG_BLOCK, &queued, NULL);
    for (int i = 0; i < 3; i++) {
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i});
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 20 + i});
    }
    sigprocmask(SIG_UNBLOCK, &queued, NULL);
}

static void waits(void) {
    sigset_t one = set_of(SIGUSR1, 0), empty = set_of(0, 0), term = set_of(SIGTERM, 0);
    siginfo_t info;
    struct timespec none = {0, 0}, some = {0, 20000000}, odd = {0, NS};
    handle_info(SIGUSR1, 0, empty);
    sigprocmask(SIG_BLOCK, &one, NULL);
    say("sigtimedwait = %ld", raw(SYS_rt_sigtimedwait, &one, &info, &none, 8));
    say("sigtimedwait = %ld", raw(SYS_rt_sigtimedwait, &one, &info, &some, 8));
    say("sigtimedwait odd = %ld %ld", raw(SYS_rt_sigtimedwait, &one, &info, &odd, 8),
        raw(SYS_rt_sigtimedwait, &one, &info, &some, 4));
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 7});
    memset(&info, 0, sizeof info);
    say("sigwaitinfo = %ld", got(sigwaitinfo(&one, &info)));
    say("info %d %d %d", info.si_signo, info.si_code, info.si_value.sival_int);
    raise(SIGUSR1);
    int signal = 0;
    say("sigwait = %d", sigwait(&one, &signal));
    say("signal %d", signal);
    raise(SIGUSR1);
    say("sigsuspend = %ld", got(sigsuspend(&term)));
    show_mask("after sigsuspend");
    raise(SIGUSR1);
    say("ppoll = %ld", got(ppoll(NULL, 0, NULL, &term)));
    show_mask("after ppoll");
    handle_info(SIGALRM, 0, empty);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL);
    say("sigsuspend = %ld", got(sigsuspend(&one)));
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL);
    say("pause = %ld", got(pause()));
    /* An alarm while another signal is waited for. */
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL);
    say("sigtimedwait = %ld", raw(SYS_rt_sigtimedwait, &one, &info, &(struct timespec){5, 0}, 8));
    say("sigsuspend odd = %ld", raw(SYS_rt_sigsuspend, &one, 4));
    sigprocmask(SIG_SETMASK, &empty, NULL);
}

/* What default actions do: the rest of the program tells it by its status. */
static void die(const char *how) {
    sigset_t set;
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (strcmp(how, "blocked abort") == 0) {
        set = set_of(SIGABRT, 0);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGABRT, SIG_IGN);
        abort();
    }
    if (strcmp(how, "caught abort") == 0) {
        signal(SIGABRT, on_signal);
        abort();
    }
    if (strcmp(how, "pending") == 0) {
        set = set_of(SIGTERM, 0);
        sigprocmask(SIG_BLOCK, &set, NULL);
        kill(getpid(), SIGTERM);
        say("not yet");
        sigprocmask(SIG_UNBLOCK, &set, NULL);
    } else if (strcmp(how, "alarm") == 0) {
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL);
        pause();
    } else if (strcmp(how, "reset") == 0) {
        handle(SIGUSR1, on_signal, SA_RESETHAND, set_of(0, 0));
        raise(SIGUSR1);
        raise(SIGUSR1);
    } else {
        kill(getpid(), atoi(how));
    }
    say("still here");
}

int main(int count, char **words) {
    if (count == 2) {
        die(words[1]);
        return 0;
    }
    dispositions();
    masks();
    waits();
    return 0;
}
