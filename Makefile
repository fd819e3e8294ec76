# make            build/lucid-rdp, release; honours CC and CFLAGS
# make run        install what is missing, build, start every role on the embedded store
# make test       install what the tests need, build, run all tests: lint, unit and contract suites, sanitizers, system tests
# make test-shapes  all system tests in all shapes: one process, four on MongoDB, four on MongoDB and Redis
# make quick      a short check during development: lint, one compiler, the unit suites, one real login; less than three minutes
# make check      the unit and contract suites under ASan+UBSan and TSan
# make fuzz       each fuzzing harness for FUZZ_SECONDS (600)
# make docs       write the reference pages from the program's tables
# make bench lint fmt install clean
ifeq ($(origin CC),default)
CC := gcc
endif
# A line is printed for each stage (compile, link), with its first file. VERBOSE=1 shows whole commands instead.
Q := $(if $(VERBOSE),,@)
say = $(if $(VERBOSE)$(said-$(1)),,$(eval said-$(1) := yes)@printf '  %-8s %s\n' $(1) $(or $(2),$(B)))
PREFIX ?= /usr/local
V ?= release
VERSION := $(shell cat VERSION)

# a folder of objects for each variant, so that switching needs no rebuild
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
# no output before install-packages has run once, because pkg-config may be missing
pkg-config = $(shell command -v pkg-config >/dev/null && pkg-config $(1))
PKG_CFLAGS := $(call pkg-config,--cflags $(PKGS))
PKG_LIBS := $(call pkg-config,--libs $(PKGS)) -lpthread -lm
PIC := -fPIE
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DLUCID_VERSION='"$(VERSION)"' -Iinclude -I. -Isrc $(PKG_CFLAGS) $(WARN) \
	$(FLAGS_$(V)) $(PIC) -MMD -MP $(CFLAGS)
ALL_LDFLAGS = $(FLAGS_$(V)) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(CFLAGS) $(LDFLAGS)

# the MongoDB driver is a module that is loaded on demand: its library costs 4 MiB and 9 ms at each start
MODULE_SRCS := $(filter-out src/store/mongo/url.c,$(sort $(wildcard src/store/mongo/*.c)))
MODULE_PKG := $(if $(call pkg-config,--modversion mongoc2 2>/dev/null),mongoc2,libmongoc-1.0)
# the library that xrdp and sesman of an instance load: without sanitizers, because these programs are built without them
PRELOAD_SRCS := $(sort $(wildcard src/preload/*.c))
PRELOAD := $(B)/lucid-rdp-preload.so
# the program that shows a message on a desktop: Pango and the X libraries are linked to it only
NOTICE_SRCS := $(sort $(wildcard src/notice/*.c))
NOTICE_PKGS := pangocairo xcb xcb-randr
NOTICE := $(B)/lucid-rdp-notice
# the program that records a desktop: the X extensions for it are linked to it only. Of the program it has the rooms of recordings and base.
RECORDER_SRCS := $(sort $(wildcard src/recorder/*.c src/eye/*.c))
RECORDER_PKGS := xcb xcb-damage xcb-xfixes xcb-shm
RECORDER := $(B)/lucid-rdp-recorder
SRCS := $(filter-out $(MODULE_SRCS) $(PRELOAD_SRCS) $(NOTICE_SRCS) $(RECORDER_SRCS),$(sort $(wildcard src/*/*.c src/*/*/*.c roles/*/*.c roles/*/*/*.c)))
# each file below web/ is embedded in the program: web/docs/style.css as asset_docs_style_css, and its length as asset_docs_style_css_size
ASSETS := $(sort $(wildcard web/*.* web/*/*.*))
OBJS := $(SRCS:%.c=$(B)/%.o) $(ASSETS:%=$(B)/%.o)
MODULE_OBJS := $(MODULE_SRCS:%.c=$(B)/%.o)
NOTICE_OBJS := $(NOTICE_SRCS:%.c=$(B)/%.o)
RECORDER_OBJS := $(RECORDER_SRCS:%.c=$(B)/%.o)
RECORDER_PARTS := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard src/record/*.c)) $(addprefix src/base/,base.c clock.c digest.c doc.c fault.c id.c str.c))
MODULE := $(B)/lucid-rdp-mongodb.so
LIB_OBJS := $(filter-out $(B)/src/app/main.o,$(OBJS))
UNIT := $(patsubst %.c,$(B)/%,$(sort $(wildcard test/unit/test_*.c test/contract/test_*.c)))
ifeq ($(V),tsan)
# src/host forks and enters namespaces, which the kernel refuses to a process with threads, and TSan has a thread
UNIT := $(filter-out $(B)/test/unit/test_host_%,$(UNIT))
endif

.PHONY: all run test quick test-shapes unit-programs check bench fuzz lint docs fmt install clean program unit replay
FILES := build/lucid-rdp build/lucid-rdp-mongodb.so build/lucid-rdp-preload.so build/lucid-rdp-notice build/lucid-rdp-recorder
all: $(FILES)

ifeq ($(V),release)
$(FILES): build/%: $(B)/%
	@ln -f $< $@ 2>/dev/null || cp $< $@
endif
program: $(B)/lucid-rdp $(MODULE) $(PRELOAD) $(NOTICE) $(RECORDER)

# the symbols that the module imports from the program; its other undefined symbols are those of the MongoDB library and the C library
$(B)/exports: $(MODULE_OBJS)
	@{ echo '{'; nm -u $^ | awk '$$1 == "U" && $$2 !~ /^(mongoc|bson|__|_bson|_mongoc)/ { sub(/@.*/, "", $$2); print $$2 ";" }' | sort -u; echo '};'; } >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
