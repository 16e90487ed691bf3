/* POSIX message queues between processes: order, waits, notices, and what they refuse.
 *
 * A part's name comes in, lines go out. Always true: a queue's name is made from the process's id, and is
 * removed before the part ends. */
#include "family.h"
#include <limits.h>
#include <mqueue.h>
#include <poll.h>

static char name[64], buffer[64];

static mqd_t fresh(int flags, long count, long size) {
    struct mq_attr attributes = {.mq_maxmsg = count, .mq_msgsize = size};
    snprintf(name, sizeof name, "/mqueues-%d", getpid());
    return mq_open(name, O_RDWR | O_CREAT | O_EXCL | flags, 0600, &attributes);
}

static void receive(const char *what, mqd_t queue) {
    unsigned priority = 77;
    memset(buffer, 0, sizeof buffer);
    long result = got(mq_receive(queue, buffer, sizeof buffer, &priority));
    say("%s = %ld, priority %u, %s", what, result, priority, buffer);
}

static void show_attributes(const char *what, mqd_t queue) {
    struct mq_attr attributes;
    if (mq_getattr(queue, &attributes) != 0)
        say("%s: %d", what, -errno);
    else
        say("%s: flags %lx, at most %ld of %ld, now %ld", what, (long)attributes.mq_flags, (long)attributes.mq_maxmsg,
            (long)attributes.mq_msgsize, (long)attributes.mq_curmsgs);
}

static void priorities(void) {
    mqd_t queue = fresh(0, 8, sizeof buffer);
    say("open %d", queue >= 0);
    show_attributes("fresh", queue);
    static const struct {
        const char *text;
        unsigned priority;
    } messages[] = {{"low one", 1}, {"high one", 9}, {"low two", 1}, {"highest", 31}, {"high two", 9}, {"", 0}};
    for (unsigned i = 0; i < 6; i++)
        say("send %ld", got(mq_send(queue, messages[i].text, strlen(messages[i].text), messages[i].priority)));
    show_attributes("six", queue);
    for (int i = 0; i < 2; i++)
        receive("receive", queue);
    pid_t pid = CHILD(receive("child by descriptor", queue); mqd_t own = mq_open(name, O_RDONLY); receive("child by name", own));
    show_end("child", pid);
    for (int i = 0; i < 2; i++)
        receive("receive", queue);
    pid = CHILD(receive("child waits", queue); receive("child waits", queue));
    mq_send(queue, "for the child", 13, 2), pass_time(5 * MS), mq_send(queue, "again", 5, 2);
    show_end("child", pid);
    mq_unlink(name);
    say("unlinked, still there %ld", got(mq_send(queue, "more", 4, 3)));
    receive("receive", queue);
    EACH("open again, close, again", got(mq_open(name, O_RDONLY)), got(mq_close(queue)), got(mq_close(queue)));
}

static void waits(void) {
    mqd_t queue = fresh(0, 2, sizeof buffer);
    struct timespec at;
    int64_t end = clock_ns(CLOCK_REALTIME) + 20 * MS;
    at = (struct timespec){end / 1000000000, end % 1000000000};
    long result = got(mq_timedreceive(queue, buffer, sizeof buffer, NULL, &at));
    say("empty = %ld, not early %d", result, clock_ns(CLOCK_REALTIME) >= end);
    say("in the past %ld", got(mq_timedreceive(queue, buffer, sizeof buffer, NULL, &(struct timespec){1, 0})));
    say("odd time %ld", got(mq_timedreceive(queue, buffer, sizeof buffer, NULL, &(struct timespec){1, 1000000000})));
    mq_send(queue, "1", 1, 0), mq_send(queue, "2", 1, 0);
    end = clock_ns(CLOCK_REALTIME) + 20 * MS;
    at = (struct timespec){end / 1000000000, end % 1000000000};
    result = got(mq_timedsend(queue, "3", 1, 0, &at));
    say("full = %ld, not early %d", result, clock_ns(CLOCK_REALTIME) >= end);
    struct gate gate = new_gate();
    pid_t pid = CHILD(open_gate(gate); _exit(mq_send(queue, "high", 4, 5) != 0));
    pass_gate(gate);
    say("receive %ld", got(mq_receive(queue, buffer, sizeof buffer, NULL)));
    show_end("child", pid);
    receive("second", queue), receive("third", queue);
    struct mq_attr attributes = {.mq_flags = O_NONBLOCK, .mq_maxmsg = 99}, old;
    say("mq_setattr %ld", got(mq_setattr(queue, &attributes, &old)));
    show_attributes("does not wait", queue);
    say("old flags %lx, empty %ld", (long)old.mq_flags, got(mq_receive(queue, buffer, sizeof buffer, NULL)));
    mq_send(queue, "1", 1, 0), mq_send(queue, "2", 1, 0);
    say("full %ld", got(mq_send(queue, "3", 1, 0)));
    struct pollfd both = {queue, POLLIN | POLLOUT, 0};
    say("poll %ld", got(poll(&both, 1, 0)));
    say("revents %x", (unsigned)both.revents);
    mq_receive(queue, buffer, sizeof buffer, NULL), poll(&both, 1, 0);
    say("revents %x", (unsigned)both.revents);
    mq_unlink(name);
}

