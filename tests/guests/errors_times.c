/* What clocks, sleeps, timers and their descriptors refuse: a case for each line of their pages.
 *
 * A part's name comes in, lines go out. Always true: no clock is set, not even by a privileged process that could.
 * Left out: ENODEV and EACCES of clocks that are devices, EAGAIN and ENOMEM of a kernel without memory, EPERM of
 * timers that wake the machine, which one without such a clock refuses to everybody with another error. */
#include "errors.h"
#include <sys/timerfd.h>

#define SOME_CLOCK 77
#define PROCESS_CLOCK 2
#define THREAD_CLOCK 3
#define RAW_CLOCK 4
#define COARSE_CLOCK 5
#define REALTIME_ALARM 8
#define BOOTTIME_ALARM 9
#define TAI_CLOCK 11
/* The processor's time of a process, a thread, and a descriptor's clock, as the kernel encodes them. */
#define CLOCK_OF_PROCESS(pid) ((int)(~(unsigned)(pid) << 3 | 2))
#define CLOCK_OF_THREAD(tid) ((int)(~(unsigned)(tid) << 3 | 6))
#define CLOCK_OF_DESCRIPTOR(fd) ((int)(~(unsigned)(fd) << 3 | 3))

static struct timespec none, negative = {-1, 0}, much = {0, 1000000000}, less = {0, -1}, hour = {3600, 0}, seen;

static void clocks(void) {
    static const long calls[] = {SYS_clock_gettime, SYS_clock_getres};
    for (int i = 0; i < 2; i++) {
        say("%s", i ? "clock_getres" : "clock_gettime");
        FAILS(EINVAL, raw(calls[i], SOME_CLOCK, &seen));
        FAILS(EINVAL, raw(calls[i], 10, &seen));
        FAILS(EINVAL, raw(calls[i], -1, &seen));
        FAILS(EINVAL, raw(calls[i], CLOCK_OF_PROCESS(NOBODY), &seen));
        FAILS(EINVAL, raw(calls[i], CLOCK_OF_THREAD(NOBODY), &seen));
        FAILS(EINVAL, raw(calls[i], CLOCK_OF_THREAD(1), &seen));
        FAILS(EINVAL, raw(calls[i], CLOCK_OF_DESCRIPTOR(0), &seen));
        FAILS(EINVAL, raw(calls[i], SOME_CLOCK, nowhere));
        FAILS(EFAULT, raw(calls[i], CLOCK_MONOTONIC, nowhere));
        FAILS(EFAULT, raw(calls[i], PROCESS_CLOCK, nowhere));
        FAILS(EFAULT, raw(calls[i], CLOCK_OF_PROCESS(getpid()), nowhere));
        FAILS(EFAULT, raw(calls[i], CLOCK_REALTIME, -1));
    }
    FAILS(EFAULT, raw(SYS_clock_gettime, CLOCK_REALTIME, NULL));
    FAILS(EFAULT, raw(SYS_gettimeofday, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_time, nowhere));
}

static void settings(void) {
    FAILS(EINVAL, raw(SYS_clock_settime, CLOCK_MONOTONIC, &hour));
    FAILS(EINVAL, raw(SYS_clock_settime, RAW_CLOCK, &hour));
    FAILS(EINVAL, raw(SYS_clock_settime, COARSE_CLOCK, &hour));
    FAILS(EINVAL, raw(SYS_clock_settime, TAI_CLOCK, &hour));
    FAILS(EINVAL, raw(SYS_clock_settime, REALTIME_ALARM, &hour));
    FAILS(EINVAL, raw(SYS_clock_settime, SOME_CLOCK, &hour));
    FAILS(EINVAL, raw(SYS_clock_settime, PROCESS_CLOCK, &hour));
    FAILS(EINVAL, raw(SYS_clock_settime, THREAD_CLOCK, &hour));
    FAILS(EINVAL, raw(SYS_clock_settime, CLOCK_OF_PROCESS(NOBODY), &hour));
    FAILS(EINVAL, raw(SYS_clock_settime, CLOCK_OF_DESCRIPTOR(0), &hour));
    FAILS(EFAULT, raw(SYS_clock_settime, CLOCK_REALTIME, nowhere));
    FAILS(EINVAL, raw(SYS_clock_settime, CLOCK_MONOTONIC, nowhere));
    FAILS(EINVAL, raw(SYS_clock_settime, CLOCK_REALTIME, &negative));
    FAILS(EINVAL, raw(SYS_clock_settime, CLOCK_REALTIME, &much));
    FAILS(EINVAL, raw(SYS_clock_settime, CLOCK_REALTIME, &less));
    FAILS(EFAULT, raw(SYS_settimeofday, nowhere, NULL));
    struct timeval wrong = {0, 1000000}, early = {-1, 0}, right = {2000000000, 0};
    FAILS(EINVAL, raw(SYS_settimeofday, &wrong, NULL));
    FAILS(EINVAL, raw(SYS_settimeofday, &early, NULL));
    AS_USER(
        FAILS(EPERM, raw(SYS_clock_settime, CLOCK_REALTIME, &hour));
        FAILS(EPERM, raw(SYS_clock_settime, CLOCK_REALTIME, &none));
        FAILS(EINVAL, raw(SYS_clock_settime, CLOCK_REALTIME, &much));
        FAILS(EFAULT, raw(SYS_clock_settime, CLOCK_REALTIME, nowhere));
        FAILS(EPERM, raw(SYS_settimeofday, &right, NULL)));
}

