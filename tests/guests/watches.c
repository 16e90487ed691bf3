/* Watches of files: what happens to them, who is told, and in which order.
 *
 * The part to show comes in; a line for each call and each event goes out. Always true: everything is below the working
 * directory; a watch has the number that Linux gives it; of cookies is shown only which are the same. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <utime.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static const struct {
    unsigned bit;
    const char *name;
} names[] = {
    {IN_ACCESS, "access"},         {IN_MODIFY, "modify"},          {IN_ATTRIB, "attrib"},
    {IN_CLOSE_WRITE, "close"},     {IN_CLOSE_NOWRITE, "close-ro"}, {IN_OPEN, "open"},
    {IN_MOVED_FROM, "from"},       {IN_MOVED_TO, "to"},            {IN_CREATE, "create"},
    {IN_DELETE, "delete"},         {IN_DELETE_SELF, "delete-self"}, {IN_MOVE_SELF, "move-self"},
    {IN_UNMOUNT, "unmount"},       {IN_Q_OVERFLOW, "overflow"},    {IN_IGNORED, "ignored"},
    {IN_ISDIR, "dir"},
};

static int watches;

/* Show what waits to be read. */
static void events(const char *what) {
    static char buffer[1 << 16] __attribute__((aligned(8)));
    unsigned cookie = 0;
    long bytes = raw(SYS_read, watches, buffer, sizeof buffer);
    say("%s: %ld", what, bytes);
    for (long at = 0; at < bytes;) {
        struct inotify_event *event = (struct inotify_event *)(buffer + at);
        char line[200];
        int length = snprintf(line, sizeof line, "  %d", event->wd);
        for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
            if (event->mask & names[i].bit)
                length += snprintf(line + length, sizeof line - length, " %s", names[i].name);
        if (event->cookie) {
            length += snprintf(line + length, sizeof line - length, " cookie %s",
                               event->cookie == cookie ? "again" : "new");
            cookie = event->cookie;
        }
        say("%s %s (%u)", line, event->len ? event->name : "-", event->len);
        at += sizeof *event + event->len;
    }
}

static void begin(unsigned mask) {
    watches = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    mkdir("folder", 0755);
    TRY("watch", got(inotify_add_watch(watches, "folder", mask)));
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0644);
    if (write(fd, text, strlen(text)) != (long)strlen(text))
        abort();
    close(fd);
}

static int pipe_of_mine(void) {
    int ends[2];
    return pipe(ends) == 0 ? ends[0] : -1;
}

static void errors(void) {
    struct stat s;
    int fd = inotify_init(), plain = open(".", O_RDONLY);
    TRY("flags", got(inotify_init1(1)));
    TRY("get flags", fcntl(fd, F_GETFL));
    fstat(fd, &s);
    say("mode %o, size %ld", s.st_mode, (long)s.st_size);
    TRY("no mask", got(inotify_add_watch(fd, ".", 0)));
    TRY("unknown bit", got(inotify_add_watch(fd, ".", 1 << 20)));
    TRY("only flags", got(inotify_add_watch(fd, ".", IN_ONLYDIR)));
    TRY("both", got(inotify_add_watch(fd, ".", IN_MODIFY | IN_MASK_ADD | IN_MASK_CREATE)));
    TRY("nothing there", got(inotify_add_watch(fd, "nothing", IN_MODIFY)));
    TRY("empty", got(inotify_add_watch(fd, "", IN_MODIFY)));
    TRY("bad path", raw(SYS_inotify_add_watch, fd, 1L, IN_MODIFY));
    TRY("bad path, no mask", raw(SYS_inotify_add_watch, fd, 1L, 0));
    TRY("closed", got(inotify_add_watch(99, ".", IN_MODIFY)));
    TRY("closed, no mask", got(inotify_add_watch(99, ".", 0)));
    TRY("no instance", got(inotify_add_watch(plain, ".", IN_MODIFY)));
    TRY("no instance, a pipe's", got(inotify_add_watch(pipe_of_mine(), ".", IN_MODIFY)));
    TRY("rm of nothing", got(inotify_rm_watch(fd, 1)));
    TRY("rm, closed", got(inotify_rm_watch(99, 1)));
    TRY("rm, no instance", got(inotify_rm_watch(plain, 1)));
    put("file", "x");
    symlink("file", "link");
    symlink("missing", "broken");
    TRY("file as folder", got(inotify_add_watch(fd, "file", IN_MODIFY | IN_ONLYDIR)));
    TRY("link", got(inotify_add_watch(fd, "link", IN_MODIFY)));
    TRY("file, the same", got(inotify_add_watch(fd, "file", IN_MODIFY)));
    TRY("file, if new", got(inotify_add_watch(fd, "file", IN_MODIFY | IN_MASK_CREATE)));
    TRY("link itself", got(inotify_add_watch(fd, "link", IN_MODIFY | IN_DONT_FOLLOW)));
    TRY("broken", got(inotify_add_watch(fd, "broken", IN_MODIFY)));
    TRY("broken itself", got(inotify_add_watch(fd, "broken", IN_MODIFY | IN_DONT_FOLLOW)));
    TRY("folder", got(inotify_add_watch(fd, ".", IN_MODIFY | IN_ONLYDIR)));
    put("secret", "x");
    chmod("secret", 0);
    say("secret: %d", (inotify_add_watch(fd, "secret", IN_MODIFY) < 0) == (access("secret", R_OK) < 0));
    TRY("write", raw(SYS_write, fd, "x", 1));
    TRY("lseek", got(lseek(fd, 0, SEEK_SET)));
    TRY("pread", got(pread(fd, &s, 1, 0)));
    TRY("mmap", mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -errno : 0);
    TRY("rm", got(inotify_rm_watch(fd, 1)));
    TRY("rm again", got(inotify_rm_watch(fd, 1)));
    int unread = -1;
    TRY("unread", got(ioctl(fd, FIONREAD, &unread)));
    TRY("bytes", unread);
    char small[20];
    TRY("small", raw(SYS_read, fd, small, 15));
    TRY("enough", raw(SYS_read, fd, small, 16));
    char target[64] = {0}, path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (readlink(path, target, sizeof target - 1) > 0)
        say("link to %s", target);
}

