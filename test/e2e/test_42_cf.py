"""Apps of Cloud Foundry as targets: which containers on which cells agents are asked for, with whose right, and that nobody is asked when it is refused."""
import time
import uuid

import pytest

from rig import wait_for
from rig.cloud_controller import ADMIN, AUDITOR, HTML, READ_ONLY, answering, crashed, down, handle_of, refusing, running, starting
from rig.fake_agent import SECTION, capturing, interface, packet

SCOPES = ("openid", "cloud_controller.read", "cloud_controller.write")
STREAM = SECTION + interface() + packet(1767225600_000000000, b"\x02" * 60)


class Foundation:
    """An issuer, a Cloud Controller, cells with an agent each (all on one port), and a gateway that knows them.

    There are: org acme with the spaces dev and prod; in dev the app `shop` (web: 3 on two cells), in prod the app `till`; dev@ develops in dev.
    """

    def __init__(self, issuers, cloud_controller, fakes, gateways, pki, cells=("127.0.0.1", "127.0.0.2"), cf=None, config=None):
        self.uaa, self.cc = issuers(), cloud_controller
        first = fakes(capturing(STREAM), address=cells[0])
        self.agents = [first] + [fakes(capturing(STREAM), address=c, port=first.port) for c in cells[1:]]
        self.acme = self.cc.org()
        self.dev, self.prod = self.cc.space(self.acme, "dev"), self.cc.space(self.acme, "prod")
        self.shop = self.cc.app(self.dev, "shop", [running(i, cells[i % len(cells)]) for i in range(3)])
        self.till = self.cc.app(self.prod, "till", [running(0, cells[0], handle_of("till"))])
        self.cc.role("space_developer", self.uaa.user_id("dev"), self.dev)
        self.gateway = gateways({}, issuers=[self.uaa.entry()], config={
            "cf": {"api": self.cc.url, "ca": pki.ca, "agent_port": first.port, **(cf or {})}, **(config or {})})

    def token(self, user="dev", **claims):
        return self.uaa.token(user, **claims)

    def start(self, target=None, token=None, **more):
        """The reply to a start; more: of the target, which is `shop` unless one is given."""
        target = {"type": "cf", **({"app": self.shop} if target is None else target), **more}
        return self.gateway.api("POST", "/v1/captures", {"target": target, "mode": "store"}, token=token or self.token())

    def asked(self):
        """What agents were asked to start since the last time, in the order of their cells: [(cell, request)]."""
        found = []
        for n, agent in enumerate(self.agents):
            requests, agent.requests = agent.requests, []
            found += [(n, body) for _method, path, body in requests if path == "/v1/captures"]
        return found

    def job(self, reply, token=None):
        return self.gateway.api("GET", f"/v1/captures/{reply.json['id']}", token=token or self.token()).json

    def remove(self, reply, token=None):
        gone = self.gateway.api("DELETE", f"/v1/captures/{reply.json['id']}", token=token or self.token())
        assert gone.status in (200, 202, 204), gone

    def captured(self, target=None, token=None, failing=(), **more):
        """Starts, waits until all agents were asked, ends it: {name: (cell, the agent's target)}.  failing: names of those that cannot be captured."""
        reply = self.start(target, token, **more)
        assert reply.status == 202, reply
        instances = self.job(reply, token)["instances"]
        good = {i["name"] for i in instances if not i.get("error")}
        assert {i["name"] for i in instances} - good == set(failing)
        seen = []

        def all_asked():
            seen.extend(self.asked())
            return len(seen) == len(good)
        wait_for(all_asked, f"agents to be asked for {good}, was {seen}")
        self.remove(reply, token)
        assert {body["name"] for _, body in seen} == good and len(good) == len(seen)
        return {body["name"]: (cell, body["target"]) for cell, body in seen}

    def refused(self, status, code, text, target=None, token=None, field=None, **more):
        """A start that must be refused in these words without any agent asked; what is wrong as text, or None."""
        reply = self.start(target, token, **more)
        if reply.status == 202:
            self.remove(reply, token)
            return "was started"
        error, asked = reply.error, self.asked()
        if "try again in" in error["message"] and status != 429:
            return f"{error['message']!r} bids to wait for what will not change"
        if reply.status != status or error["code"] not in code.split("|") or text not in error["message"] or (field and error.get("field") != field):
            return f"{reply.status} {error}, due was {status} {code} {text!r} {field or ''}"
        return f"agents were asked: {asked}" if asked else None


@pytest.fixture
def foundation(issuers, cloud_controller, fakes, gateways, pki):
    return lambda **kwargs: Foundation(issuers, cloud_controller, fakes, gateways, pki, **kwargs)


def check(faults):
    """faults: {what: text or None}"""
    bad = [f"{what}: {text}" for what, text in faults.items() if text]
    assert not bad, "\n".join(bad)


def container(handle, app, index):
    return {"type": "container", "handle": handle, "app": app, "index": index}


# ---- what is captured ----