EXPORTS = -Wl,--dynamic-list=$(B)/exports

$(B)/lucid-rdp: $(OBJS) $(B)/exports
	$(call say,link)
	$(Q)$(CC) $(ALL_LDFLAGS) $(EXPORTS) -o $@ $(filter %.o,$^) $(PKG_LIBS)

$(MODULE_OBJS): PKG_CFLAGS += $(call pkg-config,--cflags $(MODULE_PKG))
$(MODULE_OBJS): PIC := -fPIC -fno-lto
$(MODULE): $(MODULE_OBJS)
	$(call say,link)
	$(Q)$(CC) $(filter-out -pie,$(ALL_LDFLAGS)) -fno-lto -shared -o $@ $^ $(call pkg-config,--libs $(MODULE_PKG))

PRELOAD_OBJS := $(PRELOAD_SRCS:%.c=$(B)/pic/%.o) $(B)/pic/src/host/desktop/desk_ns.o
$(B)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(call say,compile)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -Isrc $(WARN) $(FLAGS_release) -fno-lto -fPIC -fvisibility=hidden -MMD -MP $(CFLAGS) -c -o $@ $<
$(PRELOAD): $(PRELOAD_OBJS)
	$(call say,link)
	$(Q)$(CC) -shared -Wl,-z,relro,-z,now $(CFLAGS) -o $@ $^ -ldl

$(NOTICE_OBJS): PKG_CFLAGS = $(call pkg-config,--cflags $(NOTICE_PKGS))
$(NOTICE): $(NOTICE_OBJS)
	$(call say,link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call pkg-config,--libs $(NOTICE_PKGS))

$(RECORDER_OBJS): PKG_CFLAGS += $(call pkg-config,--cflags $(RECORDER_PKGS))
$(RECORDER): $(RECORDER_OBJS) $(RECORDER_PARTS)
	$(call say,link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call pkg-config,--libs $(RECORDER_PKGS) jansson libcrypto) -lpthread -lm

$(B)/%.o: %.c VERSION
	@mkdir -p $(@D)
	$(call say,compile)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

asset_name = $(subst -,_,$(subst .,_,$(subst /,_,$(patsubst web/%,asset_%,$(1)))))
asset_text = .section .rodata\n.balign 4\n.globl $(1)\n$(1):\n.incbin "$(2)"\n0: .byte 0\n.balign 4\n.globl $(1)_size\n$(1)_size:\n.long 0b-$(1)\n.section .note.GNU-stack,"",%%progbits\n
$(B)/web/%.o: web/% Makefile
	@mkdir -p $(@D)
	$(call say,compile)
	$(Q)printf '$(call asset_text,$(call asset_name,$<),$<)' | $(CC) $(filter -m% --target=% --sysroot=%,$(CFLAGS)) -x assembler -c -o $@ -

# Tests link the objects that they need from an archive of everything except main.
$(B)/liblucid.a: $(LIB_OBJS)
	@rm -f $@
	@ar rcsT $@ $^ 2>/dev/null || ar rcs $@ $^
