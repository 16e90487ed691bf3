/* System calls as the guest makes them, names and interfaces, simulated time. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from src/capi/ by `cargo run -p shim-gen`; do not edit. */

#ifndef SHIM_API_H
#define SHIM_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/export.h"

#include <ifaddrs.h>
#include <netdb.h>

struct addrinfo;
struct ifaddrs;


#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Make system call number n as the program itself would.
 *
 * In a simulation the call is simulated, also while the calling thread's native system calls are
 * allowed (shim_swapAllowNativeSyscalls). Simulated time may pass, and the guest's signal handlers
 * may run before the function returns, as with any system call.
 *
 * n: the number, a SYS_* constant of <sys/syscall.h>.
 * arg1 to arg6: the arguments, in the order of the call's manual page; unused ones are ignored.
 * Ownership: memory that arguments point to stays the caller's; the call reads and writes it as its
 * manual page says.
 * Returns: the call's result, or -1 with errno set, as syscall(2) does.
 * Errors: those of the call. ENOSYS for a call that the simulation does not have; it is then named
 * in the summary of the run. A bad pointer is EFAULT.
 * Threads and signals: as safe as the call itself. errno belongs to the calling thread.
 * Outside a simulation: the real kernel executes the call.
 * Since: 0.1.
 */
SHIM_API
int64_t shim_api_syscall(long n,
                         uint64_t arg1,
                         uint64_t arg2,
                         uint64_t arg3,
                         uint64_t arg4,
                         uint64_t arg5,
                         uint64_t arg6);

/**
 * Translate a name and a service into socket addresses, as getaddrinfo(3) does.
 *
 * In a simulation the hosts of the simulation are known, by name and alias, and the loopback names;
 * services are known by number and by the common names of IANA. It is answered inside the guest
 * and costs simulated time like a system call. All flags, families, socket types and protocols mean
 * what they mean to glibc; results are ordered by RFC 3484. Include <netdb.h> for the types.
 *
 * node: a host's name or address; NULL for this host.
 * service: a service's name or number; NULL for none.
 * hints: what is asked for; NULL for everything.
 * result: where the list goes.
 * Ownership: the list is the caller's, to be freed by shim_api_freeaddrinfo, not by freeaddrinfo(3).
 * Returns: 0, or an EAI_* constant, of which gai_strerror(3) tells the meaning; then nothing is stored.
 * Errors: those of getaddrinfo(3), but for EAI_AGAIN: all names are always known. EAI_NONAME for a
 * name that no host has, EAI_NODATA for one without an address of the family. EAI_SYSTEM with errno
 * EFAULT if result is NULL.
 * Threads and signals: safe from any thread; in a simulation also in a signal handler.
 * Outside a simulation: addresses written as numbers and NULL are answered in the same way; for what
 * depends on the machine's files and interfaces, the C library's own getaddrinfo is called. A program
 * without a dynamic C library knows the loopback names only.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int shim_api_getaddrinfo(const char *node,
                         const char *service,
                         const struct addrinfo *hints,
                         struct addrinfo **result);

/**
 * Free a list that shim_api_getaddrinfo made, or the rest of one.
 *
 * list: an element of the list; it and all that follow it are freed. NULL does nothing. A list that
 * is not the library's own is freed by the C library's freeaddrinfo(3).
 * Returns: nothing.
 * Errors: none.
 * Threads and signals: safe from any thread, for lists that no other thread uses.
 * Outside a simulation: the same.
 * Since: 0.1.
 */
SHIM_API
void shim_api_freeaddrinfo(struct addrinfo *list);

/**
 * List the interfaces of this machine and their addresses, as getifaddrs(3) does.
 *
 * A simulated host has the interfaces lo and eth0. The list has, as on Linux, an entry of family
 * AF_PACKET for each of them, then one for each address, with netmask and, for IPv4 on eth0, broadcast
 * address. Include <ifaddrs.h> for the type.
 *
 * result: where the list goes.
 * Ownership: the list is the caller's, to be freed by shim_api_freeifaddrs, not by freeifaddrs(3).
 * Returns: 0, or -1 with errno set; then nothing is stored.
 * Errors: EFAULT if result is NULL, ENOMEM; outside a simulation those of getifaddrs(3), and ENOSYS in
 * a program without a dynamic C library.
 * Threads and signals: safe from any thread; in a simulation also in a signal handler.
 * Outside a simulation: the C library's own getifaddrs is called.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
int shim_api_getifaddrs(struct ifaddrs **result);

/**
 * Free a list that shim_api_getifaddrs made.
 *
 * list: its first element. NULL does nothing. A list that is not the library's own is freed by the C
 * library's freeifaddrs(3).
 * Returns: nothing.
 * Errors: none.
 * Threads and signals: safe from any thread, for lists that no other thread uses.
 * Outside a simulation: the same.
 * Since: 0.1.
 */
SHIM_API
void shim_api_freeifaddrs(struct ifaddrs *list);

/**
 * Whether this process is a guest, that is, runs in a simulation.
 *
 * Returns: true from the first instruction of the program on if a simulator started it, else false.
 * It never changes while a program runs.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: false.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
bool shim_is_managed(void);

/**
 * Simulated time of the calling thread.
 *
 * It is the time that the program's own clocks are made from: what the host's clock showed when the
 * thread was last given control, plus what the latency model has charged the thread since. Reading
 * it costs no simulated time.
 *
 * Returns: nanoseconds since the start of the simulation.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: 0.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
uint64_t shim_simtime_ns(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHIM_API_H */
