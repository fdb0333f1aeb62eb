"""Who is asking: signed tokens of issuers.  What is right comes in, and of the rest nothing, each for its own reason; keys change and issuers go away while the gateway runs."""
import base64
import concurrent.futures
import json
import signal
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rig import PORT, read_pcapng, wait_for
from rig.issuer import assemble, b64, new_rsa, public_jwk
from rig.wait import SLOW

PEM = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
WRONG = "the token is not valid here"


def ask(gateway, token, path="/v1/captures"):
    return gateway.api("GET", path, user=None, token=token)


def verdicts(gateway, rows):
    """rows: (name, token, status, code, text within the message); all are tried, all faults shown; a good one still comes in afterwards."""
    faults = []
    for name, token, status, code, text in rows:
        reply = ask(gateway, token)
        error = reply.error if reply.status != 200 else {"code": None, "message": ""}
        if (reply.status, error["code"]) != (status, code) or text not in error["message"]:
            faults.append(f"{name}: {reply.status} {error['code']} {error['message']!r}, due was {status} {code} {text!r}")
        if reply.status == 401 and "WWW-Authenticate" not in {k.title().replace("Www", "WWW") for k in reply.headers}:
            faults.append(f"{name}: 401 without WWW-Authenticate")
        if len(token) > 8 and token in reply.body.decode():
            faults.append(f"{name}: the answer repeats the token")
    assert not faults, "\n".join(faults)


@pytest.fixture
def uaa(issuers):
    return issuers()


@pytest.fixture
def gateway(gateways, uaa):
    return gateways({}, issuers=[uaa.entry(operator_scopes=["pcap.admin"])])


def good(gateway, uaa):
    reply = ask(gateway, uaa.token())
    assert reply.status == 200, reply


# ---- right ones ----

def test_who_comes_in(gateway, uaa):
    verdicts(gateway, [
        ("a person", uaa.token(), 200, None, ""),
        ("the other key", uaa.token(kid="key-2"), 200, None, ""),
        ("RS384", uaa.token(alg="RS384"), 401, "auth", WRONG),  # the key says that it is for RS256
        ("no kid", uaa.token(header={"kid": None}), 200, None, ""),
        ("a client", uaa.token("ci", client="ci"), 200, None, ""),
        ("a static one", gateway.tokens["alice"], 200, None, ""),
        ("within the leeway", uaa.token(exp=int(time.time()) - 10), 200, None, ""),
        ("fractions of seconds", uaa.token(exp=time.time() + 60.5, iat=time.time() - 0.5), 200, None, ""),
        ("aud as one text", uaa.token(aud="cloud_controller"), 200, None, ""),
        ("a name that cannot be shown", uaa.token(user_name="x\x1b[2J"), 200, None, ""),
    ])
    assert ask(gateway, uaa.token(), "/v1/admin/captures").status == 403
    assert ask(gateway, uaa.token(scope=["cloud_controller.read", "pcap.admin"]), "/v1/admin/captures").status == 200
    assert ask(gateway, uaa.token(scope=["cloud_controller.read", "pcap.administrator", "xpcap.admin"]), "/v1/admin/captures").status == 403
    info = gateway.api("GET", "/v1/info", user=None).json["login"]
    assert info == {"type": "bearer", "issuers": [{"name": "cf", "issuer": uaa.issuer, "url": uaa.url}]}
    assert uaa.asked.count("/token_keys") <= 2, "the keys are kept"


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384"])
def test_algorithms(issuers, gateways, alg):
    key = {"ES256": lambda: ec.generate_private_key(ec.SECP256R1()), "ES384": lambda: ec.generate_private_key(ec.SECP384R1())}.get(alg, new_rsa)()
    uaa = issuers(keys={"k": key})
    uaa.jwks = {"keys": [public_jwk(key, "k", alg)]}
    gateway = gateways({}, issuers=[uaa.entry()])
    assert ask(gateway, uaa.token(alg=alg)).status == 200
    broken = uaa.token(alg=alg)
    broken = broken[:-6] + ("AAAAAA" if broken[-6:] != "AAAAAA" else "BBBBBB")
    assert ask(gateway, broken).status == 401


