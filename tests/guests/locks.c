/* Locks on files between processes: flock, fcntl's of processes and of descriptions.
 *
 * A part's name comes in, lines go out. Always true: a process that is to wait has passed a gate just before,
 * and is let go some time later; that it was let go, not when, is shown. */
#include "family.h"
#include <sys/file.h>

static int file;

static void lay_out(void) {
    file = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    write(file, "0123456789", 10);
}

static int another(void) { return open("file", O_RDWR | O_CLOEXEC); }

static long lock(int fd, int command, int type, long start, long length) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return got(fcntl(fd, command, &lock));
}

/* Who would be in the way, in words. */
static void show_lock(const char *name, int fd, int command, int type, long start, long length, pid_t owner) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    long result = got(fcntl(fd, command, &lock));
    if (result != 0 || lock.l_type == F_UNLCK)
        say("%s: %s %ld", name, result == 0 ? "free" : "error", result);
    else
        say("%s: %s from %ld, length %ld, owner %s", name, lock.l_type == F_WRLCK ? "write" : "read", (long)lock.l_start,
            (long)lock.l_len, lock.l_pid == owner ? "right" : lock.l_pid == -1 ? "a description" : "another");
}

static void flocks(void) {
    lay_out();
    int other = another(), copy = dup(file);
    EACH("exclusive, again, by another, shared", got(flock(file, LOCK_EX | LOCK_NB)), got(flock(file, LOCK_EX | LOCK_NB)),
         got(flock(other, LOCK_EX | LOCK_NB)), got(flock(other, LOCK_SH | LOCK_NB)));
    EACH("by a copy, released by it, by another", got(flock(copy, LOCK_EX | LOCK_NB)), got(flock(copy, LOCK_UN)), got(flock(other, LOCK_EX | LOCK_NB)));
    EACH("turned", got(flock(other, LOCK_SH | LOCK_NB)), got(flock(file, LOCK_SH | LOCK_NB)), got(flock(file, LOCK_EX | LOCK_NB)));
    flock(file, LOCK_UN), flock(other, LOCK_UN);
    /* A child's is its parent's; the last close releases it. */
    pid_t pid = CHILD(say("child %ld", got(flock(file, LOCK_EX | LOCK_NB))));
    show_end("child", pid);
    EACH("still locked", got(flock(other, LOCK_EX | LOCK_NB)));
    close(file);
    EACH("a copy holds it", got(flock(other, LOCK_EX | LOCK_NB)));
    close(copy);
    EACH("closed", got(flock(other, LOCK_EX | LOCK_NB)));
    struct gate gate = new_gate();
    pid = CHILD(
        int own = another();
        open_gate(gate);
        say("waited %ld", got(flock(own, LOCK_EX)));
        _exit(0));
    pass_gate(gate), pass_time(20 * MS);
    say("goes"), flock(other, LOCK_UN);
    show_end("child", pid);
    pid = CHILD(int own = another(); flock(own, LOCK_EX); open_gate(gate); for (;;) pause());
    pass_gate(gate);
    EACH("another process's", got(flock(other, LOCK_SH | LOCK_NB)));
    pid_t waiter = CHILD(int own = another(); open_gate(gate); say("waited for a death %ld", got(flock(own, LOCK_SH))));
    pass_gate(gate), pass_time(20 * MS);
    kill(pid, SIGKILL), status_of(pid), show_end("waiter", waiter);
    EACH("odd", got(flock(99, LOCK_EX)), got(flock(other, 0)), got(flock(other, LOCK_SH | LOCK_EX)));
}

