/* Signals between processes and threads: order, information, who takes which, what ends waits.
 *
 * A part's name comes in, lines go out, also from handlers. Always true: a receiver has blocked what it is to
 * find pending before its sender passes a gate, and who waits is woken by something that comes only once. */
#include "family.h"
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/time.h>

static struct gate ready, go;
static pid_t sender;

static void show_info(const char *name, long result, const siginfo_t *info) {
    if (result < 0)
        say("%s = %ld", name, result);
    else
        say("%s: %ld, signal %d, code %d, value %d, sender right %d, uid right %d", name, result, info->si_signo,
            info->si_code, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0, info->si_pid == sender,
            info->si_uid == getuid());
}

static void take(const char *name, sigset_t set) {
    siginfo_t info;
    long result = got(sigwaitinfo(&set, &info));
    show_info(name, result, &info);
}

static void on_info(int signal, siginfo_t *info, void *context) {
    (void)context;
    show_info("handler", signal, info);
}

/* --- queues ----------------------------------------------------------------------------------------------- */

static void queues(void) {
    ready = new_gate(), go = new_gate(), sender = getpid();
    const int signals[] = {SIGRTMIN + 5, SIGRTMIN + 2, SIGUSR2, SIGRTMIN + 2, SIGUSR1, SIGUSR1, SIGRTMAX, SIGRTMIN + 5, SIGTERM};
    for (int waits = 0; waits < 2; waits++) {
        pid_t pid = CHILD(
            sigset_t set = SET(SIGUSR1, SIGUSR2, SIGTERM, SIGRTMIN + 2, SIGRTMIN + 5, SIGRTMAX);
            block(set);
            for (int i = 0; i < 9; i++) handle_info(signals[i], on_info, 0);
            open_gate(ready), pass_gate(go);
            if (waits) for (int i = 0; i < 8; i++) take("taken", set);
            struct timespec none = {0, 0};
            if (waits) say("no more: %ld", got(sigtimedwait(&set, NULL, &none)));
            /* All at once: the one that is delivered last runs first, unless masks say otherwise. */
            unblock(set);
            say("all delivered"));
        pass_gate(ready);
        int sent = 0;
        for (int i = 0; i < 9; i++)
            sent += sigqueue(pid, signals[i], (union sigval){.sival_int = i}) == 0;
        say("sent %d", sent);
        open_gate(go);
        show_end("child", pid);
    }
}

/* Every way to send, from another process. */
static void senders(void) {
    ready = new_gate(), go = new_gate(), sender = getpid();
    sigset_t set = SET(SIGUSR1, SIGRTMIN);
    pid_t pid = CHILD(
        block(set);
        open_gate(ready);
        for (int i = 0; i < 7; i++) take("taken", set), open_gate(ready));
    siginfo_t info;
    memset(&info, 0, sizeof info);
    pass_gate(ready);
    kill(pid, SIGUSR1), pass_gate(ready);
    raw(SYS_tkill, pid, SIGUSR1), pass_gate(ready);
    raw(SYS_tgkill, pid, pid, SIGRTMIN), pass_gate(ready);
    sigqueue(pid, SIGUSR1, (union sigval){.sival_int = 5}), pass_gate(ready);
    info.si_signo = 99, info.si_code = -60, info.si_pid = getpid(), info.si_uid = getuid();
    raw(SYS_rt_sigqueueinfo, pid, SIGRTMIN, &info), pass_gate(ready);
    info.si_code = SI_QUEUE, info.si_value.sival_int = 8;
    raw(SYS_rt_tgsigqueueinfo, pid, pid, SIGUSR1, &info), pass_gate(ready);
    info.si_code = SI_USER;
    say("as if by kill %ld", raw(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info));
    info.si_code = SI_TKILL;
    say("as if by tkill %ld", raw(SYS_rt_tgsigqueueinfo, pid, pid, SIGUSR1, &info));
    info.si_code = 1;
    say("as if by the kernel %ld", raw(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info));
    info.si_code = SI_QUEUE;
    say("odd: %ld %ld %ld", raw(SYS_rt_sigqueueinfo, pid, 65, &info), raw(SYS_rt_sigqueueinfo, 1 << 22, SIGUSR1, &info),
        raw(SYS_rt_sigqueueinfo, pid, SIGUSR1, NULL));
    say("signal 0: %ld %ld", raw(SYS_rt_sigqueueinfo, pid, 0, &info), raw(SYS_rt_sigqueueinfo, 1 << 22, 0, &info));
    say("another process's thread: %ld", raw(SYS_tgkill, getpid(), pid, SIGUSR1));
    kill(pid, SIGUSR1);
    show_end("child", pid);
    /* The limit is for queues; what kill sends needs no place. */
    pid = CHILD(
        setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){0, 0});
        block(set);
        say("no place: %ld", got(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1})));
        say("kill %ld", got(kill(getpid(), SIGRTMIN)));
        sigset_t pending;
        sigpending(&pending);
        say("pending %d", sigismember(&pending, SIGRTMIN)));
    show_end("child", pid);
}

