/* What splice, tee, vmsplice and sendfile refuse: a case for each line of their pages.
 *
 * A part's name comes in, lines go out. Always true: a file and two pipes are there for every part. Left out: EIO
 * and ENOMEM, which need a system in trouble. */
#include "errors.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static int file, reader, writer, appends, empty[2], full[2];
static loff_t place, before = -1;

static void lay_out(void) {
    handle(SIGPIPE, SIG_IGN, 0);
    file = new_file("file", O_RDWR, 0600), reader = open("file", O_RDONLY), writer = open("file", O_WRONLY);
    appends = open("appended", O_WRONLY | O_CREAT | O_APPEND, 0600);
    WORKS(pipe2(empty, O_CLOEXEC));
    WORKS(pipe2(full, O_CLOEXEC));
    WORKS(fcntl(full[1], F_SETPIPE_SZ, 4096));
    WORKS(write(full[1], page, 4096));
}

static void splices(void) {
    lay_out();
    FAILS(EAGAIN, splice(empty[0], NULL, file, NULL, 10, SPLICE_F_NONBLOCK));
    FAILS(EAGAIN, splice(file, NULL, full[1], NULL, 10, SPLICE_F_NONBLOCK));
    FAILS(EAGAIN, splice(empty[0], NULL, full[1], NULL, 10, SPLICE_F_NONBLOCK));
    FAILS(EBADF, splice(CLOSED, NULL, full[1], NULL, 10, 0));
    FAILS(EBADF, splice(file, NULL, CLOSED, NULL, 10, 0));
    FAILS(EBADF, splice(-1, NULL, -1, NULL, 10, 0));
    FAILS(EBADF, splice(writer, NULL, empty[1], NULL, 10, 0));
    FAILS(EBADF, splice(full[0], NULL, reader, NULL, 10, 0));
    FAILS(EBADF, splice(full[1], NULL, file, NULL, 10, 0));
    FAILS(EBADF, splice(full[0], NULL, open("file", O_PATH), NULL, 10, 0));
    FAILS(EBADF, splice(open("file", O_PATH), NULL, empty[1], NULL, 10, 0));
    FAILS(EBADF, splice(file, NULL, empty[0], NULL, 10, 0));
    FAILS(EBADF, splice(full[1], NULL, empty[1], NULL, 10, 0));
    FAILS(EINVAL, splice(full[0], NULL, appends, NULL, 10, 0));
    FAILS(EINVAL, splice(full[0], NULL, epoll_create1(0), NULL, 10, 0));
    FAILS(EINVAL, splice(epoll_create1(0), NULL, empty[1], NULL, 10, 0));
    FAILS(EINVAL, splice(full[0], NULL, eventfd(0, 0), NULL, 10, 0));
    FAILS(EINVAL, splice(file, NULL, writer, NULL, 10, 0));
    FAILS(EINVAL, splice(eventfd(1, 0), NULL, file, NULL, 10, 0));
    FAILS(EINVAL, splice(full[0], NULL, full[1], NULL, 10, 0));
    FAILS(EINVAL, splice(full[0], NULL, empty[1], NULL, 10, 16));
    FAILS(EINVAL, splice(CLOSED, NULL, CLOSED, NULL, 10, 16));
    FAILS(EINVAL, splice(file, &before, empty[1], NULL, 10, 0));
    FAILS(EINVAL, splice(file, NULL, full[1], NULL, -1, SPLICE_F_NONBLOCK));
    FAILS(EINVAL, splice(full[0], NULL, file, NULL, -1, 0));
    FAILS(EBADF, splice(full[0], NULL, open("file", O_RDONLY | O_APPEND), NULL, 10, 0));
    FAILS(EINVAL, splice(full[0], NULL, file, &before, 10, 0));
    FAILS(EINVAL, splice(eventfd(1, 0), &place, empty[1], NULL, 10, 0));
    FAILS(ESPIPE, splice(full[0], &place, file, NULL, 10, 0));
    FAILS(ESPIPE, splice(file, NULL, empty[1], &place, 10, 0));
    FAILS(ESPIPE, splice(full[0], &place, empty[1], NULL, 10, 0));
    FAILS(ESPIPE, splice(full[0], NULL, empty[1], &place, 10, 0));
    FAILS(EFAULT, splice(file, nowhere, empty[1], NULL, 10, 0));
    FAILS(EFAULT, splice(full[0], NULL, file, nowhere, 10, 0));
    FAILS(EINVAL, splice(open(".", O_RDONLY), NULL, empty[1], NULL, 10, 0));
    INTERRUPTED(FAILS(EINTR, splice(empty[0], NULL, file, NULL, 10, 0)); FAILS(EINTR, splice(file, NULL, full[1], NULL, 10, 0)));
    close(empty[0]);
    FAILS(EPIPE, splice(file, NULL, empty[1], NULL, 10, 0));
    FAILS(EPIPE, splice(full[0], NULL, empty[1], NULL, 10, 0));
}