@pytest.mark.parametrize("alg", ["PS384", "PS512", "ES512", "HS256", "EdDSA", "none"])
def test_algorithms_that_are_not_taken(issuers, gateways, alg):
    """Though the issuer itself offered them."""
    key = ec.generate_private_key(ec.SECP521R1()) if alg == "ES512" else new_rsa()
    uaa = issuers(keys={"k": new_rsa(), "other": key})
    uaa.jwks = {"keys": [public_jwk(uaa.keys["k"], "k"), public_jwk(key, "other", alg)]}
    gateway = gateways({}, issuers=[uaa.entry()])
    forged = assemble({"alg": alg, "kid": "other"}, uaa.claims(), b"secret" if alg[0] == "H" else key, "RS256" if alg == "EdDSA" else alg)
    verdicts(gateway, [("forged", forged, 401, "auth", WRONG), ("good", uaa.token(), 200, None, "")])


# ---- wrong ones ----

def tampered(token, part, change):
    parts = token.split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


def test_hostile_tokens(gateway, uaa, issuers, pki):
    other = issuers("other")
    stranger = new_rsa()
    good_one = uaa.token()
    head = {"alg": "RS256", "kid": "key-1"}
    key = uaa.keys["key-1"]
    pem = key.public_key().public_bytes(*PEM)
    rows = [
        ("none", assemble({"alg": "none"}, uaa.claims(), key)),
        ("none, of a known key", assemble({"alg": "none", "kid": "key-1"}, uaa.claims(), key)),
        ("none, with a signature", assemble({"alg": "none", "kid": "key-1"}, uaa.claims(), key, "RS256")),
        *[(f"alg {a!r}", assemble({"alg": a, "kid": "key-1"}, uaa.claims(), key, "RS256")) for a in ("None", "NONE", "nOnE", "", "rs256", "RS1", 5, None, [])],
        ("no alg", assemble({"kid": "key-1"}, uaa.claims(), key, "RS256")),
        ("HS256 with the public key", assemble({"alg": "HS256", "kid": "key-1"}, uaa.claims(), pem)),
        ("HS256 with the public key, trimmed", assemble({"alg": "HS256", "kid": "key-1"}, uaa.claims(), pem.strip())),
        ("HS256 with the modulus", assemble({"alg": "HS256", "kid": "key-1"}, uaa.claims(), b64(key.public_key().public_numbers().n).encode())),
        ("HS256 with nothing", assemble({"alg": "HS256"}, uaa.claims(), b"")),
        ("a stranger's key of a known id", assemble(head, uaa.claims(), stranger)),
        ("a key of the other issuer with the same id", assemble(head, uaa.claims(), other.keys["key-1"])),
        ("the other issuer, known here by nobody", other.token()),
        ("the other key's id", assemble({"alg": "RS256", "kid": "key-2"}, uaa.claims(), key)),
        ("an unknown kid", assemble({"alg": "RS256", "kid": "key-9"}, uaa.claims(), stranger)),
        *[(f"kid {k!r}", assemble({"alg": "RS256", "kid": k}, uaa.claims(), key)) for k in (5, None, [], {}, True, "x" * 300, "key-1\0", "key-1\0x")],
        *[(f"kid {k!r}", assemble({"alg": "RS256", "kid": k}, uaa.claims(), stranger))
          for k in ("../../../dev/null", "' OR 1=1 --", "key-1,key-2", "*", "/token_keys")],
        ("jku of a stranger", assemble({**head, "jku": other.url + "/token_keys"}, uaa.claims(), other.keys["key-1"])),
        ("jku of a stranger and no kid", assemble({"alg": "RS256", "jku": other.url + "/token_keys"}, uaa.claims(), other.keys["key-1"])),
        ("x5u of a stranger", assemble({**head, "x5u": other.url + "/x"}, uaa.claims(), other.keys["key-1"])),
        ("a key within", assemble({**head, "jwk": public_jwk(stranger, "key-1")}, uaa.claims(), stranger)),
        ("a certificate within", assemble({**head, "x5c": [certificate(stranger)]}, uaa.claims(), stranger)),
        ("crit", assemble({**head, "crit": ["exp"]}, uaa.claims(), key)),
        ("b64", assemble({**head, "b64": False, "crit": ["b64"]}, uaa.claims(), key)),
        ("b64 alone", assemble({**head, "b64": False}, uaa.claims(), key)),
        ("alg twice", assemble(b'{"alg":"none","alg":"RS256","kid":"key-1"}', uaa.claims(), key, "RS256")),
        ("iss twice", assemble(head, json.dumps(uaa.claims()).replace('{', '{"iss":"x",', 1).encode(), key)),
        ("header no object", assemble(b'["RS256"]', uaa.claims(), key, "RS256")),
        ("header deep", assemble(b'{"alg":"RS256","a":' + b"[" * 3000 + b"]" * 3000 + b"}", uaa.claims(), key, "RS256")),
        ("claims no object", assemble(head, b"[]", key)),
        ("claims no JSON", assemble(head, b"\xff\xfe", key)),
        ("claims with a NUL", assemble(head, json.dumps(uaa.claims()).encode() + b"\0", key)),
        ("claims deep", assemble(head, b'{"iss":' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}", key)),
        ("iss of somebody else", uaa.token(iss=other.issuer)),
        ("iss with a slash", uaa.token(iss=uaa.issuer + "/")),
        ("iss of another case", uaa.token(iss=uaa.issuer.upper())),
        ("iss cut", uaa.token(iss=uaa.issuer[:-1])),
        ("iss as a list", uaa.token(iss=[uaa.issuer])),
        ("iss with a NUL", uaa.token(iss=uaa.issuer + "\0")),
        ("no iss", uaa.token(iss=None)),
        ("another claim, the old signature", tampered(good_one, 1, lambda _: b64(json.dumps(uaa.claims("root")).encode()))),
        ("another header, the old signature", tampered(good_one, 0, lambda _: b64(json.dumps({"alg": "RS256", "kid": "key-1", "x": 1}).encode()))),
        ("no signature", tampered(good_one, 2, lambda _: "")),
        ("half a signature", tampered(good_one, 2, lambda s: s[:len(s) // 2])),
        ("a signature and more", tampered(good_one, 2, lambda s: s + "AAAA")),
        ("a signature of zeros", tampered(good_one, 2, lambda s: "A" * len(s))),
        ("standard base64", tampered(good_one, 1, lambda s: base64.b64encode(base64.urlsafe_b64decode(s + "==")).decode())),
        ("four parts", good_one + ".AAAA"), ("five parts, as of JWE", good_one + ".AAAA.AAAA"), ("two parts", good_one.rsplit(".", 1)[0]),
        ("dots", ".."), ("a dot", "."), ("parts of one character", "A.A.A"), ("garbage", "x" * 400), ("1 character", "x"),
        ("opaque, as of UAA", "0b6f2c1e9a7d4f5c8e3b"), ("20 KB", "e" * 20000 + ".e.e"),
        ("16 KB and one", "e30." + "e" * 16380 + ".e"), ("JSON serialisation", json.dumps({"payload": "e30", "signatures": []})),
    ]
    rows = [(name, token, 401, "auth", WRONG) for name, token in rows]
    verdicts(gateway, rows)
    for size in (40_000, 1 << 20):  # the server's own limit of headers comes first
        reply = ask(gateway, "e" * size + ".e.e")
        assert reply.status in (400, 431), reply
    assert other.asked == [], "nobody's jku is followed"
    good(gateway, uaa)


def certificate(key):
    from datetime import datetime, timedelta
    name = x509.Name([])
    now = datetime.utcnow()
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1).not_valid_before(now)
            .not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256()))
    return base64.b64encode(cert.public_bytes(serialization.Encoding.DER)).decode()


def test_claims(gateway, uaa):
    """Well signed, and still not for us: told why, since the asker has proved to be somebody."""
    now = int(time.time())
    rows = [
        ("expired by a second", {"exp": now - 31}, "auth", "has expired"),
        ("long expired", {"exp": 1}, "auth", "has expired"),
        ("never expires", {"exp": None}, "auth", "when it expires"),
        *[(f"exp {e!r}", {"exp": e}, "auth", "when it expires") for e in (str(now + 60), [now + 60], True, -1, 1e300, {"a": 1})],
        ("not yet", {"nbf": now + 90}, "auth", "not valid yet"),
        ("of tomorrow", {"iat": now + 86400, "exp": now + 90000}, "auth", "not valid yet"),
        ("iat as text", {"iat": "now"}, "auth", "no time"),
        ("nbf as text", {"nbf": "0"}, "auth", "no time"),
        ("another audience", {"aud": ["cf", "openid"]}, "auth", "something else"),
        ("an audience that begins alike", {"aud": ["cloud_controller_v9", "cloud_controller.x", "xcloud_controller"]}, "auth", "something else"),
        ("no audience", {"aud": None}, "auth", "something else"),
        ("an empty audience", {"aud": []}, "auth", "something else"),
        *[(f"aud {a!r}", {"aud": a}, "auth", "something else") for a in (5, {"cloud_controller": 1}, [["cloud_controller"]], "", "cloud_controller ")],
        ("a refresh token", {"jti": "0b6f2c1e-r"}, "auth", "refresh token"),
        ("no jti", {"jti": None}, "auth", "jti"),
        ("jti as a number", {"jti": 5}, "auth", "jti"),
        ("an ID token by its nonce", {"nonce": "n"}, "auth", "ID token"),
        ("an ID token by its hash", {"at_hash": "n"}, "auth", "ID token"),
        ("an ID token as UAA makes them", {"scope": ["openid"], "aud": ["cf", "cloud_controller"]}, "auth", "ID token"),
        ("an ID token by its lack of scope", {"scope": None, "aud": ["cf", "cloud_controller"]}, "auth", "ID token"),
        ("two people", {"sub": "somebody-else"}, "auth", "whose it is"),
        *[(f"user_id {u!r}", {"user_id": u}, "auth", "whose it is") for u in ("", 5, ["x"], {})],
        ("an id with a line break", {"user_id": "a\nb", "sub": "a\nb"}, "auth", "whose it is"),
        ("an id with a NUL", {"user_id": "a\0b", "sub": "a\0b"}, "auth", WRONG),
        ("an id of 201 bytes", {"user_id": "a" * 201, "sub": "a" * 201}, "auth", "whose it is"),
    ]
    found = []
    for name, claims, code, text in rows:
        reply = ask(gateway, uaa.token(**claims))
        if code == "auth" and text == "has expired":
            code = "token_expired"
        if reply.status != 401 or reply.error["code"] != code or text not in reply.error["message"]:
            found.append(f"{name}: {reply}")
    assert not found, "\n".join(found)
    good(gateway, uaa)


def test_scopes_and_audiences(gateways, issuers):
    cf, bosh = issuers("cf"), issuers("bosh", keys={"key-1": new_rsa()})
    gateway = gateways({}, issuers=[
        cf.entry(required_scopes=["network.capture", "openid"], operator_scopes=["pcap.admin"], clients=False),
        bosh.entry(audience=["bosh.*"]),
    ])
    all_of = ["openid", "network.capture", "cloud_controller.read"]
    verdicts(gateway, [
        ("all", cf.token(scope=all_of), 200, None, ""),
        ("all and more", cf.token(scope=[*all_of, "pcap.admin"]), 200, None, ""),
        ("one is missing", cf.token(scope=all_of[1:]), 403, "scope_missing", '"openid"'),
        ("the other is missing", cf.token(scope=["openid", "cloud_controller.read", "network.capture.x", "network.captur"]), 403, "scope_missing",
         '"network.capture"'),
        ("operators need it too", cf.token(scope=["cloud_controller.read", "pcap.admin"]), 403, "scope_missing", "network.capture"),
        ("scopes in another claim", cf.token(scope=["cloud_controller.read"], authorities=all_of), 403, "scope_missing", "network.capture"),
        ("scopes within one", cf.token(scope=["cloud_controller.read", " ".join(all_of)]), 403, "scope_missing", "network.capture"),
        ("a client", cf.token("ci", client="ci", scope=all_of), 403, "client_token", "people"),
        ("a client by its grant alone", cf.token(grant_type="client_credentials", scope=all_of), 403, "client_token", "people"),
        ("bosh admin", bosh.token(scope=["bosh.admin"]), 200, None, ""),
        ("bosh team", bosh.token(scope=["bosh.teams.red.admin"]), 200, None, ""),
        ("bosh by uuid", bosh.token(scope=["bosh.b4f1c0de-1111-4222-8333-444455556666.admin"]), 200, None, ""),
        ("not bosh", bosh.token(scope=["boshx.admin", "xbosh.admin"]), 401, "auth", "something else"),
        ("a token of cf said to be of bosh", assemble({"alg": "RS256", "kid": "key-1"}, bosh.claims(scope=["bosh.admin"]), cf.keys["key-1"]), 401, "auth",
         WRONG),
        ("a token of bosh said to be of cf", assemble({"alg": "RS256", "kid": "key-1"}, cf.claims(scope=all_of), bosh.keys["key-1"]), 401, "auth", WRONG),
    ])


def test_any_openid_issuer(gateways, issuers):
    """Not only UAA: scope as one text, names by other claims, clients by RFC 9068."""
    idp = issuers("corp", keys={"a": ec.generate_private_key(ec.SECP256R1())})
    gateway = gateways({}, issuers=[idp.entry(kind="oidc", audience=["pcapline"], operator_scopes=["ops"], clients=False)])

    def token(**more):
        return idp.token(**{"aud": "pcapline", "user_id": None, "cid": None, "zid": None, "rev_sig": None, "client_id": "web", **more})

    verdicts(gateway, [
        ("a person", token(), 200, None, ""),
        ("without jti", token(jti=None), 200, None, ""),
        ("a client", token(sub="web"), 403, "client_token", "people"),
        ("of nobody", token(sub=None), 401, "auth", "whose"),
        ("Keycloak's refresh token", token(typ="Refresh"), 401, "auth", "refresh token"),
        ("Keycloak's offline token", token(typ="Offline"), 401, "auth", "refresh token"),
        ("Keycloak's ID token", token(typ="ID"), 401, "auth", "ID token"),
        ("for another", token(aud=["web"]), 401, "auth", "something else"),
    ])
    operator = idp.claims(aud="pcapline", user_id=None, client_id="web")
    operator.update(scope="openid ops profile")
    operator = assemble({"alg": "ES256", "kid": "a"}, operator, idp.keys["a"])
    assert ask(gateway, operator, "/v1/admin/captures").status == 200


# ---- keys ----

def test_keys_are_rotated(gateways, issuers):
    uaa = issuers()
    gateway = gateways({}, issuers=[uaa.entry(refresh="1s")])
    old = uaa.token()
    assert ask(gateway, old).status == 200
    uaa.keys["key-3"] = new_rsa()
    time.sleep(0.15)
    assert ask(gateway, uaa.token(kid="key-3")).status == 200, "a new key is looked for when a token names it"
    del uaa.keys["key-1"]
    wait_for(lambda: ask(gateway, old).status == 401, "the removed key to be forgotten", timeout_s=20)
    assert ask(gateway, uaa.token(kid="key-3")).status == 200
    uaa.keys["key-3"] = new_rsa()
    wait_for(lambda: ask(gateway, uaa.token(kid="key-3")).status == 200, "a new key of the old id to be found", timeout_s=20)


def test_forged_ids_do_not_hammer_the_issuer(gateways, issuers):
    uaa = issuers()
    gateway = gateways({}, issuers=[uaa.entry(retry="10m")])
    good(gateway, uaa)
    before = len(uaa.asked)
    for i in range(50):
        reply = ask(gateway, assemble({"alg": "RS256", "kid": f"key-{i + 10}"}, uaa.claims(), uaa.keys["key-1"]))
        assert reply.status == 401, reply
    assert len(uaa.asked) == before


@pytest.mark.slow
def test_issuer_is_away(gateways, issuers):
    """Known keys go on; what cannot be known is 503, and never an open door."""
    uaa = issuers()
    gateway = gateways({}, issuers=[uaa.entry(refresh="1s")])
    good(gateway, uaa)
    uaa.close()
    time.sleep(1.5)
    good(gateway, uaa)
    uaa.keys["key-9"] = new_rsa()
    reply = ask(gateway, uaa.token(kid="key-9"))
    assert reply.status == 503 and reply.error["code"] == "issuer_away" and '"cf"' in reply.error["message"], reply
    assert reply.headers.get("retry-after"), reply
    reply = ask(gateway, assemble({"alg": "RS256", "kid": "key-1"}, uaa.claims(), new_rsa()))
    assert reply.status == 401, reply
    assert ask(gateway, gateway.tokens["alice"]).status == 200, "static tokens need no issuer"
    uaa.open()
    wait_for(lambda: ask(gateway, uaa.token(kid="key-9")).status == 200, "the issuer to be found again", timeout_s=20)
    lines = [line["event"] for line in gateway.log_lines() if line["event"].startswith("issuer.")]
    assert lines.count("issuer.keys_failed") == 1, lines
    gateway.restart()
    good(gateway, uaa)


def test_gateway_starts_without_its_issuer(gateways, issuers):
    uaa = issuers()
    uaa.close()
    gateway = gateways({}, issuers=[uaa.entry()])
    reply = ask(gateway, uaa.token())
    assert reply.status == 503 and reply.error["code"] == "issuer_away", reply
    uaa.open()
    wait_for(lambda: ask(gateway, uaa.token()).status == 200, "the issuer to be found", timeout_s=20)


BROKEN = [
    ("HTML", {"jwks": b"<html>login</html>"}, "not"), ("nothing", {"jwks": b""}, ""), ("no list", {"jwks": {"keys": 5}}, "no list"),
    ("no keys", {"jwks": {"keys": []}}, "none of its 0 keys"), ("a secret", {"jwks": {"keys": [{"kty": "MAC", "kid": "key-1", "value": "s"}]}}, "none of its 1 keys"),
    ("endless", {"jwks": b"[" + b"1," * 200000 + b"1]"}, ""), ("deep", {"jwks": b"[" * 100000}, ""),
    ("500", {"fault": (500, b"<html>", "text/html")}, "500"), ("404", {"fault": (404, b"", "text/html")}, "404"),
    ("redirect", {"fault": (302, b"", "text/html")}, "302"), ("cut", {"fault": "cut"}, ""),
    ("wrong issuer", {"discovery": {"issuer": "https://evil.example/oauth/token"}}, "evil.example"),
    ("keys over http", {"discovery": {"jwks_uri": "http://127.0.0.1:1/token_keys"}}, "https"),
    ("no place of keys", {"discovery": {"jwks_uri": None}}, "jwks_uri"),
    ("keys in a file", {"discovery": {"jwks_uri": "file:///etc/passwd"}}, "https"),
]


@pytest.mark.parametrize("name,how,text", BROKEN, ids=[b[0] for b in BROKEN])
def test_issuer_answers_nonsense(gateways, issuers, name, how, text):
    uaa = issuers()
    uaa.jwks, uaa.discovery = how.get("jwks"), how.get("discovery", {})
    if "fault" in how:
        def fault(handler, path):
            if how["fault"] == "cut":
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"keys\":[")
                handler.close_connection = True
            else:
                handler.reply(*how["fault"], headers={"Location": "https://127.0.0.1:1/"}.items())
            return True
        uaa.fault = fault
    gateway = gateways({}, issuers=[uaa.entry()])
    reply = ask(gateway, uaa.token())
    assert reply.status == 503 and reply.error["code"] == "issuer_away" and text in reply.error["message"], reply
    uaa.jwks, uaa.discovery, uaa.fault = None, {}, None
    wait_for(lambda: ask(gateway, uaa.token()).status == 200, "good keys to be found", timeout_s=20)


