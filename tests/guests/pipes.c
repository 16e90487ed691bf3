/* Pipes within one process and between two: ends, numbers, what flows, what breaks, what they refuse.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: what was inherited
 * is closed first, and where two processes use one pipe, each waits for what the other wrote, so that the
 * order is the same in every run. Copies of descriptors, splices and names in /proc are in other programs. */
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
/* One call, one line: arguments of a function have no order. */
#define TRY(name, call) say(name " = %ld", (long)(call))

static char big[1 << 20];

static void make(int fds[2], int flags) {
    if (pipe2(fds, flags) != 0)
        abort();
}

static void close_both(const int fds[2]) {
    close(fds[0]);
    close(fds[1]);
}

static long unread(int fd) {
    int count = -1;
    long result = got(ioctl(fd, FIONREAD, &count));
    return result < 0 ? result : count;
}

/* Write until nothing more fits; how much that was. */
static long fill(int fd, size_t step) {
    long total = 0, wrote;
    while ((wrote = raw(SYS_write, fd, big, step)) > 0)
        total += wrote;
    say("filled in steps of %zu: %ld, then %ld", step, total, wrote);
    return total;
}

static void ends(void) {
    int a[2] = {-1, -1}, b[2], untouched[2] = {7, 7};
    TRY("pipe", raw(SYS_pipe, a));
    say("numbers %d %d", a[0], a[1]);
    TRY("pipe2", raw(SYS_pipe2, b, O_CLOEXEC | O_NONBLOCK));
    say("numbers %d %d", b[0], b[1]);
    say("descriptor flags %d %d %d %d", fcntl(a[0], F_GETFD), fcntl(a[1], F_GETFD), fcntl(b[0], F_GETFD),
        fcntl(b[1], F_GETFD));
    say("status flags %o %o %o %o", fcntl(a[0], F_GETFL), fcntl(a[1], F_GETFL), fcntl(b[0], F_GETFL),
        fcntl(b[1], F_GETFL));
    close(a[0]);
    close(b[0]);
    int c[2];
    TRY("pipe", raw(SYS_pipe, c));
    say("numbers %d %d", c[0], c[1]);
    close(a[1]);
    say("dup takes %ld", got(dup(c[0])));
    close(a[1]);
    say("open takes %ld", got(open("/dev/null", O_RDONLY)));
    say("bad flags = %ld %ld %ld %ld", raw(SYS_pipe2, untouched, O_APPEND), raw(SYS_pipe2, untouched, O_SYNC),
        raw(SYS_pipe2, untouched, O_RDWR), raw(SYS_pipe2, untouched, -1));
    say("untouched %d %d", untouched[0], untouched[1]);
    say("bad address = %ld %ld", raw(SYS_pipe, NULL), raw(SYS_pipe2, (void *)8, O_CLOEXEC));
    say("next is still %ld", got(dup(0)));
    say("wrong ends = %ld %ld", raw(SYS_read, c[1], big, 1), raw(SYS_write, c[0], "x", 1));
    TRY("set O_APPEND", got(fcntl(c[1], F_SETFL, O_APPEND | O_NONBLOCK)));
    say("status flags %o", fcntl(c[1], F_GETFL));
    TRY("set the access mode", got(fcntl(c[1], F_SETFL, O_RDONLY)));
    say("status flags %o", fcntl(c[1], F_GETFL));
    int on = 1, off = 0;
    TRY("FIONBIO", got(ioctl(c[1], FIONBIO, &on)));
    say("status flags %o %o", fcntl(c[1], F_GETFL), fcntl(c[0], F_GETFL));
    TRY("FIONBIO", got(ioctl(c[1], FIONBIO, &off)));
    TRY("FIOCLEX", got(ioctl(c[1], FIOCLEX)));
    TRY("flags", fcntl(c[1], F_GETFD));
    TRY("FIONCLEX", got(ioctl(c[1], FIONCLEX)));
    TRY("flags", fcntl(c[1], F_GETFD));
    TRY("F_SETFD", got(fcntl(c[0], F_SETFD, FD_CLOEXEC)));
    TRY("flags", fcntl(c[0], F_GETFD));
}