static void sleeps(void) {
    FAILS(EFAULT, raw(SYS_nanosleep, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_nanosleep, NULL, NULL));
    FAILS(EINVAL, raw(SYS_nanosleep, &negative, NULL));
    FAILS(EINVAL, raw(SYS_nanosleep, &much, &seen));
    FAILS(EINVAL, raw(SYS_nanosleep, &less, nowhere));
    FAILS(EFAULT, raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, NULL, NULL));
    FAILS(EINVAL, raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &negative, NULL));
    FAILS(EINVAL, raw(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &negative, NULL));
    FAILS(EINVAL, raw(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &much, NULL));
    FAILS(EINVAL, raw(SYS_clock_nanosleep, PROCESS_CLOCK, 0, &less, NULL));
    FAILS(EINVAL, raw(SYS_clock_nanosleep, SOME_CLOCK, 0, &none, NULL));
    FAILS(EINVAL, raw(SYS_clock_nanosleep, SOME_CLOCK, 0, nowhere, NULL));
    FAILS(EINVAL, raw(SYS_clock_nanosleep, -1, 0, &none, NULL));
    FAILS(EINVAL, raw(SYS_clock_nanosleep, CLOCK_OF_PROCESS(NOBODY), 0, &none, NULL));
    FAILS(EINVAL, raw(SYS_clock_nanosleep, CLOCK_OF_THREAD(getpid()), 0, &none, NULL));
    FAILS(EOPNOTSUPP, raw(SYS_clock_nanosleep, THREAD_CLOCK, 0, &none, NULL));
    FAILS(EOPNOTSUPP, raw(SYS_clock_nanosleep, RAW_CLOCK, 0, &none, NULL));
    FAILS(EOPNOTSUPP, raw(SYS_clock_nanosleep, COARSE_CLOCK, 0, nowhere, NULL));
    FAILS(EOPNOTSUPP, raw(SYS_clock_nanosleep, 6, TIMER_ABSTIME, &none, NULL));
    INTERRUPTED(FAILS(EINTR, raw(SYS_nanosleep, &hour, &seen)); FAILS(EFAULT, raw(SYS_nanosleep, &hour, nowhere)); FAILS(EINTR, raw(SYS_nanosleep, &hour, NULL)));
    INTERRUPTED(FAILS(EINTR, raw(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &hour, &seen)); FAILS(EFAULT, raw(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &hour, nowhere)));
    struct timespec far = {1 << 30, 0};
    INTERRUPTED(FAILS(EINTR, raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &far, nowhere)));
    INTERRUPTED(FAILS(EINTR, raw(SYS_clock_nanosleep, PROCESS_CLOCK, 0, &hour, &seen)));
    INTERRUPTED(FAILS(EINTR, pause()));
}

static void intervals(void) {
    struct itimerval wrong = {{0, 0}, {0, 1000000}}, interval = {{0, -1}, {0, 0}}, early = {{0, 0}, {-1, 0}}, right = {{0, 0}, {0, 0}}, old;
    FAILS(EINVAL, raw(SYS_getitimer, 3, &old));
    FAILS(EINVAL, raw(SYS_getitimer, -1, &old));
    FAILS(EINVAL, raw(SYS_getitimer, 3, nowhere));
    FAILS(EFAULT, raw(SYS_getitimer, ITIMER_REAL, nowhere));
    FAILS(EFAULT, raw(SYS_getitimer, ITIMER_PROF, NULL));
    FAILS(EINVAL, raw(SYS_setitimer, 3, &right, NULL));
    FAILS(EINVAL, raw(SYS_setitimer, -1, &right, &old));
    FAILS(EINVAL, raw(SYS_setitimer, ITIMER_REAL, &wrong, &old));
    FAILS(EINVAL, raw(SYS_setitimer, ITIMER_VIRTUAL, &interval, NULL));
    FAILS(EINVAL, raw(SYS_setitimer, ITIMER_PROF, &early, nowhere));
    FAILS(EFAULT, raw(SYS_setitimer, ITIMER_REAL, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_setitimer, 3, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_setitimer, ITIMER_REAL, &right, nowhere));
}

