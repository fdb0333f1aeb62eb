#!/usr/bin/env bash
# Installs what Pcapline needs from Debian 12: by default what `make` and `make demo` need; --check adds what `make check`
# needs, --bench what `make bench` needs.  Does nothing, and asks apt nothing, when all of it is there; so it also runs
# without root and without a network then.
set -eu

build="gcc make pkg-config libc6-dev libmicrohttpd-dev libgnutls28-dev libpcap-dev libjansson-dev libcjose-dev libcyaml-dev libyaml-dev
	libcurl4-openssl-dev libxml2-dev libs3-dev libsqlite3-dev libssl-dev libcap-ng-dev"
demo="openssl iproute2 curl ca-certificates python3 tshark wireshark-common procps"
check="libcmocka-dev clang clang-tidy clang-format libclang-rt-14-dev libfuzzer-14-dev cppcheck shellcheck git
	python3-pytest python3-cryptography python3-yaml tcpdump nftables util-linux libcap2-bin runc busybox-static
	radosgw ceph-mon ceph-osd python3-boto3 python3-jsonschema prometheus chromium chromium-driver python3-selenium"
bench="iperf3 netsniff-ng openssh-server openssh-client util-linux s3cmd"

die() {
	printf 'install-deps: %s\n' "$*" >&2
	exit 1
}

wanted="$build $demo"
for arg in "$@"; do
	case $arg in
	--check) wanted="$wanted $check" ;;
	--bench) wanted="$wanted $check $bench" ;;
	-h | --help)
		echo "usage: ops/install-deps.sh [--check] [--bench]"
		exit 0
		;;
	*) die "unknown argument '$arg' (known: --check, --bench)" ;;
	esac
done

command -v dpkg-query >/dev/null || die "this is no Debian system; install by hand what these packages hold: $wanted"

missing=""
for package in $wanted; do
	status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || die "no apt-get here; install by hand:$missing"
[ "$(id -u)" = 0 ] || die "not root; run as root, or first: sudo apt-get install --no-install-recommends$missing"

echo "install-deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
own_policy=""
trap 'rm -f "$log"; [ -z "$own_policy" ] || rm -f "$policy"' EXIT
# Some packages bring a service of which only a tool is wanted here (prometheus: promtool; ceph): none of them is started.
if [ ! -e "$policy" ]; then
	own_policy=1
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
# shellcheck disable=SC2086  # the list is made of plain package names, split on purpose
{
	apt-get -qq update && apt-get -qq -y --no-install-recommends install $missing
} >"$log" 2>&1 </dev/null || {
	tail -n 30 "$log" >&2
	die "apt-get failed, its last lines are above"
}
# Nor when the machine starts the next time.
case " $missing " in
*" prometheus "*) ! command -v systemctl >/dev/null || systemctl --quiet disable prometheus.service >/dev/null 2>&1 || true ;;
esac
