/* Every function of shim/host.h, and of shim/supervisor.h what hosts need: with nonsense, and with a host that works.
 *
 * "nonsense" in, to make no simulation, or nothing; "ok" and a status of 0 out, or the line of the first wrong answer. Always true: each answer is compared; the
 * guests print nothing. What two hosts do with each other is examples/c/two_hosts.c. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <shim/host.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPECT(fact)                                                                              \
    do {                                                                                          \
        if (!(fact)) {                                                                            \
            printf("line %d: %s (message: %s)\n", __LINE__, #fact, shimsup_message());            \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* A refused call names its function and has a message that says this. */
static void expect_refused(int line, int result, int error, const char *function, const char *words) {
    const char *message = shimsup_message();
    if (result != -error || strncmp(message, function, strlen(function)) != 0 || strstr(message, words) == NULL) {
        printf("line %d: %s: %d, %s\n", line, function, result, message);
        exit(1);
    }
}
#define REFUSED(error, words, function, ...) expect_refused(__LINE__, function(__VA_ARGS__), error, #function, words)

static const unsigned char bytes[1] = {0};
static uint64_t number;
static const void *datagram;
static size_t length;
static const shimhost_record *record;

static void without_a_host(void) {
    REFUSED(EINVAL, "host is NULL", shimhost_spawn, NULL, NULL, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_step, NULL, 0, 1);
    REFUSED(EINVAL, "host is NULL", shimhost_step_to_end_of, NULL, 1000, 0, 1);
    REFUSED(EINVAL, "host is NULL", shimhost_deliver, NULL, 0, bytes, 1);
    REFUSED(EINVAL, "host is NULL", shimhost_take_packet, NULL, &number, &datagram, &length);
    REFUSED(EINVAL, "host is NULL", shimhost_take_looped_packet, NULL, NULL, &datagram, &length);
    REFUSED(EINVAL, "host is NULL", shimhost_process_end, NULL, 1000, NULL, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_signal, NULL, 1000, SIGTERM);
    REFUSED(EINVAL, "host is NULL", shimhost_interrupt, NULL, SIGINT);
    REFUSED(EINVAL, "host is NULL", shimhost_kill_all, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_kill_from_outside, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_look_for_dead, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_reboot, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_run_on, NULL, 0);
    REFUSED(EINVAL, "host is NULL", shimhost_next_pid, NULL, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_process_count, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_is_reproducible, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_statistic, NULL, SHIMHOST_STATISTIC_CALLS, &number);
    REFUSED(EINVAL, "host is NULL", shimhost_lack, NULL, 0, NULL, NULL, NULL, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_failure, NULL, 0, NULL, NULL, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_preemption, NULL, 0, NULL, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_waiting, NULL, 0, NULL, NULL, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_written_file, NULL, 0, NULL);
    REFUSED(EINVAL, "host is NULL", shimhost_take_record, NULL, &record);
    EXPECT(shimhost_next_event(NULL) == SHIMHOST_NEVER && strstr(shimsup_message(), "shimhost_next_event"));
    EXPECT(shimhost_now(NULL) == SHIMHOST_NEVER && strstr(shimsup_message(), "shimhost_now"));
    REFUSED(EINVAL, "record is NULL", shimhost_record_kind, NULL);
    REFUSED(EINVAL, "record is NULL", shimhost_record_call, NULL, NULL, NULL, NULL);
    EXPECT(shimhost_record_value(NULL) == 0 && shimhost_record_time_ns(NULL) == 0);
    EXPECT(shimhost_record_pid(NULL) == 0 && shimhost_record_tid(NULL) == 0);
    EXPECT(shimhost_record_text(NULL) == NULL && shimhost_record_program(NULL) == NULL);
    shimhost_free(NULL);
    shimhost_config_free(NULL);
    shimsup_command_free(NULL);
    shimsup_simulation_free(NULL);
}

