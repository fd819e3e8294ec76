# make            build/lucid-rdp, release; honours CC and CFLAGS
# make run        install what is missing, build, start every role on the embedded store
# make test       install what the tests need, build, run everything: lint, suites, sanitizers, the real thing
# make test-shapes  every system test in every shape: one process, four on MongoDB, four on MongoDB and Redis
# make check      the unit and contract suites under ASan+UBSan and TSan
# make fuzz       each fuzzing harness for FUZZ_SECONDS (600)
# make docs       print the reference pages from the tables
# make bench lint fmt install clean
ifeq ($(origin CC),default)
CC := gcc
endif
# VERBOSE=1 shows whole commands
Q := $(if $(VERBOSE),,@)
say = $(if $(VERBOSE),,@echo "  $(1) $@")
PREFIX ?= /usr/local
V ?= release
VERSION := $(shell cat VERSION)

# one folder of objects a variant, so that switching costs nothing
B := build/$(V)
FLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -flto=auto
FLAGS_test := -O1 -g -DLUCID_TEST=1 -fstack-protector-strong
FLAGS_asan := -O1 -g -DLUCID_TEST=1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_fuzz := -O1 -g -DLUCID_TEST=1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
FLAGS_tsan := -O1 -g -DLUCID_TEST=1 -fsanitize=thread
ifneq ($(findstring clang,$(CC)),)
FLAGS_release := $(filter-out -flto=auto,$(FLAGS_release))
endif
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef -Wvla -Wwrite-strings \
	-Wpointer-arith -Wno-missing-field-initializers -Wno-unused-parameter
PKGS := libevent libevent_openssl evhtp jansson sqlite3 libsystemd libcrypto libssl hiredis
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
PKG_LIBS := $(shell pkg-config --libs $(PKGS)) -lpthread -lm
PIC := -fPIE
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DLUCID_VERSION='"$(VERSION)"' -Iinclude -I. -Isrc $(PKG_CFLAGS) $(WARN) \
	$(FLAGS_$(V)) $(PIC) -MMD -MP $(CFLAGS)
ALL_LDFLAGS = $(FLAGS_$(V)) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(CFLAGS) $(LDFLAGS)

# the MongoDB driver is a module beside the program, loaded where it is wanted: its library costs every start 4 MiB and 9 ms
MODULE_SRCS := $(filter-out src/store/mongo_url.c,$(sort $(wildcard src/store/mongo_*.c)))
MODULE_PKG := $(if $(shell pkg-config --exists mongoc2 && echo yes),mongoc2,libmongoc-1.0)
SRCS := $(filter-out $(MODULE_SRCS),$(sort $(wildcard src/*/*.c) $(wildcard roles/*/*.c)))
OBJS := $(SRCS:%.c=$(B)/%.o)
MODULE_OBJS := $(MODULE_SRCS:%.c=$(B)/%.o)
MODULE := $(B)/lucid-rdp-mongodb.so
LIB_OBJS := $(filter-out $(B)/src/app/main.o,$(OBJS))
UNIT := $(patsubst %.c,$(B)/%,$(sort $(wildcard test/unit/test_*.c test/contract/test_*.c)))
ifeq ($(V),tsan)
# src/host has one thread and forks into namespaces, which a process with TSan's own thread may not
UNIT := $(filter-out $(B)/test/unit/test_host_%,$(UNIT))
endif

.PHONY: all run test test-shapes check bench fuzz lint docs fmt install clean program unit replay
all: build/lucid-rdp build/lucid-rdp-mongodb.so

ifeq ($(V),release)
build/lucid-rdp build/lucid-rdp-mongodb.so: build/%: $(B)/%
	@ln -f $< $@ 2>/dev/null || cp $< $@
endif
program: $(B)/lucid-rdp $(MODULE)

# what the module takes from the program; the rest of its names are the library's, and nobody's here
$(B)/exports: $(MODULE_OBJS)
	@{ echo '{'; nm -u $^ | awk '$$1 == "U" && $$2 !~ /^(mongoc|bson|__|_bson|_mongoc)/ { sub(/@.*/, "", $$2); print $$2 ";" }' | sort -u; echo '};'; } >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
EXPORTS = -Wl,--dynamic-list=$(B)/exports

$(B)/lucid-rdp: $(OBJS) $(B)/exports
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) $(EXPORTS) -o $@ $(filter %.o,$^) $(PKG_LIBS)

$(MODULE_OBJS): PKG_CFLAGS += $(shell pkg-config --cflags $(MODULE_PKG))
$(MODULE_OBJS): PIC := -fPIC -fno-lto
$(MODULE): $(MODULE_OBJS)
	$(call say,LINK)
	$(Q)$(CC) $(filter-out -pie,$(ALL_LDFLAGS)) -fno-lto -shared -o $@ $^ $(shell pkg-config --libs $(MODULE_PKG))

