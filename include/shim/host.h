/* One simulated machine, its kernel and its guests, as a unit that an event loop steps. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from crates/shim-supervisor-c/src/ by `cargo run -p shim-gen`; do not edit.

   The event loop is yours. It asks each host when it wants to be stepped (shimhost_next_event), steps the one whose
   turn it is to an instant before which nothing can come to it (shimhost_step), takes the packets that it has sent
   (shimhost_take_packet), and delivers each to its target when your network has carried it (shimhost_deliver):

       while ((now = shimhost_next_event(host)) < end) {
           shimhost_step(host, now, now + latency);
           while (shimhost_take_packet(host, &at, &datagram, &length) == 1)
               shimhost_deliver(other, at + latency, datagram, length);
       }

   With two hosts, step both over the same stretch of time; examples/c/two_hosts.c is a whole program. Hosts and
   packets in the same order give the same run, byte for byte. */

#ifndef SHIM_HOST_H
#define SHIM_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/export.h"
#include "shim/supervisor.h"

/**
 * Guests read the real time stamp counter.
 */
#define SHIMHOST_TSC_NATIVE 0

/**
 * The time stamp counter is simulated in every guest.
 */
#define SHIMHOST_TSC_SIMULATED 1

/**
 * It is simulated in guests that have code which reads it.
 */
#define SHIMHOST_TSC_AUTO 2

/**
 * An instant that never comes.
 */
#define SHIMHOST_NEVER UINT64_MAX

/**
 * A process exited by itself; the value is its status, 0 to 255.
 */
#define SHIMHOST_EXITED 1

/**
 * A signal killed a process; the value is the signal's number.
 */
#define SHIMHOST_KILLED 2

/**
 * Processes that there have been, those that guests made included.
 */
#define SHIMHOST_STATISTIC_PROCESSES 1

/**
 * Threads that there have been, at least one for each process.
 */
#define SHIMHOST_STATISTIC_THREADS 2

/**
 * System calls of processes that have ended.
 */
#define SHIMHOST_STATISTIC_CALLS 3

/**
 * How many of them trapped instead of coming by patched code.
 */
#define SHIMHOST_STATISTIC_TRAPPED_CALLS 4

/**
 * How often a guest handed control to the simulator.
 */
#define SHIMHOST_STATISTIC_HANDOVERS 5

/**
 * Bytes that the state of the host's kernel takes now.
 */
#define SHIMHOST_STATISTIC_KERNEL_BYTES 6

/**
 * Processes that have not ended now.
 */
#define SHIMHOST_STATISTIC_LIVING 7

/**
 * Nothing is recorded.
 */
#define SHIMHOST_RECORDS_NONE 0

/**
 * Ends of processes, log lines, preemptions.
 */
#define SHIMHOST_RECORDS_EVENTS 1

/**
 * These, and each system call and signal handler: as strace(1) shows them.
 */
#define SHIMHOST_RECORDS_CALLS 2

/**
 * A log line of the shim, of the host, or of a guest; the value is its level, 1 (error) to 5 (trace).
 */
#define SHIMHOST_RECORD_LOG 1

/**
 * A system call that returned; the value is its number.
 */
#define SHIMHOST_RECORD_CALL 2

/**
 * A system call in which the thread was when its process ended; the value is its number.
 */
#define SHIMHOST_RECORD_UNFINISHED 3

/**
 * A signal whose handler runs next; the value is its number.
 */
#define SHIMHOST_RECORD_SIGNAL 4

/**
 * The thread made no call for so long that it was preempted; the value is for how many milliseconds of real time.
 */
#define SHIMHOST_RECORD_PREEMPTED 5

/**
 * The process exited; the value is its status.
 */
#define SHIMHOST_RECORD_EXITED 6

/**
 * A signal killed the process; the value is the signal's number.
 */
#define SHIMHOST_RECORD_KILLED 7

/**
 * How a host is to be. Opaque.
 */
typedef struct shimhost_config shimhost_config;

