/* What the checks of the conformance program share: how a check tells what it found.
 *
 * A result comes in, one line on standard output goes out, at once and without a stream, and the check is over: `fails` and
 * `unsupported` do not return, and a check that returns holds. Always true: a line begins with MARK and its fields are
 * separated by tabs; what the runner makes of it is in `crates/shim-cli/src/conformance/words.rs`. A call that fails with
 * ENOSYS is nobody's failure: `expect` says then that the simulator does not support it. */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim/api.h"
#include "shim/native.h"
#include "shim/shmem.h"
#include "shim/version.h"

#define MARK "@conformance"

#define MILLISECOND INT64_C(1000000)
#define SECOND INT64_C(1000000000)
/* A long wait, and what the calls of a check may cost in simulated time. Others for a run on a real machine. */
#ifndef HOUR
#define HOUR (3600 * SECOND)
#define SLACK MILLISECOND
#endif

/* A check: its name, as GROUP/NAME, and what it does. */
struct check {
    const char *name;
    void (*run)(void);
};

/* Each ends with an entry without a name. */
extern const struct check hand_off_checks[], time_checks[], determinism_checks[], call_checks[], thread_checks[],
    process_checks[], signal_checks[], name_checks[], ending_checks[], limit_checks[];

/* The words of the command line: this program, the check, a folder for files, what the check wants to know. */
extern int word_count;
extern char **words;

/* A line of the report. */
__attribute__((format(printf, 1, 2))) void report(const char *format, ...);
/* A value that is the same each time. */
#define value(name, format, ...) report("value\t%s\t" format, name, __VA_ARGS__)
/* The behaviour does not hold. */
__attribute__((format(printf, 2, 3), noreturn)) void fails(const char *expected, const char *got, ...);
/* The simulator does not have it. */
__attribute__((format(printf, 1, 2), noreturn)) void unsupported(const char *format, ...);

/* What a function returned that sets errno: the result, or minus the error's number. */
#define R(expression) result_of((long)(expression))
long result_of(long result);
/* A result in words: a number, or an error's name. */
const char *in_words(long result);
/* The result of `what` is this one. */
void expect(const char *what, long got, long expected);
/* The result of `what` is no error; the result. */
long expect_success(const char *what, long got);
/* What was said is true. */
void expect_true(bool is_true, const char *expected, const char *got);
/* `what` took `least` nanoseconds, or up to SLACK more. */
void expect_span(const char *what, int64_t got, int64_t least);

/* What a clock shows, in nanoseconds. */
int64_t clock_ns(clockid_t clock);
/* A length of time. */
struct timespec span(int64_t ns);
/* The path of a file in the folder for files. */
const char *scratch(const char *name);
/* A function of the guest's library, which must be there. */
void *shim_function(const char *name);
#define SHIM(name) ((__typeof__(name) *)shim_function(#name))
/* A child that does `body` and exits with 0 unless it exits otherwise; its id. */
pid_t child(void (*body)(void));
/* How a child ended, as wait tells it. */
int end_of(pid_t pid);

#endif
