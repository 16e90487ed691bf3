/* epoll: what is watched, what is reported and in which order, and what is refused.
 *
 * The part to show comes in; a line for each call goes out. Always true: one process alone, which makes
 * descriptors ready before it looks, so that nothing waits. Waits that others end are in epoll_waits.c. */
#include "check.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#define TRY(name, call) say(name " = %ld", (long)(call))

static char page[4096];
static int set, fds[2];

static int counter(void) { return eventfd(0, EFD_NONBLOCK); }
static void bump(int fd) { write(fd, &(uint64_t){1}, 8); }
static void drop(int fd) { read(fd, page, 8); }

static long control(int operation, int fd, uint32_t events, int data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return raw(SYS_epoll_ctl, set, operation, fd, &event);
}
static long watch(int fd, uint32_t events, int data) { return control(EPOLL_CTL_ADD, fd, events, data); }
static long change(int fd, uint32_t events, int data) { return control(EPOLL_CTL_MOD, fd, events, data); }
static long forget(int fd) { return raw(SYS_epoll_ctl, set, EPOLL_CTL_DEL, fd, NULL); }

static void look_at(int from, const char *name, int most) {
    struct epoll_event events[20];
    long count = raw(SYS_epoll_wait, from, events, most, 0);
    char line[300] = "";
    int length = 0;
    for (long i = 0; i < count; i++)
        length += snprintf(line + length, sizeof line - length, " %d:%x", (int)events[i].data.u64,
                           events[i].events);
    say("%s = %ld:%s", name, count, line);
}
static void look(const char *name) { look_at(set, name, 20); }

static void errors(void) {
    struct epoll_event event = {.events = EPOLLIN};
    int fd = counter(), file = open("file", O_RDWR | O_CREAT, 0600), folder = open(".", O_RDONLY);
    say("flags %o %d, %d", fcntl(set, F_GETFL), fcntl(set, F_GETFD), fcntl(epoll_create(1), F_GETFD));
    TRY("old size zero", raw(SYS_epoll_create, 0));
    TRY("old size negative", raw(SYS_epoll_create, -1));
    TRY("odd flags", raw(SYS_epoll_create1, O_NONBLOCK));
    TRY("watch", watch(fd, EPOLLIN, 1));
    TRY("again", watch(fd, EPOLLIN, 1));
    TRY("a file", watch(file, EPOLLIN, 1));
    TRY("a folder", watch(folder, EPOLLIN, 1));
    TRY("forget a file", forget(file));
    TRY("/dev/null", watch(open("/dev/null", O_RDWR), EPOLLIN, 1));
    TRY("none", watch(99, EPOLLIN, 1));
    TRY("negative", watch(-1, EPOLLIN, 1));
    TRY("itself", watch(set, EPOLLIN, 1));
    TRY("change what is not watched", change(fds[0], EPOLLIN, 1));
    TRY("forget what is not watched", forget(fds[0]));
    TRY("odd operation", control(0, fd, EPOLLIN, 1));
    TRY("odd operation", control(4, fd, EPOLLIN, 1));
    TRY("no event", raw(SYS_epoll_ctl, set, EPOLL_CTL_ADD, fds[0], NULL));
    TRY("forget with a bad event", raw(SYS_epoll_ctl, set, EPOLL_CTL_DEL, fd, (void *)8));
    TRY("no set", raw(SYS_epoll_ctl, 99, EPOLL_CTL_ADD, fd, &event));
    TRY("a set that is none", raw(SYS_epoll_ctl, fd, EPOLL_CTL_ADD, fds[0], &event));
    TRY("wait on none", raw(SYS_epoll_wait, 99, &event, 1, 0));
    TRY("wait on what is no set", raw(SYS_epoll_wait, fd, &event, 1, 0));
    TRY("wait for no events", raw(SYS_epoll_wait, set, &event, 0, 0));
    TRY("wait for negative events", raw(SYS_epoll_wait, set, &event, -1, 0));
    TRY("wait for too many", raw(SYS_epoll_wait, set, &event, 1 << 30, 0));
    bump(fd);
    watch(fd, EPOLLIN, 1);
    TRY("wait at a bad address", raw(SYS_epoll_wait, set, (void *)8, 1, 0));
    look("it is not lost");
    TRY("read", raw(SYS_read, set, page, 8));
    TRY("write", raw(SYS_write, set, page, 8));
    TRY("lseek", got(lseek(set, 0, SEEK_SET)));
    struct stat s;
    fstat(set, &s);
    say("mode %o", s.st_mode);
    char path[40], target[40] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", set);
    TRY("readlink", got(readlink(path, target, sizeof target - 1)));
    say("%s", target);
    TRY("open by name", got(open(path, O_RDWR)));
}

static void level(void) {
    watch(fds[0], EPOLLIN, 1), watch(fds[1], EPOLLOUT, 2);
    look("empty");
    write(fds[1], "ab", 2);
    look("something");
    look("still");
    read(fds[0], page, 1);
    look("a part left");
    read(fds[0], page, 1);
    look("empty");
    while (write(fds[1], page, sizeof page) > 0) {
    }
    look("full");
    read(fds[0], page, sizeof page);
    look("room");
    TRY("change", change(fds[1], EPOLLIN, 7));
    look("asked for the wrong thing");
    TRY("change", change(fds[0], EPOLLIN | EPOLLRDNORM, 8));
    look("more of it");
    TRY("change to nothing", change(fds[0], 0, 8));
    look("nothing asked");
    close(fds[1]);
    look("but the end is reported");
    TRY("forget", forget(fds[0]));
    look("not when forgotten");
}

static void edge(void) {
    watch(fds[0], EPOLLIN | EPOLLET, 1), watch(fds[1], EPOLLOUT | EPOLLET, 2);
    look("once at first");
    look("not again");
    write(fds[1], "ab", 2);
    look("a write");
    look("not again");
    read(fds[0], page, 1);
    look("a part read");
    write(fds[1], "c", 1);
    look("another write");
    read(fds[0], page, sizeof page);
    look("all read");
    TRY("change to the same", change(fds[1], EPOLLOUT | EPOLLET, 2));
    look("arms it anew");
    while (write(fds[1], page, sizeof page) > 0) {
    }
    look("full");
    read(fds[0], page, 100);
    look("a little read");
    read(fds[0], page, sizeof page);
    look("a place free");
    read(fds[0], page, sizeof page);
    look("more places free");
    int fd = counter();
    watch(fd, EPOLLIN | EPOLLET, 3);
    bump(fd), bump(fd);
    look("two in one");
    bump(fd);
    look("again without a read");
    look("not again");
    drop(fd);
    look("read");
    close(fds[1]);
    look("the end");
    look("not again");
}

static void oneshot(void) {
    int fd = counter();
    watch(fd, EPOLLIN | EPOLLONESHOT, 1);
    bump(fd);
    look("once");
    bump(fd);
    look("not again");
    TRY("armed", change(fd, EPOLLIN | EPOLLONESHOT, 2));
    look("once");
    drop(fd), bump(fd);
    look("not again");
    TRY("add again", watch(fd, EPOLLIN | EPOLLONESHOT, 2));
    TRY("armed with the edge", change(fd, EPOLLIN | EPOLLONESHOT | EPOLLET, 3));
    look("once");
    bump(fd);
    look("not again");
    watch(fds[0], EPOLLIN | EPOLLONESHOT, 4);
    write(fds[1], "x", 1);
    look("once");
    close(fds[1]);
    look("not the end either");
    TRY("armed", change(fds[0], EPOLLIN | EPOLLONESHOT, 5));
    look("now");
}

static void order(void) {
    int all[6];
    for (int i = 0; i < 6; i++)
        watch(all[i] = counter(), EPOLLIN, i);
    const int turns[] = {3, 0, 5, 1, 4, 2};
    for (int i = 0; i < 6; i++)
        bump(all[turns[i]]);
    look_at(set, "as they came", 2);
    look_at(set, "those that waited", 3);
    look_at(set, "round", 4);
    drop(all[1]), drop(all[4]);
    look("without two");
    bump(all[4]);
    look("one more");
    change(all[0], EPOLLIN, 10);
    look("a change does not move");
    forget(all[0]), watch(all[0], EPOLLIN, 20);
    look("added anew");
    int more = counter();
    bump(more);
    watch(more, EPOLLIN | EPOLLET, 30);
    look("ready when added");
    look("without the edge");
}

