/* New processes by every call that makes one: what they share with their maker, what they get as a copy.
 *
 * A part's name comes in, lines go out, from both sides. Always true: the maker speaks after its child
 * has ended or passed a gate, so that the order of lines is the same in every run. */
#include "family.h"
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/time.h>

/* As in linux/sched.h, which does not come with every C library. */
struct clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

static int in_data = 1;

static void memory(void) {
    int on_stack = 2;
    int *on_heap = malloc(sizeof *on_heap);
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *wiped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *on_heap = 3, *shared = 4, *private = 5, wiped[0] = 'w';
    say("madvise = %ld", got(madvise(wiped, 4096, MADV_WIPEONFORK)));
    struct gate gate = new_gate();
    pid_t parent = getpid();
    pid_t pid = CHILD(
        say("child sees %d %d %d %d %d %d", in_data, on_stack, *on_heap, *shared, *private, wiped[0]);
        say("child: new pid %d, parent right %d, thread is process %d", getpid() != parent, getppid() == parent,
            raw(SYS_gettid) == getpid());
        in_data = on_stack = *on_heap = *shared = *private = 77;
        open_gate(gate);
        _exit(9));
    pass_gate(gate);
    say("parent sees %d %d %d %d %d %c", in_data, on_stack, *on_heap, *shared, *private, wiped[0]);
    in_data = 100;
    show_end("child", pid);
    pid = CHILD(say("second child sees %d", in_data));
    show_end("second child", pid);
    say("none left: %ld", got(wait(NULL)));
}

static void descriptors(void) {
    char text[8] = "";
    int fd = open("file", O_RDWR | O_CREAT, 0600), closing = open("file", O_RDONLY | O_CLOEXEC);
    write(fd, "0123456789", 10), lseek(fd, 2, SEEK_SET);
    pid_t pid = CHILD(
        say("child: close-on-exec is open %ld, offset %ld", got(fcntl(closing, F_GETFD)), got(lseek(fd, 0, SEEK_CUR)));
        say("child read %ld", got(read(fd, text, 3)));
        fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK);
        close(fd), dup2(2, closing));
    show_end("child", pid);
    say("offset %ld, flags %x", got(lseek(fd, 0, SEEK_CUR)), (unsigned)fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK));
    say("own table: %ld", got(read(closing, text, 2)));
    /* Either side may close its end; the other's stays. */
    int pipes[2];
    pipe(pipes);
    pid = CHILD(close(pipes[0]); write(pipes[1], "hello", 5));
    close(pipes[1]);
    status_of(pid);
    char line[16] = "";
    long first = got(read(pipes[0], line, sizeof line)), second = got(read(pipes[0], line + 5, 8));
    say("pipe: %ld %s, then %ld", first, line, second);
}

static int at_fork[3];
static void before(void) { at_fork[0]++; }
static void in_parent(void) { at_fork[1]++; }
static void in_child(void) { at_fork[2]++; }
static void on_alarm(int signal) { (void)signal; }

