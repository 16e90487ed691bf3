/* Real programs as guests of a simulator in C: simulations, bare hosts, guests and what they ask. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from crates/shim-supervisor-c/src/ by `cargo run -p shim-gen`; do not edit.

   libshim-supervisor runs real, unmodified programs under an event loop of yours. They are guests: their system
   calls, clocks and random numbers are simulated, and you own simulated time. shim/host.h has whole machines, with a
   kernel that answers the calls; here is what hosts are made with, and what is below them.

       cc simulator.c $(pkg-config --cflags --libs shim-supervisor)

   A bare host (shimsup_host_new) has no kernel: whatever its guests cannot answer by themselves is an event for you, and
   simulated time passes by your answering later.

       shimsup_guest_launch(host, command, 100, &guest);
       while ((event = shimsup_wait(simulation, UINT64_MAX, &guest)) != SHIMSUP_EVENT_ENDED)
           if (event == SHIMSUP_EVENT_START)
               shimsup_guest_begin(guest);
           else
               shimsup_guest_complete(guest, answer_to(shimsup_guest_call_number(guest)));

   Of the guests of a bare host one at a time has control, from an answer to its next event. Nobody is waited for by a thread of
   its own: shimsup_wait sleeps on all of them at once, and shimsup_simulation_descriptor can be polled beside other things.
   examples/c/simulator.c is a whole program.

   Conventions. All structures are opaque, made by a function that ends in _new and ended by the one that ends in
   _free, which takes NULL. Times are nanoseconds of simulated time since the start of the simulation. A result of 0
   or more is success, a negative one is an error number of errno.h; shimsup_message() then says what, where, and
   what to do. NULL and nonsense are such errors, never crashes. The library calls nobody back, installs no signal
   handler, has no child that wait() would find, and no settings that a whole process shares. Each simulation has one
   helper thread, a second one if it is polled, and one helper process; after a fork() only the parent may use it. An
   object is for one thread at a time unless its functions say otherwise; different objects are independent of each
   other. A program that was linked with libshim-supervisor.so.1 runs with every later one. */

#ifndef SHIM_SUPERVISOR_H
#define SHIM_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/export.h"
#include "shim/version.h"

/**
 * An image is up and asks to begin: the first of its process, or one that execve(2) put in its place. Answer:
 * shimsup_guest_begin.
 */
#define SHIMSUP_EVENT_START 1

/**
 * A system call that the guest cannot answer by itself: shimsup_guest_call_number and shimsup_guest_call_argument tell
 * which. Answer: shimsup_guest_complete and the like.
 */
#define SHIMSUP_EVENT_CALL 2

/**
 * The guest's own clock has reached the instant of shimsup_host_set_run_until_ns. Move that instant before you answer: else the
 * guest says so again at once. Answer: shimsup_guest_complete with 0.
 */
#define SHIMSUP_EVENT_LIMIT 3

/**
 * The guest was preempted by shimsup_guest_preempt, and its clock moved by a second. Answer: shimsup_guest_complete with 0.
 */
#define SHIMSUP_EVENT_PREEMPTED 4

/**
 * A signal is pending that the guest does not block: which one? Answer: shimsup_guest_complete_with_signal with 0,
 * shimsup_guest_die, or, if there is none, shimsup_guest_complete with 0.
 */
#define SHIMSUP_EVENT_SIGNALS 5

/**
 * The thread has ended, and its process goes on. There is no answer; free the guest.
 */
#define SHIMSUP_EVENT_THREAD_ENDED 6

/**
 * The guest broke the protocol, and is being killed. There is no answer; its end follows.
 */
#define SHIMSUP_EVENT_MALFORMED 7

/**
 * The guest's process is dead: shimsup_guest_end tells how. There is no answer; free the guest.
 */
#define SHIMSUP_EVENT_ENDED 8

/**
 * The guest does on a signal what is usual.
 */
#define SHIMSUP_SIGNAL_DEFAULT 0

/**
 * The guest ignores a signal.
 */
#define SHIMSUP_SIGNAL_IGNORED 1

/**
 * The guest has a handler for a signal.
 */
#define SHIMSUP_SIGNAL_HANDLER 2

/**
 * A process exited by itself; the value is its status, 0 to 255.
 */
#define SHIMSUP_EXITED 1

/**
 * A signal killed a process; the value is the signal's number.
 */
#define SHIMSUP_KILLED 2

/**
 * Nobody knows: the launcher process was killed, and all guests with it; the value is 0.
 */
#define SHIMSUP_LOST 3

/**
 * A bare host. Opaque.
 */
typedef struct shimsup_host shimsup_host;

/**
 * What to run. Opaque.
 */
typedef struct shimsup_command shimsup_command;

/**
 * A thread of a real process. Opaque.
 */
typedef struct shimsup_guest shimsup_guest;

