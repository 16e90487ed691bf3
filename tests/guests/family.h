/* What the programs with several processes share: parts by name, children, gates, ends in words.
 *
 * A part's name comes in and chooses what runs; "list" names them all. Always true: a line names no
 * process id, and who waits for another process waits at a gate or for its end, never for a while that is
 * merely long enough. */
#ifndef FAMILY_H
#define FAMILY_H

#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)

/* This program's own path. */
__attribute__((unused)) static char self[512];

/* As run_part(), in a process that is the same whoever has started it. */
__attribute__((unused)) static int run_parts(const struct part *parts, int count, char **words) {
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return 2;
    /* A core's flag and file would depend on the machine. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    /* So would what whoever started it left open, or ignores of the C library's own signals. */
    raw(SYS_close_range, 3, ~0u, 0);
    const unsigned long by_default[4] = {0};
    raw(SYS_rt_sigaction, 32, by_default, NULL, 8), raw(SYS_rt_sigaction, 33, by_default, NULL, 8);
    return run_part(parts, count, words);
}

/* A child that runs the statements; its process id. */
#define CHILD(...) \
    ({ \
        pid_t child_ = fork(); \
        if (child_ == 0) { \
            __VA_ARGS__; \
            _exit(0); \
        } \
        if (child_ < 0) \
            say("fork = %d", -errno); \
        child_; \
    })

/* How a process ended or changed, without the core's flag; good until four calls later. */
__attribute__((unused)) static const char *in_words(int status) {
    static char texts[4][32];
    static int next;
    char *text = texts[next++ % 4];
    if (WIFEXITED(status))
        snprintf(text, sizeof texts[0], "exit %d", WEXITSTATUS(status));
    else if (WIFSTOPPED(status))
        snprintf(text, sizeof texts[0], "stopped %d", WSTOPSIG(status));
    else if (WIFCONTINUED(status))
        snprintf(text, sizeof texts[0], "continued");
    else
        snprintf(text, sizeof texts[0], "signal %d", WTERMSIG(status));
    return text;
}

/* Wait for the end of a child; its status. */
__attribute__((unused)) static int status_of(pid_t pid) {
    int status;
    pid_t result;
    do
        result = waitpid(pid, &status, 0);
    while (result < 0 && errno == EINTR);
    if (result != pid) {
        say("waitpid = %d", result < 0 ? -errno : result);
        return -1;
    }
    return status;
}

__attribute__((unused)) static void show_end(const char *name, pid_t pid) {
    say("%s: %s", name, in_words(status_of(pid)));
}

/* What one wait4 says of a child that is known: nothing, an error, or what happened to whom. */
__attribute__((unused)) static void show_wait(const char *name, pid_t which, int options, pid_t expected) {
    int status = 0x7700;
    long result = raw(SYS_wait4, which, &status, options, NULL);
    if (result <= 0)
        say("%s = %ld", name, result);
    else
        say("%s: %s%s", name, in_words(status), result == expected ? "" : ", another child");
}

/* A line with the results of calls that are made one after another: in a list, unlike among arguments, the
 * first comes first. */
#define EACH(name, ...) \
    do { \
        const long results_[] = {__VA_ARGS__}; \
        show_each(name, results_, sizeof results_ / sizeof *results_); \
    } while (0)
__attribute__((unused)) static void show_each(const char *name, const long *results, int count) {
    char text[256] = "";
    for (int i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %ld", results[i]);
    say("%s:%s", name, text);
}

/* A pipe on which one process lets others pass: a byte for each. */
struct gate {
    int fds[2];
};

__attribute__((unused)) static struct gate new_gate(void) {
    struct gate gate;
    if (pipe2(gate.fds, O_CLOEXEC) != 0)
        say("pipe2 = %d", -errno), exit(3);
    return gate;
}

__attribute__((unused)) static void open_gate(struct gate gate) {
    if (write(gate.fds[1], "g", 1) != 1)
        abort();
}

/* Wait until somebody opens; 0 if nobody is left who could, for whom closed the other end. */
__attribute__((unused)) static int pass_gate(struct gate gate) {
    char byte;
    ssize_t length;
    do
        length = read(gate.fds[0], &byte, 1);
    while (length < 0 && errno == EINTR);
    return length == 1;
}

__attribute__((unused)) static void close_gate(struct gate gate) {
    close(gate.fds[0]), close(gate.fds[1]);
}

__attribute__((unused)) static void handle(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    if (sigaction(signal, &action, NULL) != 0)
        say("sigaction %d = %d", signal, -errno);
}

__attribute__((unused)) static void handle_info(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    if (sigaction(signal, &action, NULL) != 0)
        say("sigaction %d = %d", signal, -errno);
}

/* The set of these signals, up to a 0. */
#define SET(...) set_of((const int[]){__VA_ARGS__, 0})
__attribute__((unused)) static sigset_t set_of(const int *signals) {
    sigset_t set;
    sigemptyset(&set);
    while (*signals)
        sigaddset(&set, *signals++);
    return set;
}

__attribute__((unused)) static void block(sigset_t set) { sigprocmask(SIG_BLOCK, &set, NULL); }
__attribute__((unused)) static void unblock(sigset_t set) { sigprocmask(SIG_UNBLOCK, &set, NULL); }

#endif