static void notices(void) {
    mqd_t queue = fresh(0, 4, sizeof buffer);
    sigset_t set = SET(SIGUSR1);
    siginfo_t info;
    struct timespec none = {0, 0};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 6};
    block(set);
    EACH("mq_notify, again", got(mq_notify(queue, &event)), got(mq_notify(queue, &event)));
    pid_t pid = CHILD(
        say("child: taken %ld", got(mq_notify(queue, &event)));
        mq_send(queue, "one", 3, 0), mq_send(queue, "two", 3, 0));
    say("signal %ld", got(sigwaitinfo(&set, &info)));
    say("code %d, value %d, sender right %d", info.si_code, info.si_value.sival_int, info.si_pid == pid);
    show_end("child", pid);
    say("once: %ld", got(sigtimedwait(&set, NULL, &none)));
    /* Only when it comes to an empty queue, and nobody waits. */
    mq_notify(queue, &event), mq_send(queue, "three", 5, 0);
    say("not empty: %ld", got(sigtimedwait(&set, NULL, &none)));
    for (int i = 0; i < 3; i++)
        mq_receive(queue, buffer, sizeof buffer, NULL);
    struct gate gate = new_gate();
    pid = CHILD(open_gate(gate); receive("child", queue));
    pass_gate(gate), pass_time(30 * MS);
    mq_send(queue, "for who waits", 13, 0), show_end("child", pid);
    say("somebody waited: %ld", got(sigtimedwait(&set, NULL, &none)));
    mq_send(queue, "nobody waits", 12, 0);
    say("now %ld", got(sigtimedwait(&set, NULL, &none)));
    mq_receive(queue, buffer, sizeof buffer, NULL);
    mq_notify(queue, &event);
    say("taken back %ld", got(mq_notify(queue, NULL)));
    mq_send(queue, "x", 1, 0), mq_receive(queue, buffer, sizeof buffer, NULL);
    say("no signal: %ld", got(sigtimedwait(&set, NULL, &none)));
    event.sigev_notify = SIGEV_NONE;
    say("SIGEV_NONE %ld", got(mq_notify(queue, &event)));
    mq_send(queue, "x", 1, 0), mq_receive(queue, buffer, sizeof buffer, NULL);
    mq_unlink(name);
}

static void odd(void) {
    mqd_t queue = fresh(0, 2, 16);
    struct mq_attr attributes = {.mq_maxmsg = 0, .mq_msgsize = 16}, large = {.mq_maxmsg = 1 << 20, .mq_msgsize = 16};
    char long_name[300];
    memset(long_name, 'n', sizeof long_name), long_name[0] = '/', long_name[299] = 0;
    EACH("exclusive", got(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL)));
    EACH("names", got(mq_open("/", O_RDWR | O_CREAT, 0600, NULL)), got(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL)),
         got(mq_open(long_name, O_RDWR | O_CREAT, 0600, NULL)), got(mq_open("/mqueues-none", O_RDWR)), got(mq_unlink("/mqueues-none")));
    EACH("attributes", got(mq_open("/mqueues-odd", O_RDWR | O_CREAT, 0600, &attributes)));
    pid_t pid = CHILD(say("too many: %d", mq_open("/mqueues-odd", O_RDWR | O_CREAT, 0600, &large) == -1 || getuid() == 0); mq_unlink("/mqueues-odd"));
    show_end("child", pid);
    EACH("sizes", got(mq_send(queue, buffer, 17, 0)), got(mq_receive(queue, buffer, 15, NULL)));
    EACH("priority", got(mq_send(queue, buffer, 1, 32768)), got(mq_send(queue, buffer, 1, 32767)));
    int reads = mq_open(name, O_RDONLY), writes = mq_open(name, O_WRONLY);
    EACH("direction", got(mq_send(reads, "x", 1, 0)), got(mq_receive(writes, buffer, sizeof buffer, NULL)));
    int file = open("/dev/null", O_RDWR);
    EACH("no queue", got(mq_send(file, "x", 1, 0)), got(mq_receive(99, buffer, sizeof buffer, NULL)), raw(SYS_mq_getsetattr, file, NULL, &attributes));
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65}, notice = {.sigev_notify = 77};
    EACH("notices", raw(SYS_mq_notify, queue, &event), raw(SYS_mq_notify, queue, &notice), raw(SYS_mq_notify, file, NULL));
    attributes.mq_flags = O_APPEND;
    EACH("flags", raw(SYS_mq_getsetattr, queue, &attributes, NULL));
    mq_unlink(name);
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"priorities", priorities}, {"waits", waits}, {"notices", notices}, {"odd", odd}, {NULL, NULL},
    };
    return run_parts(parts, count, words);
}
