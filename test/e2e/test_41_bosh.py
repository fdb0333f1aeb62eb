"""VMs of BOSH deployments as targets: what the director says decides, asked with the user's own token; who may not, or asks for nonsense, reaches no agent."""
import json
import uuid

import pytest

from rig import PORT, numbers_of, read_pcapng, wait_for
from rig.director import UUID, Director, vm
from rig.fake_agent import SECTION, interface, refusing, streaming
from rig.pki import Pki

FILTER = f"udp port {PORT}"
ADMIN = ["bosh.admin"]
RUNNING = streaming(SECTION, interface(), then="end")


@pytest.fixture
def uaa(issuers):
    return issuers("bosh")


@pytest.fixture
def director(uaa, pki):
    d = Director(uaa, pki)
    yield d
    d.close()


def entry(uaa):
    return uaa.entry(audience=["bosh.*"])


def token_of(uaa, scope=ADMIN, user="ops", **claims):
    return uaa.token(user, scope=list(scope), **claims)


def settings(director, /, config=None, **bosh):
    return {"bosh": director.config(**bosh), "agents": {"connect_timeout": "10s"}, **(config or {})}


@pytest.fixture
def bosh_fleet(fleet, uaa, director):
    """bosh_fleet(n, **bosh): a Fleet whose agents are only known to the director, as router/0... of deployment cf."""
    def make(n=1, ipv6=False, **bosh):
        f = fleet(n, ipv6=ipv6, groups=lambda agents: {}, issuers=[entry(uaa)], config=settings(director, **bosh))
        director.add("cf", *(vm("router", i, a.host) for i, a in enumerate(f.agents)), teams=["red"])
        return f
    return make


@pytest.fixture
def lone(gateways, uaa, director, fakes):
    """lone(script, **bosh): a gateway and its one fake agent, at which all the VMs of cf would be."""
    def make(script=RUNNING, **bosh):
        fake = fakes(script)
        gateway = gateways({}, issuers=[entry(uaa)], config=settings(director, agent_port=fake.port, **bosh))
        director.add("cf", vm("router", 0, "127.0.0.1"), vm("router", 1, "127.0.0.1"), vm("cell", 0, "127.0.0.1"), teams=["red"])
        gateway.fake = fake
        return gateway
    return make


def body(deployment="cf", instances=None, mode="live", **options):
    target = {"type": "bosh", "deployment": deployment}
    if instances is not None:
        target["instances"] = instances
    return {"target": target, "mode": mode, "options": {"filter": FILTER, **options}}


def start(gateway, token, request, **kwargs):
    return gateway.http.stream("POST", "/v1/captures", request, token, **kwargs)


def refusal(gateway, token, request, headers=None):
    """Of a start that is refused: (status, code, error)."""
    reply = gateway.api("POST", "/v1/captures", request, token=token, headers=headers)
    assert reply.status >= 400, reply
    assert token not in reply.body.decode()
    return reply.status, reply.error["code"], reply.error


def job_of(gateway, token, job):
    reply = gateway.api("GET", f"/v1/captures/{job}", token=token)
    assert reply.status == 200, reply
    return reply.json


def wait_job(gateway, token, job, look):
    return wait_for(lambda: (j := job_of(gateway, token, job)) and look(j) and j, f"job {job}")


def states(job):
    return {i["name"]: i["state"] for i in job["instances"]}


def live_of(gateway, token, names, request):
    """A live capture in which just these run."""
    live = start(gateway, token, request)
    assert live.status == 200, live.error
    live.job = live.headers["pcap-job"]
    wait_job(gateway, token, live.job, lambda j: sorted(n for n, s in states(j).items() if s == "running") == sorted(names))
    return live


def stop(gateway, token, job):
    assert gateway.api("POST", f"/v1/captures/{job}/stop", token=token).status in (200, 202)


# ---- captures ----

def test_live(bosh_fleet, uaa, director):
    f = bosh_fleet(3)
    token = token_of(uaa, ["bosh.teams.red.admin"])
    info = f.gateway.api("GET", "/v1/info", user=None).json
    assert info["targets"] == ["host", "bosh"]
    live = live_of(f.gateway, token, ["router/0", "router/1", "router/2"], body())
    f.round_robin(300)
    live.wait_packets(300)
    stop(f.gateway, token, live.job)
    live.wait_end()
    ended = wait_job(f.gateway, token, live.job, lambda j: j["state"] == "streamed")
    capture = read_pcapng(live.data)
    for i in range(3):
        assert numbers_of(capture.of(f"router/{i} "), PORT) == list(range(i, 300, 3)), f"router/{i}"
    assert capture.is_ordered_as_told(ended)
    assert director.paths() == ["/deployments/cf/variables", "/deployments/cf/instances"]


