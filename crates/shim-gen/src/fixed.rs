//! What is written by hand in the headers: the umbrella, the attributes, the version's macros.
//!
//! The version of the workspace and of the protocol in, constant texts out. Always true: a macro here
//! begins with `SHIM_`, and an expression in it is safe in `#if`. Declarations of functions are not
//! here: they come from the boundary.

use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};

/// Stands in every generated header.
pub fn generated(folder: &str, introduction: &str) -> String {
    format!(
        "/* SPDX-License-Identifier: MIT OR Apache-2.0\n   \
         Made from {folder} by `cargo run -p shim-gen`; do not edit.{introduction} */"
    )
}

/// What `supervisor.h` says first.
pub const SUPERVISOR_INTRODUCTION: &str = r#"

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
   other. A program that was linked with libshim-supervisor.so.1 runs with every later one."#;

/// What `host.h` says first.
pub const HOST_INTRODUCTION: &str = r#"

   The event loop is yours. It asks each host when it wants to be stepped (shimhost_next_event), steps the one whose
   turn it is to an instant before which nothing can come to it (shimhost_step), takes the packets that it has sent
   (shimhost_take_packet), and delivers each to its target when your network has carried it (shimhost_deliver):

       while ((now = shimhost_next_event(host)) < end) {
           shimhost_step(host, now, now + latency);
           while (shimhost_take_packet(host, &at, &datagram, &length) == 1)
               shimhost_deliver(other, at + latency, datagram, length);
       }

   With two hosts, step both over the same stretch of time; examples/c/two_hosts.c is a whole program. Hosts and
   packets in the same order give the same run, byte for byte."#;

/// The macros of `version.h`.
pub fn version_macros() -> String {
    let number = |text: &str| text.parse::<u32>().expect("cargo gives numbers");
    let (major, minor, patch) = (
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
    );
    format!(
        r#"
/* Version of these headers; shim_version() tells that of the library that is loaded. */
#define SHIM_VERSION_MAJOR {major}
#define SHIM_VERSION_MINOR {minor}
#define SHIM_VERSION_PATCH {patch}
#define SHIM_VERSION_STRING "{major}.{minor}.{patch}"

/* One number for a version, to compare: later versions have greater numbers. */
#define SHIM_VERSION_ENCODE(major, minor, patch) (((major) * 65536) + ((minor) * 256) + (patch))
#define SHIM_VERSION \
    SHIM_VERSION_ENCODE(SHIM_VERSION_MAJOR, SHIM_VERSION_MINOR, SHIM_VERSION_PATCH)

/* Protocol between library and simulator at the time of these headers. */
#define SHIM_PROTOCOL_VERSION_MAJOR {PROTOCOL_MAJOR}
#define SHIM_PROTOCOL_VERSION_MINOR {PROTOCOL_MINOR}
"#
    )
}

/// Structures of the C library that functions take.
pub const C_LIBRARY_TYPES: &[&str] = &["addrinfo", "ifaddrs"];

/// What stands before the declarations of `api.h`: the headers of the C library hide some of the
/// structures where only a language standard is asked for.
pub fn c_library_types() -> String {
    let mut text = String::from("\n#include <ifaddrs.h>\n#include <netdb.h>\n\n");
    for name in C_LIBRARY_TYPES {
        text += &format!("struct {name};\n");
    }
    text
}

/// What stands behind the declarations of `native.h`.
pub const NATIVE_SECTION: &str = r#"/**
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

"#;

/// `export.h`.
pub const EXPORT: &str = r#"/* Attributes of the declarations in the other headers. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made by `cargo run -p shim-gen`; do not edit. */

#ifndef SHIM_EXPORT_H
#define SHIM_EXPORT_H

/* SHIM_API: a function of the library. SHIM_NODISCARD: its result is all that it is for.
   SHIM_NORETURN: it does not return. SHIM_DEPRECATED: something better exists; a program that
   cannot change yet defines SHIM_NO_DEPRECATED before it includes a header. */
#if defined(__GNUC__) || defined(__clang__)
#define SHIM_API __attribute__((visibility("default")))
#define SHIM_NODISCARD __attribute__((warn_unused_result))
#define SHIM_NORETURN __attribute__((noreturn))
#if defined(SHIM_NO_DEPRECATED)
#define SHIM_DEPRECATED(message)
#else
#define SHIM_DEPRECATED(message) __attribute__((deprecated(message)))
#endif
#else
#define SHIM_API
#define SHIM_NODISCARD
#define SHIM_NORETURN
#define SHIM_DEPRECATED(message)
#endif

#endif /* SHIM_EXPORT_H */
"#;

/// `shim.h`, but for the list of the others.
pub const UMBRELLA: &str = r#"/* libshim: the C interface of a program that runs in a simulation, or natively. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made by `cargo run -p shim-gen`; do not edit.

   A program that a simulator starts under libshim.so is a guest: its system calls, clocks and random
   numbers are simulated. It need not know; this interface is for the program or preload library that
   wants to. The same binary runs natively where no simulator is there: functions then do what is said
   under "Outside a simulation", and the library has touched nothing.

       #include <shim/shim.h>
       #include <stdio.h>

       int main(void) {
           char name[65];
           if (!shim_is_managed())
               return puts("running natively") < 0;
           shim_host_name(shim_hostSharedMem(), name, sizeof name);
           return printf("%s at %llu ns\n", name, (unsigned long long)shim_simtime_ns()) < 0;
       }

       cc example.c $(pkg-config --cflags --libs shim)

   Conventions. Functions take fixed-width integers and opaque pointers, and none takes a variable
   number of arguments. Units stand at the end of a name: _ns nanoseconds, _bytes, _hz. A pointer that
   a function returns belongs to the library. NULL is answered as documented, never with a crash. A
   function keeps its meaning: a new meaning gets a new symbol version. */

#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

@INCLUDES@

#endif /* SHIM_SHIM_H */
"#;