static void flow(void) {
    int fds[2];
    char text[100] = "";
    make(fds, O_NONBLOCK);
    TRY("empty", raw(SYS_read, fds[0], text, 10));
    say("nothing asked = %ld, nothing given = %ld", raw(SYS_read, fds[0], text, 0), raw(SYS_write, fds[1], "", 0));
    TRY("write", raw(SYS_write, fds[1], "hello, pipe", 11));
    say("unread %ld, seen from the other end %ld", unread(fds[0]), unread(fds[1]));
    TRY("read", raw(SYS_read, fds[0], text, 5));
    say("got %.5s, unread %ld", text, unread(fds[0]));
    struct iovec out[3] = {{"one ", 4}, {NULL, 0}, {"two", 3}};
    TRY("writev", raw(SYS_writev, fds[1], out, 3));
    char first[3] = "", rest[50] = "";
    struct iovec in[2] = {{first, 2}, {rest, 49}};
    TRY("readv", raw(SYS_readv, fds[0], in, 2));
    say("got '%s' '%s'", first, rest);
    TRY("readv of the empty", raw(SYS_readv, fds[0], in, 2));
    say("odd vectors = %ld %ld %ld", raw(SYS_readv, fds[0], in, -1), raw(SYS_writev, fds[1], out, 0),
        raw(SYS_writev, fds[1], out, 1025));
    struct iovec wrong[2] = {{"good", 4}, {(void *)8, 4}};
    TRY("vector with a bad part", raw(SYS_writev, fds[1], wrong, 2));
    say("unread %ld", unread(fds[0]));
    while (read(fds[0], text, sizeof text) > 0) {
    }
    TRY("pwritev2 without a place", raw(SYS_pwritev2, fds[1], out, 1, -1L, -1L, 0));
    TRY("preadv2 without a place", raw(SYS_preadv2, fds[0], in, 1, -1L, -1L, 0));
    while (read(fds[0], text, sizeof text) > 0) {
    }
    long room = fill(fds[1], 4096);
    say("a byte more = %ld, a page more = %ld", raw(SYS_write, fds[1], "x", 1), raw(SYS_write, fds[1], big, 4096));
    TRY("read", raw(SYS_read, fds[0], big, 100));
    TRY("atomic or not at all", raw(SYS_write, fds[1], big, 4096));
    TRY("read", raw(SYS_read, fds[0], big, 3996));
    TRY("now it fits", raw(SYS_write, fds[1], big, 4096));
    TRY("read", raw(SYS_read, fds[0], big, 8192));
    TRY("more than PIPE_BUF comes in part", raw(SYS_write, fds[1], big, 3 * 4096));
    say("all of it = %ld of %ld", raw(SYS_read, fds[0], big, sizeof big), room);
    fill(fds[1], sizeof big);
    TRY("the last read is short", raw(SYS_read, fds[0], big, 60000));
    TRY("the last read is short", raw(SYS_read, fds[0], big, 60000));
    write(fds[1], "tail", 4);
    close(fds[1]);
    TRY("after the writer", raw(SYS_read, fds[0], text, 100));
    say("end = %ld, again %ld", raw(SYS_read, fds[0], text, 100), raw(SYS_read, fds[0], text, 100));
    close(fds[0]);
}

/* How many bytes fit depends on how they came: a pipe has 16 places for a page or less. */
static void places(void) {
    const size_t steps[] = {5000, 4097, 2048, 1000, 100, 3};
    int fds[2];
    make(fds, O_NONBLOCK);
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        fill(fds[1], steps[i]);
        TRY("a byte", raw(SYS_write, fds[1], "x", 1));
        TRY("all of it", raw(SYS_read, fds[0], big, sizeof big));
    }
    write(fds[1], "x", 1);
    TRY("much after a byte", raw(SYS_write, fds[1], big, 100000));
    TRY("read", raw(SYS_read, fds[0], big, 4095));
    TRY("room for a page", raw(SYS_write, fds[1], big, 4096));
    TRY("read", raw(SYS_read, fds[0], big, 1));
    TRY("room for a page", raw(SYS_write, fds[1], big, 4096));
    TRY("all of it", raw(SYS_read, fds[0], big, sizeof big));
    TRY("smaller", got(fcntl(fds[1], F_SETPIPE_SZ, 8192)));
    fill(fds[1], 1000);
    TRY("all of it", raw(SYS_read, fds[0], big, sizeof big));
    TRY("for packets", got(fcntl(fds[1], F_SETFL, O_NONBLOCK | O_DIRECT)));
    fill(fds[1], 1);
    close_both(fds);
}

