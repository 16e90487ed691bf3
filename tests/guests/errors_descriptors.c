/* What pipe, dup, fcntl, close, close_range, eventfd and flock refuse: a case for each line of their pages.
 *
 * A part's name comes in, lines go out. Always true: what is refused for every descriptor is tried with a file's
 * and with those of a pipe and an epoll instance. Left out: ENFILE, ENOLCK and EDQUOT, which need a system without
 * room, EBUSY of dup2, which needs a race, and EMFILE of close_range, which needs a lowered nr_open. */
#include "errors.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>

#ifndef O_NOTIFICATION_PIPE
#define O_NOTIFICATION_PIPE O_EXCL
#endif
#ifndef F_SET_RW_HINT
#define F_SET_RW_HINT 1036
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 1
#define F_SEAL_WRITE 8
#endif
#ifndef MFD_ALLOW_SEALING
#define MFD_ALLOW_SEALING 2
#endif
#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif
#define F_SETOWN_EX_ 15

static int fds[2];

static void pipes(void) {
    FAILS(EFAULT, raw(SYS_pipe, NULL));
    FAILS(EFAULT, raw(SYS_pipe, nowhere));
    FAILS(EFAULT, raw(SYS_pipe2, nowhere, O_CLOEXEC));
    FAILS(EINVAL, pipe2(fds, 1));
    FAILS(EINVAL, pipe2(fds, O_APPEND));
    FAILS(EINVAL, pipe2(fds, O_CLOEXEC | O_CREAT));
    FAILS(EINVAL, raw(SYS_pipe2, nowhere, O_SYNC));
    WITHOUT_ROOM(FAILS(EMFILE, pipe(fds)));
    WITHOUT_ROOM(FAILS(EMFILE, pipe2(fds, O_CLOEXEC)));
    WITHOUT_ROOM(FAILS(EINVAL, pipe2(fds, -1)));
    /* One number is free, two are needed. */
    struct rlimit one = {4, 4096};
    WORKS(setrlimit(RLIMIT_NOFILE, &one));
    FAILS(EMFILE, pipe(fds));
    FAILS(EBADF, fcntl(3, F_GETFD));
}

static void copies_of(const char *name, int fd) {
    say("- %s", name);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    FAILS(EBADF, dup2(fd, -1));
    FAILS(EBADF, dup2(fd, (int)limit.rlim_cur));
    FAILS(EBADF, raw(SYS_dup3, fd, -1, 0));
    FAILS(EBADF, raw(SYS_dup3, fd, (int)limit.rlim_cur, O_CLOEXEC));
    FAILS(EINVAL, raw(SYS_dup3, fd, 50, 1));
    FAILS(EINVAL, raw(SYS_dup3, fd, 50, O_CLOEXEC | O_NONBLOCK));
    FAILS(EINVAL, raw(SYS_dup3, fd, fd, 0));
    FAILS(EINVAL, raw(SYS_dup3, fd, fd, O_CLOEXEC));
    FAILS(EINVAL, fcntl(fd, F_DUPFD, -1));
    FAILS(EINVAL, fcntl(fd, F_DUPFD, limit.rlim_cur));
    FAILS(EINVAL, fcntl(fd, F_DUPFD_CLOEXEC, limit.rlim_cur));
    WITHOUT_ROOM(FAILS(EMFILE, dup(fd)));
    WITHOUT_ROOM(FAILS(EBADF, dup2(fd, 50)));
    WITHOUT_ROOM(FAILS(EINVAL, fcntl(fd, F_DUPFD, 0)));
    limit.rlim_cur = 20;
    IN_CHILD(
        WORKS(setrlimit(RLIMIT_NOFILE, &limit));
        while (dup(fd) >= 0);
        FAILS(EMFILE, fcntl(fd, F_DUPFD, 0));
        FAILS(EMFILE, fcntl(fd, F_DUPFD_CLOEXEC, 19));
        FAILS(EMFILE, dup(fd)));
}

