"""A whole platform: UAAs, Cloud Controller and director; cells with containers, VMs with agents; a gateway that knows them all; and a user with both logins.

    p = platform()                          the fixture; platform(cf={...}, recheck={...}) for other settings of the gateway
    p.cells[0], p.cells[1]                  Cell each; instances shop/0 and shop/2 on the first, shop/1 on the second
    p.vms[0..2]                             Vm each: router/0..2 of the deployment "cf"
    p.shop, p.web                           GUID of the app; {index: Container}
    p.place(index, cell)                    an instance of shop starts there; Cloud Controller knows it
    p.pcap                                  the command in a home with the logins of cf and bosh
    p.token(), p.bosh_token()               of the user dev
"""
import http.client
import json
import uuid

import pytest
import yaml

from .cell import cells  # noqa: F401  (platform needs it)
from .cli import Cli
from .cloud_controller import running
from .director import Director, vm
from .traffic import Sink
from .wait import SLOW, wait_for

APP_PORT = 8080
SCOPES = ("openid", "cloud_controller.read", "cloud_controller.write")
BOSH_SCOPES = ("bosh.teams.red.admin",)


class Vm:
    def __init__(self, net, agents, group, index):
        self.group, self.index, self.id = group, index, str(uuid.uuid4())
        self.ns = net.ns(f"{group}{index}")
        self.agent = agents(self.ns, config={"instance": self.id})
        Sink(self.ns, APP_PORT)

    @property
    def name(self):
        return f"{self.group}/{self.index}"


class Platform:
    def __init__(self, session, folder, pki, net, agents, make_cell, issuers, cloud_controller, gateways, cf=None, **config):
        self.session, self.cc = session, cloud_controller
        self.uaa, self.bosh_uaa = issuers("cf"), issuers("bosh")
        self.source = net.ns("src")
        self.cells = [make_cell(f"cell{i}") for i in range(2)]
        for cell in self.cells:
            self.source.ip_cmd("route", "add", f"10.255.{cell.overlay}.0/24", "via", cell.ip)
        self.org = self.cc.org()
        self.space = self.cc.space(self.org)
        self.shop = self.cc.app(self.space, "shop", [])
        self.cc.role("space_developer", self.uaa.user_id("dev"), self.space)
        self.web = {}
        for index, cell in enumerate((self.cells[0], self.cells[1], self.cells[0])):
            self.place(index, cell)
        self.vms = [Vm(net, agents, "router", i) for i in range(3)]
        self.director = Director(self.bosh_uaa, pki)
        self.director.add("cf", *(vm(v.group, v.index, v.ns.ip, instance_id=v.id) for v in self.vms), teams=["red"])
        self.gateway = gateways({}, issuers=[self.uaa.entry(leeway="1s"), self.bosh_uaa.entry(audience=["bosh.*"])], config={
            "cf": {"api": self.cc.url, "ca": pki.ca, **(cf or {})}, "bosh": self.director.config(confirm=True), **config})
        self.pcap = Cli(session, folder, env={"PCAP_GATEWAY": self.gateway.url})
        self.log_in(pki)

    def close(self):
        self.director.close()

    # ---- the app ----

    def place(self, index, cell, **more):
        c = self.web[index] = cell.container(self.shop, index, **more)
        Sink(c.ns, APP_PORT)
        stats = [s for s in self.cc.stats[self.shop] if s["index"] != index]
        self.cc.stats[self.shop] = sorted([*stats, running(index, cell.ip, c.handle, c.ip)], key=lambda s: s["index"])
        self.cc.processes[self.shop]["instances"] = len(self.cc.stats[self.shop])
        return c

    # ---- the user ----

    def token(self, user="dev", **claims):
        return self.uaa.token(user, **{"scope": SCOPES, **claims})

    def bosh_token(self, user="dev", **claims):
        return self.bosh_uaa.token(user, **{"scope": BOSH_SCOPES, **claims})

    def log_in(self, pki):
        home = self.pcap.folder
        for name in (".cf", ".bosh"):
            (home / name).mkdir()
        (home / ".cf/config.json").write_text(json.dumps({
            "ConfigVersion": 4, "Target": self.cc.url, "AccessToken": "bearer " + self.token(), "RefreshToken": "none", "SSLDisabled": True, "UaaEndpoint": self.uaa.url,
            "OrganizationFields": {"GUID": self.org, "Name": "acme"}, "SpaceFields": {"GUID": self.space, "Name": "dev"}, "UAAOAuthClient": "cf"}))
        (home / ".bosh/config").write_text(yaml.safe_dump({"environments": [{
            "url": self.director.url, "alias": "lab", "ca_cert": open(pki.ca, encoding="ascii").read(), "access_token": self.bosh_token(),
            "access_token_type": "bearer", "refresh_token": "none"}]}))
        for path in (home / ".cf/config.json", home / ".bosh/config"):
            path.chmod(0o600)

    def jobs(self):
        """Of the user by either login, newest first."""
        return [j for t in (self.token(), self.bosh_token()) for j in self.gateway.api("GET", "/v1/captures", token=t).json["captures"]]

    def job(self, job):
        found = [r for r in (self.gateway.api("GET", f"/v1/captures/{job}", token=t) for t in (self.token(), self.bosh_token())) if r.status == 200]
        return found[0].json

    def events(self, job, type=None):
        """Those so far: when all that are kept were told, a running job's figures come."""
        found = []
        for token in (self.token(), self.bosh_token()):
            connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=30 * SLOW)
            connection.request("GET", f"/v1/captures/{job}/events", headers={"Authorization": f"Bearer {token}"})
            reply = connection.getresponse()
            for line in reply if reply.status == 200 else ():
                event = json.loads(line)
                if event["type"] == "progress":
                    break
                found.append(event)
            connection.close()
        return [e for e in found if type in (None, e["type"])]

    def wait_running(self, names, known=()):
        """Until a job that is not known runs in just these instances; its id."""
        def look():
            for j in self.jobs():
                if j["id"] not in known and j["state"] == "running":
                    states = {i["name"]: i["state"] for i in self.job(j["id"])["instances"]}
                    if states == dict.fromkeys(names, "running"):
                        return j["id"]
            return None
        return wait_for(look, f"a capture of {sorted(names)}")


@pytest.fixture
def platform(session, folder, pki, net, agents, cells, issuers, cloud_controller, gateways):  # noqa: F811
    made = []

    def make(**kwargs):
        made.append(Platform(session, folder, pki, net, agents, cells, issuers, cloud_controller, gateways, **kwargs))
        return made[-1]

    yield make
    for p in made:
        p.close()