def test_stored_over_ipv6(bosh_fleet, uaa, director):
    f = bosh_fleet(1, ipv6=True)
    director.add("my cf", vm("db", 3, "fd00:dead::/64", f.nodes[0].ip6 + "/128"))
    token = token_of(uaa)
    reply = f.gateway.api("POST", "/v1/captures", body("my cf", ["db"], mode="store"), token=token)
    assert reply.status == 202, reply
    job = reply.json["id"]
    wait_job(f.gateway, token, job, lambda j: states(j) == {"db/3": "running"})
    f.send(count=100).wait()
    f.sinks[0].take(100)
    stop(f.gateway, token, job)
    done = wait_job(f.gateway, token, job, lambda j: j["state"] == "ready")
    assert "cf/20" in done["object"]["key"], "the key begins with the deployment"
    link = f.gateway.api("POST", f"/v1/captures/{job}/link", {}, token=token).json
    assert numbers_of(read_pcapng(f.gateway.fetch(link["url"]).body).packets, PORT) == list(range(100))
    assert director.paths() == ["/deployments/my%20cf/variables", "/deployments/my%20cf/instances"]


def test_an_address_that_is_dead(bosh_fleet, uaa, director):
    """Several networks, none of which is said to be the right one: tried in order."""
    f = bosh_fleet(1)
    director.add("cf", vm("router", 0, "10.199.0.16/28", f.net.ip, f.agents[0].host))
    token = token_of(uaa)
    live = live_of(f.gateway, token, ["router/0"], body())
    f.send(count=50).wait()
    live.wait_packets(50)
    stop(f.gateway, token, live.job)
    live.wait_end()
    assert numbers_of(read_pcapng(live.data).packets, PORT) == list(range(50))


def test_what_slugs_stand_for(lone, uaa, director):
    gateway = lone(refusing(409, "device", "not here"))
    ids = {name: str(uuid.uuid4()) for name in ("r4", "c0", "odd")}
    director.add(
        "cf", vm("router", 4, "127.0.0.1", instance_id=ids["r4"]), vm("router", 1, "127.0.0.1"), vm("router", 9), vm("smoke", 0, expects_vm=False),
        vm("cell", 0, "127.0.0.1", instance_id=ids["c0"]), vm("router-2", 0, "127.0.0.1"), vm("2", 2, "127.0.0.1"), vm("netonly", 0, "10.0.0.0/24", "0.0.0.0"),
        vm("odd", None, "127.0.0.1", instance_id=ids["odd"]), 5, None, {"job": "x"}, {"job": None, "index": 0}, {"id": "y", "index": 1}, vm("a/b", 0, "127.0.0.1"))
    stopped, no_address = "instance_stopped", "no_address"
    everything = {"router/4": "device", "router/1": "device", "router/9": stopped, "cell/0": "device", "router-2/0": "device", "2/2": "device",
                  "netonly/0": no_address, f"odd/{ids['odd']}": "device"}
    rows = [
        (None, everything),
        (["router"], {k: v for k, v in everything.items() if k.startswith("router/")}),
        (["router/4"], {"router/4": "device"}),
        (["router/04"], {"router/4": "device"}),
        ([f"router/{ids['r4']}"], {"router/4": "device"}),
        (["router/4", f"router/{ids['r4']}", "router/4"], {"router/4": "device"}),
        (["router/4", "router", "router/9"], {"router/4": "device", "router/1": "device", "router/9": stopped}),
        (["2/2", "2"], {"2/2": "device"}),
        ([f"odd/{ids['odd']}"], {f"odd/{ids['odd']}": "device"}),
        (["cell", "smoke"], {"cell/0": "device", "smoke/0": stopped}),
        (["cell/0", "router/9", "netonly"], {"cell/0": "device", "router/9": stopped, "netonly/0": no_address}),
    ]
    token = token_of(uaa)
    for instances, due in rows:
        reply = gateway.api("POST", "/v1/captures", body(instances=instances, mode="store"), token=token)
        assert reply.status >= 400, reply  # since no agent starts
        listed = gateway.api("GET", "/v1/captures?limit=1", token=token).json["captures"][0]
        found = {i["name"]: i["error"]["code"] for i in job_of(gateway, token, listed["id"])["instances"]}
        assert found == due, instances
    director.paths()
    gateway.fake.requests.clear()
    for instances, code, text in [
        (["router/9"], stopped, "router/9: it has no VM"),
        (["smoke"], stopped, "smoke/0: it has no VM"),
        (["netonly"], no_address, "netonly/0: the director tells no address"),
        (["router/9", "smoke"], stopped, "none of 2 instances can be captured; the first, router/9"),
    ]:
        status, found, error = refusal(gateway, token, body(instances=instances))
        assert (status, found) == (409, code) and text in error["message"], error
    director.add("empty")
    director.add("errands", vm("smoke", 0, expects_vm=False))
    for name in ("empty", "errands"):
        status, found, error = refusal(gateway, token, body(name))
        assert (status, found, error["field"]) == (409, stopped, "target.deployment"), error
    assert gateway.fake.requests == []


