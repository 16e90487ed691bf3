/* The guest of `shim conformance`: one program, started once for each check.
 *
 *     conformance-guest CHECK FOLDER [WORDS...]      do a check, with FOLDER for its files
 *     conformance-guest list                         the names of all checks
 *
 * A name comes in, the lines of `check.h` go out. Always true: the exit status is 0 once the check has told what it found;
 * a check about the end of a process ends as it was asked to. Nothing here is linked with libshim.so.1: the program finds
 * it in its process, or not, so that it can also be started natively. Which checks are required, and what the lines mean,
 * is the business of `crates/shim-cli/src/conformance/`. */
#include "check.h"
#include <dlfcn.h>
#include <stdarg.h>

int word_count;
char **words;

static const struct check *const groups[] = {
    hand_off_checks, time_checks, determinism_checks, call_checks, thread_checks,
    process_checks, signal_checks, name_checks, ending_checks, limit_checks,
};

static void write_all(const char *text, size_t length) {
    while (length > 0) {
        ssize_t written = write(1, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            _exit(3);
        text += written, length -= (size_t)written;
    }
}

static void report_list(const char *format, va_list arguments) {
    char line[1024] = MARK "\t";
    int start = (int)strlen(line), room = (int)sizeof line - start - 1;
    int length = vsnprintf(line + start, (size_t)room, format, arguments);
    length = start + (length < room ? length : room - 1);
    line[length] = '\n';
    write_all(line, (size_t)length + 1);
}

void report(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    report_list(format, arguments);
    va_end(arguments);
}

void fails(const char *expected, const char *got, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, got);
    vsnprintf(text, sizeof text, got, arguments);
    va_end(arguments);
    report("fails\t%s\t%s", expected, text);
    _exit(0);
}

void unsupported(const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    report("unsupported\t%s", text);
    _exit(0);
}

long result_of(long result) { return result == -1 ? -errno : result; }

const char *in_words(long result) {
    static char texts[4][32];
    static int next;
    char *text = texts[next++ % 4];
    const char *name = NULL;
#ifdef __GLIBC__
    if (result < 0)
        name = strerrorname_np((int)-result);
#endif
    if (name)
        snprintf(text, sizeof texts[0], "%s", name);
    else
        snprintf(text, sizeof texts[0], "%ld", result);
    return text;
}

void expect(const char *what, long got, long expected) {
    char text[256];
    if (got == expected)
        return;
    if (got == -ENOSYS)
        unsupported("%s: ENOSYS", what);
    snprintf(text, sizeof text, "%s gives %s", what, in_words(expected));
    fails(text, "%s", in_words(got));
}

long expect_success(const char *what, long got) {
    if (got < 0)
        expect(what, got, 0);
    return got;
}

void expect_true(bool is_true, const char *expected, const char *got) {
    if (!is_true)
        fails(expected, "%s", got);
}

void expect_span(const char *what, int64_t got, int64_t least) {
    char text[256];
    if (got >= least && got <= least + SLACK)
        return;
    snprintf(text, sizeof text, "%s takes %.6f s of simulated time", what, (double)least / 1e9);
    fails(text, "%.6f s", (double)got / 1e9);
}

int64_t clock_ns(clockid_t clock) {
    struct timespec now = {0, 0};
    expect("clock_gettime", R(clock_gettime(clock, &now)), 0);
    return now.tv_sec * SECOND + now.tv_nsec;
}

struct timespec span(int64_t ns) { return (struct timespec){ns / SECOND, ns % SECOND}; }

const char *scratch(const char *name) {
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", words[2], name);
    return path;
}

void *shim_function(const char *name) {
    void *function = dlsym(RTLD_DEFAULT, name);
    if (!function) {
        char text[128];
        snprintf(text, sizeof text, "libshim.so.1 is loaded and has %s", name);
        fails(text, "no such function in the process: the program was started without the library");
    }
    return function;
}

pid_t child(void (*body)(void)) {
    pid_t pid = (pid_t)expect_success("fork", R(fork()));
    if (pid == 0) {
        body();
        _exit(0);
    }
    return pid;
}

int end_of(pid_t pid) {
    int status = -1;
    expect("waitpid of the child", R(waitpid(pid, &status, 0)), pid);
    return status;
}

int main(int count, char **arguments) {
    bool is_list = count == 2 && strcmp(arguments[1], "list") == 0;
    word_count = count, words = arguments;
    if (count < 3 && !is_list) {
        static const char usage[] = "usage: conformance-guest CHECK FOLDER [WORDS...] | conformance-guest list\n";
        return write(2, usage, sizeof usage - 1) < 0 ? 3 : 2;
    }
    for (size_t group = 0; group < sizeof groups / sizeof *groups; group++)
        for (const struct check *check = groups[group]; check->name; check++) {
            if (is_list && *check->name == '.') {
                continue;
            } else if (is_list) {
                write_all(check->name, strlen(check->name)), write_all("\n", 1);
            } else if (strcmp(check->name, words[1]) == 0) {
                check->run();
                report("holds");
                return 0;
            }
        }
    return is_list ? 0 : 2;
}