def test_weak_and_foreign_keys_are_left_out(gateways, issuers):
    uaa, small = issuers(), new_rsa(1024)
    good_key = public_jwk(uaa.keys["key-1"], "key-1")
    one = {**good_key, "kid": "one", "e": "AQ"}
    uaa.jwks = {"keys": [
        public_jwk(small, "small"), one, {**good_key, "kid": "enc", "use": "enc"}, {"kty": "oct", "k": b64(b"secret"), "kid": "oct", "alg": "HS256"},
        {**good_key, "kid": 5}, 17, None, [], {"kty": "RSA"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "off"},
        {**good_key, "kid": "zero", "n": "AA"}, good_key,
    ]}
    gateway = gateways({}, issuers=[uaa.entry()])
    rows = [("good", uaa.token(), 200, None, "")]
    rows += [(kid, assemble({"alg": "RS256", "kid": kid}, uaa.claims(), key), 401, "auth", WRONG)
             for kid, key in (("small", small), ("enc", uaa.keys["key-1"]), ("one", uaa.keys["key-1"]), ("off", small), ("zero", small))]
    rows.append(("oct", assemble({"alg": "HS256", "kid": "oct"}, uaa.claims(), b"secret"), 401, "auth", WRONG))
    verdicts(gateway, rows)


