/* Blocking calls and signals: which calls a handler ends, which ones go on after it (signal(7)).
 *
 * A mode's name comes in; a line for each call goes out. Always true: the call waits in a child, for
 * something that its parent does; signals come again and again until the call ends, or until it has
 * withstood enough of them, so that it does not matter whether one came before the call had begun. */
#include "family.h"
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

/* What the calls wait for; the parent makes it new for each child. */
static mqd_t mq = -1;
static int pipes[2], full[2], file, event, epoll, timer, queue, semaphores, fifo_end = -1;
static pid_t grandchild;
static struct gate grandchild_gate, started;
static struct shared {
    uint32_t word;
    sem_t semaphore;
    pthread_mutex_t mutex;
    pthread_cond_t condition;
} *shared;
static struct {
    long type;
    char text[8000];
} message = {1, "m"};
static char bytes[PIPE_BUF];

static void nothing(void) {}

static void fill(int fd) {
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, bytes, sizeof bytes) > 0)
        ;
    fcntl(fd, F_SETFL, 0);
}

static void make(void) {
    pipe2(pipes, O_CLOEXEC), pipe2(full, O_CLOEXEC);
    fill(full[1]);
    file = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    event = eventfd(0, EFD_CLOEXEC), epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event wanted = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &wanted);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sem_init(&shared->semaphore, 1, 0);
    mkfifo("fifo", 0600);
    started = new_gate(), grandchild_gate = new_gate();
}

static void unmake(void) {
    const int fds[] = {pipes[0], pipes[1], full[0], full[1], file, event, epoll, timer};
    for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++)
        close(fds[i]);
    if (fifo_end >= 0)
        close(fifo_end), fifo_end = -1;
    close_gate(started), close_gate(grandchild_gate);
    munmap(shared, 4096);
    unlink("file"), unlink("fifo");
}

/* --- the calls; `complete` is what the parent does so that one ends well ------------------------------------- */

static void feed(void) { write(pipes[1], "data", 4); }
static void drain(void) {
    for (int i = 0; i < 16; i++)
        read(full[0], bytes, sizeof bytes);
}
static void release_flock(void) { flock(file, LOCK_UN); }
static void take_flock(void) { flock(file, LOCK_EX); }
static void set_lock(int type) { fcntl(file, F_SETLK, &(struct flock){.l_type = type, .l_whence = SEEK_SET}); }
static void take_lock(void) { set_lock(F_WRLCK); }
static void release_lock(void) { set_lock(F_UNLCK); }
static void set_ofd(int type) { fcntl(file, F_OFD_SETLK, &(struct flock){.l_type = type, .l_whence = SEEK_SET}); }
static void take_ofd(void) { set_ofd(F_WRLCK); }
static void release_ofd(void) { set_ofd(F_UNLCK); }
static void has_grandchild(void) {}
static void end_grandchild(void) { open_gate(grandchild_gate); }
static void wake_futex(void) {
    shared->word = 1;
    raw(SYS_futex, &shared->word, 1 /* FUTEX_WAKE */, 100, NULL, NULL, 0);
}
static void post(void) { sem_post(&shared->semaphore); }
static void count_event(void) { eventfd_write(event, 5); }
static void set_timer(void) { timerfd_settime(timer, 0, &(struct itimerspec){{0, 0}, {0, 1}}, NULL); }
static void open_fifo(void) { fifo_end = open("fifo", O_WRONLY | O_CLOEXEC); }
static void new_queue(void) { queue = msgget(IPC_PRIVATE, 0600); }
static void full_queue(void) {
    new_queue();
    while (msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT) == 0)
        ;
}
static void send_message(void) { msgsnd(queue, &message, 3, 0); }
static void take_messages(void) {
    while (msgrcv(queue, &message, sizeof message.text, 0, IPC_NOWAIT) >= 0)
        ;
}
static void new_mq(void) {
    struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 16};
    char name[32];
    snprintf(name, sizeof name, "/interrupts-%d", getpid());
    mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    mq_unlink(name);
}
static void send_mq(void) { mq_send(mq, "abc", 3, 0); }
static void full_mq(void) { new_mq(), send_mq(), send_mq(); }
static void take_mq(void) { mq_receive(mq, bytes, 16, NULL); }
static void new_semaphores(void) { semaphores = semget(IPC_PRIVATE, 1, 0600); }
static void count_semaphore(void) { semop(semaphores, &(struct sembuf){0, 1, 0}, 1); }

static const struct timespec second = {1, 0}, third = {0, 333 * MS};