static volatile int broken_pipes;
static void on_broken_pipe(int signal) { broken_pipes += signal == SIGPIPE; }

static void broken(void) {
    int fds[2];
    make(fds, 0);
    close(fds[0]);
    struct sigaction action = {.sa_handler = on_broken_pipe};
    sigaction(SIGPIPE, &action, NULL);
    TRY("handled", raw(SYS_write, fds[1], "x", 1));
    struct iovec part = {"y", 1};
    TRY("writev", raw(SYS_writev, fds[1], &part, 1));
    say("%d signals", broken_pipes);
    TRY("nothing written", raw(SYS_write, fds[1], "x", 0));
    TRY("a bad buffer", raw(SYS_write, fds[1], (void *)8, 1));
    say("%d signals", broken_pipes);
    signal(SIGPIPE, SIG_IGN);
    TRY("ignored", raw(SYS_write, fds[1], "x", 1));
    sigaction(SIGPIPE, &action, NULL);
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    TRY("blocked", raw(SYS_write, fds[1], "x", 1));
    sigpending(&pending);
    say("pending %d, %d signals", sigismember(&pending, SIGPIPE), broken_pipes);
    siginfo_t info;
    TRY("sigwaitinfo", got(sigwaitinfo(&set, &info)));
    say("code %d, own %d", info.si_code, info.si_pid == getpid());
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    say("%d signals", broken_pipes);
    signal(SIGPIPE, SIG_DFL);
    pid_t child = fork();
    if (child == 0) {
        write(fds[1], "x", 1);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    say("the default: killed by %d", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    write(fds[1], "x", 1);
    say("not reached");
}

static void sizes(void) {
    int fds[2];
    make(fds, O_NONBLOCK);
    say("size %ld %ld", got(fcntl(fds[0], F_GETPIPE_SZ)), got(fcntl(fds[1], F_GETPIPE_SZ)));
    const int wanted[] = {1, 0, 4096, 4097, 10000, 65536, 100000, 1 << 20};
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++)
        say("set %d = %ld", wanted[i], got(fcntl(fds[1], F_SETPIPE_SZ, wanted[i])));
    say("size %ld", got(fcntl(fds[0], F_GETPIPE_SZ)));
    fill(fds[1], 4096);
    TRY("smaller than what is in it", got(fcntl(fds[1], F_SETPIPE_SZ, 4096)));
    say("size %ld", got(fcntl(fds[0], F_GETPIPE_SZ)));
    TRY("read", raw(SYS_read, fds[0], big, (1 << 20) - 4096));
    TRY("as small as what is in it", got(fcntl(fds[0], F_SETPIPE_SZ, 4096)));
    TRY("full again", raw(SYS_write, fds[1], "x", 1));
    TRY("larger", got(fcntl(fds[0], F_SETPIPE_SZ, 8192)));
    fill(fds[1], 4096);
    TRY("read", raw(SYS_read, fds[0], big, sizeof big));
    TRY("negative", got(fcntl(fds[0], F_SETPIPE_SZ, -1)));
    int file = open("/dev/null", O_RDWR);
    say("no pipe = %ld %ld", got(fcntl(file, F_GETPIPE_SZ)), got(fcntl(file, F_SETPIPE_SZ, 4096)));
    say("no descriptor = %ld %ld", got(fcntl(99, F_GETPIPE_SZ)), got(fcntl(99, F_SETPIPE_SZ, 4096)));
    /* Small writes share pages, as long as each begins where the one before ended. */
    fcntl(fds[0], F_SETPIPE_SZ, 4096);
    fill(fds[1], 1);
    close_both(fds);
}

static void kinds(void) {
    int fds[2];
    struct stat one, other;
    make(fds, 0);
    fstat(fds[0], &one), fstat(fds[1], &other);
    say("mode %o %o, links %d, size %ld, block %ld", one.st_mode, other.st_mode, (int)one.st_nlink,
        (long)one.st_size, (long)one.st_blksize);
    say("same inode %d", one.st_ino == other.st_ino && one.st_dev == other.st_dev);
    say("own %d %d", one.st_uid == geteuid(), one.st_gid == getegid());
    int more[2];
    make(more, 0);
    fstat(more[0], &other);
    say("another pipe: same device %d, same inode %d", one.st_dev == other.st_dev, one.st_ino == other.st_ino);
    write(fds[1], "abc", 3);
    fstat(fds[0], &one);
    say("size with something in it %ld", (long)one.st_size);
    TRY("fchmod", got(fchmod(fds[0], 0644)));
    fstat(fds[1], &one);
    say("mode %o", one.st_mode);
    TRY("isatty", got(isatty(fds[0])));
    TRY("terminal size", got(ioctl(fds[0], TIOCGWINSZ, big)));
    TRY("unknown request", got(ioctl(fds[0], 0x12345678, big)));
    TRY("FIONREAD to nowhere", got(ioctl(fds[0], FIONREAD, 8)));
    close_both(more);
    close_both(fds);
}

static void packets(void) {
    int fds[2];
    char text[100] = "";
    TRY("pipe2", raw(SYS_pipe2, fds, O_DIRECT | O_NONBLOCK));
    say("status flags %o %o", fcntl(fds[0], F_GETFL), fcntl(fds[1], F_GETFL));
    write(fds[1], "first", 5);
    write(fds[1], "second", 6);
    write(fds[1], "", 0);
    write(fds[1], "third", 5);
    say("unread %ld", unread(fds[0]));
    TRY("read", raw(SYS_read, fds[0], text, 100));
    say("got %.5s", text);
    TRY("a part", raw(SYS_read, fds[0], text, 3));
    say("got %.3s", text);
    TRY("the rest is gone", raw(SYS_read, fds[0], text, 100));
    say("got %.5s", text);
    TRY("empty", raw(SYS_read, fds[0], text, 100));
    TRY("a large one", raw(SYS_write, fds[1], big, 10000));
    for (int i = 0; i < 3; i++)
        TRY("a piece", raw(SYS_read, fds[0], big, 10000));
    struct iovec parts[2] = {{"one", 3}, {"two", 3}};
    TRY("writev", raw(SYS_writev, fds[1], parts, 2));
    TRY("is one packet", raw(SYS_read, fds[0], text, 100));
    TRY("by fcntl", got(fcntl(fds[1], F_SETFL, O_NONBLOCK)));
    write(fds[1], "ab", 2), write(fds[1], "cd", 2);
    TRY("no packets", raw(SYS_read, fds[0], text, 100));
    TRY("by fcntl", got(fcntl(fds[1], F_SETFL, O_NONBLOCK | O_DIRECT)));
    write(fds[1], "ab", 2), write(fds[1], "cd", 2);
    TRY("a packet", raw(SYS_read, fds[0], text, 100));
    TRY("a packet", raw(SYS_read, fds[0], text, 100));
    close_both(fds);
}

/* Two processes: `down` goes to the child, `up` comes from it. */
static int down[2], up[2];

static void start_child(void (*body)(void)) {
    make(down, 0), make(up, 0);
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        close(down[1]), close(up[0]);
        body();
        _exit(0);
    }
    close(down[0]), close(up[1]);
}