/**
 * A simulation: what its hosts have in common. Opaque.
 */
typedef struct shimsup_simulation shimsup_simulation;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Why the calling thread's last call that failed did so.
 *
 * It names the function, what was wrong, and what to do about it. Calls that succeed leave it as it is, so it means
 * something right after a function of this library has returned a negative number or NULL.
 *
 * Ownership: the library's; valid until the next call of the same thread that fails, or the thread's end.
 * Returns: one line without a newline, UTF-8; the empty text if no call of this thread has failed.
 * Errors: none.
 * Threads and signals: each thread has a message of its own; not for signal handlers.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
const char *shimsup_message(void);

/**
 * Version of the library that is loaded.
 *
 * Returns: major * 65536 + minor * 256 + patch, to be compared with SHIM_VERSION of shim/version.h.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint32_t shimsup_version(void);

/**
 * Make a simulation.
 *
 * A launcher process is started, whose children the guests will be: a copy of the calling process, invisible to its
 * wait(2) and SIGCHLD. So make the simulation early, while the program is small; guests inherit priority, affinity, umask and
 * namespaces that it has now. The library also starts a thread, in which all signals are blocked.
 *
 * library_path: the library that guests preload; NULL for libshim.so.1 in the folder that this library was loaded from.
 * simulation: where the new simulation goes; NULL goes there if the call fails.
 * Ownership: the simulation is the caller's, to be freed by shimsup_simulation_free; the path is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or a path that cannot stand in LD_PRELOAD; -ENOENT and others of open(2) if the library cannot be
 * read, -ENOEXEC if it is none of ours, -EPROTO if it speaks another protocol; -EAGAIN, -ENOMEM, -EMFILE if there can be no
 * further process, thread or descriptor.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_simulation_new(const char *library_path,
                           struct shimsup_simulation **simulation);

/**
 * Give a host a name.
 *
 * Guests of all hosts find it by getaddrinfo(3) and the like, in /etc/hosts and by DNS. A host may have several addresses: add
 * its name once for each. The first name that a host has is its canonical one. Names are for guests; hosts
 * themselves are made by shimhost_new, with the same host_id and addresses. Without any name guests know their own host and
 * localhost.
 *
 * simulation: as shimsup_simulation_new made it, without hosts.
 * name: the name, 1 to 63 bytes.
 * ipv4: its IPv4 address, such as "10.0.0.1"; NULL for none.
 * ipv6: its IPv6 address, such as "fd00::1"; NULL for none.
 * host_id: number of the host.
 * Ownership: the texts are copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, a name that cannot be one, an address that is none; -EBUSY if the simulation has a host already;
 * -ENOMEM.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_simulation_add_name(struct shimsup_simulation *simulation,
                                const char *name,
                                const char *ipv4,
                                const char *ipv6,
                                uint32_t host_id);

/**
 * Give a host another name, which is an alias of its canonical one.
 *
 * simulation: as shimsup_simulation_new made it, without hosts.
 * alias: the name, 1 to 63 bytes.
 * ipv4: its IPv4 address, such as "10.0.0.1"; NULL for none.
 * ipv6: its IPv6 address, such as "fd00::1"; NULL for none.
 * host_id: number of the host, which has a name by shimsup_simulation_add_name.
 * Ownership: the texts are copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: as shimsup_simulation_add_name.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_simulation_add_alias(struct shimsup_simulation *simulation,
                                 const char *alias,
                                 const char *ipv4,
                                 const char *ipv6,
                                 uint32_t host_id);

/**
 * End a simulation.
 *
 * Its hosts keep what they need of it: they may be freed before or afterwards. With the last of both the launcher process ends.
 *
 * simulation: as shimsup_simulation_new made it; NULL does nothing.
 * Returns: nothing.
 * Errors: none.
 * Threads and signals: safe from any thread, if no other one uses the simulation; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
void shimsup_simulation_free(struct shimsup_simulation *simulation);

/**
 * Describe a program to be run.
 *
 * Its only argument, the zeroth, is its name; its environment is empty, its standard streams are closed, its working
 * directory is the one that the calling program has when it is started.
 *
 * program: a path; or a name without a slash, which is searched for in the PATH of the command's environment (/bin:/usr/bin
 * without one) when it is started. A relative path starts at the command's directory.
 * command: where the new command goes; NULL goes there if the call fails.
 * Ownership: the command is the caller's, to be freed by shimsup_command_free; the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or an empty program. Whether the program is there turns out when it is started.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_command_new(const char *program,
                        struct shimsup_command **command);

/**
 * Add an argument behind those that are there.
 *
 * command: as shimsup_command_new made it.
 * argument: any text.
 * Ownership: the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a command; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_command_add_argument(struct shimsup_command *command,
                                 const char *argument);

/**
 * Replace the zeroth argument, by which a program sees its own name.
 *
 * command: as shimsup_command_new made it.
 * name: any text.
 * Ownership: the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a command; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_command_set_argument_zero(struct shimsup_command *command,
                                      const char *name);

/**
 * Add a variable to the environment, which is empty at first.
 *
 * command: as shimsup_command_new made it.
 * name_equals_value: the variable, NAME=value. A name that is added twice stands there twice.
 * Ownership: the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or a text without an equals sign or with nothing before it.
 * Threads and signals: one thread at a time may use a command; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_command_add_environment(struct shimsup_command *command,
                                    const char *name_equals_value);

/**
 * Take over the environment that the calling program has now, in place of what the command had.
 *
 * What follows from it differs from machine to machine; a run that shall repeat elsewhere names its variables.
 *
 * command: as shimsup_command_new made it.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may use a command, and nobody may change the environment meanwhile; not in a signal
 * handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_command_inherit_environment(struct shimsup_command *command);

/**
 * Set the working directory.
 *
 * command: as shimsup_command_new made it.
 * directory: a path; NULL for the one that the calling program has when the command is started.
 * Ownership: the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for a command that is NULL. Whether the directory is there turns out when the command is started.
 * Threads and signals: one thread at a time may use a command; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_command_set_directory(struct shimsup_command *command,
                                  const char *directory);

/**
 * Set a standard stream, which is closed at first.
 *
 * command: as shimsup_command_new made it.
 * number: 0 for standard input, 1 for standard output, 2 for standard error.
 * fd: an open descriptor of the calling program; -1 to leave the stream closed.
 * Ownership: the descriptor is duplicated, so the caller may close it at once.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or another number; -EBADF if fd is not open; -EMFILE.
 * Threads and signals: one thread at a time may use a command; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_command_set_stdio(struct shimsup_command *command,
                              int number,
                              int fd);

/**
 * Take over the standard streams that the calling program has now; what is closed stays closed.
 *
 * command: as shimsup_command_new made it.
 * Ownership: the descriptors are duplicated.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EMFILE.
 * Threads and signals: one thread at a time may use a command; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_command_inherit_stdio(struct shimsup_command *command);

/**
 * End a command. What was started by it goes on.
 *
 * command: as shimsup_command_new made it; NULL does nothing.
 * Returns: nothing.
 * Errors: none.
 * Threads and signals: safe from any thread, if no other one uses the command; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
void shimsup_command_free(struct shimsup_command *command);

/**
 * Make a bare host: a simulated machine without a kernel.
 *
 * Its guests answer clocks, ids, names and random numbers themselves, have the real kernel serve files and memory, and ask
 * the calling program for everything else: see shimsup_wait. (Hosts with a kernel are made by shimhost_new.) A program may have
 * both in one simulation.
 *
 * Settings are made by shimsup_host_set_* before the first guest is launched. Without them the machine has the id host_id, no
 * address, one processor and the kernel release of the real one; the simulation starts at midnight of 2000-01-01 UTC, 100 s
 * after the machine was booted; a call costs a microsecond.
 *
 * simulation: as shimsup_simulation_new made it. No names can be added to it any more.
 * host_id: number of the host in the simulation, by which its names are found; each host has another one.
 * hostname: what uname(2) says, 1 to 64 bytes.
 * host: where the new host goes; NULL goes there if the call fails.
 * Ownership: the host is the caller's, to be freed by shimsup_host_free; the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or a bad name; -ENOMEM.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_host_new(struct shimsup_simulation *simulation,
                     uint32_t host_id,
                     const char *hostname,
                     struct shimsup_host **host);

/**
 * Simulated now of a bare host.
 *
 * It is where the guest was that handed control back last, or where shimsup_host_set_now_ns has set it: the later of the two.
 *
 * host: as shimsup_host_new made it.
 * Returns: nanoseconds since the start of the simulation; 0 for NULL.
 * Errors: none.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
uint64_t shimsup_host_now_ns(const struct shimsup_host *host);

/**
 * Move a bare host's clock on: before a guest is answered, to the instant at which it goes on.
 *
 * host: as shimsup_host_new made it, none of whose guests has control.
 * now_ns: nanoseconds since the start of the simulation, not before shimsup_host_now_ns.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or an instant in the past; -EBUSY if a guest of the host has control.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_host_set_now_ns(struct shimsup_host *host,
                            uint64_t now_ns);

/**
 * Set the instant at which a guest of a bare host hands control back by itself, with SHIMSUP_EVENT_LIMIT.
 *
 * So a guest that only computes and looks at the clock does not run past an event of the calling program's. One that makes no
 * call at all does: see shimsup_guest_preempt.
 *
 * host: as shimsup_host_new made it, none of whose guests has control.
 * until_ns: nanoseconds since the start of the simulation; UINT64_MAX, which it is at first, for never.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if a guest of the host has control.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_host_set_run_until_ns(struct shimsup_host *host,
                                  uint64_t until_ns);

/**
 * End a bare host. Its guests keep what they need of it, and run until they are freed.
 *
 * host: as shimsup_host_new made it; NULL does nothing.
 * Returns: nothing.
 * Errors: none.
 * Threads and signals: safe from any thread, if no other one uses the host; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
void shimsup_host_free(struct shimsup_host *host);

/**
 * Set the IPv4 address of a bare host's interface, which it has none of at first.
 *
 * host: as shimsup_host_new made it, without guests.
 * address: an address such as "10.0.0.1".
 * prefix_bits: how many bits of it name the network, 0 to 32.
 * Ownership: the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, no address, too many bits; -EBUSY if the host has had a guest.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_host_set_ipv4(struct shimsup_host *host,
                          const char *address,
                          uint32_t prefix_bits);

/**
 * Set the IPv6 address of a bare host's interface, which it has none of at first.
 *
 * host: as shimsup_host_new made it, without guests.
 * address: an address such as "fd00::1".
 * prefix_bits: how many bits of it name the network, 0 to 128.
 * Ownership: the text is copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, no address, too many bits; -EBUSY if the host has had a guest.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_host_set_ipv6(struct shimsup_host *host,
                          const char *address,
                          uint32_t prefix_bits);

/**
 * Set the seed of a bare host's random numbers: what its guests get by getrandom(2), /dev/urandom and the like.
 *
 * host: as shimsup_host_new made it, without guests.
 * seed: any number; 1 at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if the host has had a guest.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_host_set_seed(struct shimsup_host *host,
                          uint64_t seed);

/**
 * Set the calendar time at which the simulation starts, as this host's clocks tell it.
 *
 * host: as shimsup_host_new made it, without guests.
 * realtime_ns: nanoseconds since 1970-01-01 00:00:00 UTC.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if the host has had a guest.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_host_set_start_realtime_ns(struct shimsup_host *host,
                                       int64_t realtime_ns);

/**
 * Set how long before the simulation's start a bare host was booted: CLOCK_MONOTONIC is that much ahead of simulated time.
 *
 * host: as shimsup_host_new made it, without guests.
 * uptime_ns: nanoseconds.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if the host has had a guest.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_host_set_uptime_ns(struct shimsup_host *host,
                               uint64_t uptime_ns);

/**
 * Set what calls cost guests of a bare host: by so much their own clocks move while they have control.
 *
 * host: as shimsup_host_new made it, without guests.
 * syscall_ns: simulated nanoseconds for a system call; 1000 at first. With 0 a program that looks at the clock until time has
 * passed never ends.
 * vdso_ns: for a reading of the clock that needs no system call; 1000 at first.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EBUSY if the host has had a guest.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_host_set_latencies_ns(struct shimsup_host *host,
                                  uint64_t syscall_ns,
                                  uint64_t vdso_ns);

/**
 * Set how much guests of a bare host have to tell: see shimsup_guest_take_record.
 *
 * host: as shimsup_host_new made it, without guests.
 * level: 0 for nothing, which it is at first, 1 for errors, 2 warnings, 3 information, 4 debugging, 5 everything.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or another level; -EBUSY if the host has had a guest.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_host_set_log_level(struct shimsup_host *host,
                               uint32_t level);

/**
 * Start a program as a guest of a bare host.
 *
 * The function returns when the program's image is in place; its first event is SHIMSUP_EVENT_START, and nothing of the
 * program runs before shimsup_guest_begin answers that. Until then the guest needs no control: others of its host may have
 * it. To have runs that are alike, wait for the event (shimsup_guest_wait) before you do anything else.
 *
 * A program that the dynamic linker would not load libshim.so into, such as a static one, is refused. Should one run without the
 * library for another reason, its only event is its end.
 *
 * host: as shimsup_host_new made it. Its settings stand still from now on.
 * command: what to run.
 * pid: its process id on the simulated machine, and the id of its first thread; process group and session are the same. Ids are
 * the calling program's to choose: no two threads of a host have the same.
 * guest: where the new guest goes; NULL goes there if the call fails.
 * Ownership: the guest is the caller's, to be freed by shimsup_guest_free; the command may be used again, or freed.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL or an id that can be none; -ENOEXEC for a program that can be no guest; -ENOENT, -EACCES and others of
 * execve(2); -EAGAIN if the host has 1024 processes or 4096 threads; -EPIPE if the launcher process was killed; -ENOMEM, -EMFILE.
 * Threads and signals: safe from any thread; not in a signal handler. The command is not to be changed meanwhile.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_launch(struct shimsup_host *host,
                         const struct shimsup_command *command,
                         uint32_t pid,
                         struct shimsup_guest **guest);

/**
 * Have a guest make the process that it asked for by clone(2).
 *
 * The guest's event is SHIMSUP_EVENT_CALL with the number of clone(2), as which fork(2), vfork(2) and clone3(2) arrive, too, and
 * flags (argument 0) without CLONE_THREAD. The process exists natively afterwards, as a copy of the guest, and waits for its first
 * turn: shimsup_guest_begin; the guest itself still waits for its answer, which is the new process's id. With CLONE_VFORK in the
 * flags the guest must not be answered before the child has another image (its SHIMSUP_EVENT_START) or has ended. If
 * CLONE_PARENT_SETTID is in them, store the id at argument 2.
 *
 * guest: it waits for an answer to clone(2).
 * pid: the id of the new process and its only thread.
 * parent_pid: the id that its getppid(2) tells: usually the guest's process's.
 * child: where the new guest goes; NULL goes there if the call fails.
 * Ownership: the child is the caller's, to be freed by shimsup_guest_free.
 * Returns: 0, or a negative errno, with which the guest's call may be answered; shimsup_message tells more.
 * Errors: -EINVAL for NULL, an id that can be none, another event; -EAGAIN if there can be no further process; -EBUSY if the guest
 * runs; -ESRCH if it has ended.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_add_process(struct shimsup_guest *guest,
                              uint32_t pid,
                              uint32_t parent_pid,
                              struct shimsup_guest **child);

/**
 * Have a guest make the thread that it asked for by clone(2).
 *
 * As shimsup_guest_add_process, for flags (argument 0) with CLONE_THREAD. If CLONE_PARENT_SETTID is in them store the id at argument
 * 2, with CLONE_CHILD_SETTID at argument 3; with CLONE_CHILD_CLEARTID remember argument 3: when the thread ends, store 0 there
 * and wake a futex(2) of the guest's.
 *
 * guest: it waits for an answer to clone(2).
 * tid: the id of the new thread.
 * child: where the new guest goes; NULL goes there if the call fails.
 * Ownership: the child is the caller's, to be freed by shimsup_guest_free.
 * Returns: 0, or a negative errno, with which the guest's call may be answered; shimsup_message tells more.
 * Errors: -EINVAL for NULL, an id that can be none, another event; -EAGAIN if there can be no further thread; -EBUSY if the guest
 * runs; -ESRCH if it has ended.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_add_thread(struct shimsup_guest *guest,
                             uint32_t tid,
                             struct shimsup_guest **child);

/**
 * End a guest.
 *
 * If its process lives it is killed, and the function returns when it is dead; its other threads' next event is their
 * end. A thread that has ended alone (SHIMSUP_EVENT_THREAD_ENDED), or in whose place there is another image, is only forgotten.
 *
 * guest: as shimsup_guest_launch and the like made it; NULL does nothing.
 * Returns: nothing.
 * Errors: none.
 * Threads and signals: safe from any thread, if no other one uses the guest or is in shimsup_wait; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
void shimsup_guest_free(struct shimsup_guest *guest);

/**
 * Keep a pointer with a guest, for whoever is told of it by shimsup_wait.
 *
 * guest: any guest.
 * data: any pointer. The library does not look at what it points to.
 * Ownership: the caller's.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL if guest is NULL.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API int shimsup_guest_set_data(struct shimsup_guest *guest, void *data);

/**
 * The pointer that was kept with a guest.
 *
 * guest: any guest.
 * Ownership: the caller's.
 * Returns: what shimsup_guest_set_data has kept; NULL at first, and for NULL.
 * Errors: none.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API void *shimsup_guest_data(const struct shimsup_guest *guest);

/**
 * Wait until one of a simulation's guests on bare hosts has something to say.
 *
 * What it says is the returned event: SHIMSUP_EVENT_START and so on, each of which names the functions that answer it. A guest
 * that waits for an answer may be left waiting as long as one likes, in simulated time: that is how a call takes time.
 * shimsup_guest_park says that it is going to be. Deaths are told of whatever the guest was about.
 *
 * A guest has control from an answer to its next event. On each host one guest at a time has it, and one that is to get it while
 * another one has it is refused (-EBUSY): so answer a guest, wait, and answer the next one. A simulation with several hosts may
 * have one running on each; which of them is heard first then depends on the real machine, and a simulator that wants its runs to
 * be alike does not let anything depend on it. The simplest discipline is one guest at a time in the whole simulation.
 *
 * simulation: as shimsup_simulation_new made it.
 * timeout_ns: how long to wait at most, in real nanoseconds; 0 to look only; UINT64_MAX for ever.
 * guest: where the guest goes that has spoken; NULL goes there if none has.
 * Ownership: the guest stays the caller's.
 * Returns: the event, a positive number; 0 if the time is over, or shimsup_wake was called; or a negative errno; shimsup_message
 * tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: safe from any thread, also several at once; nobody may free a guest meanwhile. Not in a signal handler, and
 * signals do not end it.
 * Since: 0.1.
 */
