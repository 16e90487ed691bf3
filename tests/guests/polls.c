/* poll, ppoll, select and pselect6: pipes, counters and files side by side, time-outs, signal masks.
 *
 * The part to show comes in; a line for each call goes out. Always true: a wait that ends by itself is not
 * early and not very late; one that another process ends is ended when this one waits. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static int64_t began;
static void begin(void) { began = clock_ns(CLOCK_MONOTONIC); }

static void end(const char *name, long result, int64_t expected) {
    int64_t took = clock_ns(CLOCK_MONOTONIC) - began;
    const char *verdict = took < expected ? "early" : took > expected + 5000 * MS ? "late" : "in time";
    say("%s = %ld, %s", name, result, verdict);
}

static char page[4096];
static int fds[2], counter, file;

static void fill(void) {
    while (write(fds[1], page, sizeof page) > 0) {
    }
}

static void empty(void) {
    while (read(fds[0], page, sizeof page) > 0) {
    }
}

static void look(const char *name, short events) {
    struct pollfd all[] = {{fds[0], events, 9}, {fds[1], events, 9}, {counter, events, 9},
                           {file, events, 9},   {99, events, 9},     {-1, events, 9}};
    long count = raw(SYS_poll, all, 6, 0);
    say("%s = %ld: reader %x, writer %x, counter %x, file %x, none %x, negative %x", name, count, all[0].revents,
        all[1].revents, all[2].revents, all[3].revents, all[4].revents, all[5].revents);
}

static void states(void) {
    const short all = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM | POLLRDBAND | POLLWRBAND;
    look("empty", POLLIN | POLLOUT);
    look("everything", all);
    look("nothing asked", 0);
    write(fds[1], "x", 1);
    write(counter, &(uint64_t){1}, 8);
    look("something", POLLIN | POLLOUT);
    look("everything", all);
    look("only input", POLLIN);
    look("only output", POLLOUT);
    empty(), fill();
    look("full", POLLIN | POLLOUT);
    TRY("read", raw(SYS_read, fds[0], page, 100));
    look("a little room", POLLOUT);
    TRY("read", raw(SYS_read, fds[0], page, 3996));
    look("a page of room", POLLOUT);
    close(fds[1]);
    look("writer gone, something left", POLLIN | POLLOUT);
    empty();
    look("writer gone", POLLIN | POLLOUT);
    look("nothing asked", 0);
    pipe2(fds, O_NONBLOCK);
    close(fds[0]);
    look("reader gone", POLLIN | POLLOUT);
    look("nothing asked", 0);
    pipe2(fds, O_NONBLOCK);
    fill();
    close(fds[0]);
    look("reader gone, full", POLLIN | POLLOUT);
    struct pollfd same[3] = {{counter, POLLIN, 0}, {counter, POLLOUT, 0}, {counter, POLLIN | POLLOUT, 0}};
    TRY("one descriptor three times", raw(SYS_poll, same, 3, -1));
    say("%x %x %x", same[0].revents, same[1].revents, same[2].revents);
    struct pollfd ends[2] = {{0, POLLIN, 0}, {1, POLLOUT, 0}};
    TRY("standard output", raw(SYS_poll, &ends[1], 1, 0));
}

static void poll_times(void) {
    struct pollfd some[2] = {{fds[0], POLLIN, 0}, {counter, POLLIN, 0}};
    struct timespec t = {0, 20 * MS};
    begin(), end("poll", raw(SYS_poll, some, 2, 20), 20 * MS);
    begin(), end("poll at once", raw(SYS_poll, some, 2, 0), 0);
    begin(), end("ppoll", raw(SYS_ppoll, some, 2, &t, NULL, 0), 20 * MS);
    say("left %ld %ld", (long)t.tv_sec, t.tv_nsec);
    t = (struct timespec){0, 0};
    begin(), end("ppoll at once", raw(SYS_ppoll, some, 2, &t, NULL, 0), 0);
    write(fds[1], "x", 1);
    t = (struct timespec){1000, 5};
    begin(), end("ready", raw(SYS_ppoll, some, 2, &t, NULL, 0), 0);
    say("left not more: %d", t.tv_sec >= 990 && (t.tv_sec < 1000 || t.tv_nsec <= 5));
    begin(), end("ready, for ever", raw(SYS_ppoll, some, 2, NULL, NULL, 0), 0);
    begin(), end("ready, negative time", raw(SYS_poll, some, 2, -5), 0);
    const struct timespec odd[] = {{-1, 0}, {0, 1000000000}, {0, -1}};
    for (int i = 0; i < 3; i++)
        say("odd time = %ld", raw(SYS_ppoll, some, 2, &odd[i], NULL, 0));
    TRY("bad time", raw(SYS_ppoll, some, 2, (void *)8, NULL, 0));
    TRY("bad list", raw(SYS_poll, (void *)8, 1, 0));
    TRY("bad mask", raw(SYS_ppoll, some, 2, NULL, (void *)8, 8));
    TRY("short mask", raw(SYS_ppoll, some, 2, NULL, page, 4));
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 20;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct pollfd many[21] = {{0}};
    for (int i = 0; i < 21; i++)
        many[i].fd = -1;
    TRY("as many as allowed", raw(SYS_poll, many, 20, 0));
    TRY("more than allowed", raw(SYS_poll, many, 21, 0));
}

static int handled;
static void on_signal(int signal) { handled += signal == SIGUSR1; }

static void masks(void) {
    struct pollfd one = {fds[0], POLLIN, 0};
    struct sigaction action = {.sa_handler = on_signal};
    struct timespec none = {0, 0}, some = {1000, 0};
    sigset_t open_mask, blocked, now;
    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&open_mask), sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR1);
    TRY("poll with a blocked signal", raw(SYS_poll, &one, 1, 1));
    say("handled %d", handled);
    TRY("ppoll unblocks", raw(SYS_ppoll, &one, 1, &some, &open_mask, 8));
    say("handled %d", handled);
    sigprocmask(SIG_BLOCK, NULL, &now);
    say("blocked again %d", sigismember(&now, SIGUSR1));
    raise(SIGUSR1);
    TRY("unblocked for no time", raw(SYS_ppoll, &one, 1, &none, &open_mask, 8));
    say("handled %d", handled);
    write(fds[1], "x", 1);
    raise(SIGUSR1);
    TRY("ready and unblocked", raw(SYS_ppoll, &one, 1, &some, &open_mask, 8));
    say("handled %d", handled);
    TRY("ready, not unblocked", raw(SYS_ppoll, &one, 1, &some, &blocked, 8));
    say("handled %d", handled);
    read(fds[0], page, 1);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    struct {
        const sigset_t *mask;
        size_t size;
    } extra = {&open_mask, 8}, wrong = {&open_mask, 4}, nothing = {NULL, 0};
    raise(SIGUSR1);
    TRY("pselect unblocks", raw(SYS_pselect6, fds[0] + 1, &set, NULL, NULL, &some, &extra));
    say("handled %d, set %d", handled, FD_ISSET(fds[0], &set) != 0);
    TRY("pselect with a wrong size", raw(SYS_pselect6, fds[0] + 1, &set, NULL, NULL, &none, &wrong));
    TRY("pselect without a mask", raw(SYS_pselect6, fds[0] + 1, &set, NULL, NULL, &none, &nothing));
    /* Blocked until the wait, then by the alarm of the wait itself. */
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    TRY("never restarted", raw(SYS_ppoll, &one, 1, &some, &open_mask, 8));
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    say("handled %d", handled);
}

