/* Signals in processes of several threads: which thread handles them, which wait they end.
 *
 * The part to show comes in; a line for each signal goes out, from the thread that got it. Always true: at
 * any time only one thread has the signal unblocked, or the signal is sent to one thread. Signals in a process
 * of one thread are in signals.c. */
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static void until(volatile int *flag) {
    while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
        pass_time(MS);
}
static void set(volatile int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }

static _Thread_local int number;
static volatile int coming, go, handled;

static sigset_t set_of(int first, int second) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, first);
    if (second)
        sigaddset(&signals, second);
    return signals;
}
static void block(int how, int signal) {
    sigset_t signals = set_of(signal, 0);
    pthread_sigmask(how, &signals, NULL);
}
static pthread_t start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    coming = 0;
    if (pthread_create(&thread, NULL, body, argument) != 0)
        abort();
    return thread;
}

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)context;
    say("signal %d in thread %d, code %d, value %d", signal, number, info->si_code,
        info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
    set(&handled);
}
static void handle(int signal, int flags) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};
    sigaction(signal, &action, NULL);
}

static void *sleep_there(void *argument) {
    number = (int)(intptr_t)argument;
    set(&coming);
    int slept = nanosleep(&(struct timespec){1000, 0}, NULL);
    say("thread %d slept: %ld", number, got(slept));
    return NULL;
}

static void to_one(void) {
    pthread_t threads[3];
    handle(SIGUSR1, 0);
    for (int i = 0; i < 3; i++) {
        threads[i] = start(sleep_there, (void *)(intptr_t)(i + 1));
        until(&coming);
    }
    pass_time(20 * MS);
    const int turns[] = {2, 0, 1};
    for (int i = 0; i < 3; i++) {
        int sent = pthread_kill(threads[turns[i]], SIGUSR1);
        pthread_join(threads[turns[i]], NULL);
        say("pthread_kill = %d", sent);
    }
    TRY("to itself", pthread_kill(pthread_self(), SIGUSR1));
    TRY("raise", raise(SIGUSR1));
    TRY("odd signal", pthread_kill(pthread_self(), 100));
    TRY("no signal", pthread_kill(pthread_self(), 0));
}

static void *take_all(void *argument) {
    number = (int)(intptr_t)argument;
    block(SIG_UNBLOCK, SIGUSR1);
    set(&coming);
    until(&go);
    return NULL;
}

/* One sent to the process goes to whoever has it unblocked. */
static void to_the_process(void) {
    handle(SIGUSR1, SA_RESTART);
    block(SIG_BLOCK, SIGUSR1);
    kill(getpid(), SIGUSR1);
    say("pending");
    pthread_t thread = start(take_all, (void *)1);
    until(&handled);
    handled = 0;
    kill(getpid(), SIGUSR1);
    until(&handled);
    handled = 0;
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 8});
    until(&handled);
    handled = 0;
    set(&go);
    pthread_join(thread, NULL);
    go = 0;
    thread = start(take_all, (void *)2);
    until(&coming);
    kill(getpid(), SIGUSR1);
    until(&handled);
    set(&go);
    pthread_join(thread, NULL);
    kill(getpid(), SIGUSR1);
    say("nobody takes it");
    block(SIG_UNBLOCK, SIGUSR1);
    say("now the first has");
}

static void *pend(void *argument) {
    sigset_t signals;
    number = (int)(intptr_t)argument;
    raise(SIGUSR1);
    sigpending(&signals);
    say("own pending %d %d", sigismember(&signals, SIGUSR1), sigismember(&signals, SIGUSR2));
    set(&coming);
    until(&go);
    block(SIG_UNBLOCK, SIGUSR1);
    return NULL;
}

static void pendings(void) {
    sigset_t signals;
    handle(SIGUSR1, 0), handle(SIGUSR2, 0);
    block(SIG_BLOCK, SIGUSR1), block(SIG_BLOCK, SIGUSR2);
    kill(getpid(), SIGUSR2);
    pthread_t thread = start(pend, (void *)1);
    until(&coming);
    sigpending(&signals);
    say("of the first %d %d", sigismember(&signals, SIGUSR1), sigismember(&signals, SIGUSR2));
    set(&go);
    pthread_join(thread, NULL);
    block(SIG_UNBLOCK, SIGUSR2);
}