$(B)/%.o: %.c VERSION
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Tests link the objects they need from an archive of everything but main.
$(B)/liblucid.a: $(LIB_OBJS)
	@rm -f $@
	@ar rcsT $@ $^ 2>/dev/null || ar rcs $@ $^
$(B)/test/%: $(B)/test/%.o $(B)/liblucid.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(B)/liblucid.a $(PKG_LIBS) -lcmocka

# contract tests bring the suites that every implementation must pass
SUITES := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard test/contract/*_suite.c)))
$(filter $(B)/test/contract/%,$(UNIT)): %: %.o $(SUITES) $(B)/liblucid.a $(B)/exports $(MODULE)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) $(EXPORTS) -o $@ $(filter %.o,$^) -Wl,--whole-archive $(B)/liblucid.a -Wl,--no-whole-archive $(PKG_LIBS) -lcmocka

# it prepares databases by the library's own hand
$(B)/test/contract/test_store_mongo.o: PKG_CFLAGS += $(shell pkg-config --cflags $(MODULE_PKG))
$(B)/test/contract/test_store_mongo: PKG_LIBS += $(shell pkg-config --libs $(MODULE_PKG))

# fuzzing: the harnesses with libFuzzer (V=fuzz, clang), or replaying the committed corpora
FUZZ := $(patsubst test/fuzz/fuzz_%.c,%,$(sort $(wildcard test/fuzz/fuzz_*.c)))
$(B)/test/fuzz/fuzz_%: $(B)/test/fuzz/fuzz_%.o $(B)/liblucid.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $< $(B)/liblucid.a $(PKG_LIBS)
$(B)/test/fuzz/replay_%: $(B)/test/fuzz/fuzz_%.o $(B)/test/fuzz/replay.o $(B)/liblucid.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(B)/liblucid.a $(PKG_LIBS)

# programs that measure
$(B)/bench/%.so: bench/%.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -O2 -shared -fPIC -D_GNU_SOURCE $(WARN) -o $@ $<
$(B)/bench/%: $(B)/bench/%.o $(B)/liblucid.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(B)/liblucid.a $(PKG_LIBS)

# every unit and contract test of this variant, built and run
unit: $(UNIT) replay
	@test/lib/run-unit $(UNIT)

replay: $(FUZZ:%=$(B)/test/fuzz/replay_%)
	@for f in $(FUZZ); do echo "== corpus $$f"; $(B)/test/fuzz/replay_$$f test/fuzz/corpus/$$f || exit 1; done

# each harness for FUZZ_SECONDS, on top of the committed corpus; what is found new stays in build/fuzz
FUZZ_SECONDS ?= 600
fuzz:
	@deploy/scripts/install-packages build test
	@$(MAKE) --no-print-directory V=fuzz CC=clang $(FUZZ:%=build/fuzz/test/fuzz/fuzz_%)
	@for f in $(FUZZ); do echo "== fuzz $$f"; mkdir -p build/fuzz/found/$$f; \
		build/fuzz/test/fuzz/fuzz_$$f -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix=build/fuzz/found/ build/fuzz/found/$$f test/fuzz/corpus/$$f >build/fuzz/$$f.log 2>&1 || { tail -n 60 build/fuzz/$$f.log; exit 1; }; \
		grep DONE build/fuzz/$$f.log; done

run:
	@deploy/scripts/run

test:
	@deploy/scripts/install-packages build run test
	@if [ "$$(id -u)" -eq 0 ]; then test/run; else sudo test/run; fi

test-shapes:
	@deploy/scripts/install-packages build run test
	@if [ "$$(id -u)" -eq 0 ]; then test/run shapes; else sudo test/run shapes; fi

check:
	@deploy/scripts/install-packages build test
	@$(MAKE) --no-print-directory V=asan unit
	@$(MAKE) --no-print-directory V=tsan unit

bench:
	@deploy/scripts/install-packages build run bench
	@bench/run

lint:
	@test/lint/run

# the reference pages and the reference configuration, printed from the program's tables
docs: build/lucid-rdp
	@test/lint/references write build/lucid-rdp

fmt:
	@clang-format -i $$(git ls-files '*.c' '*.h')

install: build/lucid-rdp build/lucid-rdp-mongodb.so
	install -D -m 0755 build/lucid-rdp $(DESTDIR)$(PREFIX)/bin/lucid-rdp
	install -D -m 0644 build/lucid-rdp-mongodb.so $(DESTDIR)$(PREFIX)/lib/lucid-rdp/lucid-rdp-mongodb.so

clean:
	rm -rf build

-include $(OBJS:.o=.d) $(MODULE_OBJS:.o=.d) $(UNIT:=.d) $(FUZZ:%=$(B)/test/fuzz/fuzz_%.d) $(SUITES:.o=.d)
.SECONDARY:
