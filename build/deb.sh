#!/bin/sh
# Makes the Debian packages of what `make` built: libshim1, libshim-supervisor1, libshim-dev,
# libshim-tools.
#
#     sh build/deb.sh RELEASE_FOLDER VERSION OUTPUT_FOLDER
#
# `make install` into a scratch folder, sorted into four trees. The symbols of both libraries are compared with
# build/debian/*.symbols: a symbol that is gone, or new and not in the file, is an error. Needs
# dpkg-dev and nothing of the network; the same files make the same packages (SOURCE_DATE_EPOCH).
set -eu
release=$(cd "$1" && pwd) version=$2 output=$3
root=$(cd "$(dirname "$0")/.." && pwd)
architecture=$(dpkg --print-architecture)
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(cd "$root" && git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
lib=usr/lib/$triplet
make -s -C "$root" install RELEASE="$release" PREFIX=/usr LIBDIR="/$lib" DESTDIR="$work/all"

# take PACKAGE PATH...: move files of the whole installation into a package's tree
take() {
    package=$1
    shift
    for path in "$@"; do
        mkdir -p "$work/$package/$(dirname "$path")"
        mv "$work/all/$path" "$work/$package/$(dirname "$path")/"
    done
}
cd "$work/all"
take libshim1 "$lib"/libshim.so.* "$lib"/libshim-preload.so.*
take libshim-supervisor1 "$lib"/libshim-supervisor.so.*
take libshim-dev usr/include/shim "$lib"/libshim.so "$lib"/libshim.a "$lib"/libshim-supervisor.so "$lib"/pkgconfig \
    "$lib"/cmake usr/share/man/man3 usr/share/man/man7
take libshim-tools usr/bin/shim usr/share/man/man1 usr/share/bash-completion usr/share/zsh usr/share/fish
left=$(find . ! -type d)
[ -z "$left" ] || { echo "in no package: $left" >&2; exit 1; }
cd "$work"

find libshim1 libshim-supervisor1 -type f -name '*.so.*' -exec strip --strip-unneeded --remove-section=.comment {} +
strip libshim-tools/usr/bin/shim
find . -path '*/man/*' -type f -exec gzip -9n {} +

# What dpkg-dev's tools want to know of a source package.
mkdir debian
cat > debian/control <<END
Source: libshim
Maintainer: libshim developers <libshim@localhost>

Package: libshim1
Architecture: any

Package: libshim-supervisor1
Architecture: any
END

mkdir libshim1/DEBIAN libshim-supervisor1/DEBIAN libshim-dev/DEBIAN libshim-tools/DEBIAN
# record PACKAGE LIBRARY: nobody links libshim-preload.so.1, which stands for the C library's functions.
record() {
    dpkg-gensymbols -q -e"$1/$lib/$2.so.$version" -p"$1" -v"$version" -P"$1" -I"$root/build/debian/$1.symbols" \
        -O"$1/DEBIAN/symbols" -c4
}
record libshim1 libshim
record libshim-supervisor1 libshim-supervisor
echo "libshim 1 libshim1 (>= $version)" > libshim1/DEBIAN/shlibs
echo "libshim-preload 1 libshim1 (>= $version)" >> libshim1/DEBIAN/shlibs
echo "libshim-supervisor 1 libshim-supervisor1 (>= $version)" > libshim-supervisor1/DEBIAN/shlibs
for package in libshim1 libshim-supervisor1; do echo "activate-noawait ldconfig" > $package/DEBIAN/triggers; done
# needs FILE: the packages whose libraries it wants
needs() {
    depends=$(dpkg-shlibdeps -O -e"$1" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
    [ -n "$depends" ] || { echo "dpkg-shlibdeps says nothing about $1" >&2; exit 1; }
}

# describe PACKAGE SECTION DEPENDS SUMMARY, the long description on standard input
describe() {
    tree=$work/$1
    mkdir -p "$tree/usr/share/doc/$1"
    {
        printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n'
        printf 'Files: *\nCopyright: libshim developers\nLicense: MIT or Apache-2.0\n'
        sed 's/^$/./; s/^/ /' "$root/LICENSE"
    } > "$tree/usr/share/doc/$1/copyright"
    gzip -9nc "$root/CHANGELOG.md" > "$tree/usr/share/doc/$1/changelog.gz"
    {
        echo "Package: $1"
        echo "Source: libshim"
        echo "Version: $version"
        echo "Architecture: $architecture"
        echo "Maintainer: libshim developers <libshim@localhost>"
        echo "Installed-Size: $(du -k -s --apparent-size "$tree" | cut -f1)"
        [ -z "$3" ] || echo "Depends: $3"
        echo "Section: $2"
        echo "Priority: optional"
        [ "$1" = libshim-tools ] || echo "Multi-Arch: same"
        echo "Description: $4"
        sed 's/^/ /'
    } > "$tree/DEBIAN/control"
    (cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z |
        xargs -0 md5sum > DEBIAN/md5sums)
    find "$tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --build "$tree" "$work/packages" > /dev/null
}
mkdir packages
describe libshim1 libs "" "makes programs guests of a simulation: shared library" <<'END'
Programs that a simulator starts with this library see its time, its clocks,
its names and its random numbers. Started otherwise, they run natively.
END
needs "libshim-supervisor1/$lib/libshim-supervisor.so.$version"
describe libshim-supervisor1 libs "libshim1 (= $version), $depends" \
    "runs programs as guests of a simulation: shared library for simulators" <<'END'
A simulator, in whatever language, runs real programs in simulated time with
it, one by one or as whole hosts with a network of the simulator's own.
END
describe libshim-dev libdevel "libshim1 (= $version), libshim-supervisor1 (= $version)" \
    "makes programs guests of a simulation: development files" <<'END'
Headers, static archive, manual pages, and files for pkg-config and CMake.
END
needs libshim-tools/usr/bin/shim
describe libshim-tools devel "libshim1 (= $version), $depends" \
    "makes programs guests of a simulation: the command shim" <<'END'
Runs unmodified programs, or scenarios of many hosts, in simulated time.
END

mkdir -p "$output"
mv packages/*.deb "$output/"
ls "$output"/*_"$version"_"$architecture".deb