static void ends(void) {
    const uint32_t all = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLRDNORM | EPOLLWRNORM;
    watch(fds[0], all, 1), watch(fds[1], all, 2);
    look("both ends");
    write(fds[1], "x", 1);
    look("something");
    close(fds[1]);
    look("writer gone");
    read(fds[0], page, 1);
    look("and empty");
    pipe2(fds, O_NONBLOCK);
    watch(fds[1], EPOLLRDHUP, 3);
    look("no output asked");
    close(fds[0]);
    look("reader gone");
    change(fds[1], EPOLLOUT | EPOLLET, 4);
    look("with the edge");
    look("not again");
}

static void copies(void) {
    int fd = counter(), copy = dup(fd), number = fd;
    TRY("one", watch(fd, EPOLLIN, 1));
    TRY("its copy", watch(copy, EPOLLIN, 2));
    bump(fd);
    look("both");
    close(fd);
    look("the first number closed");
    TRY("forget by the closed number", forget(number));
    fd = counter();
    say("the same number: %d", fd == number);
    TRY("watch the new one", watch(fd, EPOLLIN, 3));
    look("old and copy");
    bump(fd);
    look("all three");
    TRY("change the new one", change(fd, EPOLLIN, 4));
    look("all three");
    close(copy);
    look("the old one is gone");
    close(fd);
    look("nothing");
    /* A copy of the set is the set. */
    int other = dup(set), again = counter();
    watch(again, EPOLLIN, 5);
    bump(again);
    look_at(other, "through a copy", 20);
    close(set);
    look_at(other, "the set lives", 20);
    close(again);
    look_at(other, "nothing", 20);
}

static void nested(void) {
    int outer = epoll_create1(0), fd = counter(), inner = set;
    set = outer;
    TRY("a set in a set", watch(inner, EPOLLIN, 100));
    set = inner;
    TRY("a counter", watch(fd, EPOLLIN, 1));
    look_at(outer, "nothing", 20);
    bump(fd);
    look_at(outer, "outer", 20);
    look_at(inner, "inner", 20);
    look_at(outer, "outer still", 20);
    drop(fd);
    look_at(outer, "nothing", 20);
    set = outer;
    change(inner, EPOLLIN | EPOLLET, 100);
    bump(fd);
    look_at(outer, "outer with the edge", 20);
    look_at(outer, "not again", 20);
    bump(fd);
    look_at(outer, "again", 20);
    set = inner;
    TRY("a circle", watch(outer, EPOLLIN, 200));
    int deep[8];
    for (int i = 0; i < 8; i++)
        deep[i] = epoll_create1(0);
    for (int i = 0; i < 7; i++) {
        set = deep[i];
        say("depth %d = %ld", i + 1, watch(deep[i + 1], EPOLLIN, i));
    }
    struct epoll_event event;
    set = deep[3];
    watch(fd, EPOLLIN, 99);
    say("seen from the top = %ld", raw(SYS_epoll_wait, deep[0], &event, 1, 0));
    close(inner);
    look_at(outer, "the inner closed", 20);
}

static void exclusive(void) {
    int fd = counter();
    TRY("watch", watch(fd, EPOLLIN | EPOLLEXCLUSIVE, 1));
    bump(fd);
    look("ready");
    TRY("change", change(fd, EPOLLIN, 1));
    TRY("change to exclusive", change(fd, EPOLLIN | EPOLLEXCLUSIVE, 1));
    TRY("with the edge", watch(fds[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLET, 1));
    TRY("forget", forget(fds[0]));
    TRY("once only", watch(fds[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 1));
    TRY("with EPOLLRDHUP", watch(fds[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP, 1));
    TRY("with EPOLLERR", watch(fds[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLERR | EPOLLHUP, 1));
    TRY("a set", watch(epoll_create1(0), EPOLLIN | EPOLLEXCLUSIVE, 1));
    TRY("wake-up events", watch(fds[1], EPOLLOUT | EPOLLWAKEUP, 2));
    look("both");
}

int main(int count, char **words) {
    const struct part parts[] = {{"errors", errors}, {"level", level},   {"edge", edge},     {"oneshot", oneshot},    {"order", order},
                 {"ends", ends},     {"copies", copies}, {"nested", nested}, {"exclusive", exclusive}, {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    set = epoll_create1(EPOLL_CLOEXEC);
    pipe2(fds, O_NONBLOCK);
    return run_part(parts, count, words);
}