@pytest.mark.slow
def test_issuer_that_hangs_holds_up_nobody_else(gateways, issuers):
    uaa, slow = issuers(), issuers("slow")
    slow.answers_s = 30
    gateway = gateways({}, issuers=[uaa.entry(), slow.entry()])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        begin = time.monotonic()
        hanging = [pool.submit(ask, gateway, slow.token()) for _ in range(6)]
        for _ in range(20):
            good(gateway, uaa)
        assert not any(h.done() for h in hanging) or time.monotonic() - begin > 4
        for h in hanging:
            reply = h.result()
            assert reply.status == 503 and reply.error["code"] == "issuer_away", reply
    gateway.stop()  # at once, though a fetch is under way


def test_wrong_certificate(gateways, issuers, pki, session, folder):
    from rig import Pki
    uaa = issuers()
    gateway = gateways({}, issuers=[uaa.entry(ca=Pki(session, folder / "other", "Another CA").ca)])
    reply = ask(gateway, uaa.token())
    assert reply.status == 503 and "certificate" in reply.error["message"], reply


# ---- the file ----

def test_reload(gateways, issuers):
    uaa, other = issuers(), issuers("other")
    gateway = gateways({}, issuers=[uaa.entry()])
    good(gateway, uaa)
    assert ask(gateway, other.token()).status == 401
    uaa.close()  # its keys are not forgotten
    gateway.write_issuers([uaa.entry(required_scopes=["openid"]), other.entry()])
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: ask(gateway, other.token()).status == 200, "the other issuer to be taken")
    good(gateway, uaa)
    gateway.allowed_errors.append("gateway.reload_failed")
    gateway.issuers_path.write_text("issuers:\n- name: cf\n  bogus: 1\n")
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: any(line["event"] == "gateway.reload_failed" for line in gateway.log_lines()), "the bad file to be refused")
    good(gateway, uaa)
    gateway.write_issuers([uaa.entry()])
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: ask(gateway, other.token()).status == 401, "the other issuer to be gone")