static void contents(void) {
    char text[20];
    struct iovec vector = {text, 5};
    begin(IN_ALL_EVENTS);
    int fd = open("folder/file", O_CREAT | O_RDWR, 0644);
    events("made");
    TRY("write", got(write(fd, "12345", 5)));
    TRY("write", got(write(fd, "12345", 5)));
    TRY("write", got(writev(fd, &vector, 1)));
    events("written, thrice");
    TRY("nothing", got(write(fd, "", 0)));
    TRY("read", got(pread(fd, text, 5, 0)));
    TRY("read", raw(SYS_preadv2, fd, &vector, 1, 0, 0, 0));
    TRY("write", got(pwrite(fd, "1", 1, 3)));
    TRY("read", got(pread(fd, text, 5, 0)));
    TRY("the end", got(pread(fd, text, 5, 99)));
    events("read and written");
    TRY("truncate", got(ftruncate(fd, 3)));
    TRY("truncate", got(truncate("folder/file", 9)));
    TRY("allocate", got(fallocate(fd, 0, 0, 4096)));
    events("resized");
    struct stat s;
    fstat(fd, &s);
    stat("folder", &s);
    events("looked at");
    int copy = dup(fd);
    TRY("close", got(close(fd)));
    events("closed, but for a copy");
    TRY("close", got(close(copy)));
    events("closed");
    fd = open("folder/file", O_RDONLY);
    int other = open("folder/other", O_CREAT | O_WRONLY | O_TRUNC, 0600);
    TRY("sendfile", got(sendfile(other, fd, 0, 9)));
    off_t at = 0;
    TRY("copy", raw(SYS_copy_file_range, fd, &at, other, 0, 9, 0));
    close(fd), close(other);
    events("copied");
    fd = open("folder/file", O_RDWR | O_TRUNC);
    close(fd);
    events("emptied");
    int path = open("folder/file", O_PATH);
    events("opened for its path");
    close(path);
}

