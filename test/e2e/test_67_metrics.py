"""What gateway and agent tell monitoring: right figures, in a format that promtool takes, about nobody in particular; and the list of agents."""
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import threading

import pytest
import yaml

from rig import PORT, Http, read_pcapng, wait_for
from rig.gateway import free_port
from rig.metrics import promtool, run_promtool, scrape

FILTER = f"udp port {PORT}"
G, A = "pcapline_gateway_", "pcapline_agent_"
OPS = pathlib.Path(__file__).parents[2] / "ops"


@pytest.fixture(scope="session")
def judge():
    """run_promtool, where it is installed; CI has it."""
    if not promtool():
        why = "promtool is not installed; ops/install-deps.sh --check does it"
        if os.environ.get("CI") == "true":
            pytest.fail(why, pytrace=False)
        pytest.skip(why)
    return run_promtool


def lint(page):
    """promtool's own reading of it, names and help texts too."""
    assert promtool() or os.environ.get("CI") != "true", "promtool is not installed"
    if promtool():
        run_promtool("check", "metrics", stdin=page.text)


@pytest.fixture
def watched(fleet):
    """watched(n, **kwargs): a fleet whose gateway's figures are at `f.metrics`, an Http."""
    def make(n=1, **kwargs):
        port = free_port()
        config = kwargs.pop("config", {}) | {"metrics": {"port": port}}
        f = fleet(n, config=config, **kwargs)
        f.metrics = Http(("127.0.0.1", port))
        return f
    return make


