/* libshim: the C interface of a program that runs in a simulation, or natively. */

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

#include "shim/version.h"
#include "shim/api.h"
#include "shim/native.h"
#include "shim/shmem.h"
#include "shim/thread.h"
#include "shim/log.h"

#endif /* SHIM_SHIM_H */
