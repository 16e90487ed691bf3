/* eventfd: what its counter holds, who waits for it, what it refuses.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: where two processes
 * share a counter, each waits for what the other did. Waits for several descriptors are in other programs. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static uint64_t value;

static long add(int fd, uint64_t number) { return raw(SYS_write, fd, &number, 8); }

static void take(const char *name, int fd) {
    value = 77;
    long result = raw(SYS_read, fd, &value, 8);
    say("%s = %ld: %llx", name, result, (unsigned long long)value);
}

static void counters(void) {
    int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
    say("flags %o %d", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
    take("the first value", fd);
    take("empty", fd);
    TRY("add", add(fd, 5));
    TRY("add", add(fd, 6));
    TRY("add nothing", add(fd, 0));
    take("sum", fd);
    take("empty", fd);
    TRY("the most", add(fd, UINT64_MAX - 1));
    TRY("one more", add(fd, 1));
    TRY("nothing more", add(fd, 0));
    take("the most", fd);
    TRY("add", add(fd, 10));
    TRY("too much", add(fd, UINT64_MAX - 10));
    TRY("just enough", add(fd, UINT64_MAX - 11));
    take("all", fd);
    TRY("too large for any", add(fd, UINT64_MAX));
    take("empty", fd);
    int semaphore = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    for (int i = 0; i < 3; i++)
        take("semaphore", semaphore);
    TRY("add", add(semaphore, 2));
    take("semaphore", semaphore);
    take("semaphore", semaphore);
    take("semaphore", semaphore);
    int old = raw(SYS_eventfd, 9);
    say("the old call: flags %o %d", fcntl(old, F_GETFL), fcntl(old, F_GETFD));
    take("its value", old);
    int copy = dup(fd);
    add(copy, 4);
    take("through a copy", fd);
}

static void errors(void) {
    int fd = eventfd(0, EFD_NONBLOCK);
    char buffer[64];
    uint64_t two[2] = {1, 2};
    struct iovec halves[2] = {{two, 4}, {(char *)two + 4, 4}};
    struct stat s;
    TRY("odd flags", raw(SYS_eventfd2, 0, O_APPEND));
    TRY("all flags", raw(SYS_eventfd2, 0, -1));
    TRY("short write", raw(SYS_write, fd, two, 7));
    TRY("no write", raw(SYS_write, fd, two, 0));
    TRY("bad write", raw(SYS_write, fd, (void *)8, 8));
    TRY("short read", raw(SYS_read, fd, buffer, 7));
    TRY("no read", raw(SYS_read, fd, buffer, 0));
    TRY("long read", raw(SYS_read, fd, buffer, 64));
    take("empty", fd);
    add(fd, 3);
    TRY("bad read", raw(SYS_read, fd, (void *)8, 8));
    take("after the bad read", fd);
    add(fd, 3);
    TRY("read in halves", raw(SYS_readv, fd, halves, 2));
    TRY("lseek", got(lseek(fd, 0, SEEK_SET)));
    TRY("pread", got(pread(fd, buffer, 8, 0)));
    TRY("mmap", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -errno : 0);
    TRY("ftruncate", got(ftruncate(fd, 0)));
    TRY("fsync", got(fsync(fd)));
    TRY("FIONREAD", got(ioctl(fd, FIONREAD, buffer)));
    TRY("F_GETPIPE_SZ", got(fcntl(fd, F_GETPIPE_SZ)));
    TRY("fstat", got(fstat(fd, &s)));
    say("mode %o, size %ld", s.st_mode, (long)s.st_size);
    memset(buffer, 0, sizeof buffer);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    TRY("readlink", got(readlink(path, buffer, sizeof buffer - 1)));
    say("%s", buffer);
    TRY("open by name", got(open(path, O_RDWR)));
}

static void show_ready(const char *name, int fd) {
    struct pollfd one = {fd, POLLIN | POLLOUT | POLLPRI, 0};
    int count = poll(&one, 1, 0);
    say("%s: %d, %x", name, count, one.revents);
}

static void readiness(void) {
    int fd = eventfd(0, EFD_NONBLOCK);
    show_ready("empty", fd);
    add(fd, 1);
    show_ready("one", fd);
    add(fd, UINT64_MAX - 2);
    show_ready("full", fd);
    take("all", fd);
    show_ready("empty", fd);
    add(fd, UINT64_MAX - 2);
    show_ready("one from full", fd);
}

static int counter, other;

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
    say("child ended: %d", waitpid(child, &status, 0) == child);
    say("status %x", status);
}

static void add_late(void) {
    pass_time(30 * MS);
    add(counter, 41);
}

static void take_late(void) {
    pass_time(30 * MS);
    uint64_t number = 0;
    read(counter, &number, 8);
    add(other, number);
}

static void add_to_full(void) {
    add(other, 1);
    add(other, add(counter, 5));
}

static void many(void) {
    for (int i = 1; i <= 100; i++)
        add(counter, i);
}

static void two(void) {
    counter = eventfd(0, 0), other = eventfd(0, 0);
    pid_t child = start_child(add_late);
    take("a reader waits for a writer", counter);
    end_child(child);
    add(counter, UINT64_MAX - 1);
    child = start_child(take_late);
    TRY("a writer waits for a reader", add(counter, 7));
    take("the child took", other);
    take("what the writer added", counter);
    end_child(child);
    add(counter, UINT64_MAX - 3);
    child = start_child(add_to_full);
    take("the child is there", other);
    pass_time(30 * MS);
    take("make room", counter);
    take("the child has added", other);
    end_child(child);
    take("what the child added", counter);
    child = start_child(many);
    end_child(child);
    take("sum of many", counter);
}

static void take_one(void) {
    uint64_t number = 0;
    long result = raw(SYS_read, counter, &number, 8);
    add(other, result == 8 ? number : 1000);
}

static void semaphores(void) {
    counter = eventfd(0, EFD_SEMAPHORE), other = eventfd(0, EFD_NONBLOCK);
    for (int i = 0; i < 3; i++)
        start_child(take_one);
    pass_time(30 * MS);
    take("nobody yet", other);
    add(counter, 2);
    wait(NULL), wait(NULL);
    take("two of three", other);
    add(counter, 1);
    wait(NULL);
    take("the third", other);
    show_ready("nothing left", counter);
}

static volatile int alarms;
static void on_alarm(int signal) { alarms += signal == SIGALRM; }

static void interrupted(void) {
    struct sigaction action = {.sa_handler = on_alarm};
    counter = eventfd(0, 0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 20000}, {0, 20000}}, NULL);
    take("read", counter);
    add(counter, UINT64_MAX - 1);
    TRY("write", add(counter, 1));
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    read(counter, &value, 8);
    alarms = 0;
    pid_t child = start_child(add_late);
    take("restarted", counter);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    say("alarms: %d", alarms > 0);
    end_child(child);
}

int main(int count, char **words) {
    const struct part parts[] = {{"counters", counters}, {"errors", errors},         {"readiness", readiness},
                 {"two", two},           {"semaphores", semaphores}, {"interrupted", interrupted}, {NULL, NULL}};
    return run_part(parts, count, words);
}
