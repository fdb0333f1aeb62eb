#!/usr/bin/env bash
# lint.sh [FILE.c...] - layout and static analysis: clang-format, clang-tidy (.clang-tidy says what is left out and why), cppcheck
# and shellcheck.  Every tool must be silent.  With files, clang-format and clang-tidy look at these only.
# Compiler flags for clang-tidy come from the environment: LINT_CFLAGS (`make lint` sets it).
# The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit
passed=0
failed=0

check() { # NAME COMMAND...
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		passed=$((passed + 1))
		printf 'ok    %s\n' "$name"
	else
		failed=$((failed + 1))
		printf 'FAIL  %s\n' "$name"
		printf '%s\n' "$output" | sed 's/^/      /' | head -n 1000
	fi
}

mapfile -t all_sources < <(find common schema uploader gateway collector cli test/unit test/fuzz test/bench -name '*.c' 2>/dev/null | sort)
mapfile -t headers < <(find common schema uploader gateway collector cli test/unit test/bench -name '*.h' 2>/dev/null | sort)
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run)
if [ $# -gt 0 ]; then
	sources=("$@")
	headers=()
else
	sources=("${all_sources[@]}")
fi

tidy_one() { # FILE: nothing on stdout when clean
	local more="-include test/lint_errors.h"
	case $1 in
	common/err*.c | common/json_in*.c) more="" ;; # they define what that header wraps
	esac
	# shellcheck disable=SC2086  # lists of flags, split on purpose
	clang-tidy --quiet "$1" -- $LINT_CFLAGS $more 2>&1 |
		grep -vE '^[0-9]+ warnings? (generated|treated as)|^Suppressed|^Use -header-filter'
}
export -f tidy_one

tidy() {
	# shellcheck disable=SC2016  # the inner shell expands
	! printf '%s\0' "${sources[@]}" | xargs -0 -n 1 -P 2 bash -c 'tidy_one "$1"' tidy | grep .
}

# Suppressed for cppcheck, and why:
#   memleak:schema/config.c  memcpy of a pointer into the program's struct hands it over there
#   missingIncludeSystem     system headers are not given to it
#   unusedFunction is not asked for: the libraries' functions are used by other rooms and by tests
#   normalCheckLevelMaxBranches, checkersReport   notes about itself
#   unusedStructMember       structs that cross a boundary list the whole format
#   constParameterCallback, constParameterPointer  callbacks have the signature that their caller wants
cpp() {
	cppcheck --quiet --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 -I. -j 2 \
		--suppress=memleak:schema/config.c --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --suppress=unusedStructMember \
		--suppress=constParameterCallback --suppress=constParameterPointer \
		-D_GNU_SOURCE -D__linux__ --library=test/cppcheck.cfg common schema uploader gateway collector cli
}

[ ${#sources[@]} -gt 0 ] && check "clang-format" clang-format --dry-run -Werror "${sources[@]}" "${headers[@]}"
[ $# -gt 0 ] || check "cppcheck" cpp
[ $# -gt 0 ] || check "shellcheck" shellcheck "${scripts[@]}"
[ ${#sources[@]} -gt 0 ] && check "clang-tidy (${#sources[@]} files)" tidy

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
