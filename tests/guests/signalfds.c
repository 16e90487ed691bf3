/* signalfd: signals that are read instead of handled.
 *
 * The part to show comes in; a line for each read goes out, with the fields that say who sent what. Always
 * true: every signal is blocked before it is sent, and numbers of processes are only compared. Handlers are in
 * signals.c. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static struct signalfd_siginfo all[10];
static pid_t child;

static sigset_t set_of(int first, int second, int third) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, first);
    if (second)
        sigaddset(&set, second);
    if (third)
        sigaddset(&set, third);
    return set;
}

static void take(const char *name, int fd, size_t size) {
    memset(all, 0, sizeof all);
    long length = raw(SYS_read, fd, all, size);
    say("%s = %ld", name, length);
    for (long i = 0; i * 128 < length; i++) {
        const struct signalfd_siginfo *one = &all[i];
        const char *sender = one->ssi_pid == (uint32_t)getpid()             ? "itself"
                             : child > 0 && one->ssi_pid == (uint32_t)child ? "the child"
                             : one->ssi_pid == 0                            ? "nobody"
                                                                            : "another";
        say("  %u errno %d code %d by %s own %d int %d status %d", one->ssi_signo, one->ssi_errno, one->ssi_code,
            sender, one->ssi_uid == getuid(), one->ssi_int, one->ssi_status);
    }
}

static void reads(void) {
    sigset_t set = set_of(SIGUSR1, SIGUSR2, SIGRTMIN), more = set_of(SIGTERM, SIGALRM, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL), sigprocmask(SIG_BLOCK, &more, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    say("flags %o %d", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
    take("nothing", fd, sizeof all);
    kill(getpid(), SIGUSR2), raise(SIGUSR1);
    take("one by one", fd, 128);
    take("one by one", fd, 128);
    take("nothing", fd, 128);
    kill(getpid(), SIGUSR1), kill(getpid(), SIGUSR1);
    for (int i = 0; i < 3; i++)
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 40 + i});
    sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 50});
    take("three", fd, 3 * 128 + 100);
    take("the rest", fd, sizeof all);
    raise(SIGTERM);
    take("another signal", fd, sizeof all);
    say("the same number: %d", signalfd(fd, &more, 0) == fd);
    take("now", fd, sizeof all);
    say("flags %o", fcntl(fd, F_GETFL));
    sigset_t pending;
    raise(SIGUSR1);
    sigpending(&pending);
    say("pending %d", sigismember(&pending, SIGUSR1));
    take("read", fd, sizeof all);
    sigpending(&pending);
    say("pending %d", sigismember(&pending, SIGUSR1));
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 10000}}, NULL);
    struct pollfd one = {fd, POLLIN, 0};
    TRY("poll", raw(SYS_poll, &one, 1, 10000));
    take("alarm", fd, sizeof all);
    TRY("poll", raw(SYS_poll, &one, 1, 0));
}

static void errors(void) {
    sigset_t set = set_of(SIGUSR1, SIGKILL, SIGSTOP);
    sigset_t usr1 = set_of(SIGUSR1, 0, 0);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK), pipes[2];
    pipe(pipes);
    TRY("odd flags", raw(SYS_signalfd4, -1, &set, 8, O_APPEND));
    TRY("short set", raw(SYS_signalfd4, -1, &set, 4, 0));
    TRY("long set", raw(SYS_signalfd4, -1, &set, 128, 0));
    TRY("bad set", raw(SYS_signalfd4, -1, (void *)8, 8, 0));
    TRY("none", raw(SYS_signalfd4, 99, &set, 8, 0));
    TRY("another negative", raw(SYS_signalfd4, -2, &set, 8, 0));
    TRY("no signalfd", raw(SYS_signalfd4, pipes[0], &set, 8, 0));
    TRY("the old call", raw(SYS_signalfd, -1, &set, 8) > 0);
    take("too small", fd, 127);
    take("nothing", fd, 128);
    raise(SIGUSR1);
    take("too small", fd, 127);
    TRY("bad read", raw(SYS_read, fd, (void *)8, 128));
    take("after the bad read", fd, 128);
    TRY("write", raw(SYS_write, fd, all, 128));
    TRY("pread", got(pread(fd, all, 128, 0)));
    struct stat s;
    fstat(fd, &s);
    say("mode %o", s.st_mode);
    char path[40], target[40] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    TRY("readlink", got(readlink(path, target, sizeof target - 1)));
    say("%s", target);
}

static int handled;
static void on_signal(int signal) { handled += signal == SIGUSR1; }

/* What is not blocked is handled, and not read. */
static void handlers(void) {
    sigset_t set = set_of(SIGUSR1, 0, 0);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    raise(SIGUSR1);
    take("not blocked", fd, 128);
    say("handled %d", handled);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    take("blocked", fd, 128);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    say("handled %d", handled);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    take("ignored", fd, 128);
}

static void send_late(void) {
    pass_time(30 * MS);
    kill(getppid(), SIGUSR1);
    pass_time(30 * MS);
    sigqueue(getppid(), SIGUSR2, (union sigval){.sival_int = 99});
    _exit(7);
}

static void by_others(void) {
    sigset_t set = set_of(SIGUSR1, SIGUSR2, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, 0);
    child = fork();
    if (child == 0)
        send_late();
    take("waited", fd, 128);
    take("waited", fd, 128);
    take("its end", fd, 128);
    int status;
    waitpid(child, &status, 0);
    say("status %x", status);
    child = fork();
    if (child == 0)
        raise(SIGKILL);
    take("its death", fd, 128);
    waitpid(child, &status, 0);
    say("status %x", status);
    /* Who reads an inherited descriptor reads its own signals. */
    raise(SIGUSR1);
    child = fork();
    if (child == 0) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        take("in the child", fd, 128);
        raise(SIGUSR2);
        take("in the child", fd, 128);
        _exit(0);
    }
    waitpid(child, &status, 0);
    say("status %x", status);
    take("in the parent", fd, sizeof all);
    int watched = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(watched, EPOLL_CTL_ADD, fd, &event);
    TRY("epoll", raw(SYS_epoll_wait, watched, &event, 1, 0));
    raise(SIGUSR2);
    TRY("epoll", raw(SYS_epoll_wait, watched, &event, 1, -1));
    take("read", fd, sizeof all);
}

int main(int count, char **words) {
    const struct part parts[] = {{"reads", reads}, {"errors", errors}, {"handlers", handlers}, {"by others", by_others},
                                 {NULL, NULL}};
    return run_part(parts, count, words);
}