static shimhost_config *configuration(uint32_t id) {
    shimhost_config *config = NULL;

    REFUSED(EINVAL, "config is NULL", shimhost_config_new, id, "alpha", NULL);
    REFUSED(EINVAL, "hostname is NULL", shimhost_config_new, id, NULL, &config);
    REFUSED(EINVAL, "1 to 63", shimhost_config_new, id, "", &config);
    REFUSED(EINVAL, "UTF-8", shimhost_config_new, id, "\xff", &config);
    REFUSED(EINVAL, "numbered from 0", shimhost_config_new, UINT32_MAX, "alpha", &config);
    EXPECT(config == NULL);
    EXPECT(shimhost_config_new(id, "alpha", &config) == 0 && config != NULL);
    REFUSED(EINVAL, "config is NULL", shimhost_config_set_seed, NULL, 1);
    REFUSED(EINVAL, "address is NULL", shimhost_config_set_ipv4, config, NULL, 8);
    REFUSED(EINVAL, "no IPv4 address", shimhost_config_set_ipv4, config, "10.0.0", 8);
    REFUSED(EINVAL, "prefix_bits is 33", shimhost_config_set_ipv4, config, "10.0.0.1", 33);
    REFUSED(EINVAL, "no IPv6 address", shimhost_config_set_ipv6, config, "10.0.0.1", 8);
    REFUSED(EINVAL, "prefix_bits is 129", shimhost_config_set_ipv6, config, "fd00::1", 129);
    REFUSED(EINVAL, "count is 0", shimhost_config_set_cpu_count, config, 0);
    REFUSED(EINVAL, "bytes is 1:", shimhost_config_set_memory_bytes, config, 1);
    REFUSED(EINVAL, "pass 1 to 64", shimhost_config_set_kernel_release, config, "");
    REFUSED(EINVAL, "version is NULL", shimhost_config_set_kernel_version, config, NULL);
    REFUSED(EINVAL, "rate_ppb", shimhost_config_set_clock_rate_ppb, config, INT64_MIN);
    REFUSED(EINVAL, "quantum_ns is 0", shimhost_config_set_watchdog, config, 1, 0);
    REFUSED(EINVAL, "mode is 9", shimhost_config_set_tsc, config, 9, 1);
    REFUSED(EINVAL, "frequency_hz is 0", shimhost_config_set_tsc, config, SHIMHOST_TSC_AUTO, 0);
    REFUSED(EINVAL, "level is 6", shimhost_config_set_log_level, config, 6);
    REFUSED(EINVAL, "level is -1", shimhost_config_set_log_level, config, -1);
    REFUSED(EINVAL, "which is 3", shimhost_config_set_records, config, 3);
    EXPECT(shimhost_config_set_seed(config, 7) == 0);
    EXPECT(shimhost_config_set_ipv4(config, "10.0.0.1", 24) == 0);
    EXPECT(shimhost_config_set_ipv6(config, "fd00::1", 64) == 0);
    EXPECT(shimhost_config_set_connected(config, true) == 0);
    EXPECT(shimhost_config_set_capturing(config, true) == 0);
    EXPECT(shimhost_config_set_upload_bits_per_second(config, 1000000000) == 0);
    EXPECT(shimhost_config_set_upload_unlimited_until_ns(config, 1) == 0);
    EXPECT(shimhost_config_set_cpu_count(config, 4) == 0);
    EXPECT(shimhost_config_set_memory_bytes(config, 1u << 30) == 0);
    EXPECT(shimhost_config_set_kernel_release(config, "6.6.6-test") == 0);
    EXPECT(shimhost_config_set_kernel_version(config, "#1 of a test") == 0);
    EXPECT(shimhost_config_set_start_realtime_ns(config, 86400 * INT64_C(1000000000)) == 0);
    EXPECT(shimhost_config_set_uptime_ns(config, 1000000000) == 0);
    EXPECT(shimhost_config_set_clock_offset_ns(config, 3600 * INT64_C(1000000000)) == 0);
    EXPECT(shimhost_config_set_clock_rate_ppb(config, 0) == 0);
    EXPECT(shimhost_config_add_clock_jump(config, UINT64_MAX, -1) == 0);
    EXPECT(shimhost_config_set_syscall_latency_ns(config, 2000) == 0);
    EXPECT(shimhost_config_set_vdso_latency_ns(config, 1000) == 0);
    EXPECT(shimhost_config_set_watchdog(config, 0, 0) == 0);
    EXPECT(shimhost_config_set_tsc(config, SHIMHOST_TSC_AUTO, 1000000000) == 0);
    EXPECT(shimhost_config_set_patching(config, true) == 0);
    EXPECT(shimhost_config_set_kernel_in_guest(config, true) == 0);
    EXPECT(shimhost_config_set_log_level(config, 2) == 0);
    EXPECT(shimhost_config_set_records(config, SHIMHOST_RECORDS_CALLS) == 0);
    return config;
}

