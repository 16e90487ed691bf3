/* splice, tee, vmsplice and the other calls that move bytes without a buffer, with a pipe at an end.
 *
 * The part to show comes in; a line for each call goes out. Always true: one process moves bytes between
 * its own pipes and files in the working directory, so that nothing waits, except where that is shown. Reads
 * and writes are in pipes.c. */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define TRY(name, call) say(name " = %ld", (long)(call))

static char text[200000];
static int a[2], b[2], file, other;

static void begin(void) {
    pipe2(a, O_NONBLOCK);
    pipe2(b, O_NONBLOCK);
    file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    other = open("other", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (other < 0 || write(file, "0123456789abcdefghijklmnopqrstuvwxyz", 36) != 36)
        abort();
    lseek(file, 0, SEEK_SET);
}

static void show(const char *name, int fd) {
    memset(text, 0, 100);
    long length = raw(SYS_read, fd, text, 100);
    say("%s = %ld: %s", name, length, text);
}

static void splices(void) {
    loff_t at = 10;
    TRY("file to pipe", raw(SYS_splice, file, NULL, a[1], NULL, 5, 0));
    TRY("its place", lseek(file, 0, SEEK_CUR));
    TRY("from an offset", raw(SYS_splice, file, &at, a[1], NULL, 6, 0));
    say("offset %ld, its place %ld", (long)at, (long)lseek(file, 0, SEEK_CUR));
    show("pipe", a[0]);
    at = 100;
    TRY("beyond the end", raw(SYS_splice, file, &at, a[1], NULL, 6, 0));
    write(a[1], "from the pipe", 13);
    TRY("pipe to file", raw(SYS_splice, a[0], NULL, other, NULL, 4, SPLICE_F_MOVE | SPLICE_F_MORE));
    at = 20;
    TRY("to an offset", raw(SYS_splice, a[0], NULL, other, &at, 100, 0));
    say("offset %ld, its place %ld", (long)at, (long)lseek(other, 0, SEEK_CUR));
    TRY("pipe is empty", raw(SYS_splice, a[0], NULL, other, NULL, 4, 0));
    lseek(other, 0, SEEK_SET);
    long length = read(other, text, 100);
    say("file has %ld: %.4s, %.9s", length, text, text + 20);
    write(a[1], "pipe to pipe", 12);
    TRY("pipe to pipe", raw(SYS_splice, a[0], NULL, b[1], NULL, 7, 0));
    show("one", a[0]);
    show("other", b[0]);
    TRY("nothing asked", raw(SYS_splice, a[0], NULL, b[1], NULL, 0, 0));
    TRY("empty to pipe", raw(SYS_splice, a[0], NULL, b[1], NULL, 7, 0));
    ftruncate(other, 200000);
    lseek(other, 0, SEEK_SET);
    TRY("much of a file", raw(SYS_splice, other, NULL, a[1], NULL, 200000, 0));
    TRY("pipe is full", raw(SYS_splice, other, NULL, a[1], NULL, 200000, SPLICE_F_NONBLOCK));
    TRY("read", raw(SYS_read, a[0], text, sizeof text));
    close(a[1]);
    TRY("the writer has gone", raw(SYS_splice, a[0], NULL, b[1], NULL, 7, 0));
    close(b[0]);
    signal(SIGPIPE, SIG_IGN);
    lseek(file, 0, SEEK_SET);
    TRY("the reader has gone", raw(SYS_splice, file, NULL, b[1], NULL, 7, 0));
}

static void splice_errors(void) {
    loff_t at = 0, below = -5;
    int to_append = open("other", O_WRONLY | O_APPEND), only_read = open("file", O_RDONLY);
    int only_write = open("other", O_WRONLY), folder = open(".", O_RDONLY);
    write(a[1], "something", 9);
    TRY("no descriptor", raw(SYS_splice, 99, NULL, a[1], NULL, 5, 0));
    TRY("to no descriptor", raw(SYS_splice, a[0], NULL, 99, NULL, 5, 0));
    TRY("from a writer", raw(SYS_splice, a[1], NULL, other, NULL, 5, 0));
    TRY("to a reader", raw(SYS_splice, file, NULL, a[0], NULL, 5, 0));
    TRY("from a file for writing", raw(SYS_splice, only_write, NULL, a[1], NULL, 5, 0));
    TRY("to a file for reading", raw(SYS_splice, a[0], NULL, only_read, NULL, 5, 0));
    TRY("file to file", raw(SYS_splice, file, NULL, other, NULL, 5, 0));
    TRY("to a file that appends", raw(SYS_splice, a[0], NULL, to_append, NULL, 5, 0));
    TRY("from a folder", raw(SYS_splice, folder, NULL, a[1], NULL, 5, 0));
    TRY("into itself", raw(SYS_splice, a[0], NULL, a[1], NULL, 5, 0));
    TRY("offset for a pipe", raw(SYS_splice, a[0], &at, other, NULL, 5, 0));
    TRY("offset for the other pipe", raw(SYS_splice, file, NULL, a[1], &at, 5, 0));
    TRY("offsets for two pipes", raw(SYS_splice, a[0], &at, b[1], &at, 5, 0));
    TRY("bad offset", raw(SYS_splice, file, (void *)8, a[1], NULL, 5, 0));
    TRY("negative offset", raw(SYS_splice, file, &below, a[1], NULL, 5, 0));
    TRY("unknown flags", raw(SYS_splice, file, NULL, a[1], NULL, 5, 1 << 10));
    TRY("unknown flags and nothing", raw(SYS_splice, file, NULL, a[1], NULL, 0, 1 << 10));
    TRY("no descriptor and nothing", raw(SYS_splice, 99, NULL, 98, NULL, 0, 0));
    show("pipe", a[0]);
}

static void tees(void) {
    write(a[1], "twice", 5);
    TRY("tee", raw(SYS_tee, a[0], b[1], 100, 0));
    TRY("tee of a part", raw(SYS_tee, a[0], b[1], 2, SPLICE_F_NONBLOCK));
    show("one", a[0]);
    show("other", b[0]);
    TRY("tee of the empty", raw(SYS_tee, a[0], b[1], 100, SPLICE_F_NONBLOCK));
    TRY("nothing asked", raw(SYS_tee, a[0], b[1], 0, 0));
    write(a[1], "x", 1);
    while (write(b[1], text, 4096) > 0) {
    }
    TRY("into the full", raw(SYS_tee, a[0], b[1], 100, SPLICE_F_NONBLOCK));
    TRY("into itself", raw(SYS_tee, a[0], a[1], 1, 0));
    TRY("from a file", raw(SYS_tee, file, a[1], 1, 0));
    TRY("into a file", raw(SYS_tee, a[0], other, 1, 0));
    TRY("wrong ends", raw(SYS_tee, a[1], b[1], 1, 0));
    TRY("wrong ends", raw(SYS_tee, a[0], b[0], 1, 0));
    TRY("no descriptor", raw(SYS_tee, 99, b[1], 1, 0));
    TRY("to no descriptor", raw(SYS_tee, a[0], 99, 1, 0));
    TRY("unknown flags", raw(SYS_tee, a[0], b[1], 1, 1 << 10));
    show("still there", a[0]);
    close(a[1]);
    TRY("the writer has gone", raw(SYS_tee, a[0], b[1], 100, 0));
}

static void vmsplices(void) {
    char one[] = "user ", two[] = "pages";
    struct iovec out[2] = {{one, 5}, {two, 5}};
    TRY("two parts", raw(SYS_vmsplice, a[1], out, 2, 0));
    show("pipe", a[0]);
    struct iovec page = {mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 8192};
    memset(page.iov_base, 'p', 8192);
    TRY("a gift", raw(SYS_vmsplice, a[1], &page, 1, SPLICE_F_GIFT));
    TRY("read", raw(SYS_read, a[0], text, sizeof text));
    say("it has %c", text[8000]);
    write(a[1], "into memory", 11);
    char in[20] = "", in2[20] = "";
    struct iovec into[2] = {{in, 5}, {in2, 19}};
    TRY("from the reader", raw(SYS_vmsplice, a[0], into, 2, 0));
    say("got '%s' '%s'", in, in2);
    TRY("empty", raw(SYS_vmsplice, a[0], into, 2, SPLICE_F_NONBLOCK));
    TRY("no parts", raw(SYS_vmsplice, a[1], out, 0, 0));
    TRY("too many parts", raw(SYS_vmsplice, a[1], out, 1025, 0));
    TRY("bad parts", raw(SYS_vmsplice, a[1], (void *)8, 1, 0));
    out[0].iov_base = (void *)8;
    TRY("bad memory", raw(SYS_vmsplice, a[1], out, 1, 0));
    TRY("a file", raw(SYS_vmsplice, file, into, 1, 0));
    TRY("no descriptor", raw(SYS_vmsplice, 99, into, 1, 0));
    TRY("unknown flags", raw(SYS_vmsplice, a[1], into, 1, 1 << 10));
    while (write(a[1], text, 4096) > 0) {
    }
    TRY("full", raw(SYS_vmsplice, a[1], into, 2, SPLICE_F_NONBLOCK));
}

static void sendfiles(void) {
    off_t at = 10;
    TRY("file to pipe", raw(SYS_sendfile, a[1], file, NULL, 5));
    TRY("from an offset", raw(SYS_sendfile, a[1], file, &at, 5));
    say("offset %ld, its place %ld", (long)at, (long)lseek(file, 0, SEEK_CUR));
    show("pipe", a[0]);
    TRY("all", raw(SYS_sendfile, a[1], file, NULL, 1000));
    TRY("at the end", raw(SYS_sendfile, a[1], file, NULL, 1000));
    show("pipe", a[0]);
    TRY("from a pipe", raw(SYS_sendfile, other, a[0], NULL, 5));
    TRY("pipe to pipe", raw(SYS_sendfile, b[1], a[0], NULL, 5));
    TRY("from a pipe at an offset", raw(SYS_sendfile, other, a[0], &at, 5));
    TRY("to a reader", raw(SYS_sendfile, a[0], file, NULL, 5));
    TRY("from no descriptor", raw(SYS_sendfile, a[1], 99, NULL, 5));
    TRY("to no descriptor", raw(SYS_sendfile, 99, file, NULL, 5));
    TRY("bad offset", raw(SYS_sendfile, a[1], file, (void *)8, 5));
    at = -1;
    TRY("negative offset", raw(SYS_sendfile, a[1], file, &at, 5));
    while (write(a[1], text, 4096) > 0) {
    }
    at = 0;
    TRY("full", raw(SYS_sendfile, a[1], file, &at, 5));
    loff_t from = 0;
    TRY("copy_file_range from a pipe", raw(SYS_copy_file_range, a[0], NULL, other, NULL, 5, 0));
    TRY("copy_file_range to a pipe", raw(SYS_copy_file_range, file, &from, b[1], NULL, 5, 0));
    TRY("copy_file_range of none", raw(SYS_copy_file_range, 99, NULL, b[1], NULL, 5, 0));
}

/* Both ends of a splice wait for the other process. */
static void waiting(void) {
    int in[2], out[2], status;
    pipe(in), pipe(out);
    if (fork() == 0) {
        close(in[1]), close(out[0]);
        long total = 0, moved;
        while ((moved = raw(SYS_splice, in[0], NULL, out[1], NULL, 1 << 20, 0)) > 0)
            total += moved;
        say("moved %ld, then %ld", total, moved);
        _exit(0);
    }
    close(in[0]), close(out[1]);
    if (fork() == 0) {
        close(out[0]);
        for (int i = 0; i < 10; i++) {
            memset(text, 'a' + i, 30000);
            write(in[1], text, 30000);
        }
        _exit(0);
    }
    close(in[1]);
    long total = 0, wrong = 0, length;
    while ((length = read(out[0], text, 10000)) > 0)
        for (long i = 0; i < length; i++, total++)
            wrong += text[i] != 'a' + total / 30000;
    int ended = 0, failed = 0;
    while (wait(&status) > 0)
        ended++, failed += status != 0;
    say("ended %d, failed %d", ended, failed);
    say("arrived %ld, wrong %ld", total, wrong);
}

int main(int count, char **words) {
    const struct part parts[] = {{"splice", splices},     {"splice errors", splice_errors}, {"tee", tees},
                 {"vmsplice", vmsplices}, {"sendfile", sendfiles},          {"waiting", waiting}, {NULL, NULL}};
    begin();
    return run_part(parts, count, words);
}