def test_by_guid_and_by_name(foundation):
    f = foundation()
    all_three = {f"shop/{i}": (i % 2, container(handle_of(("web", i)), f.shop, i)) for i in range(3)}
    f.cc.asked.clear()
    assert f.captured() == all_three
    assert [path for path, _ in f.cc.asked] == [
        f"/v3/apps/{f.shop}", "/v3/roles", f"/v3/apps/{f.shop}/processes", f"/v3/processes/{f.shop}/stats"], "no more is asked than is needed"
    assert f.captured({"app_name": "shop", "space": f.dev}) == all_three
    assert f.captured({"app_name": "shop", "space": f.dev, "app": f.shop}, instances=[2, 0]) == {n: all_three[n] for n in ("shop/0", "shop/2")}
    f.cc.asked.clear()
    assert f.captured(token=f.token("root", scope=[*SCOPES, ADMIN]), instances=[1]) == {"shop/1": all_three["shop/1"]}
    assert len(f.cc.asked) == 3, "of an admin no role is asked"
    assert "cf" in f.gateway.api("GET", "/v1/info", user=None).json["targets"]


def test_job_is_of_the_app(foundation):
    """Org and space by GUID; found again by the app's GUID, also when it was named otherwise; live too."""
    f = foundation()
    for target in ({"app": f.shop}, {"app_name": "shop", "space": f.dev}):
        reply = f.start(target)
        job = f.job(reply)
        assert (job["org"], job["space"]) == (f.acme, f.dev)
        assert job["target"]["app"] == f.shop
        listed = f.gateway.api("GET", f"/v1/captures?app={f.shop}&state=starting,running", token=f.token()).json["captures"]
        assert [j["id"] for j in listed] == [job["id"]]
        assert f.gateway.api("GET", f"/v1/captures?app={f.till}", token=f.token()).json["captures"] == []
        f.remove(reply)
    live = f.gateway.http.stream("POST", "/v1/captures", {"target": {"type": "cf", "app": f.shop}, "mode": "live"}, f.token())
    live.wait_packets(3)
    assert {i.name.split()[0] for i in live.capture().interfaces} == {"shop/0", "shop/1", "shop/2"}
    f.gateway.api("POST", f"/v1/captures/{live.headers['pcap-job']}/stop", token=f.token())
    live.wait_end()


def test_process_types(foundation):
    f = foundation()
    f.cc.process(f.shop, [running(0, handle=handle_of("w0"), type="worker"), running(1, handle=handle_of("w1"), type="worker")], "worker")
    f.cc.process(f.shop, [], "cron")
    odd = f.cc.process(f.shop, [running(0, handle=handle_of("odd"))], "a,b/c d")
    assert set(f.captured()) == {"shop/0", "shop/1", "shop/2"}
    assert f.captured(process="worker") == {f"shop/worker/{i}": (0, container(handle_of(f"w{i}"), f.shop, i)) for i in range(2)}
    assert set(f.captured(process="*", instances=[1])) == {"shop/1", "shop/worker/1"}
    assert set(f.captured(process="a,b/c d")) == {"shop/a,b/c d/0"}
    f.cc.asked.clear()
    assert set(f.captured(process="*", instances=[0])) == {"shop/0", "shop/worker/0", "shop/a,b/c d/0"}
    assert [p for p, _ in f.cc.asked if p.endswith("/stats")] == [f"/v3/processes/{g}/stats" for g in (odd, f.shop, next(
        g for g, p in f.cc.processes.items() if p["type"] == "worker"))], "a process without instances is not asked for them"
    check({
        "unknown": f.refused(404, "not_found", 'no process "clock"', process="clock", field="target.process"),
        "none": f.refused(409, "not_running", "scaled to none", process="cron"),
        "index": f.refused(404, "not_found", "no instance 2; the app has 2", process="worker", instances=[0, 2], field="target.instances"),
    })


def test_rolling_deployment(foundation):
    """Two web processes: index 0 is there twice, and both are captured, told apart."""
    f = foundation()
    new = f.cc.process(f.shop, [running(0, "127.0.0.2", handle_of("new"))])
    assert f.captured(instances=[0]) == {
        "shop/0": (0, container(handle_of(("web", 0)), f.shop, 0)),
        f"shop/0 (rev {new[:8]})": (1, container(handle_of("new"), f.shop, 0)),
    }
    assert set(f.captured()) == {"shop/0", "shop/1", "shop/2", f"shop/0 (rev {new[:8]})"}
    f.cc.after = lambda path: f.cc.processes.pop(f.shop, None) if path.endswith("/processes") else None  # done between two calls
    assert set(f.captured(instances=[0])) == {f"shop/0 (rev {new[:8]})"}
    f.cc.after = None
    assert f.captured() == {"shop/0": (1, container(handle_of("new"), f.shop, 0))}