/* sh -c SCRIPT, with this standard output. */
static shimsup_command *shell(const char *script, int output) {
    shimsup_command *command = NULL;

    REFUSED(EINVAL, "program is NULL", shimsup_command_new, NULL, &command);
    REFUSED(EINVAL, "program is empty", shimsup_command_new, "", &command);
    REFUSED(EINVAL, "command is NULL", shimsup_command_new, "sh", NULL);
    EXPECT(shimsup_command_new("sh", &command) == 0);
    REFUSED(EINVAL, "argument is NULL", shimsup_command_add_argument, command, NULL);
    REFUSED(EINVAL, "NAME=value", shimsup_command_add_environment, command, "=x");
    REFUSED(EINVAL, "number is 3", shimsup_command_set_stdio, command, 3, 0);
    REFUSED(EBADF, "fd is -2", shimsup_command_set_stdio, command, 1, -2);
    REFUSED(EBADF, "cannot duplicate fd", shimsup_command_set_stdio, command, 1, 1000000);
    REFUSED(EINVAL, "command is NULL", shimsup_command_set_directory, NULL, "/");
    REFUSED(EINVAL, "command is NULL", shimsup_command_inherit_environment, NULL);
    REFUSED(EINVAL, "command is NULL", shimsup_command_inherit_stdio, NULL);
    EXPECT(shimsup_command_set_argument_zero(command, "shell") == 0);
    EXPECT(shimsup_command_add_argument(command, "-c") == 0);
    EXPECT(shimsup_command_add_argument(command, script) == 0);
    EXPECT(shimsup_command_add_environment(command, "PATH=/usr/bin:/bin") == 0);
    EXPECT(shimsup_command_add_environment(command, "LC_ALL=C") == 0);
    EXPECT(shimsup_command_set_directory(command, "/") == 0);
    EXPECT(shimsup_command_set_stdio(command, 1, output) == 0);
    return command;
}

static uint32_t start(shimhost *host, const char *script, int output) {
    shimsup_command *command = shell(script, output);
    uint32_t pid = 0, next = 0;

    EXPECT(shimhost_next_pid(host, &next) == 0);
    EXPECT(shimhost_spawn(host, command, &pid) == 0 && pid == next);
    shimsup_command_free(command);
    return pid;
}

/* What a pipe holds, as a text. */
static const char *content(int pipe) {
    static char text[1000];
    ssize_t count = read(pipe, text, sizeof text - 1);
    text[count < 0 ? 0 : count] = '\0';
    return text;
}

static void *step_to_the_end(void *host) {
    return shimhost_step((shimhost *)host, 0, SHIMHOST_NEVER) == 0 ? host : NULL;
}