def test_one_is_stopped(lone, uaa, director):
    """Named, and still no reason not to capture from the others."""
    gateway = lone(streaming(SECTION, interface(), then="hang"))
    director.deployments["cf"].instances[1] = vm("router", 1)
    token = token_of(uaa)
    live = live_of(gateway, token, ["router/0"], body(instances=["router"]))
    other = [i for i in job_of(gateway, token, live.job)["instances"] if i["name"] == "router/1"][0]
    assert other["state"] == "failed" and other["error"]["code"] == "instance_stopped" and "has no VM" in other["error"]["message"], other
    live.abort()
    gateway.api("DELETE", f"/v1/captures/{live.job}", token=token)


def test_agents_are_told_who_they_must_be(lone, uaa, director):
    gateway = lone(confirm=True)
    token = token_of(uaa)
    assert start(gateway, token, body(instances=["router/1"])).wait_end().status == 200
    wait_for(lambda: gateway.fake.requests, "the agent to be asked")
    _, path, request = gateway.fake.requests[0]
    assert path == "/v1/captures" and request["name"] == "router/1"
    assert request["target"] == {"type": "host", "instance": director.deployments["cf"].instances[1]["id"]}
    director.add("cf", vm("router", 0, "127.0.0.1", id=None))
    assert refusal(gateway, token, body())[:2] == (409, "no_id")
    assert len(gateway.fake.requests) == 1


def test_agents_need_not_know(lone, uaa, director):
    gateway = lone(confirm=False, director=f"https://127.0.0.1:{director.port}/")  # as most are called
    assert start(gateway, token_of(uaa), body(instances=["router/1"])).wait_end().status == 200
    assert gateway.fake.requests[0][2]["target"] == {"type": "host"}


# ---- who may ----

@pytest.fixture
def matrix(lone, director):
    gateway = lone()
    director.add("vlt", vm("vault", 0, "127.0.0.1"), teams=["blue", "green"])
    director.add("own", vm("x", 0, "127.0.0.1"))
    return gateway


YES, SEEN, HIDDEN = (200, None), (403, "perm"), (404, "not_found")
MATRIX = [  # scope, claims, then what comes of cf (of team red), vlt (of teams blue and green), own (of none) and of one that is not there
    ("admin", ["bosh.admin"], {}, YES, YES, YES),
    ("admin of this director", [f"bosh.{UUID}.admin"], {}, YES, YES, YES),
    ("admin of another director", [f"bosh.{UUID[:-1]}7.admin"], {}, HIDDEN, HIDDEN, HIDDEN),
    ("admin of its team", ["bosh.teams.red.admin"], {}, YES, HIDDEN, HIDDEN),
    ("admin of another team", ["bosh.teams.green.admin"], {}, HIDDEN, YES, HIDDEN),
    ("admin of two teams", ["bosh.teams.red.admin", "bosh.teams.blue.admin"], {}, YES, YES, HIDDEN),
    ("admin of a team that begins alike", ["bosh.teams.redder.admin", "bosh.teams.re.admin"], {}, HIDDEN, HIDDEN, HIDDEN),
    ("reader of its team", ["bosh.teams.red.read"], {}, SEEN, HIDDEN, HIDDEN),
    ("reader of one team, admin of the other", ["bosh.teams.red.read", "bosh.teams.blue.admin"], {}, SEEN, YES, HIDDEN),
    ("reader", ["bosh.read"], {}, SEEN, SEEN, SEEN),
    ("reader of this director", [f"bosh.{UUID}.read"], {}, SEEN, SEEN, SEEN),
    ("uploads", ["bosh.stemcells.upload", "bosh.releases.upload"], {}, HIDDEN, HIDDEN, HIDDEN),
    ("no right", ["uaa.user"], {"aud": ["bosh_cli", "bosh"], "client_id": "bosh_cli"}, HIDDEN, HIDDEN, HIDDEN),
    ("client, admin", ["bosh.admin"], {"client": "ci"}, YES, YES, YES),
    ("client, admin of its team", ["bosh.teams.red.admin"], {"client": "ci"}, YES, HIDDEN, HIDDEN),
    ("client, reader", ["bosh.read"], {"client": "ci"}, SEEN, SEEN, SEEN),
    ("client, no right", ["bosh.stemcells.upload"], {"client": "ci"}, HIDDEN, HIDDEN, HIDDEN),
]


