/* Interval timers and POSIX timers: on every clock, with every kind of notice, and what they refuse.
 *
 * A part's name comes in, lines go out. Always true: no line tells how long something took, only whether it
 * took as long as it must; who uses up processor time does it with calls, which cost time everywhere. */
#include "family.h"
#include <limits.h>
#include <semaphore.h>
#include <sys/time.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static volatile sig_atomic_t handled;
static void on_signal(int signal) {
    (void)signal;
    handled++;
}

static void burn_until(clockid_t clock, int64_t end) {
    while (clock_ns(clock) < end)
        raw(SYS_getppid);
}

static void burn(int64_t time) { burn_until(CLOCK_PROCESS_CPUTIME_ID, clock_ns(CLOCK_PROCESS_CPUTIME_ID) + time); }

static struct itimerspec after(int64_t first, int64_t then) {
    return (struct itimerspec){{then / 1000000000, then % 1000000000}, {first / 1000000000, first % 1000000000}};
}

static struct itimerval interval(int first_us, int then_us) { return (struct itimerval){{0, then_us}, {0, first_us}}; }

/* --- setitimer -------------------------------------------------------------------------------------------- */

static void itimers(void) {
    const int kinds[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}, signals[] = {SIGALRM, SIGVTALRM, SIGPROF};
    for (int i = 0; i < 3; i++) {
        struct itimerval once = interval(20000, 0), often = interval(10000, 10000), none = interval(0, 0), old;
        handle(signals[i], on_signal, SA_RESTART), handled = 0;
        setitimer(kinds[i], &once, NULL), getitimer(kinds[i], &old);
        say("%d: runs %d", i, old.it_value.tv_usec > 0 && old.it_value.tv_sec == 0 && old.it_interval.tv_usec == 0);
        while (handled == 0)
            raw(SYS_getppid);
        getitimer(kinds[i], &old);
        say("%d: once %d, then off %d", i, handled, old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
        setitimer(kinds[i], &often, NULL), handled = 0;
        while (handled < 4)
            raw(SYS_getppid);
        long result = got(setitimer(kinds[i], &none, &old));
        say("%d: often, off %ld, interval was %ld", i, result, (long)old.it_interval.tv_usec);
        handled = 0, burn(30 * MS);
        say("%d: no more %d", i, handled);
    }
    /* Processor time does not pass in a sleep. */
    struct itimerval once = interval(100000, 0), old;
    setitimer(ITIMER_PROF, &once, NULL), setitimer(ITIMER_VIRTUAL, &once, NULL), handled = 0;
    pass_time(150 * MS);
    getitimer(ITIMER_VIRTUAL, &old);
    say("asleep: %d, runs %d", handled, old.it_value.tv_usec > 0);
    /* alarm and ITIMER_REAL are one timer. */
    once = interval(500000, 0);
    setitimer(ITIMER_REAL, &once, NULL);
    say("alarm: %u", alarm(100));
    getitimer(ITIMER_REAL, &old);
    say("itimer: %d", old.it_value.tv_sec >= 98);
    pid_t pid = CHILD(
        say("child: %u", alarm(0));
        for (int i = 0; i < 3; i++) getitimer(kinds[i], &old), say("child: %d %d", old.it_value.tv_sec != 0, old.it_value.tv_usec != 0));
    show_end("child", pid);
    for (int i = 0; i < 3; i++)
        handle(signals[i], SIG_DFL, 0);
    for (int i = 0; i < 3; i++) {
        pid = CHILD(once = interval(1000, 0); setitimer(kinds[i], &once, NULL); for (;;) raw(SYS_getppid));
        show_end("by default", pid);
    }
}

/* --- timer_create ----------------------------------------------------------------------------------------- */

static timer_t made;
static long make(clockid_t clock, int notice, int signal, int value) {
    struct sigevent event = {.sigev_notify = notice, .sigev_signo = signal, .sigev_value.sival_int = value};
    return got(timer_create(clock, &event, &made));
}

static void show_timer(const char *name, long result, const siginfo_t *info) {
    if (result < 0)
        say("%s = %ld", name, result);
    else
        say("%s: signal %ld, code %d, value %d, overrun %d", name, result, info->si_code, info->si_value.sival_int,
            info->si_overrun != 0);
}

static void take(const char *name, int signal) {
    sigset_t set = SET(signal);
    siginfo_t info;
    long result = got(sigwaitinfo(&set, &info));
    show_timer(name, result, &info);
}

/* A clock of processor time goes on only while somebody uses it up. */
static void burn_while(int is_needed, int signal) {
    sigset_t pending;
    do
        sigpending(&pending);
    while (is_needed && !sigismember(&pending, signal));
}

static void clocks(void) {
    const clockid_t all[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID,
                             CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, 99};
    block(SET(SIGUSR1));
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        long result = make(all[i], SIGEV_SIGNAL, SIGUSR1, 7 + i);
        say("clock %d: timer_create %ld", all[i], result);
        if (result != 0)
            continue;
        struct itimerspec now, set = after(10 * MS, 0);
        int is_cpu = all[i] == CLOCK_PROCESS_CPUTIME_ID || all[i] == CLOCK_THREAD_CPUTIME_ID;
        timer_gettime(made, &now);
        say("  not armed: %d", now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
        int64_t began = clock_ns(all[i]);
        result = got(timer_settime(made, 0, &set, NULL)), timer_gettime(made, &now);
        say("  relative %ld, runs %d", result, now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 10 * MS);
        burn_while(is_cpu, SIGUSR1);
        take("  taken", SIGUSR1);
        say("  not early: %d", clock_ns(all[i]) >= began + 10 * MS);
        began = clock_ns(all[i]), set = after(began + 10 * MS, 0);
        say("  absolute %ld", got(timer_settime(made, TIMER_ABSTIME, &set, NULL)));
        burn_while(is_cpu, SIGUSR1);
        take("  taken", SIGUSR1);
        say("  not early: %d", clock_ns(all[i]) >= began + 10 * MS);
        set = after(1, 0);
        say("  in the past %ld", got(timer_settime(made, TIMER_ABSTIME, &set, NULL)));
        burn_while(is_cpu, SIGUSR1);
        take("  taken", SIGUSR1);
        timer_gettime(made, &now);
        say("  off: %d, delete %ld", now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0, got(timer_delete(made)));
    }
}

static pthread_t first;
static sem_t posted;
static volatile int sum;
static void notified(union sigval value) {
    sum += value.sival_int;
    if (pthread_equal(pthread_self(), first))
        say("in the first thread");
    sem_post(&posted);
}

static void *takes_own(void *gate) {
    struct sigevent event = {.sigev_notify = 4, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 77}; /* SIGEV_THREAD_ID */
    event.sigev_notify_thread_id = raw(SYS_gettid);
    say("timer_create %ld", got(timer_create(CLOCK_MONOTONIC, &event, &made)));
    struct itimerspec set = after(5 * MS, 0);
    timer_settime(made, 0, &set, NULL);
    take("thread: taken", SIGUSR2);
    timer_settime(made, 0, &set, NULL);
    sigset_t pending;
    do
        pass_time(MS), sigpending(&pending);
    while (!sigismember(&pending, SIGUSR2));
    open_gate(((struct gate *)gate)[0]), pass_gate(((struct gate *)gate)[1]);
    return NULL;
}

static void notices(void) {
    struct itimerspec set = after(5 * MS, 0), now;
    first = pthread_self(), sem_init(&posted, 0, 0);
    block(SET(SIGALRM, SIGUSR2, SIGRTMIN));
    say("NULL: %ld", got(timer_create(CLOCK_MONOTONIC, NULL, &made)));
    timer_settime(made, 0, &set, NULL);
    sigset_t alarms = SET(SIGALRM);
    siginfo_t info;
    say("taken %ld", got(sigwaitinfo(&alarms, &info)));
    say("code %d", info.si_code);
    timer_delete(made);
    say("SIGEV_NONE: %ld", make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0));
    timer_settime(made, 0, &set, NULL);
    do
        timer_gettime(made, &now);
    while (now.it_value.tv_nsec != 0);
    say("ran down, overrun %ld", got(timer_getoverrun(made)));
    timer_delete(made);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = notified, .sigev_value.sival_int = 5};
    say("SIGEV_THREAD: %ld", got(timer_create(CLOCK_MONOTONIC, &event, &made)));
    set = after(5 * MS, 5 * MS), timer_settime(made, 0, &set, NULL);
    for (int i = 0; i < 4; i++)
        sem_wait(&posted);
    timer_delete(made);
    say("four times at least: %d", sum >= 20 && sum % 5 == 0);
    struct gate gates[] = {new_gate(), new_gate()};
    pthread_t thread;
    pthread_create(&thread, NULL, takes_own, gates);
    pass_gate(gates[0]);
    sigset_t pending;
    sigpending(&pending);
    say("pending for the other thread, not here: %d", sigismember(&pending, SIGUSR2));
    open_gate(gates[1]), pthread_join(thread, NULL), timer_delete(made);
    /* A real-time signal queues once for a timer, however often that expires. */
    say("SIGRTMIN: %ld", make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 9));
    timer_t one = made;
    make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 10);
    set = after(2 * MS, 2 * MS), timer_settime(one, 0, &set, NULL), pass_time(10 * MS);
    set = after(2 * MS, 2 * MS), timer_settime(made, 0, &set, NULL), pass_time(30 * MS);
    struct itimerspec none = after(0, 0);
    sigset_t queued = SET(SIGRTMIN);
    for (int i = 0; i < 2; i++) {
        long result = got(sigwaitinfo(&queued, &info));
        say("taken %ld, value %d, overrun by the signal %d, by the call %d", result, info.si_value.sival_int, info.si_overrun >= 5,
            timer_getoverrun(i == 0 ? one : made) >= 5);
        timer_settime(i == 0 ? one : made, 0, &none, NULL);
    }
    say("no more: %ld", got(sigtimedwait(&queued, &info, &(struct timespec){0, 0})));
    timer_delete(one), timer_delete(made);
}

