#!/usr/bin/env bash
# run-fuzz.sh BUILD SECONDS - each libFuzzer target in turn, starting from its seeds.  New inputs go to BUILD/corpus, crashes to
# BUILD/crashes: copy a crash, named for what it shows, to test/fuzz/seeds/<name>/ with the fix.
# The last line is "N passed, N failed".
set -u
build=$1
seconds=$2
passed=0
failed=0
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1}"
mkdir -p "$build/crashes"
for target in "$build"/libfuzzer/fuzz_*; do
	[ -x "$target" ] || continue
	name=$(basename "$target")
	corpus=$build/corpus/$name
	mkdir -p "$corpus"
	if "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
		-artifact_prefix="$build/crashes/$name-" "$corpus" "test/fuzz/seeds/${name#fuzz_}" >"$build/$name.log" 2>&1; then
		passed=$((passed + 1))
		printf 'ok    %s: %s inputs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$name.log")"
	else
		failed=$((failed + 1))
		printf 'FAIL  %s\n' "$name"
		tail -n 60 "$build/$name.log" | sed 's/^/      /'
	fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