FILES = [
    ({"name": "CF"}, "name"), ({"name": ""}, "name"), ({"name": "x" * 32}, "name"), ({"name": None}, "name"), ({"issuer": ""}, "issuer"), ({"issuer": None}, "issuer"),
    ({"kind": "saml"}, "kind"), ({"url": "http://localhost/"}, "url"), ({"url": "ftp://x"}, "url"), ({"url": "https://"}, "url"),
    ({"url": "https://user:pw@host"}, "url"), ({"url": None}, "neither url nor keys_url"), ({"keys_url": "https://x/k"}, "url and keys_url"),
    ({"ca": "/nonexistent"}, "ca"), ({"audience": None}, "audience"), ({"audience": []}, "audience"), ({"audience": ["a b"]}, "audience"),
    ({"audience": [""]}, "audience"), ({"required_scopes": ['a"b']}, "required_scopes"), ({"operator_scopes": ["x" * 201]}, "operator_scopes"),
    ({"leeway": "1h"}, "leeway"), ({"leeway": "-1"}, "leeway"), ({"refresh": "0"}, "refresh"), ({"retry": "1ms"}, "retry"), ({"clients": "perhaps"}, "clients"),
    ({"allow_http": "2"}, "allow_http"), ({"jku": "x"}, "jku"),
]


