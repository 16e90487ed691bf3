/* Real programs as guests of a simulator in C: simulations, commands, failures. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from crates/shim-supervisor-c/src/ by `cargo run -p shim-gen`; do not edit.

   libshim-supervisor runs real, unmodified programs under an event loop of yours. They are guests: their system
   calls, clocks and random numbers are simulated, and you own simulated time. shim/host.h has whole machines, with a
   kernel that answers the calls; here is what hosts are made with, and what is below them.

       cc simulator.c $(pkg-config --cflags --libs shim-supervisor)

   Conventions. All structures are opaque, made by a function that ends in _new and ended by the one that ends in
   _free, which takes NULL. Times are nanoseconds of simulated time since the start of the simulation. A result of 0
   or more is success, a negative one is an error number of errno.h; shimsup_message() then says what, where, and
   what to do. NULL and nonsense are such errors, never crashes. The library calls nobody back, installs no signal
   handler, has no child that wait() would find, and no settings that a whole process shares. Each simulation has one
   helper thread and one helper process; after a fork() only the parent may use it. An object is for one thread at a
   time unless its functions say otherwise; different objects are independent of each other. A program that was
   linked with libshim-supervisor.so.1 runs with every later one. */

#ifndef SHIM_SUPERVISOR_H
#define SHIM_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/export.h"
#include "shim/version.h"

/**
 * What to run. Opaque.
 */
typedef struct shimsup_command shimsup_command;

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

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHIM_SUPERVISOR_H */
