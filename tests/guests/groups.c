/* Process groups, sessions, signals to many, stopping and continuing, and what prctl says of a process.
 *
 * A part's name comes in, lines go out. Always true: whatever sends a signal to a group or to its own
 * group does so in a group that the part has made, and nobody sends a signal to every process but 0. */
#include "family.h"
#include <sys/mman.h>
#include <sys/prctl.h>

static struct gate ready, go, told;

/* A child that is ready, and waits for signals for ever. */
static pid_t sleeper(pid_t group) {
    pid_t pid = CHILD(
        if (group >= 0) setpgid(0, group);
        open_gate(ready);
        for (;;) pause());
    pass_gate(ready);
    return pid;
}

static void kill_all(const pid_t *pids, int count) {
    for (int i = 0; i < count; i++)
        kill(pids[i], SIGKILL), status_of(pids[i]);
}

/* Run the rest of a part in a session of its own, of which the caller of this is no member. */
static void in_session(void (*rest)(void)) {
    ready = new_gate(), go = new_gate();
    pid_t pid = CHILD(
        say("setsid: %d", setsid() == getpid());
        rest());
    show_end("session", pid);
}

static void grouped(void) {
    say("leads: group %d, session %d", getpgrp() == getpid(), getsid(0) == getpid());
    say("setsid again %ld, own group again %ld", got(setsid()), got(setpgid(0, 0)));
    pid_t one = sleeper(-1), two = sleeper(-1), three = sleeper(0);
    say("inherited: %d %d, own: %d", getpgid(one) == getpid(), getsid(one) == getpid(), getpgid(three) == three);
    say("second joins third: %ld", got(setpgid(two, three)));
    say("first its own: %ld", got(setpgid(one, one)));
    say("groups: %d %d %d", getpgid(one) == one, getpgid(two) == three, getpgid(three) == three);
    say("back: %ld", got(setpgid(two, getpid())));
    say("no such group %ld, negative %ld, no such process %ld", got(setpgid(one, 1 << 22)), got(setpgid(one, -1)),
        got(setpgid(1 << 22, 0)));
    say("not a child %ld, negative process %ld", got(setpgid(getppid(), 0)), got(setpgid(-1, 0)));
    say("getpgid %ld %ld, getsid %ld %ld", got(getpgid(1 << 22)), got(getpgid(-1)), got(getsid(1 << 22)), got(getsid(-1)));
    kill_all((pid_t[]){one, two, three}, 3);
    /* A member outlives its group's leader, and others may join. */
    one = sleeper(0), two = sleeper(one);
    kill(one, SIGKILL), status_of(one);
    say("leader gone: in its group %d", getpgid(two) == one);
    three = sleeper(-1);
    say("joins it: %ld", got(setpgid(three, one)));
    say("signal to it: %ld", got(kill(-one, SIGTERM)));
    show_end("second", two), show_end("third", three);
    say("empty: %ld %ld", got(kill(-one, 0)), got(setpgid(0, one)));
    /* A child that has a session of its own or another image is not moved. */
    pid_t pid = CHILD(setsid(); open_gate(ready); pause());
    pass_gate(ready);
    say("another session: %ld, getsid %d", got(setpgid(pid, getpid())), getsid(pid) == pid);
    pid_t inner = CHILD(say("into another session %ld", got(setpgid(0, pid))));
    status_of(inner);
    kill_all(&pid, 1);
    int end[2];
    pipe2(end, O_CLOEXEC); /* ends with the old image */
    pid = CHILD(execl("/bin/sleep", "sleep", "100", (char *)NULL));
    close(end[1]);
    char byte;
    say("image: %ld", got(read(end[0], &byte, 1)));
    say("after exec: %ld", got(setpgid(pid, pid)));
    kill_all(&pid, 1);
}

static void groups(void) { in_session(grouped); }

static volatile sig_atomic_t last, sum;
static pid_t sender;
static void on_info(int signal, siginfo_t *info, void *context) {
    (void)context;
    last = signal, sum++, sender = info->si_pid;
}