@pytest.mark.parametrize("change,text", FILES, ids=[f"{i}-{'-'.join(c)}" for i, (c, _) in enumerate(FILES)])
def test_bad_entries_are_refused(gateways, issuers, session, change, text):
    import subprocess
    uaa = issuers()
    entry = {k: v for k, v in {**uaa.entry(), **change}.items() if v is not None}
    gateway = gateways({}, issuers=[entry], start=False)
    import yaml
    gateway.config_path.touch(0o600)
    gateway.config_path.write_text(yaml.safe_dump(gateway.config))
    done = subprocess.run(gateway.argv() + ["--check-config"], capture_output=True, text=True, env=session.env(), timeout=30 * SLOW)
    assert done.returncode == 1 and text in done.stderr and "issuers.yml" in done.stderr, done


def test_two_of_a_kind_are_refused(gateways, issuers, session):
    import subprocess
    import yaml
    uaa = issuers()
    for second, text in (({}, "twice"), ({"name": "other"}, "same issuer")):
        gateway = gateways({}, issuers=[uaa.entry(), {**uaa.entry(), **second}], start=False)
        gateway.config_path.touch(0o600)
        gateway.config_path.write_text(yaml.safe_dump(gateway.config))
        done = subprocess.run(gateway.argv() + ["--check-config"], capture_output=True, text=True, env=session.env(), timeout=30 * SLOW)
        assert done.returncode == 1 and text in done.stderr, done