static void changes(void) {
    handle(SIGUSR1, on_signal, SA_RESTART);
    make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1);
    struct itimerspec old, set = after(INT64_C(100000000000), 3 * MS), none = after(0, 0);
    timer_settime(made, 0, &set, &old);
    say("old: %d %d", (int)old.it_value.tv_sec, (int)old.it_interval.tv_nsec);
    set = after(5 * MS, 5 * MS), timer_settime(made, 0, &set, &old);
    say("old: %d %d", old.it_value.tv_sec >= 90, (int)old.it_interval.tv_nsec);
    while (handled < 5)
        raw(SYS_getppid);
    timer_settime(made, 0, &none, &old), handled = 0;
    say("old interval %d", (int)old.it_interval.tv_nsec);
    pass_time(20 * MS);
    say("off: %d, overrun %d", handled, timer_getoverrun(made) >= 0);
    /* Not the child's; and gone with the old image, here by its absence. */
    set = after(10 * MS, 0), timer_settime(made, 0, &set, NULL);
    pid_t pid = CHILD(
        say("child: %ld %ld", got(timer_gettime(made, &old)), got(timer_delete(made)));
        pass_time(20 * MS);
        say("child: signals %d", handled);
        execl("/bin/sleep", "sleep", "0.01", (char *)NULL));
    show_end("child", pid);
    pid = CHILD(
        handle(SIGUSR1, SIG_DFL, 0);
        make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1);
        set = after(60 * MS, 0), timer_settime(made, 0, &set, NULL);
        execl("/bin/sleep", "sleep", "0.2", (char *)NULL));
    show_end("next image", pid);
    while (handled == 0)
        raw(SYS_getppid);
    /* One that has expired while blocked, then is deleted. */
    block(SET(SIGUSR1));
    set = after(MS, 0), timer_settime(made, 0, &set, NULL), pass_time(10 * MS);
    sigset_t pending;
    sigpending(&pending);
    say("pending %d", sigismember(&pending, SIGUSR1));
}

