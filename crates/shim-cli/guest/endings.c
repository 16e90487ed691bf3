/* Endings: a guest that ends as it was told to.
 *
 * An exit status or a signal comes in, and the end of the process goes out: what the simulator makes of it is what the runner
 * looks at. Always true: a line says that the guest has come so far; nothing is written afterwards. */
#include "check.h"
#include <sys/mman.h>
#include <sys/resource.h>

static int number(void) { return word_count > 3 ? atoi(words[3]) : 0; }

static void exits(void) {
    report("ends");
    _exit(number());
}

static void dies(void) {
    struct rlimit none = {0, 0};
    int signal = number();
    setrlimit(RLIMIT_CORE, &none);
    report("ends");
    if (signal == SIGSEGV)
        *(volatile int *)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
    else if (signal == SIGILL)
        __builtin_trap();
    kill(getpid(), signal);
    fails("the signal ends the process", "it went on");
}

/* Computes, for some minutes at most, until somebody outside kills it. */
static void waits_for_death(void) {
    report("native-pid\t%d", SHIM(shim_process_native_pid)(SHIM(shim_processSharedMem)()));
    for (volatile uint64_t i = 0; i < UINT64_C(400000000000); i++)
        ;
    report("fails\tsomebody kills the guest\tnobody did");
}

static void wait_for_ever(void) {
    for (;;)
        pause();
}

static void leaves_child(void) {
    /* Where there is no fork, the guest itself is all that could be left. */
    if (fork() == 0)
        wait_for_ever();
    report("ends");
    _exit(0);
}

const struct check ending_checks[] = {
    {"endings/exit-status", exits},        {"endings/signal", dies},
    {"endings/signal-status", dies},       {"endings/killed", waits_for_death},
    {"endings/left-behind", leaves_child}, {NULL, NULL},
};