def test_who_may(matrix, uaa, director):
    faults, hidden = [], set()
    for n, (role, scope, claims, *due) in enumerate(MATRIX):
        token = token_of(uaa, scope, f"u{n}", **claims)
        for name, (status, code) in zip(("cf", "vlt", "own", "cfx"), [*due, HIDDEN]):
            asked = len(matrix.fake.requests)
            answer = start(matrix, token, body(name)).wait_end()
            error = json.loads(answer.data)["error"] if answer.status >= 400 else {"code": None}
            starts = len([r for r in matrix.fake.requests[asked:] if r[1] == "/v1/captures"])
            if (answer.status, error["code"]) != (status, code):
                faults.append(f"{role} -> {name}: {answer.status} {error}, due was {status} {code}")
            if (starts > 0) != (status == 200):
                faults.append(f"{role} -> {name}: {starts} agents were asked")
            for path in ("/v1/resolve", "/v1/devices"):
                other = matrix.api("POST", path, body(name), token=token)
                if (other.status, other.error["code"] if other.status >= 400 else None) != (status, code):
                    faults.append(f"{role} -> {name}, {path}: {other.status}, due was {status} {code}")
            if status != 200 and len(matrix.fake.requests) != asked:
                faults.append(f"{role} -> {name}: the agent was asked {matrix.fake.requests[asked:]}")
            if answer.status == 404:
                hidden.add(json.dumps({**error, "request_id": ""}).replace(f'\\"{name}\\"', "NAME"))
            if answer.status == 403 and not all(word in error["message"] for word in ("bosh.admin", "bosh.teams.TEAM.admin", name)):
                faults.append(f"{role} -> {name}: does not say what is needed: {error['message']}")
    assert not faults, "\n".join(faults)
    assert len(hidden) == 1, f"what is hidden looks like what is not there: {hidden}"
    assert {user for *_, user in director.requests} >= {"u0@example.test", "ci"} and None not in {user for *_, user in director.requests}, "asked as they are"


def test_a_right_that_comes_and_goes(matrix, uaa, director):
    """Nothing is remembered: each start asks."""
    token = token_of(uaa, ["bosh.teams.red.admin"])
    for teams, due in ((["red"], 200), (["blue"], 404), (["blue", "red"], 200), ([], 404)):
        director.deployments["cf"].teams = teams
        assert start(matrix, token, body()).wait_end().status == due


def test_the_director_does_not_take_the_token(matrix, uaa, director):
    """Good for the gateway, and expired or revoked to the director: only then is a new one worth trying."""
    token = token_of(uaa)
    director.claims_of = lambda header: None
    status, code, error = refusal(matrix, token, body())
    assert (status, code) == (401, "platform_token") and "log in again" in error["message"], error
    assert refusal(matrix, token_of(uaa, exp=1), body())[:2] == (401, "token_expired")
    assert director.paths() == ["/deployments/cf/variables"] and matrix.fake.requests == []


# ---- whose token ----

