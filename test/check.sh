#!/usr/bin/env bash
# check.sh [STEP...] - what `make check` and CI run, one step after the other, each on every machine the same way:
#   build    gcc, warnings are errors: programs, units, replays
#   unit     units and seed replays
#   source   greps with a reason
#   e2e      pytest, everything
#   lint     clang-format, clang-tidy, cppcheck, shellcheck
#   clang    clang compiles all of it, warnings are errors
#   asan     AddressSanitizer and UndefinedBehaviorSanitizer: units, replays and pytest, everything but what is marked `slow`
#   tsan     ThreadSanitizer: units, and pytest's tests marked `threads`
# A failed step does not stop the others, a failed build stops those that need it.  The last line is "N passed, N failed" over
# all units, replays, greps, tools and pytest cases; the exit code says the same.
set -u
cd "$(dirname "$0")/.." || exit
make=${MAKE:-make}
python=${PYTHON:-/usr/bin/python3}
jobs=${JOBS:-2}
passed=0
failed=0
failures=""
log=$(mktemp)
trap 'rm -f "$log"' EXIT
unset MAKEFLAGS MFLAGS # not this make's -j or -s: each step says its own

# step NAME COMMAND...: its last "N passed"/"N failed" figures are added up; a command without any counts as one.
step() {
	local name=$1 begin=$SECONDS rc p f
	shift
	printf '== %s\n' "$name"
	"$@" 2>&1 | tee "$log"
	rc=${PIPESTATUS[0]}
	p=$(grep -E '[0-9]+ (passed|failed|error)' "$log" | tail -n 1 | grep -oE '[0-9]+ passed' | grep -oE '[0-9]+')
	f=$(grep -E '[0-9]+ (passed|failed|error)' "$log" | tail -n 1 | grep -oE '[0-9]+ (failed|error)' | grep -oE '[0-9]+' | paste -sd+ | bc_sum)
	[ -n "$p$f" ] || p=$((rc == 0))
	[ "$rc" = 0 ] || [ "${f:-0}" -gt 0 ] || f=1
	passed=$((passed + ${p:-0}))
	failed=$((failed + ${f:-0}))
	[ "$rc" = 0 ] || failures="$failures, $name"
	printf '== %s: %s in %d s\n\n' "$name" "$([ "$rc" = 0 ] && echo good || echo FAILED)" $((SECONDS - begin))
	return "$rc"
}

bc_sum() { # "1+2" on stdin
	local sum
	read -r sum || return 0
	echo $((sum))
}

wanted() {
	[ -z "$steps" ] || case " $steps " in *" $1 "*) ;; *) return 1 ;; esac
}
# Whoever is started in the background by a script ignores ^C; a test that is interrupted must clean up.
lane='import signal, sys, pytest
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(pytest.main(sys.argv[1:]))'

# shellcheck disable=SC2317  # step calls it
figure() { # WORD FILE...: the sum of "N WORD" in pytest's closing lines
	local word=$1 file
	shift
	for file in "$@"; do
		tail -n 1 "$file" | grep -oE "[0-9]+ $word" | grep -oE '[0-9]+'
	done | paste -sd+ | bc_sum
}

# Four at once, of about the same length, for most of the time is waiting: most of what stores in buckets; the rest of that, and platforms; what runs long on these, containers
# and operators; and everything else, which is shown while it runs.
# shellcheck disable=SC2317  # step calls it
e2e() { # BUILD [PYTEST-ARGUMENT...]
	local build=$PWD/$1 rest rc=0 files out pid good outs=() pids=()
	shift
	rest=$(mktemp)
	for files in 'test_3[0-2]_*.py' 'test_3[3-9]_*.py test_4[0-3]_*.py' 'test_4[4-9]_*.py test_[56]?_*.py'; do
		out=$(mktemp)
		outs+=("$out")
		# shellcheck disable=SC2086  # a pattern, and pytest's arguments
		(cd test/e2e && PCAPLINE_BUILD=$build exec "$python" -c "$lane" "$@" $files) >"$out" 2>&1 &
		pids+=($!)
	done
	trap 'kill -INT "${pids[@]}"; wait; exit 130' INT TERM
	(cd test/e2e && PCAPLINE_BUILD=$build exec "$python" -m pytest "$@" --ignore-glob='test_[3456]?_*') 2>&1 | tee "$rest"
	[ "${PIPESTATUS[0]}" = 0 ] || rc=1
	for pid in "${pids[@]}"; do
		wait "$pid"
		case $? in 0 | 5) ;; *) rc=1 ;; esac # 5: none of a lane's tests was asked for
	done
	trap - INT TERM
	cat "${outs[@]}"
	good=$(figure passed "$rest" "${outs[@]}")
	[ "$good" -gt 0 ] || rc=1
	printf '%d passed, %d failed, %d skipped\n' "$good" "$(figure '(failed|error)' "$rest" "${outs[@]}")" "$(figure skipped "$rest" "${outs[@]}")"
	rm -f "$rest" "${outs[@]}"
	return "$rc"
}
# All of them, and then: is there anything in the API's description that none of them has met?
# shellcheck disable=SC2317  # step calls it
e2e_described() { # BUILD
	local rc=0 seen
	seen=$(mktemp -d)
	PCAPLINE_SEEN=$seen e2e "$1" || rc=1
	[ "$rc" != 0 ] || (cd test/e2e && "$python" described.py "$seen") || rc=1
	rm -rf "$seen"
	return "$rc"
}
steps="$*"
# Instrumented code blinds gcc's analysis of ranges (-Wformat-truncation and the like): warnings are errors in the plain builds only.
sanitized=(CC=gcc WERROR= "CFLAGS=-O1 -g")

main() { # a function, so that bash has read all of it before the first step: files may change while the steps run
	if wanted build || wanted unit || wanted e2e; then
		if step "build" "$make" -j"$jobs" CC=gcc all units replays; then
			wanted unit && step "unit" test/run-units.sh build
			wanted e2e && step "e2e" e2e_described build
		fi
	fi
	wanted source && step "source" test/check-source.sh
	wanted lint && step "lint" "$make" lint
	wanted clang && step "clang" "$make" -j"$jobs" CC=clang BUILD=build-clang all units replays
	if wanted asan && step "asan: build" "$make" -j"$jobs" "${sanitized[@]}" SAN=address,undefined all units replays; then
		step "asan: unit" test/run-units.sh build-address-undefined
		step "asan: e2e" e2e build-address-undefined -m "not slow"
	fi
	if wanted tsan && step "tsan: build" "$make" -j"$jobs" "${sanitized[@]}" SAN=thread all units; then
		step "tsan: unit" test/run-units.sh build-thread
		step "tsan: e2e" e2e build-thread -m threads
	fi

	[ -z "$failures" ] || printf 'failed: %s\n' "${failures#, }"
	printf '%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" = 0 ]
	exit
}
main
