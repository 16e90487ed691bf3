/* Pipes by name in /proc/self/fd and /dev/fd, and the calls that only files understand.
 *
 * The part to show comes in; a line for each call goes out. Always true: numbers of inodes are not shown,
 * only whether they agree. What the calls do with plain files is tested elsewhere. */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#define TRY(name, call) say(name " = %ld", (long)(call))

static char text[5000];
static int fds[2];

static void show_link(const char *folder, int fd) {
    char path[100], target[100] = "", expected[100];
    struct stat s = {0};
    snprintf(path, sizeof path, "%s/%d", folder, fd);
    long length = got(readlink(path, target, sizeof target - 1));
    fstat(fd, &s);
    snprintf(expected, sizeof expected, "pipe:[%lu]", (unsigned long)s.st_ino);
    say("%s: %.6s, its inode %d, length %d", path, target, strcmp(target, expected) == 0,
        length == (long)strlen(expected));
    say("shorter = %ld", got(readlink(path, target, 4)));
}

static int by_number(const void *one, const void *other) { return *(const int *)one - *(const int *)other; }

static void show_folder(const char *path) {
    int found[64], count = 0, odd = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        say("%s = %d", path, -errno);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL && count < 64) {
        if (entry->d_name[0] == '.')
            continue;
        odd += entry->d_type != DT_LNK;
        found[count] = atoi(entry->d_name);
        count += found[count] > 2;
    }
    qsort(found, count, sizeof *found, by_number);
    char line[300] = "";
    int length = 0;
    for (int i = 0; i < count; i++)
        length += snprintf(line + length, sizeof line - length, " %d", found[i]);
    say("%s:%s, odd %d", path, line, odd);
    closedir(folder);
}

static void links(void) {
    show_link("/proc/self/fd", fds[0]);
    show_link("/proc/self/fd", fds[1]);
    show_link("/dev/fd", fds[1]);
    char own[50];
    snprintf(own, sizeof own, "/proc/%d/fd", getpid());
    snprintf(text, sizeof text, "%s/%d", own, fds[0]);
    char target[50] = "";
    TRY("by its number", got(readlink(text, target, sizeof target)) > 6);
    say("got %.6s", target);
    struct stat one, other;
    say("stat = %ld, lstat = %ld", got(stat("/proc/self/fd/3", &one)), got(lstat("/proc/self/fd/3", &other)));
    say("mode %o, of the link %o", one.st_mode, other.st_mode);
    fstat(fds[0], &other);
    say("same inode %d", one.st_ino == other.st_ino && one.st_dev == other.st_dev);
    lstat("/proc/self/fd/4", &other);
    say("mode of the writer's %o", other.st_mode);
    TRY("none", got(readlink("/proc/self/fd/99", text, 100)));
    TRY("no number", got(readlink("/proc/self/fd/x", text, 100)));
    TRY("access", got(access("/proc/self/fd/3", R_OK)));
}

static void listings(void) {
    int more[2];
    show_folder("/proc/self/fd");
    pipe(more);
    show_folder("/proc/self/fd");
    close(fds[1]);
    dup2(fds[0], 20);
    show_folder("/dev/fd");
    raw(SYS_close_range, 3, ~0u, 0);
    show_folder("/proc/self/fd");
}

static void reopened(void) {
    int writer = open("/proc/self/fd/3", O_WRONLY), reader = open("/dev/fd/4", O_RDONLY | O_NONBLOCK);
    say("a writer %d, a reader %d", writer, reader);
    say("status flags %o %o", fcntl(writer, F_GETFL) & 0777777, fcntl(reader, F_GETFL) & 0777777);
    TRY("write", raw(SYS_write, writer, "through", 7));
    TRY("read", raw(SYS_read, reader, text, 100));
    say("got %.7s", text);
    TRY("has its own flags", raw(SYS_read, reader, text, 100));
    say("status flags of the first %o", fcntl(fds[0], F_GETFL));
    int both = open("/proc/self/fd/3", O_RDWR | O_CLOEXEC);
    say("both ends %d, flags %d", both, fcntl(both, F_GETFD));
    TRY("write to both", raw(SYS_write, both, "itself", 6));
    TRY("read from both", raw(SYS_read, both, text, 100));
    close(fds[1]), close(writer);
    TRY("both is a writer too", raw(SYS_read, reader, text, 100));
    close(both);
    TRY("the last has gone", raw(SYS_read, reader, text, 100));
    TRY("it has a writer again", got(open("/proc/self/fd/3", O_WRONLY | O_NONBLOCK)));
    TRY("read", raw(SYS_read, reader, text, 100));
    TRY("as a folder", got(open("/proc/self/fd/3", O_RDONLY | O_DIRECTORY)));
    TRY("not through the link", got(open("/proc/self/fd/3", O_RDONLY | O_NOFOLLOW)));
    TRY("new only", got(open("/proc/self/fd/3", O_RDWR | O_CREAT | O_EXCL, 0600)));
    TRY("created", got(open("/proc/self/fd/3", O_RDWR | O_CREAT | O_TRUNC, 0600)));
    TRY("none", got(open("/dev/fd/99", O_RDONLY)));
    int path = open("/proc/self/fd/3", O_PATH);
    TRY("a path", raw(SYS_read, path, text, 1));
    TRY("/dev/stdin", got(open("/dev/stdin", O_RDONLY)) > 2);
}

