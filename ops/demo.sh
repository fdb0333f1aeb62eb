#!/usr/bin/env bash
# demo.sh - Pcapline in one go, as `make demo` runs it: two network namespaces with an agent in each and HTTP between them, a
# gateway on loopback with its embedded defaults (SQLite, files), a live and a stored capture through the pcap command, and
# what common tools say about the files.  Everything is removed at the end; KEEP=1 leaves it running and says how to go on.
#   ops/demo.sh              BUILD=build: where the programs are
#   ops/demo.sh stop DIR     ends what KEEP=1 left
# Without the right to make namespaces both agents and the traffic are on the loopback device.
set -eu
cd "$(dirname "$0")/.."
BUILD=$(realpath "${BUILD:-build}")
PORT=8080

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
plain_say() { printf '\n== %s\n' "$*"; }
[ -t 1 ] || say() { plain_say "$@"; }
run() {
	printf '$ %s\n' "$(printf '%s ' "$@" | sed "s#$BUILD/##; s# \$##")"
	"$@"
}
die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

end_process() { # PID: asked, and after five seconds made to
	kill "$1" 2>/dev/null || return 0
	for _ in $(seq 50); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -9 "$1" 2>/dev/null || true
}
clean_up() { # of the demo in $dir: newest first; nothing of it may fail the rest
	local line
	[ -e "$dir/made" ] && tac "$dir/made" | while read -r line; do
		case $line in
		"pid "*) end_process "${line#pid }" ;;
		"namespace "*) ip netns del "${line#namespace }" 2>/dev/null || true ;;
		"link "*) ip link del "${line#link }" 2>/dev/null || true ;;
		esac
	done
	rm -rf "$dir"
}

if [ "${1:-}" = stop ]; then
	dir=${2:?usage: ops/demo.sh stop DIR}
	[ -e "$dir/made" ] || die "$dir is not a demo that runs"
	clean_up
	exit 0
fi