static void ping_pong(void) {
    sigset_t set = SET(SIGUSR1, SIGUSR2);
    block(set);
    pid_t parent = getpid(), pid = fork();
    int sum = 0;
    siginfo_t info;
    for (int i = 0; i < 300; i++) {
        if (pid != 0)
            sigqueue(pid, SIGUSR1, (union sigval){.sival_int = i});
        if (sigwaitinfo(&set, &info) != (pid != 0 ? SIGUSR2 : SIGUSR1))
            say("another signal");
        sum += info.si_value.sival_int;
        if (pid == 0)
            sigqueue(parent, SIGUSR2, (union sigval){.sival_int = 2 * i});
    }
    if (pid == 0)
        _exit(sum == 299 * 150);
    show_end("child right", pid);
    say("sum %d", sum);
}

/* --- threads ---------------------------------------------------------------------------------------------- */

static __thread int number;
static struct gate gates[4];
static volatile int stop;
static sigset_t thread_masks[4];

static void on_thread(int signal) {
    say("signal %d in thread %d", signal, number);
    open_gate(ready);
}

static void *thread_waits(void *which) {
    number = (intptr_t)which;
    pthread_sigmask(SIG_SETMASK, &thread_masks[number], NULL);
    open_gate(ready);
    pass_gate(gates[number]);
    return NULL;
}

static void start_threads(pthread_t *threads) {
    for (intptr_t i = 1; i < 4; i++) {
        gates[i] = new_gate();
        pthread_create(&threads[i], NULL, thread_waits, (void *)i);
        pass_gate(ready);
    }
}

static void end_threads(pthread_t *threads) {
    for (int i = 1; i < 4; i++)
        open_gate(gates[i]), pthread_join(threads[i], NULL);
}

static void who_takes(void) {
    ready = new_gate();
    pthread_t threads[4];
    handle(SIGUSR1, on_thread, SA_RESTART), handle(SIGUSR2, on_thread, SA_RESTART), handle(SIGTERM, on_thread, SA_RESTART);
    thread_masks[1] = SET(SIGUSR1, SIGUSR2), thread_masks[2] = SET(SIGUSR1), thread_masks[3] = SET(SIGUSR2, SIGTERM);
    start_threads(threads);
    kill(getpid(), SIGTERM), pass_gate(ready); /* the first thread, because it may */
    block(SET(SIGUSR1, SIGUSR2, SIGTERM));
    kill(getpid(), SIGUSR1), pass_gate(ready); /* only the third may */
    kill(getpid(), SIGUSR2), pass_gate(ready); /* only the second */
    for (int i = 1; i < 4; i++) {
        int result = pthread_kill(threads[i], i == 3 ? SIGUSR1 : i == 2 ? SIGUSR2 : SIGTERM);
        pass_gate(ready);
        say("to thread %d: %d", i, result);
    }
    /* Blocked there: it waits for that thread, whoever else may take it. */
    pthread_kill(threads[1], SIGUSR1);
    sigset_t set;
    sigpending(&set);
    say("another's pending: %d", sigismember(&set, SIGUSR1));
    pthread_kill(threads[3], SIGUSR1), pass_gate(ready);
    end_threads(threads);
    unblock(SET(SIGUSR1));
    say("an ended thread's signals went with it");
    /* Of the process, and blocked by all: whoever unblocks it first. */
    block(SET(SIGUSR1));
    kill(getpid(), SIGUSR1), sigpending(&set);
    say("pending: %d", sigismember(&set, SIGUSR1));
    pthread_create(&threads[3], NULL, thread_waits, (void *)3), pass_gate(ready), pass_gate(ready);
    open_gate(gates[3]), pthread_join(threads[3], NULL);
    sigpending(&set);
    say("pending: %d", sigismember(&set, SIGUSR1));
}

