# Build the test programs of glibc and libuv from their sources, for tests/suites.rs:
# make -k -f suites.mk SOURCES=FOLDER, in the folder where the programs go.
#
# glibc's are compiled one by one against the installed libc: its tests' library, support/, becomes an
# archive, as much of it as compiles outside of its tree. A test that does not compile so is no program
# here. libuv's are one program, built as its own CMakeLists.txt says.

glibc := $(SOURCES)/libc6
uv := $(SOURCES)/libuv1
folders := $(addprefix $(glibc)/,nptl sysdeps/pthread posix)
tests := $(basename $(notdir $(wildcard $(addsuffix /tst-*.c,$(folders)))))
support := $(basename $(notdir $(wildcard $(glibc)/support/*.c)))
programs := $(addprefix glibc/,$(tests))
objects := $(patsubst %,support/%.o,$(support))
vpath %.c $(folders)

# Headers of the tree that tests use and that need nothing of its build.
headers := array_length.h intprops.h libc-diag.h libc-pointer-arith.h scratch_buffer.h
flags := -std=gnu11 -O2 -w -fgnu89-inline -pthread -DTIMEOUTFACTOR=2 -D_GNU_SOURCE -D_ISOMAC -DMODULE_NAME=testsuite \
    -include include/first.h -I include -I include/support $(addprefix -iquote ,$(folders)) $(addprefix -idirafter ,$(folders))

all: $(programs) uv/uv_run_tests

include/first.h:
	mkdir -p include glibc support
	ln -sfn $(glibc)/support $(glibc)/posix $(glibc)/nptl $(glibc)/sysdeps $(glibc)/malloc $(glibc)/test-skeleton.c \
	    $(glibc)/sysdeps/x86_64/stackinfo.h \
	    $(addprefix $(glibc)/include/,$(headers)) include
	: > include/config.h
	printf '%s\n' '#define IS_IN(module) 0' '#define attribute_hidden' '#define libc_hidden_proto(name)' \
	    '#define PACKAGE_STRING "glibc"' > $@

# What does not compile is left out: only tests that need it do not link.
support/%.o: $(glibc)/support/%.c include/first.h
	gcc $(flags) -include limits.h '-DSRCDIR_PATH="$(glibc)"' '-DOBJDIR_PATH="$(CURDIR)"' \
	    '-DOBJDIR_ELF_LDSO_PATH="/lib64/ld-linux-x86-64.so.2"' '-DINSTDIR_PATH="/usr"' '-DLIBDIR_PATH="/usr/lib"' \
	    '-DBINDIR_PATH="/usr/bin"' '-DSBINDIR_PATH="/usr/sbin"' '-DSLIBDIR_PATH="/lib"' \
	    '-DROOTSBINDIR_PATH="/sbin"' '-DCOMPLOCALEDIR_PATH="/usr/lib/locale"' -c -o $@ $< 2> $@.log || : > $@

support/libsupport.a: $(objects)
	rm -f $@
	ar rc $@ $$(find support -name '*.o' -size +0 | sort)

# Tests that try the same tens of thousands of times, in minutes, try it less often.
edited := tst-create-detached tst-pthread-timedlock-lockloop tst-robust-fork
glibc/tst-create-detached: edit := s/threads_to_create = 100000/threads_to_create = 20000/
glibc/tst-pthread-timedlock-lockloop: edit := s/RETEST_TIMES 100$$/RETEST_TIMES 10/
glibc/tst-robust-fork: edit := s/++nonshared_bits)/nonshared_bits += 5)/
$(addprefix glibc/,$(edited)): glibc/%: %.c support/libsupport.a
	sed '$(edit)' $< | gcc $(flags) -o $@ -x c - -x none support/libsupport.a -lrt -lm -ldl 2> $@.log

glibc/%: %.c support/libsupport.a
	gcc $(flags) -o $@ $< support/libsupport.a -lrt -lm -ldl 2> $@.log

uv/uv_run_tests:
	cmake -S $(uv) -B uv
	$(MAKE) -C uv uv_run_tests

.PHONY: all