def test_pages(foundation):
    """The one process that runs is on the second page."""
    f = foundation()
    app = f.cc.app(f.dev, "many")
    for n in range(55):
        f.cc.process(app, [], f"cron-{n}")
    f.cc.process(app, [running(0, handle=handle_of("last"))])
    f.cc.asked.clear()
    assert set(f.captured({"app": app}, process="*")) == {"many/0"}
    assert [q.get("page") for p, q in f.cc.asked if p.endswith("/processes")] == [None, "2"]

    def next_at(url):
        def fault(handler, path):
            if "/processes" not in path or "/v3/apps" not in path:
                return False
            handler.reply(200, {"pagination": {"next": {"href": url}}, "resources": []})
            return True
        return fault
    faults = {}
    for url in ("https://elsewhere.example.test/v3/x", f.cc.url.replace("localhost", "otherhost") + "/v3/x", f.cc.url + ".example.test/v3/x",
                f.cc.url + "@elsewhere/v3/x", f.cc.url + "/v2/x", "/v3/x", 5, f.cc.url + "/v3/a b", f.cc.url + "/v3/" + "x" * 3000):
        f.cc.fault = next_at(url)
        faults[url] = f.refused(502, "platform_failed", "next page", {"app": app}, process="*")
    f.cc.fault = next_at(f.cc.url + f"/v3/apps/{app}/processes?page=2")
    f.cc.asked.clear()
    faults["endless"] = f.refused(502, "platform_failed", "more than 20 pages", {"app": app}, process="*")
    assert len(f.cc.asked) < 25
    check(faults)


def test_older_platform(foundation):
    """Without instance_guid the address in the overlay serves; without that, nothing; spaces do not know of suspension."""
    f = foundation()
    space = f.cc.space(f.acme, "old", suspended=None)
    f.cc.role("space_developer", f.uaa.user_id("dev"), space)
    app = f.cc.app(space, "old", [running(0, instance_guid=None, instance_internal_ip="10.255.7.7"), running(1, instance_guid=""),
                                  running(2, instance_guid=None, instance_internal_ip=None), running(3, handle="0" * 36)])
    assert f.captured({"app": app}, failing=["old/2"]) == {
        "old/0": (0, {"type": "container", "address": "10.255.7.7", "app": app, "index": 0}),
        "old/1": (0, {"type": "container", "address": "10.255.40.2", "app": app, "index": 1}),
        "old/3": (0, container("0" * 36, app, 3)),
    }
    check({"nothing to find it by": f.refused(502, "platform_failed", "in which container", {"app": app}, instances=[2])})


def test_ipv6_cell(foundation):
    f = foundation(cells=("::1",))
    assert f.captured(instances=[1]) == {"shop/1": (0, container(handle_of(("web", 1)), f.shop, 1))}


def test_instances_that_do_not_run(foundation):
    """Each says why; the others are captured."""
    f = foundation()
    hostile = {"host": "cell.example.test"}, {"host": "0.0.0.0"}, {"host": 5}, {"instance_guid": "../../../etc/passwd-0123456789"}, {"instance_guid": "A" * 28}
    app = f.cc.app(f.dev, "mixed", [
        running(0), down(1), crashed(2), starting(3), running(4, state="STARTING"), running(5, state="STOPPING"), {"index": "6", "state": "RUNNING"},
        {"index": 7}, running(8, host=None), running(9, handle=handle_of("nine")), down(9), None, {"type": [], "index": -1},
        *[running(10 + n, **h) for n, h in enumerate(hostile)]], guid="mixed-1")
    f.cc.processes[app]["instances"] = 15
    reply = f.start({"app": app})
    assert reply.status == 202, reply
    found = {i["name"]: i.get("error") for i in f.job(reply)["instances"]}
    codes = {name: error["code"] for name, error in found.items() if error}
    assert set(found) == {f"mixed/{n}" for n in range(15)}
    assert codes == {"mixed/1": "instance_down", "mixed/2": "instance_crashed", "mixed/3": "instance_starting", "mixed/5": "instance_down",
                     "mixed/6": "instance_down", "mixed/7": "instance_down", **{f"mixed/{n}": "platform_failed" for n in (8, *range(10, 15))}}
    assert "has crashed" in found["mixed/2"]["message"]
    seen = []
    wait_for(lambda: seen.extend(f.asked()) or len(seen) == 3, "three agents to be asked")
    assert {(b["name"], b["target"]["handle"]) for _, b in seen} == {
        ("mixed/0", handle_of(("web", 0))), ("mixed/4", handle_of(("web", 4))), ("mixed/9", handle_of("nine"))}
    f.remove(reply)
    check({
        "one, crashed": f.refused(409, "instance_crashed", "mixed/2: the instance has crashed", {"app": app}, instances=[2]),
        "two, down": f.refused(409, "instance_down", "none of 2 instances", {"app": app}, instances=[1, 7]),
    })


def test_cells_are_asked_for_each_time(foundation):
    """An instance moves between two captures, with a new handle."""
    f = foundation()

    def move(path):
        if path.endswith("/stats"):
            f.cc.stats[f.shop][0] = running(0, "127.0.0.2", handle_of("moved"))
    f.cc.after = move
    assert f.captured(instances=[0])["shop/0"] == (0, container(handle_of(("web", 0)), f.shop, 0))
    assert f.captured(instances=[0])["shop/0"] == (1, container(handle_of("moved"), f.shop, 0))


