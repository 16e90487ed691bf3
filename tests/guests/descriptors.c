/* Numbers of descriptors: which one comes next, what each limit says, and that no others are there.
 *
 * "ordinary" or "simulated" comes in: only files that the real kernel has, or such as the simulation
 * makes; "close" after it: what was inherited is closed first. A line for each call goes out. Always true:
 * natively both kinds are numbered alike. */
#include "check.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

static const char *next_name = "/dev/null";

static void show_open(const char *when, int first, int last) {
    char line[400] = "";
    int length = 0;
    for (int fd = first; fd < last && length < 380; fd++)
        if (fcntl(fd, F_GETFD) != -1)
            length += snprintf(line + length, sizeof line - length, " %d", fd);
    say("%s:%s", when, line);
}

static long next(void) { return got(open(next_name, O_RDONLY)); }

static void hidden(void) {
    int answers[3] = {0};
    for (int fd = 3; fd < 5000; fd++) {
        struct stat s;
        answers[0] += fcntl(fd, F_GETFD) != -1 || errno != EBADF;
        answers[1] += fstat(fd, &s) != -1 || errno != EBADF;
        answers[2] += lseek(fd, 0, SEEK_CUR) != -1 || errno != EBADF;
    }
    say("others: %d %d %d", answers[0], answers[1], answers[2]);
    answers[0] = answers[1] = 0;
    for (int fd = 4000; fd < 4300; fd++) {
        char c;
        answers[0] += close(fd) == 0;
        answers[1] += raw(SYS_read, fd, &c, 1) != -EBADF || raw(SYS_write, fd, &c, 1) != -EBADF ||
                      raw(SYS_dup, fd) != -EBADF || raw(SYS_dup2, fd, 5) != -EBADF;
    }
    say("that do something: %d %d", answers[0], answers[1]);
}

static void numbers(void) {
    for (int i = 0; i < 3; i++)
        say("next: %ld", next());
    say("close = %ld", got(close(4)));
    say("lowest free: %ld", next());
    say("close = %ld", got(close(3)));
    say("close again = %ld", got(close(3)));
    say("memfd %ld", got(memfd_create("m", 0)));
    say("dup %ld", got(dup(4)));
    say("dup2 %ld", got(dup2(4, 20)));
    say("dup2 same %ld %ld", got(dup2(4, 4)), got(dup2(99, 99)));
    say("dup3 same %ld", got(dup3(4, 4, 0)));
    say("dup3 %ld", got(dup3(4, 21, O_CLOEXEC)));
    say("dup2 of none %ld", got(dup2(99, 5)));
    say("dup2 to none %ld %ld", got(dup2(4, -1)), got(dup2(4, 1 << 30)));
    say("F_DUPFD %ld", got(fcntl(4, F_DUPFD, 10)));
    say("F_DUPFD %ld", got(fcntl(4, F_DUPFD, 10)));
    say("F_DUPFD_CLOEXEC %ld", got(fcntl(4, F_DUPFD_CLOEXEC, 20)));
    say("F_DUPFD too high %ld %ld", got(fcntl(4, F_DUPFD, 1 << 30)), got(fcntl(4, F_DUPFD, -1)));
    say("O_CLOEXEC %ld", got(open("/dev/null", O_RDONLY | O_CLOEXEC)));
    say("flags %d %d %d %d", fcntl(21, F_GETFD), fcntl(22, F_GETFD), fcntl(7, F_GETFD), fcntl(20, F_GETFD));
    show_open("open", 0, 5000);
    say("close_range for exec %ld", raw(SYS_close_range, 20, ~0u, CLOSE_RANGE_CLOEXEC));
    say("flags %d %d", fcntl(20, F_GETFD), fcntl(10, F_GETFD));
    say("close_range %ld", raw(SYS_close_range, 11, 20, 0));
    show_open("open", 0, 5000);
    say("close_range odd %ld %ld", raw(SYS_close_range, 9, 8, 0), raw(SYS_close_range, 3, 4, 1 << 10));
    say("close_range %ld", raw(SYS_close_range, 3, ~0u, 0));
    show_open("open", 0, 5000);
    say("next: %ld", next());
    close(3);
}

static void limits(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 12;
    say("setrlimit = %ld", got(setrlimit(RLIMIT_NOFILE, &limit)));
    long fd = 0;
    for (int i = 0; i < 20 && fd >= 0; i++)
        fd = next();
    say("at the limit: %ld", fd);
    say("dup %ld", got(dup(4)));
    say("F_DUPFD %ld", got(fcntl(4, F_DUPFD, 11)));
    say("F_DUPFD beyond %ld %ld", got(fcntl(4, F_DUPFD, 12)), got(fcntl(4, F_DUPFD, 13)));
    say("dup2 %ld", got(dup2(4, 11)));
    say("dup2 beyond %ld", got(dup2(4, 12)));
    say("memfd %ld", got(memfd_create("m", 0)));
    say("create %ld", got(open("made", O_CREAT | O_WRONLY, 0600)));
    say("and it made %ld", got(access("made", F_OK)));
    close(5);
    say("after a close: %ld", next());
    say("again at the limit: %ld", next());
    show_open("open", 0, 5000);
    limit.rlim_cur = 256;
    setrlimit(RLIMIT_NOFILE, &limit);
    say("after raising it: %ld", next());
    raw(SYS_close_range, 3, ~0u, 0);
}

int main(int count, char **words) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 256;
    if (count < 2 || setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 2;
    if (count == 3)
        raw(SYS_close_range, 3, ~0u, 0);
    show_open("at first", 0, 5000);
    hidden();
    int is_simulated = strcmp(words[1], "simulated") == 0;
    const char *names[] = {"/dev/urandom", "/proc/uptime", "/dev/random", "/proc/cpuinfo"};
    for (int i = 0; i < (is_simulated ? 4 : 1); i++) {
        if (is_simulated)
            next_name = names[i];
        say("%s", next_name);
        numbers();
        limits();
    }
    return 0;
}