static void *wait_for_signals(void *argument) {
    sigset_t signals = set_of(SIGUSR1, SIGUSR2);
    number = (int)(intptr_t)argument;
    set(&coming);
    for (;;) {
        siginfo_t info = {0};
        int signal = sigwaitinfo(&signals, &info);
        say("thread %d waited for %d, code %d", number, signal, info.si_code);
        set(&handled);
        if (signal == SIGUSR2)
            return NULL;
    }
}

static void waited(void) {
    block(SIG_BLOCK, SIGUSR1), block(SIG_BLOCK, SIGUSR2);
    pthread_t thread = start(wait_for_signals, (void *)1);
    until(&coming);
    for (int i = 0; i < 3; i++) {
        handled = 0;
        if (i == 1)
            pthread_kill(thread, SIGUSR1);
        else
            kill(getpid(), SIGUSR1);
        until(&handled);
    }
    kill(getpid(), SIGUSR2);
    pthread_join(thread, NULL);
    pthread_t itself = pthread_self();
    pthread_kill(itself, SIGUSR1);
    sigset_t signals = set_of(SIGUSR1, 0);
    TRY("sent to the first", got(sigtimedwait(&signals, NULL, &(struct timespec){0, 0})));
    TRY("no more", got(sigtimedwait(&signals, NULL, &(struct timespec){0, 0})));
}

static _Thread_local sigjmp_buf back;
static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    say("fault %d in thread %d at %lx", signal, number, (long)info->si_addr);
    siglongjmp(back, 1);
}
static void *fault(void *argument) {
    number = (int)(intptr_t)argument;
    if (sigsetjmp(back, 1) == 0)
        *(volatile char *)(16 * (intptr_t)argument) = 1;
    return argument;
}
static void faults(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    for (int i = 1; i < 4; i++)
        pthread_join(start(fault, (void *)(intptr_t)i), NULL);
    fault((void *)5);
}

static _Thread_local char *own_stack;
static void on_stack(int signal) {
    char here;
    say("signal %d in thread %d, on its stack %d", signal, number, &here >= own_stack && &here < own_stack + 65536);
}
static void *use_stack(void *argument) {
    stack_t old, wanted = {.ss_size = 65536};
    number = (int)(intptr_t)argument;
    own_stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    wanted.ss_sp = own_stack;
    sigaltstack(NULL, &old);
    say("none at first %d", old.ss_flags == SS_DISABLE);
    sigaltstack(&wanted, NULL);
    raise(SIGUSR1);
    set(&coming);
    until(&go);
    raise(SIGUSR1);
    return NULL;
}
static void stacks(void) {
    struct sigaction action = {.sa_handler = on_stack, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t thread = start(use_stack, (void *)1);
    until(&coming);
    go = 1;
    pthread_join(thread, NULL);
    use_stack((void *)2);
}

/* A thread that makes no call at all gets its signals too. */
static void *loop(void *argument) {
    number = (int)(intptr_t)argument;
    set(&coming);
    while (!handled) {
    }
    return NULL;
}
static void looping(void) {
    handle(SIGUSR1, 0), handle(SIGALRM, 0);
    pthread_t thread = start(loop, (void *)1);
    until(&coming);
    int sent = pthread_kill(thread, SIGUSR1);
    pthread_join(thread, NULL);
    say("pthread_kill = %d", sent);
    /* An alarm of the process, which only the loop has unblocked. */
    handled = 0;
    thread = start(loop, (void *)2);
    until(&coming);
    block(SIG_BLOCK, SIGALRM);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 10000}}, NULL);
    pthread_join(thread, NULL);
    say("done");
}

int main(int count, char **words) {
    const struct part parts[] = {{"to one", to_one}, {"to the process", to_the_process},
                 {"waited", waited}, {"pendings", pendings},
                 {"faults", faults}, {"stacks", stacks},
                 {"looping", looping}, {NULL, NULL}};
    return run_part(parts, count, words);
}