static void with_a_host(shimsup_simulation *simulation) {
    shimhost_config *config = configuration(3);
    shimsup_command *command;
    shimhost *host = NULL, *other = NULL;
    uint32_t pid, sleeper, found = 0, call = 0;
    uint64_t arguments[6], count = 0, at = 0;
    const char *text = NULL, *program = NULL;
    char path[] = "/tmp/one_host-XXXXXX", script[200];
    int kind = 0, value = 0, pipes[2], seen = 0, ends = 0, file;
    int32_t lacking = 0;
    int64_t result;

    REFUSED(EINVAL, "simulation is NULL", shimhost_new, NULL, config, &host);
    REFUSED(EINVAL, "config is NULL", shimhost_new, simulation, NULL, &host);
    REFUSED(EINVAL, "host is NULL", shimhost_new, simulation, config, NULL);
    EXPECT(shimhost_new(simulation, config, &host) == 0);
    REFUSED(EBUSY, "before the first", shimsup_simulation_add_name, simulation, "late", "10.0.0.9", NULL, 9);
    REFUSED(EEXIST, "another host_id", shimhost_new, simulation, config, &other);
    EXPECT(other == NULL);
    shimhost_config_free(config);

    EXPECT(shimhost_next_event(host) == SHIMHOST_NEVER && shimhost_now(host) == 0);
    REFUSED(EINVAL, "is before", shimhost_step, host, 2, 1);
    REFUSED(ESRCH, "no process 1000", shimhost_step_to_end_of, host, 1000, 0, 1);
    REFUSED(ESRCH, "no process 1000", shimhost_process_end, host, 1000, &kind, &value);
    REFUSED(ESRCH, "no process 1000", shimhost_signal, host, 1000, SIGTERM);
    REFUSED(EINVAL, "no signal 65", shimhost_interrupt, host, 65);
    REFUSED(EINVAL, "datagram is NULL", shimhost_deliver, host, 0, NULL, 1);
    REFUSED(EMSGSIZE, "none of IP", shimhost_deliver, host, 0, bytes, 100000);
    REFUSED(EINVAL, "datagram is NULL", shimhost_take_packet, host, NULL, NULL, &length);
    REFUSED(EINVAL, "length is NULL", shimhost_take_packet, host, NULL, &datagram, NULL);
    REFUSED(EINVAL, "record is NULL", shimhost_take_record, host, NULL);
    REFUSED(EINVAL, "no statistic", shimhost_statistic, host, 0, &number);
    REFUSED(EINVAL, "value is NULL", shimhost_statistic, host, SHIMHOST_STATISTIC_CALLS, NULL);
    REFUSED(EINVAL, "no processor", shimhost_run_on, host, 5000);
    REFUSED(EINVAL, "pid is NULL", shimhost_next_pid, host, NULL);
    REFUSED(EINVAL, "command is NULL", shimhost_spawn, host, NULL, NULL);
    EXPECT(shimsup_command_new("there-is-no-such-program", &command) == 0);
    REFUSED(ENOENT, "PATH", shimhost_spawn, host, command, NULL);
    shimsup_command_free(command);
    EXPECT(shimsup_command_new("/etc/passwd", &command) == 0);
    REFUSED(EACCES, "/etc/passwd", shimhost_spawn, host, command, NULL);
    EXPECT(shimsup_command_inherit_environment(command) == 0 && shimsup_command_inherit_stdio(command) == 0);
    shimsup_command_free(command);

    /* A shell that says where and when it is, and talks to itself. */
    EXPECT(pipe(pipes) == 0);
    EXPECT((file = mkstemp(path)) >= 0 && close(file) == 0);
    sprintf(script, "uname -nr; date +%%s; nproc; sleep 5; date +%%s; ping -c 1 127.0.0.1 >%s; exit 3", path);
    pid = start(host, script, pipes[1]);
    sleeper = start(host, "trap 'exit 4' TERM; sleep 1000000", -1);
    EXPECT(shimhost_process_count(host) == 2 && shimhost_next_event(host) == 0);
    EXPECT(shimhost_process_end(host, pid, &kind, &value) == 0 && kind == 0);
    EXPECT(shimhost_step(host, 0, 4000000000u) == 0);
    EXPECT(shimhost_process_end(host, pid, NULL, NULL) == 0);
    REFUSED(EINVAL, "in the past of the host", shimhost_deliver, host, 1, bytes, 1);
    EXPECT(shimhost_deliver(host, 5000000000u, bytes, 1) == 0);
    EXPECT(shimhost_waiting(host, 0, &program, &found, &text) == 1);
    EXPECT(found == pid && strcmp(program, "sh") == 0 && strstr(text, "wait") != NULL);
    EXPECT(shimhost_waiting(host, 100, NULL, NULL, NULL) == 0);
    EXPECT(shimhost_step_to_end_of(host, pid, 4000000000u, 60000000000u) == 0);
    EXPECT(shimhost_process_end(host, pid, &kind, &value) == 1);
    EXPECT(kind == SHIMHOST_EXITED && value == 3);
    at = shimhost_now(host);
    EXPECT(at > 5000000000u && at < 7000000000u);
    EXPECT(strcmp(content(pipes[0]), "alpha 6.6.6-test\n90000\n4\n90005\n") == 0);

    /* Records: every call, and the end. */
    while (shimhost_take_record(host, &record) == 1) {
        if (shimhost_record_kind(record) == SHIMHOST_RECORD_CALL && shimhost_record_pid(record) == pid) {
            EXPECT(shimhost_record_call(record, &call, arguments, &result) == 1);
            EXPECT(call == (uint32_t)shimhost_record_value(record) && strstr(shimhost_record_text(record), "(") != NULL);
            seen++;
        }
        if (shimhost_record_kind(record) == SHIMHOST_RECORD_EXITED && shimhost_record_pid(record) == pid) {
            EXPECT(shimhost_record_value(record) == 3 && shimhost_record_tid(record) == pid);
            EXPECT(shimhost_record_call(record, NULL, NULL, NULL) == 0);
            EXPECT(strstr(shimhost_record_text(record), "+++ exited with 3 +++") != NULL);
            EXPECT(strcmp(shimhost_record_program(record), "sh") == 0 && shimhost_record_time_ns(record) <= at);
            ends++;
        }
    }
    EXPECT(seen > 10 && ends == 1);

    /* Packets to itself, and none to others. */
    EXPECT(shimhost_take_looped_packet(host, &number, &datagram, &length) == 1);
    EXPECT(number > 0 && length >= 20 && *(const unsigned char *)datagram == 0x45);
    EXPECT(shimhost_take_packet(host, &number, &datagram, &length) == 0);

    /* Signals, from inside the simulation and from outside. */
    EXPECT(shimhost_signal(host, sleeper, SIGTERM) == 0);
    EXPECT(shimhost_step(host, at, at + 1000000000) == 0);
    EXPECT(shimhost_process_end(host, sleeper, NULL, NULL) == 0); /* it waits for its child first */
    EXPECT(shimhost_interrupt(host, SIGTERM) == 0);
    EXPECT(shimhost_step(host, at + 1000000000, at + 2000000000) == 0);
    EXPECT(shimhost_process_end(host, sleeper, &kind, &value) == 1 && kind == SHIMHOST_EXITED && value == 4);

    /* What can be told of it. */
    EXPECT(shimhost_statistic(host, SHIMHOST_STATISTIC_PROCESSES, &count) == 0 && count >= 8);
    EXPECT(shimhost_statistic(host, SHIMHOST_STATISTIC_THREADS, &number) == 0 && number == count);
    EXPECT(shimhost_statistic(host, SHIMHOST_STATISTIC_LIVING, &number) == 0 && number == 0);
    EXPECT(shimhost_statistic(host, SHIMHOST_STATISTIC_CALLS, &number) == 0 && number > 100);
    EXPECT(shimhost_statistic(host, SHIMHOST_STATISTIC_TRAPPED_CALLS, &count) == 0 && count < number);
    EXPECT(shimhost_statistic(host, SHIMHOST_STATISTIC_HANDOVERS, &number) == 0 && number > 0);
    EXPECT(shimhost_statistic(host, SHIMHOST_STATISTIC_KERNEL_BYTES, &number) == 0 && number > 0);
    EXPECT(shimhost_is_reproducible(host) == 1);
    EXPECT(shimhost_failure(host, 0, NULL, NULL, NULL) == 0);
    EXPECT(shimhost_preemption(host, 0, NULL, NULL) == 0);
    EXPECT(shimhost_written_file(host, 0, &text) == 1 && strcmp(text, path) == 0);
    EXPECT(shimhost_written_file(host, 1, &text) == 0 && unlink(path) == 0);

    /* What is missing is named: a socket of a family that there is not. */
    pid = start(host, "exec perl -MSocket -e 'socket(S, 17, SOCK_RAW, 0) or exit 5'", -1);
    at = shimhost_now(host);
    EXPECT(shimhost_step_to_end_of(host, pid, at, SHIMHOST_NEVER) == 0);
    EXPECT(shimhost_process_end(host, pid, &kind, &value) == 1 && value == 5);
    for (found = 0; shimhost_lack(host, found, &program, &text, &lacking, &count) == 1; found++)
        if (strcmp(program, "perl") == 0)
            break;
    EXPECT(strcmp(program, "perl") == 0 && strcmp(text, "packet socket") == 0 && lacking == -1 && count == 1);
    EXPECT(shimhost_lack(host, 100, NULL, NULL, NULL, NULL) == 0);

    /* Deaths: from outside, all at once, and by the loss of power. */
    EXPECT(shimhost_run_on(host, 0) == 0);
    pid = start(host, "sleep 1000000", -1);
    at = shimhost_now(host);
    EXPECT(shimhost_step(host, at, at + 1000000000) == 0);
    EXPECT(shimhost_kill_from_outside(host) == 0);
    while (shimhost_process_count(host) > 0) {
        EXPECT(shimhost_look_for_dead(host) >= 0);
        usleep(1000);
    }
    EXPECT(shimhost_process_end(host, pid, &kind, &value) == 1 && kind == SHIMHOST_KILLED && value == SIGKILL);
    pid = start(host, "sleep 1000000", -1);
    EXPECT(shimhost_kill_all(host) == 0 && shimhost_process_count(host) == 0);
    EXPECT(shimhost_process_end(host, pid, &kind, &value) == 1 && kind == SHIMHOST_KILLED && value == SIGKILL);
    found = start(host, "exit 6", -1);
    EXPECT(found > pid && shimhost_reboot(host) == 0);
    EXPECT(shimhost_process_end(host, found, &kind, &value) == 1 && kind == SHIMHOST_KILLED);
    pid = start(host, "exit 7", -1);
    at = shimhost_now(host);
    EXPECT(pid > found && shimhost_step(host, at, SHIMHOST_NEVER) == 0);
    EXPECT(shimhost_process_end(host, pid, &kind, &value) == 1 && kind == SHIMHOST_EXITED && value == 7);

    shimhost_free(host);
    close(pipes[0]);
    close(pipes[1]);
}