static void timers(void) {
    int timer, lost;
    struct sigevent kind = {.sigev_notify = 77}, signal = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65},
                    zero = {.sigev_notify = SIGEV_SIGNAL}, thread = {.sigev_notify = 4 /* SIGEV_THREAD_ID */, .sigev_signo = SIGALRM};
    FAILS(EINVAL, raw(SYS_timer_create, SOME_CLOCK, NULL, &timer));
    FAILS(EINVAL, raw(SYS_timer_create, -1, NULL, &timer));
    FAILS(EINVAL, raw(SYS_timer_create, CLOCK_OF_PROCESS(NOBODY), NULL, &timer));
    FAILS(EOPNOTSUPP, raw(SYS_timer_create, CLOCK_OF_DESCRIPTOR(0), NULL, &timer));
    FAILS(EOPNOTSUPP, raw(SYS_timer_create, RAW_CLOCK, NULL, &timer));
    FAILS(EOPNOTSUPP, raw(SYS_timer_create, COARSE_CLOCK, NULL, &timer));
    FAILS(EOPNOTSUPP, raw(SYS_timer_create, 6, NULL, &timer));
    FAILS(EINVAL, raw(SYS_timer_create, CLOCK_MONOTONIC, &kind, &timer));
    FAILS(EINVAL, raw(SYS_timer_create, CLOCK_MONOTONIC, &signal, &timer));
    FAILS(EINVAL, raw(SYS_timer_create, CLOCK_MONOTONIC, &zero, &timer));
    FAILS(EINVAL, raw(SYS_timer_create, CLOCK_MONOTONIC, &thread, &timer));
    memcpy((char *)&thread + 16, &(int){NOBODY}, 4);
    FAILS(EINVAL, raw(SYS_timer_create, CLOCK_MONOTONIC, &thread, &timer));
    memcpy((char *)&thread + 16, &(int){getppid()}, 4);
    FAILS(EINVAL, raw(SYS_timer_create, CLOCK_MONOTONIC, &thread, &timer));
    FAILS(EFAULT, raw(SYS_timer_create, CLOCK_MONOTONIC, nowhere, &timer));
    FAILS(EFAULT, raw(SYS_timer_create, CLOCK_MONOTONIC, NULL, nowhere));
    for (int i = 0; i < 3; i++)
        FAILS(EINVAL, raw(SYS_timer_getoverrun, i));
    WORKS(raw(SYS_timer_create, CLOCK_MONOTONIC, NULL, &timer));
    lost = timer + 1;
    struct itimerspec right = {{0, 0}, {0, 0}}, wrong = {{0, 0}, {0, 1000000000}}, early = {{0, 0}, {-1, 0}}, interval = {{0, -1}, {1, 0}}, old;
    FAILS(EINVAL, raw(SYS_timer_settime, lost, 0, &right, &old));
    FAILS(EINVAL, raw(SYS_timer_settime, -1, 0, &right, &old));
    FAILS(EINVAL, raw(SYS_timer_settime, timer, 0, NULL, &old));
    FAILS(EINVAL, raw(SYS_timer_settime, timer, 0, &wrong, &old));
    FAILS(EINVAL, raw(SYS_timer_settime, timer, TIMER_ABSTIME, &early, &old));
    FAILS(EINVAL, raw(SYS_timer_settime, timer, 0, &interval, NULL));
    FAILS(EINVAL, raw(SYS_timer_settime, lost, 0, &wrong, nowhere));
    FAILS(EFAULT, raw(SYS_timer_settime, timer, 0, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_timer_settime, timer, 0, &right, nowhere));
    FAILS(EFAULT, raw(SYS_timer_settime, lost, 0, nowhere, NULL));
    FAILS(EINVAL, raw(SYS_timer_gettime, lost, &old));
    FAILS(EINVAL, raw(SYS_timer_gettime, lost, nowhere));
    FAILS(EFAULT, raw(SYS_timer_gettime, timer, nowhere));
    FAILS(EFAULT, raw(SYS_timer_gettime, timer, NULL));
    FAILS(EINVAL, raw(SYS_timer_getoverrun, lost));
    FAILS(EINVAL, raw(SYS_timer_getoverrun, -1));
    FAILS(EINVAL, raw(SYS_timer_delete, lost));
    FAILS(EINVAL, raw(SYS_timer_delete, -1));
    WORKS(raw(SYS_timer_delete, timer));
    FAILS(EINVAL, raw(SYS_timer_delete, timer));
    FAILS(EINVAL, raw(SYS_timer_gettime, timer, &old));
    IN_CHILD(FAILS(EINVAL, raw(SYS_timer_getoverrun, timer)));
}

