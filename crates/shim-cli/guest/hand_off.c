/* Hand-off: what a program finds when it begins as a guest.
 *
 * What the simulator arranged comes in, a verdict goes out. Always true: nothing here depends on what the simulator answers
 * to calls. What a guest is told of its machine's name and addresses is in names.c. */
#include "check.h"
#include <dlfcn.h>
#include <sys/stat.h>

extern char **environ;

/* That this line is read is the check. */
static void starts(void) {}

static void managed(void) {
    bool (*is_managed)(void) = dlsym(RTLD_DEFAULT, "shim_is_managed");
    static const char expected[] = "the program is a guest: shim_is_managed() is true";
    if (!is_managed)
        fails(expected, "libshim.so.1 is not in the process: SIMULATOR started the program natively");
    if (!is_managed())
        fails(expected, "false: the library is loaded, and was handed no simulator (SHIM_HANDOFF_FD)");
}

static void blocks(void) {
    const ShimShmemManager *manager = SHIM(shim_managerSharedMem)();
    const ShimShmemHost *host = SHIM(shim_hostSharedMem)();
    const ShimShmemProcess *process = SHIM(shim_processSharedMem)();
    const ShimShmemThread *thread = SHIM(shim_threadSharedMem)();
    expect_true(manager && host && process && thread, "the four blocks are there", "one of them is NULL");
    expect("shim_process_pid as getpid", SHIM(shim_process_pid)(process), getpid());
    expect("shim_process_parent_pid as getppid", SHIM(shim_process_parent_pid)(process), getppid());
    expect("shim_thread_tid as gettid", SHIM(shim_thread_tid)(thread), syscall(SYS_gettid));
    expect("shim_host_id of at least 0", SHIM(shim_host_id)(host) >= 0, 1);
    expect("shim_manager_simulator_pid above 0", SHIM(shim_manager_simulator_pid)(manager) > 0, 1);
}

static void environment(void) {
    static const char expected[] = "no variable of the hand-off is in the environment";
    for (char **at = environ; *at; at++)
        if (strncmp(*at, "SHIM_HANDOFF_FD=", 16) == 0 || strncmp(*at, "_D_PRELOAD=", 11) == 0 ||
            (strncmp(*at, "LD_PRELOAD=", 11) == 0 && strstr(*at, "libshim")))
            fails(expected, "%.200s", *at);
}

static void environment_given(void) {
    const char *given = getenv("SHIM_CONFORMANCE_MARK");
    static const char expected[] = "SHIM_CONFORMANCE_MARK, which SIMULATOR has, is in the guest's environment as it was";
    if (!given)
        fails(expected, "it is not there");
    if (strcmp(given, "a b=c") != 0)
        fails(expected, "it is '%s'", given);
}

static void arguments(void) {
    static const char *const expected[] = {"", " two  words ", "--", "-x", "*", "\"'\\$HOME", "\xff\x01"};
    int count = sizeof expected / sizeof *expected;
    expect("the number of arguments", word_count - 3, count);
    for (int i = 0; i < count; i++)
        if (strcmp(words[i + 3], expected[i]) != 0)
            fails("each argument arrives as it was given", "argument %d arrived as '%s'", i + 1, words[i + 3]);
}

static void standard_input(void) {
    char text[64] = "";
    ssize_t length = 0, count;
    while ((count = read(0, text + length, sizeof text - 1 - (size_t)length)) > 0)
        length += count;
    expect("read of standard input at its end", R(count), 0);
    if (strcmp(text, "what was given\n") != 0)
        fails("standard input is what SIMULATOR's is", "it held '%.20s' (%zd bytes)", text, length);
}

static void standard_error(void) {
    static const char text[] = "@conformance-stderr arrived\n";
    expect("write to standard error", R(write(2, text, sizeof text - 1)), sizeof text - 1);
}

/* Whether a descriptor is one that the runner was given, which a simulator may have passed on. */
static bool is_inherited(int fd) {
    for (int i = 3; i < word_count; i++)
        if (atoi(words[i]) == fd)
            return true;
    return false;
}

static void descriptors(void) {
    static const char *const streams[] = {"standard input is open", "standard output is open", "standard error is open"};
    char path[64], target[256];
    for (int fd = 0; fd < 3; fd++)
        expect_true(fcntl(fd, F_GETFD) >= 0, streams[fd], "it is closed");
    for (int fd = 3; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && !is_inherited(fd)) {
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            ssize_t length = readlink(path, target, sizeof target);
            fails("no descriptor but 0, 1 and 2 is open", "%d is: %.*s", fd, (int)(length < 0 ? 0 : length), target);
        }
}

static void dispositions(void) {
    for (int signal = 1; signal < 32; signal++) {
        struct sigaction action;
        if (signal == SIGKILL || signal == SIGSTOP || sigaction(signal, NULL, &action) != 0)
            continue;
        /* SIGPIPE and SIGHUP may be ignored by whoever started SIMULATOR. */
        if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN)
            fails("no signal has a handler when the program begins", "signal %d has one", signal);
    }
    sigset_t blocked;
    sigemptyset(&blocked);
    expect("sigprocmask", R(sigprocmask(SIG_BLOCK, NULL, &blocked)), 0);
    for (int signal = 1; signal < 32; signal++)
        if (sigismember(&blocked, signal))
            fails("no signal is blocked when the program begins", "signal %d is", signal);
}

const struct check hand_off_checks[] = {
    {"hand-off/starts", starts},
    {"hand-off/managed", managed},
    {"hand-off/blocks", blocks},
    {"hand-off/environment", environment},
    {"hand-off/environment-given", environment_given},
    {"hand-off/arguments", arguments},
    {"hand-off/stdin", standard_input},
    {"hand-off/stderr", standard_error},
    {"hand-off/descriptors", descriptors},
    {"hand-off/signals", dispositions},
    {NULL, NULL},
};
