/* Objects by name (/proc/self/fd, /dev/fd, FIFOs), and what a virtual descriptor is for the calls that are not about
 * reading and writing.
 *
 * Nothing comes in; a line for each thing that was tried goes out. Always true: relations and errors are shown, no
 * inode numbers; nothing waits longer than a second. Pipes themselves are in pipes.c, events in events.c. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>

static void show(const char *what, long result) {
    say("%s: %ld, %s", what, result, result < 0 ? strerror(errno) : "no error");
}

static char *name_of(int fd) {
    static char link[256], path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, link, sizeof link - 1);
    link[n < 0 ? 0 : n] = 0;
    char *number = strchr(link, '[');
    if (number && number[1] >= '0' && number[1] <= '9')
        *number = 0;
    return link;
}

static void kind(const char *what, int fd) {
    struct stat by_fd, by_path, by_link;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    say("== %s", what);
    show("fstat", fstat(fd, &by_fd));
    say("mode %o", by_fd.st_mode);
    show("stat", stat(path, &by_path));
    say("same %d", by_fd.st_ino == by_path.st_ino && by_fd.st_mode == by_path.st_mode);
    show("lstat", lstat(path, &by_link));
    say("link %d", S_ISLNK(by_link.st_mode));
    struct statx more;
    show("statx", statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more));
    say("mode %o same %d", more.stx_mode, more.stx_ino == by_fd.st_ino);
    show("statx path", statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &more));
    say("mode %o same %d", more.stx_mode, more.stx_ino == by_fd.st_ino);
    show("access", access(path, F_OK));
    say("name %s", name_of(fd));
    struct statfs fs;
    show("fstatfs", fstatfs(fd, &fs));
    say("type %lx", (unsigned long)fs.f_type);
    show("lseek", lseek(fd, 3, SEEK_SET));
    char c;
    show("pread", pread(fd, &c, 1, 0));
    show("pread before", pread(fd, &c, 1, -1));
    show("ftruncate", ftruncate(fd, 0));
    show("fsync", fsync(fd));
    show("fdatasync", fdatasync(fd));
    show("fadvise", posix_fadvise(fd, 0, 1, 0));
    show("readahead", readahead(fd, 0, 1));
    show("fchdir", fchdir(fd));
    show("openat", openat(fd, "x", O_RDONLY));
    show("mmap", (long)mmap(0, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
    show("isatty", isatty(fd));
    show("copy_file_range", copy_file_range(fd, 0, fd, 0, 1, 0));
    show("flags", fcntl(fd, F_GETFL) & ~0100000);
    show("fd flags", fcntl(fd, F_GETFD));
    show("FIOCLEX", ioctl(fd, FIOCLEX));
    show("fd flags", fcntl(fd, F_GETFD));
    show("FIONCLEX", ioctl(fd, FIONCLEX));
    show("fd flags", fcntl(fd, F_GETFD));
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 30);
    show("copy", copy);
    show("fd flags", fcntl(copy, F_GETFD));
    show("close", close(copy));
    show("close", close(copy));
}

static void fifos(void) {
    say("== FIFO");
    unlink("pipe");
    show("mkfifo", mkfifo("pipe", 0640));
    show("open", open("pipe", O_WRONLY | O_NONBLOCK));
    int reader = open("pipe", O_RDONLY | O_NONBLOCK);
    struct pollfd look = {reader, POLLIN, 0};
    show("poll", poll(&look, 1, 0));
    char buffer[16] = "";
    show("read", read(reader, buffer, 9));
    int writer = open("pipe", O_WRONLY);
    show("write", write(writer, "hello", 5));
    show("read", read(reader, buffer, 9));
    show("read", read(reader, buffer, 9));
    close(writer);
    show("poll", poll(&look, 1, 0));
    say("events %x", look.revents);
    struct stat status, path;
    fstat(reader, &status);
    stat("pipe", &path);
    say("same %d mode %o", status.st_ino == path.st_ino && status.st_dev == path.st_dev, status.st_mode);
    char *name = strrchr(name_of(reader), '/');
    say("name %s", name ? name : "?");
    close(reader);
    if (fork() == 0) {
        int fd = open("pipe", O_WRONLY);
        write(fd, "from the child", 14);
        _exit(0);
    }
    reader = open("pipe", O_RDONLY);
    show("read", read(reader, buffer, 16));
    say("%.14s", buffer);
    wait(0);
    show("read", read(reader, buffer, 16));
    int both = open("pipe", O_RDWR);
    show("write", write(both, "x", 1));
    show("read", read(both, buffer, 1));
    close(both), close(reader);
    show("not a directory", open("pipe", O_RDONLY | O_DIRECTORY));
    show("exists", open("pipe", O_CREAT | O_EXCL | O_RDWR, 0600));
    unlink("pipe");
}

static void anew(void) {
    say("== anew");
    int ends[2];
    char path[64], buffer[64];
    show("pipe", pipe(ends));
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    int writer = open(path, O_WRONLY | O_CLOEXEC);
    show("open", writer < 0 ? writer : 0);
    close(ends[1]);
    show("write", write(writer, "abc", 3));
    snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), ends[0]);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    show("open", reader < 0 ? reader : 0);
    show("read", read(reader, buffer, 2));
    show("read", read(ends[0], buffer, 2));
    show("read", read(reader, buffer, 2));
    close(writer);
    show("read", read(reader, buffer, 2));
    show("directory", open(path, O_RDONLY | O_DIRECTORY));
    close(reader), close(ends[0]);
    show("gone", open(path, O_RDONLY));
    int event = eventfd(0, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", event);
    show("eventfd", open(path, O_RDWR));
    close(event);
    pipe(ends);
    dup2(ends[0], 0);
    int in = open("/dev/stdin", O_RDONLY);
    write(ends[1], "stdin", 5);
    show("stdin", read(in, buffer, 9));
    close(in), close(ends[0]), close(ends[1]);
}

static void between(void) {
    say("== between");
    int ends[2], more[2];
    pipe(ends), pipe(more);
    int file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char text[5000], back[20000];
    for (unsigned i = 0; i < sizeof text; i++) text[i] = 'a' + i % 26;
    write(file, text, sizeof text);
    loff_t at = 10;
    show("sendfile", sendfile(ends[1], file, &at, 100));
    say("at %ld", (long)at);
    lseek(file, 0, SEEK_SET);
    show("sendfile", sendfile(ends[1], file, 0, 4000));
    show("position", lseek(file, 0, SEEK_CUR));
    show("splice in", splice(file, 0, ends[1], 0, 100000, 0));
    show("position", lseek(file, 0, SEEK_CUR));
    show("read", read(ends[0], back, sizeof back));
    say("right %d", !memcmp(back, text + 10, 100) && !memcmp(back + 100, text, 5000));
    show("nothing", splice(ends[0], 0, file, 0, 10, SPLICE_F_NONBLOCK));
    write(ends[1], text, 3000);
    at = 6000;
    show("splice out", splice(ends[0], 0, file, &at, 2000, 0));
    say("at %ld", (long)at);
    show("splice on", splice(ends[0], 0, more[1], 0, 500, 0));
    show("tee", tee(more[0], ends[1], 200, 0));
    show("read", read(ends[0], back, sizeof back));
    show("read", read(more[0], back, sizeof back));
    show("offset", splice(ends[0], &at, file, 0, 10, 0));
    show("offset", splice(file, 0, ends[1], &at, 10, 0));
    show("no pipe", splice(file, 0, file, &at, 10, 0));
    show("flags", splice(file, 0, ends[1], 0, 10, 0x100));
    show("none", splice(file, 0, ends[1], 0, 0, 0));
    show("from a pipe", sendfile(file, ends[0], 0, 10));
    struct iovec piece = {text, 700};
    show("vmsplice", vmsplice(ends[1], &piece, 1, 0));
    show("read", read(ends[0], back, sizeof back));
    // As much as there is room for.
    lseek(file, 0, SEEK_SET);
    ftruncate(file, 200000);
    show("sendfile", sendfile(ends[1], file, 0, 200000));
    show("position", lseek(file, 0, SEEK_CUR));
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    show("full", sendfile(ends[1], file, 0, 10));
    close(ends[0]), close(ends[1]), close(more[0]), close(more[1]), close(file);
    unlink("file");
}

static void waiting(void) {
    say("== waiting");
    int ends[2], file = open("file", O_RDWR | O_CREAT, 0600), null = open("/dev/null", O_RDWR);
    pipe(ends);
    struct pollfd set[] = {{ends[0], POLLIN, 7}, {file, POLLIN | POLLOUT, 7}, {-1, POLLIN, 7},
                           {ends[1], POLLOUT, 7}, {99, POLLIN, 7}, {null, POLLIN, 7}};
    show("poll", poll(set, 6, 1000));
    for (int i = 0; i < 6; i++)
        say("%x", set[i].revents);
    show("poll", poll(set, 1, 20));
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(ends[0], &in);
    FD_SET(file, &in);
    FD_SET(ends[1], &out);
    struct timeval time = {1, 0};
    show("select", select(30, &in, &out, 0, &time));
    say("%d %d %d", FD_ISSET(ends[0], &in), FD_ISSET(file, &in), FD_ISSET(ends[1], &out));
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    time = (struct timeval){0, 20000};
    show("select", select(30, &in, 0, 0, &time));
    say("%d, left %ld", FD_ISSET(ends[0], &in), (long)time.tv_usec);
    // Below 64: beyond what the process's table has room for, and how large that is it inherits, Linux looks at no
    // descriptor (select(2), BUGS).
    FD_SET(50, &in);
    show("select", select(51, &in, 0, 0, &time));
    int epoll = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.u64 = 1}};
    show("file", epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event));
    show("null", epoll_ctl(epoll, EPOLL_CTL_ADD, null, &event));
    show("pipe", epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
    show("again", epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
    show("not open", epoll_ctl(epoll, EPOLL_CTL_ADD, 99, &event));
    show("itself", epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event));
    show("no instance", epoll_ctl(ends[0], EPOLL_CTL_ADD, ends[1], &event));
    show("no instance", epoll_ctl(file, EPOLL_CTL_ADD, ends[1], &event));
    show("no event", epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], 0));
    show("wait", epoll_wait(epoll, &event, 1, 10));
    show("no instance", epoll_wait(file, &event, 1, 10));
    show("no room", epoll_wait(epoll, &event, 0, 10));
    write(ends[1], "x", 1);
    show("wait", epoll_pwait(epoll, &event, 1, 10, 0));
    say("%x %llu", event.events, (unsigned long long)event.data.u64);
    struct itimerspec soon = {{0, 0}, {0, 1000}};
    show("no timer", timerfd_settime(file, 0, &soon, 0));
    show("no timer", timerfd_settime(99, 0, &soon, 0));
    unlink("file");
}

int main(void) {
    int ends[2];
    pipe(ends);
    kind("read end", ends[0]);
    kind("write end", ends[1]);
    kind("eventfd", eventfd(0, EFD_NONBLOCK));
    kind("epoll", epoll_create1(EPOLL_CLOEXEC));
    kind("timerfd", timerfd_create(CLOCK_MONOTONIC, 0));
    fifos();
    anew();
    between();
    waiting();
    return 0;
}
