# test/: how the project is checked.  Each target stands alone on a fresh machine; only check-quick installs nothing.

# Units and the replay of the fuzz seeds.
check-unit: $(UNITS) $(REPLAYS)
	$(Q)test/run-units.sh $(BUILD)

check-quick: check-unit
