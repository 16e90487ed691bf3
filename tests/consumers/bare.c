/* Bare hosts and guests, function by function: what each does, and what it says to nonsense.

   ./bare ASKER STATIC runs asker.c as a guest (and not the static program) and prints nothing if all is right; ./bare alone calls every function with nothing.
   Always true: one guest at a time has control; every failure names its line. */

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <shim/supervisor.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, shimsup_message());         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define REFUSED(call, error) CHECK((call) == -(error) && *shimsup_message() != '\0')

static const uint64_t FOREVER = UINT64_MAX;
static shimsup_simulation *simulation;
static shimsup_host *host;
static const char *asker;

static shimsup_guest *launch(uint32_t pid, const char *argument)
{
    shimsup_command *command;
    shimsup_guest *guest;

    CHECK(shimsup_command_new(asker, &command) == 0);
    if (argument)
        CHECK(shimsup_command_add_argument(command, argument) == 0);
    CHECK(shimsup_command_inherit_stdio(command) == 0);
    CHECK(shimsup_guest_launch(host, command, pid, &guest) == 0);
    shimsup_command_free(command);
    return guest;
}

/* The next event must be this one, of this guest. */
static void expect(shimsup_guest *guest, int event)
{
    shimsup_guest *found;

    CHECK(shimsup_wait(simulation, FOREVER, &found) == event);
    CHECK(found == guest && shimsup_guest_event(guest) == event);
}

/* The next question must have this number; what the C library asks for on its own is not there. */
static void expect_question(shimsup_guest *guest, uint64_t first)
{
    for (;;) {
        expect(guest, SHIMSUP_EVENT_CALL);
        if (shimsup_guest_call_number(guest) == SYS_getrusage)
            break;
        CHECK(shimsup_guest_call_number(guest) != SYS_exit_group);
        CHECK(shimsup_guest_complete(guest, -ENOSYS) == 0);
    }
    CHECK(shimsup_guest_call_argument(guest, 0) == first);
}

/* Programs that are not there, or can be no guests. */
static void bad_programs(const char *static_program)
{
    shimsup_command *command;
    shimsup_guest *guest;

    CHECK(shimsup_command_new("/nonexistent/program", &command) == 0);
    REFUSED(shimsup_guest_launch(host, command, 700, &guest), ENOENT);
    shimsup_command_free(command);
    CHECK(shimsup_command_new("/etc/passwd", &command) == 0);
    REFUSED(shimsup_guest_launch(host, command, 700, &guest), EACCES);
    shimsup_command_free(command);
    CHECK(shimsup_command_new(static_program, &command) == 0);
    REFUSED(shimsup_guest_launch(host, command, 700, &guest), ENOEXEC);
    CHECK(guest == NULL && strstr(shimsup_message(), "static") != NULL);
    REFUSED(shimsup_guest_launch(host, command, 0, &guest), EINVAL);
    shimsup_command_free(command);
}

