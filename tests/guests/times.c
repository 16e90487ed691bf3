/* Times of files: which of them each operation changes, whichever call asks.
 *
 * Nothing comes in; for each operation a line with the times that it changed goes out: `m` contents, `c`
 * inode, `b` creation, for the file and for its folder. Always true: a time that changed lies between the
 * clock before and after the operation, and stat, lstat, fstat and statx agree. Access times are not
 * shown, but where they are set: natively they depend on how the file system is mounted. */
#include "check.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* The real kernel stamps files with the time of the last tick. */
#define TICK INT64_C(20000000)

struct times { int64_t accessed, modified, changed, created; };

static int64_t ns(struct timespec t) { return t.tv_sec * INT64_C(1000000000) + t.tv_nsec; }
static int64_t ns_of(struct statx_timestamp t) { return t.tv_sec * INT64_C(1000000000) + t.tv_nsec; }
static struct times of(const struct stat *s) {
    return (struct times){ns(s->st_atim), ns(s->st_mtim), ns(s->st_ctim), 0};
}

static void same(const char *which, struct times a, struct times b) {
    if (a.accessed != b.accessed || a.modified != b.modified || a.changed != b.changed)
        say("  %s differs: %d %d %d", which, a.accessed != b.accessed, a.modified != b.modified,
            a.changed != b.changed);
}

static struct times look(int fd, const char *path) {
    struct statx x;
    struct stat s;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &x) != 0)
        abort();
    struct times found = {ns_of(x.stx_atime), ns_of(x.stx_mtime), ns_of(x.stx_ctime), ns_of(x.stx_btime)};
    if (fstat(fd, &s) != 0)
        abort();
    same("fstat", found, of(&s));
    if (path) {
        if (stat(path, &s) != 0)
            abort();
        same("stat", found, of(&s));
        if (lstat(path, &s) != 0)
            abort();
        same("lstat", found, of(&s));
        if (fstatat(AT_FDCWD, path, &s, 0) != 0)
            abort();
        same("fstatat", found, of(&s));
    }
    return found;
}

static int folder;
static struct times file_was, folder_was;
static int64_t before;

/* From here on, changes count. Time passes, so that they can be told apart. */
static void start(int fd, const char *path) {
    if (fd >= 0)
        file_was = look(fd, path);
    folder_was = look(folder, ".");
    pass_time(2 * TICK);
    before = clock_ns(CLOCK_REALTIME);
}

static const char *one(int64_t was, int64_t is, const char *letter) {
    if (was == is)
        return "";
    if (is < before - TICK || is > clock_ns(CLOCK_REALTIME))
        return "?";
    return letter;
}

static void changed(const char *what, int fd, const char *path) {
    struct times now = file_was, around = look(folder, ".");
    if (fd >= 0)
        now = look(fd, path);
    say("%s: file %s%s%s folder %s%s", what, one(file_was.modified, now.modified, "m"),
        one(file_was.changed, now.changed, "c"), one(file_was.created, now.created, "b"),
        one(folder_was.modified, around.modified, "m"), one(folder_was.changed, around.changed, "c"));
}

#define STEP(what, fd, path, call) \
    do { \
        start(fd, path); \
        if ((call) < 0) \
            say("%s failed: %d", what, errno); \
        changed(what, fd, path); \
    } while (0)