/* A child that says how it was signalled, when it may. */
static pid_t listener(const char *name, pid_t group, struct gate turn) {
    pid_t pid = CHILD(
        handle_info(SIGUSR1, on_info, 0);
        sigset_t set = SET(SIGUSR1), none = SET(0);
        block(set);
        setpgid(0, group);
        open_gate(ready);
        sigsuspend(&none);
        pass_gate(turn);
        say("%s: signal %d, %d times, from its parent %d", name, last, sum, sender == getppid());
        _exit(0));
    pass_gate(ready);
    return pid;
}

static void sends(void) {
    struct gate turns[] = {new_gate(), new_gate(), new_gate()};
    pid_t one = listener("one", 0, turns[0]), two = listener("two", one, turns[1]),
          three = listener("three", getpid(), turns[2]);
    say("to the group: %ld", got(kill(-one, SIGUSR1)));
    open_gate(turns[0]), status_of(one);
    open_gate(turns[1]), status_of(two);
    handle_info(SIGUSR1, on_info, 0);
    say("to the own group: %ld", got(kill(0, SIGUSR1)));
    say("sender too: %d, from itself %d", last, sender == getpid());
    open_gate(turns[2]), status_of(three);
    say("nobody: %ld", got(kill(-one, SIGUSR1)));
    say("killpg odd: %ld %ld", got(killpg(1 << 22, 0)), got(killpg(-1, 0)));
    one = sleeper(-1);
    say("everybody: %ld", got(kill(-1, 0)));
    say("odd signal: %ld %ld %ld", got(kill(one, 65)), got(kill(-1, 65)), got(kill(one, -1)));
    say("tgkill: %ld, wrong process %ld, odd %ld %ld", raw(SYS_tgkill, one, one, 0), raw(SYS_tgkill, getpid(), one, 0),
        raw(SYS_tgkill, -1, one, 0), raw(SYS_tkill, one, 0));
    say("tkill kills: %ld", raw(SYS_tkill, one, SIGTERM));
    show_end("it", one);
    /* Whoever kills the own group goes too. */
    pid_t pid = CHILD(
        setpgid(0, 0);
        sleeper(-1), sleeper(-1);
        kill(0, SIGTERM);
        say("still here"));
    show_end("group", pid);
}

static void to_many(void) { in_session(sends); }

/* --- stopping --------------------------------------------------------------------------------------------- */

static void wait_for(pid_t pid, int options, const char *name) {
    int status;
    if (waitpid(pid, &status, options) == pid)
        say("%s: %s", name, in_words(status));
}

static void on_signal(int signal) { say("handler for %d", signal); }