static void names_of_things(void) {
    begin(IN_ALL_EVENTS);
    mkdir("elsewhere", 0755);
    TRY("watch", got(inotify_add_watch(watches, "elsewhere", IN_ALL_EVENTS)));
    TRY("mkdir", got(mkdir("folder/inner", 0755)));
    TRY("mkfifo", got(mkfifo("folder/fifo", 0644)));
    TRY("symlink", got(symlink("nothing", "folder/link")));
    put("folder/file", "x");
    TRY("link", got(link("folder/file", "elsewhere/file")));
    events("made");
    TRY("rename", got(rename("folder/file", "folder/a longer name than sixteen bytes")));
    events("renamed");
    TRY("rename", got(rename("folder/inner", "elsewhere/inner")));
    events("a folder moved");
    TRY("exchange", got(syscall(SYS_renameat2, AT_FDCWD, "folder/link", AT_FDCWD, "elsewhere/file", 2)));
    events("exchanged");
    put("folder/new", "x");
    put("elsewhere/old", "x");
    events("two more");
    TRY("rename", got(rename("folder/new", "elsewhere/old")));
    events("one instead of the other");
    TRY("rename", got(rename("elsewhere/old", "old")));
    TRY("rename", got(rename("old", "folder/old")));
    events("out and in");
    TRY("rmdir", got(rmdir("elsewhere/inner")));
    TRY("unlink", got(unlink("folder/fifo")));
    TRY("unlink of nothing", got(unlink("folder/fifo")));
    events("removed");
    int list = open("folder", O_RDONLY | O_DIRECTORY);
    char room[1024];
    TRY("list", raw(SYS_getdents64, list, room, sizeof room) > 0);
    TRY("list", raw(SYS_getdents64, list, room, sizeof room));
    close(list);
    events("listed");
    int address = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {AF_UNIX, "folder/socket"};
    TRY("bind", got(bind(address, (void *)&name, sizeof name)));
    events("a socket");
}

static void attributes(void) {
    struct timespec both[2] = {{100, 0}, {200, 0}}, second[2] = {{0, UTIME_OMIT}, {300, 0}};
    begin(IN_ALL_EVENTS);
    put("folder/file", "x");
    TRY("watch", got(inotify_add_watch(watches, "folder/file", IN_ALL_EVENTS)));
    events("made");
    TRY("chmod", got(chmod("folder/file", 0600)));
    events("mode");
    TRY("utimensat", got(utimensat(AT_FDCWD, "folder/file", both, 0)));
    events("both times");
    TRY("utimensat", got(utimensat(AT_FDCWD, "folder/file", second, 0)));
    events("one time");
    TRY("utime", got(utime("folder/file", 0)));
    events("now");
    TRY("chmod", got(chmod("folder", 0700)));
    events("the folder's");
    int fd = open("folder/file", O_RDWR);
    TRY("fchmod", got(fchmod(fd, 0640)));
    TRY("fchown", got(fchown(fd, -1, -1)));
    TRY("fchown", got(fchown(fd, getuid(), getgid())));
    close(fd);
    events("by descriptor");
}

static void ends(void) {
    begin(IN_ALL_EVENTS);
    put("folder/file", "x");
    TRY("watch", got(inotify_add_watch(watches, "folder/file", IN_ALL_EVENTS)));
    events("made");
    TRY("unlink", got(unlink("folder/file")));
    events("gone");
    put("folder/file", "x");
    TRY("watch", got(inotify_add_watch(watches, "folder/file", IN_ALL_EVENTS)));
    int fd = open("folder/file", O_RDWR);
    events("another");
    TRY("unlink", got(unlink("folder/file")));
    events("gone, but open");
    TRY("write", got(write(fd, "x", 1)));
    events("written");
    TRY("close", got(close(fd)));
    events("closed");
    put("folder/file", "x");
    put("folder/old", "x");
    TRY("watch", got(inotify_add_watch(watches, "folder/file", IN_ALL_EVENTS)));
    TRY("watch", got(inotify_add_watch(watches, "folder/old", IN_ALL_EVENTS)));
    TRY("rename", got(rename("folder/file", "folder/old")));
    events("moved onto another");
    TRY("rm", got(inotify_rm_watch(watches, 4)));
    events("not watched any more");
    TRY("unlink", got(unlink("folder/old")));
    TRY("rename", got(rename("folder", "moved")));
    events("the folder moved");
    TRY("rmdir", got(rmdir("moved")));
    events("the folder is gone");
    mkdir("folder", 0755);
    TRY("watch", got(inotify_add_watch(watches, "folder", IN_CREATE | IN_EXCL_UNLINK)));
    close(watches);
}