static long do_read(void) { return got(read(pipes[0], bytes, 16)); }
static long do_readv(void) { return got(readv(pipes[0], &(struct iovec){bytes, 16}, 1)); }
static long do_write(void) { return got(write(full[1], bytes, 16)); }
static long do_flock(void) {
    int own = open("file", O_RDWR); /* a description of its own */
    return got(flock(own, LOCK_EX));
}
static long do_lock(void) { return got(fcntl(file, F_SETLKW, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET})); }
static long do_ofd(void) {
    int own = open("file", O_RDWR);
    return got(fcntl(own, F_OFD_SETLKW, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET}));
}
static long do_wait4(void) {
    grandchild = CHILD(pass_gate(grandchild_gate); _exit(3));
    open_gate(started);
    int status = 0;
    long result = raw(SYS_wait4, grandchild, &status, 0, NULL);
    return result > 0 ? WEXITSTATUS(status) : result;
}
static long do_waitid(void) {
    grandchild = CHILD(pass_gate(grandchild_gate); _exit(3));
    open_gate(started);
    siginfo_t info;
    return raw(SYS_waitid, P_ALL, 0, &info, WEXITED, NULL);
}
static long do_futex(void) { return raw(SYS_futex, &shared->word, 0 /* FUTEX_WAIT */, 0, NULL, NULL, 0); }
static long do_futex_time(void) { return raw(SYS_futex, &shared->word, 0 /* FUTEX_WAIT */, 0, &second, NULL, 0); }
static long do_sem_wait(void) { return got(sem_wait(&shared->semaphore)); }
static long do_eventfd(void) { return got(read(event, bytes, 8)); }
static long do_timerfd(void) { return got(read(timer, bytes, 8)); }
static long do_fifo(void) { return got(open("fifo", O_RDONLY)) >= 0 ? 0 : -errno; }
static long do_msgrcv(void) { return got(msgrcv(queue, &message, sizeof message.text, 0, 0)); }
static long do_msgsnd(void) { return got(msgsnd(queue, &message, 1000, 0)); }
static long do_mq_receive(void) { return got(mq_receive(mq, bytes, 16, NULL)); }
static long do_mq_timedsend(void) {
    struct timespec far = {INT32_MAX, 0};
    return got(mq_timedsend(mq, "abcd", 4, 0, &far));
}
static long do_semop(void) { return got(semop(semaphores, &(struct sembuf){0, -1, 0}, 1)); }
static long do_semtimedop(void) { return got(semtimedop(semaphores, &(struct sembuf){0, -1, 0}, 1, &second)); }
static long do_poll(void) { return got(poll(&(struct pollfd){pipes[0], POLLIN, 0}, 1, -1)); }
static long do_ppoll(void) { return got(ppoll(&(struct pollfd){pipes[0], POLLIN, 0}, 1, NULL, NULL)); }
static long do_select(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipes[0], &set);
    return got(select(pipes[0] + 1, &set, NULL, NULL, NULL));
}
static long do_pselect(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipes[0], &set);
    return got(pselect(pipes[0] + 1, &set, NULL, NULL, &second, NULL));
}
static long do_epoll(void) {
    struct epoll_event found;
    return got(epoll_wait(epoll, &found, 1, -1));
}
static long do_epoll_pwait(void) {
    struct epoll_event found;
    return got(epoll_pwait(epoll, &found, 1, 1000, NULL));
}
static long do_nanosleep(void) { return raw(SYS_nanosleep, &third, NULL); }
static long do_clock_nanosleep(void) { return raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &third, NULL); }
static long do_absolute(void) {
    int64_t end = clock_ns(CLOCK_MONOTONIC) + third.tv_nsec;
    struct timespec at = {end / 1000000000, end % 1000000000};
    return raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}
static long do_sigwaitinfo(void) {
    sigset_t set = SET(SIGUSR2);
    block(set);
    return got(sigwaitinfo(&set, NULL));
}
static long do_sigtimedwait(void) {
    sigset_t set = SET(SIGUSR2);
    block(set);
    return got(sigtimedwait(&set, NULL, &second));
}
static pid_t waiting;
static void send_usr2(void) { kill(waiting, SIGUSR2); }

/* A call that goes on after a handler with SA_RESTART, and one that goes on after a stop. */
enum { RESTARTS = 1, WITHSTANDS_STOPS = 2 };