static void end_child(void) {
    int status;
    close(down[1]), close(up[0]);
    say("child ended: %d", wait(&status) > 0);
    say("status %x", status);
}

static void echo_once(void) {
    char text[100];
    long length;
    while ((length = read(down[0], text, sizeof text)) > 0) {
        text[0] = text[0] - 'a' + 'A';
        write(up[1], text, length);
    }
}

static void swallow(void) {
    long total = 0, length;
    char first;
    pass_time(50 * MS);
    while ((length = read(down[0], big, 10000)) > 0)
        total += length;
    read(down[0], &first, 1);
    dprintf(up[1], "%ld", total);
}

static void write_late(void) {
    pass_time(50 * MS);
    write(up[1], "late", 4);
    pass_time(50 * MS);
}

static void write_much(void) {
    for (int i = 0; i < 26; i++) {
        memset(big, 'a' + i, 20000);
        write(up[1], big, 20000);
    }
}

static void never_read(void) {
    while (unread(down[0]) < 65536)
        pass_time(MS);
    pass_time(20 * MS);
}

static void write_atomically(void) {
    memset(big, 'c', PIPE_BUF);
    for (int i = 0; i < 100; i++)
        write(up[1], big, 1000);
}

static void two(void) {
    char text[200] = "";
    start_child(echo_once);
    const char *words[] = {"abc", "hello", "zebra"};
    for (int i = 0; i < 3; i++) {
        write(down[1], words[i], strlen(words[i]));
        long length = raw(SYS_read, up[0], text, 100);
        say("echo = %ld: %.*s", length, (int)length, text);
    }
    end_child();
    start_child(swallow);
    TRY("more than fits", raw(SYS_write, down[1], big, 300000));
    close(down[1]);
    long length = read(up[0], text, sizeof text);
    say("swallowed %.*s", (int)length, text);
    end_child();
    start_child(write_late);
    TRY("waited", raw(SYS_read, up[0], text, 100));
    say("got %.4s", text);
    TRY("the end", raw(SYS_read, up[0], text, 100));
    end_child();
    start_child(write_much);
    long total = 0, wrong = 0;
    while ((length = read(up[0], big, 7777)) > 0)
        for (long i = 0; i < length; i++, total++)
            wrong += big[i] != 'a' + total / 20000;
    say("much = %ld, wrong %ld", total, wrong);
    end_child();
    /* The reader goes while the writer waits for room: what was written counts, then it is EPIPE. */
    signal(SIGPIPE, SIG_IGN);
    start_child(never_read);
    TRY("cut short", raw(SYS_write, down[1], big, 100000));
    TRY("then", raw(SYS_write, down[1], big, 1));
    end_child();
    start_child(write_atomically);
    int atomic = 1, count = 0;
    while ((length = read(up[0], big, 1000)) > 0)
        count++, atomic &= length == 1000;
    say("atomic %d, %d pieces", atomic, count);
    end_child();
}