static void show_sets(const char *name, long result, const fd_set *in, const fd_set *out, const fd_set *odd) {
    const int all[] = {fds[0], fds[1], counter, file};
    char line[100] = "";
    int length = 0;
    for (int i = 0; i < 4; i++)
        length += snprintf(line + length, sizeof line - length, " %d%d%d", FD_ISSET(all[i], in) != 0,
                           FD_ISSET(all[i], out) != 0, FD_ISSET(all[i], odd) != 0);
    say("%s = %ld:%s", name, result, line);
}

static void selected(const char *name) {
    fd_set in, out, odd;
    FD_ZERO(&in);
    FD_SET(fds[0], &in), FD_SET(fds[1], &in), FD_SET(counter, &in), FD_SET(file, &in);
    out = odd = in;
    struct timeval none = {0, 0};
    long result = raw(SYS_select, 64, &in, &out, &odd, &none);
    show_sets(name, result, &in, &out, &odd);
}

static void selects(void) {
    selected("empty");
    write(fds[1], "x", 1);
    write(counter, &(uint64_t){1}, 8);
    selected("something");
    fill();
    selected("full");
    close(fds[1]);
    int old = fds[0];
    dup2(old, fds[1]);
    selected("writer gone");
    empty();
    selected("and empty");
    close(old), close(fds[1]);
    pipe2(fds, O_NONBLOCK);
    close(fds[0]);
    dup2(fds[1], fds[0]);
    selected("reader gone");
    pipe2(fds, O_NONBLOCK);
    fd_set set;
    struct timeval tv = {0, 20000};
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    begin(), end("nothing comes", raw(SYS_select, 64, &set, NULL, NULL, &tv), 20 * MS);
    say("left %ld %ld, set %d", (long)tv.tv_sec, (long)tv.tv_usec, FD_ISSET(fds[0], &set) != 0);
    struct timespec t = {0, 20 * MS};
    FD_SET(fds[0], &set);
    begin(), end("pselect", raw(SYS_pselect6, 64, &set, NULL, NULL, &t, NULL), 20 * MS);
    say("left %ld %ld, set %d", (long)t.tv_sec, t.tv_nsec, FD_ISSET(fds[0], &set) != 0);
    FD_SET(fds[0], &set), FD_SET(60, &set);
    tv = (struct timeval){0, 0};
    TRY("a closed one", raw(SYS_select, 64, &set, NULL, NULL, &tv));
    say("sets untouched %d %d", FD_ISSET(fds[0], &set) != 0, FD_ISSET(60, &set) != 0);
    TRY("beyond the count", raw(SYS_select, 60, &set, NULL, NULL, &tv));
    say("sets %d %d", FD_ISSET(fds[0], &set) != 0, FD_ISSET(60, &set) != 0);
    TRY("negative count", raw(SYS_select, -1, &set, NULL, NULL, &tv));
    TRY("bad set", raw(SYS_select, 64, (void *)8, NULL, NULL, &tv));
    TRY("bad time", raw(SYS_select, 64, NULL, NULL, NULL, (void *)8));
    tv = (struct timeval){0, 2500000};
    FD_ZERO(&set);
    FD_SET(file, &set);
    TRY("more than a second of microseconds", raw(SYS_select, 64, &set, NULL, NULL, &tv));
    tv = (struct timeval){0, -1};
    TRY("negative time", raw(SYS_select, 64, &set, NULL, NULL, &tv));
}