$(B)/test/%: $(B)/test/%.o $(B)/liblucid.a
	$(call say,link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(B)/liblucid.a $(PKG_LIBS) -lcmocka

# tests that start real instances need the preload library
$(filter $(B)/test/unit/test_host_%,$(UNIT)): | $(PRELOAD) $(NOTICE) $(RECORDER)

# parts of the program of messages, which the archive does not contain
$(B)/test/unit/test_message_pixels: PKG_LIBS += $(B)/src/notice/pixels.o
$(B)/test/unit/test_message_pixels: $(B)/src/notice/pixels.o

# tests of the recorder link its objects, which need the X extensions
RECORDER_TESTS := $(filter $(B)/test/unit/test_eye% $(B)/test/unit/test_recorder%,$(UNIT))
$(RECORDER_TESTS:=.o): PKG_CFLAGS += $(call pkg-config,--cflags $(RECORDER_PKGS))
$(RECORDER_TESTS): %: %.o $(filter-out $(B)/src/recorder/main.o,$(RECORDER_OBJS)) $(B)/liblucid.a
	$(call say,link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(B)/liblucid.a $(PKG_LIBS) $(call pkg-config,--libs $(RECORDER_PKGS)) -lcmocka

# contract tests link the suites that every implementation must pass
SUITES := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard test/contract/*_suite.c)))
$(filter $(B)/test/contract/%,$(UNIT)): %: %.o $(SUITES) $(B)/liblucid.a $(B)/exports $(MODULE)
	$(call say,link)
	$(Q)$(CC) $(ALL_LDFLAGS) $(EXPORTS) -o $@ $(filter %.o,$^) -Wl,--whole-archive $(B)/liblucid.a -Wl,--no-whole-archive $(PKG_LIBS) -lcmocka

# it prepares databases with the MongoDB library itself
$(B)/test/contract/test_store_mongo.o: PKG_CFLAGS += $(call pkg-config,--cflags $(MODULE_PKG))
$(B)/test/contract/test_store_mongo: PKG_LIBS += $(call pkg-config,--libs $(MODULE_PKG))

# fuzzing: the harnesses with libFuzzer (V=fuzz, clang), or a replay of the committed corpora
FUZZ := $(patsubst test/fuzz/fuzz_%.c,%,$(sort $(wildcard test/fuzz/fuzz_*.c)))
$(B)/test/fuzz/fuzz_%: $(B)/test/fuzz/fuzz_%.o $(B)/liblucid.a
	$(call say,link)
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $< $(B)/liblucid.a $(PKG_LIBS)
$(B)/test/fuzz/replay_%: $(B)/test/fuzz/fuzz_%.o $(B)/test/fuzz/replay.o $(B)/liblucid.a
	$(call say,link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(B)/liblucid.a $(PKG_LIBS)

# benchmarks
$(B)/bench/%.so: bench/%.c
	@mkdir -p $(@D)
	$(call say,link)
	$(Q)$(CC) -O2 -shared -fPIC -D_GNU_SOURCE $(WARN) -o $@ $<
$(B)/bench/%: $(B)/bench/%.o $(B)/liblucid.a
	$(call say,link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(B)/liblucid.a $(PKG_LIBS)

# build and run all unit and contract tests of this variant
unit: $(UNIT) replay
	@test/lib/run-unit $(UNIT)

unit-programs: $(UNIT) $(FUZZ:%=$(B)/test/fuzz/replay_%)

replay: $(FUZZ:%=$(B)/test/fuzz/replay_%)
	@for f in $(FUZZ); do echo "== corpus $$f"; $(B)/test/fuzz/replay_$$f test/fuzz/corpus/$$f || exit 1; done

# each harness for FUZZ_SECONDS, starting from the committed corpus; new inputs are kept in build/fuzz
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

quick:
	@deploy/scripts/install-packages build run test
	@if [ "$$(id -u)" -eq 0 ]; then test/run quick; else sudo test/run quick; fi

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
	@$(MAKE) --no-print-directory V=test program
	@test/lint/run

# write the reference pages and the reference configuration from the program's tables
docs: build/lucid-rdp
	@test/lint/references write build/lucid-rdp

fmt:
	@clang-format -i $$(git ls-files '*.c' '*.h')

install: $(FILES)
	$(call say,install,$(DESTDIR)$(PREFIX))
	$(Q)install -D -m 0755 build/lucid-rdp $(DESTDIR)$(PREFIX)/bin/lucid-rdp
	$(Q)install -D -m 0644 build/lucid-rdp-mongodb.so $(DESTDIR)$(PREFIX)/lib/lucid-rdp/lucid-rdp-mongodb.so
	$(Q)install -D -m 0644 build/lucid-rdp-preload.so $(DESTDIR)$(PREFIX)/lib/lucid-rdp/lucid-rdp-preload.so
	$(Q)install -D -m 0755 build/lucid-rdp-notice $(DESTDIR)$(PREFIX)/lib/lucid-rdp/lucid-rdp-notice
	$(Q)install -D -m 0755 build/lucid-rdp-recorder $(DESTDIR)$(PREFIX)/lib/lucid-rdp/lucid-rdp-recorder

clean:
	rm -rf build

-include $(PRELOAD_OBJS:.o=.d) $(OBJS:.o=.d) $(MODULE_OBJS:.o=.d) $(NOTICE_OBJS:.o=.d) $(RECORDER_OBJS:.o=.d) $(UNIT:=.d) $(FUZZ:%=$(B)/test/fuzz/fuzz_%.d) $(SUITES:.o=.d)
.SECONDARY:
