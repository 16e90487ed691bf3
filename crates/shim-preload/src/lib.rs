//! `libshim-preload.so`: the simulation's names and interfaces for unmodified programs.
//!
//! A program asks its C library who `bob` is, and the C library reads files of the real machine and asks
//! its name servers. This library stands before the C library's functions: in a guest it answers from the
//! interface of `libshim.so` (`shim_api_*`), natively each function goes straight to the next definition
//! of its name. The supervisor preloads it together with `libshim.so`; it is a user of the SDK like any
//! other, and a program that only links `libshim.so` keeps its C library's functions.
//!
//! 1. [`addresses`]: getaddrinfo, getifaddrs and what frees their lists;
//! 2. [`hosts`]: the older family, gethostbyname and gethostbyaddr; [`hostent`]: what they return;
//! 3. [`next`]: the next definition of a name; [`shim`]: what is used of `libshim.so`;
//! 4. `rt`: what a library without a runtime needs.
//!
//! # Rules
//!
//! - Natively nothing but the next definition: `shim_api_*` would call the C library's, and so on.
//! - No allocation and no lock, so that a program whose allocator resolves names cannot hang.
//! - No dependencies; the few types of C that are needed are declared here.
//! - Nothing is `no_mangle` but the functions of `src/preload.map`.
#![no_std]
#![deny(unsafe_code)]

mod addresses;
mod hostent;
mod hosts;
mod next;
mod rt;
mod shim;