/* What a child inherits and what it does not (fork(2)). */
static void inherits(void) {
    pthread_atfork(before, in_parent, in_child);
    umask(027), chdir("/");
    handle(SIGUSR1, on_alarm, SA_RESTART), handle(SIGUSR2, SIG_IGN, 0), handle(SIGALRM, on_alarm, 0);
    block(SET(SIGTERM, SIGHUP));
    raise(SIGTERM);
    alarm(1000);
    struct rlimit limit = {64, 128};
    setrlimit(RLIMIT_NOFILE, &limit);
    char name[16] = "renamed";
    raw(SYS_prctl, 15, name); /* PR_SET_NAME */
    pid_t pid = CHILD(
        say("atfork: %d %d %d", at_fork[0], at_fork[1], at_fork[2]);
        struct sigaction action;
        sigset_t set;
        sigaction(SIGUSR1, NULL, &action);
        say("handler %d, restart %d", action.sa_handler == on_alarm, (action.sa_flags & SA_RESTART) != 0);
        sigaction(SIGUSR2, NULL, &action);
        say("ignored %d", action.sa_handler == SIG_IGN);
        sigprocmask(SIG_BLOCK, NULL, &set);
        say("blocked %d %d %d", sigismember(&set, SIGTERM), sigismember(&set, SIGHUP), sigismember(&set, SIGINT));
        sigpending(&set);
        say("pending %d, alarm %u", sigismember(&set, SIGTERM), alarm(0));
        getrlimit(RLIMIT_NOFILE, &limit);
        say("limit %ld %ld, umask %o", (long)limit.rlim_cur, (long)limit.rlim_max, umask(0));
        raw(SYS_prctl, 16, name);
        char folder[64];
        say("name %s, folder %s", name, getcwd(folder, sizeof folder));
        say("group %d, session %d", getpgrp() == getpgid(getppid()), getsid(0) == getsid(getppid()));
        struct rusage usage;
        getrusage(RUSAGE_CHILDREN, &usage);
        say("children's time %d", usage.ru_utime.tv_sec == 0 && usage.ru_utime.tv_usec == 0));
    show_end("child", pid);
    say("atfork: %d %d %d", at_fork[0], at_fork[1], at_fork[2]);
    sigset_t set;
    sigpending(&set);
    say("still pending %d, alarm %d", sigismember(&set, SIGTERM), alarm(0) > 900);
}

/* The number of leaves below a process. */
static int tree(int depth) {
    int sum = depth == 0;
    for (int i = 0; depth > 0 && i < 2; i++) {
        pid_t pid = CHILD(_exit(tree(depth - 1)));
        sum += WEXITSTATUS(status_of(pid));
    }
    return sum;
}

static void many(void) {
    pid_t pid = CHILD(_exit(tree(4)));
    show_end("sixteen leaves", pid);
    pid_t pids[50];
    for (int i = 0; i < 50; i++)
        pids[i] = CHILD(_exit(i));
    int sum = 0, different = 1;
    for (int i = 0; i < 50; i++) {
        sum += WEXITSTATUS(status_of(pids[i])) == i;
        for (int j = 0; j < i; j++)
            different &= pids[i] != pids[j];
    }
    say("fifty children: %d, all different %d, none left %ld", sum, different, got(wait(NULL)));
}

static void *forks_no_more(void *unused) { return unused; }

/* RLIMIT_NPROC counts all processes of a user, but for root's: none is allowed, since some are there. */
static void limited(void) {
    struct rlimit none = {0, 0};
    EACH("limit", got(setrlimit(RLIMIT_NPROC, &none)));
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    if (pid > 0)
        show_end("root's child", pid);
    else
        say("fork = %d", -errno);
    pthread_t thread;
    int error = pthread_create(&thread, NULL, forks_no_more, NULL);
    if (error == 0)
        pthread_join(thread, NULL);
    say("thread: %d", error);
}

static void streams(void) {
    /* What a stream holds is written by each process that flushes it. */
    printf("held ");
    pid_t pid = CHILD(printf("child\n"); fflush(stdout));
    status_of(pid);
    printf("parent\n"), fflush(stdout);
    pid = fork();
    if (pid == 0) {
        printf("written at exit\n");
        exit(4);
    }
    show_end("exit", pid);
}

static void *forks_here(void *unused) {
    pid_t pid = CHILD(
        say("forking thread is the process: %d", raw(SYS_gettid) == getpid());
        _exit(6));
    show_end("child of a thread", pid);
    return unused;
}

static void *waits_here(void *gate) {
    pass_gate(*(struct gate *)gate);
    return NULL;
}

static void by_thread(void) {
    struct gate gate = new_gate();
    pthread_t one, two;
    pthread_create(&two, NULL, waits_here, &gate), pthread_create(&one, NULL, forks_here, NULL);
    pthread_join(one, NULL);
    open_gate(gate);
    pthread_join(two, NULL);
}

