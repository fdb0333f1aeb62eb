# test/: how the project is checked.  `make check` stands alone on a fresh machine: it installs what it needs.
#   check        everything, as CI runs it: see test/check.sh for the steps and STEPS="..." to run some of them
#   check-quick  units, seed replays and source greps of this build; installs nothing
#   check-unit   units and seed replays of this build
#   check-e2e    pytest against this build; E2E="-k mtls -x" is passed on
#   lint         clang-format, clang-tidy, cppcheck, shellcheck
#   fuzz         every fuzz target under libFuzzer for FUZZ_SECONDS each, beginning with its seeds
#   bench        the table of test/bench
#   demo         two namespaces, two agents, a gateway and real traffic; KEEP=1 leaves it running

FUZZ_SECONDS ?= 20
E2E          ?=
PYTHON       ?= /usr/bin/python3

.PHONY: check check-quick check-unit check-e2e lint fuzz fuzz-run bench demo tsan-units

# Agent and gateway each have their struct capture; no program holds both, and no unit may.
GATEWAY_UNITS = test_capture_life test_leftovers test_watch test_audit
$(GATEWAY_UNITS:%=$(BUILD)/unit/%): LINK_OURS = $(call link_group,$(filter-out %/libcollector.a,$(ALL_LIBS)))

check:
	$(Q)ops/install-deps.sh --check
	$(Q)MAKE='$(MAKE)' PYTHON='$(PYTHON)' test/check.sh $(STEPS)

check-unit: $(UNITS) $(REPLAYS)
	$(Q)test/run-units.sh $(BUILD)

check-quick: check-unit
	$(Q)test/check-source.sh

check-e2e: all
	$(Q)cd test/e2e && PCAPLINE_BUILD='$(abspath $(BUILD))' $(PYTHON) -m pytest $(E2E)

lint:
	$(Q)LINT_CFLAGS='$(filter-out -fstack-protector-strong -Werror,$(OUR_CFLAGS))' test/lint.sh $(FILES)

# libFuzzer brings its own main: a build of its own, by clang, with the sanitizers that find what a crash alone would not show.
FUZZERS = $(patsubst test/fuzz/%.c,$(BUILD)/libfuzzer/%,$(FUZZ_SRCS))
$(BUILD)/libfuzzer/%: $(BUILD)/test/fuzz/%.o $(ALL_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -pthread -fsanitize=fuzzer,address,undefined -o $@ $(filter %.o,$^) $(LINK_OURS) $(OUR_LDLIBS)

fuzz:
	$(Q)ops/install-deps.sh --check
	$(Q)$(MAKE) CC=clang SAN=fuzzer-no-link,address,undefined BUILD=build-fuzz fuzz-run

fuzz-run: $(FUZZERS)
	$(Q)test/run-fuzz.sh $(BUILD) $(FUZZ_SECONDS)

include test/bench/bench.mk

demo:
	$(Q)ops/install-deps.sh
	$(Q)$(MAKE) all
	$(Q)BUILD='$(BUILD)' KEEP='$(KEEP)' ops/demo.sh