/**
 * One simulated machine. Opaque.
 */
typedef struct shimhost shimhost;

/**
 * One thing that a guest did. Opaque: read it with shimhost_record_*.
 */
typedef struct shimhost_record shimhost_record;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Describe a host that nobody described further.
 *
 * It has one processor, 4 GiB of memory, the address 11.0.0.1/8 on an interface that is not connected, the seed 1; it
 * was booted 100 s before the simulation's start, which is 2000-01-01 00:00:00 UTC; its system calls cost 1 us of simulated time.
 *
 * host_id: its number, 0 to 4095: hosts that a process has at the same time have different ones.
 * hostname: its name, as uname(2) tells it, 1 to 63 bytes; it also names its random streams.
 * config: where the new configuration goes; NULL goes there if the call fails.
 * Ownership: the configuration is the caller's, to be freed by shimhost_config_free; the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or a number or a name that cannot be one.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_new(uint32_t host_id,
                        const char *hostname,
                        struct shimhost_config **config);

/**
 * Seed of everything random on the host. Hosts with the same seed and different names have different random numbers.
 *
 * config: as shimhost_config_new made it.
 * seed: any number.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_seed(struct shimhost_config *config,
                             uint64_t seed);

/**
 * IPv4 address of the interface.
 *
 * config: as shimhost_config_new made it.
 * address: the address, such as "10.0.0.1"; "0.0.0.0" for none.
 * prefix_bits: how many bits of it name the network, 0 to 32.
 * Ownership: the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, an address that is none, or more bits than it has.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_ipv4(struct shimhost_config *config,
                             const char *address,
                             uint32_t prefix_bits);

/**
 * IPv6 address of the interface, which has none without this call.
 *
 * config: as shimhost_config_new made it.
 * address: the address, such as "fd00::1".
 * prefix_bits: how many bits of it name the network, 0 to 128.
 * Ownership: the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, an address that is none, or more bits than it has.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_ipv6(struct shimhost_config *config,
                             const char *address,
                             uint32_t prefix_bits);

/**
 * Whether the interface leads to other hosts: whether packets come out of shimhost_take_packet.
 *
 * Without it, other addresses cannot be reached, as on a machine whose cable is not plugged in.
 *
 * config: as shimhost_config_new made it.
 * is_connected: whether it does; false at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_connected(struct shimhost_config *config,
                                  bool is_connected);

/**
 * Whether packets that the host sends to itself are kept for shimhost_take_looped_packet.
 *
 * They take memory until they are taken.
 *
 * config: as shimhost_config_new made it.
 * is_capturing: whether they are; false at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_capturing(struct shimhost_config *config,
                                  bool is_capturing);

/**
 * How fast the interface sends. It is the host that waits for its interface: so TCP is held back before packets are
 * lost.
 *
 * config: as shimhost_config_new made it.
 * bits_per_second: bits of IP datagrams in a second of simulated time; 0, as at first, for as many as there are.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_upload_bits_per_second(struct shimhost_config *config,
                                               uint64_t bits_per_second);

/**
 * Until when the interface sends as much as there is, whatever its speed: for the time in which a network comes up.
 *
 * config: as shimhost_config_new made it.
 * until_ns: nanoseconds of simulated time; 0 at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_upload_unlimited_until_ns(struct shimhost_config *config,
                                                  uint64_t until_ns);

/**
 * Processors of the machine, as it tells its guests. Its guests take turns in any case.
 *
 * config: as shimhost_config_new made it.
 * count: 1 to 1024; 1 at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or another number.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_cpu_count(struct shimhost_config *config,
                                  uint32_t count);

/**
 * Memory of the machine, as it tells its guests. Nothing is reserved.
 *
 * config: as shimhost_config_new made it.
 * bytes: at least 1 MiB; 4 GiB at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or a smaller number.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_memory_bytes(struct shimhost_config *config,
                                     uint64_t bytes);

/**
 * Release of the kernel, as uname -r shows it. Programs derive from it which system calls they may try.
 *
 * config: as shimhost_config_new made it.
 * release: 1 to 64 bytes, such as "6.1.0"; at first the one of the real machine.
 * Ownership: the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or a text of another length.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_kernel_release(struct shimhost_config *config,
                                       const char *release);

/**
 * Version of the kernel, as uname -v shows it.
 *
 * config: as shimhost_config_new made it.
 * version: 1 to 64 bytes; at first the one of the real machine.
 * Ownership: the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or a text of another length.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_kernel_version(struct shimhost_config *config,
                                       const char *version);

/**
 * End a configuration. Hosts that were made from it go on.
 *
 * config: as shimhost_config_new made it; NULL does nothing.
 * Returns: nothing.
 * Errors: none.
 * Threads and signals: safe from any thread, if no other one uses the configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
void shimhost_config_free(struct shimhost_config *config);

/**
 * Calendar time at the start of the simulation. Hosts of one simulation have the same.
 *
 * config: as shimhost_config_new made it.
 * realtime_ns: nanoseconds since 1970-01-01 00:00:00 UTC; negative before it. At first 2000-01-01.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_start_realtime_ns(struct shimhost_config *config,
                                          int64_t realtime_ns);

/**
 * How long before the start of the simulation the host was booted.
 *
 * config: as shimhost_config_new made it.
 * uptime_ns: nanoseconds; 100 s at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_uptime_ns(struct shimhost_config *config,
                                  uint64_t uptime_ns);

/**
 * How far the host's calendar is ahead of the simulation's at its start.
 *
 * config: as shimhost_config_new made it.
 * offset_ns: nanoseconds; negative if it is behind; 0 at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_clock_offset_ns(struct shimhost_config *config,
                                        int64_t offset_ns);

/**
 * How fast the host's oscillator runs, on which its clocks and its timers are based.
 *
 * config: as shimhost_config_new made it.
 * rate_ppb: parts per billion by which it is faster than simulated time; negative if it is slower; 0 at first. A
 * tenth, 100000000, at most.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or a greater difference.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_clock_rate_ppb(struct shimhost_config *config,
                                       int64_t rate_ppb);

/**
 * Let the host's calendar jump, as if somebody had set its clock. To be called once for each jump, in any order.
 *
 * config: as shimhost_config_new made it.
 * at_ns: when: nanoseconds of simulated time.
 * by_ns: by how many nanoseconds; negative if it goes back.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_add_clock_jump(struct shimhost_config *config,
                                   uint64_t at_ns,
                                   int64_t by_ns);

/**
 * Simulated time that an answered system call costs.
 *
 * config: as shimhost_config_new made it.
 * latency_ns: nanoseconds; 1000 at first. With 0, a program that waits by asking the time again and again waits for
 * ever.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_syscall_latency_ns(struct shimhost_config *config,
                                           uint64_t latency_ns);

/**
 * Simulated time that reading a clock without a system call costs, or the time stamp counter.
 *
 * config: as shimhost_config_new made it.
 * latency_ns: nanoseconds; 1000 at first. With 0, a program that waits by asking the time again and again waits for
 * ever.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_vdso_latency_ns(struct shimhost_config *config,
                                        uint64_t latency_ns);

/**
 * What is done about a guest that computes without making a call while something on its host waits for it: it is
 * preempted and charged.
 *
 * As when that happens depends on the real machine, such a run does not repeat (shimhost_is_reproducible). Without a
 * watchdog a guest that never makes a call keeps shimhost_step for ever.
 *
 * config: as shimhost_config_new made it.
 * wall_ns: how long it may run without a call: nanoseconds of real time; 1 s at first. 0: for ever.
 * quantum_ns: the simulated time that it is charged each time, in nanoseconds, more than 0; 1 s at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or a watchdog that charges nothing.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_watchdog(struct shimhost_config *config,
                                 uint64_t wall_ns,
                                 uint64_t quantum_ns);

/**
 * Whether reading the time stamp counter is simulated, and how fast it counts.
 *
 * config: as shimhost_config_new made it.
 * mode: SHIMHOST_TSC_NATIVE, SHIMHOST_TSC_SIMULATED, or, as at first, SHIMHOST_TSC_AUTO.
 * frequency_hz: frequency of the simulated counter, more than 0; 1000000000 at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, another mode, or a frequency of 0.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_tsc(struct shimhost_config *config,
                            int mode,
                            uint64_t frequency_hz);

/**
 * Whether system calls come by patched code where that can be had, which is faster, or always by traps.
 *
 * config: as shimhost_config_new made it.
 * is_patching: whether they do; true at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_patching(struct shimhost_config *config,
                                 bool is_patching);

/**
 * Whether guests call their host's kernel themselves where it can answer without the simulator, which is faster.
 * Results are the same.
 *
 * config: as shimhost_config_new made it.
 * is_in_guest: whether they do; true at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_kernel_in_guest(struct shimhost_config *config,
                                        bool is_in_guest);

/**
 * Which log lines of guests and of the host itself are recorded.
 *
 * config: as shimhost_config_new made it.
 * level: 0 for none, SHIM_LOG_ERROR to SHIM_LOG_EVERYTHING (1 to 5, shim/log.h); 2, warnings, at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or another level.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_log_level(struct shimhost_config *config,
                                  int level);

/**
 * What is recorded of what guests do, for shimhost_take_record.
 *
 * Records take memory until they are taken. Recording calls makes guests slower, and changes no result.
 *
 * config: as shimhost_config_new made it.
 * which: SHIMHOST_RECORDS_NONE, as at first, SHIMHOST_RECORDS_EVENTS, or SHIMHOST_RECORDS_CALLS.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or another number.
 * Threads and signals: one thread at a time may use a configuration; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_config_set_records(struct shimhost_config *config,
                                int which);

/**
 * Make a host, at the instant 0 and without processes.
 *
 * It is a machine with a kernel of its own. It does nothing by itself: whoever owns the event loop steps it
 * (shimhost_step), asks it when it wants to be stepped again (shimhost_next_event), and carries its packets
 * (shimhost_take_packet, shimhost_deliver). No function of a host calls its caller back.
 *
 * simulation: what it has in common with other hosts. From now on it gets no further names.
 * config: how it is to be; it can be used again, with another host_id.
 * host: where the new host goes; NULL goes there if the call fails.
 * Ownership: the host is the caller's, to be freed by shimhost_free; simulation and configuration stay the caller's and may be
 * freed before it.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EEXIST if the calling process has a host with this host_id, in whatever simulation; -ENOMEM,
 * -EMFILE, -EFBIG if a limit of the process stands in the way, which the message names.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_new(shimsup_simulation *simulation,
                 const struct shimhost_config *config,
                 struct shimhost **host);

/**
 * Start a program at the host's now.
 *
 * The process is there when the function returns, and runs when the host is stepped. Its standard streams are real: what it
 * writes there appears outside at once. The host's now is where its last step ended; shimhost_step from an instant to the same
 * instant moves it there.
 *
 * host: as shimhost_new made it.
 * command: what to run; it can be used again.
 * pid: where the virtual process id goes, by which other functions name the process; NULL if nobody wants it.
 * Ownership: the command stays the caller's.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; those of execve(2), such as -ENOENT and -EACCES; -ENOEXEC for a program that cannot be a guest
 * (a static one, or one of another machine); -EAGAIN if the host has as many processes as it can have; -EPIPE if the
 * launcher process was killed; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_spawn(struct shimhost *host,
                   const shimsup_command *command,
                   uint32_t *pid);

/**
 * The virtual process id that the next process of the host gets.
 *
 * For files that are named by it before the process is there.
 *
 * host: as shimhost_new made it.
 * pid: where the id goes.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API int shimhost_next_pid(struct shimhost *host, uint32_t *pid);

/**
 * Run everything that happens on the host from one instant until just before another.
 *
 * What is due at until_ns itself happens in the next step. Choose until_ns so that nothing can come to the host before it: what the
 * host is sent during the step cannot be delivered before the step's end. The call lasts until the guests have come so far in
 * simulated time, or wait for something later; that is real time for their computations and their standard streams.
 * The host's clock may end later than until_ns by one system call at most. A step from an instant to the same instant runs
 * nothing, and moves the host's clock there.
 *
 * host: as shimhost_new made it.
 * now_ns: nanoseconds of simulated time at which the step begins; the host's clock never goes back.
 * until_ns: nanoseconds of simulated time at which it ends; SHIMHOST_NEVER: when nothing more happens by itself.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or an end before the beginning; -EBUSY if another thread uses the host. What goes wrong in a
 * guest is no error of the step: see shimhost_process_end and shimhost_failure.
 * Threads and signals: one thread at a time; hosts may be stepped side by side, each by a thread of its own; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_step(struct shimhost *host,
                  uint64_t now_ns,
                  uint64_t until_ns);

/**
 * As shimhost_step, but no further than to the end of a process.
 *
 * host: as shimhost_new made it.
 * pid: the process, as shimhost_spawn told.
 * now_ns: nanoseconds of simulated time at which the step begins.
 * until_ns: nanoseconds of simulated time at which it ends at the latest.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: as shimhost_step; -ESRCH if shimhost_spawn has told of no such process.
 * Threads and signals: as shimhost_step.
 * Since: 0.1.
 */
