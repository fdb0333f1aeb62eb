"""The ways of saying who asks: a static token, and signed ones of an issuer that shows its keys over TLS, in the gateway's namespace."""
import json
import time
import types

from cryptography.hazmat.primitives.asymmetric import ec

from place import BenchError, cpu_of, wait_for
from rig.issuer import Issuer, new_rsa
from systems import Asking, Whole


class Token(Whole):
    """A gateway that is asked over one connection; no agent"""
    roles = ("gateway",)

    def start(self):
        self.agent_port = self.place.free_port()  # of nobody: nothing is captured
        self.start_gateway(self.settings())
        self.asking = Asking(self.place, self.gateway_port, self.token())
        wait_for(lambda: self.asking.get("/v1/captures")[0] == 200, "the gateway to take the token")

    def settings(self):
        """More lines of the gateway's configuration."""
        return ""

    def token(self):
        raise NotImplementedError

    def ask_often(self, times):
        """(seconds, CPU seconds of the gateway)"""
        gateway = self.parts["gateway"].pid
        cpu, begin = cpu_of(gateway), time.monotonic()
        for _ in range(times):
            status, _ = self.asking.get("/v1/captures")
            if status != 200:
                raise BenchError(f"GET /v1/captures: {status}")
        return time.monotonic() - begin, cpu_of(gateway) - cpu

    def close(self):
        self.asking.close()
        self.stop_gateway()


class StaticToken(Token):
    """One of the gateway's list"""
    name = "static"

    def token(self):
        return self.place.token


class SignedToken(Token):
    """Of an issuer, its key known to the gateway"""
    issuer = None

    def settings(self):
        certs = self.place.dir / "certs"
        pki = types.SimpleNamespace(ca=str(certs / "ca.pem"), gateway=types.SimpleNamespace(cert=certs / "gateway.pem", key=certs / "gateway.key"))
        session = types.SimpleNamespace(secret=lambda name, secret: secret)
        self.issuer = self.place.within("host", lambda: Issuer(session, pki, keys={"key": self.new_key()}))
        path = self.place.dir / "issuers.yml"
        path.write_text(json.dumps({"issuers": [self.issuer.entry()]}))
        return f"issuers: {path}\n"

    @staticmethod
    def new_key():
        raise NotImplementedError

    def token(self):
        return self.issuer.token()

    def clean(self):
        if self.issuer:
            self.issuer.close()
        super().clean()


class Rs256(SignedToken):
    """RSA of 2048 bits, as UAA signs"""
    name = "RS256"

    @staticmethod
    def new_key():
        return new_rsa()


class Es256(SignedToken):
    """P-256"""
    name = "ES256"

    @staticmethod
    def new_key():
        return ec.generate_private_key(ec.SECP256R1())
