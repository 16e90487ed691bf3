# Thin targets over cargo. What is loaded into guests (`-p shim`, `-p shim-preload`) and everything else are
# always separate cargo calls: cargo unifies features over what it builds in one call, and a feature of the
# simulator that asks a shared crate for the standard library would break the guest.
#
#   make          build libshim.so, libshim-preload.so, libshim-supervisor.so and the command `shim`, in release mode
#   make test     build, check and test everything (what .ci/run calls)
#   make check    formatting, lints, documentation
#   make demo     real programs through days of simulated time, and a scenario with three hosts
#   make pairs      servers and their clients on one host and on two, natively and as guests: tables
#   make plot     docs/connections.svg: what messages cost by the number of connections
#   make bench    costs beside their native costs and floors; a thousand hosts. ROWS="pipe fork": only the
#                 lines of the first table whose title has one of these words; HOSTS="sleep" or "fetch times=1":
#                 only one of the tables about hosts, or a smaller one
#   make install  libraries, archive, headers, files for pkg-config and CMake, manual pages, `shim` and its
#                 completions, under PREFIX (and DESTDIR); `make uninstall` removes them
#   make deb      Debian packages libshim1, libshim-supervisor1, libshim-dev and libshim-tools, in target/deb

CARGO ?= cargo
# Cargo.lock is part of the source: nothing may change it on the way.
CARGOFLAGS ?= --locked
INSTALL ?= install

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
CMAKEDIR ?= $(LIBDIR)/cmake/shim
SUPERVISORCMAKEDIR ?= $(LIBDIR)/cmake/shim-supervisor
MANDIR ?= $(PREFIX)/share/man
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
RELEASE := $(TARGET)/release
VERSION := $(shell sed -n '/^\[workspace.package\]/,/^\[/s/^version *= *"\(.*\)"/\1/p' Cargo.toml)
FILL_IN := sed -e 's|@prefix@|$(PREFIX)|' -e 's|@libdir@|$(LIBDIR)|' -e 's|@includedir@|$(INCLUDEDIR)|' \
    -e 's|@version@|$(VERSION)|' -e 's|@major@|$(firstword $(subst ., ,$(VERSION)))|'
REST := --workspace --exclude shim --exclude shim-preload

all: guest archive command

guest:
	$(CARGO) build $(CARGOFLAGS) --release -p shim
	$(CARGO) build $(CARGOFLAGS) --release -p shim-preload

# The static archive, in a folder of its own: cargo would build the shared library anew after it.
archive:
	$(CARGO) rustc $(CARGOFLAGS) --release -p shim --crate-type staticlib --target-dir $(TARGET)/archive
	sh build/archive.sh $(TARGET)/archive/release/libshim.a src/shim.map $(RELEASE)/libshim.a

# What runs in the simulator: the command, and the library for simulators in other languages.
command:
	$(CARGO) build $(CARGOFLAGS) --release -p shim-cli -p shim-supervisor-c

# The tests use what `all` has built instead of building it again.
test: all check
	SHIM_BUILD_DIR=$(RELEASE) $(CARGO) test $(CARGOFLAGS) --no-fail-fast $(REST)

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(CARGOFLAGS) --release -p shim -- -D warnings
	$(CARGO) clippy $(CARGOFLAGS) --release -p shim-preload -- -D warnings
	$(CARGO) clippy $(CARGOFLAGS) $(REST) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CARGOFLAGS) -p shim --no-deps --document-private-items
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CARGOFLAGS) $(REST) --no-deps --document-private-items

demo: all
	SHIM=$(RELEASE)/shim sh examples/demo.sh

pairs: all
	SHIM_BUILD_DIR=$(RELEASE) $(CARGO) test $(CARGOFLAGS) -p shim-testkit --test pairs --test pairs2 -- --nocapture

bench: all
	$(if $(HOSTS),,SHIM_BUILD_DIR=$(RELEASE) $(CARGO) bench $(CARGOFLAGS) -p shim-testkit --bench costs -- $(ROWS))
	$(if $(ROWS),,SHIM_BUILD_DIR=$(RELEASE) $(CARGO) bench $(CARGOFLAGS) -p shim-testkit --bench hosts -- $(HOSTS))

plot: all
	SHIM_PLOT=$(abspath docs/connections.svg) SHIM_BUILD_DIR=$(RELEASE) $(CARGO) bench $(CARGOFLAGS) -p shim-testkit --bench costs -- TCP

fmt:
	$(CARGO) fmt --all

clean:
	$(CARGO) clean