/* Two threads and one host: while one steps it, the other is told so, and nothing breaks. */
static void with_two_threads(shimsup_simulation *simulation) {
    shimhost_config *config = NULL;
    shimsup_command *command = shell("read line; test \"$line\" = go", -1);
    shimhost *host = NULL;
    pthread_t thread;
    uint32_t pid;
    void *stepped = NULL;
    int pipes[2], kind = 0, value = 1, tries = 0, result;

    EXPECT(shimhost_config_new(3, "beta", &config) == 0 && shimhost_new(simulation, config, &host) == 0);
    shimhost_config_free(config);
    EXPECT(pipe(pipes) == 0 && shimsup_command_set_stdio(command, 0, pipes[0]) == 0);
    EXPECT(shimhost_spawn(host, command, &pid) == 0);
    shimsup_command_free(command);
    /* The guest's standard input is real, so the step waits for it. */
    EXPECT(pthread_create(&thread, NULL, step_to_the_end, host) == 0);
    while ((result = shimhost_process_count(host)) == 1 && tries++ < 20000)
        usleep(1000);
    expect_refused(__LINE__, result, EBUSY, "shimhost_process_count", "another thread");
    EXPECT(shimhost_next_event(host) == SHIMHOST_NEVER);
    EXPECT(write(pipes[1], "go\n", 3) == 3 && pthread_join(thread, &stepped) == 0 && stepped == host);
    EXPECT(shimhost_process_end(host, pid, &kind, &value) == 1 && kind == SHIMHOST_EXITED && value == 0);
    shimhost_free(host);
    close(pipes[0]);
    close(pipes[1]);
}