static void masks(void) {
    begin(IN_CREATE | IN_ONESHOT);
    put("folder/one", "x");
    put("folder/two", "x");
    events("once");
    TRY("watch", got(inotify_add_watch(watches, "folder", IN_ATTRIB | IN_ONESHOT)));
    put("folder/three", "x");
    mkdir("folder/inner", 0755);
    events("not yet");
    chmod("folder/three", 0600);
    chmod("folder/three", 0644);
    events("now");
    TRY("watch", got(inotify_add_watch(watches, "folder", IN_MOVE | IN_ONESHOT)));
    rename("folder/one", "folder/four");
    events("half of a renaming");
    TRY("watch", got(inotify_add_watch(watches, "folder", IN_CREATE)));
    TRY("more", got(inotify_add_watch(watches, "folder", IN_DELETE | IN_MASK_ADD)));
    put("folder/five", "x");
    unlink("folder/five");
    events("both");
    TRY("instead", got(inotify_add_watch(watches, "folder", IN_CLOSE_WRITE)));
    put("folder/five", "x");
    unlink("folder/five");
    events("one");
    TRY("without what is gone", got(inotify_add_watch(watches, "folder", IN_MODIFY | IN_EXCL_UNLINK)));
    int fd = open("folder/six", O_CREAT | O_RDWR, 0644);
    TRY("write", got(write(fd, "x", 1)));
    unlink("folder/six");
    TRY("write", got(write(fd, "x", 1)));
    events("before it was unlinked");
    close(fd);
    int other = inotify_init1(IN_NONBLOCK);
    TRY("another", got(inotify_add_watch(other, "folder", IN_ALL_EVENTS)));
    put("folder/seven", "x");
    events("the first");
    close(watches);
    watches = other;
    events("the second");
}

static void overflow(void) {
    begin(IN_ATTRIB);
    put("folder/a", "x"), put("folder/b", "x");
    for (int i = 0; i < 9000; i++)
        if (chmod("folder/a", 0600) || chmod("folder/b", 0600))
            abort();
    int unread = 0;
    ioctl(watches, FIONREAD, &unread);
    say("%d bytes", unread);
    static char buffer[32 * 16384];
    TRY("all that fit", raw(SYS_read, watches, buffer, sizeof buffer));
    events("the rest");
    chmod("folder/a", 0600);
    events("room again");
}

/* Who waits is woken. */
static void waiting(void) {
    int status;
    begin(IN_ALL_EVENTS & ~IN_ACCESS);
    fcntl(watches, F_SETFL, 0);
    int loop = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.fd = watches}};
    TRY("epoll", got(epoll_ctl(loop, EPOLL_CTL_ADD, watches, &event)));
    TRY("nothing", got(epoll_wait(loop, &event, 1, 0)));
    if (fork() == 0) {
        pass_time(20 * MS);
        put("folder/file", "x");
        pass_time(20 * MS);
        rename("folder/file", "folder/other");
        pass_time(20 * MS);
        int fd = open("folder/other", O_RDWR);
        if (write(fd, "y", 1) != 1)
            abort();
        pass_time(20 * MS);
        mkdir("folder/inner", 0755);
        pass_time(20 * MS);
        _exit(0);
    }
    TRY("epoll", got(epoll_wait(loop, &event, 1, 5000)));
    pass_time(10 * MS);
    events("made");
    struct pollfd poll_for = {watches, POLLIN, 0};
    TRY("poll", got(poll(&poll_for, 1, 5000)));
    pass_time(10 * MS);
    events("renamed");
    TRY("poll", got(poll(&poll_for, 1, 5000)));
    pass_time(10 * MS);
    events("written");
    events("a folder, waited for");
    wait(&status);
    events("closed by its end");
    if (fork() == 0) {
        int fd = open("folder/other", O_RDONLY);
        dup2(fd, 50);
        dup2(fd, 51);
        close(fd);
        pass_time(10 * MS);
        raw(SYS_close_range, 50, 50, 0);
        pass_time(10 * MS);
        execl("/bin/true", "true", (char *)0);
        _exit(1);
    }
    wait(&status);
    fcntl(watches, F_SETFL, O_NONBLOCK);
    events("three descriptors of one file");
    TRY("epoll, nothing", got(epoll_wait(loop, &event, 1, 0)));
    if (fork() == 0) {
        TRY("the child's", got(inotify_add_watch(watches, ".", IN_CREATE)));
        put("new", "x");
        _exit(0);
    }
    wait(&status);
    events("what the child watches, too");
}

static const struct part parts[] = {
    {"errors", errors}, {"contents", contents}, {"names", names_of_things}, {"attributes", attributes},
    {"ends", ends}, {"masks", masks}, {"overflow", overflow}, {"waiting", waiting}, {0},
};

int main(int argc, char **argv) { return run_part(parts, argc, argv); }