for program in pcap pcap-agent pcap-gateway; do
	[ -x "$BUILD/$program" ] || die "$BUILD/$program is not there; run make first"
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/pcapline-demo.XXXXXX")
on_exit() {
	local code=$?
	if [ "$code" != 0 ]; then
		for log in "$dir"/*.log; do
			[ -s "$log" ] && printf -- '--- %s\n' "$log" >&2 && tail -n 15 "$log" >&2
		done
	fi
	if [ "$code" != 0 ] || [ -z "${KEEP:-}" ]; then
		clean_up
	fi
	exit "$code"
}
trap on_exit EXIT
trap 'exit 130' INT TERM

background() { # NAME COMMAND...: runs on, its words in $dir/NAME.log
	local name=$1
	shift
	"$@" >"$dir/$name.log" 2>&1 </dev/null &
	newest=$!
	echo "pid $newest" >>"$dir/made"
}
wait_until() { # WHAT COMMAND...: until the command succeeds; WHAT is the newest background program
	local what=$1
	shift
	for _ in $(seq 200); do
		"$@" >/dev/null 2>&1 && return 0
		kill -0 "$newest" 2>/dev/null || die "$what ended at once, its log says why"
		sleep 0.1
	done
	die "$what did not come up"
}
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# ---- the two hosts: web/0 serves, web/1 asks ----
subnet=10.201.$((RANDOM % 250 + 1))
tag=pcd$$
inside=(env env) # how to run a command on host 0 and 1
make_namespaces() {
	ip netns add "$tag-0" 2>/dev/null || return 1
	echo "namespace $tag-0" >>"$dir/made"
	ip netns add "$tag-1"
	echo "namespace $tag-1" >>"$dir/made"
	ip link add "$tag" type bridge && echo "link $tag" >>"$dir/made"
	ip addr add "$subnet.1/24" dev "$tag"
	ip link set "$tag" up
	local i
	for i in 0 1; do
		ip link add "${tag}v$i" type veth peer name eth0 netns "$tag-$i"
		echo "link ${tag}v$i" >>"$dir/made"
		ip link set "${tag}v$i" master "$tag" up
		ip -n "$tag-$i" addr add "$subnet.1$i/24" dev eth0
		ip -n "$tag-$i" link set lo up
		ip -n "$tag-$i" link set eth0 up
	done
}
say "Hosts"
if make_namespaces; then
	device=eth0
	inside=("ip netns exec $tag-0" "ip netns exec $tag-1")
	hosts=("$subnet.10" "$subnet.11")
	ports=(9494 9494)
	echo "two network namespaces: web/0 at ${hosts[0]} serves HTTP, web/1 at ${hosts[1]} asks; an agent in each"
else
	device=lo
	hosts=(127.0.0.1 127.0.0.1)
	ports=("$(free_port)" "$(free_port)")
	PORT=$(free_port)
	echo "network namespaces are not allowed here (run as root for them): both agents and the traffic are on the loopback device"
fi

say "Development certificates: ops/dev-certs.sh"
ops/dev-certs.sh "$dir/certs"
ls "$dir/certs"

# ---- agents, traffic, gateway ----
for i in 0 1; do
	cat >"$dir/agent-$i.yml" <<-YAML
		listen:
		  address: ${hosts[i]}
		  port: ${ports[i]}
		tls:
		  certificate: $dir/certs/agent.pem
		  private_key: $dir/certs/agent.key
		  client_ca: $dir/certs/ca.pem
	YAML
	# shellcheck disable=SC2086  # "ip netns exec NAME", split on purpose
	background "agent-$i" ${inside[i]} "$BUILD/pcap-agent" --config "$dir/agent-$i.yml"
	wait_until "agent $i" curl -sS --noproxy '*' --cacert "$dir/certs/ca.pem" --cert "$dir/certs/gateway-client.pem" \
		--key "$dir/certs/gateway-client.key" --connect-to "pcap-agent:${ports[i]}:${hosts[i]}:${ports[i]}" \
		"https://pcap-agent:${ports[i]}/v1/info"
done

mkdir "$dir/www"
seq 2000 >"$dir/www/numbers.txt"
# shellcheck disable=SC2086
background www ${inside[0]} python3 -m http.server "$PORT" --bind "${hosts[0]}" --directory "$dir/www"
wait_until "the web server" curl -sS --noproxy '*' -o /dev/null "http://${hosts[0]}:$PORT/"
# shellcheck disable=SC2086,SC2016
background client ${inside[1]} sh -c 'while sleep 0.2; do curl -sS --noproxy "*" -o /dev/null "$1"; done' client "http://${hosts[0]}:$PORT/numbers.txt"

token=$(openssl rand -hex 24)
cat >"$dir/tokens.yml" <<-YAML
	tokens:
	- sha256: $(printf %s "$token" | sha256sum | cut -d' ' -f1)
	  user_id: demo
	  user_name: Demo User
	  operator: true
YAML
cat >"$dir/inventory.yml" <<-YAML
	groups:
	- name: web
	  users: [demo]
	  instances:
	  - {id: "0", agent: "${hosts[0]}:${ports[0]}"}
	  - {id: "1", agent: "${hosts[1]}:${ports[1]}"}
YAML
gateway_port=$(free_port)
cat >"$dir/gateway.yml" <<-YAML
	listen:
	  address: 127.0.0.1
	  port: $gateway_port
	agents:
	  ca: $dir/certs/ca.pem
	  certificate: $dir/certs/gateway-client.pem
	  private_key: $dir/certs/gateway-client.key
	state_dir: $dir/state
	inventory: $dir/inventory.yml
	tokens: $dir/tokens.yml
YAML
mkdir -m 0700 "$dir/state"
background gateway "$BUILD/pcap-gateway" --config "$dir/gateway.yml"
export PCAP_GATEWAY=http://127.0.0.1:$gateway_port PCAP_TOKEN=$token
wait_until "the gateway" curl -fsS --noproxy '*' "$PCAP_GATEWAY/readyz"
pcap=$BUILD/pcap
(umask 077 && printf 'export PCAP_GATEWAY=%s PCAP_TOKEN=%s PATH=%s:"$%s"\n' "$PCAP_GATEWAY" "$PCAP_TOKEN" "$BUILD" PATH >"$dir/env")
run "$pcap" info

filter=(tcp port "$PORT")
say "Live: the packets of both instances, merged by time, straight into a file"
run "$pcap" host web -i "$device" -c 60 --duration 30s -w "$dir/live.pcapng" "${filter[@]}"

say "Live into a pipe: tshark decodes while it runs"
fields=(-T fields -e frame.time_relative -e frame.interface_name -e ip.src -e ip.dst -e http.request.uri -e http.response.code)
echo "$ pcap host web -i $device -c 60 --duration 30s -w - ${filter[*]} | tshark -r - -Y http"
"$pcap" host web -i "$device" -c 60 --duration 30s -w - "${filter[@]}" | tshark -l -r - -Y http "${fields[@]}" 2>/dev/null

say "Stored: the gateway keeps it, you may close the laptop"
run "$pcap" host web -i "$device" --store --wait --duration 3s "${filter[@]}"
run "$pcap" jobs
job=$("$pcap" jobs --json | python3 -c '
import json, sys
jobs = json.load(sys.stdin)
jobs = jobs.get("captures", jobs.get("jobs")) if isinstance(jobs, dict) else jobs
print(next(j["id"] for j in jobs if j["state"] == "ready"))')

say "A signed link: whoever holds it can fetch the file, without an account, until it expires"
echo "$ pcap link $job"
url=$("$pcap" link "$job")
echo "$url"
run curl -sS --noproxy 127.0.0.1 -o "$dir/stored.pcapng" "$url"

say "What came out"
for file in live stored; do
	run capinfos -M -t -E -c -u "$dir/$file.pcapng"
	run tshark -r "$dir/$file.pcapng" -q -z io,phs 2>/dev/null
done
echo "$ tshark -r $dir/stored.pcapng -Y http | head"
tshark -r "$dir/stored.pcapng" -Y http "${fields[@]}" 2>/dev/null | head
packets=$(tshark -r "$dir/stored.pcapng" -Y "tcp.port == $PORT" 2>/dev/null | wc -l)
[ "$packets" -gt 0 ] || die "the stored file holds no packet of the traffic"

if [ -n "${KEEP:-}" ]; then
	say "Still running; in another shell:"
	cat <<-TEXT
		. $dir/env
		pcap host web -i $device -w - ${filter[*]} | wireshark -k -i -
		pcap host web/0 -i any -c 10 -w any.pcapng
		pcap host web --store ; pcap jobs ; pcap stop JOB ; pcap download JOB
		pcap admin jobs
		logs: $dir/*.log
		the end: ops/demo.sh stop $dir
	TEXT
else
	say "Done; all of it is removed again (make demo KEEP=1 leaves it running)"
fi