def test_tokens_of_others(gateways, uaa, issuers, director, fakes):
    cf = issuers("cf")
    fake = fakes(RUNNING)
    gateway = gateways({}, issuers=[entry(uaa), cf.entry(audience=["cloud_controller", "bosh"])], config=settings(director, agent_port=fake.port))
    director.add("cf", vm("router", 0, "127.0.0.1"))
    of_cf, of_bosh = cf.token(scope=["openid", "cloud_controller.read", "bosh.admin"]), token_of(uaa)
    for name, token, second in (("static", gateway.tokens["alice"], None), ("of the other issuer", of_cf, None), ("twice of the other", of_cf, of_cf)):
        status, code, error = refusal(gateway, token, body(), second and {"Pcap-Second-Token": f"Bearer {second}"})
        assert (status, code) == (403, "other_issuer") and '"bosh"' in error["message"], name
    assert director.requests == [] and fake.requests == []
    for first, second in ((of_cf, of_bosh), (of_bosh, of_cf)):
        reply = gateway.api("POST", "/v1/captures", body(mode="store"), token=first, headers={"Pcap-Second-Token": f"Bearer {second}"})
        assert reply.status == 202, reply
    assert {headers["Authorization"] for _, _, headers, _ in director.requests} == {f"Bearer {of_bosh}"}, "only its own issuer's token is shown to it"


def test_without_a_director(gateways, uaa):
    gateway = gateways({}, issuers=[entry(uaa)])
    assert gateway.api("GET", "/v1/info", user=None).json["targets"] == ["host"]
    status, code, error = refusal(gateway, token_of(uaa), body())
    assert (status, code, error["field"]) == (400, "input", "target.type") and "not offered" in error["message"]


# ---- what is asked for ----

def test_bad_input(lone, uaa, director):
    gateway = lone()
    token = token_of(uaa)
    rows = [
        *[({"deployment": d}, "target.deployment") for d in (None, 5, [], {}, True, "", "a/b", "/", "..", ".", "../cf", "cf/", "a\nb", "a\x7fb", "x" * 256)],
        *[({"instances": i}, "target.instances") for i in (
            [], "router", 5, {}, True, [""], [5], [None], [["router"]], ["router/"], ["/0"], ["/"], ["router/0/1"], ["router//0"], ["a\nb"], ["a/\x01"],
            ["router\t0"], ["r" * 256], ["router", ""], ["router"] * 1001)],
        ({"deployments": ["cf"]}, "target.deployments"), ({"instance": 0}, "target.instance"), ({"app": "x"}, "target.app"),
    ]
    faults = []
    for more, field in rows:
        target = {"type": "bosh", "deployment": "cf", **more}
        status, code, error = refusal(gateway, token, {"target": target, "mode": "live"})
        if (status, code, error.get("field")) != (400, "input", field) or not error["message"].startswith("target"):
            faults.append(f"{str(more)[:60]}: {status} {error}")
        status, code, error = refusal(gateway, token, {"targets": [{"type": "bosh", "deployment": "cf"}, target], "mode": "live"})
        if (status, code, error.get("field")) != (400, "input", field.replace("target", "targets[1]", 1)):
            faults.append(f"{str(more)[:60]} in a list: {status} {error}")
        director.paths()  # of the first one in the list
    refusal(gateway, token, '{"target":{"type":"bosh","deployment":"a\\u0000b"}}')
    refusal(gateway, token, b'{"target":{"type":"bosh","deployment":"a\xff"}}')
    assert not faults, "\n".join(faults)
    assert director.requests == [] and gateway.fake.requests == []


def test_names_of_nothing(lone, uaa, director):
    gateway = lone()
    token = token_of(uaa)
    names = ["x' OR 1=1 --", 'a"b', "ü\u202e", "a b", "%2e%2e", "..%2fcf", "a?b", "a#b", "cf?x", "cf;x", "\\", "cf\u00a0", "x" * 255, "CF", "*"]
    for name in names:
        status, code, error = refusal(gateway, token, body(name))
        assert (status, code, error["field"]) == (404, "not_found", "target.deployment") and error["message"].isascii() and len(error["message"]) < 200, error
    asked = director.paths()
    assert len(asked) == len(names) and all(a.startswith("/deployments/") and a.endswith("/variables") and a.count("/") == 3 for a in asked), asked
    assert asked[0] == "/deployments/x%27%20OR%201%3D1%20--/variables" and asked[4] == "/deployments/%252e%252e/variables"
    for name in ("route", "routers", "Router", "röuter", "router'", "router/2", "router/-1", "router/+1", "router/1 ", "router/18446744073709551615",
                 "router/" + "9" * 100, "router/x", "router/" + str(uuid.uuid4()), "r" * 255, "cell/1", "10.0.0.1", "127.0.0.1"):
        status, code, error = refusal(gateway, token, body(instances=["cell", name]))
        assert (status, code, error["field"]) == (404, "not_found", "target.instances") and error["message"].isascii(), error
        shown = "".join(c if c.isascii() else "??" for c in name)[:70]
        assert f'"{shown}' in error["message"] and '"cf"' in error["message"] and len(error["message"]) < 300, error
    assert gateway.fake.requests == []


