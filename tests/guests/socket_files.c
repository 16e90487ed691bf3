/* Native descriptors in messages: files, directories, devices, standard streams.
 *
 * The part to show comes in; a line for each thing that was tried goes out. Always true: what was inherited is closed
 * first; files are in the folder that the program runs in. Descriptors of pipes and sockets are in socket_messages.c. */
#include "message.h"
#include <sys/file.h>
#include <sys/mman.h>

static int new_file(const char *name) {
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, "0123456789", 10) != 10)
        say("%s = %d", name, -errno), exit(3);
    lseek(file, 0, SEEK_SET);
    return file;
}

/* What reads it next. */
static void show_next(const char *what, int fd) {
    char text[4] = "";
    long result = got(read(fd, text, 3));
    say("%s = %ld '%s', at %ld", what, result, text, (long)got(lseek(fd, 0, SEEK_CUR)));
}

static void sharing(void) {
    FOR_TYPES(type) {
        int s[2];
        pair(s, type);
        int file = new_file("file");
        say("-- %s", type_name(type));
        TRY("sent", pass(s[0], "file", &file, 1));
        show_next("own", file);
        take("received", s[1], 50, 100, 0);
        show_next("its", taken[0]);
        show_next("own", file);
        say("flags %o %d, written %ld", fcntl(taken[0], F_GETFL), fcntl(taken[0], F_GETFD), (long)got(write(taken[0], "x", 1)));
        TRY("status of all", got(fcntl(taken[0], F_SETFL, O_APPEND)));
        say("flags %o", fcntl(file, F_GETFL));
        drop();
        TRY("sent", pass(s[0], "again", &file, 1));
        TRY("closed", got(close(file)));
        take("close on exec", s[1], 50, 100, MSG_CMSG_CLOEXEC);
        say("flags %d, at %ld", fcntl(taken[0], F_GETFD), (long)got(lseek(taken[0], 0, SEEK_CUR)));
        drop();
        close_both(s);
    }
}

static void families(void) {
    int s[2], t[2];
    pair(s, SOCK_STREAM), pair(t, SOCK_STREAM);
    int file = new_file("shared");
    TRY("sent", pass(s[0], "to a child", &file, 1));
    pid_t child = CHILD(close(file); close(s[0]); take("the child's", s[1], 50, 100, 0); show_next("read", taken[0]);
                        TRY("written", got(write(taken[0], "new", 3))); pass(s[1], "back", taken, 1));
    show_end("child", child);
    TRY("here", got(lseek(file, 0, SEEK_CUR)));
    take("back", s[0], 50, 100, 0);
    EACH("the same file", got(lseek(taken[0], 1, SEEK_SET)), got(lseek(file, 0, SEEK_CUR)));
    drop();
    /* Its sender is gone, and so is the file's name. */
    child = CHILD(int mine = new_file("lost"); unlink("lost"); lseek(mine, 4, SEEK_SET); pass(t[1], "a legacy", &mine, 1));
    show_end("sender", child);
    take("received", t[0], 50, 100, 0);
    show_next("of a file that is gone", taken[0]);
    drop();
    /* Both are gone. */
    child = CHILD(int mine = new_file("never"); pass(t[1], "for nobody", &mine, 1));
    show_end("sender", child);
    close_both(t);
    /* Through a process that has it open for nobody else. */
    int lock = open("lock", O_RDWR | O_CREAT, 0600), other = open("lock", O_RDWR);
    TRY("locked", got(flock(lock, LOCK_EX)));
    TRY("sent", pass(s[0], "a lock", &lock, 1));
    close(lock);
    TRY("it is locked still", got(flock(other, LOCK_EX | LOCK_NB)));
    take("received", s[1], 50, 100, 0);
    TRY("and still", got(flock(other, LOCK_EX | LOCK_NB)));
    drop();
    TRY("now it is not", got(flock(other, LOCK_EX | LOCK_NB)));
    TRY("locked", got(flock(other, LOCK_EX)));
    TRY("sent", pass(s[0], "lost", &other, 1));
    close(other);
    TRY("read without it", got(read(s[1], (char[9]){0}, 9)));
    other = open("lock", O_RDWR);
    TRY("it is closed", got(flock(other, LOCK_EX | LOCK_NB)));
}