def test_nobody_is_served_before_all_is_open(gateways):
    """A gateway whose page of metrics finds its port taken ends without having taken a capture."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        g = gateways({}, config={"metrics": {"port": taken.getsockname()[1]}}, start=False)
        g.expected_exits = {1}
        g.allowed_errors.append("not JSON")
        g.start(wait=False)
        assert g.wait_exit() == 1
    assert "metrics" in g.log() and "gateway.listening" not in g.log()


def page_until(http, predicate, what):
    """The first page of which predicate says yes: captures tell their figures each second."""
    def look():
        page = scrape(http)
        return page if predicate(page) else None
    return wait_for(look, what)


# ---- figures ----

def test_known_captures(watched, pki):
    """A stored and a live capture of known packets: each figure of gateway and agent against what was sent and what the files say."""
    metrics = pki.issue("metrics-agent", ["metrics"])
    f = watched(1, config={"storage": {"chunk": "64KiB"}}, agent_config={
        "metrics": {"address": "0.0.0.0", "port": 9495, "certificate": metrics.cert, "private_key": metrics.key}})
    agent = Http((f.agents[0].host, 9495), pki.ca, None, "metrics")
    before = scrape(f.metrics)
    assert before.value(G + "packets_total") == before.value(G + "objects_stored_total") == before.total(G + "captures_ended_total") == 0
    stored = f.gateway.store(packet_filter=FILTER)
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    page = page_until(f.metrics, lambda p: p.value(G + "captures", state="running") == 2 and p.value(G + "agent_streams") == 2, "both to run")
    assert page.value(G + "viewers") == 1 and page.value(G + "ready") == page.value(G + "store_up") == page.value(G + "database_up") == 1
    assert scrape(agent).value(A + "captures") == 2
    f.send_captured([stored, live.job], 300, 1000)
    live.wait_packets(300)
    f.gateway.finish(live.job)
    live.wait_end()
    job = f.gateway.finish(stored)
    wait_for(lambda: f.agents[0].captures() == 0, "the agent to be free")
    # Who viewed a capture that has ended is counted until it is forgotten.
    page = page_until(f.metrics, lambda p: p.total(G + "captures_ended_total") == 2 and p.value(G + "viewers") == 0, "both to have ended")
    lint(page)
    assert page.value(G + "packets_total") == 600
    assert page.value(G + "packet_bytes_total") == 2 * 300 * (1000 + 42), "with Ethernet, IP and UDP headers"
    assert page.value(G + "stream_bytes_total") == job["object"]["size_bytes"] + len(live.data)
    assert page.total(G + "dropped_packets_total") == page.value(G + "late_packets_total") == 0
    assert page.total(G + "captures") == page.value(G + "agent_streams") == 0
    assert page.value(G + "captures_ended_total", mode="live", reason="user_stop") == page.value(G + "captures_ended_total", mode="store", reason="user_stop") == 1
    assert page.value(G + "captures_outcome_total", mode="live", state="streamed") == page.value(G + "captures_outcome_total", mode="store", state="ready") == 1
    assert page.value(G + "starts_total", outcome="live") == page.value(G + "starts_total", outcome="stored") == 1
    assert page.value(G + "objects_stored_total") == 1 and page.value(G + "objects_stored_bytes_total") == job["object"]["size_bytes"]
    assert 4 <= page.value(G + "part_uploads_total", outcome="stored") <= 5, "320 KB in chunks that end with a block"
    assert page.value(G + "spool_bytes") == page.value(G + "parts_waiting") == page.value(G + "part_retries_total") == 0
    assert page.value(G + "database_bytes") >= 4096
    assert page.value(G + "http_requests_total", route="/v1/captures", method="POST", **{"class": "2xx"}) == 2
    assert page.value(G + "http_request_duration_seconds_count", route="/v1/captures", method="POST") == 2
    assert page.value(G + "http_request_duration_seconds_bucket", route="/v1/captures", method="POST", le="+Inf") == 2
    assert page.value("process_open_fds") == pytest.approx(f.gateway.fds(), abs=4) and page.value("process_max_fds") >= page.value("process_open_fds")
    assert page.value("process_threads") == pytest.approx(f.gateway.threads(), abs=4)
    assert abs(page.value("process_start_time_seconds") - f.gateway.log_path.stat().st_ctime) < 600 and page.value("process_cpu_seconds_total") > 0

    theirs = scrape(agent)
    lint(theirs)
    assert theirs.value(A + "packets_total") == theirs.value(A + "accepted_packets_total") == 600
    assert theirs.total(A + "dropped_packets_total") == theirs.value(A + "captures") == 0
    assert theirs.value(A + "captures_ended_total", reason="user_stop") == theirs.total(A + "captures_ended_total") == 2
    assert theirs.value(A + "stream_bytes_total") > 600 * 1042 and theirs.value(A + "captures_limit") == 16

    # What is asked for in vain, and downloads.
    f.gateway.download(stored)
    assert f.gateway.api("GET", "/v1/captures", user=None).status == 401
    assert f.gateway.api("GET", "/v1/captures", token="x" * 40).status == 401
    assert f.gateway.api("GET", "/v1/admin/captures").status == 403
    assert f.gateway.api("POST", "/v1/captures", f.gateway.request(snaplen=262145)).status in (400, 413)
    refused = f.gateway.live(packet_filter="no such filter")
    assert refused.status == 400
    assert f.gateway.live(group="nowhere").status == 404
    page = page_until(f.metrics, lambda p: p.value(G + "starts_total", outcome="bad_request") >= 1, "the refusals")
    assert page.value(G + "downloads_total", way="gateway") == 1
    assert [page.value(G + "tokens_refused_total", reason=r) for r in ("missing", "invalid", "not_allowed")] == [1, 1, 1]
    assert page.value(G + "starts_total", outcome="not_found") == 1
    assert page.value(G + "agent_stream_errors_total", reason="input") == 1
    assert page_until(agent, lambda p: p.value(A + "refused_total", code="input") == 1, "the agent's refusal")


def test_losses_and_limits(watched):
    """A viewer that reads nothing: what the file lacks is what the page says."""
    f = watched(1, config={"live": {"backlog": "1MiB", "grace": "20s"}, "limits": {"captures_per_user": 1}})
    live = f.gateway.live(packet_filter=FILTER, read=False)
    f.gateway.wait_running(live.job)
    assert f.gateway.live().status == 429
    sent = f.send(pps=0, size=1400, count=8000).wait()
    wait_for(lambda: f.gateway.job(live.job)["packets"]["dropped"]["gateway"] > 0, "packets to be left out")
    page = page_until(f.metrics, lambda p: p.value(G + "dropped_packets_total", where="gateway") > 0, "the loss to be told")
    assert page.value(G + "live_backlog_bytes") > 256 * 1024 and page.value(G + "limits_hit_total", limit="captures_per_user") == 1
    live.resume()
    f.gateway.finish(live.job)
    live.wait_end()
    job = f.gateway.job(live.job)
    page = page_until(f.metrics, lambda p: p.total(G + "captures_ended_total") == 1, "its end")
    dropped = {where: page.value(G + "dropped_packets_total", where=where) for where in ("kernel", "interface", "agent", "gateway")}
    assert dropped == job["packets"]["dropped"]
    assert len(read_pcapng(live.data).packets) + dropped["gateway"] + dropped["kernel"] == sent


def test_what_the_agent_sheds(watched, pki):
    """A ceiling that holds a capture back: its losses are the agent's, told alike by agent, gateway and job."""
    metrics = pki.issue("metrics-agent-3", ["metrics"])
    f = watched(1, agent_config={"metrics": {"address": "0.0.0.0", "port": 9495, "certificate": metrics.cert, "private_key": metrics.key},
                                 "limits": {"rate": "256KiB"}, "capture": {"ring": "1MiB", "stats_interval": "1s"}})
    agent = Http((f.agents[0].host, 9495), pki.ca, None, "metrics")
    live = f.gateway.live(packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    sender = f.send(pps=2000, size=1400, burst=20)
    page_until(agent, lambda p: p.value(A + "dropped_packets_total", where="agent") > 0, "the agent to shed")
    sender.stop()
    f.gateway.finish(live.job)
    live.wait_end()
    theirs = page_until(agent, lambda p: p.total(A + "captures_ended_total") == 1, "its end at the agent")
    page = page_until(f.metrics, lambda p: p.total(G + "captures_ended_total") == 1, "its end")
    dropped = f.gateway.job(live.job)["packets"]["dropped"]
    assert dropped["agent"] > 0
    for where in ("kernel", "interface", "agent"):
        assert theirs.value(A + "dropped_packets_total", where=where) == page.value(G + "dropped_packets_total", where=where) == dropped[where], where
    assert theirs.value(A + "rested_seconds_total") > 0 and theirs.value(A + "guard_cut_total") == 0


@pytest.mark.threads
def test_no_counter_goes_back(watched):
    """Scraped without a pause while ten captures run and end, five of them stored: these go at once when they are done, the others stay a while for their viewers."""
    f = watched(1, config={"limits": {"captures_per_user": 20}})
    stop, faults, pages = threading.Event(), [], [0]

    def watch():
        last = {}
        while not stop.is_set():
            now = scrape(f.metrics).counters()
            faults.extend((key, v, now.get(key)) for key, v in last.items() if now.get(key, -1) < v)
            last = now
            pages[0] += 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        sender = f.send(pps=2000, size=200)
        lives = [f.gateway.live(packet_filter=FILTER) for _ in range(5)]
        jobs = [live.job for live in lives] + [f.gateway.store(packet_filter=FILTER) for _ in range(5)]
        for job in jobs:
            wait_for(lambda job=job: f.gateway.job(job)["packets"]["captured"] > 50, "packets")
        enders = [threading.Thread(target=f.gateway.finish, args=(job,)) for job in jobs]
        for t in enders:
            t.start()
        for t in enders:
            t.join()
        for live in lives:
            live.wait_end()
        sender.stop()
        wait_for(lambda: scrape(f.metrics).total(G + "captures_ended_total") == 10, "all to have ended")
        seen = pages[0]
        wait_for(lambda: pages[0] > seen + 2, "a few pages more")
    finally:
        stop.set()
        watcher.join()
    assert not faults, faults[:5]
    final = sum(f.gateway.job(job)["packets"]["captured"] for job in jobs)
    page = scrape(f.metrics)
    assert page.value(G + "packets_total") == final >= 500 and page.total(G + "dropped_packets_total", where="gateway") == 0


def test_about_nobody_and_bounded(watched, cli, folder):
    """No name, filter or token in the page; and no asker can make it grow."""
    f = watched(1, groups=lambda agents: {"markergroup": {"instances": [{"id": "0", "agent": agents[0].address}], "users": ["markeruser"]}},
                users={"markeruser": {"org": "markerorg", "space": "markerspace"}, "olga": {"operator": True}})
    live = f.gateway.live("markeruser", group="markergroup", packet_filter="udp port 7000 or udp port 33333", note="markernote")
    f.gateway.wait_running(live.job, "markeruser")
    page = page_until(f.metrics, lambda p: p.value(G + "agent_streams") == 1, "it to run")
    f.gateway.finish(live.job, "markeruser")
    live.wait_end()

    def odd(n):
        for i in range(n):
            f.gateway.http.request("GET", f"/odd{i}/markerpath{i}")
            f.gateway.http.request("DELETE", f"/v1/odd{i}")
            f.gateway.api("GET", f"/v1/captures/markerjob{i}", user="markeruser")
            f.gateway.api("GET", "/v1/captures", token=f"markertoken{i}" * 4)
            f.gateway.live("markeruser", group=f"markergroup{i}")
    odd(2)
    page = page_until(f.metrics, lambda p: p.total(G + "captures_ended_total") == 1, "its end")
    odd(20)
    later = scrape(f.metrics)
    assert later.rows == page.rows, "the same rows, however much is asked for"
    assert later.value(G + "http_requests_total", route="other", method="other", **{"class": "4xx"}) == 44
    assert "marker" not in later.text and "33333" not in later.text and live.job not in later.text
    for token in f.gateway.tokens.values():
        assert token not in later.text
    assert f.agents[0].host not in later.text


# ---- the listener ----

def test_nothing_but_the_page(watched):
    f = watched(1)
    assert f.metrics.request("HEAD", "/metrics").body == b""
    for path in ("/", "/metrics/", "/v1/info", "/v1/captures", "/healthz"):
        assert f.metrics.request("GET", path, token=f.gateway.tokens["olga"]).status == 404, path
    for method in ("POST", "PUT", "DELETE"):
        assert f.metrics.request(method, "/metrics").status == 405
    assert f.gateway.http.request("GET", "/metrics").status == 404, "not by the public door"


def test_tls(watched, fleet, pki, session):
    """Mutual TLS as prom_scraper has it, and who does not get in."""
    server = pki.issue("metrics-server", ["pcapline-gateway-metrics"])
    scraper, other = pki.issue("scraper", ["prom_scraper"], client=True), pki.issue("no-scraper", ["somebody"], client=True)
    port = free_port()
    f = fleet(1, config={"metrics": {"address": "0.0.0.0", "port": port, "certificate": server.cert, "private_key": server.key, "client_ca": pki.ca}})
    assert scrape(Http(("127.0.0.1", port), pki.ca, scraper, "pcapline-gateway-metrics")).value(G + "ready") == 1
    for identity in (None, other):
        with pytest.raises((ssl.SSLError, OSError)):
            Http(("127.0.0.1", port), pki.ca, identity, "pcapline-gateway-metrics").request("GET", "/metrics")
    with pytest.raises(OSError):
        Http(("127.0.0.1", port)).request("GET", "/metrics", timeout=3)
    assert f.gateway.answers()


@pytest.mark.parametrize("section,says", [
    ({"address": "0.0.0.0", "port": 9100}, "metrics.address: without metrics.certificate only a loopback address"),
    ({"address": "localhost"}, "metrics.address: \"localhost\" is not a numeric address"),
    ({"certificate": "x.pem"}, "metrics.certificate and metrics.private_key must be given together"),
    ({"client_ca": "x.pem"}, "metrics.client_ca: is of no use without metrics.certificate"),
    ({"port": 70000}, "metrics.port: \"70000\" is not within 0..65535"),
    ({"certificate": "/nowhere.pem", "private_key": "/nowhere.key"}, "metrics: TLS key: /nowhere.key"),
])
def test_configuration_that_cannot_be(fleet, session, section, says):
    f = fleet(1, start=False)
    for daemon, program, path in ((f.gateway, "pcap-gateway", f.gateway.config_path), (f.agents[0], "pcap-agent", f.agents[0].config_path)):
        path.write_text(yaml.safe_dump(daemon.config | {"metrics": section}))
        done = subprocess.run([session.program(program), "--config", str(path), "--check-config"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and says in done.stderr, (program, done.stderr)


def test_store_that_hangs(fleet):
    """The page comes all the same, and says it."""
    store = socket.create_server(("127.0.0.1", 0))  # takes connections, and says nothing
    port = free_port()
    f = fleet(1, config={
        "metrics": {"port": port}, "storage": {"driver": "s3"},
        "s3": {"endpoint": f"http://127.0.0.1:{store.getsockname()[1]}", "allow_http": True, "bucket": "hangs", "access_key": "a" * 16, "secret_key": "b" * 32}})
    f.gateway.allowed_errors += ["readiness.storage", "storage", "store"]
    page = scrape(Http(("127.0.0.1", port)))
    assert page.value(G + "store_up") == 0 and page.value(G + "ready") == page.value(G + "database_up") == 1
    live = f.gateway.live(packet_filter=FILTER)
    page_until(Http(("127.0.0.1", port)), lambda p: p.value(G + "captures", state="running") == 1, "a live capture")
    f.gateway.finish(live.job)
    f.gateway.stop()
    store.close()


# ---- agents ----

@pytest.mark.slow
def test_agents(watched, fakes, cli, folder):
    """Of the inventory: a good one, one that is not there, one that says strange things, one that says nothing."""
    fake = fakes(lambda x: x.reply(200, {"version": "9.9.9", "api_level": 99, "targets": ["host", 7], "captures": 3, "captures_max": -4, "instance": "i\x1bx", "new": {}}))
    silent = fakes(lambda x: x.wait_closed())
    f = watched(1, groups=lambda agents: {"web": {"instances": [
        {"id": "0", "agent": agents[0].address}, {"id": "1", "agent": "127.0.0.1:9"}, {"id": "2", "agent": fake.address}, {"id": "3", "agent": silent.address}],
        "users": ["alice"]}})
    assert f.gateway.api("GET", "/v1/admin/agents").status == 403
    live = f.gateway.live(instances=["web/0"], packet_filter=FILTER)
    f.gateway.wait_running(live.job)
    answer = cli(f.gateway, "olga").ok("admin", "agents", "--json").json
    assert answer["more"] == 0
    version = answer["gateway"]["version"]
    by = {a["agent"]: a for a in answer["agents"]}
    good, gone, new = by[f.agents[0].address], by["127.0.0.1:9"], by[fake.address]
    assert by[silent.address]["error"]["code"] == "timeout"
    assert len(by) == 4 and good["version"] == version and good["skew"] is None and good["error"] is None
    assert (good["captures"], good["captures_max"], good["targets"], good["listed"]) == (1, 16, ["host"], True) and good["last_seen_at"]
    assert gone["error"]["code"] == "net" and gone["version"] is None and gone["last_seen_at"] is None
    assert new["skew"] == "newer" and new["targets"] == ["host"] and new["captures_max"] is None and "\x1b" not in new["instance"]
    done = cli(f.gateway, "olga").ok("admin", "agents")
    rows = done.text.splitlines()
    assert rows[0].split()[:3] == ["AGENT", "VERSION", "CAPTURES"] and len(rows) == 5
    assert re.search(rf"^{re.escape(f.agents[0].address)} +{re.escape(version)} +1/16 +host ", done.text, re.M)
    assert "newer than this gateway" in done.text and "127.0.0.1:9" in done.text
    assert cli(f.gateway, "alice").run("admin", "agents").code == 3
    f.gateway.finish(live.job)
    live.wait_end()


# ---- what is made of the figures ----

def expressions():
    """(where, expression): all of the dashboard and the alerts; variables of the dashboard filled in."""
    board = json.loads((OPS / "grafana" / "pcapline.json").read_text())
    ids = [p["id"] for p in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m").replace("$gateway", ".*").replace("$agent", ".*")
    for group in yaml.safe_load((OPS / "prometheus" / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            assert set(rule["annotations"]) == {"summary", "description", "runbook"} and rule["labels"]["severity"] in ("page", "ticket"), rule
            yield rule["alert"], rule["expr"]


def test_alerts_and_dashboard(judge, folder):
    judge("check", "rules", OPS / "prometheus" / "alerts.yml")
    judge("test", "rules", OPS / "prometheus" / "alerts_test.yml")
    rules = [{"record": f"r{i}", "expr": expression} for i, (_, expression) in enumerate(expressions())]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    judge("check", "rules", folder / "rules.yml")
    tested = (OPS / "prometheus" / "alerts_test.yml").read_text()
    alerts = re.findall(r"alert: (\w+)", (OPS / "prometheus" / "alerts.yml").read_text())
    assert len(alerts) > 10 and not [a for a in alerts if a not in tested], "each alert has a test"


def test_every_figure_that_is_looked_at_is_there(watched, pki):
    """No panel and no alert speaks of a name or a word that no page has."""
    metrics = pki.issue("metrics-agent-2", ["metrics"])
    f = watched(1, agent_config={"metrics": {"address": "0.0.0.0", "port": 9495, "certificate": metrics.cert, "private_key": metrics.key}})
    f.gateway.finish(f.gateway.store(packet_filter=FILTER))
    pages = [page_until(f.metrics, lambda p: p.total(G + "captures_ended_total") == 1, "its end"), scrape(Http((f.agents[0].host, 9495), pki.ca, None, "metrics"))]
    names = {"up"} | pages[0].names | pages[1].names
    rows = pages[0].rows | pages[1].rows
    words = {(k, v) for _, labels in rows for k, v in labels}
    for where, expression in expressions():
        found = set(re.findall(r"\b((?:pcapline|process)_\w+|up)\b(?=[{\[ )]|$)", expression))
        assert found and found <= names, f"{where}: {found - names}"
        for key, _, value in re.findall(r'(\w+)(=~?)"([^"]*)"', expression):
            if key not in ("job", "instance"):
                assert all((key, word) in words for word in value.split("|")), f"{where}: {key}={value}"