/* What a pipe does not do. */
static void not_a_file(void) {
    struct stat s;
    struct statfs fs;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct iovec part = {text, 10};
    struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    TRY("lseek", got(lseek(fds[0], 0, SEEK_SET)));
    TRY("lseek odd", got(lseek(fds[0], 0, 77)));
    TRY("pread", got(pread(fds[0], text, 10, 0)));
    TRY("pwrite", got(pwrite(fds[1], text, 10, 0)));
    TRY("pread below", got(pread(fds[0], text, 10, -1)));
    TRY("preadv", got(preadv(fds[0], &part, 1, 0)));
    TRY("pwritev", got(pwritev(fds[1], &part, 1, 0)));
    TRY("pwritev2 with odd flags", raw(SYS_pwritev2, fds[1], &part, 1, -1L, -1L, 1 << 20));
    TRY("mmap", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fds[0], 0) == MAP_FAILED ? -errno : 0);
    TRY("ftruncate", got(ftruncate(fds[1], 0)));
    TRY("fsync", got(fsync(fds[1])));
    TRY("fdatasync", got(fdatasync(fds[1])));
    TRY("sync_file_range", raw(SYS_sync_file_range, fds[1], 0L, 0L, 0));
    TRY("posix_fadvise", raw(SYS_fadvise64, fds[0], 0L, 0L, POSIX_FADV_WILLNEED));
    TRY("readahead", raw(SYS_readahead, fds[0], 0L, 4096L));
    TRY("fallocate", raw(SYS_fallocate, fds[1], 0, 0L, 10L));
    TRY("flock", got(flock(fds[0], LOCK_SH | LOCK_NB)));
    TRY("flock other end", got(flock(fds[1], LOCK_EX | LOCK_NB)));
    TRY("unlock", got(flock(fds[0], LOCK_UN)));
    TRY("write lock of a writer", got(fcntl(fds[1], F_SETLK, &lock)));
    TRY("write lock of a reader", got(fcntl(fds[0], F_SETLK, &lock)));
    TRY("lock at a bad address", got(fcntl(fds[1], F_SETLK, (void *)8)));
    TRY("lease", got(fcntl(fds[0], F_SETLEASE, F_RDLCK)));
    TRY("notice", got(fcntl(fds[0], F_NOTIFY, 1)));
    TRY("seals", got(fcntl(fds[0], F_GET_SEALS)));
    TRY("add seals", got(fcntl(fds[0], F_ADD_SEALS, 0)));
    TRY("bad signal", got(fcntl(fds[0], F_SETSIG, 100)));
    TRY("fchdir", got(fchdir(fds[0])));
    TRY("getdents", raw(SYS_getdents64, fds[0], text, 1000));
    TRY("below it", got(openat(fds[0], "x", O_RDONLY)));
    TRY("fstatfs", got(fstatfs(fds[0], &fs)));
    say("type %lx, block %ld", (long)fs.f_type, (long)fs.f_bsize);
    TRY("itself by an empty path", raw(SYS_newfstatat, fds[0], "", &s, AT_EMPTY_PATH));
    say("mode %o", s.st_mode);
    TRY("futimens", got(futimens(fds[0], now)));
    TRY("execveat", raw(SYS_execveat, fds[0], "", NULL, NULL, AT_EMPTY_PATH));
    TRY("attributes", raw(SYS_fgetxattr, fds[0], "user.x", text, 10L));
    TRY("read to a bad address", raw(SYS_read, fds[0], (void *)8, 1));
    write(fds[1], "abcdef", 6);
    TRY("read to a bad address", raw(SYS_read, fds[0], (void *)8, 3));
    TRY("write from a bad address", raw(SYS_write, fds[1], (void *)8, 3));
    TRY("read", raw(SYS_read, fds[0], text, 100));
    say("got %.6s", text);
    char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(edge + 4096, 4096);
    memcpy(edge + 4092, "half", 4);
    TRY("write over an edge", raw(SYS_write, fds[1], edge + 4092, 8));
    TRY("left", raw(SYS_read, fds[0], text, 100));
    write(fds[1], "12345678", 8);
    TRY("read over an edge", raw(SYS_read, fds[0], edge + 4092, 8));
    TRY("left", raw(SYS_read, fds[0], text, 100));
}

int main(int count, char **words) {
    const struct part parts[] = {{"links", links}, {"listings", listings}, {"reopened", reopened}, {"not a file", not_a_file},
                                 {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    pipe2(fds, 0);
    if (strcmp(words[count - 1], "not a file") == 0)
        fcntl(fds[0], F_SETFL, O_NONBLOCK);
    return run_part(parts, count, words);
}
