/* Attributes of the declarations in the other headers. */

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