# ---- what they may ----

def test_captures_of_people(fleet, issuers):
    """Users of different sources never meet, whatever they are called; inventory groups name users or scopes of an issuer."""
    cf, other = issuers("cf"), issuers("other")
    alice = cf.user_id("alice")
    f = fleet(1, groups=lambda agents: {"web": {"instances": [{"id": "0", "agent": agents[0].address}], "users": [f"cf:{alice}", "alice"], "orgs": [],
                                                "scopes": ["cf:pcap.web"]}},
              issuers=[cf.entry(), other.entry()])
    scopes = ["cloud_controller.read", "pcap.web"]

    def start(token):
        return f.gateway.http.request("POST", "/v1/captures", f.gateway.request(mode="store", packet_filter=f"udp port {PORT}"), token)

    mine = cf.token("alice")
    reply = start(mine)
    assert reply.status == 202, reply
    job = reply.json["id"]
    assert reply.json["owner"] == {"user_id": f"cf:{alice}", "user_name": "alice@example.test"}, reply.json
    f.send(count=20).wait()
    wait_for(lambda: f.gateway.http.request("GET", f"/v1/captures/{job}", None, mine).json["packets"]["captured"] == 20, "all to be captured")
    strangers = [other.token("alice"), cf.token("bob"), f.gateway.tokens["alice"], cf.token("x", client=alice), cf.token(user_name="alice@example.test")]
    for token in strangers:
        assert f.gateway.http.request("GET", f"/v1/captures/{job}", None, token).status == 404
        assert f.gateway.http.request("GET", "/v1/captures", None, token).json["captures"] == []
        assert f.gateway.http.request("DELETE", f"/v1/captures/{job}", None, token).status == 404
    assert start(other.token("alice")).status == 404, "another issuer's user of the same id"
    assert start(cf.token("bob")).status == 404
    assert start(cf.token("carol", user_name="alice")).status == 404, "names are not ids"
    assert start(cf.token("x", client=alice)).status == 404, "a client that calls itself like a user"
    assert start(other.token("bob", scope=scopes)).status == 404, "another issuer's scope"
    reply = start(cf.token("bob", scope=scopes))
    assert reply.status == 202, reply
    for token, id in ((mine, job), (cf.token("bob", scope=scopes), reply.json["id"])):
        assert f.gateway.http.request("POST", f"/v1/captures/{id}/stop", None, token).status in (200, 202)
    wait_for(lambda: f.gateway.http.request("GET", f"/v1/captures/{job}", None, cf.token("alice")).json["state"] == "ready", "the object")
    url = f.gateway.http.request("POST", f"/v1/captures/{job}/link", None, mine).json["url"]
    path = url.split("/", 3)[3]
    assert len(read_pcapng(f.gateway.http.request("GET", "/" + path).body).packets) == 20


def test_pcap_with_a_signed_token(fleet, issuers, cli):
    cf = issuers("cf")
    f = fleet(1, groups=lambda agents: {"web": {"instances": [{"id": "0", "agent": agents[0].address}], "users": [], "orgs": [], "scopes": ["cf:pcap.web"]}},
              issuers=[cf.entry()])
    pcap = cli(f.gateway, user=None, PCAP_TOKEN=cf.token(scope=["cloud_controller.read", "pcap.web"]))
    done = pcap.run("info")
    assert done.code == 0 and cf.url in done.text, done
    done = pcap.run("host", "web", "--store", "--duration", "1s", "--wait")
    assert done.code == 0, done
    expired = cli(f.gateway, user=None, PCAP_TOKEN=cf.token(exp=1000))
    done = expired.run("jobs")
    assert done.code != 0 and "expired" in done.err, done