static void nonsense(void)
{
    shimsup_guest *guest = (shimsup_guest *)&guest;
    shimsup_host *none;
    uint64_t words[6] = {0};

    REFUSED(shimsup_host_new(NULL, 0, "x", &none), EINVAL);
    REFUSED(shimsup_host_new(simulation, 0, NULL, &none), EINVAL);
    REFUSED(shimsup_host_new(simulation, 0, "", &none), EINVAL);
    REFUSED(shimsup_host_new(simulation, 0, "x", NULL), EINVAL);
    CHECK(none == NULL);
    REFUSED(shimsup_host_set_ipv4(host, "10.0.0", 8), EINVAL);
    REFUSED(shimsup_host_set_ipv4(host, "10.0.0.1", 33), EINVAL);
    REFUSED(shimsup_host_set_ipv6(host, "fd00::1", 129), EINVAL);
    REFUSED(shimsup_host_set_ipv6(NULL, "fd00::1", 64), EINVAL);
    REFUSED(shimsup_host_set_log_level(host, 6), EINVAL);
    REFUSED(shimsup_host_set_seed(NULL, 1), EINVAL);
    REFUSED(shimsup_host_set_now_ns(NULL, 1), EINVAL);
    CHECK(shimsup_host_now_ns(NULL) == 0);
    REFUSED(shimsup_guest_launch(host, NULL, 1, &guest), EINVAL);
    CHECK(guest == NULL);
    REFUSED(shimsup_wait(NULL, 0, &guest), EINVAL);
    REFUSED(shimsup_wait(simulation, 0, NULL), EINVAL);
    REFUSED(shimsup_wake(NULL), EINVAL);
    REFUSED(shimsup_simulation_descriptor(NULL), EINVAL);
    REFUSED(shimsup_guest_wait(NULL), EINVAL);
    REFUSED(shimsup_guest_begin(NULL), EINVAL);
    REFUSED(shimsup_guest_complete(NULL, 0), EINVAL);
    REFUSED(shimsup_guest_complete_with_signal(NULL, 0, 1, 0, 0, 0), EINVAL);
    REFUSED(shimsup_guest_die(NULL, 9), EINVAL);
    REFUSED(shimsup_guest_native_call(NULL, 39, words, NULL), EINVAL);
    REFUSED(shimsup_guest_run_natively(NULL), EINVAL);
    REFUSED(shimsup_guest_park(NULL), EINVAL);
    REFUSED(shimsup_guest_read(NULL, 0, words, 1), EINVAL);
    REFUSED(shimsup_guest_read_text(NULL, 0, (char *)words, 1), EINVAL);
    REFUSED(shimsup_guest_write(NULL, 0, words, 1), EINVAL);
    REFUSED(shimsup_guest_flush(NULL), EINVAL);
    REFUSED(shimsup_guest_add_process(NULL, 2, 1, &guest), EINVAL);
    REFUSED(shimsup_guest_add_thread(NULL, 2, &guest), EINVAL);
    REFUSED(shimsup_guest_set_pending_signals(NULL, 0), EINVAL);
    REFUSED(shimsup_guest_interrupt(NULL, 0), EINVAL);
    REFUSED(shimsup_guest_signal_mask(NULL, words), EINVAL);
    REFUSED(shimsup_guest_signal_disposition(NULL, 1), EINVAL);
    REFUSED(shimsup_guest_kill(NULL), EINVAL);
    REFUSED(shimsup_guest_preempt(NULL), EINVAL);
    REFUSED(shimsup_guest_end(NULL, NULL, NULL), EINVAL);
    REFUSED(shimsup_guest_take_record(NULL, NULL, NULL, NULL), EINVAL);
    REFUSED(shimsup_guest_set_family(NULL, 0, 0, 0), EINVAL);
    REFUSED(shimsup_guest_set_data(NULL, NULL), EINVAL);
    REFUSED(shimsup_guest_call_number(NULL), EINVAL);
    CHECK(shimsup_guest_call_argument(NULL, 0) == 0 && shimsup_guest_event(NULL) == 0);
    CHECK(shimsup_guest_pid(NULL) == 0 && shimsup_guest_tid(NULL) == 0);
    CHECK(shimsup_guest_native_pid(NULL) == 0 && shimsup_guest_data(NULL) == NULL);
    CHECK(*shimsup_guest_program(NULL) == '\0');
    shimsup_guest_free(NULL);
    shimsup_host_free(NULL);
}

/* Who speaks out of turn is told so, and nothing happens. */
static void out_of_turn(shimsup_guest *guest, shimsup_guest *other)
{
    char byte;

    REFUSED(shimsup_guest_complete(guest, 0), EINVAL); /* it waits for its beginning */
    CHECK(shimsup_guest_begin(guest) == 0);
    REFUSED(shimsup_guest_begin(guest), EBUSY);
    REFUSED(shimsup_guest_read(guest, 4096, &byte, 1), EBUSY);
    REFUSED(shimsup_guest_begin(other), EBUSY); /* one at a time */
    REFUSED(shimsup_host_set_now_ns(host, 1), EBUSY);
    REFUSED(shimsup_host_set_run_until_ns(host, 1), EBUSY);
    REFUSED(shimsup_host_set_seed(host, 1), EBUSY);
}