static void *shows_masks(void *unused) {
    sigset_t mask, pending;
    pthread_sigmask(SIG_BLOCK, NULL, &mask), sigpending(&pending);
    say("thread: blocked %d %d, pending %d %d", sigismember(&mask, SIGUSR1), sigismember(&mask, SIGUSR2),
        sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2));
    unblock(SET(SIGUSR1)), block(SET(SIGTERM));
    stack_t stack;
    sigaltstack(NULL, &stack);
    say("thread: other stack %d", stack.ss_flags);
    pthread_kill(pthread_self(), SIGTERM), sigpending(&pending);
    say("thread: pending %d", sigismember(&pending, SIGTERM));
    return unused;
}

static char other_stack[64 * 1024];

static void thread_state(void) {
    sigset_t mask;
    handle_info(SIGUSR1, on_info, 0), sender = getpid();
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    say("sigaltstack %ld", got(sigaltstack(&stack, NULL)));
    block(SET(SIGUSR1, SIGUSR2));
    pthread_kill(pthread_self(), SIGUSR1), kill(getpid(), SIGUSR2);
    pthread_t thread;
    pthread_create(&thread, NULL, shows_masks, NULL), pthread_join(thread, NULL);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    say("first: blocked %d %d %d", sigismember(&mask, SIGUSR1), sigismember(&mask, SIGUSR2), sigismember(&mask, SIGTERM));
    sigaltstack(NULL, &stack);
    say("first: other stack %d, its size kept %d", stack.ss_flags, stack.ss_size == sizeof other_stack);
    pid_t pid = CHILD(
        sigaltstack(NULL, &stack);
        sigset_t pending;
        sigpending(&pending);
        say("child: other stack %d, pending %d %d", stack.ss_flags, sigismember(&pending, SIGUSR1),
            sigismember(&pending, SIGUSR2)));
    show_end("child", pid);
    unblock(SET(SIGUSR1));
}

static void *waits_for(void *set) {
    siginfo_t info;
    long result = got(sigwaitinfo(set, &info));
    show_info("thread's sigwaitinfo", result, &info);
    return NULL;
}

static void *blocked_read(void *result) {
    char byte;
    open_gate(ready);
    *(long *)result = got(read(go.fds[0], &byte, 1));
    return NULL;
}

static void on_quiet(int signal) { (void)signal; }

static void thread_waits_part(void) {
    ready = new_gate(), go = new_gate(), sender = getpid();
    sigset_t set = SET(SIGUSR1, SIGUSR2);
    block(set);
    pthread_t thread, other;
    pthread_create(&thread, NULL, waits_for, &set);
    kill(getpid(), SIGUSR1), pthread_join(thread, NULL);
    pthread_create(&thread, NULL, waits_for, &set);
    pthread_kill(thread, SIGUSR2), pthread_join(thread, NULL);
    pthread_create(&thread, NULL, waits_for, &set);
    pid_t pid = CHILD(pass_gate(go); sigqueue(getppid(), SIGUSR1, (union sigval){.sival_int = 4}));
    sender = pid, open_gate(go);
    pthread_join(thread, NULL), show_end("child", pid);
    /* Two threads wait; each signal is one thread's. */
    pthread_create(&thread, NULL, waits_for, &set), pthread_create(&other, NULL, waits_for, &set);
    sender = getpid();
    pthread_kill(thread, SIGUSR1), pthread_join(thread, NULL);
    pthread_kill(other, SIGUSR2), pthread_join(other, NULL);
    /* A signal for one thread does not end another one's call. */
    unblock(set), handle(SIGUSR1, on_quiet, 0);
    long result = 0;
    pthread_create(&thread, NULL, blocked_read, &result), pass_gate(ready);
    for (int i = 0; i < 20; i++)
        raise(SIGUSR1), pass_time(MS / 10);
    open_gate(go), pthread_join(thread, NULL);
    say("read in another thread = %ld", result);
    pthread_create(&thread, NULL, blocked_read, &result), pass_gate(ready);
    while (pthread_kill(thread, SIGUSR1) == 0 && pthread_tryjoin_np(thread, NULL) != 0)
        pass_time(5 * MS);
    say("read in the thread itself = %ld", result);
}

