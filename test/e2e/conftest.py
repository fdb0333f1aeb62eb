"""Fixtures.  `net`, `agents`, `gateways` and `cli` clean up after each test, and fail it when a daemon left anything bad behind."""
import importlib.util
import os
import pathlib
import shutil
import signal

import pytest

from rig import Agent, Browser, Bucket, Cli, CloudController, FaultProxy, Fleet, Gateway, Issuer, Net, Pki, Proxy, Rgw, Session
from rig.browser import missing as missing_browser
from rig.fake_agent import FakeAgent
from rig.net import remove_stale
from rig.openapi import Description
from rig.rgw import missing
from rig.s3 import examined
from rig.wait import SANITIZED, SLOW

_session = {}


def pytest_configure(config):
    if os.geteuid() != 0:
        raise pytest.UsageError("these tests make network namespaces: run them as root")


def pytest_collection_modifyitems(items):
    for item in items:
        if SANITIZED and item.get_closest_marker("memory"):
            item.add_marker(pytest.mark.skip(reason="a sanitizer's own memory hides the program's"))


def pytest_sessionfinish():
    """For described.py, which wants to know what of the API's description was met by any of the sessions."""
    if folder := os.environ.get("PCAPLINE_SEEN"):
        (pathlib.Path(folder) / f"{os.getpid()}.seen").write_text("\n".join(sorted(Description.load().seen)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Ends a test that hangs: its stack is shown as a failure, the rest goes on."""
    marker = item.get_closest_marker("timeout_s")
    limit = int((marker.args[0] if marker else 120) * SLOW)

    def on_alarm(_signal, _frame):
        signal.alarm(limit)  # the clean-up may hang as well
        raise AssertionError(f"{item.name} is not done after {limit} s")

    old = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(limit)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.has_failed = True
        if "session" in _session:
            _session["session"].failed = True


@pytest.fixture(scope="session")
def session():
    remove_stale()
    s = _session["session"] = Session()
    yield s
    try:
        s.check_leftovers()
        s.check_logs()
    except BaseException:
        s.failed = True
        raise
    finally:
        s.close()


@pytest.fixture(scope="session")
def pki(session):
    return Pki(session, session.work / "pki")


@pytest.fixture
def folder(session, request):
    """A folder for this test; logs stay until the end of the run, the rest goes when the test was good."""
    name = f"{request.node.path.stem[5:]}-{request.node.name.removeprefix('test_')}"
    path = session.work / "".join(c if c.isalnum() or c == "-" else "_" for c in name)[:100]
    path.mkdir()
    yield path
    if not getattr(request.node, "has_failed", False):
        for entry in path.iterdir():
            if entry.is_dir() and not entry.name.startswith("home-"):
                for inner in ("state", "files"):
                    shutil.rmtree(entry / inner, ignore_errors=True)


@pytest.fixture
def net(session):
    n = Net(session)
    yield n
    n.close()


def _stop_all(daemons):
    """Stops each and looks at each, even when an earlier one was bad."""
    faults = []
    for daemon in daemons:
        if daemon.process is None:
            continue
        try:
            if daemon.is_running():
                daemon.thaw()
                daemon.stop()
            else:
                daemon.check()
        except AssertionError as e:
            faults.append(str(e))
    assert not faults, "\n".join(faults)


@pytest.fixture
def agents(session, pki, net, folder):
    """agents(ns, **kwargs): a started Agent in the namespace."""
    made = []

    def make(ns, start=True, **kwargs):
        agent = Agent(session, kwargs.pop("pki", pki), ns, folder / f"agent-{ns.label}-{len(made)}", **kwargs)
        made.append(agent)
        return agent.start() if start else agent

    yield make
    _stop_all(made)


@pytest.fixture
def gateways(session, pki, agents, folder):
    """gateways(groups, **kwargs): a started Gateway.  Stopped before the agents."""
    made = []

    def make(groups, start=True, **kwargs):
        name = "gateway" if not made else f"gateway{len(made)}"
        gateway = Gateway(session, pki, folder / name, groups, name=name, **kwargs)
        made.append(gateway)
        return gateway.start() if start else gateway

    yield make
    _stop_all(made)


@pytest.fixture
def fleet(net, agents, gateways):
    """fleet(n, **kwargs): a Fleet; kwargs that are not its own go to the gateway."""
    return lambda n=1, **kwargs: Fleet(net, agents, gateways, n, **kwargs)


@pytest.fixture
def proxies():
    """proxies(gateway): a Proxy before it, which has a link of its own to break."""
    made = []

    def make(gateway):
        made.append(Proxy(("127.0.0.1", gateway.port)))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def cli(session, folder):
    """cli(gateway, user): the command as that user."""
    def make(gateway=None, user="alice", **env):
        return Cli(session, folder, gateway, user, env)
    return make


@pytest.fixture
def issuers(session, pki):
    """issuers(name="cf", **kwargs): an Issuer that answers."""
    made = []

    def make(name="cf", **kwargs):
        made.append(Issuer(session, pki, name, **kwargs))
        return made[-1]

    yield make
    for issuer in made:
        issuer.close()


@pytest.fixture
def cloud_controller(pki):
    """A CloudController that answers."""
    cc = CloudController(pki)
    yield cc
    cc.close()


@pytest.fixture
def fakes(pki):
    """fakes(script, **kwargs): a FakeAgent."""
    made = []

    def make(script=None, **kwargs):
        made.append(FakeAgent(pki, script, **kwargs))
        return made[-1]

    yield make
    for fake in made:
        fake.close()


def _need_ceph():
    absent = missing() + ([] if importlib.util.find_spec("boto3") else ["python3-boto3"])
    if absent:
        why = f"no S3 server to test with: {', '.join(absent)} is not installed; ops/install-deps.sh --check does it"
        if os.environ.get("CI") == "true":
            pytest.fail(why, pytrace=False)
        pytest.skip(why)


@pytest.fixture(scope="module")
def chromium(session):
    """The browser of a file: a Browser, which each test opens anew where it wants to be."""
    absent = missing_browser()
    if absent:
        why = f"no browser to test with: {', '.join(absent)} is not installed; ops/install-deps.sh --check does it"
        if os.environ.get("CI") == "true":
            pytest.fail(why, pytrace=False)
        pytest.skip(why)
    b = Browser(session, session.work / "browser")
    yield b
    b.close()


@pytest.fixture(scope="session")
def s3_servers(session, pki):
    """s3_servers(name, **kwargs): a started Rgw, plain and TLS; for those that need another than `rgw`."""
    made = []

    def make(name, **kwargs):
        _need_ceph()
        identity = pki.issue(f"store-{name}", ["s3.localhost", "*.s3.localhost"], ips=["127.0.0.1"])
        made.append(Rgw(session.work / f"store-{name}", identity, env=session.env(), **kwargs))
        session.secret(f"secret key of the store {name}", made[-1].secret_key)
        return made[-1].start()

    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="session")
def rgw(s3_servers):
    """The S3 server of the run."""
    return s3_servers("rgw")


@pytest.fixture
def buckets(session):
    """buckets(rgw, **kwargs): a Bucket, for those that need another than `bucket`."""
    made = []

    def make(server, **kwargs):
        if not server.is_up():
            server.up()
        made.append(Bucket(server, session, **kwargs))
        return made[-1]

    yield make
    for bucket in made:
        if not bucket.rgw.is_up():
            bucket.rgw.up()
        bucket.remove()


@pytest.fixture
def bucket(buckets, rgw):
    """A fresh bucket."""
    return buckets(rgw)


@pytest.fixture
def store_proxy(rgw):
    """A FaultProxy before the S3 server."""
    proxy = FaultProxy(("127.0.0.1", rgw.port))
    yield proxy
    proxy.close()


@pytest.fixture
def s3_fleet(bucket, store_proxy, fleet):
    """s3_fleet(n, endpoint, storage, **s3): a Fleet that stores in `bucket`; arguments as of Bucket.config, `gateway` for the Fleet's own.

    Bucket and proxy are named so that they are there for as long as the gateway runs; the examination of the bucket is over."""
    def make(n=1, endpoint=None, storage=None, gateway=None, **s3):
        f = fleet(n, config=bucket.config(endpoint, storage, **s3), **(gateway or {}))
        examined(f.gateway)
        return f
    return make
