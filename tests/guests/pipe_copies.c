/* Copies of the ends of pipes: dup and its kin, ranges closed, and what a new image still has.
 *
 * The part to show comes in, or "listing", which the program gives to itself: which descriptors are open;
 * a line for each thing that was tried goes out. Always true: what was inherited above the standard
 * streams is closed first, so that every number is known. What flows through the ends is in pipes.c. */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

#define TRY(name, call) say(name " = %ld", (long)(call))

static char text[100];

static void show_open(const char *when) {
    char line[400] = "";
    int length = 0;
    for (int fd = 3; fd < 300 && length < 380; fd++) {
        struct stat s;
        int flags = fcntl(fd, F_GETFD);
        if (flags == -1)
            continue;
        fstat(fd, &s);
        length += snprintf(line + length, sizeof line - length, " %d%s%s", fd, S_ISFIFO(s.st_mode) ? "p" : "",
                           flags ? "x" : "");
    }
    say("%s:%s", when, line);
}

static void close_all(void) { raw(SYS_close_range, 3, ~0u, 0); }

static void make(int fds[2], int flags) {
    if (pipe2(fds, flags) != 0)
        abort();
}

static void copies(void) {
    int fds[2];
    make(fds, O_CLOEXEC | O_NONBLOCK);
    TRY("dup", got(dup(fds[1])));
    TRY("dup2", got(dup2(fds[1], 10)));
    TRY("dup2 to itself", got(dup2(fds[1], fds[1])));
    TRY("dup3", got(dup3(fds[1], 11, O_CLOEXEC)));
    TRY("F_DUPFD", got(fcntl(fds[1], F_DUPFD, 10)));
    TRY("F_DUPFD_CLOEXEC", got(fcntl(fds[1], F_DUPFD_CLOEXEC, 20)));
    show_open("open");
    for (int fd = 4; fd <= 20; fd++)
        if (fcntl(fd, F_GETFL) != -1)
            say("write to %d = %ld", fd, raw(SYS_write, fd, "copy ", 5));
    TRY("read", raw(SYS_read, fds[0], text, 100));
    say("got %.*s", 30, text);
    TRY("status flags of one", got(fcntl(10, F_SETFL, 0)));
    say("are those of all: %o %o %o", fcntl(4, F_GETFL), fcntl(20, F_GETFL), fcntl(3, F_GETFL));
    for (int fd = 4; fd < 20; fd++)
        close(fd);
    TRY("still a writer", raw(SYS_read, fds[0], text, 100));
    close(20);
    TRY("the last writer has gone", raw(SYS_read, fds[0], text, 100));
    close_all();
}

static void onto(void) {
    int a[2], b[2];
    make(a, O_NONBLOCK);
    make(b, O_NONBLOCK);
    write(a[1], "in a", 4);
    TRY("a writer onto a writer", got(dup2(a[1], b[1])));
    TRY("b has no writer", raw(SYS_read, b[0], text, 100));
    TRY("write through the copy", raw(SYS_write, b[1], "copy", 4));
    TRY("a has both", raw(SYS_read, a[0], text, 100));
    TRY("a reader onto a reader", got(dup2(b[0], a[0])));
    signal(SIGPIPE, SIG_IGN);
    TRY("a has no reader", raw(SYS_write, a[1], "x", 1));
    int file = open("/dev/null", O_RDWR);
    TRY("a file onto a writer", got(dup2(file, a[1])));
    TRY("write to it", raw(SYS_write, a[1], "x", 1));
    TRY("a reader onto a file", got(dup3(b[0], file, O_CLOEXEC)));
    show_open("open");
    make(a, 0);
    TRY("a writer onto its reader", got(dup2(a[1], a[0])));
    TRY("the reader is a writer", raw(SYS_write, a[0], "x", 1));
    close_all();
    make(a, O_NONBLOCK);
    int out = dup(1);
    TRY("a writer onto standard output", got(dup2(a[1], 1)) != 1);
    say("this is in the pipe");
    dup2(out, 1);
    long length = raw(SYS_read, a[0], text, 100);
    say("it had: %.*s", (int)length - 1, text);
    close_all();
}

