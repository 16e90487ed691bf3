/* What POSIX message queues refuse: a case for each line of their pages.
 *
 * A part's name comes in, lines go out. Always true: names are made from the process's id, and unlinked. Left out:
 * limits of the whole system. */
#include "errors.h"
#include <limits.h>
#include <mqueue.h>

static char name[32], free_name[32], long_name[NAME_MAX + 3];
static const char *kernels_name = name + 1;
static struct mq_attr small = {.mq_maxmsg = 2, .mq_msgsize = 10};

static void lay_out(void) {
    snprintf(name, sizeof name, "/errors-%d", getpid()), snprintf(free_name, sizeof free_name, "/free-%d", getpid());
    memset(long_name, 'x', sizeof long_name - 1), long_name[0] = '/';
}

#define OPEN_FAILS(error, ...) FAILS(error, mq_open(__VA_ARGS__))

static void opens(void) {
    lay_out();
    struct mq_attr none = {.mq_maxmsg = 0, .mq_msgsize = 10}, no_size = {.mq_maxmsg = 1, .mq_msgsize = 0}, negative = {.mq_maxmsg = -1, .mq_msgsize = -1},
                   huge = {.mq_maxmsg = 65537, .mq_msgsize = 1}, too_many = {.mq_maxmsg = 11, .mq_msgsize = 1}, too_long = {.mq_maxmsg = 1, .mq_msgsize = 8193},
                   product = {.mq_maxmsg = 65536, .mq_msgsize = 1 << 24};
    OPEN_FAILS(ENOENT, free_name, O_RDWR);
    OPEN_FAILS(ENOENT, free_name, O_RDWR | O_EXCL);
    OPEN_FAILS(ENOENT, "/", O_RDWR | O_CREAT, 0600, NULL);
    OPEN_FAILS(EACCES, "/a/b", O_RDWR | O_CREAT, 0600, NULL);
    OPEN_FAILS(ENAMETOOLONG, long_name, O_RDWR | O_CREAT, 0600, NULL);
    OPEN_FAILS(EINVAL, free_name, O_RDWR | O_CREAT, 0600, &none);
    OPEN_FAILS(EINVAL, free_name, O_RDWR | O_CREAT, 0600, &no_size);
    OPEN_FAILS(EINVAL, free_name, O_RDWR | O_CREAT, 0600, &negative);
    OPEN_FAILS(EINVAL, free_name, O_RDWR | O_CREAT, 0600, &huge);
    OPEN_FAILS(EINVAL, free_name, O_RDWR | O_CREAT, 0600, &product);
    FAILS(EACCES, raw(SYS_mq_open, "with/slash", O_RDWR | O_CREAT, 0600, NULL));
    FAILS(ENOENT, raw(SYS_mq_open, "", O_RDWR | O_CREAT, 0600, NULL));
    FAILS(EACCES, raw(SYS_mq_open, ".", O_RDWR | O_CREAT, 0600, NULL));
    FAILS(EACCES, raw(SYS_mq_open, "..", O_RDWR, 0600, NULL));
    FAILS(EFAULT, raw(SYS_mq_open, nowhere, O_RDWR, 0600, NULL));
    FAILS(EFAULT, raw(SYS_mq_open, kernels_name, O_RDWR | O_CREAT, 0600, nowhere));
    FAILS(EFAULT, raw(SYS_mq_open, kernels_name, O_RDWR, 0600, nowhere));
    WITHOUT_ROOM(OPEN_FAILS(EMFILE, name, O_RDWR | O_CREAT, 0600, NULL));
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0600, &small);
    WORKS(queue);
    OPEN_FAILS(EEXIST, name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
    OPEN_FAILS(EINVAL, name, O_ACCMODE);
    WITHOUT_ROOM(OPEN_FAILS(EMFILE, name, O_RDWR));
    AS_USER(
        OPEN_FAILS(EACCES, name, O_RDWR);
        OPEN_FAILS(EACCES, name, O_RDONLY);
        OPEN_FAILS(EACCES, name, O_WRONLY | O_CREAT, 0600, NULL);
        OPEN_FAILS(EINVAL, free_name, O_RDWR | O_CREAT, 0600, &too_many);
        OPEN_FAILS(EINVAL, free_name, O_RDWR | O_CREAT, 0600, &too_long);
        struct rlimit no_bytes = {0, 0};
        WORKS(setrlimit(RLIMIT_MSGQUEUE, &no_bytes));
        OPEN_FAILS(EMFILE, free_name, O_RDWR | O_CREAT, 0600, &small);
        FAILS(EACCES, mq_unlink(name));
        FAILS(EPERM, raw(SYS_mq_unlink, kernels_name)));
    FAILS(ENOENT, mq_unlink(free_name));
    FAILS(ENAMETOOLONG, mq_unlink(long_name));
    FAILS(EFAULT, raw(SYS_mq_unlink, nowhere));
    FAILS(ENOENT, raw(SYS_mq_unlink, ""));
    FAILS(EACCES, raw(SYS_mq_unlink, "with/slash"));
    WORKS(mq_unlink(name));
    FAILS(ENOENT, mq_unlink(name));
}