static void mixtures(void) {
    int s[2], p[2];
    pair(s, SOCK_STREAM);
    new_pipe(p);
    int file = new_file("one"), folder = open(".", O_RDONLY | O_DIRECTORY), null = open("/dev/null", O_RDWR), path = open("one", O_PATH);
    int memory = memfd_create("memory", 0), random = open("/dev/urandom", O_RDONLY);
    int all[] = {p[0], file, p[1], folder, null, path, memory, random, file};
    TRY("sent", pass(s[0], "all", all, 9));
    int low = dup(1);
    close(folder), close(null), close(low);
    take("received", s[1], 50, 200, 0);
    say("numbers %d %d %d %d %d %d %d %d %d", taken[0], taken[1], taken[2], taken[3], taken[4], taken[5], taken[6], taken[7], taken[8]);
    TRY("through the pipe", got(write(taken[2], "pipe", 4)));
    show_next("out of it", taken[0]);
    show_next("the file", taken[1]);
    show_next("the file", taken[8]);
    TRY("in the folder", got(openat(taken[3], "one", O_RDONLY)) > 0);
    EACH("the device", got(write(taken[4], "x", 1)), got(read(taken[4], (char[1]){0}, 1)));
    TRY("a path only", got(read(taken[5], (char[1]){0}, 1)));
    TRY("memory", got(ftruncate(taken[6], 5000)));
    TRY("randomness", got(read(taken[7], (char[20]){0}, 20)));
    drop();
    /* Cut short: what does not fit is closed. */
    int some[] = {file, p[0], file, p[1]};
    TRY("sent", pass(s[0], "cut", some, 4));
    take("cut short", s[1], 50, CMSG_LEN(3 * sizeof(int)), 0);
    drop();
    TRY("sent", pass(s[0], "none", some, 4));
    take("no room", s[1], 50, 0, 0);
    TRY("sent", pass(s[0], "peek", some, 3));
    take("peeked", s[1], 50, 100, MSG_PEEK);
    show_next("read", taken[0]);
    drop();
    take("taken", s[1], 50, 100, 0);
    show_next("read", taken[0]);
    drop();
    /* Nothing of a message that is wrong. */
    EACH("wrong", pass(s[0], "x", (int[]){file, 99}, 2), pass(s[0], "x", (int[]){99}, 1), pass(s[0], "x", (int[]){file, -1}, 2),
         pass(99, "x", some, 4), pass(p[0], "x", some, 4));
    int many[254];
    for (int i = 0; i < 254; i++)
        many[i] = file;
    EACH("too many", pass(s[0], "x", many, 254), pass(s[0], "x", many, 253));
    take("many", s[1], 50, CMSG_SPACE(253 * sizeof(int)), 0);
    say("got %d", taken_count);
    drop();
    struct rlimit few = {16, 100};
    setrlimit(RLIMIT_NOFILE, &few);
    TRY("sent", pass(s[0], "x", many, 20));
    take("few numbers", s[1], 50, CMSG_SPACE(253 * sizeof(int)), 0);
    say("got %d", taken_count);
    drop();
    TRY("sent", pass(s[0], "x", some, 4));
    take("works again", s[1], 50, 100, 0);
}

/* What a program is given that it did not open. */
static void programs(void) {
    int s[2];
    pair(s, SOCK_SEQPACKET);
    int file = new_file("given");
    TRY("sent", pass(s[0], "x", &file, 1));
    pid_t child = CHILD(take("received", s[1], 50, 100, 0); dup2(taken[0], 0); execlp("head", "head", "-c", "4", (char *)NULL));
    show_end("head", child);
    say("-");
    TRY("sent", pass(s[0], "x", &file, 1));
    child = CHILD(take("received", s[1], 50, 100, MSG_CMSG_CLOEXEC); char path[40]; snprintf(path, sizeof path, "/proc/self/fd/%d", taken[0]);
                  execlp("test", "test", "!", "-e", path, (char *)NULL));
    show_end("test", child);
    /* The times of what is written through it are simulated, and its size is right. */
    TRY("sent", pass(s[0], "x", &file, 1));
    close(file);
    take("received", s[1], 50, 100, 0);
    TRY("written", got(pwrite(taken[0], "more", 4, 20)));
    struct stat st;
    TRY("status", got(stat("given", &st)));
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    say("size %d, new %d", (int)st.st_size, now.tv_sec - st.st_mtim.tv_sec < 100 && now.tv_sec >= st.st_mtim.tv_sec);
    /* A standard stream. */
    TRY("sent", pass(s[0], "x", (int[]){1}, 1));
    take("received", s[1], 50, 100, 0);
    TRY("written", got(write(taken[0], "through another number\n", 23)));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"sharing", sharing}, {"families", families}, {"mixtures", mixtures}, {"programs", programs}, {NULL, NULL}};
    raw(SYS_close_range, 3, ~0u, 0);
    return run_parts(parts, count, words);
}