static void *dies(void *how) {
    switch ((intptr_t)how) {
    case 0: *(volatile int *)NULL = 1; break;
    case 1: pthread_kill(pthread_self(), SIGTERM); break;
    case 2: abort();
    case 3: raise(SIGSTOP); return NULL;
    case 4: raise(SIGPIPE); break;
    case 5: kill(getpid(), SIGKILL); break;
    }
    for (;;)
        pause();
}

/* What happens to one thread by default happens to all. */
static void thread_deaths(void) {
    for (intptr_t how = 0; how < 6; how++) {
        pid_t pid = CHILD(
            pthread_t thread;
            pthread_create(&thread, NULL, dies, (void *)how);
            pthread_join(thread, NULL);
            say("all go on");
            _exit(7));
        int status;
        waitpid(pid, &status, WUNTRACED);
        say("by a thread: %s", in_words(status));
        if (WIFSTOPPED(status))
            kill(pid, SIGCONT), show_end("child", pid);
    }
}

/* --- waits ------------------------------------------------------------------------------------------------ */

/* Signals from another process end waits for signals. The waiter opens a gate after each. */
static void waits(void) {
    ready = new_gate(), sender = getpid();
    pid_t pid = CHILD(
        sigset_t set = SET(SIGUSR1), others = SET(SIGUSR2, SIGTERM);
        handle_info(SIGUSR1, on_info, 0), handle(SIGALRM, on_quiet, 0);
        block(set);
        open_gate(ready);
        say("sigsuspend = %ld", got(sigsuspend(&others)));
        open_gate(ready);
        say("ppoll = %ld", got(ppoll(NULL, 0, NULL, &others)));
        open_gate(ready);
        say("pselect = %ld", got(pselect(0, NULL, NULL, NULL, NULL, &others)));
        open_gate(ready);
        take("sigwaitinfo", set);
        open_gate(ready);
        struct timespec long_time = {20, 0};
        siginfo_t info;
        long result = got(sigtimedwait(&set, &info, &long_time));
        show_info("sigtimedwait", result, &info);
        open_gate(ready);
        int signal = 0;
        say("sigwait = %d", sigwait(&set, &signal));
        open_gate(ready);
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 5000}, {0, 5000}}, NULL);
        say("pause = %ld", got(pause()));
        setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
        sigset_t mask;
        sigprocmask(SIG_BLOCK, NULL, &mask);
        say("mask as before: %d %d", sigismember(&mask, SIGUSR1), sigismember(&mask, SIGUSR2)));
    for (int i = 0; i < 6; i++)
        pass_gate(ready), sigqueue(pid, SIGUSR1, (union sigval){.sival_int = i});
    show_end("child", pid);
}

static sigjmp_buf back;
static volatile int jumps;
static void jumps_out(int signal) {
    (void)signal;
    jumps++;
    siglongjmp(back, jumps);
}

