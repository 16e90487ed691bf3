/* Pipes with a name in the file system: who waits for whom to open them, and what is left of them.
 *
 * The part to show comes in; a line for each call goes out. Always true: each FIFO is made anew in the working
 * directory, and where two processes open one, the second comes some milliseconds later. Pipes without a
 * name are in pipes.c. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static char text[100];

static void show_ready(const char *name, int fd) {
    struct pollfd one = {fd, POLLIN | POLLOUT, 0};
    int count = poll(&one, 1, 0);
    say("%s: %d, %x", name, count, one.revents);
}

static void alone(void) {
    struct stat s;
    TRY("mkfifo", got(mkfifo("fifo", 0640)));
    TRY("again", got(mkfifo("fifo", 0640)));
    stat("fifo", &s);
    say("mode %o, size %ld", s.st_mode, (long)s.st_size);
    TRY("a writer without a reader", got(open("fifo", O_WRONLY | O_NONBLOCK)));
    int reader = open("fifo", O_RDONLY | O_NONBLOCK);
    TRY("no writer", raw(SYS_read, reader, text, 10));
    show_ready("never a writer", reader);
    int writer = open("fifo", O_WRONLY | O_NONBLOCK);
    say("a reader %d, a writer %d", reader >= 0, writer >= 0);
    TRY("empty", raw(SYS_read, reader, text, 10));
    TRY("write", raw(SYS_write, writer, "named", 5));
    show_ready("something", reader);
    show_ready("writer", writer);
    TRY("wrong end", raw(SYS_write, reader, "x", 1));
    fstat(reader, &s);
    say("mode %o, links %d", s.st_mode, (int)s.st_nlink);
    TRY("unlink", got(unlink("fifo")));
    fstat(reader, &s);
    say("mode %o, links %d", s.st_mode, (int)s.st_nlink);
    close(writer);
    TRY("still there", raw(SYS_read, reader, text, 10));
    TRY("the end", raw(SYS_read, reader, text, 10));
    show_ready("the writer has gone", reader);
    close(reader);
    mkfifo("fifo", 0600);
    int both = open("fifo", O_RDWR);
    TRY("write to both", raw(SYS_write, both, "x", 1));
    TRY("read from both", raw(SYS_read, both, text, 10));
    TRY("lseek", got(lseek(both, 0, SEEK_SET)));
    TRY("size", got(fcntl(both, F_GETPIPE_SZ)));
    TRY("truncate", got(truncate("fifo", 0)));
    TRY("as a folder", got(open("fifo", O_RDONLY | O_DIRECTORY)));
    TRY("write, then close", raw(SYS_write, both, "lost", 4));
    close(both);
    reader = open("fifo", O_RDONLY | O_NONBLOCK);
    TRY("nothing is kept", raw(SYS_read, reader, text, 10));
    signal(SIGPIPE, SIG_IGN);
    writer = open("fifo", O_WRONLY);
    close(reader);
    TRY("the reader has gone", raw(SYS_write, writer, "x", 1));
}

static pid_t start_child(void (*body)(void)) {
    pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    return child;
}
static void end_child(pid_t child) {
    int status = -1;
    waitpid(child, &status, 0);
    say("status %x", status);
}

static void write_late(void) {
    pass_time(30 * MS);
    int fd = open("fifo", O_WRONLY);
    write(fd, "from the child", 14);
}
static void read_late(void) {
    pass_time(30 * MS);
    int fd = open("fifo", O_RDONLY);
    _exit(read(fd, text, 100));
}

static void two(void) {
    mkfifo("fifo", 0600);
    pid_t child = start_child(write_late);
    int fd = open("fifo", O_RDONLY);
    say("a reader waits for a writer: %d", fd >= 0);
    TRY("read", raw(SYS_read, fd, text, 100));
    say("got %.14s", text);
    TRY("the end", raw(SYS_read, fd, text, 100));
    end_child(child);
    child = start_child(write_late);
    struct pollfd one = {fd, POLLIN, 0};
    while (poll(&one, 1, 10000) == 1 && !(one.revents & POLLIN))
        pass_time(MS);
    TRY("another writer", raw(SYS_read, fd, text, 100));
    end_child(child);
    close(fd);
    child = start_child(read_late);
    fd = open("fifo", O_WRONLY);
    say("a writer waits for a reader: %d", fd >= 0);
    TRY("write", raw(SYS_write, fd, "twelve bytes", 12));
    end_child(child);
}

static volatile int alarms;
static void on_alarm(int signal) { alarms += signal == SIGALRM; }

static void interrupted(void) {
    struct sigaction action = {.sa_handler = on_alarm};
    mkfifo("fifo", 0600);
    sigaction(SIGALRM, &action, NULL);
    ualarm(20000, 20000);
    TRY("an open that waits", got(open("fifo", O_RDONLY)));
    ualarm(0, 0);
    say("alarms %d", alarms > 0);
}

int main(int count, char **words) {
    const struct part parts[] = {{"alone", alone}, {"two", two}, {"interrupted", interrupted}, {NULL, NULL}};
    return run_part(parts, count, words);
}
