"""Switches and forced privacy: what may be captured and stored where, with what is forced on it; and what a change does to captures that run."""
import datetime
import json

import pytest

from rig import PORT, Cli, read_pcapng, wait_for
from rig.cloud_controller import running as instance
from rig.fake_agent import SECTION, capturing, interface, packet
from rig.gateway import ENDS

FILTER = f"udp port {PORT}"
SWITCHES = "/v1/admin/switches"


def set_switch(gateway, scope, code=200, reason="case 12", level_query=None, **body):
    reply = gateway.api("PUT", f"{SWITCHES}/{scope}" + (f"?level={level_query}" if level_query else ""), {"reason": reason, **body}, "olga")
    assert reply.status == code, reply
    return reply.json


def delete_switch(gateway, scope, code=200, query=""):
    reply = gateway.api("DELETE", f"{SWITCHES}/{scope}{query}", user="olga")
    assert reply.status == code, reply
    return reply.json


def start(gateway, user="alice", **kwargs):
    """The answer to a start that is refused, or the job of one that is not, ended again."""
    live = gateway.live(user, packet_filter=FILTER, **kwargs)
    if live.status == 200:
        gateway.finish(live.job, user)
        live.wait_end()
        return gateway.job(live.job, user)
    return live.error


def refused(gateway, code="switched_off", **kwargs):
    answer = start(gateway, **kwargs)
    assert answer.get("code") == code, answer
    return answer["message"]


def allowed(gateway, **kwargs):
    job = start(gateway, **kwargs)
    assert job.get("state") == "streamed", job
    return job


def running(f, **kwargs):
    live = f.gateway.live(packet_filter=FILTER, **kwargs)
    assert live.status == 200, live.error
    f.gateway.wait_running(live.job)
    return live


def ended(gateway, live, reason):
    live.wait_end()
    assert not live.broken
    job = gateway.job(live.job)
    assert job["stop_reason"] == reason and job["error"]["code"] == reason, job
    notes = [c for i in read_pcapng(live.data).interfaces for c in i.last_stats.comments]
    assert notes and all(n.startswith(f"capture ended ({reason}): ") for n in notes), notes
    return job


# ---- which scopes ----

@pytest.mark.parametrize("default", ["open", "closed"])
def test_each_scope_forbids_and_allows(fleet, default):
    """A host lies in its user's org and space, and in its group.  (Deployments and apps: test_developers, test/unit/test_policy.c.)"""
    f = fleet(config={"policy": {"default": default}})
    closed = default == "closed"
    for scope in ("platform", "org/acme", "space/dev", "group/web"):
        if closed:
            assert "closed here unless an operator opens them" in refused(f.gateway)
            set_switch(f.gateway, scope, capture="allow")
            allowed(f.gateway)
        else:
            live = running(f)
            answer = set_switch(f.gateway, scope, capture="forbid", ttl_s=3600)
            assert answer["ended"] == [live.job]
            ended(f.gateway, live, "switched_off")
            name = "the whole platform" if scope == "platform" else scope.replace("/", " ")
            message = refused(f.gateway)
            assert message.startswith(f"captures are switched off for {name} until 20") and message.endswith(": case 12"), message
        live = running(f) if closed else None
        assert delete_switch(f.gateway, scope)["ended"] == ([live.job] if live else [])
        if live:
            ended(f.gateway, live, "switched_off")
    # Those of others say nothing here, and a "forbid" is above every "allow".
    for scope in ("org/other", "space/prod", "group/webb", "group/cf/web", "app/web", "deployment/web"):
        set_switch(f.gateway, scope, capture="allow" if closed else "forbid")
    if closed:
        refused(f.gateway)
    else:
        allowed(f.gateway)
        set_switch(f.gateway, "group/web", capture="allow")
        set_switch(f.gateway, "platform", capture="forbid")
        refused(f.gateway)