static void tees(void) {
    lay_out();
    FAILS(EAGAIN, tee(empty[0], full[1], 10, SPLICE_F_NONBLOCK));
    int other[2];
    WORKS(pipe2(other, O_NONBLOCK));
    FAILS(EAGAIN, tee(other[0], empty[1], 10, 0));
    FAILS(EINVAL, tee(file, empty[1], 10, 0));
    FAILS(EINVAL, tee(full[0], file, 10, 0));
    FAILS(EINVAL, tee(full[0], eventfd(0, 0), 10, 0));
    FAILS(EINVAL, tee(full[0], full[1], 10, 0));
    FAILS(EINVAL, tee(full[0], empty[1], 10, 16));
    FAILS(EBADF, tee(CLOSED, empty[1], 10, 0));
    FAILS(EBADF, tee(full[0], CLOSED, 10, 0));
    FAILS(EBADF, tee(full[1], empty[1], 10, 0));
    FAILS(EBADF, tee(full[0], open("file", O_PATH), 10, 0));
    FAILS(EBADF, tee(open("file", O_PATH), empty[1], 10, 0));
    FAILS(EBADF, tee(full[0], empty[0], 10, 0));
    INTERRUPTED(FAILS(EINTR, tee(empty[0], full[1], 10, 0)));
    close(empty[0]);
    FAILS(EPIPE, tee(full[0], empty[1], 10, 0));
}

static void vmsplices(void) {
    lay_out();
    struct iovec part = {page, 10}, lost = {nowhere, 10}, huge = {page, -1}, parts[2] = {{page, 10}, {page, -1}};
    FAILS(EAGAIN, vmsplice(full[1], &part, 1, SPLICE_F_NONBLOCK));
    FAILS(EAGAIN, vmsplice(empty[0], &part, 1, SPLICE_F_NONBLOCK));
    FAILS(EBADF, vmsplice(CLOSED, &part, 1, 0));
    FAILS(EBADF, vmsplice(file, &part, 1, 0));
    FAILS(EBADF, vmsplice(reader, &part, 1, 0));
    FAILS(EBADF, vmsplice(eventfd(0, 0), &part, 1, 0));
    FAILS(EINVAL, vmsplice(empty[1], &part, 1025, 0));
    FAILS(EINVAL, vmsplice(empty[1], &part, -1, 0));
    FAILS(EINVAL, vmsplice(empty[1], &part, 1, 16));
    FAILS(EINVAL, vmsplice(CLOSED, &part, 1, 16));
    FAILS(EINVAL, vmsplice(empty[1], &huge, 1, 0));
    FAILS(EINVAL, vmsplice(empty[1], parts, 2, 0));
    FAILS(EFAULT, vmsplice(empty[1], nowhere, 1, 0));
    FAILS(EFAULT, vmsplice(empty[1], &lost, 1, 0));
    FAILS(EFAULT, vmsplice(full[0], &lost, 1, 0));
    INTERRUPTED(FAILS(EINTR, vmsplice(full[1], &part, 1, 0)));
    close(empty[0]);
    FAILS(EPIPE, vmsplice(empty[1], &part, 1, 0));
}

static void sendfiles(void) {
    lay_out();
    off_t start = 0, wrong = -1;
    int quick[2];
    WORKS(pipe2(quick, O_NONBLOCK));
    while (write(quick[1], page, 4096) > 0);
    FAILS(EAGAIN, sendfile(quick[1], file, &start, 10));
    FAILS(EBADF, sendfile(writer, CLOSED, NULL, 10));
    FAILS(EBADF, sendfile(CLOSED, file, NULL, 10));
    FAILS(EBADF, sendfile(writer, writer, NULL, 10));
    FAILS(EBADF, sendfile(reader, file, NULL, 10));
    FAILS(EBADF, sendfile(empty[0], file, NULL, 10));
    FAILS(EBADF, sendfile(file, empty[1], NULL, 10));
    FAILS(EBADF, sendfile(empty[0], full[0], NULL, 10));
    FAILS(EBADF, sendfile(empty[1], writer, NULL, 10));
    FAILS(EBADF, sendfile(empty[1], open("file", O_PATH), NULL, 10));
    FAILS(ESPIPE, sendfile(CLOSED, full[0], &start, 10));
    FAILS(EFAULT, raw(SYS_sendfile, CLOSED, CLOSED, nowhere, 10));
    FAILS(EINVAL, sendfile(appends, file, NULL, 10));
    FAILS(EINVAL, sendfile(writer, full[0], NULL, 10));
    FAILS(EINVAL, sendfile(empty[1], full[0], NULL, 10));
    FAILS(EINVAL, sendfile(writer, eventfd(1, 0), NULL, 10));
    FAILS(EINVAL, sendfile(writer, file, NULL, -1));
    FAILS(EINVAL, sendfile(empty[1], file, NULL, -1));
    FAILS(EINVAL, sendfile(CLOSED, file, NULL, -1));
    FAILS(EINVAL, sendfile(empty[1], file, &wrong, 10));
    FAILS(EFAULT, raw(SYS_sendfile, empty[1], file, nowhere, 10));
    FAILS(ESPIPE, sendfile(writer, full[0], &start, 10));
    FAILS(ESPIPE, sendfile(writer, eventfd(1, 0), &start, 10));
    INTERRUPTED(FAILS(EINTR, sendfile(full[1], file, &start, 10)));
    close(empty[0]);
    FAILS(EPIPE, sendfile(empty[1], file, &start, 10));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"splice", splices}, {"tee", tees}, {"vmsplice", vmsplices}, {"sendfile", sendfiles}, {NULL, NULL},
    };
    return run_parts_of_errors(parts, count, words);
}