static void descriptors(void) {
    int fds[2], timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), real = timerfd_create(CLOCK_REALTIME, 0), waits = timerfd_create(CLOCK_BOOTTIME, 0);
    WORKS(pipe(fds));
    FAILS(EINVAL, raw(SYS_timerfd_create, SOME_CLOCK, 0));
    FAILS(EINVAL, raw(SYS_timerfd_create, PROCESS_CLOCK, 0));
    FAILS(EINVAL, raw(SYS_timerfd_create, RAW_CLOCK, 0));
    FAILS(EINVAL, raw(SYS_timerfd_create, TAI_CLOCK, 0));
    FAILS(EINVAL, raw(SYS_timerfd_create, -1, 0));
    FAILS(EINVAL, raw(SYS_timerfd_create, CLOCK_MONOTONIC, 1));
    FAILS(EINVAL, raw(SYS_timerfd_create, CLOCK_MONOTONIC, -1));
    WITHOUT_ROOM(FAILS(EMFILE, raw(SYS_timerfd_create, CLOCK_MONOTONIC, 0)));
    WITHOUT_ROOM(FAILS(EINVAL, raw(SYS_timerfd_create, SOME_CLOCK, 0)));
    AS_USER(FAILS(EPERM, raw(SYS_timerfd_create, REALTIME_ALARM, 0)); FAILS(EPERM, raw(SYS_timerfd_create, BOOTTIME_ALARM, TFD_CLOEXEC)));
    struct itimerspec right = {{0, 0}, {3600, 0}}, wrong = {{0, 0}, {0, 1000000000}}, early = {{0, 0}, {-1, 0}}, interval = {{0, -1}, {1, 0}}, old;
    FAILS(EBADF, raw(SYS_timerfd_settime, CLOSED, 0, &right, NULL));
    FAILS(EBADF, raw(SYS_timerfd_settime, -1, 0, &right, NULL));
    FAILS(EINVAL, raw(SYS_timerfd_settime, fds[0], 0, &right, NULL));
    FAILS(EINVAL, raw(SYS_timerfd_settime, new_file("file", O_RDWR, 0600), 0, &right, NULL));
    FAILS(EINVAL, raw(SYS_timerfd_settime, timer, 4, &right, NULL));
    FAILS(EINVAL, raw(SYS_timerfd_settime, timer, -1, &right, NULL));
    FAILS(EINVAL, raw(SYS_timerfd_settime, CLOSED, 4, &right, NULL));
    FAILS(EINVAL, raw(SYS_timerfd_settime, timer, 0, &wrong, NULL));
    FAILS(EINVAL, raw(SYS_timerfd_settime, timer, TFD_TIMER_ABSTIME, &early, NULL));
    FAILS(EINVAL, raw(SYS_timerfd_settime, timer, 0, &interval, nowhere));
    FAILS(EFAULT, raw(SYS_timerfd_settime, timer, 0, nowhere, NULL));
    FAILS(EFAULT, raw(SYS_timerfd_settime, timer, 0, NULL, NULL));
    FAILS(EFAULT, raw(SYS_timerfd_settime, timer, 0, &right, nowhere));
    FAILS(EFAULT, raw(SYS_timerfd_settime, CLOSED, 77, nowhere, NULL));
    FAILS(EBADF, raw(SYS_timerfd_settime, open(".", O_PATH), 0, &right, NULL));
    FAILS(EBADF, raw(SYS_timerfd_gettime, open(".", O_PATH), nowhere));
    FAILS(EBADF, raw(SYS_timerfd_gettime, CLOSED, &old));
    FAILS(EBADF, raw(SYS_timerfd_gettime, CLOSED, nowhere));
    FAILS(EINVAL, raw(SYS_timerfd_gettime, fds[0], &old));
    FAILS(EFAULT, raw(SYS_timerfd_gettime, timer, nowhere));
    uint64_t count;
    FAILS(EAGAIN, read(timer, &count, 8));
    FAILS(EINVAL, read(timer, &count, 7));
    FAILS(EINVAL, write(timer, &count, 8));
    FAILS(EINVAL, fcntl(timer, F_SETFL, O_DIRECT));
    INTERRUPTED(FAILS(EINTR, read(waits, &count, 8)));
    WORKS(raw(SYS_timerfd_settime, real, 0, &right, NULL));
    INTERRUPTED(FAILS(EINTR, read(real, &count, 8)));
    right.it_value = (struct timespec){0, 1};
    WORKS(raw(SYS_timerfd_settime, waits, 0, &right, NULL));
    pass_time(MS);
    FAILS(EFAULT, read(waits, nowhere, 8));
    INTERRUPTED(FAILS(EINTR, read(waits, &count, 8)));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"clock_gettime", clocks}, {"clock_settime", settings}, {"nanosleep", sleeps}, {"setitimer", intervals},
        {"timer_create", timers}, {"timerfd_create", descriptors}, {NULL, NULL},
    };
    return run_parts_of_errors(parts, count, words);
}