def test_two_groups_the_strictest_holds(fleet):
    """One that may and one that may not are refused together; of what is forced each adds its own."""
    f = fleet(2, groups=lambda agents: {"web": agents[:1], "db": agents[1:]})
    both = {"instances": ["web", "db"]}
    set_switch(f.gateway, "group/db", capture="forbid")
    allowed(f.gateway)
    assert "group db" in refused(f.gateway, **both)
    set_switch(f.gateway, "group/db", snaplen=96, retention_max_s=60)
    set_switch(f.gateway, "group/web", snaplen=200, storage="forbid")
    job = allowed(f.gateway, **both)
    assert job["options"]["snaplen"] == 96
    assert sorted(job["policy"]) == ["group db: at most 96 bytes of a packet, kept for at most 60 s (case 12)",
                                     "group web: at most 200 bytes of a packet, not stored (case 12)"]


# ---- time ----

def test_expiry(fleet):
    """What expires is gone by itself, also from captures that it had let run; and switches outlive the gateway."""
    f = fleet(config={"policy": {"default": "closed"}})
    set_switch(f.gateway, "space/dev", capture="allow")
    set_switch(f.gateway, "org/acme", capture="forbid", expires_at="2099-01-01T00:00:00Z")
    assert "until 2099-01-01T00:00:00" in refused(f.gateway)
    f.gateway.restart()
    assert "until 2099-01-01T00:00:00" in refused(f.gateway)
    assert delete_switch(f.gateway, "org/acme")["switch"]["level"] == "temporary", "the only one"
    live = running(f)
    assert set_switch(f.gateway, "group/web", capture="allow", ttl_s=2)["ended"] == []
    assert delete_switch(f.gateway, "space/dev")["ended"] in ([], [live.job]), "its time may be over by now"
    ended(f.gateway, live, "switched_off")
    assert f.gateway.api("GET", SWITCHES, user="olga").json == {"switches": [], "default": "closed", "storage": "open", "developers": "disable"}
    assert "closed here" in refused(f.gateway)


def test_one_for_a_time_leaves_the_one_that_stays(fleet, cli):
    f = fleet()
    olga = cli(f.gateway, user="olga")
    assert set_switch(f.gateway, "group/web", reason="GDPR", payload="headers", snaplen=128, capture="allow")["replaced"] is None
    incident = set_switch(f.gateway, "group/web", reason="incident", capture="forbid", ttl_s=3600)
    assert incident["replaced"] is None and incident["switch"]["level"] == "temporary"
    assert refused(f.gateway).endswith(": incident"), "its word counts instead"
    two = delete_switch(f.gateway, "group/web", 409)["error"]
    assert (two["code"], two["field"]) == ("two_switches", "level") and "incident" in two["message"]
    done = olga.run("admin", "switch", "delete", "group", "web")
    assert done.code != 0 and "operator or temporary" in done.err, done
    set_switch(f.gateway, "group/web", 400, level_query="temporary", capture="forbid")
    for scope in ("platform", "group/cf/router"):
        set_switch(f.gateway, scope, snaplen=200)
        set_switch(f.gateway, scope, snaplen=100, ttl_s=3600)
        delete_switch(f.gateway, scope, 409)
        for level, snaplen in (("operator", 200), ("temporary", 100)):
            assert delete_switch(f.gateway, scope, query=f"?level={level}")["switch"]["snaplen"] == snaplen
    f.gateway.restart()
    assert refused(f.gateway).endswith(": incident")
    done = olga.run("admin", "switch", "set", "group", "web", "--filter", "udp", "--for", "2h", "--reason", "shorter")
    assert done.code == 0 and "in place of: capture forbid (incident)" in done.err, done
    rules = allowed(f.gateway)["policy"]
    assert sorted(rules) == ["group web: filter \"udp\" (shorter)", "group web: headers only, at most 128 bytes of a packet (GDPR)"], "what both force"
    assert set_switch(f.gateway, "group/web", filter="udp", reason="shorter", ttl_s=1)["replaced"]["reason"] == "shorter"
    wait_for(lambda: [s["level"] for s in f.gateway.api("GET", SWITCHES, user="olga").json["switches"]] == ["operator"], "the end of its time")
    assert allowed(f.gateway)["policy"] == ["group web: headers only, at most 128 bytes of a packet (GDPR)"]
    done = olga.run("admin", "switch", "set", "group", "web", "--capture", "forbid", "--reason", "for good")
    assert "in place of: capture allow, headers only, snaplen 128 (GDPR)" in done.err, done
    assert refused(f.gateway).endswith(": for good")
    set_switch(f.gateway, "group/web", reason="an exception", capture="allow", ttl_s=3600)
    assert allowed(f.gateway)["policy"] == []
    assert delete_switch(f.gateway, "group/web", query="?level=temporary")["switch"]["reason"] == "an exception"
    refused(f.gateway)