static volatile int alarms;
static void on_alarm(int signal) { alarms += signal == SIGALRM; }

/* Alarms that come again, for the first may come before the wait. */
static void alarms_at(int interval_us, int flags) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, interval_us}, {0, interval_us}}, NULL);
}

static void wait_then_write(void) {
    pass_time(100 * MS);
    write(up[1], "restarted", 9);
}

static void interrupted(void) {
    int fds[2];
    char text[20] = "";
    make(fds, 0);
    alarms_at(20000, 0);
    TRY("read", raw(SYS_read, fds[0], text, 1));
    fcntl(fds[1], F_SETPIPE_SZ, 8192);
    TRY("a part, then the alarm", raw(SYS_write, fds[1], big, 20000));
    TRY("nothing, then the alarm", raw(SYS_write, fds[1], big, 20000));
    say("alarms: %d", alarms >= 3);
    alarms_at(20000, SA_RESTART);
    alarms = 0;
    start_child(wait_then_write);
    TRY("restarted", raw(SYS_read, up[0], text, 20));
    alarms_at(0, 0);
    say("alarms: %d, got %.9s", alarms > 0, text);
    end_child();
}

int main(int count, char **words) {
    const struct part parts[] = {{"ends", ends},     {"flow", flow},   {"places", places},
                 {"broken", broken}, {"sizes", sizes}, {"kinds", kinds},
                 {"two", two},       {"packets", packets}, {"interrupted", interrupted}, {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    return run_part(parts, count, words);
}