static void on_usr1(int signal) {
    say("handler for %d forks", signal);
    pid_t pid = CHILD(say("child of the handler"); _exit(5));
    show_end("it", pid);
}

static void on_return(int signal) {
    (void)signal;
    pid_t pid = fork();
    if (pid == 0)
        return; /* also the child leaves the handler */
    show_end("who returned", pid);
}

static void by_handler(void) {
    pid_t parent = getpid();
    handle(SIGUSR1, on_usr1, 0), handle(SIGUSR2, on_return, 0);
    raise(SIGUSR1), raise(SIGUSR2);
    if (getpid() != parent) {
        sigset_t set;
        sigprocmask(SIG_BLOCK, NULL, &set);
        say("child behind the handler, blocked %d", sigismember(&set, SIGUSR2));
        _exit(8);
    }
}

/* --- clone ------------------------------------------------------------------------------------------------ */

static char stack[64 * 1024] __attribute__((aligned(16)));

static int stores(void *where) {
    int here;
    *(volatile int *)where += 1;
    say("on the given stack: %d", (char *)&here >= stack && (char *)&here < stack + sizeof stack);
    return 21;
}

static void cloned(void) {
    volatile int value = 0;
    pid_t pid = clone(stores, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)&value);
    say("back with %d", value);
    show_end("shared memory, vfork", pid);
    pid = clone(stores, stack + sizeof stack, SIGCHLD, (void *)&value);
    show_end("own memory", pid);
    say("value %d", value);
    int tids[2] = {0, 0};
    pid = clone(stores, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD,
                (void *)&value, &tids[0], NULL, &tids[1]);
    say("parent's id %d", tids[0] == pid);
    show_end("ids", pid);
    pid = raw(SYS_clone, CLONE_CHILD_SETTID | SIGCHLD, NULL, NULL, &tids[1], 0);
    if (pid == 0) {
        say("child's id %d", tids[1] == getpid());
        _exit(0);
    }
    show_end("raw", pid);
    say("untouched %d", tids[1]);
    pid = raw(SYS_clone, 0, NULL, NULL, NULL, 0); /* no signal at its end */
    if (pid == 0)
        _exit(3);
    say("not for wait: %ld", got(waitpid(pid, NULL, 0)));
    show_wait("__WCLONE", pid, __WCLONE, pid);
    handle(SIGUSR1, SIG_IGN, 0);
    pid = raw(SYS_clone, SIGUSR1, NULL, NULL, NULL, 0);
    if (pid == 0)
        _exit(4);
    show_wait("not by default", pid, 0, pid);
    show_wait("__WALL", pid, __WALL, pid);
}

static void clone_odd(void) {
    say("thread without memory %ld", raw(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, stack + 1024, NULL, NULL, 0));
    say("handlers without memory %ld", raw(SYS_clone, CLONE_SIGHAND | SIGCHLD, NULL, NULL, NULL, 0));
    say("thread without handlers %ld", raw(SYS_clone, CLONE_THREAD | CLONE_VM, stack + 1024, NULL, NULL, 0));
    struct clone_args arguments = {.exit_signal = 65};
    say("clone3: bad signal %ld", raw(SYS_clone3, &arguments, sizeof arguments));
    arguments = (struct clone_args){.exit_signal = SIGCHLD, .stack_size = 4096};
    say("clone3: size without stack %ld", raw(SYS_clone3, &arguments, sizeof arguments));
    arguments = (struct clone_args){.exit_signal = SIGCHLD, .stack = (uintptr_t)stack};
    say("clone3: stack without size %ld", raw(SYS_clone3, &arguments, sizeof arguments));
    arguments = (struct clone_args){.exit_signal = SIGCHLD, .flags = SIGCHLD};
    say("clone3: signal among the flags %ld", raw(SYS_clone3, &arguments, sizeof arguments));
    arguments = (struct clone_args){.exit_signal = SIGCHLD, .flags = UINT64_C(1) << 60};
    say("clone3: unknown flag %ld", raw(SYS_clone3, &arguments, sizeof arguments));
    arguments = (struct clone_args){.exit_signal = SIGCHLD};
    say("clone3: small %ld", raw(SYS_clone3, &arguments, 56));
    say("clone3: huge %ld", raw(SYS_clone3, &arguments, 100000));
    say("clone3: nothing %ld", raw(SYS_clone3, NULL, sizeof arguments));
    say("none left: %ld", got(wait(NULL)));
}