static void memory(shimsup_guest *guest)
{
    uint64_t address = shimsup_guest_call_argument(guest, 1);
    char text[32], big[100000] = "an answer";

    CHECK(shimsup_guest_read_text(guest, address, text, sizeof text) == 10);
    CHECK(strcmp(text, "a question") == 0);
    REFUSED(shimsup_guest_read_text(guest, address, text, 10), ENAMETOOLONG);
    REFUSED(shimsup_guest_read_text(guest, 8, text, sizeof text), EFAULT);
    REFUSED(shimsup_guest_read(guest, 8, text, 1), EFAULT);
    REFUSED(shimsup_guest_read(guest, UINT64_MAX, text, 4), EFAULT);
    REFUSED(shimsup_guest_read(guest, address, NULL, 4), EINVAL);
    REFUSED(shimsup_guest_write(guest, 8, big, sizeof big), EFAULT);
    CHECK(shimsup_guest_write(guest, address, "an answer", 10) == 0);
    CHECK(shimsup_guest_read(guest, address, text, 10) == 0);
    CHECK(strcmp(text, "an answer") == 0);
    CHECK(shimsup_guest_park(guest) == 0);
    CHECK(shimsup_guest_complete(guest, 42) == 0);
    expect_question(guest, 2);
    /* Little goes with the answer: the guest finds out. */
    CHECK(shimsup_guest_write(guest, 8, "x", 1) == 0);
    CHECK(shimsup_guest_complete(guest, 0) == 0);
}

static void signals(shimsup_guest *guest)
{
    const uint64_t usr1 = UINT64_C(1) << (SIGUSR1 - 1);
    uint64_t mask = 1;

    expect_question(guest, 4);
    CHECK(shimsup_guest_signal_disposition(guest, SIGUSR1) == SHIMSUP_SIGNAL_HANDLER);
    CHECK(shimsup_guest_signal_disposition(guest, SIGUSR2) == SHIMSUP_SIGNAL_DEFAULT);
    REFUSED(shimsup_guest_signal_disposition(guest, 65), EINVAL);
    REFUSED(shimsup_guest_complete_with_signal(guest, 0, SIGUSR2, 0, 0, 0), EINVAL);
    REFUSED(shimsup_guest_die(guest, 0), EINVAL);
    CHECK(shimsup_guest_complete_with_signal(guest, -EINTR, SIGUSR1, SI_USER, 77, 0) == 0);
    expect_question(guest, 5);
    CHECK(shimsup_guest_signal_mask(guest, &mask) == 0 && mask == usr1);
    CHECK(shimsup_guest_set_pending_signals(guest, usr1) == 0);
    CHECK(shimsup_guest_complete(guest, 0) == 0);
    expect(guest, SHIMSUP_EVENT_SIGNALS);
    CHECK(shimsup_guest_complete_with_signal(guest, 0, SIGUSR1, SI_USER, 77, 0) == 0);
}

static void limits(shimsup_guest *guest)
{
    uint64_t limit;

    /* It looks at the clock until it shows 200 s; it was booted 100 s before the start. */
    limit = shimsup_host_now_ns(host) + 1000000;
    expect(guest, SHIMSUP_EVENT_LIMIT);
    CHECK(shimsup_host_now_ns(host) >= limit);
    CHECK(shimsup_host_set_run_until_ns(host, FOREVER) == 0);
    CHECK(shimsup_host_set_now_ns(host, UINT64_C(100000000000)) == 0);
    REFUSED(shimsup_host_set_now_ns(host, 1), EINVAL);
    CHECK(shimsup_guest_complete(guest, 0) == 0);
}