static void copies(void) {
    FAILS(EBADF, dup(-1));
    FAILS(EBADF, dup(CLOSED));
    FAILS(EBADF, dup(1 << 20));
    FAILS(EBADF, dup2(CLOSED, 50));
    FAILS(EBADF, dup2(CLOSED, CLOSED));
    FAILS(EBADF, dup2(-1, -1));
    FAILS(EBADF, raw(SYS_dup3, CLOSED, 50, 0));
    FAILS(EINVAL, raw(SYS_dup3, CLOSED, CLOSED, 0));
    FAILS(EINVAL, raw(SYS_dup3, CLOSED, 50, -1));
    FAILS(EBADF, fcntl(CLOSED, F_DUPFD, 0));
    FAILS(EBADF, fcntl(CLOSED, F_DUPFD, -1));
    WORKS(pipe(fds));
    copies_of("file", new_file("file", O_RDWR, 0600));
    copies_of("pipe", fds[0]);
    copies_of("epoll", epoll_create1(0));
}

/* What guests have for what is not a file only. */
static void owners_of(int fd) {
    FAILS(EINVAL, fcntl(fd, F_SETSIG, 65));
    FAILS(EINVAL, fcntl(fd, F_SETSIG, -1));
    FAILS(ESRCH, fcntl(fd, F_SETOWN, NOBODY));
    FAILS(ESRCH, fcntl(fd, F_SETOWN, -NOBODY));
    FAILS(EINVAL, fcntl(fd, F_SETOWN, INT32_MIN));
    const int odd[2] = {3, 1}, missing[2] = {0, NOBODY}, no_group[2] = {2, NOBODY};
    FAILS(EINVAL, fcntl(fd, F_SETOWN_EX_, odd));
    FAILS(ESRCH, fcntl(fd, F_SETOWN_EX_, missing));
    FAILS(ESRCH, fcntl(fd, F_SETOWN_EX_, no_group));
    FAILS(EFAULT, fcntl(fd, F_SETOWN_EX_, nowhere));
    FAILS(EFAULT, fcntl(fd, 16 /* F_GETOWN_EX */, nowhere));
    FAILS(ENOTDIR, fcntl(fd, F_NOTIFY, 1));
}

static void controls_of(const char *name, int fd) {
    say("- %s", name);
    FAILS(EINVAL, fcntl(fd, 999, 0));
    FAILS(EINVAL, fcntl(fd, -1, 0));
    FAILS(EFAULT, fcntl(fd, F_GETLK, nowhere));
    FAILS(EFAULT, fcntl(fd, F_SETLK, nowhere));
    FAILS(EFAULT, fcntl(fd, F_SETLKW, nowhere));
    FAILS(EFAULT, fcntl(fd, F_OFD_GETLK, nowhere));
    FAILS(EFAULT, fcntl(fd, F_OFD_SETLK, nowhere));
    struct flock lock = {.l_type = 77}, place = {.l_type = F_RDLCK, .l_whence = 9};
    FAILS(EINVAL, fcntl(fd, F_SETLK, &lock));
    FAILS(EINVAL, fcntl(fd, F_GETLK, &lock));
    FAILS(EINVAL, fcntl(fd, F_SETLK, &place));
    lock = (struct flock){.l_type = F_RDLCK, .l_start = -1};
    FAILS(EINVAL, fcntl(fd, F_SETLK, &lock));
    FAILS(EINVAL, fcntl(fd, F_SETLKW, &lock));
    lock = (struct flock){.l_type = F_RDLCK, .l_start = 5, .l_len = -6};
    FAILS(EINVAL, fcntl(fd, F_SETLK, &lock));
    lock = (struct flock){.l_type = F_RDLCK, .l_start = INT64_MAX, .l_len = 2};
    FAILS(EOVERFLOW, fcntl(fd, F_SETLK, &lock));
    lock = (struct flock){.l_type = F_RDLCK, .l_pid = 1};
    FAILS(EINVAL, fcntl(fd, F_OFD_SETLK, &lock));
    FAILS(EINVAL, fcntl(fd, F_OFD_SETLKW, &lock));
    FAILS(EINVAL, fcntl(fd, F_OFD_GETLK, &lock));
    FAILS(EINVAL, fcntl(fd, F_SETLEASE, 77));
    uint64_t hint = 77;
    FAILS(EINVAL, fcntl(fd, F_SET_RW_HINT, &hint));
}

