# Thin targets over cargo. The guest (`-p shim`) and everything else are always separate cargo calls:
# cargo unifies features over what it builds in one call, and a feature of the simulator that asks a
# shared crate for the standard library would break the guest.
#
#   make          build libshim.so and the command `shim`, in release mode
#   make test     build, check and test everything (what .ci/run calls)
#   make check    formatting, lints, documentation
#   make demo     real programs through hours of simulated time
#   make bench    costs beside their native costs and floors
#   make install  what `make` built, headers and pkg-config file, under PREFIX (and DESTDIR)

CARGO ?= cargo
# Cargo.lock is part of the source: nothing may change it on the way.
CARGOFLAGS ?= --locked
INSTALL ?= install

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
RELEASE := $(TARGET)/release
VERSION := $(shell sed -n '/^\[workspace.package\]/,/^\[/s/^version *= *"\(.*\)"/\1/p' Cargo.toml)
REST := --workspace --exclude shim

all: guest command

guest:
	$(CARGO) build $(CARGOFLAGS) --release -p shim

command:
	$(CARGO) build $(CARGOFLAGS) --release -p shim-cli

# The tests use what `all` has built instead of building it again.
test: all check
	SHIM_BUILD_DIR=$(RELEASE) $(CARGO) test $(CARGOFLAGS) $(REST)

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(CARGOFLAGS) --release -p shim -- -D warnings
	$(CARGO) clippy $(CARGOFLAGS) $(REST) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CARGOFLAGS) $(REST) --no-deps --document-private-items

demo: all
	SHIM=$(RELEASE)/shim sh examples/demo.sh

bench: all
	SHIM_BUILD_DIR=$(RELEASE) $(CARGO) bench $(CARGOFLAGS) -p shim-testkit

fmt:
	$(CARGO) fmt --all

clean:
	$(CARGO) clean

# Builds nothing, so that it can be run as root: `make`, then `make install`.
install:
	test -f $(RELEASE)/libshim.so -a -f $(RELEASE)/shim || { echo "run make first" >&2; false; }
	$(INSTALL) -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCLUDEDIR)/shim $(DESTDIR)$(PKGCONFIGDIR) $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 755 $(RELEASE)/libshim.so $(DESTDIR)$(LIBDIR)/libshim.so.$(VERSION)
	ln -sf libshim.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libshim.so.1
	ln -sf libshim.so.1 $(DESTDIR)$(LIBDIR)/libshim.so
	$(INSTALL) -m 644 include/shim/*.h $(DESTDIR)$(INCLUDEDIR)/shim/
	sed -e 's|@prefix@|$(PREFIX)|' -e 's|@libdir@|$(LIBDIR)|' -e 's|@includedir@|$(INCLUDEDIR)|' \
	    -e 's|@version@|$(VERSION)|' pkgconfig/shim.pc.in > $(DESTDIR)$(PKGCONFIGDIR)/shim.pc
	$(INSTALL) -m 755 $(RELEASE)/shim $(DESTDIR)$(BINDIR)/shim

.PHONY: all guest command test check demo bench fmt clean install