static void thread(shimsup_guest *guest)
{
    shimsup_guest *child;
    uint64_t tid_at, flags;
    uint32_t tid = 701, nobody = 0;

    do {
        expect(guest, SHIMSUP_EVENT_CALL);
        if (shimsup_guest_call_number(guest) != SYS_clone)
            CHECK(shimsup_guest_complete(guest, -ENOSYS) == 0);
    } while (shimsup_guest_call_number(guest) != SYS_clone);
    flags = shimsup_guest_call_argument(guest, 0);
    tid_at = shimsup_guest_call_argument(guest, 3);
    CHECK(flags & CLONE_THREAD && flags & CLONE_PARENT_SETTID && flags & CLONE_CHILD_CLEARTID);
    CHECK(shimsup_guest_add_thread(guest, tid, &child) == 0);
    CHECK(shimsup_guest_pid(child) == 700 && shimsup_guest_tid(child) == tid);
    CHECK(shimsup_guest_write(guest, shimsup_guest_call_argument(guest, 2), &tid, 4) == 0);
    REFUSED(shimsup_guest_complete(child, 0), EINVAL);
    CHECK(shimsup_guest_complete(guest, tid) == 0);
    expect(guest, SHIMSUP_EVENT_CALL); /* it joins the other */
    CHECK(shimsup_guest_call_number(guest) == SYS_futex);
    CHECK(shimsup_guest_park(guest) == 0);
    CHECK(shimsup_guest_begin(child) == 0);
    expect_question(child, 3);
    CHECK(shimsup_guest_complete(child, 33) == 0);
    while (shimsup_guest_wait(child) == SHIMSUP_EVENT_CALL)
        CHECK(shimsup_guest_complete(child, -ENOSYS) == 0);
    CHECK(shimsup_guest_event(child) == SHIMSUP_EVENT_THREAD_ENDED);
    REFUSED(shimsup_guest_complete(child, 0), ESRCH);
    REFUSED(shimsup_guest_wait(child), ESRCH);
    shimsup_guest_free(child);
    CHECK(shimsup_guest_end(guest, NULL, NULL) == 0);
    CHECK(shimsup_guest_write(guest, tid_at, &nobody, 4) == 0);
    CHECK(shimsup_guest_complete(guest, 0) == 0);
}

static void process(shimsup_guest *guest, shimsup_guest *other)
{
    shimsup_guest *child, *none;
    int kind, value, status;

    do {
        expect(guest, SHIMSUP_EVENT_CALL);
        if (shimsup_guest_call_number(guest) != SYS_clone)
            CHECK(shimsup_guest_complete(guest, -ENOSYS) == 0);
    } while (shimsup_guest_call_number(guest) != SYS_clone);
    REFUSED(shimsup_guest_add_process(guest, 0, 700, &none), EINVAL);
    CHECK(shimsup_guest_add_process(guest, 710, 700, &child) == 0);
    CHECK(shimsup_guest_native_pid(child) != 0);
    CHECK(shimsup_guest_complete(guest, 710) == 0);
    for (;;) {
        expect(guest, SHIMSUP_EVENT_CALL);
        if (shimsup_guest_call_number(guest) == SYS_wait4)
            break;
        CHECK(shimsup_guest_complete(guest, -ENOSYS) == 0);
    }
    CHECK(shimsup_guest_park(guest) == 0);
    /* Who waits all the time may die meanwhile. */
    CHECK(shimsup_guest_kill(other) == 0);
    expect(other, SHIMSUP_EVENT_ENDED);
    CHECK(shimsup_guest_end(other, &kind, &value) == 1);
    CHECK(kind == SHIMSUP_KILLED && value == SIGKILL);
    shimsup_guest_free(other);
    CHECK(shimsup_guest_begin(child) == 0);
    while (shimsup_guest_wait(child) == SHIMSUP_EVENT_CALL)
        CHECK(shimsup_guest_complete(child, -ENOSYS) == 0);
    CHECK(shimsup_guest_event(child) == SHIMSUP_EVENT_START); /* its new image */
    CHECK(shimsup_guest_set_family(child, 1, 710, 710) == 0);
    CHECK(shimsup_guest_begin(child) == 0);
    expect_question(child, 8);
    CHECK(shimsup_guest_complete(child, 80) == 0);
    expect(child, SHIMSUP_EVENT_CALL);
    CHECK(shimsup_guest_call_number(child) == SYS_exit_group);
    CHECK(shimsup_guest_run_natively(child) == -ESRCH);
    expect(child, SHIMSUP_EVENT_ENDED);
    CHECK(shimsup_guest_end(child, &kind, &value) == 1);
    CHECK(kind == SHIMSUP_EXITED && value == 0);
    REFUSED(shimsup_guest_begin(child), ESRCH);
    shimsup_guest_free(child);
    status = 0;
    CHECK(shimsup_guest_write(guest, shimsup_guest_call_argument(guest, 1), &status, 4) == 0);
    CHECK(shimsup_guest_complete(guest, 710) == 0);
    expect_question(guest, 6);
    CHECK(shimsup_guest_die(guest, SIGUSR2) == 0);
    expect(guest, SHIMSUP_EVENT_ENDED);
    CHECK(shimsup_guest_end(guest, &kind, &value) == 1);
    CHECK(kind == SHIMSUP_KILLED && value == SIGUSR2);
    shimsup_guest_free(guest);
}

