/* Past the simulation and back, for one thread. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from src/capi/ by `cargo run -p shim-gen`; do not edit. */

#ifndef SHIM_NATIVE_H
#define SHIM_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/export.h"

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Set whether the calling thread's system calls go to the real kernel.
 *
 * For code in a guest that has to reach the real machine for a moment: a profiler that writes its
 * file, a preload library that reads its configuration. Set it, do the work, and set it back to the
 * value returned; so it nests. While it is on, clocks show real time as well. The calls clone, fork,
 * vfork and execve, those that change signals, and those that change the table of descriptors stay
 * simulated, because the simulation would lose the process otherwise. A new thread starts with it
 * off. No simulated time passes while native calls are made.
 *
 * allow: true sends the calls to the real kernel, false to the simulation.
 * Returns: the value that was set before.
 * Errors: none.
 * Threads and signals: acts on the calling thread only; safe in a signal handler, which must set it
 * back before it returns; makes no system call.
 * Outside a simulation: calls always go to the real kernel; nothing is changed, and true is returned.
 * Since: 0.1.
 */
SHIM_API
bool shim_swapAllowNativeSyscalls(bool allow);

/**
 * Whether the calling thread's system calls are answered by the simulation now.
 *
 * Returns: true in a guest, unless shim_swapAllowNativeSyscalls(true) is in force in this thread.
 * Errors: none.
 * Threads and signals: safe from any thread and in a signal handler; makes no system call.
 * Outside a simulation: false.
 * Since: 0.1.
 */
SHIM_API
SHIM_NODISCARD
bool shim_interpositionEnabled(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/**
 * A part of a function in which the calling thread's system calls go to the real kernel.
 *
 * SHIM_NATIVE_BEGIN(was) and SHIM_NATIVE_END(was) stand in the same block, in this order, and
 * name a variable of the section's own; without its end, or its beginning, a section does not
 * compile. Sections nest. A section is left at its end, not by return, goto, break or longjmp.
 *
 *     SHIM_NATIVE_BEGIN(was);
 *     fputs("seen by the real machine\n", file);
 *     SHIM_NATIVE_END(was);
 *
 * Threads and signals, and outside a simulation: as shim_swapAllowNativeSyscalls.
 * Since 0.1.
 */
#define SHIM_NATIVE_BEGIN(was) { const bool was = shim_swapAllowNativeSyscalls(true)
#define SHIM_NATIVE_END(was) (void)shim_swapAllowNativeSyscalls(was); } (void)0

#ifdef __cplusplus
namespace shim {

/**
 * The same for C++: a native section from here to the end of the block, however it is left.
 *
 *     {
 *         shim::native_section native;
 *         file << "seen by the real machine\n" << std::flush;
 *     }
 *
 * Constructed with false, it is a simulated section within a native one. An object belongs to the
 * thread that made it.
 * Since 0.1.
 */
class native_section {
public:
    explicit native_section(bool is_native = true) noexcept
        : was_native_(shim_swapAllowNativeSyscalls(is_native)) {}
    ~native_section() { (void)shim_swapAllowNativeSyscalls(was_native_); }
    native_section(const native_section &) = delete;
    native_section &operator=(const native_section &) = delete;

private:
    const bool was_native_;
};

} // namespace shim
#endif

#endif  /* SHIM_NATIVE_H */