static void contents(void) {
    file_was = (struct times){0};
    start(-1, NULL);
    int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0644);
    changed("create", fd, "f");
    struct times t = look(fd, "f");
    say("all of one instant: %d %d", t.accessed == t.modified, t.modified == t.changed);
    STEP("write", fd, "f", write(fd, "hello", 5));
    STEP("write nothing", fd, "f", write(fd, "", 0));
    STEP("pwrite", fd, "f", pwrite(fd, "J", 1, 0));
    STEP("writev", fd, "f", writev(fd, &(struct iovec){"abc", 3}, 1));
    STEP("lseek", fd, "f", lseek(fd, 0, SEEK_SET));
    STEP("ftruncate", fd, "f", ftruncate(fd, 3));
    STEP("truncate", fd, "f", truncate("f", 30));
    STEP("fallocate", fd, "f", fallocate(fd, 0, 0, 100));
    STEP("open again", fd, "f", close(open("f", O_RDWR)));
    STEP("open to truncate", fd, "f", close(open("f", O_WRONLY | O_TRUNC)));
    STEP("open to truncate and read", fd, "f", close(open("f", O_RDONLY | O_TRUNC)));
    STEP("creat", fd, "f", close(creat("f", 0600)));
    int more = open("f", O_WRONLY | O_APPEND);
    STEP("append", fd, "f", write(more, "more", 4));
    int copy = dup(more);
    close(more);
    STEP("through a duplicate", fd, "f", write(copy, "more", 4));
    int high = dup2(copy, 100);
    close(copy);
    STEP("through dup2", fd, "f", write(high, "more", 4));
    int other = fcntl(high, F_DUPFD, 50);
    STEP("through F_DUPFD", fd, "f", write(other, "more", 4));
    close(high);

    /* The time of a write is its own, not that of the close. */
    start(fd, "f");
    write(other, "late", 4);
    struct times written = look(fd, "f");
    pass_time(2 * TICK);
    close(other);
    struct times closed = look(fd, "f");
    say("close keeps the time of the write: %d %d", written.modified == closed.modified,
        written.changed == closed.changed);
    start(-1, NULL);
    other = open("late", O_WRONLY | O_CREAT, 0600);
    write(other, "late", 4);
    int64_t after = clock_ns(CLOCK_REALTIME);
    pass_time(2 * TICK);
    close(other);
    struct stat s;
    if (stat("late", &s) != 0)
        abort();
    say("also unseen: %d", ns(s.st_mtim) >= before - TICK && ns(s.st_mtim) <= after);

    int from = open("g", O_RDWR | O_CREAT, 0600);
    write(from, "0123456789", 10);
    off_t at = 0;
    STEP("copy_file_range", fd, "f", copy_file_range(from, &at, fd, NULL, 10, 0));
    at = 0;
    STEP("sendfile", fd, "f", raw(SYS_sendfile, fd, from, &at, 10));
    close(from);
    start(fd, "f");
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    map[0] = 'X';
    msync(map, 4096, MS_SYNC);
    munmap(map, 4096);
    changed("shared mapping", fd, "f");
    close(fd);
}

static void entries(void) {
    int fd = open("f", O_RDWR);
    STEP("rename", fd, NULL, rename("f", "h"));
    STEP("link", fd, "h", link("h", "i"));
    STEP("unlink", fd, "h", unlink("i"));
    STEP("chmod", fd, "h", chmod("h", 0640));
    STEP("fchmod", fd, "h", fchmod(fd, 0600));
    STEP("chown to the same", fd, "h", chown("h", getuid(), getgid()));
    ssize_t written = pwrite(fd, "y", 1, 0);
    pass_time(2 * TICK);
    int result = fchmod(fd, 0600);
    struct times last = look(fd, "h");
    say("written: %zd, changed %d: %s", written, result, last.changed > last.modified ? "later" : "not later");
    STEP("symlink", fd, "h", symlink("h", "s"));
    STEP("chmod through a link", fd, "h", chmod("s", 0644));
    STEP("rename over", fd, NULL, rename("s", "h"));
    STEP("fchmod without a name", fd, NULL, fchmod(fd, 0600));
    STEP("mkdir", -1, NULL, mkdir("d", 0755));
    STEP("mkdir again", -1, NULL, mkdir("d", 0755));
    int inner = open("d", O_RDONLY | O_DIRECTORY);
    STEP("create in the folder", inner, "d", close(openat(inner, "x", O_CREAT | O_WRONLY, 0600)));
    STEP("unlinkat", inner, "d", unlinkat(inner, "x", 0));
    STEP("rmdir", inner, NULL, rmdir("d"));
    STEP("mknod", -1, NULL, mknod("n", S_IFREG | 0600, 0));
    STEP("mkfifo", -1, NULL, mkfifo("p", 0600));
    struct stat link;
    start(-1, NULL);
    symlink("nowhere", "l");
    lstat("l", &link);
    say("link: %s%s", one(0, ns(link.st_mtim), "m"), one(0, ns(link.st_ctim), "c"));
    close(inner);
    close(fd);
}

