/* Processes: made, replaced, waited for, and what passes between them.
 *
 * Work for a child comes in; what its parent learns of it goes out. Always true: natively the results are the same, but for
 * the waits of an hour. How the first process of a run ends is in endings.c. */
#include "check.h"
#include <spawn.h>

extern char **environ;

static int in_data = 1;
static int ends[2];

static void change_and_exit(void) {
    in_data = 2;
    _exit(getpid() == getppid() ? 1 : 7);
}

static void forks(void) {
    pid_t parent = getpid(), pid = child(change_and_exit);
    expect_true(pid > 0 && pid != parent, "a child has an id of its own", "it has not");
    int status = end_of(pid);
    expect("the child's exit status", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
    expect("what the child wrote to its memory", in_data, 1);
    expect("wait where there is no child", R(wait(NULL)), -ECHILD);
}

static void exit_255(void) { _exit(255); }
static void wait_long(void) {
    struct timespec wait = span(HOUR);
    nanosleep(&wait, NULL);
}
static void die(void) { raise(SIGTERM); }

static void statuses(void) {
    int status = end_of(child(exit_255));
    expect("a status of 255", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 255);
    status = end_of(child(die));
    expect("a child's death by SIGTERM", WIFSIGNALED(status) ? WTERMSIG(status) : -1, SIGTERM);
    pid_t pid = child(wait_long);
    expect("waitpid that does not wait", R(waitpid(pid, &status, WNOHANG)), 0);
    expect("kill of a child by SIGKILL", R(kill(pid, SIGKILL)), 0);
    status = end_of(pid);
    expect("a child's death by SIGKILL", WIFSIGNALED(status) ? WTERMSIG(status) : -1, SIGKILL);
    expect("kill of who is gone", R(kill(pid, 0)), -ESRCH);
}

static void waits(void) {
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    int status = end_of(child(wait_long));
    expect("its status", status, 0);
    expect_span("waiting for a child that sleeps for an hour", clock_ns(CLOCK_MONOTONIC) - start, HOUR);
}

/* The program that `execs` becomes: tells what it finds. No behaviour of its own, hence its name. */
static void succeeded(void) {
    char *end;
    expect("getpid after exec", getpid(), strtol(words[3], &end, 10));
    int64_t before = strtoll(words[4], &end, 10), now = clock_ns(CLOCK_MONOTONIC);
    expect_true(now >= before && now - before < HOUR, "time goes on after exec", "it went back, or far ahead");
    if (SHIM(shim_is_managed)() != true)
        fails("who replaces a guest is a guest", "shim_is_managed() is false");
    expect_true(!getenv("SHIM_HANDOFF_FD") && !getenv("LD_PRELOAD"), "its environment is clean", "it is not");
    expect("fcntl of what was closed on exec", R(fcntl(20, F_GETFD)), -EBADF);
}

static void execs(void) {
    char pid[24], now[24];
    snprintf(pid, sizeof pid, "%d", getpid());
    snprintf(now, sizeof now, "%lld", (long long)clock_ns(CLOCK_MONOTONIC));
    char *arguments[] = {words[0], ".successor", words[2], pid, now, NULL};
    expect("dup3", R(dup3(0, 20, O_CLOEXEC)), 20);
    expect("execv of what is not there", R(execv("/nonexistent/program", arguments)), -ENOENT);
    expect("execv", R(execv(words[0], arguments)), 0);
}

static void spawns(void) {
    char *arguments[] = {"sh", "-c", "exit 9", NULL};
    pid_t pid = 0;
    expect("posix_spawn of a shell", -posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ), 0);
    int status = end_of(pid);
    expect("the shell's status", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 9);
}

static void shell(void) {
    char line[64] = "";
    /* popen would hide why it cannot start one. */
    spawns();
    FILE *output = popen("i=0; while [ $i -lt 3 ]; do echo $i; sleep 600; i=$((i + 1)); done | tr 012 abc | tr -d '\\n'", "r");
    expect_success("popen", output ? 0 : -errno);
    size_t length = fread(line, 1, sizeof line - 1, output);
    if (length != 3 || strcmp(line, "abc") != 0)
        fails("a pipeline of a shell prints abc", "'%s'", line);
    expect("pclose", R(pclose(output)), 0);
}

static void write_late(void) {
    wait_long();
    close(ends[0]);
    expect("write", R(write(ends[1], "late", 4)), 4);
}

static void pipes(void) {
    char text[8] = "";
    expect("pipe", R(pipe(ends)), 0);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    pid_t pid = child(write_late);
    close(ends[1]);
    expect("read of a pipe", R(read(ends[0], text, sizeof text)), 4);
    expect_span("waiting for a byte that is written an hour later", clock_ns(CLOCK_MONOTONIC) - start, HOUR);
    expect("read where no writer is left", R(read(ends[0], text, sizeof text)), 0);
    end_of(pid);
    expect_true(memcmp(text, "late", 4) == 0, "what is read is what was written", "it is not");
    signal(SIGPIPE, SIG_IGN);
    expect("pipe", R(pipe(ends)), 0);
    close(ends[0]);
    expect("write where no reader is left", R(write(ends[1], "x", 1)), -EPIPE);
}

enum { MUCH = 4 << 20 };

static void write_much(void) {
    static unsigned char bytes[MUCH];
    close(ends[0]);
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (unsigned char)(i * 13 + i / 255);
    expect("write of 4 MiB", R(write(ends[1], bytes, MUCH)), MUCH);
}

static void large_pipe(void) {
    static unsigned char bytes[1 << 16];
    size_t at = 0;
    ssize_t count;
    expect("pipe", R(pipe(ends)), 0);
    pid_t pid = child(write_much);
    close(ends[1]);
    while ((count = read(ends[0], bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < count; i++, at++)
            if (bytes[i] != (unsigned char)(at * 13 + at / 255))
                fails("4 MiB pass a pipe unchanged", "byte %zu is another one", at);
    expect("the number of bytes", (long)at, MUCH);
    expect("the writer's status", end_of(pid), 0);
}

static siginfo_t told;
static void on_child(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    told = *info;
}
static void exit_5(void) { _exit(5); }

static void child_signal(void) {
    struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO};
    struct timespec wait = span(HOUR);
    sigset_t set;
    expect("sigaction", R(sigaction(SIGCHLD, &action, NULL)), 0);
    sigemptyset(&set), sigaddset(&set, SIGCHLD);
    expect("sigprocmask", R(sigprocmask(SIG_BLOCK, &set, NULL)), 0);
    pid_t pid = child(exit_5);
    expect("sigprocmask", R(sigprocmask(SIG_UNBLOCK, &set, NULL)), 0);
    if (told.si_signo == 0)
        expect("nanosleep that SIGCHLD interrupts", R(nanosleep(&wait, NULL)), -EINTR);
    expect("si_pid of SIGCHLD", told.si_pid, pid);
    expect("si_status of SIGCHLD", told.si_status, 5);
    expect("si_code of SIGCHLD", told.si_code, CLD_EXITED);
    end_of(pid);
}

const struct check process_checks[] = {
    {"processes/fork", forks},
    {"processes/statuses", statuses},
    {"processes/wait", waits},
    {"processes/exec", execs},
    {".successor", succeeded},
    {"processes/spawn", spawns},
    {"processes/shell", shell},
    {"processes/pipe", pipes},
    {"processes/large-pipe", large_pipe},
    {"processes/sigchld", child_signal},
    {NULL, NULL},
};