static void controls(void) {
    static const int commands[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_GETOWN, F_SETOWN,
                                   F_GETSIG, F_SETSIG, F_GETLEASE, F_SETLEASE, F_NOTIFY, F_GETPIPE_SZ, F_SETPIPE_SZ, F_GET_SEALS, 999, -1};
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
        say("%d", commands[i]);
        FAILS(EBADF, fcntl(CLOSED, commands[i], 0));
    }
    FAILS(EBADF, fcntl(-1, F_GETFD));
    int path = open(".", O_PATH);
    FAILS(EBADF, fcntl(path, F_SETFL, 0));
    FAILS(EBADF, fcntl(path, F_SETOWN, 0));
    FAILS(EBADF, fcntl(path, F_GETPIPE_SZ));
    FAILS(EBADF, fcntl(path, F_SETLKW, nowhere));
    WORKS(pipe(fds));
    controls_of("file", new_file("file", O_RDWR, 0600));
    controls_of("pipe", fds[0]), owners_of(fds[0]);
    int epoll = epoll_create1(0);
    controls_of("epoll", epoll), owners_of(epoll);
    FAILS(EINVAL, fcntl(epoll_create1(0), F_SETFL, O_DIRECT));
}

static void sizes(void) {
    WORKS(pipe2(fds, O_NONBLOCK));
    while (write(fds[1], page, sizeof page) > 0);
    FAILS(EBUSY, fcntl(fds[0], F_SETPIPE_SZ, 4096));
    FAILS(EBUSY, fcntl(fds[1], F_SETPIPE_SZ, 32768));
    FAILS(EINVAL, fcntl(fds[0], F_SETPIPE_SZ, -1));
    FAILS(EBUSY, fcntl(fds[0], F_SETPIPE_SZ, 0));
    FAILS(EBADF, fcntl(new_file("file", O_RDWR, 0600), F_SETPIPE_SZ, 4096));
    FAILS(EBADF, fcntl(eventfd(0, 0), F_GETPIPE_SZ));
    /* Beyond pipe-max-size, 1048576 unless somebody has changed it. */
    AS_USER(FAILS(EPERM, fcntl(fds[0], F_SETPIPE_SZ, 64 << 20)));
}

static long lock(int fd, int command, int type, long start, long length) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return got(fcntl(fd, command, &lock));
}

static void record_locks(void) {
    int file = new_file("file", O_RDWR, 0600), reader = open("file", O_RDONLY), writer = open("file", O_WRONLY);
    FAILS(EBADF, lock(reader, F_SETLK, F_WRLCK, 0, 1));
    FAILS(EBADF, lock(reader, F_SETLKW, F_WRLCK, 0, 1));
    FAILS(EBADF, lock(reader, F_OFD_SETLK, F_WRLCK, 0, 1));
    FAILS(EBADF, lock(writer, F_SETLK, F_RDLCK, 0, 1));
    FAILS(EBADF, lock(writer, F_OFD_SETLKW, F_RDLCK, 0, 1));
    FAILS(EBADF, lock(open("file", O_PATH), F_SETLK, F_RDLCK, 0, 1));
    pid_t pid = WAITING_CHILD(lock(file, F_SETLK, F_WRLCK, 0, 10));
    FAILS(EAGAIN, lock(file, F_SETLK, F_WRLCK, 9, 1));
    FAILS(EAGAIN, lock(file, F_SETLK, F_RDLCK, 0, 0));
    FAILS(EAGAIN, lock(file, F_OFD_SETLK, F_RDLCK, 0, 0));
    INTERRUPTED(FAILS(EINTR, lock(file, F_SETLKW, F_WRLCK, 0, 0)); FAILS(EINTR, lock(file, F_OFD_SETLKW, F_RDLCK, 0, 0)));
    end_child(pid);
    WORKS(lock(file, F_SETLK, F_WRLCK, 0, 1));
    struct gate gate = new_gate();
    pid = CHILD(lock(file, F_SETLK, F_WRLCK, 1, 1); open_gate(gate); lock(file, F_SETLKW, F_WRLCK, 0, 1));
    pass_gate(gate), pass_time(100 * MS);
    FAILS(EDEADLK, lock(file, F_SETLKW, F_WRLCK, 1, 1));
    lock(file, F_SETLK, F_UNLCK, 0, 0), status_of(pid);
}