/* Handlers that leave blocking calls for good. */
static void leaving(void) {
    handle(SIGALRM, jumps_out, 0);
    int pipes[2];
    char byte;
    pipe(pipes);
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    sigset_t set = SET(SIGUSR1), none = SET(0);
    volatile pid_t pid = CHILD(pause());
    for (volatile int i = 0; i < 8; i++) {
        int jump = sigsetjmp(back, 1);
        if (jump != 0) {
            say("left %d by jump %d", i, jump);
            continue;
        }
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 10000}}, NULL);
        switch (i) {
        case 0: pause(); break;
        case 1: read(pipes[0], &byte, 1); break;
        case 2: pass_time(100000 * MS); break;
        case 3: waitpid(pid, NULL, 0); break;
        case 4: pthread_mutex_lock(&mutex); break;
        case 5: sigsuspend(&none); break;
        case 6: block(set), sigwaitinfo(&set, NULL); break;
        case 7: for (;;) clock_ns(CLOCK_MONOTONIC);
        }
        say("%d ended", i);
    }
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    say("mask: %d %d", sigismember(&mask, SIGALRM), sigismember(&mask, SIGUSR1));
    kill(pid, SIGKILL), show_end("child", pid);
}

/* --- stacks ----------------------------------------------------------------------------------------------- */

static int on_other_stack(void) {
    char here;
    return &here >= other_stack && &here < other_stack + sizeof other_stack;
}

static void on_stack(int signal) {
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    long change = got(sigaltstack(&stack, NULL));
    sigaltstack(NULL, &stack);
    say("handler for %d: on the other stack %d, flags %d, change %ld", signal, on_other_stack(), stack.ss_flags, change);
    if (signal == SIGUSR1)
        raise(SIGUSR2), raise(SIGTERM);
}

static void stacks(void) {
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack}, old;
    handle(SIGUSR1, on_stack, SA_ONSTACK), handle(SIGUSR2, on_stack, SA_ONSTACK), handle(SIGTERM, on_stack, 0);
    raise(SIGUSR2);
    sigaltstack(&stack, NULL);
    raise(SIGUSR1), raise(SIGTERM);
    pid_t pid = CHILD(raise(SIGUSR2));
    show_end("child", pid);
    stack.ss_size = 1024;
    say("too small %ld", got(sigaltstack(&stack, &old)));
    stack.ss_size = sizeof other_stack, stack.ss_flags = 77;
    say("odd flags %ld", got(sigaltstack(&stack, &old)));
    stack.ss_flags = SS_DISABLE;
    long result = got(sigaltstack(&stack, &old));
    say("disable %ld, flags were %d, size kept %d", result, old.ss_flags, old.ss_size == sizeof other_stack);
    raise(SIGUSR2);
    stack.ss_flags = (int)(1u << 31); /* SS_AUTODISARM */
    say("autodisarm %ld", got(sigaltstack(&stack, NULL)));
    raise(SIGUSR2);
    sigaltstack(NULL, &old);
    say("afterwards %x", (unsigned)old.ss_flags);
}

/* A pipe that nobody reads. */
static void *writes(void *fd) {
    char byte = 'x';
    say("thread: write = %ld", got(write(*(int *)fd, &byte, 1)));
    return NULL;
}

static void broken_pipes(void) {
    int pipes[2];
    pipe(pipes), close(pipes[0]);
    pid_t pid = CHILD(write(pipes[1], "x", 1); say("still here"));
    show_end("by default", pid);
    handle_info(SIGPIPE, on_info, 0), sender = getpid();
    say("write = %ld", got(write(pipes[1], "x", 1)));
    pthread_t thread;
    block(SET(SIGPIPE)); /* also the thread's */
    pthread_create(&thread, NULL, writes, &pipes[1]), pthread_join(thread, NULL);
    sigset_t pending;
    sigpending(&pending);
    say("pending for the process: %d", sigismember(&pending, SIGPIPE));
    handle(SIGPIPE, SIG_IGN, 0);
    say("ignored: write = %ld", got(write(pipes[1], "x", 1)));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"queues", queues}, {"senders", senders}, {"ping-pong", ping_pong}, {"who-takes", who_takes},
        {"thread-state", thread_state}, {"thread-waits", thread_waits_part}, {"thread-deaths", thread_deaths},
        {"waits", waits}, {"leaving", leaving}, {"stacks", stacks}, {"broken-pipes", broken_pipes}, {NULL, NULL},
    };
    return run_parts(parts, count, words);
}