static void errors(void) {
    int fds[2];
    struct rlimit limit, old;
    make(fds, 0);
    TRY("dup of none", got(dup(99)));
    TRY("dup of a negative", got(dup(-1)));
    TRY("dup2 of none", got(dup2(99, fds[0])));
    TRY("dup2 to a negative", got(dup2(fds[0], -1)));
    TRY("dup2 to a large one", got(dup2(fds[0], 1 << 30)));
    TRY("dup2 of none to itself", got(dup2(99, 99)));
    TRY("dup3 to itself", got(dup3(fds[0], fds[0], 0)));
    TRY("dup3 of none to itself", got(dup3(99, 99, 0)));
    TRY("dup3 with odd flags", raw(SYS_dup3, fds[0], 20, O_NONBLOCK));
    TRY("dup3 with more", raw(SYS_dup3, fds[0], 20, O_CLOEXEC | O_APPEND));
    TRY("dup3 to a large one", got(dup3(fds[0], 1 << 30, O_CLOEXEC)));
    TRY("F_DUPFD of none", got(fcntl(99, F_DUPFD, 0)));
    TRY("F_DUPFD from a negative", got(fcntl(fds[0], F_DUPFD, -1)));
    TRY("F_DUPFD from a large one", got(fcntl(fds[0], F_DUPFD, 1 << 30)));
    TRY("unknown command", got(fcntl(fds[0], 9999, 0)));
    TRY("F_GETFD of none", got(fcntl(99, F_GETFD)));
    TRY("F_SETFL of none", got(fcntl(99, F_SETFL, 0)));
    TRY("unknown command of none", got(fcntl(99, 9999, 0)));
    TRY("close", got(close(fds[1])));
    TRY("close again", got(close(fds[1])));
    TRY("close of none", got(close(-1)));
    getrlimit(RLIMIT_NOFILE, &old);
    limit = old;
    limit.rlim_cur = 5;
    setrlimit(RLIMIT_NOFILE, &limit);
    TRY("a place for one, a pipe", raw(SYS_pipe2, fds, 0));
    show_open("open");
    TRY("dup", got(dup(0)));
    TRY("no place, a pipe", raw(SYS_pipe2, fds, 0));
    TRY("dup", got(dup(0)));
    TRY("F_DUPFD at the limit", got(fcntl(0, F_DUPFD, 5)));
    TRY("F_DUPFD below the limit", got(fcntl(0, F_DUPFD, 4)));
    TRY("dup2 at the limit", got(dup2(0, 5)));
    TRY("dup3 at the limit", got(dup3(0, 5, 0)));
    show_open("open");
    setrlimit(RLIMIT_NOFILE, &old);
    TRY("with the old limit", raw(SYS_pipe2, fds, 0));
    show_open("open");
    close_all();
}

static void ranges(void) {
    int fds[2];
    make(fds, O_NONBLOCK);
    for (int fd = 10; fd < 20; fd++)
        dup2(fds[fd & 1], fd);
    show_open("open");
    TRY("range", raw(SYS_close_range, 12, 14, 0));
    show_open("open");
    TRY("range for exec", raw(SYS_close_range, 11, 16, CLOSE_RANGE_CLOEXEC));
    show_open("open");
    TRY("empty range", raw(SYS_close_range, 30, 40, 0));
    TRY("upside down", raw(SYS_close_range, 17, 16, 0));
    TRY("odd flags", raw(SYS_close_range, 3, 40, 1 << 5));
    TRY("unshared", raw(SYS_close_range, 18, 18, CLOSE_RANGE_UNSHARE));
    TRY("unshared for exec", raw(SYS_close_range, 19, 19, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC));
    show_open("open");
    TRY("one", raw(SYS_close_range, 3, 3, 0));
    TRY("still a reader", raw(SYS_write, fds[1], "abc", 3));
    TRY("to the end", raw(SYS_close_range, 11, ~0u, 0));
    show_open("open");
    int status = 0;
    make(fds, 0);
    pid_t child = fork();
    if (child == 0) {
        /* The copy of the table is the child's: the parent's stays. */
        raw(SYS_close_range, 3, ~0u, CLOSE_RANGE_UNSHARE);
        show_open("in the child");
        _exit(0);
    }
    waitpid(child, &status, 0);
    say("status %x", status);
    show_open("in the parent");
    close_all();
}

static void executed(const char *self) {
    int a[2], b[2];
    make(a, 0);
    make(b, O_CLOEXEC);
    write(a[1], "kept", 4);
    dup3(a[1], 20, O_CLOEXEC);
    dup2(b[1], 21);
    fcntl(a[0], F_DUPFD_CLOEXEC, 22);
    fcntl(b[0], F_DUPFD, 23);
    raw(SYS_close_range, 23, 23, CLOSE_RANGE_CLOEXEC);
    show_open("before");
    execl(self, self, "listing", (char *)NULL);
    say("not reached");
}

static void listing(void) {
    show_open("after");
    TRY("read", raw(SYS_read, 3, text, 100));
    say("got %.4s", text);
    signal(SIGPIPE, SIG_IGN);
    TRY("a reader has gone", raw(SYS_write, 21, "x", 1));
    TRY("a failed exec", got(execl("/nonexistent", "x", (char *)NULL)));
    close(4);
    TRY("the end", raw(SYS_read, 3, text, 100));
}

/* A child's copies keep a pipe alive, its end ends them. */
static void inherited(void) {
    int fds[2], hold[2], ready[2], status;
    make(ready, O_CLOEXEC);
    make(fds, 0);
    make(hold, 0);
    if (fork() == 0) {
        close(hold[1]);
        show_open("in the child");
        TRY("the child closes", got(close(fds[0])));
        close(ready[1]);
        read(hold[0], text, 1);
        _exit(0);
    }
    close(fds[1]), close(hold[0]), close(ready[1]);
    TRY("the child is ready", raw(SYS_read, ready[0], text, 1));
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    TRY("the child holds the writer", raw(SYS_read, fds[0], text, 1));
    TRY("let it go", got(close(hold[1])));
    wait(&status);
    say("status %x", status);
    TRY("nobody has a writer", raw(SYS_read, fds[0], text, 1));
    close_all();
}

int main(int count, char **words) {
    if (count != 2)
        return 2;
    const char *part = words[1];
    if (strcmp(part, "listing") != 0)
        close_all();
    if (strcmp(part, "copies") == 0)
        copies();
    else if (strcmp(part, "onto") == 0)
        onto();
    else if (strcmp(part, "errors") == 0)
        errors();
    else if (strcmp(part, "ranges") == 0)
        ranges();
    else if (strcmp(part, "executed") == 0)
        executed(words[0]);
    else if (strcmp(part, "listing") == 0)
        listing();
    else if (strcmp(part, "inherited") == 0)
        inherited();
    else
        return 2;
    return 0;
}