/* A child that holds a lock and does what it is told, until the gate closes. */
static void processes(void) {
    lay_out();
    struct gate gate = new_gate(), go = new_gate();
    EACH("write, again", lock(file, F_SETLK, F_WRLCK, 0, 10), lock(file, F_SETLK, F_WRLCK, 5, 0));
    show_lock("own", file, F_GETLK, F_WRLCK, 0, 0, getpid());
    pid_t pid = CHILD(
        show_lock("child finds", file, F_GETLK, F_WRLCK, 3, 1, getppid());
        EACH("child: read, elsewhere", lock(file, F_SETLK, F_RDLCK, 3, 1), lock(file, F_SETLK, F_WRLCK, 100, 1));
        show_lock("nothing inherited", file, F_GETLK, F_RDLCK, 20, 1, getppid()));
    show_end("child", pid);
    /* Splitting, joining, turning. */
    EACH("split", lock(file, F_SETLK, F_UNLCK, 0, 0), lock(file, F_SETLK, F_WRLCK, 0, 100), lock(file, F_SETLK, F_UNLCK, 20, 10),
         lock(file, F_SETLK, F_RDLCK, 50, 10));
    pid = CHILD(
        show_lock("0", file, F_GETLK, F_RDLCK, 0, 0, getppid()), show_lock("20", file, F_GETLK, F_RDLCK, 20, 10, getppid());
        show_lock("30", file, F_GETLK, F_RDLCK, 30, 0, getppid()), show_lock("50", file, F_GETLK, F_WRLCK, 50, 5, getppid());
        show_lock("50 to read", file, F_GETLK, F_RDLCK, 50, 10, getppid()), show_lock("60", file, F_GETLK, F_RDLCK, 60, 1, getppid());
        show_lock("100", file, F_GETLK, F_WRLCK, 100, 0, getppid());
        EACH("shared", lock(file, F_SETLK, F_RDLCK, 50, 10)));
    show_end("child", pid);
    struct flock back = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 5, .l_len = -10}, end = {.l_type = F_UNLCK, .l_whence = SEEK_CUR, .l_start = -10};
    lock(file, F_SETLK, F_UNLCK, 0, 0);
    lseek(file, 10, SEEK_SET);
    EACH("backwards from the end, from here", got(fcntl(file, F_SETLK, &back)));
    pid = CHILD(show_lock("child finds", file, F_GETLK, F_WRLCK, 0, 0, getppid()));
    status_of(pid);
    EACH("from here", got(fcntl(file, F_SETLK, &end)));
    /* Any close of the file releases all that the process has. */
    lock(file, F_SETLK, F_WRLCK, 0, 0), close(another());
    pid = CHILD(show_lock("after a close", file, F_GETLK, F_WRLCK, 0, 0, getppid()));
    status_of(pid);
    /* Waiting: for an unlock, and for a death. */
    lock(file, F_SETLK, F_WRLCK, 0, 0);
    pid = CHILD(open_gate(gate); say("waited %ld", lock(file, F_SETLKW, F_WRLCK, 0, 1)); open_gate(gate); pass_gate(go); for (;;) pause());
    pass_gate(gate), pass_time(20 * MS);
    lock(file, F_SETLK, F_UNLCK, 0, 1), pass_gate(gate);
    show_lock("the child's", file, F_GETLK, F_RDLCK, 0, 0, pid);
    pid_t waiter = CHILD(open_gate(gate); say("waited for a death %ld", lock(file, F_SETLKW, F_RDLCK, 0, 1)));
    pass_gate(gate), pass_time(20 * MS), kill(pid, SIGKILL), status_of(pid), show_end("waiter", waiter);
    /* Kept by the next image. */
    fcntl(file, F_SETFD, 0), lock(file, F_SETLK, F_UNLCK, 0, 0);
    pid = CHILD(
        lock(file, F_SETLK, F_WRLCK, 0, 0);
        open_gate(gate);
        dup2(go.fds[0], 0);
        execl("/bin/head", "head", "-c", "1", (char *)NULL));
    pass_gate(gate);
    show_lock("image", file, F_GETLK, F_RDLCK, 0, 0, pid);
    open_gate(go), show_end("image", pid);
    show_lock("image gone", file, F_GETLK, F_RDLCK, 0, 0, pid);
}

static void deadlock(void) {
    lay_out();
    struct gate gate = new_gate();
    lock(file, F_SETLK, F_WRLCK, 0, 1);
    pid_t pid = CHILD(
        EACH("child has its own", lock(file, F_SETLK, F_WRLCK, 1, 1));
        open_gate(gate);
        /* Natively the second one who waits is refused; both come to the same here. */
        long result = lock(file, F_SETLKW, F_WRLCK, 0, 1);
        say("child waited %ld", result);
        _exit(0));
    pass_gate(gate), pass_time(100 * MS);
    EACH("in a circle", lock(file, F_SETLKW, F_WRLCK, 1, 1));
    lock(file, F_SETLK, F_UNLCK, 0, 1);
    show_end("child", pid);
    EACH("then free", lock(file, F_SETLKW, F_WRLCK, 1, 1));
}

static void descriptions(void) {
    lay_out();
    int other = another(), copy = dup(file);
    EACH("write, by another, by a copy", lock(file, F_OFD_SETLK, F_WRLCK, 0, 5), lock(other, F_OFD_SETLK, F_RDLCK, 0, 1), lock(copy, F_OFD_SETLK, F_RDLCK, 0, 5));
    show_lock("in the way", other, F_OFD_GETLK, F_WRLCK, 0, 0, 0);
    show_lock("of a process's", other, F_GETLK, F_WRLCK, 0, 0, 0);
    EACH("a process's read, write", lock(other, F_SETLK, F_RDLCK, 0, 5), lock(file, F_SETLK, F_WRLCK, 0, 5));
    pid_t pid = CHILD(EACH("child by the same", lock(file, F_OFD_SETLK, F_WRLCK, 10, 5)));
    show_end("child", pid);
    EACH("it stays", lock(other, F_OFD_SETLK, F_WRLCK, 10, 5));
    lock(other, F_SETLK, F_UNLCK, 0, 0), close(another());
    EACH("not released by a close", lock(other, F_OFD_SETLK, F_WRLCK, 0, 5));
    close(copy), close(file);
    EACH("by the last one", lock(other, F_OFD_SETLK, F_WRLCK, 0, 0));
    file = another();
    struct gate gate = new_gate();
    pid = CHILD(int own = another(); open_gate(gate); say("waited %ld", lock(own, F_OFD_SETLKW, F_WRLCK, 0, 0)));
    pass_gate(gate), pass_time(20 * MS);
    say("goes"), lock(other, F_OFD_SETLK, F_UNLCK, 0, 0);
    show_end("child", pid);
    struct flock odd = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_pid = 5};
    EACH("process id not 0", got(fcntl(file, F_OFD_SETLK, &odd)));
}

static void lockfs(void) {
    lay_out();
    lseek(file, 0, SEEK_SET);
    EACH("lockf", got(lockf(file, F_TLOCK, 5)), got(lockf(file, F_TEST, 5)));
    pid_t pid = CHILD(lseek(file, 2, SEEK_SET); EACH("child: test, try", got(lockf(file, F_TEST, 1)), got(lockf(file, F_TLOCK, 1))));
    show_end("child", pid);
    int reads = open("file", O_RDONLY), writes = open("file", O_WRONLY);
    EACH("direction", lock(reads, F_SETLK, F_WRLCK, 0, 0), lock(writes, F_SETLK, F_RDLCK, 0, 0));
    struct flock odd = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = -1}, strange = {.l_type = 77}, where = {.l_type = F_RDLCK, .l_whence = 9};
    EACH("odd", got(fcntl(file, F_SETLK, &odd)), got(fcntl(file, F_SETLK, &strange)), got(fcntl(file, F_SETLK, &where)), raw(SYS_fcntl, file, F_SETLK, NULL),
         got(fcntl(99, F_SETLK, &where)));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"flock", flocks}, {"processes", processes}, {"deadlock", deadlock}, {"descriptions", descriptions},
        {"lockf", lockfs}, {NULL, NULL},
    };
    return run_parts(parts, count, words);
}