SHIM_API
int shimsup_wait(struct shimsup_simulation *simulation,
                 uint64_t timeout_ns,
                 struct shimsup_guest **guest);

/**
 * Wait for the next event of one guest: what shimsup_wait does, and faster where it is known whose turn it is.
 *
 * guest: it has control, or was just launched.
 * Returns: the event, a positive number; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or if the guest waits for an answer; -ESRCH if it has ended and that was told.
 * Threads and signals: safe from any thread, if no other one waits for this guest; it ends when the guest speaks or dies
 * (shimsup_guest_kill is for other threads, too). Not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_wait(struct shimsup_guest *guest);

/**
 * End a shimsup_wait of another thread, which returns 0; or the next one, if none is under way.
 *
 * simulation: as shimsup_simulation_new made it.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: safe from any thread, and in a signal handler with a simulation that is not NULL.
 * Since: 0.1.
 */
SHIM_API
int shimsup_wake(struct shimsup_simulation *simulation);

/**
 * A descriptor to poll for guests that have something to say, beside others of the calling program's.
 *
 * It becomes readable when there is an event. Then call shimsup_wait with a time-out of 0 until it returns 0: after that, and not
 * before, it is unreadable again. The first call starts a thread, in which all signals are blocked, that waits for guests.
 *
 * simulation: as shimsup_simulation_new made it.
 * Ownership: the descriptor is the library's: it is polled, and neither read nor closed. It goes with the simulation.
 * Returns: the descriptor, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -EMFILE, -ENFILE, -EAGAIN if there can be no further descriptor or thread.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_simulation_descriptor(struct shimsup_simulation *simulation);

/**
 * What a guest said last.
 *
 * guest: any guest.
 * Returns: the event that shimsup_wait or shimsup_guest_wait told; 0 if the guest has control, waits for its first turn, or is
 * NULL.
 * Errors: none.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_event(const struct shimsup_guest *guest);

/**
 * The number of the system call in which a guest waits for an answer.
 *
 * Numbers are those of <sys/syscall.h>. Numbers from 65536 on are questions of the shim's own; whoever does not know them answers
 * -ENOSYS, and the guest does without. docs/protocol.md names them.
 *
 * guest: its event is SHIMSUP_EVENT_CALL.
 * Returns: the number, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or another event.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int64_t shimsup_guest_call_number(const struct shimsup_guest *guest);

/**
 * An argument of the system call in which a guest waits for an answer.
 *
 * guest: its event is SHIMSUP_EVENT_CALL.
 * index: 0 to 5.
 * Returns: the argument; 0 for NULL, another event or another index. A call's arguments are what its guest says: pointers may point
 * nowhere.
 * Errors: none.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
uint64_t shimsup_guest_call_argument(const struct shimsup_guest *guest,
                                     uint32_t index);

/**
 * Let a guest begin: a new image (SHIMSUP_EVENT_START), or one that another guest made (shimsup_guest_add_process).
 *
 * guest: it waits for its first turn, or that of its new image.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or if the guest waits for something else; -EBUSY if it or another guest of its host has control; -ESRCH
 * if it has ended.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_begin(struct shimsup_guest *guest);

/**
 * Answer a guest, which goes on at its host's now.
 *
 * guest: it waits for an answer to a call, or to another event that says so.
 * result: what the call returns: a number, or a negative errno. The answer to other events is 0. As on Linux, -512 (ERESTARTSYS)
 * becomes -EINTR or has the call made again, as the handler's flags say that shimsup_guest_complete_with_signal runs.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or if the guest waits for something else; -EBUSY if it or another guest of its host has control; -ESRCH
 * if it has ended.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_complete(struct shimsup_guest *guest,
                           int64_t result);

/**
 * Answer a guest, and deliver a signal: its handler runs before the call returns.
 *
 * Whether the guest blocks the signal, ignores it or dies of it is the calling program's to find out first:
 * shimsup_guest_signal_mask, shimsup_guest_signal_disposition. The signal is not pending any more afterwards.
 *
 * guest: it waits for an answer to a call, or to another event that says so.
 * result: as for shimsup_guest_complete.
 * signal: 1 to 64; the guest has a handler for it.
 * code: si_code, such as SI_USER.
 * pid: si_pid, the process that has sent it on the simulated machine.
 * value: si_value; for SIGCHLD si_status.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: as for shimsup_guest_complete, and -EINVAL if signal is none or the guest has no handler for it.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_complete_with_signal(struct shimsup_guest *guest,
                                       int64_t result,
                                       int signal,
                                       int code,
                                       uint32_t pid,
                                       uint64_t value);

/**
 * Have a guest die of a signal, as if it had come from its machine: its process's end is SHIMSUP_KILLED.
 *
 * guest: it waits for an answer to a call, or to another event that says so.
 * signal: 1 to 64, whose default action is to end the process.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: as for shimsup_guest_complete, and -EINVAL if signal is none.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_die(struct shimsup_guest *guest,
                      int signal);

/**
 * Have a guest make a system call natively, and wait for its result; it still waits for its answer afterwards.
 *
 * What the call returns is the real machine's, and so is the time that it takes: a call that waits keeps the calling program
 * waiting, and what it tells of clocks, ids and the network is not the simulation's.
 *
 * guest: it waits for an answer to a call, or to another event that says so.
 * number: a number of <sys/syscall.h>.
 * arguments: six words; pointers are the guest's.
 * result: where the result goes, as the real kernel returned it: a number, or a negative errno; or NULL.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or if the guest waits for something else; -EBUSY if it has control; -ESRCH if it has ended, or ends in
 * the call: then its end is its next event.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_native_call(struct shimsup_guest *guest,
                              uint32_t number,
                              const uint64_t *arguments,
                              int64_t *result);

/**
 * Have a guest make the call natively in which it waits, and answer it with the result.
 *
 * See shimsup_guest_native_call for what that means.
 *
 * guest: its event is SHIMSUP_EVENT_CALL.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: as for shimsup_guest_native_call and shimsup_guest_complete.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API int shimsup_guest_run_natively(struct shimsup_guest *guest);

/**
 * Say that a guest is left waiting: it will be answered later, and others go on meanwhile.
 *
 * What was written to its memory is stored now, where it might otherwise go with the answer, and what is read of it later is read
 * anew. To be called before another guest of its process is answered, if this one's memory was written or is read later.
 *
 * guest: it waits for an answer to a call, or to another event that says so.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL, or if the guest waits for something else; -EBUSY if it has control; -ESRCH if it has ended; -EFAULT if
 * something could not be stored.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_park(struct shimsup_guest *guest);

/**
 * Read memory of a guest's.
 *
 * guest: it waits for an answer.
 * address: where in the guest's memory.
 * buffer: where the bytes go.
 * length: how many.
 * Ownership: the buffer is the caller's.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EFAULT if not all of them can be read; then the buffer may hold anything. -EINVAL for NULL; -EBUSY if the guest has
 * control; -ESRCH if it has ended.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_read(struct shimsup_guest *guest,
                       uint64_t address,
                       void *buffer,
                       size_t length);

/**
 * Read a text from a guest's memory, up to its NUL.
 *
 * guest: it waits for an answer.
 * address: where in the guest's memory.
 * buffer: where the text goes, with its NUL.
 * size: of the buffer, in bytes.
 * Ownership: the buffer is the caller's.
 * Returns: the text's length without its NUL, or a negative errno; shimsup_message tells more.
 * Errors: -EFAULT if it cannot be read to its end, -ENAMETOOLONG if it is longer than the buffer; then the buffer may hold anything.
 * -EINVAL for NULL; -EBUSY if the guest has control; -ESRCH if it has ended.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int64_t shimsup_guest_read_text(struct shimsup_guest *guest,
                                uint64_t address,
                                char *buffer,
                                size_t size);

/**
 * Write memory of a guest's.
 *
 * A little goes with the next answer, much at once. So a bad address may show later: the guest's call then returns -EFAULT in place
 * of its result. Reads see it in any case; shimsup_guest_flush has it stored, and tells.
 *
 * guest: it waits for an answer.
 * address: where in the guest's memory.
 * bytes: what is to stand there.
 * length: how many bytes.
 * Ownership: the bytes are copied.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EFAULT if it is found now that not all can be written; some of it may be. -EINVAL for NULL; -EBUSY if the guest has
 * control; -ESRCH if it has ended.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_write(struct shimsup_guest *guest,
                        uint64_t address,
                        const void *bytes,
                        size_t length);

/**
 * Have everything stored that was written to a guest's memory.
 *
 * guest: it waits for an answer.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EFAULT if something cannot be written; what stands behind it in their order is lost. -EINVAL for NULL; -EBUSY if the guest
 * has control; -ESRCH if it has ended.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_flush(struct shimsup_guest *guest);

/**
 * Set the signals that are pending for a guest: those that it shall ask about when it does not block them.
 *
 * A guest that finds one when it has control, because it unblocks it, for example, says SHIMSUP_EVENT_SIGNALS.
 *
 * guest: it waits for an answer.
 * signals: signal n at bit n - 1.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_set_pending_signals(struct shimsup_guest *guest,
                                      uint64_t signals);

/**
 * Add signals to those that are pending for all threads of a guest's process, and interrupt what they do natively.
 *
 * For signals that come from outside of the simulation, from another thread, while the guest runs or waits natively. When that is in
 * simulated time depends on the real machine.
 *
 * guest: any guest.
 * signals: signal n at bit n - 1.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL. A guest that has ended does not mind.
 * Threads and signals: safe from any thread, also while another one waits for this guest; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_interrupt(struct shimsup_guest *guest,
                            uint64_t signals);

/**
 * The signals that a guest blocks.
 *
 * guest: it waits for an answer.
 * signals: where they go, signal n at bit n - 1.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_signal_mask(const struct shimsup_guest *guest,
                              uint64_t *signals);

/**
 * What a guest does on a signal.
 *
 * guest: it waits for an answer.
 * signal: 1 to 64.
 * Returns: SHIMSUP_SIGNAL_DEFAULT, SHIMSUP_SIGNAL_IGNORED or SHIMSUP_SIGNAL_HANDLER, or a negative errno; shimsup_message
 * tells more.
 * Errors: -EINVAL for NULL, or no signal.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_signal_disposition(const struct shimsup_guest *guest,
                                     int signal);

/**
 * Kill a guest's process natively, at once, by SIGKILL. Its end comes as SHIMSUP_EVENT_ENDED.
 *
 * guest: any guest.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL. A guest that has ended does not mind.
 * Threads and signals: safe from any thread, also while another one waits for this guest; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_kill(struct shimsup_guest *guest);

/**
 * Have a guest hand control back that computes without making a call: its next event is then SHIMSUP_EVENT_PREEMPTED.
 *
 * One that makes a call before it hears of this goes on as if nothing had been, and so does one that waits natively. When it happens in
 * simulated time depends on the real machine.
 *
 * guest: it has control; wait for it with shimsup_wait and a time-out.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: safe from any thread that does not wait for this guest by shimsup_guest_wait; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_preempt(struct shimsup_guest *guest);

/**
 * The process id of a guest on its machine.
 *
 * guest: any guest.
 * Returns: as it was given to shimsup_guest_launch or shimsup_guest_add_process; 0 for NULL.
 * Errors: none.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
uint32_t shimsup_guest_pid(const struct shimsup_guest *guest);

/**
 * The thread id of a guest on its machine.
 *
 * guest: any guest.
 * Returns: as it was given to shimsup_guest_add_thread; the process id for the first thread of a process, and for one that has called
 * execve(2); 0 for NULL.
 * Errors: none.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
uint32_t shimsup_guest_tid(const struct shimsup_guest *guest);

/**
 * The process id of a guest on the real machine, for messages and debuggers.
 *
 * guest: any guest.
 * Returns: the id; 0 for NULL, or if there is none any more.
 * Errors: none.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API uint32_t shimsup_guest_native_pid(const struct shimsup_guest *guest);

/**
 * Change who a guest's process is, as it sees it: after its parent has ended, or for setpgid(2) and setsid(2).
 *
 * guest: a thread of the process, none of whose threads has control.
 * parent_pid: what getppid(2) tells; 0 if the parent is outside the simulation.
 * group: the process group.
 * session: the session.
 * Returns: 0, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL; -ESRCH if the guest has been given back.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_set_family(struct shimsup_guest *guest,
                             uint32_t parent_pid,
                             uint32_t group,
                             uint32_t session);

/**
 * The program that a guest runs, as it says itself.
 *
 * guest: any guest.
 * Ownership: the guest's; valid until the next text is asked for of the same guest.
 * Returns: its name without folders; the empty text before its shim is up, and for NULL.
 * Errors: none.
 * Threads and signals: one thread at a time may ask a guest for texts; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
const char *shimsup_guest_program(const struct shimsup_guest *guest);

/**
 * How a guest's process has ended.
 *
 * guest: any guest.
 * kind: where it goes how: SHIMSUP_EXITED, SHIMSUP_KILLED or SHIMSUP_LOST; or NULL.
 * value: where the status of exit(2), 0 to 255, goes, or the number of the signal; or NULL.
 * Returns: 1 if it has ended; 0 if it lives, and then nothing is stored; or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: safe from any thread; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_end(const struct shimsup_guest *guest,
                      int *kind,
                      int *value);

/**
 * Take the oldest of the records that a guest has written: log lines of its shim and of its own (shim_log), and what it asked for
 * and could not have.
 *
 * guest: any guest, whose records have come with its events.
 * level: where it goes how important it is, 1 for errors to 5; or NULL. What is missing counts as a warning, 2.
 * time_ns: where the guest's own time goes, in nanoseconds since the start of the simulation; or NULL.
 * text: where the pointer to the text goes; or NULL.
 * Ownership: the text is the guest's, and valid until the next text is asked for of the same guest.
 * Returns: 1 if there was one, 0 if not, or a negative errno; shimsup_message tells more.
 * Errors: -EINVAL for NULL.
 * Threads and signals: one thread at a time may ask a guest for texts; not in a signal handler.
 * Since: 0.1.
 */
SHIM_API
int shimsup_guest_take_record(struct shimsup_guest *guest,
                              uint32_t *level,
                              uint64_t *time_ns,
                              const char **text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHIM_SUPERVISOR_H */