def test_several_apps(foundation):
    f = foundation()
    f.cc.role("space_developer", f.uaa.user_id("dev"), f.prod)
    targets = [{"type": "cf", "app": f.shop, "instances": [0]}, {"type": "cf", "app": f.till}]
    reply = f.gateway.api("POST", "/v1/captures", {"targets": targets, "mode": "store"}, token=f.token())
    assert reply.status == 202, reply
    assert {i["name"] for i in f.job(reply)["instances"]} == {"shop/0", "till/0"}
    for app in (f.shop, f.till):
        assert [j["id"] for j in f.gateway.api("GET", f"/v1/captures?app={app}", token=f.token()).json["captures"]] == [reply.json["id"]]
    assert f.gateway.api("GET", f"/v1/captures?app={f.shop[:8]}", token=f.token()).json["captures"] == []
    f.remove(reply)
    f.asked()
    f.cc.roles.pop()
    reply = f.gateway.api("POST", "/v1/captures", {"targets": targets, "mode": "store"}, token=f.token())
    assert (reply.status, reply.error["field"]) == (404, "targets[1].app") and f.asked() == []


def test_apps_of_two_orgs(foundation):
    """One capture of both runs in each, is a start in each, and what it stores is stored in each, in whatever order its targets are."""
    f = foundation(config={"limits": {"captures_per_org": 2, "starts_per_hour_org": 3, "quota_org": "1MiB"}})
    there = f.cc.space(f.cc.org("other"), "far")
    away = f.cc.app(there, "away", [running(0, "127.0.0.1", handle_of("away"))])
    for space in (there, f.prod):
        f.cc.role("space_developer", f.uaa.user_id("dev"), space)

    def start(*apps):
        targets = [{"type": "cf", "app": app, "instances": [0]} for app in apps]
        return f.gateway.api("POST", "/v1/captures", {"targets": targets, "mode": "store"}, token=f.token())

    def refusal(*apps):
        reply = start(*apps)
        return reply.status, reply.error["code"], reply.error["message"].split(" captures")[0]

    org = f.cc.spaces[there]["relationships"]["organization"]["data"]["guid"]
    both = [start(f.shop, away), start(away, f.shop)]
    assert [r.status for r in both] == [202, 202]
    assert refusal(away) == (429, "too_many_captures", f"org {org} has 2") and refusal(f.shop) == (429, "too_many_captures", f"org {f.acme} has 2")
    stored = []
    for reply in both:
        job = reply.json["id"]
        wait_for(lambda job=job: f.gateway.api("GET", f"/v1/captures/{job}", token=f.token()).json["state"] == "running", "it to run")
        f.gateway.api("POST", f"/v1/captures/{job}/stop", token=f.token())
        ready = wait_for(lambda job=job: (j := f.gateway.api("GET", f"/v1/captures/{job}", token=f.token()).json)["state"] == "ready" and j, "its object")
        stored.append(ready["object"]["size_bytes"])
    f.gateway.restart()
    for app in (f.shop, away):
        reply = start(app)
        assert reply.status == 202 and reply.headers["ratelimit-remaining"] == "0", reply
        f.remove(reply)
    assert refusal(away) == (429, "too_many_starts", "3") and refusal(f.till, away) == (429, "too_many_starts", "3")

    # Each org has all of what both stored, and no room for a file beside it.
    f.gateway.config["limits"] |= {"quota_org": sum(stored) + 8 * 1024, "starts_per_hour_org": 0}
    f.gateway.restart()
    for app in (f.shop, away):
        full = start(app)
        assert (full.status, full.error["code"]) == (429, "quota_exceeded") and f"leaves {8 * 1024} of" in full.error["message"], full


# ---- who may ----

PEOPLE = {
    # who: (scopes beside read, roles {kind: places}, what of an app in the own space, what of one in another space)
    "admin": ([ADMIN], {}, 202, 202),
    "admin without write": ([ADMIN, "-write"], {}, 202, 202),
    "admin, read-only": ([READ_ONLY, "cloud_controller.write"], {}, 403, 403),
    "global auditor": ([AUDITOR, "cloud_controller.write"], {}, 403, 403),
    "org manager": ([], {"organization_manager": "acme"}, 403, 403),
    "space manager": ([], {"space_manager": "dev"}, 403, 404),
    "space developer": ([], {"space_developer": "dev"}, 202, 404),
    "space supporter": ([], {"space_supporter": "dev"}, 403, 404),
    "space auditor": ([], {"space_auditor": "dev"}, 403, 404),
    "org auditor": ([], {"organization_auditor": "acme"}, 404, 404),
    "billing manager": ([], {"organization_billing_manager": "acme"}, 404, 404),
    "org user": ([], {"organization_user": "acme"}, 404, 404),
    "nobody": ([], {}, 404, 404),
    "client": ([], {}, 404, 404),
    "client, space developer": ([], {"space_developer": "dev"}, 202, 404),
    "client, space auditor": ([], {"space_auditor": "dev"}, 403, 404),
    "client, admin": ([ADMIN], {}, 202, 202),
    "developer without write": (["-write"], {"space_developer": "dev"}, 403, 404),
    "developer without read": (["-read"], {"space_developer": "dev"}, 403, 403),
    "developer elsewhere, auditor here": ([], {"space_auditor": "dev", "space_developer": "prod"}, 403, 202),
}
WORDS = {
    202: ("", ""), 404: ("not_found", "no app"), 403: ("perm", "space developer"),
    "developer without write": ("perm", "cloud_controller.write"), "developer without read": ("perm", "CF-NotAuthorized"),
}