static void nameless(void) {
    int fd;
    file_was = (struct times){0};
    start(-1, NULL);
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0) {
        changed("O_TMPFILE", fd, NULL);
        STEP("write to it", fd, NULL, write(fd, "x", 1));
        close(fd);
    } else {
        say("O_TMPFILE failed: %d", errno);
    }
    file_was = (struct times){0};
    start(-1, NULL);
    fd = memfd_create("memory", 0);
    changed("memfd", fd, NULL);
    STEP("write to it", fd, NULL, write(fd, "x", 1));
    STEP("chmod it", fd, NULL, fchmod(fd, 0600));
    close(fd);
}

static void show(const char *what, int fd, const char *path) {
    struct times now = look(fd, path);
    const int64_t second = 1000000000;
    say("%s: %s %lld.%09lld %lld.%09lld", what, one(file_was.changed, now.changed, "c"),
        (long long)(now.accessed / second), (long long)(now.accessed % second),
        (long long)(now.modified / second), (long long)(now.modified % second));
}

static void set(void) {
    int fd = open("t", O_CREAT | O_RDWR, 0600);
    const struct timespec both[2] = {{1000000001, 100}, {1000000002, 200}};
    const struct timespec future[2] = {{4102444800, 5}, {4102444801, 6}};
    const struct timespec second[2] = {{0, UTIME_OMIT}, {5, 7}}, first[2] = {{6, 8}, {0, UTIME_OMIT}};
    const struct timespec none[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    const struct timespec odd[2] = {{0, 1000000000}, {0, 0}}, old[2] = {{-5, 1}, {-6, 2}};
    const struct timespec now[2] = {{6, UTIME_NOW}, {6, UTIME_NOW}}, mixed[2] = {{9, 9}, {0, UTIME_NOW}};
    start(fd, "t"), utimensat(AT_FDCWD, "t", both, 0), show("utimensat", fd, "t");
    start(fd, "t"), futimens(fd, future), show("futimens into the future", fd, "t");
    start(fd, "t"), utimensat(AT_FDCWD, "t", second, 0), show("the second", fd, "t");
    start(fd, "t"), utimensat(AT_FDCWD, "t", first, 0), show("the first", fd, "t");
    start(fd, "t"), utimensat(AT_FDCWD, "t", none, 0), show("none", fd, "t");
    start(fd, "t"), utimensat(AT_FDCWD, "t", old, 0);
    struct stat s;
    stat("t", &s);
    say("before 1970: %lld %lld", (long long)s.st_atim.tv_sec, (long long)s.st_mtim.tv_sec);
    say("odd = %ld", got(utimensat(AT_FDCWD, "t", odd, 0)));
    say("missing = %ld", got(utimensat(AT_FDCWD, "gone", none, 0)));
    say("missing = %ld", got(utimensat(AT_FDCWD, "gone", both, 0)));
    STEP("now", fd, "t", utimensat(AT_FDCWD, "t", now, 0));
    STEP("now without times", fd, "t", utimensat(AT_FDCWD, "t", NULL, 0));
    STEP("half now", fd, "t", utimensat(AT_FDCWD, "t", mixed, 0));
    say("the other half: %lld", (long long)look(fd, "t").accessed);
    symlink("t", "u");
    start(fd, "t"), utimensat(AT_FDCWD, "u", both, AT_SYMLINK_NOFOLLOW), changed("of the link", fd, "t");
    lstat("u", &s);
    say("the link's: %lld", (long long)s.st_mtim.tv_sec);
    start(fd, "t"), utimensat(AT_FDCWD, "u", both, 0), show("through the link", fd, "t");
    start(fd, "t"), write(fd, "x", 1), utimensat(AT_FDCWD, "t", both, 0), close(fd);
    fd = open("t", O_RDWR);
    show("set after a write, then closed", fd, "t");
    say("utime = %ld", raw(SYS_utime, "t", &(long[2]){77, 78}));
    show("utime", fd, "t");
    say("utimes = %ld", raw(SYS_utimes, "t", &(long[4]){79, 5, 80, 6}));
    show("utimes", fd, "t");
    say("utimes odd = %ld", raw(SYS_utimes, "t", &(long[4]){79, 1000000, 80, 6}));
    close(fd);
}

int main(void) {
    folder = open(".", O_RDONLY | O_DIRECTORY);
    contents();
    entries();
    nameless();
    set();
    return 0;
}
