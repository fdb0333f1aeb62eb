#!/usr/bin/env bash
# check-source.sh - what the compiler does not see: greps over the tree, each with its reason.  Compiles nothing.
# The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit
passed=0
failed=0

# check REASON COMMAND...: what the command prints are offences.
check() {
	local reason=$1 found
	shift
	found=$("$@")
	if [ -z "$found" ]; then
		passed=$((passed + 1))
		printf 'ok    %s\n' "$reason"
	else
		failed=$((failed + 1))
		printf 'FAIL  %s\n' "$reason"
		printf '%s\n' "$found" | sed 's/^/      /'
	fi
}

rooms="common schema uploader gateway collector cli"
# shellcheck disable=SC2086  # the rooms' names, split on purpose
{
	mapfile -t sources < <(find $rooms test/unit test/fuzz -name '*.[ch]' | sort)
	mapfile -t headers < <(find $rooms test/unit -name '*.h' | sort)
}
mapfile -t texts < <(git ls-files --cached --others --exclude-standard |
	grep -vE '^test/fuzz/seeds/|\.(pcap|pcapng|bin|pem)$|^LICENSE$' | while read -r f; do [ -f "$f" ] && echo "$f"; done)

# Uses go one way (design, section 1): what a room may include of ours.
includes_beyond() { # ROOM "ALLOWED|ALLOWED"
	grep -rnE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$1" | grep -vE "\"($2)/[^\"]*\""
}
for uses in "common" "schema|common" "uploader|schema|common" "gateway|uploader|schema|common" \
	"collector|schema|common" "cli|schema|common"; do
	check "${uses%%|*}/ includes only from ${uses//|/, }, by the path from the top" includes_beyond "${uses%%|*}" "$uses"
done

included_outside() { # HEADER ROOM
	grep -nE "#[[:space:]]*include[[:space:]]*[<\"]$1[>\"]" "${sources[@]}" | grep -vE "^($2|test)[/:]"
}
check "sqlite3.h only in schema/: one place speaks SQL" included_outside "sqlite3\.h" schema
check "pcap.h only in collector/: one program captures" included_outside "pcap(/pcap)?\.h" collector
check "libs3.h only in libs3_call.c: what it gets wrong is made up for in one place" included_outside "libs3\.h" "uploader/s3/libs3_call.c"

calls() { # NAMES: a call of these, outside of comments
	grep -nE "(^|[^A-Za-z0-9_.>])($1)[[:space:]]*\(" "${sources[@]}" | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/?\*|//)'
}
no_call() { # REASON NAMES
	check "no ${2//|/, }: $1" calls "$2"
}
no_call "they write without a bound" "strcpy|strcat|sprintf|vsprintf|gets|stpcpy"
no_call "they leave the end open or count the wrong thing; snprintf or memcpy" "strncpy|strncat"
no_call "they do not say when the text is no number; common/parse.h" "atoi|atol|atoll|atof|sscanf"
no_call "no shell and no search path between a user's text and a program" "system|popen|execlp|execvp"
no_call "the name can be taken before the file is made" "tmpnam|tempnam|mktemp"
no_call "they keep their answer where another thread writes" "strtok|localtime|gmtime|ctime|asctime|inet_ntoa|gethostbyname"
no_call "guessable; common/id.h and getrandom" "rand|srand|random|drand48"
no_call "a length from outside must not move the stack" "alloca"

spaces_at_end() {
	grep -nIE '[[:space:]]+$' "${texts[@]}"
}
put_off() {
	grep -nIE '(^|[^A-Za-z])(TODO|FIXME|XXX)([^A-Za-z]|$)' "${texts[@]}" | grep -v '^test/check-source.sh:'
}
spaces_before_code() {
	grep -nP '^( +\t| {8})' "${sources[@]}"
}
bad_headers() {
	local header guard
	for header in "${headers[@]}"; do
		head -n 1 "$header" | grep -qF "/* $(basename "$header") - " ||
			echo "$header: does not begin with \"/* $(basename "$header") - what it is\""
		guard=PCAPLINE_$(echo "$header" | tr 'a-z/.-' 'A-Z___')
		grep -qx "#ifndef $guard" "$header" || echo "$header: guard is not $guard"
		grep -qx "#define $guard" "$header" || echo "$header: guard $guard is not set"
	done
}
executables() {
	git ls-files --stage | grep '^100755' | cut -f2 | grep -vE '\.(sh|py)$|^\.ci/run$|^bosh/'
}
check "no space at the end of a line" spaces_at_end
check "nothing put off in a comment" put_off
check "tabs indent C" spaces_before_code
check "headers open with what they are, and are guarded by their path's name" bad_headers
check "only scripts are executable" executables

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
