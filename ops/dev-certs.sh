#!/usr/bin/env bash
# dev-certs.sh DIR [NAME...] - the certificates that a try-out needs, by openssl: a private CA, and signed by it
#   agent            server of every pcap-agent       DNS:pcap-agent
#   gateway-client   the gateway towards the agents   DNS:pcap-gateway, clientAuth
#   gateway          the gateway's public port        DNS:localhost, IP:127.0.0.1, IP:::1, and each NAME (host or address)
# each as DIR/NAME.pem and DIR/NAME.key (EC P-256, 0600), the CA as DIR/ca.pem and DIR/ca.key.  What is there and good for
# another day stays as it is, but for a gateway that is to bear other names.  For development: a real platform brings its own CA.
set -eu
[ $# -ge 1 ] || {
	echo "usage: ops/dev-certs.sh DIR [NAME...]" >&2
	exit 2
}
umask 077
mkdir -p "$1"
cd "$1"
shift

names=DNS:localhost,IP:127.0.0.1,IP:::1
for name; do
	case $name in
	*:*) names=$names,IP:$name ;;
	*[!0-9.]*) names=$names,DNS:$name ;;
	*) names=$names,IP:$name ;;
	esac
done

is_good() { # NAME: there, good for another day, and ours?
	[ -s "$1.key" ] && openssl x509 -in "$1.pem" -noout -checkend 86400 >/dev/null 2>&1 &&
		openssl verify -CAfile ca.pem "$1.pem" >/dev/null 2>&1
}

new_key() {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
}

is_good ca || {
	new_key ca
	openssl req -x509 -new -key ca.key -sha256 -days 365 -subj "/O=Pcapline development/CN=Pcapline development CA" \
		-addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.pem
}

leaf() { # NAME EXTENDED-KEY-USAGE SUBJECT-ALT-NAME
	is_good "$1" && return
	new_key "$1"
	openssl req -new -key "$1.key" -subj "/O=Pcapline development/CN=$1" -out "$1.csr"
	printf '%s\n' "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" \
		"extendedKeyUsage=$2" "subjectAltName=$3" >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -sha256 -days 365 \
		-extfile "$1.ext" -out "$1.pem" 2>/dev/null
	rm -f "$1.csr" "$1.ext"
}

leaf agent serverAuth DNS:pcap-agent
leaf gateway-client clientAuth DNS:pcap-gateway
[ $# = 0 ] || rm -f gateway.pem
leaf gateway serverAuth "$names"
chmod 600 ./*.key