static void *wake(void *unused)
{
    (void)unused;
    CHECK(shimsup_wake(simulation) == 0);
    return NULL;
}

/* Guests that compute are preempted; waits end when somebody asks; a descriptor tells of events. */
static void reach(void)
{
    struct pollfd polled = {.events = POLLIN};
    shimsup_guest *guest = launch(800, "spin"), *found;
    uint64_t before;
    pthread_t other;
    int event;

    polled.fd = shimsup_simulation_descriptor(simulation);
    CHECK(polled.fd >= 0 && polled.fd == shimsup_simulation_descriptor(simulation));
    CHECK(poll(&polled, 1, 20000) == 1);
    expect(guest, SHIMSUP_EVENT_START);
    CHECK(shimsup_wait(simulation, 0, &found) == 0 && found == NULL);
    CHECK(poll(&polled, 1, 0) == 0);
    CHECK(shimsup_guest_begin(guest) == 0);
    before = shimsup_host_now_ns(host);
    do {
        event = shimsup_wait(simulation, 10000000, &found);
        if (event == 0)
            CHECK(shimsup_guest_preempt(guest) == 0);
        else if (event == SHIMSUP_EVENT_CALL)
            CHECK(shimsup_guest_complete(guest, -ENOSYS) == 0);
    } while (event != SHIMSUP_EVENT_PREEMPTED);
    CHECK(shimsup_host_now_ns(host) >= before + 1000000000);
    CHECK(strcmp(shimsup_guest_program(guest), "asker") == 0);
    CHECK(shimsup_guest_complete(guest, 0) == 0);
    CHECK(pthread_create(&other, NULL, wake, NULL) == 0);
    CHECK(shimsup_wait(simulation, FOREVER, &found) == 0 && found == NULL);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK(shimsup_guest_kill(guest) == 0);
    CHECK(poll(&polled, 1, 20000) == 1);
    expect(guest, SHIMSUP_EVENT_ENDED);
    shimsup_guest_free(guest);
    /* One whose end nobody waits for. */
    shimsup_guest_free(launch(801, "spin"));
}

int main(int count, char **words)
{
    const uint64_t words_of_getpid[6] = {0};
    shimsup_guest *guest, *other;
    int64_t result = 0;

    if (count == 1) {
        nonsense();
        return 0;
    }
    asker = words[1];
    CHECK(shimsup_simulation_new(NULL, &simulation) == 0);
    CHECK(shimsup_host_new(simulation, 3, "gamma", &host) == 0);
    nonsense();
    CHECK(shimsup_host_set_ipv4(host, "10.0.0.3", 24) == 0);
    CHECK(shimsup_host_set_ipv6(host, "fd00::3", 64) == 0);
    CHECK(shimsup_host_set_seed(host, 7) == 0);
    CHECK(shimsup_host_set_start_realtime_ns(host, 0) == 0);
    CHECK(shimsup_host_set_uptime_ns(host, UINT64_C(100000000000)) == 0);
    CHECK(shimsup_host_set_latencies_ns(host, 2000, 500) == 0);
    CHECK(shimsup_host_set_log_level(host, 5) == 0);
    CHECK(shimsup_wait(simulation, 0, &guest) == 0 && guest == NULL);

    CHECK(count == 3);
    bad_programs(words[2]);
    guest = launch(700, NULL);
    CHECK(shimsup_guest_set_data(guest, &host) == 0 && shimsup_guest_data(guest) == &host);
    expect(guest, SHIMSUP_EVENT_START);
    other = launch(702, "again");
    CHECK(shimsup_guest_wait(other) == SHIMSUP_EVENT_START);
    out_of_turn(guest, other);
    expect_question(guest, 1);
    CHECK(shimsup_host_set_run_until_ns(host, shimsup_host_now_ns(host) + 10000000) == 0);
    CHECK(shimsup_guest_native_call(guest, SYS_getpid, words_of_getpid, &result) == 0);
    CHECK(result == (int64_t)shimsup_guest_native_pid(guest));
    memory(guest);
    signals(guest);
    limits(guest);
    thread(guest);
    process(guest, other);
    reach();
    shimsup_host_free(host);
    shimsup_simulation_free(simulation);
    return 0;
}
