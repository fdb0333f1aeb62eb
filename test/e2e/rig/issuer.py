"""An issuer of signed tokens: a UAA that discovers itself, shows its keys, rotates them, and fails as told; and the tokens, right and wrong in each way that matters."""
import base64
import hashlib
import hmac
import json
import secrets
import time
import urllib.parse
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from .https_server import HttpsServer

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


def b64(data):
    """Base64url without padding, of bytes or of an int (big-endian)."""
    if isinstance(data, int):
        data = data.to_bytes((data.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(key, alg, signed):
    """The signature of bytes; key: a private key, or bytes for HS256."""
    if alg == "none":
        return b""
    if alg.startswith("HS"):
        return hmac.new(key, signed, "sha" + alg[2:]).digest()
    digest = HASHES[alg[2:]]()
    if alg.startswith("RS"):
        return key.sign(signed, padding.PKCS1v15(), digest)
    if alg.startswith("PS"):
        return key.sign(signed, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    size = (key.curve.key_size + 7) // 8
    return b"".join(n.to_bytes(size, "big") for n in decode_dss_signature(key.sign(signed, ec.ECDSA(digest))))


def assemble(header, claims, key, alg=None):
    """A token of exactly this header and these claims (objects, or bytes as they are)."""
    parts = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, claims)]
    signed = ".".join(b64(p) for p in parts).encode()
    return signed.decode() + "." + b64(sign(key, alg or header["alg"], signed))


def public_jwk(key, kid, alg=None):
    """As UAA shows it."""
    public = key.public_key()
    numbers = public.public_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        jwk = {"kty": "RSA", "e": b64(numbers.e), "n": b64(numbers.n)}
    else:
        size = (key.curve.key_size + 7) // 8
        jwk = {"kty": "EC", "crv": f"P-{key.curve.key_size}", "x": b64(numbers.x.to_bytes(size, "big")), "y": b64(numbers.y.to_bytes(size, "big"))}
    jwk.update(use="sig", kid=kid, value=public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode())
    if alg:
        jwk["alg"] = alg
    return jwk


def new_rsa(bits=2048):
    return rsa.generate_private_key(65537, bits)


class Issuer(HttpsServer):
    """A UAA on the tester's loopback, over TLS.

    name       "cf": of its entry in the gateway's file
    keys       {kid: private key}; `active` signs
    jwks       overrides what it shows: an object, or bytes as they are
    fault      function(handler, path) that answers instead and says so by True; None: all is well
    asked      paths of all requests, in order
    answers_s  seconds before each answer
    login      arguments of token() for whom a browser is logged in; None: is refused
    authorized what browsers came with
    """

    def __init__(self, session, pki, name="cf", keys=None, port=0):
        super().__init__(pki.gateway, port)
        self.session, self.pki, self.name = session, pki, name
        self.keys = keys or {"key-1": new_rsa(), "key-2": new_rsa()}
        self.active = next(iter(self.keys))
        self.jwks = self.fault = None
        self.discovery, self.asked, self.answers_s = {}, [], 0
        self.login, self.codes, self.authorized = {"user": "dev"}, {}, []
        self.open()

    def handler(self):
        issuer = self

        class Handler(self.Handler):
            def do_GET(self):
                issuer.asked.append(self.path)
                time.sleep(issuer.answers_s)
                if issuer.fault and issuer.fault(self, self.path):
                    return
                if self.path.startswith("/oauth/authorize?"):
                    self.send(302, b"", {"Location": issuer.authorize(self.path)})
                    return
                body = issuer.answer(self.path)
                if body is None:
                    self.reply(404, b"<html>nothing</html>", "text/html")
                else:
                    self.reply(200, body if isinstance(body, bytes) else json.dumps(body).encode())

            def do_POST(self):
                issuer.asked.append(self.path)
                if issuer.fault and issuer.fault(self, self.path):
                    return
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
                status, answer = issuer.exchange({name: values[0] for name, values in form.items()}) if self.path == "/oauth/token" else (404, {})
                self.reply(status, json.dumps(answer).encode())

            def reply(self, status, body, kind="application/json", headers=()):
                tag = '"' + hashlib.sha1(body).hexdigest() + '"'
                if status == 200 and self.headers.get("If-None-Match") == tag:
                    status, body = 304, b""
                self.send(status, body, {"Content-Type": kind, "ETag": tag, **dict(headers)})

        return Handler

    @property
    def issuer(self):
        return self.url + "/oauth/token"

    def answer(self, path):
        shown = [public_jwk(k, kid, "RS256" if isinstance(k, rsa.RSAPrivateKey) else None) for kid, k in self.keys.items()]
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.issuer, "jwks_uri": self.url + "/token_keys", "token_endpoint": self.issuer, "scopes_supported": ["openid"],
                    **self.discovery}
        if path == "/token_keys":
            return {"keys": shown} if self.jwks is None else self.jwks
        if path == "/token_key":
            return shown[0]
        if path == "/info":
            return {"app": {"version": "79.3.0"}, "links": {"uaa": self.url, "login": self.url}, "zone_name": "uaa"}
        return None

    # ---- logins in a browser: authorization code with PKCE ----

    def authorize(self, path):
        """Where the browser goes on to: back to who asked, with a code for self.login (arguments of token()), or with an error."""
        asked = {k: v[0] for k, v in urllib.parse.parse_qs(path.partition("?")[2]).items()}
        self.authorized.append(asked)
        back = {"state": asked["state"]}
        if self.login is None:
            back.update(error="access_denied", error_description="<b>not you</b>")
        else:
            code = self.session.secret("authorization code", secrets.token_urlsafe(24))
            self.codes[code] = asked
            back["code"] = code
        return asked["redirect_uri"] + "?" + urllib.parse.urlencode(back)

    def exchange(self, form):
        """(status, answer) of POST /oauth/token."""
        asked = self.codes.pop(form.get("code"), None)
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if form.get("grant_type") != "authorization_code" or not asked:
            return 400, {"error": "invalid_grant", "error_description": "Invalid authorization code"}
        if (asked["code_challenge_method"], asked["code_challenge"]) != ("S256", challenge):
            return 400, {"error": "invalid_grant", "error_description": "Invalid code verifier"}
        if (asked["client_id"], asked["redirect_uri"]) != (form.get("client_id"), form.get("redirect_uri")):
            return 401, {"error": "invalid_client", "error_description": "Bad client or redirect_uri"}
        refresh = self.session.secret("refresh token", secrets.token_urlsafe(24))
        return 200, {"access_token": self.token(**self.login), "token_type": "bearer", "expires_in": 599, "refresh_token": refresh, "jti": "x"}

    def entry(self, **more):
        """Its lines in the gateway's file."""
        return {"name": self.name, "issuer": self.issuer, "url": self.url, "ca": self.pki.ca, "audience": ["cloud_controller"], "retry": "100ms", **more}

    # ---- tokens ----

    def claims(self, user="dev", scope=("openid", "cloud_controller.read", "cloud_controller.write"), client=None, **more):
        """A person's, or with client a client's own; more: members to set, None: to leave out."""
        now, scope = int(time.time()), None if scope is None else list(scope)
        claims = {
            "jti": uuid.uuid4().hex, "scope": scope, "client_id": client or "cf", "cid": client or "cf", "azp": client or "cf",
            "aud": [client or "cf", *sorted({s.rsplit(".", 1)[0] for s in scope or []})], "iss": self.issuer, "zid": "uaa", "iat": now, "exp": now + 1200,
            "rev_sig": "9f3a1c2b",
        }
        if client:
            claims.update(sub=client, grant_type="client_credentials", authorities=scope)
        else:
            uid = self.user_id(user)
            claims.update(sub=uid, user_id=uid, user_name=f"{user}@example.test", email=f"{user}@example.test", origin="uaa",
                          grant_type="password", auth_time=now)
        claims.update(more)
        return {k: v for k, v in claims.items() if v is not None}

    @staticmethod
    def user_id(user):
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, user))

    def token(self, user="dev", kid=None, alg=None, key=None, header=None, **claims):
        """Signed by the active key unless told otherwise; header: members to set, None: to leave out; claims as for claims()."""
        kid = kid or self.active
        key = key or self.keys[kid]
        alg = alg or ("RS256" if isinstance(key, rsa.RSAPrivateKey) else f"ES{key.curve.key_size}")
        head = {"alg": alg, "kid": kid, "typ": "JWT", "jku": self.url + "/token_keys", **(header or {})}
        token = assemble({k: v for k, v in head.items() if v is not None}, self.claims(user, **claims), key, alg)
        return self.session.secret(f"signed token of {user}", token)