/* Locks of what is not a file, and whether there is any difference. */
static void virtual_locks(void) {
    WORKS(pipe(fds));
    FAILS(EBADF, lock(fds[0], F_SETLK, F_WRLCK, 0, 1));
    FAILS(EBADF, lock(fds[1], F_SETLK, F_RDLCK, 0, 1));
    FAILS(EBADF, lock(fds[1], F_OFD_SETLK, F_RDLCK, 0, 1));
    FAILS(EBADF, lock(fds[0], F_SETLKW, F_WRLCK, 0, 1));
    pid_t pid = WAITING_CHILD(lock(fds[1], F_SETLK, F_WRLCK, 0, 10));
    FAILS(EAGAIN, lock(fds[0], F_SETLK, F_RDLCK, 9, 1));
    FAILS(EAGAIN, lock(fds[0], F_OFD_SETLK, F_RDLCK, 9, 1));
    INTERRUPTED(FAILS(EINTR, lock(fds[0], F_SETLKW, F_RDLCK, 0, 0)); FAILS(EINTR, lock(fds[0], F_OFD_SETLKW, F_RDLCK, 0, 0)));
    end_child(pid);
    pid = WAITING_CHILD(flock(fds[1], LOCK_EX));
    FAILS(EAGAIN, flock(fds[0], LOCK_SH | LOCK_NB));
    INTERRUPTED(FAILS(EINTR, flock(fds[0], LOCK_SH)));
    end_child(pid);
    WORKS(lock(fds[1], F_SETLK, F_WRLCK, 0, 1));
    struct gate gate = new_gate();
    pid = CHILD(lock(fds[1], F_SETLK, F_WRLCK, 1, 1); open_gate(gate); lock(fds[1], F_SETLKW, F_WRLCK, 0, 1));
    pass_gate(gate), pass_time(100 * MS);
    FAILS(EDEADLK, lock(fds[1], F_SETLKW, F_WRLCK, 1, 1));
    lock(fds[1], F_SETLK, F_UNLCK, 0, 0), status_of(pid);
}

static void seals(void) {
    int file = new_file("file", O_RDWR, 0600), memory = raw(SYS_memfd_create, "memory", MFD_ALLOW_SEALING), sealed = raw(SYS_memfd_create, "sealed", 0);
    WORKS(pipe(fds));
    FAILS(EINVAL, fcntl(file, F_GET_SEALS));
    FAILS(EINVAL, fcntl(fds[0], F_GET_SEALS));
    FAILS(EINVAL, fcntl(file, F_ADD_SEALS, F_SEAL_SEAL));
    FAILS(EPERM, fcntl(fds[0], F_ADD_SEALS, F_SEAL_SEAL));
    FAILS(EINVAL, fcntl(fds[1], F_ADD_SEALS, F_SEAL_SEAL));
    FAILS(EPERM, fcntl(open("file", O_RDONLY), F_ADD_SEALS, F_SEAL_SEAL));
    FAILS(EINVAL, fcntl(memory, F_ADD_SEALS, 0x1000));
    FAILS(EPERM, fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE));
    WORKS(ftruncate(memory, 4096));
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    FAILS(EBUSY, fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(shared, 4096);
    WORKS(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
    FAILS(EPERM, write(memory, "x", 1));
    FAILS(EPERM, mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, memory, 0));
}

