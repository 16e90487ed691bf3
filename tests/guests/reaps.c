/* The end of children and how parents learn of it: wait4, waitid, SIGCHLD, zombies, orphans.
 *
 * A part's name comes in, lines go out. Always true: a parent that is to find a zombie or a stopped child
 * has waited for it with WNOWAIT before, so that nothing depends on which process is faster. */
#include "family.h"
#include <sys/prctl.h>

/* Wait until something is to be told of the child, and leave it so. */
static void until(pid_t pid, int options) {
    siginfo_t info;
    while (raw(SYS_waitid, P_PID, pid, &info, options | WNOWAIT, NULL) == -EINTR)
        ;
}

static void show_info(const char *name, long result, const siginfo_t *info, pid_t expected) {
    if (result != 0)
        say("%s = %ld", name, result);
    else if (info->si_pid == 0)
        say("%s: nothing, signal %d", name, info->si_signo);
    else
        say("%s: signal %d, code %d, status %d, uid right %d%s", name, info->si_signo, info->si_code, info->si_status,
            info->si_uid == getuid(), info->si_pid == expected ? "" : ", another child");
}

static void show_waitid(const char *name, int kind, pid_t id, int options, pid_t expected) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    long result = raw(SYS_waitid, kind, id, &info, options, NULL);
    show_info(name, result, &info, expected);
}

static void wait4_all(void) {
    show_wait("no children", -1, 0, 0), show_wait("no children", -1, WNOHANG, 0);
    show_wait("not a child", getppid(), 0, 0), show_wait("itself", getpid(), WNOHANG, 0);
    show_wait("unknown option", -1, 0x100, 0), show_wait("WEXITED", -1, WEXITED, 0);
    show_wait("least number", INT32_MIN, 0, 0), show_wait("no such group", -(1 << 22), 0, 0);
    struct gate gate = new_gate();
    pid_t pid = CHILD(pass_gate(gate); _exit(42));
    show_wait("running", pid, WNOHANG, pid), show_wait("any, running", -1, WNOHANG, pid);
    show_wait("group, running", 0, WNOHANG, pid), show_wait("another group", -pid, WNOHANG, pid);
    open_gate(gate);
    show_wait("any", -1, 0, pid);
    pid = CHILD(setpgid(0, 0); open_gate(gate); _exit(43));
    pass_gate(gate);
    show_wait("own group", 0, 0, pid), show_wait("its group", -pid, 0, pid);
    pid = CHILD(_exit(44));
    show_wait("own group", -getpgrp(), 0, pid);
    pid = CHILD(_exit(45));
    say("status not wanted: %d", wait4(pid, NULL, 0, NULL) == pid);
    show_wait("again", pid, 0, pid);
    pid = CHILD(_exit(46));
    struct rusage usage;
    int status;
    memset(&usage, 0xff, sizeof usage);
    say("wait4: %d", wait4(pid, &status, 0, &usage) == pid);
    say("usage: %d", usage.ru_utime.tv_sec == 0 && usage.ru_stime.tv_sec == 0 && usage.ru_maxrss >= 0);
    pid = CHILD(_exit(47));
    until(pid, WEXITED);
    show_wait("zombie at once", pid, WNOHANG, pid);
    pid_t first = CHILD(_exit(1)), second = CHILD(_exit(2)), third = CHILD(_exit(3));
    show_wait("third", third, 0, third), show_wait("second", second, 0, second), show_wait("first", -1, 0, first);
}

