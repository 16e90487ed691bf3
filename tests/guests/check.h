/* What the small programs share: a line of output for each thing that was tried.
 *
 * A name and a result come in, one line goes out at once, without buffering, so that what was tried
 * before a death is seen. Always true: a line shows nothing that natively depends on the machine or on
 * chance, for both runs are compared. */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Write a line. Uses no stream: also for signal handlers. */
__attribute__((format(printf, 1, 2), unused)) static void say(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length < 0 || length > (int)sizeof line - 2)
        abort();
    line[length++] = '\n';
    if (write(1, line, length) != length)
        abort();
}

/* A system call without the C library's help: the result, or minus the error's number. */
#define raw(number, ...) raw_result(syscall(number, ##__VA_ARGS__))
__attribute__((unused)) static long raw_result(long result) { return result == -1 ? -errno : result; }

/* The result of a library function that sets errno, in the same form. */
#define got(expression) raw_result(expression)

__attribute__((unused)) static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        abort();
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

__attribute__((unused)) static void pass_time(int64_t ns) {
    struct timespec wait = {ns / 1000000000, ns % 1000000000};
    while (nanosleep(&wait, &wait) != 0)
        if (errno != EINTR)
            abort();
}

/* A part of a program that consists of some. */
struct part {
    const char *name;
    void (*run)(void);
};

/* Run the part that the first word names, or show all names for the word "list"; main's status. */
__attribute__((unused)) static int run_part(const struct part *parts, int count, char **words) {
    int is_list = count == 2 && strcmp(words[1], "list") == 0, status = is_list ? 0 : 2;
    for (; parts->name && count == 2; parts++) {
        if (is_list)
            say("%s", parts->name);
        else if (strcmp(words[1], parts->name) == 0)
            parts->run(), status = 0;
    }
    return status;
}

#endif