int main(int argc, char **argv) {
    shimsup_simulation *simulation = NULL;
    bool is_nonsense_only = argc > 1 && strcmp(argv[1], "nonsense") == 0;

    EXPECT(strcmp(shimsup_message(), "") == 0);
    EXPECT(shimsup_version() >= SHIM_VERSION_ENCODE(0, 1, 0));
    without_a_host();
    REFUSED(EINVAL, "simulation is NULL", shimsup_simulation_new, NULL, NULL);
    REFUSED(ENOENT, "/nonexistent/libshim.so", shimsup_simulation_new, "/nonexistent/libshim.so", &simulation);
    REFUSED(ENOEXEC, "/etc/passwd", shimsup_simulation_new, "/etc/passwd", &simulation);
    EXPECT(simulation == NULL);
    if (is_nonsense_only) {
        shimsup_command_free(shell("true", -1));
        puts("ok");
        return 0;
    }
    EXPECT(shimsup_simulation_new(NULL, &simulation) == 0);
    REFUSED(EINVAL, "simulation is NULL", shimsup_simulation_add_name, NULL, "a", "10.0.0.1", NULL, 0);
    REFUSED(EINVAL, "name is NULL", shimsup_simulation_add_name, simulation, NULL, "10.0.0.1", NULL, 0);
    REFUSED(EINVAL, "has no address", shimsup_simulation_add_name, simulation, "a", NULL, NULL, 0);
    REFUSED(EINVAL, "1 to 63", shimsup_simulation_add_name, simulation, "", "10.0.0.1", NULL, 0);
    REFUSED(EINVAL, "no IPv6 address", shimsup_simulation_add_name, simulation, "a", NULL, "::x", 0);
    EXPECT(shimsup_simulation_add_name(simulation, "alpha", "10.0.0.1", "fd00::1", 3) == 0);
    EXPECT(shimsup_simulation_add_alias(simulation, "first", "10.0.0.1", NULL, 3) == 0);
    with_a_host(simulation);
    with_two_threads(simulation);
    shimsup_simulation_free(simulation);
    puts("ok");
    return 0;
}
