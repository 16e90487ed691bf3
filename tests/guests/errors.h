/* Calls that are made to fail: each is shown as it is written, with the name of its error.
 *
 * An expected error and a call come in, a line goes out. Always true: a call that fails otherwise, or not at
 * all, is marked, and the part ends with a failure, so that the native run shows that the error is the one that
 * the manual page names. Not made are errors that need a kernel without memory, files or disks (ENOMEM, ENFILE,
 * EIO, ENOSPC), a limit of the whole system, or another configuration of the kernel. */
#ifndef ERRORS_H
#define ERRORS_H

#include "family.h"
#include <sys/time.h>

/* Set once a call has not failed as expected. */
static int is_wrong;

/* Where no program has memory, unknown to the compiler, and memory for everything else. */
__attribute__((unused)) static void *volatile nowhere = (void *)1;
__attribute__((unused)) static char page[4096];
/* A number that no descriptor has, though the smallest of tables has room for it (select() passes over others), and
 * one that no process has. */
#define CLOSED 60
#define NOBODY 4194303
/* A user, and a group, without privileges and without anything else here. */
#define USER 54321

#define E(name) [name] = #name
static const char *const error_names[] = {
    [0] = "works", E(EPERM), E(ENOENT), E(ESRCH), E(EINTR), E(EIO), E(ENXIO), E(E2BIG), E(ENOEXEC), E(EBADF), E(ECHILD),
    E(EAGAIN), E(ENOMEM), E(EACCES), E(EFAULT), E(EBUSY), E(EEXIST), E(ENODEV), E(ENOTDIR), E(EISDIR), E(EINVAL), E(ENFILE),
    E(EMFILE), E(ENOTTY), E(ETXTBSY), E(EFBIG), E(ENOSPC), E(ESPIPE), E(EROFS), E(EPIPE), E(EDOM), E(ERANGE), E(EDEADLK),
    E(ENAMETOOLONG), E(ENOLCK), E(ENOSYS), E(ENOTEMPTY), E(ELOOP), E(ENOMSG), E(EIDRM), E(ETIME), E(ENOPKG), E(EPROTO),
    E(EBADMSG), E(EOVERFLOW), E(ELIBBAD), E(EUSERS), E(ENOTSOCK), E(EDESTADDRREQ), E(EMSGSIZE), E(EPROTOTYPE), E(ENOPROTOOPT),
    E(EPROTONOSUPPORT), E(ESOCKTNOSUPPORT), E(EOPNOTSUPP), E(EAFNOSUPPORT), E(EADDRINUSE), E(ENETUNREACH), E(ECONNRESET),
    E(ENOBUFS), E(EISCONN), E(ENOTCONN), E(ETOOMANYREFS), E(ETIMEDOUT), E(ECONNREFUSED), E(EALREADY), E(EINPROGRESS), E(ECANCELED),
};
#undef E

/* An error by its name, or its number if it is not expected anywhere. */
__attribute__((unused)) static const char *error_name(long error) {
    static char number[24];
    if (error >= 0 && error < (long)(sizeof error_names / sizeof *error_names) && error_names[error])
        return error_names[error];
    snprintf(number, sizeof number, "error %ld", error);
    return number;
}

__attribute__((unused)) static void show_error(const char *call, long expected, long result) {
    long error = result == -1 ? errno : result < 0 && result > -4096 ? -result : 0;
    if (error == expected)
        say("%s: %s", call, error_name(error));
    else
        say("%s: %s, but wanted %s", call, error_name(error), error_names[expected]), is_wrong = 1;
}

/* A call that fails with this error: one that sets errno and returns -1, or one that returns minus the error. */
#define FAILS(expected, ...) show_error(#__VA_ARGS__, expected, (long)(__VA_ARGS__))

/* What a function that returns its error's number returned, in this form. */
__attribute__((unused)) static long number(int error) { return errno = error, error ? -1 : 0; }

/* What lays the ground for a failure. */
#define WORKS(...) ((void)((long)(__VA_ARGS__) == -1 ? (say("%s: %s", #__VA_ARGS__, error_name(errno)), is_wrong = 1) : 0))

/* Statements in a child; whether it has failed as expected is known here, too. */
#define IN_CHILD(...) \
    do { \
        pid_t child_of_it_ = CHILD(is_wrong = 0; __VA_ARGS__; _exit(is_wrong)); \
        int status_of_it_ = status_of(child_of_it_); \
        if (status_of_it_ != 0) \
            say("a child: %s", in_words(status_of_it_)), is_wrong = 1; \
    } while (0)

/* Statements of a process without privileges, of a user who has nothing and is nobody else. */
#define AS_USER(...) IN_CHILD(be_user(); __VA_ARGS__)
__attribute__((unused)) static void be_user(void) {
    WORKS(raw(SYS_setresgid, USER, USER, USER));
    WORKS(raw(SYS_setresuid, USER, USER, USER));
}

/* A statement while no further descriptor can be had. The numbers below CLOSED are taken before. */
#define WITHOUT_ROOM(...) \
    do { \
        struct rlimit before_, none_ = {0, 0}; \
        WORKS(getrlimit(RLIMIT_NOFILE, &before_)); \
        none_.rlim_max = before_.rlim_max; \
        WORKS(setrlimit(RLIMIT_NOFILE, &none_)); \
        __VA_ARGS__; \
        WORKS(setrlimit(RLIMIT_NOFILE, &before_)); \
    } while (0)

__attribute__((unused)) static void on_signal(int signal) { (void)signal; }

/* Statements that a handled signal interrupts, each of which waits for longer. */
#define INTERRUPTED(...) \
    do { \
        handle(SIGALRM, on_signal, 0); \
        struct itimerval soon_ = {{0, 20000}, {0, 20000}}, never_ = {{0, 0}, {0, 0}}; \
        WORKS(setitimer(ITIMER_REAL, &soon_, NULL)); \
        __VA_ARGS__; \
        WORKS(setitimer(ITIMER_REAL, &never_, NULL)); \
    } while (0)

/* A child that waits until it is killed, has announced itself and runs the statements before. */
#define WAITING_CHILD(...) \
    ({ \
        struct gate ready_ = new_gate(); \
        pid_t waiting_ = CHILD(__VA_ARGS__; open_gate(ready_); for (;;) pause()); \
        pass_gate(ready_), close_gate(ready_); \
        waiting_; \
    })
__attribute__((unused)) static void end_child(pid_t pid) {
    kill(pid, SIGKILL);
    status_of(pid);
}

/* A file of ten bytes, opened. */
__attribute__((unused)) static int new_file(const char *name, int flags, mode_t mode) {
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (file < 0 || write(file, "0123456789", 10) != 10)
        say("%s: %s", name, error_name(errno)), exit(3);
    close(file);
    return open(name, flags | O_CLOEXEC);
}

__attribute__((unused)) static int run_parts_of_errors(const struct part *parts, int count, char **words) {
    int status = run_parts(parts, count, words);
    return status ? status : is_wrong;
}

#endif
