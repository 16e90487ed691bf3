/* Replacing the image: what goes on in the next one, and why there may be none.
 *
 * What to do comes in as words; lines go out, from this image or the next. Always true: the next image
 * is this program again wherever something of it is to be looked at. */
#include "check.h"
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/stat.h>

static const char *self;

static void on_signal(int signal) { say("signal %d", signal); }

/* chain COUNT [PID BEGAN]: exec COUNT times; time and process go on. */
static int chain(char **words) {
    int left = atoi(words[2]);
    char count[16], pid[16], began[32];
    if (words[3]) {
        int64_t passed = clock_ns(CLOCK_REALTIME) - atoll(words[4]);
        say("same process: %d, time goes on: %d", getpid() == atoi(words[3]),
            passed >= 10000000 && passed < INT64_C(60000000000));
    }
    if (left == 0)
        return 7;
    snprintf(count, sizeof count, "%d", left - 1);
    snprintf(pid, sizeof pid, "%d", getpid());
    snprintf(began, sizeof began, "%lld", (long long)clock_ns(CLOCK_REALTIME));
    pass_time(20000000);
    execl(self, self, "chain", count, pid, began, (char *)NULL);
    say("exec failed: %d", errno);
    return 1;
}

/* walk: environment and auxiliary vector as they lie on the stack. */
static int walk(char **words, char **environment) {
    (void)words;
    int count = 0;
    while (environment[count])
        say("%s", environment[count++]);
    say("%d variables, %d by environ", count, environ == environment);
    const ElfW(auxv_t) *entry = (const void *)(environment + count + 1);
    int kinds = 0;
    for (; entry->a_type != AT_NULL; entry++) {
        if (entry->a_type == AT_IGNORE)
            continue; /* readers skip it: that is what it is for */
        kinds++;
        int is_same = getauxval(entry->a_type) == entry->a_un.a_val;
        /* glibc answers for AT_HWCAP with a value of its own. */
        say("kind %lu%s", entry->a_type, is_same || entry->a_type == AT_HWCAP ? "" : " differs");
        switch (entry->a_type) {
        case AT_PAGESZ: case AT_CLKTCK: case AT_PHENT: case AT_PHNUM: case AT_FLAGS: case AT_SECURE: case AT_UID:
        case AT_EUID: case AT_GID: case AT_EGID: case AT_HWCAP: case AT_HWCAP2: case AT_MINSIGSTKSZ:
            say("  value %lx", entry->a_un.a_val);
            break;
        case AT_PLATFORM: case AT_EXECFN:
            say("  text %s", (char *)entry->a_un.a_val);
        }
    }
    say("%d kinds", kinds);
    return 0;
}