def test_more_than_the_limit(lone, uaa, director):
    gateway = lone()
    director.add("large", *(vm("cell", i, "127.0.0.1") for i in range(51)))
    token = token_of(uaa)
    status, code, error = refusal(gateway, token, body("large"))
    assert (status, code) == (413, "too_many_instances") and "50" in error["message"]
    assert gateway.fake.requests == []
    assert start(gateway, token, body("large", [f"cell/{i}" for i in range(50)])).wait_end().status == 200
    assert len([r for r in gateway.fake.requests if r[1] == "/v1/captures"]) == 50


# ---- a director that fails ----

def says(status, reply=b"", kind="application/json", headers=(), part="/"):
    """A fault: this answer where part is in the path."""
    def fault(handler, path):
        if part not in path:
            return False
        handler.reply(status, reply, kind, headers)
        return True
    return fault


def breaks_off(handler, path):
    """Fewer bytes than it said."""
    if not path.endswith("instances"):
        return False
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'[{"job":"router","index":0,"ips":["127.0.0.1"]}')
    handler.close_connection = True
    return True


HTML = b"<html><body>Please log in</body></html>"
VARIABLES, INSTANCES = "/variables", "/instances"


def test_a_director_that_fails(lone, uaa, director, issuers, pki):
    elsewhere = issuers("elsewhere")
    gateway = lone()
    token = token_of(uaa)
    html, failed = "text/html", "platform_failed"
    many = [vm("cell", i, "127.0.0.1") for i in range(10001)]
    rows = [
        ("an error of its own", says(500, {"code": 100, "description": "Database is \u0007 away"}), 502, failed, "(HTTP 500): Database is ? away"),
        ("an empty one", says(500), 502, failed, "(HTTP 500)"),
        ("of the proxy before it", says(502, HTML, html), 502, failed, "(HTTP 502)"),
        ("away", says(503, HTML, html, {"Retry-After": "17"}), 503, failed, "try again in 17 s"),
        ("too long", says(504, HTML, html), 502, failed, "(HTTP 504)"),
        ("busy", says(429, {"description": "slow down"}, headers={"Retry-After": "100000"}), 429, "platform_busy", "slow down; try again in 3600 s"),
        ("forbidden, by a proxy", says(403, HTML, html), 502, "platform_failed", "something before it"),
        ("401 of another code", says(401, {"code": 5, "description": "no"}), 401, "platform_token", "no"),
        ("401 of a code as text", says(401, {"code": "600000", "description": "no"}), 401, "platform_token", "no"),
        ("no director", says(404, HTML, html), 502, failed, "is bosh.director its address?"),
        ("no such route", says(404, b"Endpoint '/deployments/cf/variables' not found.", "text/plain"), 502, failed, "is bosh.director its address?"),
        ("elsewhere", says(302, headers={"Location": elsewhere.url + "/deployments/cf/variables"}), 502, failed, "redirect"),
        ("elsewhere for ever", says(308, headers={"Location": elsewhere.url + "/"}, part=INSTANCES), 502, failed, "redirect"),
        ("nothing", says(204), 502, failed, "(HTTP 204)"),
        ("a page for everybody", says(200, HTML, html), 502, failed, "not what was asked for"),
        ("a page instead of variables", says(200, HTML, html, part=VARIABLES), 502, failed, "no list of variables"),
        ("no variables at all", says(200, b"", part=VARIABLES), 502, failed, "no list of variables"),
        ("an object instead of variables", says(200, {"a": []}, part=VARIABLES), 502, failed, "no list of variables"),
        ("a page instead of instances", says(200, HTML, html, part=INSTANCES), 502, failed, "no list of instances"),
        ("nothing instead of instances", says(200, b"", part=INSTANCES), 502, failed, "no list of instances"),
        *[(f"{str(i)[:20]} instead of instances", says(200, i, part=INSTANCES), 502, failed, "no list of instances") for i in ({"instances": []}, 5, "x")],
        ("half a list", says(200, b'[{"job":"router"', part=INSTANCES), 502, failed, "no list of instances"),
        ("a deep one", says(200, b"[" * 5000 + b"]" * 5000, part=INSTANCES), 502, failed, "no list of instances"),
        ("a list of others", says(200, [1, "x", None, [], {}, {"job": "router"}], part=INSTANCES), 502, failed, "names none"),
        ("too many", says(200, many, part=INSTANCES), 502, failed, "10001"),
        ("too much", says(200, b"[" + b" " * (5 << 20) + b"]", part=INSTANCES), 502, failed, "cannot be taken"),
        ("less than it said", breaks_off, 502, "platform_unreachable", "does not answer"),
    ]
    faults = []
    for name, fault, status, code, text in rows:
        director.fault = fault
        found = refusal(gateway, token, body())
        if found[:2] != (status, code) or text not in found[2]["message"]:
            faults.append(f"{name}: {found}, due was {status} {code} {text!r}")
    assert not faults, "\n".join(faults)
    assert elsewhere.asked == [] and gateway.fake.requests == []
    director.fault = says(200, b"[" + b'{"id":"1","name":"/a"},' * 400000 + b"{}]", part=VARIABLES)  # 9 MB
    assert start(gateway, token, body()).wait_end().status == 200
    director.fault = says(200, b"\r\n  []", part=VARIABLES)
    assert start(gateway, token, body()).wait_end().status == 200


