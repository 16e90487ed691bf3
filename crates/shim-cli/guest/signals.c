/* Signals: of a guest to itself, of its faults, and while it waits.
 *
 * Signals come in; what their handlers saw, and when, goes out. Always true: natively the results are the same, but for the
 * waits of an hour. Signals of timers are in times.c, those that end a process in endings.c. */
#include "check.h"
#include <setjmp.h>
#include <sys/mman.h>

static volatile sig_atomic_t runs;
static siginfo_t told;
static uintptr_t stack_seen;

static void note(int signal, siginfo_t *info, void *context) {
    int here;
    (void)signal, (void)context;
    runs++, told = *info, stack_seen = (uintptr_t)&here;
}

static void handle(int signal, int flags) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | flags};
    expect("sigaction", R(sigaction(signal, &action, NULL)), 0);
}

static void handler(void) {
    handle(SIGUSR1, 0);
    expect("kill of oneself", R(kill(getpid(), SIGUSR1)), 0);
    expect("the number of times that the handler ran before kill returned", runs, 1);
    expect("si_signo", told.si_signo, SIGUSR1);
    expect("si_pid", told.si_pid, getpid());
    expect("si_code", told.si_code, SI_USER);
    expect("raise", R(raise(SIGUSR1)), 0);
    expect("the number of times that the handler ran", runs, 2);
}

static void mask(void) {
    sigset_t set, pending;
    handle(SIGUSR1, 0);
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    expect("sigprocmask", R(sigprocmask(SIG_BLOCK, &set, NULL)), 0);
    expect("raise", R(raise(SIGUSR1)), 0);
    expect("the number of times that the handler of a blocked signal ran", runs, 0);
    expect("sigpending", R(sigpending(&pending)), 0);
    expect("whether it is pending", sigismember(&pending, SIGUSR1), 1);
    expect("sigprocmask", R(sigprocmask(SIG_UNBLOCK, &set, NULL)), 0);
    expect("the number of times that it ran once it was unblocked", runs, 1);
}

static void alternate_stack(void) {
    size_t size = 1 << 16;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = memory, .ss_size = size};
    expect("sigaltstack", R(sigaltstack(&stack, NULL)), 0);
    handle(SIGUSR1, SA_ONSTACK);
    expect("raise", R(raise(SIGUSR1)), 0);
    expect_true(stack_seen - (uintptr_t)memory < size,
                "a handler with SA_ONSTACK runs on the stack of sigaltstack", "it ran elsewhere");
}

static sigjmp_buf back;
static void *fault_address;

static void leap(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    fault_address = info->si_addr;
    siglongjmp(back, 1);
}

static void faults(void) {
    struct sigaction action = {.sa_sigaction = leap, .sa_flags = SA_SIGINFO};
    volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect("sigaction", R(sigaction(SIGSEGV, &action, NULL)), 0);
    for (volatile int i = 0; i < 3; i++) {
        fault_address = NULL;
        if (sigsetjmp(back, 1) == 0) {
            page[100 + i] = 1;
            fails("a write to memory that may not be written is SIGSEGV", "it succeeded");
        }
        if (fault_address != page + 100 + i)
            fails("si_addr is the address of the fault", "it is another one");
    }
    struct timespec wait = span(HOUR);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    expect("nanosleep after siglongjmp out of a handler", R(nanosleep(&wait, NULL)), 0);
    expect_span("nanosleep of an hour after it", clock_ns(CLOCK_MONOTONIC) - start, HOUR);
}

static void *pages;
static void open_page(int signal) { (void)signal, mprotect(pages, 4096, PROT_READ | PROT_WRITE); }

static void retried(void) {
    struct sigaction action = {.sa_handler = open_page};
    pages = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect("sigaction", R(sigaction(SIGSEGV, &action, NULL)), 0);
    *(volatile int *)pages = 42;
    expect("what an instruction wrote whose fault a handler cured", *(volatile int *)pages, 42);
}

static void timed_wait(void) {
    sigset_t set;
    siginfo_t info;
    struct timespec limit = span(HOUR);
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    expect("sigprocmask", R(sigprocmask(SIG_BLOCK, &set, NULL)), 0);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    expect("sigtimedwait for nothing", R(sigtimedwait(&set, &info, &limit)), -EAGAIN);
    expect_span("sigtimedwait for nothing for an hour", clock_ns(CLOCK_MONOTONIC) - start, HOUR);
    expect("raise", R(raise(SIGUSR1)), 0);
    expect("sigtimedwait for a signal that is pending", R(sigtimedwait(&set, &info, &limit)), SIGUSR1);
}

static void suspended(void) {
    sigset_t none, set;
    handle(SIGALRM, 0);
    sigemptyset(&none), sigemptyset(&set), sigaddset(&set, SIGALRM);
    expect("sigprocmask", R(sigprocmask(SIG_BLOCK, &set, NULL)), 0);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    expect("alarm, where none was set,", R((int)alarm(3600)), 0);
    expect("sigsuspend", R(sigsuspend(&none)), -EINTR);
    expect_span("sigsuspend until an alarm in an hour", clock_ns(CLOCK_MONOTONIC) - start, HOUR);
    expect("the number of times that the handler ran", runs, 1);
}

const struct check signal_checks[] = {
    {"signals/handler", handler},   {"signals/mask", mask},       {"signals/stack", alternate_stack},
    {"signals/fault", faults},      {"signals/retry", retried},   {"signals/timed-wait", timed_wait},
    {"signals/suspend", suspended}, {NULL, NULL},
};