static void write_late(void) {
    pass_time(30 * MS);
    write(fds[1], "x", 1);
}
static void count_late(void) {
    pass_time(30 * MS);
    write(counter, &(uint64_t){1}, 8);
}
static void read_late(void) {
    pass_time(30 * MS);
    empty();
}
static void leave_late(void) { pass_time(30 * MS); }

static void woken(const char *name, void (*by)(void), int leaves) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        by();
        _exit(0);
    }
    if (leaves)
        close(fds[1]);
    struct pollfd some[2] = {{fds[leaves ? 0 : by == read_late], by == read_late ? POLLOUT : POLLIN, 0},
                             {counter, POLLIN, 0}};
    begin();
    long count = raw(SYS_poll, some, 2, 10000);
    say("%s = %ld: %x %x", name, count, some[0].revents, some[1].revents);
    waitpid(child, &status, 0);
    say("status %x", status);
}

static void by_others(void) {
    woken("a byte", write_late, 0);
    empty();
    woken("a count", count_late, 0);
    read(counter, page, 8);
    fill();
    woken("room", read_late, 0);
    woken("the end", leave_late, 1);
    pipe2(fds, O_NONBLOCK);
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fds[0], &in), FD_SET(counter, &in);
    if (fork() == 0)
        write_late(), _exit(0);
    TRY("select", raw(SYS_select, 64, &in, NULL, NULL, NULL));
    say("set %d %d", FD_ISSET(fds[0], &in) != 0, FD_ISSET(counter, &in) != 0);
    wait(NULL);
}

int main(int count, char **words) {
    const struct part parts[] = {{"states", states},   {"times", poll_times},    {"masks", masks},
                 {"selects", selects}, {"by others", by_others}, {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    pipe2(fds, O_NONBLOCK);
    counter = eventfd(0, EFD_NONBLOCK);
    file = open("file", O_RDWR | O_CREAT, 0600);
    return run_part(parts, count, words);
}
