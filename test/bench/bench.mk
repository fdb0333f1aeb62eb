# test/bench: what Pcapline costs beside tcpdump, dumpcap and tcpdump over ssh.  BENCH="paced agent" runs some rows or some ways of
# capturing only, BENCH=--json prints every round's figures; see test/bench/bench.py.  Needs root.
BENCH ?=

$(BUILD)/bench/sender: $(BUILD)/test/bench/sender.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(OUR_LDFLAGS) -o $@ $<

$(BUILD)/bench/store_put: $(BUILD)/test/bench/store_put.o $(ALL_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(OUR_LDFLAGS) -o $@ $< $(LINK_OURS) $(OUR_LDLIBS)

bench:
	$(Q)ops/install-deps.sh --bench
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/bench/sender $(BUILD)/bench/store_put
	$(Q)PCAPLINE_BUILD='$(abspath $(BUILD))' $(PYTHON) -B test/bench/bench.py $(BENCH)