def person(f, who):
    """A token of somebody in that position."""
    more, roles, *_ = PEOPLE[who]
    scopes = [s for s in (*SCOPES, *more) if not s.startswith("-") and "-" + s.rsplit(".", 1)[-1] not in more]
    client = who.split(",")[0] == "client"
    name = who.replace(" ", "-").replace(",", "")
    for kind, place in roles.items():
        f.cc.role(kind, name if client else f.uaa.user_id(name), {"acme": f.acme, "dev": f.dev, "prod": f.prod}[place])
    return f.token(name, scope=scopes, client=name if client else None)


def test_who_may(foundation):
    """Pitfall: whoever sees an app is not yet one who may capture from it."""
    f = foundation()
    faults = {}
    for who, (_, _, own, other) in PEOPLE.items():
        token = person(f, who)
        for app, due in ((f.shop, own), (f.till, other)):
            what = f"{who}, {'own' if app == f.shop else 'other'}"
            for path in ("/v1/resolve", "/v1/devices")[:1 if due == 202 else 2]:  # the agents here know of captures only
                reply = f.gateway.api("POST", path, {"target": {"type": "cf", "app": app, "instances": [0]}}, token=token)
                if reply.status != (200 if due == 202 else due):
                    faults[f"{what}, {path}"] = f"{reply.status}, due was {due}"
            if due == 202:
                try:
                    f.captured({"app": app}, token, instances=[0])
                except AssertionError as e:
                    faults[what] = str(e)
                continue
            code, text = WORDS[who if due == 403 and who in WORDS else due]
            faults[what] = f.refused(due, code, text, {"app": app}, token)
    check(faults)
    unseen, absent = (f.start({"app": a}, person(f, "nobody")).error["message"].replace(a, "") for a in (f.shop, str(uuid.uuid4())))
    assert unseen == absent, "not there and not visible look the same"


def test_names_of_other_spaces(foundation):
    """By name no more is seen than by GUID."""
    f = foundation()
    check({
        "another space": f.refused(404, "not_found", 'no app "till" in that space', {"app_name": "till", "space": f.prod}, field="target.app_name"),
        "the wrong space": f.refused(404, "not_found", 'no app "till"', {"app_name": "till", "space": f.dev}),
        "no such space": f.refused(404, "not_found", 'no app "shop"', {"app_name": "shop", "space": str(uuid.uuid4())}),
        "auditor": f.refused(403, "perm", "space developer", {"app_name": "shop", "space": f.dev}, person(f, "space auditor"), field="target.app_name"),
        "two ways that differ": f.refused(400, "input", "name it in one way", {"app": f.shop, "app_name": "till", "space": f.dev}),
    })


@pytest.mark.parametrize("what", ["org", "space"])
def test_suspended(foundation, what):
    f = foundation()
    place = f.cc.orgs[f.acme] if what == "org" else f.cc.spaces[f.dev]
    faults = {}
    for word in (True, "true", 1):
        place["suspended"] = word
        faults[word] = f.refused(403, "suspended", f"its {what} is suspended")
    check(faults)
    f.captured(token=person(f, "admin"), instances=[0])
    place["suspended"] = None
    f.captured(instances=[0])


def test_roles_are_believed_only_when_they_fit(foundation):
    """A listing of other people's, of another space's or of lesser roles is no right."""
    f = foundation()
    me, other = f.uaa.user_id("dev"), str(uuid.uuid4())
    token, f.cc.roles = f.token(), [("space_auditor", me, f.dev)]

    def role(type="space_developer", user=me, space=f.dev):
        return {"guid": "r", "type": type, "relationships": {"user": {"data": {"guid": user}}, "space": {"data": {"guid": space}}}}
    faults = {}
    for what, rows in {"others": [role(user=other)], "elsewhere": [role(space=f.prod)], "supporter": [role("space_supporter")],
                       "case": [role(user=me.upper())], "odd": [None, 5, [], {}, {"type": "space_developer"}, role(user=None), role(user={"guid": me})]}.items():
        f.cc.fault = answering(200, {"pagination": {"total_results": 1, "next": None}, "resources": rows}, at="/v3/roles")
        faults[what] = f.refused(403, "perm", "space developer", token=token)
    f.cc.fault = answering(200, {"resources": [role(user=other), role()]}, at="/v3/roles")
    f.captured(token=token, instances=[0])
    f.cc.fault = answering(200, {"resources": {"a": role()}}, at="/v3/roles")
    faults["no list"] = f.refused(502, "platform_failed", "resources", token=token)
    check(faults)


def test_other_tokens(foundation, issuers):
    """Static tokens and those of other issuers are nothing to Cloud Controller."""
    f = foundation()
    check({"static": f.refused(403, "other_issuer", "issuer \"cf\"", token=f.gateway.tokens["alice"])})
    assert f.cc.asked == []


# ---- switches ----