static void waitid_all(void) {
    show_waitid("no children", P_ALL, 0, WEXITED, 0);
    show_waitid("no options", P_ALL, 0, 0, 0), show_waitid("only WNOHANG", P_ALL, 0, WNOHANG, 0);
    show_waitid("unknown option", P_ALL, 0, WEXITED | 0x100, 0), show_waitid("unknown kind", 17, 0, WEXITED, 0);
    show_waitid("process 0", P_PID, 0, WEXITED, 0), show_waitid("negative group", P_PGID, -1, WEXITED, 0);
    struct gate gate = new_gate();
    pid_t pid = CHILD(pass_gate(gate); _exit(0x1234));
    show_waitid("running", P_PID, pid, WEXITED | WNOHANG, pid);
    show_waitid("not stopped", P_ALL, 0, WSTOPPED | WCONTINUED | WNOHANG, pid);
    open_gate(gate);
    show_waitid("left", P_ALL, 0, WEXITED | WNOWAIT, pid), show_waitid("left again", P_PID, pid, WEXITED | WNOWAIT, pid);
    show_waitid("own group", P_PGID, 0, WEXITED | WNOWAIT, pid);
    show_waitid("its group", P_PGID, getpgrp(), WEXITED | WNOWAIT | WNOHANG, pid);
    show_waitid("another group", P_PGID, pid, WEXITED | WNOHANG, pid);
    show_waitid("taken", P_ALL, 0, WEXITED, pid), show_waitid("gone", P_PID, pid, WEXITED, pid);
    pid = CHILD(pause());
    kill(pid, SIGTERM);
    show_waitid("killed", P_PID, pid, WEXITED, pid);
    pid = CHILD(abort());
    show_waitid("aborted", P_PID, pid, WEXITED, pid);
    pid = CHILD(_exit(7));
    struct rusage usage;
    memset(&usage, 0xff, sizeof usage);
    long result = raw(SYS_waitid, P_PID, pid, NULL, WEXITED, &usage);
    say("no information wanted = %ld, usage %d", result, usage.ru_utime.tv_sec == 0);
}

static void stops(void) {
    pid_t pid = CHILD(for (;;) pause());
    kill(pid, SIGSTOP);
    until(pid, WSTOPPED);
    show_wait("not asked for stops", pid, WNOHANG, pid), show_wait("stopped", pid, WUNTRACED, pid);
    show_wait("told once", pid, WUNTRACED | WNOHANG, pid);
    kill(pid, SIGSTOP);
    show_wait("stopped already", pid, WUNTRACED | WNOHANG, pid);
    kill(pid, SIGCONT);
    until(pid, WCONTINUED);
    show_wait("not asked for", pid, WUNTRACED | WNOHANG, pid), show_wait("continued", pid, WCONTINUED, pid);
    show_wait("told once", pid, WCONTINUED | WNOHANG, pid);
    kill(pid, SIGSTOP);
    show_waitid("stopped", P_PID, pid, WSTOPPED | WNOWAIT, pid), show_waitid("still", P_ALL, 0, WSTOPPED, pid);
    kill(pid, SIGCONT);
    show_waitid("continued", P_PID, pid, WSTOPPED | WCONTINUED | WNOWAIT, pid);
    show_waitid("continued", P_ALL, 0, WCONTINUED | WEXITED, pid);
    kill(pid, SIGSTOP);
    until(pid, WSTOPPED);
    kill(pid, SIGTERM);
    show_wait("stopped, not yet dead", pid, WUNTRACED, pid), show_wait("term waits", pid, WNOHANG, pid);
    kill(pid, SIGCONT);
    show_wait("end", pid, 0, pid);
    pid = CHILD(raise(SIGSTOP); _exit(9));
    show_wait("by itself", pid, WUNTRACED, pid);
    kill(pid, SIGKILL);
    show_wait("killed while stopped", pid, 0, pid);
}

/* Statuses of every way to end. */
static void *ends_process(void *how) {
    if (*(int *)how == 1)
        raw(SYS_exit_group, 21);
    if (*(int *)how == 2)
        exit(22);
    return NULL;
}

static void ends(void) {
    pid_t pid = CHILD(_exit(-1));
    show_end("_exit(-1)", pid);
    pid = CHILD(exit(0x7fffff03));
    show_end("exit", pid);
    for (int how = 0; how < 3; how++) {
        pid = CHILD(
            pthread_t thread;
            pthread_create(&thread, NULL, ends_process, &how);
            if (how == 0) pthread_join(thread, NULL), _exit(10);
            for (;;) pause());
        show_end("by a thread", pid);
    }
    for (int signal = 1; signal <= 64; signal++) {
        if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)
            continue;
        struct gate gate = new_gate();
        pid = CHILD(open_gate(gate); pause(); _exit(1));
        pass_gate(gate);
        kill(pid, signal), close_gate(gate);
        if (signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH)
            say("%d: ignored %ld", signal, got(waitpid(pid, NULL, WNOHANG))), kill(pid, SIGKILL), status_of(pid);
        else
            show_wait("killed", pid, 0, pid);
    }
}