# ---- storing ----

def test_storing_forbidden(fleet):
    f = fleet()
    job = f.gateway.store(packet_filter=FILTER)
    answer = set_switch(f.gateway, "org/acme", storage="forbid")
    assert answer["ended"] == [job]
    assert f.gateway.wait_state(job, "ready")["stop_reason"] == "policy_changed"  # what is stored stays
    reply = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode="store"))
    assert reply.status == 403 and reply.json["error"]["code"] == "store_forbidden" and reply.json["error"]["field"] == "mode"
    assert reply.json["error"]["message"] == "mode: storing captures is switched off for org acme: case 12; live is offered"
    job = allowed(f.gateway, mode="auto")
    assert job["mode"] == "live" and job["policy"] == ["org acme: not stored (case 12)"]


def test_storing_closed_by_default_and_kept_shorter(fleet):
    f = fleet(config={"policy": {"storage": "closed"}})
    reply = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode="store"))
    assert reply.status == 403 and reply.json["error"]["code"] == "store_forbidden"
    set_switch(f.gateway, "space/dev", storage="allow", retention_s=60)
    job = f.gateway.store(packet_filter=FILTER)
    made = f.gateway.finish(job)
    assert made["policy"] == ["space dev: kept for 60 s (case 12)"]
    kept = datetime.datetime.fromisoformat(made["expires_at"][:19]) - datetime.datetime.fromisoformat(made["ended_at"][:19])
    assert kept < datetime.timedelta(hours=1), "not the gateway's own day"


# ---- what is forced ----

OTHER = PORT + 1


def send_both(f):
    """20 datagrams to PORT, and 20 that a forced filter for PORT leaves out."""
    s = f.source.socket()
    for k in range(20):
        s.sendto(k.to_bytes(8, "big") + bytes(200), (f.nodes[0].ip, OTHER))
        s.sendto(k.to_bytes(8, "big") + bytes(200), (f.nodes[0].ip, PORT))
    s.close()


@pytest.mark.parametrize("text", ["", "udp", f"udp) or (udp port {OTHER}", f"udp port {PORT} or udp port {OTHER}"])
def test_forced_filter_holds_whatever_the_users_says(fleet, cli, text):
    f = fleet()
    set_switch(f.gateway, "group/web", filter=FILTER, snaplen=96, reason="GDPR")
    rule = f'group web: at most 96 bytes of a packet, filter "{FILTER}" (GDPR)'
    live = f.gateway.live(packet_filter=text)
    if ")" in text:
        assert live.status == 400 and live.error["code"] == "bad_filter" and live.error["field"] == "options.filter"
        return
    f.gateway.wait_running(live.job)
    send_both(f)
    live.wait_packets(20)
    f.gateway.finish(live.job)
    live.wait_end()
    pcap = read_pcapng(live.data)
    assert len(pcap.packets) == 20 and {len(p.data) for p in pcap.packets} == {96} and {p.length for p in pcap.packets} == {250}
    job = f.gateway.job(live.job)
    assert job["policy"] == [rule] and job["options"]["snaplen"] == 96 and job["options"]["filter"] == text
    assert [e["data"] for e in f.gateway.events(live.job) if e["type"] == "policy"] == [{"rules": [rule]}]
    assert any(f"; forced by operators: {rule}" in c for c in pcap.comments)
    if text == "udp":
        shown = cli(f.gateway).ok("show", live.job).text
        assert f"policy      {rule}" in shown