def test_ssh_switch(foundation):
    f = foundation(cf={"ssh": True})
    f.captured(instances=[0])
    f.cc.ssh[f.shop] = "Disabled for space dev"
    off = {who: f.refused(403, "switched_off", "Disabled for space dev", token=t) for who, t in
           {"developer": f.token(), "admin": person(f, "admin")}.items()}
    f.cc.fault = answering(200, {"enabled": "true"}, at="/ssh_enabled")
    off["odd"] = f.refused(502, "platform_failed", "ssh")
    f.cc.fault = answering(200, {"enabled": False, "reason": "\x1b[2J" + "x" * 1000}, at="/ssh_enabled")
    off["odd reason"] = f.refused(403, "switched_off", "?[2Jxxx")
    check(off)


def test_ssh_does_not_matter_unless_it_is_said(foundation):
    f = foundation()
    f.cc.ssh[f.shop] = "Disabled for app"
    f.captured(instances=[0])
    assert not [p for p, _ in f.cc.asked if "ssh" in p]


LABEL = "capture.example.test/mode"


@pytest.mark.parametrize("default", ["allow", "deny"])
def test_labels(foundation, default):
    """The first that says anything decides: org, then space, then app."""
    f = foundation(cf={"label": LABEL, "default": default})
    rows = [
        # org, space, app, and who says no; None: it is allowed
        (None, None, "allow", None), (None, None, "deny", "the app has"), (None, "deny", "allow", "its space has"), ("deny", "allow", "allow", "its org has"),
        ("allow", "deny", "deny", None), (None, "allow", "deny", None), ("Deny", "allow", "allow", "=Deny, which is neither"), ("", None, None, "its org has"),
        (None, None, "no", "the app has"), (None, 5, "allow", "its space has"),
        (None, None, None, None if default == "allow" else "neither its org nor its space nor the app"),
    ]
    faults = {}
    for row in rows:
        *words, says = row
        for thing, word in zip((f.cc.orgs[f.acme], f.cc.spaces[f.dev], f.cc.apps[f.shop]), words):
            thing["metadata"]["labels"] = {"other": "deny", **({} if word is None else {LABEL: word})}
        if says is None:
            f.captured(instances=[0])
        else:
            faults[row] = f.refused(403, "switched_off", says) or f.refused(403, "switched_off", says, token=person(f, "admin"))
    check(faults)


# ---- bad input ----

def test_bad_input(foundation):
    """Refused before Cloud Controller is asked, with the field."""
    f = foundation()
    guid = {"app": f.shop}
    name = {"app_name": "shop", "space": f.dev}
    rows = [
        ("app", {}), ("app", {"app": None}), ("app", {"app": ""}), ("app", {"app": 5}), ("app", {"app": [f.shop]}), ("app", {"app": "a/b"}), ("app", {"app": "../x"}),
        ("app", {"app": "x" * 64}), ("app", {"app": "a b"}), ("app", {"app": "a?b"}), ("app", {"app": "ä"}), ("app", {"app": "."}),
        ("app", {"app": "%2e%2e"}), ("app", {"app": "x" * 5000}), ("app", {"app": f.shop + "\n"}), ("app", {"app": "shop'"}),
        ("app_name", {**name, "app_name": ""}), ("app_name", {**name, "app_name": 5}), ("app_name", {**name, "app_name": ["shop"]}),
        ("app_name", {**name, "app_name": "a\nb"}), ("app_name", {**name, "app_name": "x" * 1024}), ("app_name", {**name, "app_name": "\x1b[2J"}),
        ("space", {"app_name": "shop"}), ("space", {**name, "space": ""}), ("space", {**name, "space": "a,b"}), ("space", {**name, "space": "a&names=x"}),
        ("space", {**name, "space": 5}), ("space", {**name, "space": "x" * 64}), ("space", {**guid, "space": f.dev}),
        ("process", {**guid, "process": ""}), ("process", {**guid, "process": 5}), ("process", {**guid, "process": ["web"]}),
        ("process", {**guid, "process": "x" * 256}), ("process", {**guid, "process": "a\tb"}),
        *[("instances", {**guid, "instances": i}) for i in ([], "0", 0, {}, [-1], [1000000], [2 ** 63 - 1], [0.0], [0.5], ["0"], [None], [True], [[0]], [0, 1, 0],
                                                            list(range(1001)))],
    ]
    f.cc.asked.clear()
    check({f"{field} {row!r:.60}": f.refused(400, "input", "target." + field, row, field="target." + field) for field, row in rows})
    assert f.cc.asked == [], "nobody is asked about what is malformed"
    check({"NUL": f.refused(400, "input", "", {"app": "a\0b"}), "huge number": f.refused(400, "input", "", {**guid, "instances": [10 ** 30]}),
           **{k: f.refused(400, "input", f'unknown key "{k}"', {**guid, k: "10.0.0.1"}, field="target." + k) for k in ("port", "agent", "host", "handle")},
           "beyond the last": f.refused(404, "not_found", "no instance 3; the app has 3", {**guid, "instances": [3]}, field="target.instances"),
           "far beyond": f.refused(404, "not_found", "no instance 999999", {**guid, "instances": [0, 999999]}, field="target.instances")})