/* SIGCHLD's information; one child at a time, for one signal may stand for several. */
static void information(void) {
    sigset_t set = SET(SIGCHLD);
    siginfo_t info;
    block(set);
    pid_t pid = CHILD(_exit(17));
    say("SIGCHLD: %ld", got(sigwaitinfo(&set, &info)));
    show_info("exited", 0, &info, pid);
    show_end("child", pid);
    pid = CHILD(for (;;) pause());
    const int signals[] = {SIGSTOP, SIGCONT, SIGSTOP, SIGKILL};
    for (int i = 0; i < 4; i++) {
        kill(pid, signals[i]);
        say("SIGCHLD: %ld", got(sigwaitinfo(&set, &info)));
        show_info("after a signal", 0, &info, pid);
    }
    show_end("child", pid);
    struct timespec none = {0, 0};
    say("no more: %ld", got(sigtimedwait(&set, &info, &none)));
    /* Two ends before anybody looks are one signal. */
    pid_t one = CHILD(_exit(1));
    until(one, WEXITED);
    pid_t other = CHILD(_exit(2));
    until(other, WEXITED);
    long first = got(sigtimedwait(&set, &info, &none)), second = got(sigtimedwait(&set, NULL, &none));
    say("two children: %ld, %ld", first, second);
    show_info("of the first", 0, &info, one);
    show_wait("one", one, WNOHANG, one), show_wait("other", other, WNOHANG, other);
}

static volatile sig_atomic_t handled;
static void on_child(int signal) { handled += signal == SIGCHLD; }

static void flags(void) {
    pid_t pid;
    struct timespec none = {0, 0};
    sigset_t set = SET(SIGCHLD);
    handle(SIGCHLD, on_child, SA_NOCLDSTOP);
    pid = CHILD(for (;;) pause());
    kill(pid, SIGSTOP), until(pid, WSTOPPED);
    say("NOCLDSTOP, stopped: %d", handled);
    kill(pid, SIGCONT), until(pid, WCONTINUED);
    say("NOCLDSTOP, continued: %d", handled);
    kill(pid, SIGKILL), until(pid, WEXITED);
    say("NOCLDSTOP, ended: %d", handled);
    show_end("child", pid);
    handled = 0;
    handle(SIGCHLD, on_child, SA_NOCLDWAIT | SA_RESTART);
    pid = CHILD(_exit(3));
    say("NOCLDWAIT: %ld", got(waitpid(pid, NULL, 0)));
    say("signals %d", handled);
    struct gate gate = new_gate();
    pid = CHILD(pass_gate(gate); _exit(3));
    CHILD(pass_time(20 * MS); _exit(4));
    say("running: %ld", got(waitpid(pid, NULL, WNOHANG)));
    open_gate(gate);
    say("all ended: %ld", got(wait(NULL)));
    say("nobody: %ld", got(kill(pid, 0)));
    handle(SIGCHLD, SIG_IGN, 0);
    block(set);
    pid = CHILD(_exit(3));
    say("ignored: %ld", got(waitpid(pid, NULL, 0)));
    say("no signal: %ld", got(sigtimedwait(&set, NULL, &none)));
    /* What becomes a zombie before it is ignored stays one. */
    handle(SIGCHLD, SIG_DFL, 0);
    pid = CHILD(_exit(3));
    until(pid, WEXITED);
    handle(SIGCHLD, SIG_IGN, 0);
    show_end("zombie", pid);
    /* Ignoring is inherited. */
    pid = CHILD(
        pid_t inner = CHILD(_exit(3));
        say("child of a child: %ld", got(waitpid(inner, NULL, 0))));
    wait(NULL);
}

static struct gate thread_gate;
static void *lives(void *unused) {
    pass_gate(thread_gate);
    return unused;
}

static void zombies(void) {
    pid_t pid = CHILD(setpgid(0, 0); _exit(3));
    until(pid, WEXITED);
    say("kill %ld, again %ld", got(kill(pid, 0)), got(kill(pid, SIGKILL)));
    say("group %d, session %d", getpgid(pid) == pid, getsid(pid) == getsid(0));
    say("its group gets a signal: %ld", got(kill(-pid, 0)));
    show_end("status as it was", pid);
    say("then nobody: %ld %ld %ld", got(kill(pid, 0)), got(getpgid(pid)), got(kill(-pid, 0)));
    /* The first thread's end makes no zombie while another one lives. */
    thread_gate = new_gate();
    pid = CHILD(
        pthread_t thread;
        pthread_create(&thread, NULL, lives, NULL);
        raw(SYS_exit, 12));
    pass_time(20 * MS);
    show_wait("first thread gone", pid, WNOHANG, pid);
    open_gate(thread_gate);
    show_wait("all gone", pid, 0, pid);
}