static void closes(void) {
    FAILS(EBADF, close(-1));
    FAILS(EBADF, close(CLOSED));
    FAILS(EBADF, close(1 << 20));
    WORKS(pipe(fds));
    WORKS(close(fds[0]));
    FAILS(EBADF, close(fds[0]));
    FAILS(EINVAL, raw(SYS_close_range, 4, 3, 0));
    FAILS(EINVAL, raw(SYS_close_range, 100, 110, 1));
    FAILS(EINVAL, raw(SYS_close_range, 100, 110, 8));
    FAILS(EINVAL, raw(SYS_close_range, ~0u, 0, 2));
}

static void events(void) {
    uint64_t number = UINT64_MAX;
    FAILS(EINVAL, eventfd(0, 2));
    FAILS(EINVAL, eventfd(0, -1));
    FAILS(EINVAL, raw(SYS_eventfd2, 0, O_APPEND));
    WITHOUT_ROOM(FAILS(EMFILE, eventfd(0, 0)));
    WITHOUT_ROOM(FAILS(EMFILE, raw(SYS_eventfd, 0)));
    WITHOUT_ROOM(FAILS(EINVAL, eventfd(0, 2)));
    int event = eventfd(0, EFD_NONBLOCK), waits = eventfd(0, 0);
    FAILS(EAGAIN, read(event, &number, 8));
    FAILS(EINVAL, read(event, &number, 7));
    FAILS(EINVAL, read(event, &number, 0));
    FAILS(EINVAL, write(event, &number, 8));
    FAILS(EINVAL, write(event, &number, 7));
    FAILS(EFAULT, write(event, nowhere, 8));
    number = UINT64_MAX - 1;
    WORKS(write(event, &number, 8));
    FAILS(EAGAIN, write(event, &number, 8));
    FAILS(EFAULT, read(event, nowhere, 8));
    /* What was read is gone all the same. */
    FAILS(EAGAIN, read(event, &number, 8));
    INTERRUPTED(FAILS(EINTR, read(waits, &number, 8)));
    number = UINT64_MAX - 1;
    WORKS(write(waits, &number, 8));
    INTERRUPTED(FAILS(EINTR, write(waits, &number, 8)));
    FAILS(ESPIPE, pread(event, &number, 8, 0));
    FAILS(ESPIPE, pwrite(event, &number, 8, 0));
    FAILS(EINVAL, ftruncate(event, 0));
    FAILS(EINVAL, fsync(event));
    FAILS(ENODEV, mmap(NULL, 4096, PROT_READ, MAP_SHARED, event, 0));
    FAILS(ENOTDIR, fchdir(event));
}

static void file_locks(void) {
    int file = new_file("file", O_RDWR, 0600), other = open("file", O_RDWR);
    FAILS(EBADF, flock(CLOSED, LOCK_EX));
    FAILS(EBADF, flock(-1, LOCK_UN));
    FAILS(EBADF, flock(open("file", O_PATH), LOCK_SH));
    FAILS(EINVAL, flock(file, 0));
    FAILS(EINVAL, flock(file, LOCK_NB));
    FAILS(EINVAL, flock(file, LOCK_SH | LOCK_EX));
    FAILS(EINVAL, flock(file, 64));
    FAILS(EINVAL, flock(CLOSED, 64));
    WORKS(flock(file, LOCK_EX));
    FAILS(EAGAIN, flock(other, LOCK_EX | LOCK_NB));
    FAILS(EAGAIN, flock(other, LOCK_SH | LOCK_NB));
    INTERRUPTED(FAILS(EINTR, flock(other, LOCK_SH)));
    WORKS(pipe(fds));
    FAILS(EINVAL, flock(fds[0], 0));
    FAILS(EINVAL, flock(fds[0], LOCK_SH | LOCK_EX));
    FAILS(EINVAL, flock(epoll_create1(0), 64));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"pipe", pipes}, {"dup", copies}, {"fcntl", controls}, {"F_SETPIPE_SZ", sizes}, {"F_SETLK", record_locks},
        {"F_SETLK of pipes", virtual_locks}, {"F_ADD_SEALS", seals}, {"close", closes}, {"eventfd", events}, {"flock", file_locks}, {NULL, NULL},
    };
    return run_parts_of_errors(parts, count, words);
}
