#!/bin/sh
# Makes libshim.a of what rustc left: one object, whose only global symbols are the public API.
#
#     sh build/archive.sh RAW_ARCHIVE SYMBOL_MAP OUTPUT
#
# The archive is for static programs, which no loader can make guests: so the constructor and the note
# by which a simulator knows a guest library are left out, and with them whatever only they need. What
# remains gives the answers that hold outside a simulation. Nothing of Rust's runtime stays visible, so
# that the archive can be linked beside another static library of Rust's.
set -eu
raw=$1 map=$2 output=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The names of the public nodes.
sed -n '/^SHIM_PRIVATE/q; s/^ *\(shim_[A-Za-z0-9_]*\);.*/\1/p' "$map" > "$folder/names"
test -s "$folder/names"

cp "$raw" "$folder/raw.a"
# A static program has no loader to ask for the C library's functions: they stay undefined.
objcopy --redefine-sym dlopen=__shim_no_dlopen --redefine-sym dlsym=__shim_no_dlsym \
    -R .init_array -R .note.shim -R .llvmbc -R .llvmcmd "$folder/raw.a"
# errno's place is looked for weakly, which alone would not bring it into a static program.
printf '.section .data.rel.ro.shim_errno,"awR",@progbits\n.quad __errno_location\n%s\n' \
    '.section .note.GNU-stack,"",@progbits' | as -o "$folder/errno.o" -
# shellcheck disable=SC2046 # one word a name
ld.bfd -r --gc-sections $(sed 's/^/-u /' "$folder/names") \
    --whole-archive "$folder/raw.a" "$folder/errno.o" -o "$folder/all.o"
objcopy --keep-global-symbols="$folder/names" "$folder/all.o"
objcopy --strip-unneeded -R .comment "$folder/all.o" "$folder/shim.o"
# D: no times and no owners, so that the same object makes the same archive. It appears when it is whole.
ar crsD "$folder/shim.a" "$folder/shim.o"
cp "$folder/shim.a" "$output.$$"
mv "$output.$$" "$output"