/* The child is in its own group of the session, with its parent outside: not orphaned. */
static void stopping(void) {
    const int signals[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
    for (int i = 0; i < 4; i++) {
        pid_t pid = sleeper(0);
        kill(pid, signals[i]);
        wait_for(pid, WUNTRACED, "stop");
        kill(pid, SIGCONT);
        wait_for(pid, WCONTINUED, "cont");
        kill_all(&pid, 1);
    }
    /* In the group of the session's leader it is orphaned, and only SIGSTOP stops it. */
    pid_t pid = sleeper(-1);
    for (int i = 1; i < 4; i++)
        kill(pid, signals[i]);
    kill(pid, SIGSTOP);
    wait_for(pid, WUNTRACED, "orphaned");
    kill_all(&pid, 1);

    /* Handlers and masks: a caught SIGTSTP does not stop, a blocked or ignored SIGCONT continues. */
    pid = CHILD(
        setpgid(0, 0);
        handle(SIGTSTP, on_signal, 0), handle(SIGCONT, SIG_IGN, 0);
        raise(SIGTSTP);
        raise(SIGSTOP);
        say("continued although ignored");
        handle(SIGCONT, on_signal, 0), block(SET(SIGCONT));
        raise(SIGSTOP);
        say("continued although blocked");
        unblock(SET(SIGCONT)));
    for (int i = 0; i < 2; i++)
        wait_for(pid, WUNTRACED, "stop"), kill(pid, SIGCONT);
    show_end("child", pid);

    /* SIGCONT and the stop signals discard each other. */
    pid = CHILD(
        setpgid(0, 0);
        sigset_t set;
        block(SET(SIGTSTP, SIGCONT, SIGTTIN));
        raise(SIGTSTP), raise(SIGTTIN), raise(SIGCONT), sigpending(&set);
        say("pending %d %d %d", sigismember(&set, SIGTSTP), sigismember(&set, SIGTTIN), sigismember(&set, SIGCONT));
        raise(SIGTSTP), sigpending(&set);
        say("pending %d %d", sigismember(&set, SIGTSTP), sigismember(&set, SIGCONT)));
    show_end("child", pid);

    /* Signals wait for a stopped process, but for SIGKILL; then they come before it goes on. */
    pid = CHILD(
        handle(SIGUSR1, on_signal, 0), handle(SIGCONT, on_signal, 0);
        raise(SIGSTOP);
        say("goes on"));
    wait_for(pid, WUNTRACED, "stop");
    kill(pid, SIGUSR1);
    say("not yet: %ld", got(waitpid(pid, NULL, WNOHANG | WUNTRACED)));
    kill(pid, SIGCONT);
    show_end("child", pid);
}

static void stops(void) { in_session(stopping); }

static volatile int *counters;
static void *counting(void *which) {
    for (;;)
        counters[(intptr_t)which]++, pass_time(MS / 5);
    return NULL;
}

static void all_threads(void) {
    counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = CHILD(
        pthread_t thread;
        pthread_create(&thread, NULL, counting, (void *)1), pthread_create(&thread, NULL, counting, (void *)2);
        counting(NULL));
    for (int round = 0; round < 3; round++) {
        int before[3];
        for (int i = 0; i < 3; i++)
            before[i] = counters[i];
        for (int i = 0; i < 3; i++)
            while (counters[i] == before[i])
                pass_time(MS);
        kill(pid, SIGSTOP);
        wait_for(pid, WUNTRACED, "stop");
        for (int i = 0; i < 3; i++)
            before[i] = counters[i];
        pass_time(20 * MS);
        say("stand still: %d %d %d", counters[0] == before[0], counters[1] == before[1], counters[2] == before[2]);
        kill(pid, SIGCONT);
        wait_for(pid, WCONTINUED, "cont");
    }
    kill_all(&pid, 1);
}

/* A stop does not end a sleep, and the time of the sleep goes on. */
static void sleeping(void) {
    for (int is_long = 0; is_long < 2; is_long++) {
        ready = new_gate();
        int64_t length = (is_long ? 400 : 60) * MS;
        pid_t pid = CHILD(
            int64_t began = clock_ns(CLOCK_MONOTONIC);
            struct timespec time = {0, length};
            open_gate(ready);
            long result = raw(SYS_nanosleep, &time, NULL);
            int64_t took = clock_ns(CLOCK_MONOTONIC) - began;
            say("nanosleep = %ld, long enough %d, stopped meanwhile %d", result, took >= length, took >= 110 * MS);
            _exit(0));
        pass_gate(ready);
        pass_time(10 * MS);
        kill(pid, SIGSTOP);
        wait_for(pid, WUNTRACED, "stop");
        pass_time(110 * MS);
        kill(pid, SIGCONT);
        show_end("child", pid);
        close_gate(ready);
    }
}

static volatile sig_atomic_t order[4], handled;
static void on_order(int signal) { order[handled++ % 4] = signal; }

/* A stopped group that is orphaned by a parent's death gets SIGHUP and SIGCONT. */
static void orphaning(void) {
    pid_t pid = CHILD(
        CHILD(
            setpgid(0, 0);
            handle(SIGHUP, on_order, SA_RESTART), handle(SIGCONT, on_order, SA_RESTART);
            raise(SIGSTOP);
            pass_gate(ready);
            say("goes on after %d signals: %d %d", handled, order[0], order[1]);
            open_gate(go));
        siginfo_t info;
        waitid(P_ALL, 0, &info, WSTOPPED);
        say("child stopped: %d", info.si_status));
    show_end("parent", pid);
    open_gate(ready), pass_gate(go);
}

static void orphaned(void) { in_session(orphaning); }

/* --- prctl ------------------------------------------------------------------------------------------------ */

static void *parent_thread(void *unused) {
    pid_t pid = CHILD(
        sigset_t set = SET(SIGUSR1, SIGUSR2);
        int signal = 0;
        block(set);
        say("set: %ld", got(prctl(PR_SET_PDEATHSIG, SIGUSR2)));
        prctl(PR_GET_PDEATHSIG, &signal);
        say("is %d", signal);
        pid_t inner = CHILD(prctl(PR_GET_PDEATHSIG, &signal); say("not inherited: %d", signal));
        status_of(inner);
        open_gate(ready);
        siginfo_t info;
        long result = got(sigwaitinfo(&set, &info));
        pass_gate(told);
        say("got %ld, code %d", result, info.si_code);
        open_gate(go));
    (void)pid;
    pass_gate(ready);
    return unused;
}

static void death_signal(void) {
    ready = new_gate(), go = new_gate(), told = new_gate();
    say("odd: %ld %ld", got(prctl(PR_SET_PDEATHSIG, 65)), got(prctl(PR_SET_PDEATHSIG, -1)));
    pid_t pid = CHILD(parent_thread(NULL));
    show_end("parent", pid);
    open_gate(told), pass_gate(go);
    /* The parent is the thread that made it. */
    pthread_t thread;
    pthread_create(&thread, NULL, parent_thread, NULL), pthread_join(thread, NULL);
    open_gate(told), pass_gate(go);
    say("it: %d", wait(NULL) > 0);
    /* By default it kills. */
    pid_t top = getpid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid = CHILD(
        CHILD(prctl(PR_SET_PDEATHSIG, SIGKILL); open_gate(ready); pause());
        pass_gate(ready));
    show_end("parent", pid);
    int status = 0;
    say("adopted: %d, still the same top %d", wait(&status) > 0, getpid() == top);
    say("child: %s", in_words(status));
}

static void *named(void *unused) {
    char name[32] = "";
    prctl(PR_GET_NAME, name);
    say("inherited by a thread: %s", name);
    prctl(PR_SET_NAME, "of the thread");
    return unused;
}

static void prctls(void) {
    char name[32] = "";
    say("PR_SET_NAME = %ld", got(prctl(PR_SET_NAME, "a name that is too long for it")));
    prctl(PR_GET_NAME, name);
    say("name: %s", name);
    pthread_t thread;
    pthread_create(&thread, NULL, named, NULL), pthread_join(thread, NULL);
    prctl(PR_GET_NAME, name);
    say("name: %s", name);
    pid_t pid = CHILD(prctl(PR_GET_NAME, name); say("inherited: %s", name));
    status_of(pid);
    say("null: %ld %ld", raw(SYS_prctl, PR_SET_NAME, NULL), raw(SYS_prctl, PR_GET_NAME, NULL));
    say("keep capabilities: %ld", got(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0)));
    say("set %ld, odd %ld", got(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)), got(prctl(PR_SET_KEEPCAPS, 2, 0, 0, 0)));
    say("now %ld", got(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0)));
    say("no new privileges: %ld", got(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    say("odd %ld %ld", got(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)), got(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0)));
    say("slack: %ld", got(prctl(PR_SET_TIMERSLACK, 70000, 0, 0, 0)));
    say("now %ld", got(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)));
    say("dumpable: %ld, odd %ld", got(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)), got(prctl(PR_SET_DUMPABLE, 2, 0, 0, 0)));
    say("unknown: %ld %ld", raw(SYS_prctl, 9999, 0, 0, 0, 0), raw(SYS_prctl, -1, 0, 0, 0, 0));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"groups", groups}, {"to-many", to_many}, {"stops", stops}, {"all-threads", all_threads},
        {"sleeping", sleeping}, {"orphaned", orphaned}, {"death-signal", death_signal}, {"prctl", prctls}, {NULL, NULL},
    };
    return run_parts(parts, count, words);
}
