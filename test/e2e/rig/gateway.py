"""pcap-gateway on the tester's loopback."""
import hashlib
import random
import socket

import yaml

from .agent import merge
from .daemon import Daemon
from .http import Http
from .openapi import Description
from .wait import wait_for

ENDS = {"ready", "streamed", "failed", "killed", "expired", "purged"}


def free_port():
    """A port nobody uses now; kept over restarts, which port 0 would not be.

    Below those that the kernel gives to connections: one of these could be somebody's before the port is listened at, or while a gateway is restarted."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Gateway(Daemon):
    """A gateway with an inventory and static tokens.

    groups    {"web": [agent, agent...]} or {"web": {"instances": [...], "users": [...], "orgs": [...]}} as in the inventory
    users     {"alice": {"org": "acme"}, ...}: each gets a token, self.tokens["alice"]
    issuers   entries of the file of issuers (Issuer.entry())
    config    overrides of the YAML
    tls       listen with TLS
    ns        run in this namespace and listen on its address (then with tls) instead of the tester's loopback
    """

    USERS = {
        "alice": {"org": "acme", "space": "dev"},
        "bob": {"org": "other", "space": "prod"},
        "carol": {"org": "acme", "space": "prod"},
        "olga": {"operator": True},
    }

    def __init__(self, session, pki, folder, groups, users=None, config=None, tls=False, name="gateway", ns=None, issuers=None):
        super().__init__(session, name, folder)
        self.pki, self.tls, self.ns = pki, tls, ns
        address = ns.ip if ns else "127.0.0.1"
        self.port = free_port()
        self.users = self.USERS if users is None else users
        self.tokens = {user: session.new_token(user) for user in self.users}
        self.state_dir = self.folder / "state"
        self.state_dir.mkdir(mode=0o700, exist_ok=True)
        self.inventory_path, self.tokens_path = self.folder / "inventory.yml", self.folder / "tokens.yml"
        self.config_path = self.folder / "gateway.yml"
        self.issuers_path = self.folder / "issuers.yml"
        self.write_inventory(groups)
        self.write_tokens()
        if issuers is not None:
            self.write_issuers(issuers)
            config = merge({"issuers": str(self.issuers_path)}, config or {})
        client = pki.gateway_client
        self.config = merge({
            "listen": {"address": address, "port": self.port},
            "agents": {"ca": pki.ca, "certificate": client.cert, "private_key": client.key},
            "state_dir": str(self.state_dir),
            "storage": {"min_free": "1MiB"},
            "inventory": str(self.inventory_path),
            "tokens": str(self.tokens_path),
            "log_level": "debug",
        }, config or {})
        if tls:
            self.config = merge({"tls": {"certificate": pki.gateway.cert, "private_key": pki.gateway.key}}, self.config)
        self.http = Http((address, self.port), pki.ca if tls else None, None, "localhost" if tls else None, Description.load())

    @property
    def url(self):
        return f"{'https://localhost' if self.tls else 'http://127.0.0.1'}:{self.port}"

    def write_inventory(self, groups):
        out = []
        for name, group in groups.items():
            if isinstance(group, (list, tuple)):
                group = {"instances": [a if isinstance(a, dict) else {"id": str(i), "agent": a.address} for i, a in enumerate(group)],
                         "users": ["alice"], "orgs": []}
            out.append({"name": name, **group})
        self.inventory_path.write_text(yaml.safe_dump({"groups": out}))

    def write_tokens(self, extra=()):
        rows = []
        for user, more in self.users.items():
            rows.append({"sha256": hashlib.sha256(self.tokens[user].encode()).hexdigest(), "user_id": user, **more})
        self.tokens_path.write_text(yaml.safe_dump({"tokens": rows + list(extra)}))
        self.tokens_path.chmod(0o600)

    def write_issuers(self, entries):
        self.issuers_path.write_text(yaml.safe_dump({"issuers": list(entries)}))

    def argv(self):
        argv = [self.session.program("pcap-gateway"), "--config", str(self.config_path)]
        return self.ns.command(argv) if self.ns else argv

    def start(self, wait=True):
        self.config_path.touch(0o600)  # it may hold keys of a store
        self.config_path.write_text(yaml.safe_dump(self.config))
        self.launch(self.argv())
        if wait:
            self.wait_ready(self.answers)
        return self

    def answers(self):
        try:
            return self.http.request("GET", "/healthz", timeout=5).status == 200
        except OSError:
            return False

    def restart(self):
        if self.is_running():
            self.stop()
        return self.start()

    def check(self):
        """Also: no token and no key is in its audit trail, whatever was done with them."""
        super().check()
        path = self.state_dir / "audit.jsonl"
        text = path.read_text() if path.exists() else ""
        for secret, what in self.session.secrets.items():
            assert secret not in text, f"{path} holds the {what}"

    # ---- its API; user: a key of users, or None for no token ----

    def api(self, method, path, json=None, user="alice", token=None, headers=None, timeout=30):
        """One call; path without /v1 prefix is given as it is when it begins with /healthz and the like."""
        token = token or (self.tokens[user] if user else None)
        return self.http.request(method, path, json, token, headers, timeout)

    def request(self, group="web", instances=None, mode="live", device="eth0", packet_filter="", note=None, format=None, **options):
        """The body of a start for a host target."""
        target = {"type": "host", "instances": instances or [group]}
        body = {"target": target, "mode": mode, "options": {"device": device, "filter": packet_filter, **options}}
        if note is not None:
            body["note"] = note
        if format:
            body["format"] = format
        return body

    def live(self, user="alice", read=True, **kwargs):
        """Starts a live capture: a Live with its `job`."""
        live = self.http.stream("POST", "/v1/captures", self.request(**kwargs), self.tokens[user], read=read)
        live.job = live.headers.get("pcap-job")
        return live

    def store(self, user="alice", **kwargs):
        """Starts a stored capture: its job id, once it runs on all its instances, or has failed there."""
        kwargs.setdefault("mode", "store")
        reply = self.api("POST", "/v1/captures", self.request(**kwargs), user)
        assert reply.status == 202, reply
        job = reply.json["id"]
        self.wait_running(job, user, {"running"} | ENDS)
        return job

    def job(self, job, user="alice"):
        reply = self.api("GET", f"/v1/captures/{job}", user=user)
        assert reply.status == 200, reply
        return reply.json

    def wait_state(self, job, states, user="alice", timeout_s=60):
        """Until the job is in one of the states (a name or a set); the job."""
        states = {states} if isinstance(states, str) else set(states)

        def look():
            found = self.job(job, user)
            assert found["state"] in states, found
            return found
        return wait_for(look, f"job {job} to be {' or '.join(sorted(states))}", timeout_s)

    def wait_running(self, job, user="alice", states="running"):
        """Until the job captures on each of its instances, or has failed there: it runs as soon as the first one does."""
        self.wait_state(job, states, user)
        wait_for(lambda: all(i["state"] != "starting" for i in self.job(job, user)["instances"]), "all instances to have started")

    def stop_job(self, job, user="alice"):
        return self.api("POST", f"/v1/captures/{job}/stop", user=user)

    def wait_over(self, job, user="alice", states=ENDS):
        """Until the job is in one of the states, and all that its end brings is done: its place is free, and event, audit record, log line and figures are there."""
        found = self.wait_state(job, states, user)
        self.events(job, user)  # end when all that is over
        return found

    def finish(self, job, user="alice"):
        """Stops a job and waits until it is over; the job."""
        reply = self.stop_job(job, user)
        assert reply.status in (200, 202), reply
        return self.wait_over(job, user)

    def link(self, job, user="alice", **options):
        reply = self.api("POST", f"/v1/captures/{job}/link", options or {}, user)
        assert reply.status == 200, reply
        return reply.json

    def fetch(self, url, headers=None):
        """The bytes behind a link, without any token."""
        assert url.startswith(self.url), f"{url} does not point to {self.url}"
        return self.http.request("GET", url[len(self.url):], headers=headers, timeout=120)

    def download(self, job, user="alice"):
        """The object of a job, by link."""
        reply = self.fetch(self.link(job, user)["url"])
        assert reply.status == 200, reply
        return reply.body

    def events(self, job, user="alice"):
        """All events of a job that has ended."""
        import json
        reply = self.api("GET", f"/v1/captures/{job}/events", user=user)
        assert reply.status == 200, reply
        return [json.loads(line) for line in reply.body.splitlines() if line.strip()]