static void orphans(void) {
    int is = -1;
    prctl(PR_GET_CHILD_SUBREAPER, &is);
    say("adopts at first: %d", is);
    struct gate gate = new_gate(), told = new_gate();
    say("prctl = %ld", got(prctl(PR_SET_CHILD_SUBREAPER, 1)));
    prctl(PR_GET_CHILD_SUBREAPER, &is);
    say("adopts: %d", is);
    pid_t top = getpid();
    pid_t pid = CHILD(
        prctl(PR_GET_CHILD_SUBREAPER, &is);
        say("not inherited: %d", is);
        CHILD(
            say("parent is the top: %d", getppid() == top);
            open_gate(told), pass_gate(gate);
            say("now parent is the top: %d", getppid() == top);
            _exit(5));
        pass_gate(told));
    show_end("parent", pid);
    open_gate(gate);
    int status = 0;
    say("orphan adopted: %d", wait(&status) != pid);
    say("orphan: %s", in_words(status));
    /* A zombie is adopted too. */
    pid = CHILD(
        pid_t inner = CHILD(_exit(6));
        until(inner, WEXITED));
    status_of(pid);
    say("adopted zombie: %d", wait(&status) > 0);
    say("zombie: %s", in_words(status));
    say("nobody left: %ld", got(wait(NULL)));
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    pid = CHILD(
        CHILD(
            pid_t before = getppid();
            open_gate(told), pass_gate(gate);
            say("parent changed: %d, not to the top: %d", getppid() != before, getppid() != top);
            open_gate(told));
        pass_gate(told));
    status_of(pid);
    open_gate(gate);
    pass_gate(told);
    say("not adopted: %ld", got(wait(NULL)));
}

static pid_t made;
static void *makes(void *unused) {
    made = CHILD(pass_gate(thread_gate); _exit(31));
    return unused;
}
static void *waits(void *result) {
    int status = -1;
    pid_t pid = wait(&status);
    *(long *)result = pid > 0 ? WEXITSTATUS(status) : -1;
    return NULL;
}
static void *wants_own(void *result) {
    *(long *)result = raw(SYS_wait4, -1, NULL, WNOHANG | 0x20000000, NULL); /* __WNOTHREAD */
    return NULL;
}

static void by_threads(void) {
    thread_gate = new_gate();
    pthread_t thread, other;
    long result = 0, results[2];
    pid_t pid = CHILD(pass_gate(thread_gate); _exit(30));
    pthread_create(&thread, NULL, wants_own, &result), pthread_join(thread, NULL);
    say("another thread's child is none: %ld", result);
    open_gate(thread_gate);
    pthread_create(&thread, NULL, waits, &result), pthread_join(thread, NULL);
    say("waited for by another thread: %ld, then %ld", result, got(waitpid(pid, NULL, 0)));
    pthread_create(&thread, NULL, makes, NULL), pthread_join(thread, NULL);
    open_gate(thread_gate);
    show_wait("child of an ended thread", made, 0, made);
    /* Two threads wait for two children; each gets one. */
    CHILD(pass_gate(thread_gate); _exit(40)), CHILD(pass_gate(thread_gate); _exit(2));
    pthread_create(&thread, NULL, waits, &results[0]), pthread_create(&other, NULL, waits, &results[1]);
    open_gate(thread_gate), open_gate(thread_gate);
    pthread_join(thread, NULL), pthread_join(other, NULL);
    say("two threads: %ld", results[0] + results[1]);
    say("all taken: %ld", got(wait(NULL)));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"wait4", wait4_all}, {"waitid", waitid_all}, {"stops", stops}, {"ends", ends}, {"information", information},
        {"flags", flags}, {"zombies", zombies}, {"orphans", orphans}, {"threads", by_threads}, {NULL, NULL},
    };
    return run_parts(parts, count, words);
}