NAMES = ["it's", 'a "quoted" one', "a/b", "../x", "größe ☃", "x,y", ",", "100%", "%41", "%2C", "a b", "a+b", "a&names=shop", "a=b", "a#b", "a?b", "\\", "ⓐ" * 255,
         "<script>", "'; DROP TABLE apps; --", " x "]


def test_names(foundation):
    """What apps may be called is found under exactly that name, and nothing else is."""
    f = foundation(config={"limits": {"captures_per_user": 100}})
    apps = {n: f.cc.app(f.dev, n, [running(0, handle=handle_of(n))]) for n in NAMES}
    f.cc.app(f.dev, "SHOP", [running(0)])
    f.cc.app(f.dev, "A", [running(0)])
    faults = {}
    for name, app in apps.items():
        try:
            (shown, (_, target)), = f.captured({"app_name": name, "space": f.dev}).items()
            shown, last = shown.rsplit("/", 1)
            if target != container(handle_of(name), app, 0) or last != "0" or (shown != name if len(name) < 40 else not name.startswith(shown[:-3])):
                faults[name] = f"{shown} {target}"
        except AssertionError as e:
            faults[name] = str(e)[:200]
    check(faults)
    assert f.captured({"app_name": "shop", "space": f.dev}, instances=[0])["shop/0"][1]["app"] == f.shop, "case matters"
    check({n: f.refused(404, "not_found", "no app", {"app_name": n, "space": f.dev}) for n in ("Shop", "shop ", "shop,SHOP", "sho", "*", "%73hop")})


def test_limit(foundation):
    """More instances than one capture may have: nobody is asked, not even where they are."""
    f = foundation(config={"limits": {"instances": 3}})
    big = f.cc.app(f.dev, "big", [running(i) for i in range(4)])
    huge = f.cc.app(f.dev, "huge", [], guid="huge-1")
    f.cc.processes[huge]["instances"] = 10 ** 12
    f.cc.asked.clear()
    check({
        "all": f.refused(413, "too_many_instances", "4 instances", {"app": big}, field="target.instances"),
        "named": f.refused(413, "too_many_instances", "4 instances", {"app": big}, instances=[0, 1, 2, 3]),
        "huge": f.refused(413, "too_many_instances", "limit", {"app": huge}),
    })
    assert not [p for p, _ in f.cc.asked if p.endswith("/stats")]
    f.cc.process(f.shop, [running(0, handle=handle_of("w"), type="worker")], "worker")
    check({"of several processes": f.refused(413, "too_many_instances", "4 instances", process="*")})
    f.captured()
    f.captured({"app": big}, instances=[3, 0])


def test_nothing_runs(foundation):
    f = foundation()
    stopped = f.cc.app(f.dev, "stopped", [], state="STOPPED")
    none = f.cc.app(f.dev, "none", [])
    bare = f.cc.app(f.dev, "bare")
    check({
        "stopped": f.refused(409, "not_running", '"stopped" is stopped', {"app": stopped}),
        "none": f.refused(409, "not_running", "scaled to none", {"app": none}),
        "no process": f.refused(404, "not_found", 'no process "web"', {"app": bare}),
        "no process at all": f.refused(409, "not_running", "no instances", {"app": bare}, process="*"),
    })


# ---- the platform's failures ----

def deep(n):
    return b'{"a":' * n + b"1" + b"}" * n