def test_forced_headers_only(fleet):
    """Cut at the agent, whatever the user asks for; one that runs with payload ends when the rule comes."""
    f = fleet()
    before = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(before.job)
    set_switch(f.gateway, "group/web", payload="headers", reason="GDPR")
    assert f.gateway.wait_state(before.job, ENDS)["stop_reason"] == "policy_changed"
    live = f.gateway.live(packet_filter=FILTER, payload="full")
    f.gateway.wait_running(live.job)
    f.send(count=5, size=200).wait()
    live.wait_packets(5)
    f.gateway.finish(live.job)
    live.wait_end()
    assert {(len(p.data), p.length) for p in read_pcapng(live.data).packets} == {(14 + 20 + 8, 14 + 20 + 8 + 200)}
    job = f.gateway.job(live.job)
    assert job["options"]["payload"] == "headers" and job["policy"] == ["group web: headers only (GDPR)"]


def test_command_tells_what_is_forced(fleet, cli):
    f = fleet()
    set_switch(f.gateway, "org/acme", snaplen=96, storage="forbid", reason="GDPR")
    note = "note: org acme: at most 96 bytes of a packet, not stored (GDPR)\n"
    assert cli(f.gateway).ok("host", "web", "--auto", "--duration", "1s", "-w", "x.pcapng").err.count(note) == 1
    refusal = cli(f.gateway).run("host", "web", "--store", "--duration", "1s", code=3)
    assert "mode: storing captures is switched off for org acme: GDPR; live is offered" in refusal.err
    set_switch(f.gateway, "org/acme", snaplen=96, reason="GDPR")
    note = "note: org acme: at most 96 bytes of a packet (GDPR)\n"
    assert cli(f.gateway).ok("host", "web", "--store", "--duration", "1s").err.count(note) == 1


def test_forced_filter_that_is_wrong_refuses_and_names_its_switch(fleet):
    f = fleet()
    set_switch(f.gateway, "org/acme", filter="tcp prot 80")
    error = start(f.gateway)
    assert error["code"] == "bad_forced_filter" and 'the filter "tcp prot 80" that the switch of org acme forces: ' in error["message"], error


@pytest.mark.parametrize("more", [{"payload": "headers"}, {"snaplen": 96}, {"filter": "udp"}, {"approval": "required"}])
def test_stricter_rule_ends_what_runs(fleet, more):
    f = fleet()
    live = running(f)
    set_switch(f.gateway, "group/web", capture="allow", retention_s=60)  # is for captures to come
    assert f.gateway.job(live.job)["state"] == "running"
    assert set_switch(f.gateway, "group/web", **more)["ended"] == [live.job]
    assert "start it again" in ended(f.gateway, live, "policy_changed")["error"]["message"]


def test_laxer_rule_ends_nothing(fleet):
    f = fleet()
    set_switch(f.gateway, "group/web", filter=FILTER, snaplen=96)
    live = running(f)
    assert set_switch(f.gateway, "group/web", filter=FILTER, snaplen=200)["ended"] == []
    assert delete_switch(f.gateway, "group/web")["ended"] == []
    assert f.gateway.finish(live.job)["stop_reason"] == "user_stop"


# ---- the API and the command ----

