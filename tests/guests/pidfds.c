/* Descriptors of processes: opened, waited for, sent signals through.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: children wait for
 * their parent's word or for their death, so that both sides know where the other is. Waits by number are not
 * here. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#define WHICH_PIDFD 3

#define MS INT64_C(1000000)
#define TRY(name, call) say(name " = %ld", (long)(call))

static int go[2], ready[2];
static char byte;

static long open_it(pid_t pid, unsigned flags) { return raw(SYS_pidfd_open, pid, flags); }
static long send(int fd, int signal) { return raw(SYS_pidfd_send_signal, fd, signal, NULL, 0); }

/* A child that says so when it is there, and ends when it is told. */
static pid_t start_child(void) {
    pipe(go), pipe(ready);
    pid_t child = fork();
    if (child == 0) {
        close(go[1]), close(ready[0]);
        write(ready[1], "x", 1);
        read(go[0], &byte, 1);
        _exit(42);
    }
    close(go[0]), close(ready[1]);
    read(ready[0], &byte, 1);
    return child;
}

static void let_it_end(void) { close(go[1]), close(ready[0]); }

static void show_info(const char *name, long result, const siginfo_t *info, pid_t child) {
    say("%s = %ld: signal %d, code %d, status %d, the child %d", name, result, info->si_signo, info->si_code,
        info->si_signo ? info->si_status : 0, info->si_pid == child);
}

static int is_ready(int fd) {
    struct pollfd one = {fd, POLLIN, 0};
    poll(&one, 1, 0);
    return one.revents & POLLIN;
}

static void opened(void) {
    int own = open_it(getpid(), 0);
    say("flags %o %d", fcntl(own, F_GETFL) & ~O_RDWR, fcntl(own, F_GETFD));
    say("ready %d", is_ready(own));
    TRY("none", open_it(1 << 29, 0));
    TRY("zero", open_it(0, 0));
    TRY("negative", open_it(-1, 0));
    TRY("odd flags", open_it(getpid(), 1 << 30));
    int waiting = open_it(getpid(), O_NONBLOCK);
    say("flags %o", fcntl(waiting, F_GETFL) & ~O_RDWR);
    TRY("read", raw(SYS_read, own, &byte, 1));
    TRY("write", raw(SYS_write, own, &byte, 1));
    TRY("no signal", send(own, 0));
    TRY("odd signal", send(own, 65));
    TRY("negative signal", send(own, -1));
    TRY("no descriptor", send(99, 0));
    TRY("no pidfd", send(go[0], 0));
    TRY("odd flags", raw(SYS_pidfd_send_signal, own, 0, NULL, 1 << 20));
    siginfo_t info = {.si_signo = SIGUSR1};
    TRY("another number inside", raw(SYS_pidfd_send_signal, own, SIGUSR2, &info, 0));
    TRY("bad address", raw(SYS_pidfd_send_signal, own, SIGUSR2, (void *)8, 0));
    siginfo_t result;
    TRY("wait for itself", raw(SYS_waitid, WHICH_PIDFD, own, &result, WEXITED, NULL));
    TRY("wait for none", raw(SYS_waitid, WHICH_PIDFD, 99, &result, WEXITED, NULL));
    TRY("wait for a negative", raw(SYS_waitid, WHICH_PIDFD, -1, &result, WEXITED, NULL));
    TRY("wait for no pidfd", raw(SYS_waitid, WHICH_PIDFD, go[0], &result, WEXITED, NULL));
    int copy = raw(SYS_pidfd_getfd, own, go[1], 0);
    fcntl(go[0], F_SETFL, O_NONBLOCK);
    write(copy, "y", 1);
    TRY("through a fetched copy", raw(SYS_read, go[0], &byte, 1));
    say("flags %d", fcntl(copy, F_GETFD));
    TRY("fetch none", raw(SYS_pidfd_getfd, own, 99, 0));
    TRY("fetch with odd flags", raw(SYS_pidfd_getfd, own, go[1], 1));
    TRY("fetch from none", raw(SYS_pidfd_getfd, 99, go[1], 0));
    TRY("fetch from no pidfd", raw(SYS_pidfd_getfd, go[0], go[1], 0));
}

static void waited(void) {
    siginfo_t info = {0};
    pid_t child = start_child();
    int fd = open_it(child, 0), waiting = open_it(child, O_NONBLOCK);
    say("ready %d", is_ready(fd));
    show_info("not yet", raw(SYS_waitid, WHICH_PIDFD, fd, &info, WEXITED | WNOHANG, NULL), &info, child);
    TRY("not yet, by the flag", raw(SYS_waitid, WHICH_PIDFD, waiting, &info, WEXITED, NULL));
    let_it_end();
    struct pollfd one = {fd, POLLIN, 0};
    TRY("poll", raw(SYS_poll, &one, 1, 10000));
    say("ready %d", one.revents & POLLIN);
    TRY("signal to the dead", send(fd, SIGUSR1));
    TRY("look", raw(SYS_waitid, WHICH_PIDFD, fd, &info, WEXITED | WNOWAIT, NULL));
    show_info("saw", 0, &info, child);
    memset(&info, 0, sizeof info);
    TRY("reap", raw(SYS_waitid, WHICH_PIDFD, waiting, &info, WEXITED, NULL));
    show_info("reaped", 0, &info, child);
    TRY("again", raw(SYS_waitid, WHICH_PIDFD, fd, &info, WEXITED, NULL));
    TRY("signal to the reaped", send(fd, 0));
    say("ready %d", is_ready(fd));
    TRY("open the reaped", open_it(child, 0));
    child = start_child();
    fd = open_it(child, 0);
    TRY("kill", send(fd, SIGKILL));
    TRY("reap", raw(SYS_waitid, WHICH_PIDFD, fd, &info, WEXITED, NULL));
    show_info("killed", 0, &info, child);
    let_it_end();
}

