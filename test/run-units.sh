#!/usr/bin/env bash
# run-units.sh BUILD [NAME...] - runs every unit test of a build and replays the seeds of every fuzz target through it, one
# line each, with the output of those that fail; JOBS (2) at a time, told in their order.  A test that crashed, was killed or took too long has failed.
# The last line is "N passed, N failed".  With names, only those ("test_err", "fuzz_pcapng").
set -u
[ $# -ge 1 ] || {
	echo "usage: test/run-units.sh BUILD [NAME...]" >&2
	exit 2
}
build=$1
shift
timeout_s=${UNIT_TIMEOUT_S:-300}
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}"

passed=0
failed=0
jobs=${JOBS:-2}
work=$(mktemp -d)
names=()
trap 'rm -rf "$work"' EXIT

is_wanted() { # NAME [WANTED...]
	local name=$1
	shift
	[ $# = 0 ] && return 0
	local wanted
	for wanted in "$@"; do
		[ "$wanted" = "$name" ] && return 0
	done
	return 1
}

report() { # NAME EXIT-CODE
	case $2 in
	0)
		passed=$((passed + 1))
		printf 'ok    %s\n' "$1"
		return
		;;
	124 | 137) printf 'FAIL  %s: not finished after %s s\n' "$1" "$timeout_s" ;;
	*)
		if [ "$2" -gt 128 ]; then
			printf 'FAIL  %s: killed by signal %s\n' "$1" "$(kill -l $(($2 - 128)))"
		else
			printf 'FAIL  %s: exit code %s\n' "$1" "$2"
		fi
		;;
	esac
	failed=$((failed + 1))
	sed 's/^/      /' "$work/$1.out"
}

run() { # NAME COMMAND...
	local name=$1
	shift
	names+=("$name")
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n
	done
	{
		timeout -k 5 "$timeout_s" "$@" >"$work/$name.out" 2>&1 </dev/null
		echo $? >"$work/$name.code"
	} &
}

for program in "$build"/unit/test_*; do
	name=$(basename "$program")
	# What is left in the build of a test whose source has gone is not a test any more.
	[ -x "$program" ] && [ -e "test/unit/$name.c" ] && is_wanted "$name" "$@" && run "$name" "$program"
done
for program in "$build"/fuzz/fuzz_*; do
	name=$(basename "$program")
	if [ ! -x "$program" ] || [ ! -e "test/fuzz/$name.c" ] || ! is_wanted "$name" "$@"; then
		continue
	fi
	seeds=test/fuzz/seeds/${name#fuzz_}
	if [ -n "$(ls -A "$seeds" 2>/dev/null)" ]; then
		run "$name" "$program" "$seeds"
	else
		# shellcheck disable=SC2016 # $1 is the inner shell's
		run "$name" sh -c 'echo "no seeds in $1"; exit 1' sh "$seeds"
	fi
done
wait
for name in "${names[@]}"; do
	report "$name" "$(cat "$work/$name.code")"
done

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