SHIM_API
int shimhost_step_to_end_of(struct shimhost *host,
                            uint32_t pid,
                            uint64_t now_ns,
                            uint64_t until_ns);

/**
 * When the host wants to be stepped again.
 *
 * It is the earliest instant at which something happens on it by itself: a timer, a process that can run, a packet
 * that was delivered. Delivering, starting and signalling may make it earlier; so ask after them.
 *
 * host: as shimhost_new made it.
 * Returns: nanoseconds of simulated time; SHIMHOST_NEVER if never, unless something comes from outside.
 * Errors: SHIMHOST_NEVER for NULL, and if another thread uses the host, which shimsup_message tells.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shimhost_next_event(const struct shimhost *host);

/**
 * The host's clock as its last step left it.
 *
 * host: as shimhost_new made it.
 * Returns: nanoseconds of simulated time; SHIMHOST_NEVER if that cannot be told.
 * Errors: SHIMHOST_NEVER for NULL, and if another thread uses the host, which shimsup_message tells.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shimhost_now(const struct shimhost *host);

/**
 * Let the host's guests run on one processor of the real machine only.
 *
 * Guests of a host take turns; it is fastest if they and the thread that steps the host share a processor. Results do not change.
 *
 * host: as shimhost_new made it.
 * processor: its number, as for sched_setaffinity(2), below 1024.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or a greater number; -EBUSY if another thread uses the host. A processor that is not there is ignored.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_run_on(struct shimhost *host,
                    uint32_t processor);

/**
 * Switch the machine off and on again.
 *
 * All processes are killed, and everything that the kernel knew is forgotten: connections, and packets that were on
 * their way to it, too. The clock goes on, and so do the numbers of processes; files are as they were left.
 *
 * host: as shimhost_new made it.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if another thread uses the host; -ENOMEM and the like.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_reboot(struct shimhost *host);

/**
 * How many processes of the host have not ended, those that guests made included.
 *
 * host: as shimhost_new made it.
 * Returns: their number, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API int shimhost_process_count(const struct shimhost *host);

/**
 * End a host. Its processes are killed; packets that were not taken are gone.
 *
 * What it had to tell about its processes (shimhost_process_end, shimhost_lack and others) is to be asked before;
 * shimhost_kill_all ends the processes and keeps that.
 *
 * host: as shimhost_new made it; NULL does nothing.
 * Returns: nothing.
 * Errors: none.
 * Threads and signals: safe from any thread, if no other one uses the host; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
void shimhost_free(struct shimhost *host);

/**
 * A packet of another host's comes to this one.
 *
 * host: as shimhost_new made it, with an interface that is connected (shimhost_config_set_connected).
 * at_ns: nanoseconds of simulated time at which its last bit is there; not before the end of the host's last step. Of packets that
 * come at the same instant, the one that was delivered first is first.
 * datagram: an IPv4 or IPv6 datagram, headers and all. What makes no sense, or is not for this host, is dropped when it
 * comes, as a real host does.
 * length: its bytes.
 * Ownership: the bytes are copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or an instant that is past; -EMSGSIZE for more bytes than a datagram can have; -EBUSY if another
 * thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_deliver(struct shimhost *host,
                     uint64_t at_ns,
                     const void *datagram,
                     size_t length);

/**
 * Take a packet that the host has sent to another one.
 *
 * To be called after each step, until there is none. Packets come in the order in which they leave.
 *
 * host: as shimhost_new made it.
 * at_ns: where the instant goes, in nanoseconds of simulated time, at which its last bit has left the interface; it may be later
 * than the end of the step. NULL if nobody wants it.
 * datagram: where the address of its bytes goes: an IPv4 or IPv6 datagram, headers and all.
 * length: where their number goes.
 * Ownership: the bytes are the library's, and valid until the next call with this host.
 * Returns: 1 if there was one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_take_packet(struct shimhost *host,
                         uint64_t *at_ns,
                         const void **datagram,
                         size_t *length);

/**
 * Take a packet that the host has sent to itself, by its loopback interface.
 *
 * They have arrived already, and are for captures. They are kept if shimhost_config_set_capturing says so.
 *
 * host: as shimhost_new made it.
 * at_ns: where the instant goes, in nanoseconds of simulated time, at which it was sent. NULL if nobody wants it.
 * datagram: where the address of its bytes goes: an IPv4 or IPv6 datagram, headers and all.
 * length: where their number goes.
 * Ownership: the bytes are the library's, and valid until the next call with this host.
 * Returns: 1 if there was one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_take_looped_packet(struct shimhost *host,
                                uint64_t *at_ns,
                                const void **datagram,
                                size_t *length);

/**
 * Whether a process has ended, and how.
 *
 * host: as shimhost_new made it.
 * pid: the process, as shimhost_spawn told.
 * kind: where SHIMHOST_EXITED or SHIMHOST_KILLED goes; NULL if nobody wants it.
 * value: where its status or its signal goes; NULL if nobody wants it.
 * Returns: 1 if it has ended; 0 if it runs still, and nothing is stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -ESRCH if shimhost_spawn has told of no such process: those that guests made themselves are
 * their parents'; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_process_end(const struct shimhost *host,
                         uint32_t pid,
                         int *kind,
                         int *value);

/**
 * Send a signal to a process at the host's now, as another process does by kill(2).
 *
 * What it does is the process's to decide, when the host is stepped; SIGKILL kills it at once. A process that has ended
 * is left alone.
 *
 * host: as shimhost_new made it.
 * pid: the process, as shimhost_spawn told.
 * signal: its number, 1 to 64.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or another number; -ESRCH if shimhost_spawn has told of no such process; -EBUSY if another thread uses
 * the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_signal(struct shimhost *host,
                    uint32_t pid,
                    int signal);

/**
 * Kill all processes of the host at its now, and hear of their ends.
 *
 * The host stays as it is otherwise: it can be asked about them, stepped, and given new ones.
 *
 * host: as shimhost_new made it.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_kill_all(struct shimhost *host);

/**
 * Send a signal to the processes of the host as a terminal does, from any thread, at any time.
 *
 * It reaches all of them but those that have made a session of their own. It wakes guests while another thread steps the host; when in
 * simulated time they notice depends on the real machine, so a run with interrupts does not repeat. For a person who
 * presses a key; shimhost_signal is for simulations.
 *
 * host: as shimhost_new made it, and not freed meanwhile.
 * signal: its number, 1 to 64.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or another number.
 * Threads and signals: safe from any thread, also while another one uses the host; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_interrupt(const struct shimhost *host,
                       int signal);

/**
 * Kill the processes of the host from outside, now, from any thread, also if they make no call.
 *
 * A step that is under way comes to its end soon. A process that is being made at that very moment may escape: call it again until the
 * step has ended. Afterwards the host is good for being asked and freed.
 *
 * host: as shimhost_new made it, and not freed meanwhile.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: safe from any thread, also while another one uses the host; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_kill_from_outside(const struct shimhost *host);

/**
 * Look for processes that were killed from outside and whose ends have not been reported yet.
 *
 * A step hears of ends that are reported. Where it leaves processes and shimhost_next_event says SHIMHOST_NEVER, one may be on its way.
 *
 * host: as shimhost_new made it.
 * Returns: 1 if there was one, 0 if not, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_look_for_dead(struct shimhost *host);

/**
 * How much has happened on the host.
 *
 * host: as shimhost_new made it.
 * which: one of SHIMHOST_STATISTIC_*.
 * value: where the number goes.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or another number; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API int shimhost_statistic(const struct shimhost *host, int which, uint64_t *value);

/**
 * Whether nothing that happened so far depended on how fast the real machine is.
 *
 * host: as shimhost_new made it.
 * Returns: 1 if so; 0 if a guest was preempted (shimhost_preemption); or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_is_reproducible(const struct shimhost *host);

/**
 * Something that guests asked for and did not get, because the simulation does not have it.
 *
 * Each program and thing is listed once, sorted, for processes that have ended. Ask for the indices 0, 1, ... until there is none;
 * the index 0 takes the list as it is then.
 *
 * host: as shimhost_new made it.
 * index: which one.
 * program: where the program's name goes; NULL if nobody wants it.
 * what: where the name of the system call goes, or another description; NULL if nobody wants it.
 * call: where the number of the system call goes, -1 if it is something else; NULL if nobody wants it.
 * count: where it goes how often it was asked for; NULL if nobody wants it.
 * Ownership: the texts are the library's, and valid until the next call with this host.
 * Returns: 1 if there is one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for a host that is NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_lack(const struct shimhost *host,
                  size_t index,
                  const char **program,
                  const char **what,
                  int32_t *call,
                  uint64_t *count);

/**
 * A process in which the shim itself failed, or whose death left the host without a kernel.
 *
 * Ask for the indices 0, 1, ... until there is none; the index 0 takes the list as it is then.
 *
 * host: as shimhost_new made it.
 * index: which one.
 * program: where the program's name goes; NULL if nobody wants it.
 * pid: where its virtual process id goes; NULL if nobody wants it.
 * text: where it goes what failed; NULL if nobody wants it.
 * Ownership: the texts are the library's, and valid until the next call with this host.
 * Returns: 1 if there is one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for a host that is NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_failure(const struct shimhost *host,
                     size_t index,
                     const char **program,
                     uint32_t *pid,
                     const char **text);

/**
 * A program that made no call for so long that it was preempted, by which the run does not repeat.
 *
 * Ask for the indices 0, 1, ... until there is none; the index 0 takes the list as it is then. See
 * shimhost_config_set_watchdog.
 *
 * host: as shimhost_new made it.
 * index: which one.
 * program: where the program's name goes; NULL if nobody wants it.
 * count: where it goes how often it was preempted; NULL if nobody wants it.
 * Ownership: the text is the library's, and valid until the next call with this host.
 * Returns: 1 if there is one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for a host that is NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_preemption(const struct shimhost *host,
                        size_t index,
                        const char **program,
                        uint64_t *count);

/**
 * A process that has not ended, and the system calls in which its threads wait.
 *
 * Ask for the indices 0, 1, ... until there is none; the index 0 takes the list as it is then. Processes that guests made are
 * listed, too.
 *
 * host: as shimhost_new made it.
 * index: which one.
 * program: where the program's name goes; NULL if nobody wants it.
 * pid: where its virtual process id goes; NULL if nobody wants it.
 * calls: where the names of the system calls go, each once, with "and" between them; NULL if nobody wants them.
 * Ownership: the texts are the library's, and valid until the next call with this host.
 * Returns: 1 if there is one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for a host that is NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_waiting(const struct shimhost *host,
                     size_t index,
                     const char **program,
                     uint32_t *pid,
                     const char **calls);

/**
 * A file that guests opened for writing. Where two hosts have the same one, they share it behind the network's back.
 *
 * Ask for the indices 0, 1, ... until there is none; the index 0 takes the list as it is then. The list has room for the first
 * few thousand paths.
 *
 * host: as shimhost_new made it.
 * index: which one.
 * path: where its path goes; NULL if nobody wants it.
 * Ownership: the text is the library's, and valid until the next call with this host.
 * Returns: 1 if there is one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for a host that is NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_written_file(const struct shimhost *host,
                          size_t index,
                          const char **path);

/**
 * Take the next record of what guests did.
 *
 * To be called after each step, until there is none, if shimhost_config_set_records asked for any: they take memory
 * until they are taken.
 *
 * host: as shimhost_new made it.
 * record: where the record goes, to be read with shimhost_record_*.
 * Ownership: the record is the library's, and valid until the next call with this host.
 * Returns: 1 if there was one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_take_record(struct shimhost *host,
                         const struct shimhost_record **record);

/**
 * What kind of thing a record tells.
 *
 * record: as shimhost_take_record gave it.
 * Returns: one of SHIMHOST_RECORD_*, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API int shimhost_record_kind(const struct shimhost_record *record);

/**
 * The number that belongs to a record: what it is stands with its kind, one of SHIMHOST_RECORD_*.
 *
 * record: as shimhost_take_record gave it.
 * Returns: the number; 0 for NULL.
 * Errors: none.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int64_t shimhost_record_value(const struct shimhost_record *record);

/**
 * When it happened, by the thread's own simulated time.
 *
 * record: as shimhost_take_record gave it.
 * Returns: nanoseconds since the start of the simulation; 0 for NULL.
 * Errors: none.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shimhost_record_time_ns(const struct shimhost_record *record);

/**
 * The virtual id of the process that did it.
 *
 * record: as shimhost_take_record gave it.
 * Returns: the process id; 0 for NULL.
 * Errors: none.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint32_t shimhost_record_pid(const struct shimhost_record *record);

/**
 * The virtual id of the thread that did it.
 *
 * record: as shimhost_take_record gave it.
 * Returns: the thread id; 0 for NULL.
 * Errors: none.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint32_t shimhost_record_tid(const struct shimhost_record *record);

/**
 * The name of the program that did it.
 *
 * record: as shimhost_take_record gave it.
 * Ownership: the library's; valid as long as the record.
 * Returns: the name; NULL for NULL.
 * Errors: NULL, with a message, for NULL.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
const char *shimhost_record_program(const struct shimhost_record *record);

/**
 * What a record tells, as a line of text without its newline.
 *
 * It is the line that `shim run` writes into its traces and logs.
 *
 * record: as shimhost_take_record gave it.
 * Ownership: the library's; valid as long as the record.
 * Returns: the line, in which control characters of guests are escaped; NULL for NULL.
 * Errors: NULL, with a message, for NULL.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
const char *shimhost_record_text(const struct shimhost_record *record);

/**
 * The system call that a record tells of.
 *
 * record: as shimhost_take_record gave it.
 * number: where its number goes; NULL if nobody wants it.
 * arguments: where its six arguments go, in the order of syscall(2); NULL if nobody wants them.
 * result: where its result goes, a negative errno for an error; NULL if nobody wants it.
 * Returns: 1 if it is a call that returned; 2 if it is one that did not, and no result is stored; 0 if it is no call, and nothing is
 * stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for a record that is NULL.
 * Threads and signals: one thread at a time; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimhost_record_call(const struct shimhost_record *record,
                         uint32_t *number,
                         uint64_t *arguments,
                         int64_t *result);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHIM_HOST_H */