# Builds nothing, so that it can be run as root: `make`, then `make install`.
install:
	for file in libshim.so libshim_preload.so libshim.a libshim_supervisor_c.so shim; do \
	    test -f $(RELEASE)/$$file || { echo "$$file is not built: run make first" >&2; exit 1; }; done
	$(INSTALL) -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCLUDEDIR)/shim $(DESTDIR)$(PKGCONFIGDIR) \
	    $(DESTDIR)$(CMAKEDIR) $(DESTDIR)$(SUPERVISORCMAKEDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man3 $(DESTDIR)$(MANDIR)/man7
	$(INSTALL) -m 755 $(RELEASE)/libshim.so $(DESTDIR)$(LIBDIR)/libshim.so.$(VERSION)
	ln -sf libshim.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libshim.so.1
	ln -sf libshim.so.1 $(DESTDIR)$(LIBDIR)/libshim.so
	$(INSTALL) -m 755 $(RELEASE)/libshim_preload.so $(DESTDIR)$(LIBDIR)/libshim-preload.so.$(VERSION)
	ln -sf libshim-preload.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libshim-preload.so.1
	$(INSTALL) -m 755 $(RELEASE)/libshim_supervisor_c.so $(DESTDIR)$(LIBDIR)/libshim-supervisor.so.$(VERSION)
	ln -sf libshim-supervisor.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libshim-supervisor.so.1
	ln -sf libshim-supervisor.so.1 $(DESTDIR)$(LIBDIR)/libshim-supervisor.so
	$(INSTALL) -m 644 include/shim/*.h $(DESTDIR)$(INCLUDEDIR)/shim/
	$(INSTALL) -m 644 $(RELEASE)/libshim.a $(DESTDIR)$(LIBDIR)/libshim.a
	$(FILL_IN) pkgconfig/shim.pc.in > $(DESTDIR)$(PKGCONFIGDIR)/shim.pc
	$(FILL_IN) pkgconfig/shim-supervisor.pc.in > $(DESTDIR)$(PKGCONFIGDIR)/shim-supervisor.pc
	$(FILL_IN) pkgconfig/shim-supervisor-config.cmake.in > $(DESTDIR)$(SUPERVISORCMAKEDIR)/shim-supervisor-config.cmake
	$(FILL_IN) pkgconfig/shim-config-version.cmake.in > $(DESTDIR)$(SUPERVISORCMAKEDIR)/shim-supervisor-config-version.cmake
	$(FILL_IN) pkgconfig/shim-config.cmake.in > $(DESTDIR)$(CMAKEDIR)/shim-config.cmake
	$(FILL_IN) pkgconfig/shim-config-version.cmake.in > $(DESTDIR)$(CMAKEDIR)/shim-config-version.cmake
	$(INSTALL) -m 644 man/*.3 $(DESTDIR)$(MANDIR)/man3/
	$(INSTALL) -m 644 man/*.7 $(DESTDIR)$(MANDIR)/man7/
	$(INSTALL) -m 755 $(RELEASE)/shim $(DESTDIR)$(BINDIR)/shim
	$(INSTALL) -d $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	$(RELEASE)/shim man $(DESTDIR)$(MANDIR)/man1
	$(RELEASE)/shim completions bash > $(DESTDIR)$(BASHDIR)/shim
	$(RELEASE)/shim completions zsh > $(DESTDIR)$(ZSHDIR)/_shim
	$(RELEASE)/shim completions fish > $(DESTDIR)$(FISHDIR)/shim.fish

# Removes what `install` made, and of folders only those that are libshim's own.
uninstall:
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libshim.a libshim.so libshim.so.1 libshim.so.$(VERSION) \
	    libshim-preload.so.1 libshim-preload.so.$(VERSION) \
	    libshim-supervisor.so libshim-supervisor.so.1 libshim-supervisor.so.$(VERSION))
	rm -f $(addprefix $(DESTDIR)$(INCLUDEDIR)/shim/,$(notdir $(wildcard include/shim/*.h)))
	rm -f $(DESTDIR)$(PKGCONFIGDIR)/shim.pc $(DESTDIR)$(CMAKEDIR)/shim-config.cmake \
	    $(DESTDIR)$(CMAKEDIR)/shim-config-version.cmake
	rm -f $(DESTDIR)$(PKGCONFIGDIR)/shim-supervisor.pc \
	    $(addprefix $(DESTDIR)$(SUPERVISORCMAKEDIR)/shim-supervisor-,config.cmake config-version.cmake)
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man3/,$(notdir $(wildcard man/*.3))) \
	    $(addprefix $(DESTDIR)$(MANDIR)/man7/,$(notdir $(wildcard man/*.7)))
	rm -f $(DESTDIR)$(MANDIR)/man1/shim.1 $(DESTDIR)$(MANDIR)/man1/shim-*.1
	rm -f $(DESTDIR)$(BINDIR)/shim $(DESTDIR)$(BASHDIR)/shim $(DESTDIR)$(ZSHDIR)/_shim \
	    $(DESTDIR)$(FISHDIR)/shim.fish
	-rmdir $(DESTDIR)$(INCLUDEDIR)/shim $(DESTDIR)$(CMAKEDIR) $(DESTDIR)$(SUPERVISORCMAKEDIR)

# Packages what `make` built.
deb:
	sh build/deb.sh $(RELEASE) $(VERSION) $(TARGET)/deb

.PHONY: all guest archive command test check demo pairs bench plot fmt clean install uninstall deb
