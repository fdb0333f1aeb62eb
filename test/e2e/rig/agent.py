"""pcap-agent in a namespace."""
import secrets
import threading
import time

import yaml

from .daemon import Daemon
from .http import Http

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_lock = threading.Lock()
_last = [0]


def new_id():
    """An id as common/id.h makes them: 26 characters of Crockford's base 32, the first 10 of them time."""
    with _lock:
        ms = _last[0] = max(int(time.time() * 1000), _last[0] + 1)
    number = (ms << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> (5 * i)) & 31] for i in reversed(range(26)))


def merge(base, more):
    """Deep merge of two configurations; None removes a key."""
    out = dict(base)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merge(out[key], value)
        elif value is None:
            out.pop(key, None)
        else:
            out[key] = value
    return out


class Agent(Daemon):
    """An agent that listens on its namespace's address, port 9494.

    config   overrides of the YAML ({"limits": {"captures": 2}})
    proc     files that it sees in place of others: {"/proc/meminfo": path}
    """

    def __init__(self, session, pki, ns, folder, name=None, ipv6=False, port=9494, config=None, identity=None, proc=None):
        super().__init__(session, name or f"agent-{ns.label}", folder)
        self.pki, self.ns, self.port, self.proc = pki, ns, port, proc or {}
        self.host = ns.ip6 if ipv6 else ns.ip
        identity = identity or pki.agent
        self.config = merge({
            "listen": {"address": "::" if ipv6 else "0.0.0.0", "port": port},
            "tls": {"certificate": identity.cert, "private_key": identity.key, "client_ca": pki.ca},
            "log_level": "debug",
            # How busy this machine is, is no matter of what is tested; test_61_agent_guard.py has its own.
            "guard": {"enabled": False, "nice": 0}, "limits": {"cpu_total": 0, "memory": 0},
        }, config or {})
        self.config_path = self.folder / f"{self.name}.yml"
        self.http = self.client(pki.gateway_client)

    @property
    def address(self):
        """As the inventory wants it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def client(self, identity, ca=None, server_name="pcap-agent"):
        return Http((self.host, self.port), ca or self.pki.ca, identity, server_name)

    def argv(self):
        argv = [self.session.program("pcap-agent"), "--config", str(self.config_path)]
        if not self.proc:
            return argv
        mounts = " && ".join(f"mount --bind '{mine}' '{theirs}'" for theirs, mine in self.proc.items())
        return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh", *argv]

    def start(self, wait=True):
        self.config_path.write_text(yaml.safe_dump(self.config))
        self.launch(self.ns.command(self.argv()))
        if wait:
            self.wait_ready(self.answers)
        return self

    def answers(self):
        try:
            return self.http.request("GET", "/v1/info", timeout=5).status == 200
        except OSError:
            return False

    def restart(self):
        if self.is_running():
            self.stop()
        return self.start()

    # ---- its API ----

    def info(self):
        return self.http.request("GET", "/v1/info").json

    def body(self, device="eth0", packet_filter="", capture_id=None, name="web/0", exclude=(), **options):
        """A start request; options as in schema/capture_request.h."""
        return {"id": capture_id or new_id(), "job": new_id(), "name": name, "target": {"type": "host"},
                "options": {"device": device, "filter": packet_filter, **options}, "exclude": list(exclude)}

    def capture(self, device="eth0", packet_filter="", read=True, **kwargs):
        """Starts a capture; a Live with capture_id.  A refusal is a Live with its status and error."""
        body = self.body(device, packet_filter, **kwargs)
        live = self.http.stream("POST", "/v1/captures", body, read=read)
        live.capture_id = body["id"]
        return live

    def stop_capture(self, live):
        return self.http.request("POST", f"/v1/captures/{live.capture_id}/stop")

    def captures(self):
        return self.info()["captures"]