/* failures: what cannot be executed; the folder holds what is needed. */
static int failures(void) {
    char *none[] = {NULL}, *one[] = {(char *)"x", NULL};
    static const char *const paths[] = {"gone", "text", "noexec", "folder", "text/below", "", "loop", "badinterp", "empty",
                                        "shebang-gone", "/dev/null"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
        say("%s = %ld", paths[i], raw(SYS_execve, paths[i], one, none));
    char *path = malloc(5000);
    memset(path, 'a', 4999), path[4999] = 0;
    say("too long = %ld", raw(SYS_execve, path, one, none));
    say("null = %ld", raw(SYS_execve, NULL, one, none));
    say("bad arguments = %ld", raw(SYS_execve, self, (void *)1, none));
    say("bad environment = %ld", raw(SYS_execve, self, one, (void *)1));
    char *bad[] = {(char *)8, NULL};
    say("bad text = %ld", raw(SYS_execve, self, bad, none));
    say("bad variable = %ld", raw(SYS_execve, self, one, bad));
    size_t huge = 1 << 20;
    char *large[] = {malloc(huge), NULL};
    memset(large[0], 'a', huge - 1), large[0][huge - 1] = 0;
    say("large argument = %ld", raw(SYS_execve, self, large, none));
    say("large variable = %ld", raw(SYS_execve, self, one, large));
    say("execveat = %ld %ld %ld", raw(SYS_execveat, 99, "x", one, none, 0),
        raw(SYS_execveat, AT_FDCWD, "gone", one, none, 0), raw(SYS_execveat, AT_FDCWD, "x", one, none, 1));
    say("still here: %d", clock_ns(CLOCK_MONOTONIC) > 0);
    return 0;
}

/* inherit: descriptors and signals, looked at by the next image ("look"). */
static int inherit(void) {
    int kept = open("/dev/null", O_WRONLY), closed = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int random = open("/dev/urandom", O_RDONLY), machine = open("/proc/uptime", O_RDONLY);
    int file = open("file", O_RDWR | O_CREAT, 0600), gone = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (kept != 3 || closed != 4 || random != 5 || machine != 6 || file != 7 || gone != 8)
        return 2;
    write(file, "before", 6);
    struct sigaction handled = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND},
                     ignored = {.sa_handler = SIG_IGN};
    sigaction(SIGUSR1, &handled, NULL), sigaction(SIGUSR2, &ignored, NULL), sigaction(SIGHUP, &ignored, NULL);
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGTERM), sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGTERM);
    umask(027);
    alarm(1000);
    execl(self, self, "look", (char *)NULL);
    return 1;
}

static int look(void) {
    char buffer[8] = "";
    for (int fd = 3; fd < 10; fd++)
        say("descriptor %d: %d", fd, fcntl(fd, F_GETFD));
    say("random still %ld, machine still %d", got(read(5, buffer, 8)), read(6, buffer, 8) > 0);
    say("file %ld %ld", got(lseek(7, 0, SEEK_CUR)), got(write(7, "after", 5)));
    struct sigaction action;
    sigset_t set;
    const int signals[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGTERM};
    for (int i = 0; i < 4; i++) {
        sigaction(signals[i], NULL, &action);
        say("signal %d: %s", signals[i], action.sa_handler == SIG_IGN   ? "ignored"
                                         : action.sa_handler == SIG_DFL ? "default" : "handled");
    }
    sigprocmask(SIG_BLOCK, NULL, &set);
    say("blocked: %d %d %d", sigismember(&set, SIGTERM), sigismember(&set, SIGCHLD), sigismember(&set, SIGUSR1));
    sigpending(&set);
    say("pending: %d %d", sigismember(&set, SIGTERM), sigismember(&set, SIGCHLD));
    unsigned left = alarm(0);
    say("umask %o, alarm %d", umask(0), left > 900 && left <= 1000);
    return 0;
}

/* preload LIBRARY PROGRAM...: exec a program with an own LD_PRELOAD among other variables. */
static int preload(char **words) {
    char variable[512];
    snprintf(variable, sizeof variable, "LD_PRELOAD=%s", words[2]);
    char *environment[] = {(char *)"A=1", variable, (char *)"B=2", NULL};
    execve(words[3], words + 3, environment);
    return 1;
}

int main(int count, char **words, char **environment) {
    static char path[512];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (count < 2 || length < 0)
        return 2;
    self = path;
    if (strcmp(words[1], "chain") == 0)
        return chain(words);
    if (strcmp(words[1], "walk") == 0)
        return walk(words, environment);
    if (strcmp(words[1], "failures") == 0)
        return failures();
    if (strcmp(words[1], "inherit") == 0)
        return inherit();
    if (strcmp(words[1], "look") == 0)
        return look();
    if (strcmp(words[1], "preload") == 0)
        return preload(words);
    if (strcmp(words[1], "bare") == 0) /* without any environment, and without a name of its own */
        return execve(self, (char *[]){(char *)"", (char *)"walk", NULL}, NULL);
    if (strcmp(words[1], "run") == 0) {
        execv(words[2], words + 2);
        say("exec failed: %d", errno);
        return 1;
    }
    return 2;
}