def test_what_the_director_says_of_instances(lone, uaa, director):
    """Members that are missing, null or of another type: what can be used is used."""
    gateway = lone()
    token = token_of(uaa)
    plain = {"job": "a", "index": 0, "ips": ["127.0.0.1"]}
    rows = [
        ("as little as can be", [plain], {"a/0"}),
        ("more than is known", [{**plain, "id": "x", "new": {"a": [1]}, "cid": "c", "agent_id": "a", "expects_vm": None}], {"a/0"}),
        ("twice", [plain, plain, {**plain, "id": "z"}], {"a/0"}),
        ("types", [plain, {**plain, "job": 5}, {**plain, "index": "1"}, {**plain, "index": -1}, {**plain, "index": 1.5, "id": 7}, {**plain, "ips": "x", "index": 8},
                   {**plain, "id": "a/b", "index": None}], {"a/0", "a/8"}),
        ("addresses", [{**plain, "ips": [None, 5, {}, "", "x", "::", "0.0.0.0", "127.0.0.1/31", "127.0.0.1/", "127.0.0.1/032", "::1/127", "fe80::1%lo",
                                         "1" * 70, "127.0.0.1/32"]}], {"a/0"}),
        ("an index of many digits", [{**plain, "index": 2 ** 62}], {f"a/{2 ** 62}"}),
        ("a long name", [{**plain, "job": "a" * 127}, {**plain, "job": "a" * 128}], {"a" * 127 + "/0"}),
    ]
    for name, instances, due in rows:
        director.deployments["cf"].instances = instances
        live = start(gateway, token, body()).wait_end()
        assert live.status == 200, f"{name}: {live.data}"
        assert {i["name"] for i in job_of(gateway, token, live.headers["pcap-job"])["instances"]} == due, name


def test_a_director_that_does_not_answer(lone, uaa, director):
    gateway = lone(timeout="1s")
    token = token_of(uaa)
    director.go.clear()
    status, code, error = refusal(gateway, token, body())
    assert (status, code) == (502, "platform_unreachable") and "the director does not answer" in error["message"], error
    director.close()
    status, code, error = refusal(gateway, token, body())
    assert (status, code) == (502, "platform_unreachable") and "the director does not answer" in error["message"], error
    director.open()
    wait_for(lambda: start(gateway, token, body()).wait_end().status == 200, "an answer within the second")


def test_a_stranger_instead_of_the_director(gateways, uaa, director, session, pki, folder):
    """No token is shown to who cannot prove to be the director."""
    strangers = [Director(uaa, pki, identity=identity) for identity in (
        Pki(session, folder / "other").gateway, pki.issue("wrong-name", ["director"]), pki.issue("expired", ["localhost"], expired=True))]
    try:
        for n, stranger in enumerate(strangers):
            gateway = gateways({}, issuers=[entry(uaa)], config=settings(stranger))
            status, code, error = refusal(gateway, token_of(uaa), body())
            assert (status, code) == (502, "platform_unreachable") and "does not answer" in error["message"] and "certificate" in error["message"], error
            assert stranger.requests == []
    finally:
        for stranger in strangers:
            stranger.close()
