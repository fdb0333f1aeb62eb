# Pcapline.  make | demo | check | check-quick | bench | install | lint | fuzz | clean; SAN=address,undefined or SAN=thread for
# sanitizer builds, V=1 to see the commands, WERROR= to let warnings pass.  Each folder's fragment (*/*.mk) adds what it has.

CC       ?= cc
PREFIX   ?= /usr/local
CFLAGS   ?= -O2 -g
WERROR   ?= -Werror
SAN      ?=
V        ?=
empty    :=
comma    := ,
BUILD    ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
PKGS     := libmicrohttpd gnutls libpcap jansson libcyaml libcurl libxml-2.0 sqlite3 libssl libcrypto libcap-ng cjose

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')

LIBS_OURS :=
PROGRAMS  :=
include common/common.mk schema/schema.mk uploader/uploader.mk collector/collector.mk gateway/gateway.mk cli/cli.mk

OUR_CFLAGS = -std=c17 -D_GNU_SOURCE -I. -pthread -fno-strict-aliasing -fstack-protector-strong \
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wformat=2 -Wundef \
	-Wwrite-strings -Wold-style-definition -Wvla -Wimplicit-fallthrough $(WERROR) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2) \
	$(shell pkg-config --cflags $(PKGS))
OUR_LDLIBS = $(shell pkg-config --libs $(PKGS)) -lm
OUR_LDFLAGS = -pthread $(if $(SAN),-fsanitize=$(SAN),-Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now)

lib_srcs  = $(filter-out $(1)/main.c,$(wildcard $(1)/*.c $(1)/*/*.c))
lib_file  = $(BUILD)/lib$(1).a
obj_of    = $(patsubst %.c,$(BUILD)/%.o,$(1))
ALL_LIBS  = $(foreach l,$(LIBS_OURS),$(call lib_file,$(l)))
link_group = -Wl,--start-group $(1) -Wl,--end-group $(UPLOADER_LDLIBS)
LINK_OURS = $(call link_group,$(ALL_LIBS))

UNIT_SRCS = $(wildcard test/unit/test_*.c)
UNITS     = $(patsubst test/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRCS))
UNIT_HELP = $(filter-out $(UNIT_SRCS),$(wildcard test/unit/*.c))
FUZZ_SRCS = $(wildcard test/fuzz/fuzz_*.c)
REPLAYS   = $(patsubst test/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SRCS))

.PHONY: all units replays check check-quick check-unit demo bench lint fuzz install clean format deps tools
.SECONDARY:
all: $(foreach p,$(PROGRAMS),$(BUILD)/$(p))

$(BUILD)/%.o: %.c | $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(OUR_CFLAGS) -MMD -MP -c -o $@ $<

# A change of compiler or flags rebuilds everything.
$(BUILD)/.flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(CPPFLAGS) $(CFLAGS) $(OUR_CFLAGS)' | cmp -s - $@ || { rm -rf $(BUILD)/*/; printf '%s\n' '$(CC) $(CPPFLAGS) $(CFLAGS) $(OUR_CFLAGS)' > $@; }
FORCE:

# The status page is put into the program as it stands; the compiler does not say what its assembler reads.
$(BUILD)/gateway/page/page_files.o: $(wildcard gateway/page/*)

define lib_rule
$(call lib_file,$(1)): $(call obj_of,$(call lib_srcs,$(1)))
	$(call say,AR,$$@)
	$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach l,$(LIBS_OURS),$(eval $(call lib_rule,$(l))))

# A program is linked with the rooms that it may use and no others.
define program_rule
$(BUILD)/$(1): $(BUILD)/$($(1)_ROOM)/main.o $(foreach l,$($(1)_LIBS),$(call lib_file,$(l)))
	$(call say,LD,$$@)
	$(Q)$(CC) $(LDFLAGS) $(OUR_LDFLAGS) -o $$@ $$(filter %.o,$$^) $$(filter %.a,$$^) $($(1)_LDLIBS) -Wl,--as-needed $(OUR_LDLIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

# What several units share is linked only where it is used.
$(BUILD)/libunit.a: $(call obj_of,$(UNIT_HELP))
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/unit/%: $(BUILD)/test/unit/%.o $(BUILD)/libunit.a $(ALL_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(OUR_LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libunit.a $(LINK_OURS) $(OUR_LDLIBS) -lcmocka

$(BUILD)/fuzz/%: $(BUILD)/test/fuzz/%.o $(BUILD)/test/fuzz/replay_main.o $(ALL_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(OUR_LDFLAGS) -o $@ $(filter %.o,$^) $(LINK_OURS) $(OUR_LDLIBS)

units: $(UNITS)
replays: $(REPLAYS)

include test/test.mk

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin
	install -m 0755 $(BUILD)/pcap $(DESTDIR)$(PREFIX)/bin/pcap
	install -m 0755 $(BUILD)/pcap-agent $(BUILD)/pcap-gateway $(DESTDIR)$(PREFIX)/sbin/

clean:
	rm -rf build build-*

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
