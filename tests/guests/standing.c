/* How a process stands: what /proc says of it over time, who its threads are, how much memory it may have.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: whoever changes waits to
 * be asked, so that a state lasts until it was looked at; numbers that depend on the machine are compared here and
 * only the comparison is shown. Which processes /proc lists is in proc_files.rs. */
#include "family.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static int open_of(pid_t pid, const char *file) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    return open(path, O_RDONLY);
}

/* The state in the text of a status file. */
static char state_in(const char *text) {
    const char *line = strstr(text, "\nState:\t");
    return line ? line[8] : '?';
}

static char text[8192];

/* What is read from the start, the position of the descriptor being there already. */
static char state(int fd) {
    ssize_t bytes = read(fd, text, sizeof text - 1);
    text[bytes > 0 ? bytes : 0] = 0;
    return state_in(text);
}

static void until_state(pid_t pid, char wanted) {
    for (;;) {
        int fd = open_of(pid, "status");
        char now = state(fd);
        close(fd);
        if (now == wanted)
            return;
        pass_time(MS);
    }
}

static void rereads(void) {
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    until_state(child, 'S');
    int fd = open_of(child, "status"), copy = dup(fd), stat = open_of(child, "stat");
    say("waits: %c", state(fd));
    say("at its end: %zd", read(fd, text, 1));
    kill(child, SIGSTOP);
    until_state(child, 'T');
    lseek(fd, 0, SEEK_SET);
    say("stopped: %c", state(fd));
    lseek(copy, 0, SEEK_SET);
    kill(child, SIGCONT);
    until_state(child, 'S');
    say("by a copy: %c", state(copy));
    kill(child, SIGSTOP);
    until_state(child, 'T');
    ssize_t bytes = pread(fd, text, sizeof text - 1, 0);
    text[bytes] = 0;
    say("at offset 0: %c", state_in(text));
    struct iovec pieces[2] = {{text, 40}, {text + 40, 8000}};
    bytes = preadv(fd, pieces, 2, 0);
    text[bytes] = 0;
    say("in pieces: %c", state_in(text));
    bytes = pread(stat, text, sizeof text - 1, 0);
    text[bytes] = 0;
    say("in the other file: %c", strrchr(text, ')')[2]);
    char path[64] = "", link[64] = "", wanted[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    snprintf(wanted, sizeof wanted, "/proc/%d/status", (int)child);
    TRY("readlink", readlink(path, link, sizeof link - 1) == (ssize_t)strlen(wanted));
    say("its name: %d", strcmp(link, wanted));
    int again = open(path, O_RDONLY);
    say("opened by that: %c", state(again));
    kill(child, SIGKILL);
    until_state(child, 'Z');
    lseek(again, 0, SEEK_SET);
    say("ended: %c", state(again));
    waitpid(child, NULL, 0);
    TRY("gone", got(pread(fd, text, 10, 0)));
    TRY("and at its end", got(lseek(fd, 0, SEEK_SET)));
    TRY("gone, by its position", got(read(fd, text, 10)));
    TRY("gone, stat", got(pread(stat, text, 10, 0)));
}

static void clocks(void) {
    int fd = open("/proc/uptime", O_RDONLY);
    char before[64] = "", after[64] = "";
    TRY("read", read(fd, before, 60) > 0);
    pass_time(50 * MS);
    TRY("the same", got(lseek(fd, 0, SEEK_CUR)) == (long)strlen(before));
    lseek(fd, 0, SEEK_SET);
    TRY("read again", read(fd, after, 60) > 0);
    say("later %d", atof(after) > atof(before));
    char head[4] = "", rest[64] = "";
    lseek(fd, 0, SEEK_SET);
    TRY("a part", got(read(fd, head, 3)));
    pass_time(50 * MS);
    TRY("the rest", read(fd, rest, 60) > 0);
    TRY("fits", rest[strlen(rest) - 1] == '\n');
    int file = open("standing.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    lseek(fd, 0, SEEK_SET);
    TRY("sent", sendfile(file, fd, NULL, 60) > 0);
    memset(rest, 0, sizeof rest);
    TRY("and read", pread(file, rest, 60, 0) > 0);
    say("later still %d", atof(rest) > atof(after));
    unlink("standing.data");
}

static pthread_barrier_t barrier;

static void show_ids(const char *who) {
    uid_t user[3] = {9, 9, 9};
    gid_t group[3] = {9, 9, 9};
    raw(SYS_getresuid, &user[0], &user[1], &user[2]);
    raw(SYS_getresgid, &group[0], &group[1], &group[2]);
    say("%s: %d %d %d, %d %d %d", who, user[0], user[1], user[2], group[0], group[1], group[2]);
}

/* The line of user ids in a status file. */
static void show_line(const char *who, const char *path) {
    int fd = open(path, O_RDONLY);
    ssize_t bytes = read(fd, text, sizeof text - 1);
    text[bytes > 0 ? bytes : 0] = 0;
    char *line = strstr(text, "\nUid:");
    if (line)
        *strchrnul(line + 1, '\n') = 0;
    say("%s: %s", who, line ? line + 1 : "none");
    close(fd);
}

static void *heir(void *unused) {
    (void)unused;
    show_ids("a thread of the other's");
    return NULL;
}

static void *other(void *unused) {
    (void)unused;
    pthread_t thread;
    TRY("setresgid", raw(SYS_setresgid, 3001, 3002, 3003));
    TRY("setresuid", raw(SYS_setresuid, 2001, 2002, 2003));
    show_ids("the other");
    show_line("the other's line", "/proc/thread-self/status");
    TRY("setuid to whom it is not", raw(SYS_setuid, 4000));
    TRY("setuid to its saved id", raw(SYS_setuid, 2003));
    if (pthread_create(&thread, NULL, heir, NULL) == 0)
        pthread_join(thread, NULL);
    pid_t child = fork();
    if (child == 0) {
        show_ids("a child of the other's");
        _exit(0);
    }
    waitpid(child, NULL, 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    show_ids("the other, after the library's setresuid");
    return NULL;
}

static void credentials(void) {
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, other, NULL);
    pthread_barrier_wait(&barrier);
    show_ids("the first");
    show_line("the first's line", "/proc/self/status");
    TRY("setresuid of all", got(setresuid(-1, -1, -1)));
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    TRY("setresgid of all", got(setresgid(500, 501, 502)));
    TRY("setresuid of all", got(setresuid(600, 601, 602)));
    show_ids("the first in the end");
}

static void *no_memory(void *unused) { return unused; }

static void set_limit(rlim_t bytes) {
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = bytes;
    TRY("setrlimit", got(setrlimit(RLIMIT_AS, &limit)));
}

static void memory(void) {
    const size_t large = 256 << 20;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void *before = mmap(NULL, large, PROT_READ, flags, -1, 0);
    TRY("as much as one likes", before != MAP_FAILED);
    munmap(before, large);
    set_limit(128 << 20);
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    say("limit %llu", (unsigned long long)limit.rlim_cur);
    errno = 0;
    TRY("too much", mmap(NULL, large, PROT_NONE, flags, -1, 0) == MAP_FAILED);
    say("errno %d", errno);
    void *some = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, flags, -1, 0);
    TRY("some", some != MAP_FAILED);
    TRY("to grow", mremap(some, 32 << 20, large, MREMAP_MAYMOVE) == MAP_FAILED);
    TRY("a thread", pthread_create(&(pthread_t){0}, NULL, no_memory, NULL));
    pid_t child = fork();
    if (child == 0) {
        TRY("too much for a child", mmap(NULL, large, PROT_NONE, flags, -1, 0) == MAP_FAILED);
        execl("/bin/sh", "sh", "-c", "ulimit -v", NULL);
    }
    waitpid(child, NULL, 0);
    set_limit(RLIM_INFINITY);
    before = mmap(NULL, large, PROT_READ, flags, -1, 0);
    TRY("as much as one likes again", before != MAP_FAILED);
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"rereads", rereads}, {"clocks", clocks}, {"credentials", credentials}, {"memory", memory}, {NULL, NULL}};
    return run_parts(parts, count, words);
}