static void odd(void) {
    struct itimerspec bad = {{0, 0}, {0, 1000000000}}, worse = {{0, -1}, {0, 1}}, worst = {{0, 0}, {-1, 0}}, good = after(MS, 0);
    int id = 0;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    say("clock %ld %ld", raw(SYS_timer_create, 99, &event, &id), raw(SYS_timer_create, -1, &event, &id));
    event.sigev_signo = 65;
    say("signal %ld", raw(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    event.sigev_signo = 0;
    say("signal 0 %ld", raw(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    event.sigev_signo = SIGUSR1, event.sigev_notify = 77;
    say("notice %ld", raw(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    event.sigev_notify = 4, event.sigev_notify_thread_id = 1 << 22;
    say("thread %ld", raw(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    event.sigev_notify = SIGEV_SIGNAL;
    say("address %ld %ld", raw(SYS_timer_create, CLOCK_MONOTONIC, (void *)1, &id), raw(SYS_timer_create, CLOCK_MONOTONIC, &event, NULL));
    say("create %ld", raw(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    say("odd times %ld %ld %ld", raw(SYS_timer_settime, id, 0, &bad, NULL), raw(SYS_timer_settime, id, 0, &worse, NULL),
        raw(SYS_timer_settime, id, 0, &worst, NULL));
    say("address %ld %ld", raw(SYS_timer_settime, id, 0, NULL, NULL), raw(SYS_timer_gettime, id, NULL));
    say("overrun of none %ld", raw(SYS_timer_getoverrun, id));
    say("delete %ld", raw(SYS_timer_delete, id));
    say("gone %ld %ld", raw(SYS_timer_delete, id), raw(SYS_timer_settime, id, 0, &good, NULL));
    say("gone %ld %ld", raw(SYS_timer_gettime, id, &good), raw(SYS_timer_getoverrun, id));
    int other = 0;
    for (int i = 0; i < 100; i++)
        if (raw(SYS_timer_create, CLOCK_MONOTONIC, &event, &other) != 0)
            say("the %dth failed", i);
    say("a hundred timers, different ids: %d", other != id);
}

/* Processor clocks of other threads and processes. */
static volatile int may_end;
static void *burns_on(void *unused) {
    while (!may_end)
        raw(SYS_getppid);
    return unused;
}

static void *burns(void *gate) {
    burn_until(CLOCK_THREAD_CPUTIME_ID, 30 * MS);
    open_gate(((struct gate *)gate)[0]), pass_gate(((struct gate *)gate)[1]);
    return NULL;
}

static void processor_clocks(void) {
    struct gate gates[] = {new_gate(), new_gate()};
    clockid_t clock;
    pthread_t thread;
    int64_t own = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    pthread_create(&thread, NULL, burns, gates);
    pass_gate(gates[0]);
    say("thread's clock %d", pthread_getcpuclockid(thread, &clock));
    int64_t thread_time = clock_ns(clock);
    say("burnt there %d, here %d, in all %d", thread_time >= 30 * MS, clock_ns(CLOCK_THREAD_CPUTIME_ID) - own < 30 * MS,
        clock_ns(CLOCK_PROCESS_CPUTIME_ID) >= thread_time);
    open_gate(gates[1]), pthread_join(thread, NULL);
    /* A sleep by the process's clock while another thread burns. */
    int64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + 10 * MS;
    pthread_create(&thread, NULL, burns_on, NULL);
    struct timespec relative = {0, 10 * MS};
    say("clock_nanosleep = %ld", raw(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &relative, NULL));
    say("not early %d", clock_ns(CLOCK_PROCESS_CPUTIME_ID) >= end);
    may_end = 1, pthread_join(thread, NULL);
    pid_t pid = CHILD(burn(20 * MS); open_gate(gates[0]); pass_gate(gates[1]));
    pass_gate(gates[0]);
    say("child's clock %d", clock_getcpuclockid(pid, &clock));
    say("burnt there %d", clock_ns(clock) >= 20 * MS);
    open_gate(gates[1]), show_end("child", pid);
    struct timespec time;
    say("gone: %ld, no such process %d", got(clock_gettime(clock, &time)), clock_getcpuclockid(1 << 22, &clock));
}

int main(int count, char **words) {
    static const struct part parts[] = {
        {"itimers", itimers}, {"clocks", clocks}, {"notices", notices}, {"changes", changes},
        {"odd", odd}, {"processor-clocks", processor_clocks}, {NULL, NULL},
    };
    return run_parts(parts, count, words);
}