static void cloned3(void) {
    int pidfd = -1, tid = 0;
    struct gate gate = new_gate();
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    pid_t pid = raw(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0)
        _exit(11);
    show_end("as fork", pid);
    arguments = (struct clone_args){.flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .pidfd = (uintptr_t)&pidfd,
                                    .parent_tid = (uintptr_t)&tid, .exit_signal = SIGCHLD};
    pid = raw(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) {
        pass_gate(gate);
        _exit(12);
    }
    say("tid %d, close-on-exec %d", tid == pid, fcntl(pidfd, F_GETFD));
    struct pollfd end = {pidfd, POLLIN, 0};
    say("not ended: %ld", got(poll(&end, 1, 0)));
    siginfo_t info = {0};
    long result = raw(SYS_waitid, 3, pidfd, &info, WEXITED | WNOHANG, NULL); /* P_PIDFD */
    say("waitid at once = %ld, pid %d", result, info.si_pid);
    open_gate(gate);
    say("ended: %ld", got(poll(&end, 1, -1)));
    say("revents %d", end.revents);
    say("signal to a zombie %ld", raw(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
    result = raw(SYS_waitid, 3, pidfd, &info, WEXITED, NULL);
    say("waitid = %ld, pid %d, status %d", result, info.si_pid == pid, info.si_status);
    say("again = %ld", raw(SYS_waitid, 3, pidfd, &info, WEXITED, NULL));
    say("signal to nobody %ld", raw(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
    close(pidfd);
    pid = CHILD(pause());
    pidfd = raw(SYS_pidfd_open, pid, 0);
    say("pidfd_open odd: %ld %ld", raw(SYS_pidfd_open, pid, 1), raw(SYS_pidfd_open, -1, 0));
    say("pidfd kills: %ld", raw(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0));
    show_end("it", pid);
}

/* The parent of the caller, by /proc. */
static int shown_parent(void) {
    char line[512] = "";
    int fd = open("/proc/self/stat", O_RDONLY), parent = 0;
    read(fd, line, sizeof line - 1);
    close(fd);
    char *end_of_name = strrchr(line, ')');
    if (end_of_name)
        sscanf(end_of_name, ") %*c %d", &parent);
    return parent;
}

/* A name is bytes, not text. */
static void named(void) {
    const char *const names[] = {"", ") R 1 (", "caf\xc3", "\xff\xfe", "a\nb\tc", "longer than there is room for"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        char name[17] = "";
        say("set: %ld", raw(SYS_prctl, 15, names[i]));
        pid_t pid = CHILD(
            raw(SYS_prctl, 16, name);
            for (char *at = name; *at; at++) *at = *at >= ' ' && *at < 127 ? *at : '?';
            say("child \"%s\", parent right %d", name, shown_parent() == getppid()));
        show_end("child", pid);
        pid = CHILD(execl(self, self, "none", NULL));
        show_end("image", pid);
    }
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"memory", memory}, {"descriptors", descriptors}, {"inherits", inherits}, {"many", many}, {"limited", limited},
        {"streams", streams}, {"thread", by_thread}, {"handler", by_handler}, {"clone", cloned},
        {"clone-odd", clone_odd}, {"clone3", cloned3}, {"named", named}, {NULL, NULL},
    };
    return run_parts(parts, count, words);
}