static void stopped(void) {
    siginfo_t info = {0};
    pid_t child = start_child();
    int fd = open_it(child, 0);
    TRY("stop", send(fd, SIGSTOP));
    TRY("wait", raw(SYS_waitid, WHICH_PIDFD, fd, &info, WSTOPPED, NULL));
    show_info("stopped", 0, &info, child);
    say("ready %d", is_ready(fd));
    TRY("continue", send(fd, SIGCONT));
    TRY("wait", raw(SYS_waitid, WHICH_PIDFD, fd, &info, WCONTINUED, NULL));
    show_info("continued", 0, &info, child);
    let_it_end();
    TRY("wait", raw(SYS_waitid, WHICH_PIDFD, fd, &info, WEXITED, NULL));
    show_info("exited", 0, &info, child);
}

static volatile siginfo_t received;
static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    *(siginfo_t *)&received = *info;
}

static void signals(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    int own = open_it(getpid(), 0);
    TRY("to itself", send(own, SIGUSR1));
    say("signal %d, code %d, by itself %d", received.si_signo, received.si_code, received.si_pid == getpid());
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    info.si_pid = getpid(), info.si_value.sival_int = 5;
    TRY("queued", raw(SYS_pidfd_send_signal, own, SIGUSR1, &info, 0));
    say("signal %d, code %d, value %d", received.si_signo, received.si_code, received.si_value.sival_int);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        TRY("to the parent", send(own, SIGUSR1));
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, 0) != child) {
    }
    say("signal %d, code %d, by the child %d", received.si_signo, received.si_code, received.si_pid == child);
    say("still itself %d", parent == getpid());
}

static int open_directory(pid_t pid, const char *below, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d%s", pid, below);
    return open(path, O_DIRECTORY | O_CLOEXEC | flags);
}

/* Directories in /proc, which stand for their processes. */
static void directories(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    TRY("to itself", send(open("/proc/self", O_DIRECTORY), SIGUSR1));
    say("signal %d, code %d, by itself %d", received.si_signo, received.si_code, received.si_pid == getpid());
    TRY("only a path", send(open_directory(getpid(), "", O_PATH), SIGUSR1));
    TRY("a part of it", send(open_directory(getpid(), "/fd", 0), SIGUSR1));
    char thread[32];
    snprintf(thread, sizeof thread, "/task/%d", getpid());
    TRY("a thread's", send(open_directory(getpid(), thread, 0), SIGUSR1));
    TRY("all of them", send(open("/proc", O_DIRECTORY), SIGUSR1));
    TRY("another place", send(open("/", O_DIRECTORY), SIGUSR1));
    TRY("odd flags", raw(SYS_pidfd_send_signal, open("/proc/self", O_DIRECTORY), 0, NULL, 1 << 20));
    pid_t child = start_child();
    int fd = open_directory(child, "", 0), status = 0;
    TRY("only look", send(fd, 0));
    TRY("to the child", send(fd, SIGKILL));
    waitpid(child, &status, 0);
    say("it died by %d", WTERMSIG(status));
    TRY("it is gone", send(fd, 0));
}

/* A child from clone3, which gives the descriptor; many watched at once. */
static void many(void) {
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
            cgroup;
    } arguments = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD};
    int fd = -1, watched = epoll_create1(0);
    siginfo_t info = {0};
    arguments.pidfd = (uintptr_t)&fd;
    long child = raw(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0)
        _exit(3);
    say("started %d, descriptor %d, flags %d", child > 0, fd >= 0, fcntl(fd, F_GETFD));
    TRY("reap", raw(SYS_waitid, WHICH_PIDFD, fd, &info, WEXITED, NULL));
    show_info("exited", 0, &info, child);
    pid_t children[4];
    int ends[4];
    for (int i = 0; i < 4; i++) {
        children[i] = start_child();
        ends[i] = go[1];
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        int one = open_it(children[i], 0);
        say("watch = %d", epoll_ctl(watched, EPOLL_CTL_ADD, one, &event));
    }
    const int turns[] = {2, 0, 3, 1};
    for (int i = 0; i < 4; i++) {
        struct epoll_event event;
        write(ends[turns[i]], "x", 1);
        long count = raw(SYS_epoll_wait, watched, &event, 1, -1);
        waitpid(children[turns[i]], NULL, 0);
        say("ended = %ld: %d", count, (int)event.data.u64);
        int one = open_it(children[turns[i]], 0);
        say("gone %d", one);
        epoll_ctl(watched, EPOLL_CTL_DEL, fd, NULL);
        /* The dead stay ready: forget them by making the set anew. */
        close(watched);
        watched = epoll_create1(0);
        for (int j = i + 1; j < 4; j++) {
            event = (struct epoll_event){.events = EPOLLIN, .data.u64 = turns[j]};
            epoll_ctl(watched, EPOLL_CTL_ADD, open_it(children[turns[j]], 0), &event);
        }
    }
}

int main(int count, char **words) {
    const struct part parts[] = {
        {"opened", opened}, {"waited", waited}, {"stopped", stopped},         {"signals", signals},
        {"many", many},     {"directories", directories}, {NULL, NULL}};
    pipe(go);
    return run_part(parts, count, words);
}