BAD = [
    ("nowhere/x", {"capture": "forbid"}, "scope"),
    ("platform/x", {"capture": "forbid"}, "id"),
    ("org/acme?level=developer", {"capture": "forbid"}, "level"),
    ("org/acme?levle=x", {"capture": "forbid"}, "levle"),
    ("org/acme", {}, ""),
    ("org/acme", {"capture": "no"}, "capture"),
    ("org/acme", {"capture": "forbid", "reason": ""}, "reason"),
    ("org/acme", {"capture": "forbid", "reason": None}, "reason"),
    ("org/acme", {"capture": "forbid", "why": "x"}, "why"),
    ("org/acme", {"snaplen": 15}, "snaplen"),
    ("org/acme", {"snaplen": 262145}, "snaplen"),
    ("org/acme", {"payload": "none"}, "payload"),
    ("org/acme", {"filter": "x" * 1025}, "filter"),
    ("org/acme", {"filter": "a\nb"}, "filter"),
    ("org/acme", {"retention_s": 24 * 3600 + 1}, "retention_s"),
    ("org/acme", {"capture": "forbid", "ttl_s": 0}, "ttl_s"),
    ("org/acme", {"capture": "forbid", "ttl_s": 5, "expires_at": "2099-01-01T00:00:00Z"}, "ttl_s"),
    ("org/acme", {"capture": "forbid", "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
    ("org/acme", {"capture": "forbid", "expires_at": "tomorrow"}, "expires_at"),
]


def test_api_and_command(gateways, cli):
    g = gateways({})
    for path, body, field in BAD:
        reply = g.api("PUT", f"{SWITCHES}/{path}", {"reason": "x", **body}, "olga")
        assert reply.status == 400 and reply.json["error"].get("field", "") == field, (path, body, reply)
    for method in ("GET", "PUT", "DELETE"):
        assert g.api(method, f"{SWITCHES}/org/acme", {} if method == "PUT" else None).status == 403
        assert method == "PUT" or g.api(method, f"{SWITCHES}/org/acme", user="olga").status == 404
    assert g.api("GET", SWITCHES).status == 403
    for path in ("org", "org/a%2Fb", "group/a/b/c", "platform/x/y"):
        assert g.api("GET", f"{SWITCHES}/{path}", user="olga").status == 404
    assert g.api("GET", "/v1/switches/app/x").status in (400, 404)  # no Cloud Foundry here
    assert g.api("GET", "/v1/switches/space/x").status == 404 and g.api("GET", "/v1/switches/group/web").status == 404

    ops = cli(g, "olga")
    ops.ok("admin", "switch", "set", "group", "cf/router", "--capture", "forbid", "--reason", "incident 7", "--for", "2h")
    ops.ok("admin", "switch", "set", "platform", "--headers-only", "--filter", "not port 22", "--approval", "--retention-max", "1h", "--reason", "GDPR")
    listed = ops.ok("admin", "switch", "list")
    assert "cf/router" in listed.text and "capture forbid" in listed.text and "headers only, approval, retention at most 3600s, filter not port 22" in listed.text
    assert "by default captures are open" in listed.err
    assert "incident 7" not in ops.ok("admin", "switch", "list", "platform").text
    row = json.loads(ops.ok("admin", "switch", "show", "group", "cf/router", "--json").text)
    assert row["id"] == "cf/router" and row["set_by"] == "olga" and row["expires_at"] and row["level"] == "temporary"
    assert g.api("GET", f"{SWITCHES}/group/cf%2Frouter", user="olga").json == row
    assert g.api("GET", f"{SWITCHES}?scope=group&id=cf/router", user="olga").json["switches"] == [row]
    assert "reason        GDPR" in ops.ok("admin", "switch", "show", "platform").text
    assert g.api("GET", f"{SWITCHES}/platform", user="olga").json["reason"] == "GDPR" and g.api("GET", f"{SWITCHES}/group/cf/router", user="olga").json == row
    assert set_switch(g, "group/cf/api", capture="forbid")["switch"]["id"] == "cf/api"
    assert set_switch(g, "org/acme", capture="allow")["warnings"] == [], "there is no Cloud Foundry here: orgs are those of users"
    delete_switch(g, "org/acme")
    assert set_switch(g, "group/cf/api", capture="forbid")["warnings"] == [], "which groups deployments have is not known here"
    said = ops.ok("admin", "switch", "set", "group", "wbe", "--capture", "forbid", "--reason", "x").err
    assert 'warning: the inventory has no group "wbe"' in said, said
    delete_switch(g, "group/wbe")
    assert g.api("DELETE", f"{SWITCHES}/group/cf/api", user="olga").json["ended"] == []
    ops.ok("admin", "switch", "delete", "group", "cf/router")
    ops.run("admin", "switch", "show", "group", "cf/router", code=4)
    for wrong in (["set", "org", "acme", "--capture", "forbid"], ["drop", "org", "acme"], ["set"], ["show", "org", "acme", "--capture", "allow"],
                  ["set", "org", "acme", "--reason", "x", "--level", "developer"], ["list", "nowhere"]):
        ops.run("admin", "switch", *wrong, code=2)
    trail = [r for r in map(json.loads, (g.state_dir / "audit.jsonl").read_text().splitlines()) if r["action"].startswith("switch.") and r["outcome"] == "ok"]
    assert [r["action"] for r in trail] == ["switch.set"] * 4 + ["switch.delete"] + ["switch.set"] * 2 + ["switch.delete"] * 3 and {r["user_id"] for r in trail} == {"olga"}


# ---- developers about what is theirs ----

STREAM = SECTION + interface() + packet(1767225600_000000000, b"\x02" * 60)
CF_SCOPES = ("openid", "cloud_controller.read", "cloud_controller.write")


class Foundation:
    """An app in a space of an org, its developer's home, and a gateway; its cell is a fake that captures."""

    def __init__(self, session, folder, pki, issuers, cc, fakes, gateways, **policy):
        self.uaa, self.cc, agent = issuers(), cc, fakes(capturing(STREAM))
        self.org = cc.org()
        self.space, self.other = cc.space(self.org, "dev"), cc.space(self.org, "prod")
        self.shop = cc.app(self.space, "shop", [instance(0)])
        cc.role("space_developer", self.uaa.user_id("dev"), self.space)
        cc.role("space_auditor", self.uaa.user_id("audit"), self.space)
        self.gateway = gateways({}, issuers=[self.uaa.entry()], config={
            "cf": {"api": cc.url, "ca": pki.ca, "agent_port": agent.port}, "policy": policy})
        self.pcap = Cli(session, folder, env={"PCAP_GATEWAY": self.gateway.url})
        (self.pcap.folder / ".cf").mkdir()
        config = self.pcap.folder / ".cf/config.json"
        config.write_text(json.dumps({
            "ConfigVersion": 4, "Target": cc.url, "AccessToken": "bearer " + self.token(), "RefreshToken": "none", "SSLDisabled": True,
            "UaaEndpoint": self.uaa.url, "OrganizationFields": {"GUID": self.org, "Name": "acme"},
            "SpaceFields": {"GUID": self.space, "Name": "dev"}, "UAAOAuthClient": "cf"}))
        config.chmod(0o600)

    def token(self, user="dev", **claims):
        return self.uaa.token(user, **{"scope": CF_SCOPES, **claims})

    def start(self):
        """The code of a refusal, or None; then it is ended again."""
        body = {"target": {"type": "cf", "app": self.shop}, "mode": "store"}
        reply = self.gateway.api("POST", "/v1/captures", body, token=self.token())
        if reply.status != 202:
            return reply.error["code"]
        self.gateway.api("DELETE", f"/v1/captures/{reply.json['id']}", token=self.token())
        return None

    def switch(self, word, kind="app", id=None, user="dev", **claims):
        return self.gateway.api("PUT", f"/v1/switches/{kind}/{id or self.shop}", {"capture": word, "reason": "ours"}, token=self.token(user, **claims))

    def asked(self, kind="app", id=None, user="dev", **claims):
        return self.gateway.api("GET", f"/v1/switches/{kind}/{id or self.shop}", token=self.token(user, **claims))


@pytest.fixture
def foundation(session, folder, pki, issuers, cloud_controller, fakes, gateways):
    return lambda **policy: Foundation(session, folder, pki, issuers, cloud_controller, fakes, gateways, **policy)


def test_developers(foundation):
    f = foundation()
    assert f.pcap.ok("allowed", "app", "shop").text == "captures of app 'shop' are allowed\n"
    f.pcap.ok("disable", "app", "shop", "--reason", "secrets on the wire")
    answer = f.pcap.run("allowed", "app", "shop", code=3)
    assert answer.text == "captures of app 'shop' are not allowed\n" and f"switched off for app {f.shop} (by its developers): secrets on the wire" in answer.err
    assert f.start() == "switched_off"
    assert f.asked().json["own"]["reason"] == "secrets on the wire" and f.asked().json["own"]["set_by"] == f"cf:{f.uaa.user_id('dev')}"
    f.pcap.ok("enable", "app", f.shop, "--guid")
    assert f.start() is None and f.asked().json["own"] is None

    f.pcap.ok("disable", "space", "dev")
    assert f.pcap.run("allowed", "app", "shop", code=3).err and f.start() == "switched_off"
    f.pcap.run("disable", "space", "prod", code=2)  # is not the one that cf has as its target
    f.pcap.run("disable", "org", "acme", code=2)
    assert f.gateway.api("DELETE", f"{SWITCHES}/space/{f.space}", user="olga").status == 404  # no operator's
    delete_switch(f.gateway, f"space/{f.space}", query="?level=developer")
    assert f.start() is None

    for scope, what in (("org", "for no org of Cloud Foundry"), ("space", "for no space of Cloud Foundry"), ("app", "for no app")):
        warned = set_switch(f.gateway, f"{scope}/shop", capture="forbid")["warnings"]
        assert len(warned) == 1 and warned[0].startswith('"shop" is no GUID') and what in warned[0], warned
    said = Cli(f.pcap.session, f.pcap.folder, env={"PCAP_GATEWAY": f.gateway.url, "PCAP_TOKEN": f.gateway.tokens["olga"]}).ok(
        "admin", "switch", "set", "org", "acme", "--capture", "forbid", "--reason", "x")
    assert 'warning: "acme" is no GUID' in said.err and "cf org NAME --guid" in said.err
    assert f.start() is None, "names match nothing there, which is why it is said"
    for scope in ("platform", f"org/{f.org}", f"space/{f.space}", f"app/{f.shop}"):
        assert set_switch(f.gateway, scope, capture="forbid")["warnings"] == []
        assert f.start() == "switched_off"
        assert f.pcap.run("enable", "app", "shop", code=3).err.count("case 12") == 1  # not the developers' to undo
        delete_switch(f.gateway, scope)
    set_switch(f.gateway, f"org/{f.org}", snaplen=96, storage="forbid")
    answer = f.pcap.ok("allowed", "app", "shop")
    assert "live only: storing captures is switched off for org" in answer.err and "note: org" in answer.err


def test_only_who_may_capture_there_may_switch(foundation):
    f = foundation()
    for who, claims, status in (("dev", {"scope": ("openid", "cloud_controller.read")}, 403), ("audit", {}, 403), ("nobody", {}, 404)):
        for kind, id in (("app", f.shop), ("space", f.space)):
            for reply in (f.switch("forbid", kind, id, who, **claims), f.asked(kind, id, who, **claims)):
                assert reply.status == status, (who, kind, reply)
    assert f.switch("forbid", "space", f.other).status == 404 and f.switch("forbid", "app", "gone").status == 404
    assert f.switch("forbid", "app", "shop?space=" + f.other).status == 404
    assert f.start() is None
    assert f.switch("forbid", "app", "shop?space=" + f.space).status == 200 and f.start() == "switched_off"
    for body, field in (({}, "capture"), ({"capture": "maybe"}, "capture"), ({"capture": "allow", "ttl_s": 5}, "ttl_s")):
        reply = f.gateway.api("PUT", f"/v1/switches/app/{f.shop}", body, token=f.token())
        assert reply.status == 400 and reply.error["field"] == field, reply
    # An app that nothing runs of may be switched all the same; and what its platform says is said.
    f.cc.apps[f.shop]["state"] = "STOPPED"
    assert f.switch("allow").json["capture"] == {"allowed": True, "because": None}


@pytest.mark.parametrize("developers, default, enabled", [("off", "open", None), ("disable", "closed", False), ("on", "closed", True)])
def test_what_policy_lets_developers(foundation, developers, default, enabled):
    f = foundation(developers=developers, default=default)
    reply = f.switch("allow")
    if enabled is None:
        assert reply.status == 403 and reply.error["code"] == "developers_off" and f.switch("forbid").error["code"] == "developers_off"
        assert f.asked().json["capture"]["allowed"] is True
        trail = [r for r in map(json.loads, (f.gateway.state_dir / "audit.jsonl").read_text().splitlines()) if r["action"] == "switch.set"]
        assert [(r["outcome"], r["code"]) for r in trail] == [("refused", "developers_off")] * 2 and all(r["user_id"] for r in trail)
        return
    assert reply.json["capture"]["allowed"] is enabled and f.start() == (None if enabled else "switched_off")
    set_switch(f.gateway, f"org/{f.org}", capture="allow")
    assert f.switch("forbid").json["capture"]["allowed"] is False and f.start() == "switched_off"
    assert f.switch("allow").json["capture"]["allowed"] is True and f.start() is None