static const struct {
    const char *name;
    void (*prepare)(void); /* in the parent */
    long (*call)(void);
    void (*complete)(void);
    int traits;
} calls[] = {
    {"read", nothing, do_read, feed, RESTARTS | WITHSTANDS_STOPS},
    {"readv", nothing, do_readv, feed, RESTARTS | WITHSTANDS_STOPS},
    {"write", nothing, do_write, drain, RESTARTS | WITHSTANDS_STOPS},
    {"flock", take_flock, do_flock, release_flock, RESTARTS | WITHSTANDS_STOPS},
    {"F_SETLKW", take_lock, do_lock, release_lock, RESTARTS | WITHSTANDS_STOPS},
    {"F_OFD_SETLKW", take_ofd, do_ofd, release_ofd, RESTARTS | WITHSTANDS_STOPS},
    {"wait4", has_grandchild, do_wait4, end_grandchild, RESTARTS | WITHSTANDS_STOPS},
    {"waitid", has_grandchild, do_waitid, end_grandchild, RESTARTS | WITHSTANDS_STOPS},
    {"futex", nothing, do_futex, wake_futex, RESTARTS | WITHSTANDS_STOPS},
    {"futex with time", nothing, do_futex_time, wake_futex, WITHSTANDS_STOPS},
    {"sem_wait", nothing, do_sem_wait, post, RESTARTS | WITHSTANDS_STOPS},
    {"eventfd", nothing, do_eventfd, count_event, RESTARTS | WITHSTANDS_STOPS},
    {"timerfd", nothing, do_timerfd, set_timer, RESTARTS | WITHSTANDS_STOPS},
    {"open fifo", nothing, do_fifo, open_fifo, RESTARTS | WITHSTANDS_STOPS},
    {"mq_receive", new_mq, do_mq_receive, send_mq, RESTARTS | WITHSTANDS_STOPS},
    {"mq_timedsend", full_mq, do_mq_timedsend, take_mq, RESTARTS | WITHSTANDS_STOPS},
    {"msgrcv", new_queue, do_msgrcv, send_message, WITHSTANDS_STOPS},
    {"msgsnd", full_queue, do_msgsnd, take_messages, WITHSTANDS_STOPS},
    {"semop", new_semaphores, do_semop, count_semaphore, 0},
    {"semtimedop", new_semaphores, do_semtimedop, count_semaphore, 0},
    {"poll", nothing, do_poll, feed, WITHSTANDS_STOPS},
    {"ppoll", nothing, do_ppoll, feed, WITHSTANDS_STOPS},
    {"select", nothing, do_select, feed, WITHSTANDS_STOPS},
    {"pselect", nothing, do_pselect, feed, WITHSTANDS_STOPS},
    {"epoll_wait", nothing, do_epoll, feed, 0},
    {"epoll_pwait", nothing, do_epoll_pwait, feed, 0},
    {"nanosleep", nothing, do_nanosleep, nothing, WITHSTANDS_STOPS},
    {"clock_nanosleep", nothing, do_clock_nanosleep, nothing, WITHSTANDS_STOPS},
    {"absolute", nothing, do_absolute, nothing, WITHSTANDS_STOPS},
    {"sigwaitinfo", nothing, do_sigwaitinfo, send_usr2, 0},
    {"sigtimedwait", nothing, do_sigtimedwait, send_usr2, 0},
};

static volatile sig_atomic_t handled;
static void on_signal(int signal) { handled += signal == SIGUSR1; }

enum mode { PLAIN, RESTART, IGNORED, STOPPED };

/* Disturb the child until it ends or has withstood as many signals as it may get. */
static void disturb(pid_t pid, enum mode mode, int limit, void (*complete)(void)) {
    int status = 0;
    for (int count = 0; count < limit; count++) {
        pass_time(12 * MS);
        kill(pid, mode == STOPPED ? SIGSTOP : SIGUSR1);
        if (mode == STOPPED && waitpid(pid, &status, WUNTRACED) == pid) {
            if (!WIFSTOPPED(status))
                return;
            kill(pid, SIGCONT);
        }
        siginfo_t info = {0};
        pass_time(MS);
        if (waitid(P_PID, pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == pid)
            return;
    }
    complete();
    status_of(pid);
}

static void all(enum mode mode) {
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        int traits = calls[i].traits;
        make();
        queue = semaphores = -1;
        calls[i].prepare();
        pid_t pid = CHILD(
            handle(SIGUSR1, mode == IGNORED ? SIG_IGN : on_signal, mode == RESTART ? SA_RESTART : 0);
            if (calls[i].prepare != has_grandchild) open_gate(started);
            long result = calls[i].call();
            say("%s = %ld", calls[i].name, result));
        pass_gate(started);
        waiting = pid;
        int may_end = mode == PLAIN || (mode == RESTART && !(traits & RESTARTS)) || (mode == STOPPED && !(traits & WITHSTANDS_STOPS));
        disturb(pid, mode, may_end ? 60 : 3, calls[i].complete);
        if (calls[i].prepare == has_grandchild)
            end_grandchild();
        if (queue >= 0)
            msgctl(queue, IPC_RMID, NULL);
        if (semaphores >= 0)
            semctl(semaphores, 0, IPC_RMID);
        if (mq >= 0)
            mq_close(mq), mq = -1;
        unmake();
    }
}

static void plain(void) { all(PLAIN); }
static void restart(void) { all(RESTART); }
static void ignored(void) { all(IGNORED); }
static void stopped(void) { all(STOPPED); }

int main(int count, char **words) {
    static const struct part parts[] = {
        {"plain", plain}, {"restart", restart}, {"ignored", ignored}, {"stopped", stopped}, {NULL, NULL},
    };
    return run_parts(parts, count, words);
}
