/* The end of a thread, for code that ends threads without its C library. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from src/capi/ by `cargo run -p shim-gen`; do not edit. */

#ifndef SHIM_THREAD_H
#define SHIM_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/export.h"

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Give back what the library holds for the calling thread, then exit the thread.
 *
 * All signals are blocked first, so that no handler runs on a thread that is half gone. Only the
 * thread exits, not the process, unless it was the last one. Destructors of thread-local objects and
 * cleanup handlers of the C library do not run: a thread that the C library made ends by returning
 * from its function or by pthread_exit, and needs no call of this.
 *
 * status: the exit status; its lowest 8 bits count, and only if this is the last thread.
 * Returns: never.
 * Errors: none.
 * Threads and signals: ends the calling thread; the caller holds no lock that others need.
 * Outside a simulation: exits the thread.
 * Since: 0.1.
 */
SHIM_API
void shim_release_and_exit_current_thread(int status) SHIM_NORETURN;

/**
 * Free the signal stack that the library installed for the calling thread.
 *
 * For a thread that is about to exit. The memory itself is freed when the next thread of the process
 * frees its own, because the caller may be running on the stack that it frees. A second call, or a
 * call of a thread without such a stack, does nothing.
 *
 * Returns: nothing.
 * Errors: none.
 * Threads and signals: acts on the calling thread only, which blocks all signals before and exits
 * soon after; not for signal handlers that return.
 * Outside a simulation: nothing is installed, and nothing happens.
 * Since: 0.1.
 */
SHIM_API
void shim_freeSignalStack(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHIM_THREAD_H */