FAILURES = {
    # what: (fault, status, code, text)
    "401": (refusing(401, 1000, "CF-InvalidAuthToken", "Invalid Auth Token"), 401, "platform_token", "log in again: CF-InvalidAuthToken"),
    "403": (refusing(403, 10003, "CF-NotAuthorized", "You are not authorized"), 403, "perm", "does not allow it: CF-NotAuthorized, You are not authorized"),
    "404": (refusing(404, 10010, "CF-ResourceNotFound", "App not found"), 404, "not_found", "no app"),
    "422": (refusing(422, 10008, "CF-UnprocessableEntity", "no"), 502, "platform_failed", "HTTP 422"),
    "429": (refusing(429, 10013, "CF-RateLimitExceeded", "Rate Limit Exceeded", headers={"Retry-After": "17"}), 429, "platform_busy", "again in 17 s"),
    "429 of UAA": (refusing(429, 20008, "CF-UaaRateLimited", "The UAA is currently rate limited", headers={"Retry-After": "x", "X-RateLimit-Reset": "x"}),
                   429, "platform_busy", "CF-UaaRateLimited"),
    "429 in plain text": (answering(429, b"slow down", "text/plain", {"Retry-After": "5"}), 429, "platform_busy", "again in 5 s"),
    "500": (answering(500, {"errors": [{"detail": "An unknown error occurred.", "title": "UnknownError", "code": 10001}]}), 502, "platform_failed",
            "HTTP 500): UnknownError"),
    "502 in HTML": (answering(502, HTML, "text/html"), 502, "platform_failed", "HTTP 502"),
    "502 of UAA": (refusing(502, 20004, "CF-UaaUnavailable", "The UAA service is currently unavailable"), 502, "platform_failed", "CF-UaaUnavailable"),
    "503": (refusing(503, 220002, "CF-InstancesUnavailable", "Instances information unavailable: x"), 503, "platform_failed", "CF-InstancesUnavailable"),
    "503 of a router": (answering(503, b"", headers={"X-Cf-Routererror": "no_endpoints"}), 503, "platform_failed", "not available"),
    "401 in HTML": (answering(401, HTML, "text/html"), 502, "platform_failed", "HTTP 401, in words that are not its own"),
    "403 in HTML": (answering(403, HTML, "text/html"), 502, "platform_failed", "HTTP 403, in words that are not its own"),
    "404 of a router": (answering(404, b"404 Not Found: Requested route ('api') does not exist.\n", "text/plain"), 502, "platform_failed", "HTTP 404"),
    "404 of a wrong URL": (refusing(404, 10000, "CF-NotFound", "Unknown request"), 502, "platform_failed", "HTTP 404): CF-NotFound"),
    "404 of another API": (answering(404, {"error": "not found"}), 502, "platform_failed", "HTTP 404"),
    "redirect": (answering(302, b"", headers={"Location": "https://elsewhere.example.test/"}), 502, "platform_failed", "HTTP 302"),
    "204": (answering(204, b""), 502, "platform_failed", "HTTP 204"),
    "HTML": (answering(200, HTML, "text/html"), 502, "platform_failed", "no JSON"),
    "nothing": (answering(200, b""), 502, "platform_failed", "no JSON"),
    "half": (answering(200, b'{"resources":['), 502, "platform_failed", "no JSON"),
    "deep": (answering(200, deep(5000)), 502, "platform_failed", "no JSON"),
    "twice": (answering(200, b'{"guid":"a","guid":"b"}'), 502, "platform_failed", "no JSON"),
    "a list": (answering(200, []), 502, "platform_failed", "not understood"),
    "an empty object": (answering(200, {}), 502, "platform_failed", "not understood"),
    "wrong types": (answering(200, {"guid": 5, "resources": "none", "enabled": 1}), 502, "platform_failed", "not understood"),
    "oversized": (answering(200, b'{"a":"' + b"x" * (5 << 20) + b'"}'), 502, "platform_failed|platform_unreachable",
                  "Cloud Controller"),
    "control characters": (refusing(403, 1, "CF-\x1b[2J", "\n\n" + "y" * 5000), 403, "perm", "CF-?[2J"),
}


def test_platform_failures(foundation):
    """At each of the calls: told as what it is, and no agent is asked."""
    f = foundation()
    token, faults = f.token(), {}
    calls = [f"/v3/apps/{f.shop}?", "/v3/roles", f"/v3/apps/{f.shop}/processes", "/stats"]
    for n, (what, (fault, status, code, text)) in enumerate(FAILURES.items()):
        for call in calls if n < 12 else [calls[0], calls[n % 3 + 1]]:
            if what == "404" and call == "/stats":  # a process that went: see test_rolling_deployment
                continue

            def at(handler, path, fault=fault, call=call):
                return call in path and fault(handler, path)
            f.cc.fault = at
            faults[f"{what} at {call}"] = f.refused(status, code, text, token=token)
    f.cc.fault = None
    check(faults)
    reply = f.start(token=token)
    assert reply.status == 202
    f.remove(reply)


def test_platform_away_and_slow(foundation, cloud_controller):
    f = foundation(cf={"timeout": "1s"})
    cloud_controller.answers_s = 30
    begun = time.monotonic()
    check({"slow": f.refused(502, "platform_unreachable", "Cloud Controller does not answer")})
    assert time.monotonic() - begun < 25
    cloud_controller.answers_s = 0
    cloud_controller.close()
    check({"away": f.refused(502, "platform_unreachable", "Cloud Controller does not answer")})
    cloud_controller.open()
    good = wait_for(lambda: (r := f.start(instances=[0])).status == 202 and r, "answers within a second each")
    f.remove(good)


def test_other_things_shown(foundation):
    """Another app, a space or an org that does not belong, another app's process: not believed."""
    f = foundation()
    whole = f.cc.answer(f"/v3/apps/{f.shop}", {"include": "space.organization"}, "bearer " + f.token())
    processes = f.cc.answer(f"/v3/apps/{f.shop}/processes", {}, "bearer " + f.token())
    faults = {}
    included = whole["included"]
    for what, change in {
            "another app": {"guid": f.till}, "no space": {"included": {**included, "spaces": []}}, "another space": {"included": {**included, "spaces": [f.cc.spaces[f.prod]]}},
            "no org": {"included": {"spaces": included["spaces"]}}, "nothing included": {"included": None}, "no relationships": {"relationships": None},
            "odd guid": {"guid": "../x"}, "no name": {"name": None}}.items():
        f.cc.fault = answering(200, {**whole, **change}, at=f"/v3/apps/{f.shop}?")
        faults[what] = f.refused(502, "platform_failed", "answer")
    one = processes["resources"][0]
    for what, change in {"another app's process": {"relationships": {"app": {"data": {"guid": f.till}}}}, "odd process": {"guid": "../apps"},
                         "no type": {"type": None}}.items():
        f.cc.fault = answering(200, {**processes, "resources": [{**one, **change}]}, at=f"/v3/apps/{f.shop}/processes")
        faults[what] = f.refused(502, "platform_failed", "process")
    check(faults)