static void transfers(void) {
    lay_out();
    int fds[2];
    WORKS(pipe(fds));
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0600, &small), reader = mq_open(name, O_RDONLY), writer = mq_open(name, O_WRONLY),
          quick = mq_open(name, O_RDWR | O_NONBLOCK);
    struct timespec at_once = {0, 0}, wrong = {-1, 0}, much = {0, 1000000000}, far = {INT32_MAX, 0};
    WORKS(mq_unlink(name));
    FAILS(EBADF, mq_send(CLOSED, page, 1, 0));
    FAILS(EBADF, mq_send(-1, page, 1, 0));
    FAILS(EBADF, mq_send(fds[1], page, 1, 0));
    FAILS(EBADF, mq_send(reader, page, 1, 0));
    FAILS(EMSGSIZE, mq_send(queue, page, 11, 0));
    FAILS(EMSGSIZE, raw(SYS_mq_timedsend, queue, page, -1L, 0, NULL));
    FAILS(EINVAL, mq_send(queue, page, 1, 32768));
    FAILS(EINVAL, raw(SYS_mq_timedsend, queue, page, 1, -1, NULL));
    FAILS(EINVAL, raw(SYS_mq_timedsend, queue, page, 1, 0, &wrong));
    FAILS(EINVAL, raw(SYS_mq_timedsend, CLOSED, page, 1, 0, &much));
    FAILS(EFAULT, raw(SYS_mq_timedsend, queue, nowhere, 1, 0, NULL));
    FAILS(EFAULT, raw(SYS_mq_timedsend, queue, page, 1, 0, nowhere));
    FAILS(EBADF, mq_receive(CLOSED, page, 10, NULL));
    FAILS(EBADF, mq_receive(fds[0], page, 10, NULL));
    FAILS(EBADF, mq_receive(writer, page, 10, NULL));
    FAILS(EMSGSIZE, mq_receive(queue, page, 9, NULL));
    FAILS(EAGAIN, mq_receive(quick, page, 10, NULL));
    FAILS(ETIMEDOUT, raw(SYS_mq_timedreceive, queue, page, 10, NULL, &at_once));
    FAILS(EINVAL, raw(SYS_mq_timedreceive, queue, page, 10, NULL, &wrong));
    FAILS(EINVAL, raw(SYS_mq_timedreceive, queue, page, 10, NULL, &much));
    FAILS(EINVAL, raw(SYS_mq_timedreceive, quick, page, 9, NULL, &much));
    FAILS(EFAULT, raw(SYS_mq_timedreceive, queue, page, 10, NULL, nowhere));
    INTERRUPTED(FAILS(EINTR, mq_receive(queue, page, 10, NULL)); FAILS(EINTR, raw(SYS_mq_timedreceive, queue, page, 10, NULL, &far)));
    WORKS(mq_send(queue, page, 10, 1));
    FAILS(EFAULT, raw(SYS_mq_timedreceive, queue, nowhere, 10, NULL, NULL));
    WORKS(mq_send(queue, page, 10, 1));
    WORKS(mq_send(queue, page, 10, 2));
    FAILS(EAGAIN, mq_send(quick, page, 1, 0));
    FAILS(ETIMEDOUT, raw(SYS_mq_timedsend, queue, page, 1, 0, &at_once));
    INTERRUPTED(FAILS(EINTR, mq_send(queue, page, 1, 0)); FAILS(EINTR, raw(SYS_mq_timedsend, queue, page, 1, 0, &far)));
    FAILS(EFAULT, raw(SYS_mq_timedreceive, queue, page, 10, nowhere, NULL));
    FAILS(EINVAL, write(queue, page, 10));
}

static void notices(void) {
    lay_out();
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0600, &small);
    WORKS(mq_unlink(name));
    struct sigevent odd = {.sigev_notify = 77}, signal = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65}, good = {.sigev_notify = SIGEV_NONE},
                    thread = {.sigev_notify = SIGEV_THREAD, .sigev_signo = CLOSED};
    int fds[2];
    WORKS(pipe(fds));
    FAILS(EBADF, raw(SYS_mq_notify, CLOSED, &good));
    FAILS(EBADF, raw(SYS_mq_notify, fds[0], &good));
    FAILS(EBADF, raw(SYS_mq_notify, -1, NULL));
    FAILS(EINVAL, raw(SYS_mq_notify, queue, &odd));
    FAILS(EINVAL, raw(SYS_mq_notify, queue, &signal));
    FAILS(EINVAL, raw(SYS_mq_notify, CLOSED, &odd));
    FAILS(EFAULT, raw(SYS_mq_notify, queue, nowhere));
    FAILS(EFAULT, raw(SYS_mq_notify, queue, &thread));
    thread.sigev_value.sival_ptr = page;
    FAILS(EBADF, raw(SYS_mq_notify, queue, &thread));
    WORKS(raw(SYS_mq_notify, queue, &good));
    FAILS(EBUSY, raw(SYS_mq_notify, queue, &good));
    IN_CHILD(FAILS(EBUSY, raw(SYS_mq_notify, queue, &good)));
    struct mq_attr flags = {.mq_flags = O_NONBLOCK | O_APPEND}, now;
    FAILS(EBADF, raw(SYS_mq_getsetattr, CLOSED, NULL, &now));
    FAILS(EBADF, raw(SYS_mq_getsetattr, fds[0], NULL, &now));
    FAILS(EBADF, raw(SYS_mq_getsetattr, -1, NULL, NULL));
    FAILS(EINVAL, raw(SYS_mq_getsetattr, queue, &flags, NULL));
    FAILS(EINVAL, raw(SYS_mq_getsetattr, CLOSED, &flags, NULL));
    FAILS(EFAULT, raw(SYS_mq_getsetattr, queue, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_mq_getsetattr, queue, NULL, nowhere));
}

int main(int count, char **words) {
    static const struct part parts[] = {{"mq_open", opens}, {"mq_send", transfers}, {"mq_notify", notices}, {NULL, NULL}};
    return run_parts_of_errors(parts, count, words);
}
