"""The status page in a real browser: what it shows to whom, what it does when it is clicked, and what it never does."""
import hashlib
import signal

import pytest

from rig import PORT, read_pcapng, wait_for
from rig.gateway import ENDS

pytestmark = pytest.mark.slow  # a browser starts, and is no quicker under sanitizers

FILTER = f"udp port {PORT}"
HOSTILE = '<img src=x onerror="document.title=1"><b>bold</b>'
USERS = {
    "alice": {"user_name": "Alice " + HOSTILE, "org": "acme", "space": "dev"},
    "bob": {"org": "other", "space": "prod"},
    "olga": {"operator": True},
}


@pytest.fixture
def platform(fleet):
    """platform(n, **kwargs): a fleet that alice and bob may capture from."""
    def make(n=1, **kwargs):
        return fleet(n, users=USERS, groups=lambda made: {
            "web": {"users": ["alice", "bob"], "orgs": [], "instances": [{"id": str(i), "agent": a.address} for i, a in enumerate(made)]}}, **kwargs)
    return make


@pytest.fixture
def browser(chromium):
    """The browser on an empty page; afterwards: the page's policy was never broken, and nobody but those of `allowed` was asked anything."""
    chromium.open("about:blank")
    chromium.look_at_logs()
    chromium.requests.clear()
    chromium.console.clear()
    chromium.allowed = []
    chromium.resize(1280, 900)
    chromium.scheme("light")
    yield chromium
    chromium.open("about:blank")
    chromium.look_at_logs()
    strangers = {url for url in chromium.requests if not url.startswith(("about:", "data:", "blob:", *chromium.allowed))}
    assert not strangers, strangers
    faults = [m for m in chromium.console if "Failed to load resource" not in m]
    assert not faults, "\n".join(faults)


def go(browser, gateway, path="/admin"):
    browser.allowed.append(gateway.url + "/")
    return browser.open(gateway.url + path)


def log_in(browser, gateway, user):
    go(browser, gateway).type("#token", gateway.tokens[user])
    browser.click("#login-form button")
    browser.wait("#app")


def row(browser, job):
    return browser.wait(f'[data-job="{job}"]')


def click_in(browser, job, text):
    browser.click(f'[data-job="{job}"] button', text)


def pictures(browser, name, folder):
    """Of both schemes, wide and narrow (to look at: PCAPLINE_KEEP=1); and nothing of it is wider than the window."""
    for scheme, width in (("light", 1600), ("light", 800), ("dark", 360)):
        browser.scheme(scheme)
        browser.resize(width, 900)
        wide = browser.script("return document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} wide in a window of {width}"
        browser.picture(folder / f"{name}-{scheme}-{width}.png")
    browser.resize(1280, 900)
    browser.scheme("light")


def stored(f, user, **kwargs):
    job = f.gateway.store(user=user, packet_filter=FILTER, **kwargs)
    f.send(count=5).wait()
    wait_for(lambda: f.gateway.job(job, user)["packets"]["captured"] >= 5, "its packets")
    assert f.gateway.finish(job, user)["state"] == "ready"
    return job


# ---- the document ----

def test_document(gateways):
    gateway = gateways({})
    reply = gateway.http.request("GET", "/admin")
    assert reply.status == 200 and reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().partition(" ")[::2] for part in reply.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'" and policy["connect-src"] == "'self'"
    assert "unsafe" not in reply.headers["content-security-policy"] and "*" not in reply.headers["content-security-policy"]
    for name, value in {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin"}.items():
        assert reply.headers[name] == value
    assert "set-cookie" not in reply.headers
    text = reply.body.decode()
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert " src=" not in text and "@import" not in style and "url(" not in style, "it is self-contained"
    assert gateway.http.request("POST", "/admin").status == 405
    reply = gateway.http.request("POST", "/v1/login/token", {"code": "x", "code_verifier": "y" * 43})
    assert reply.status == 404, "no client is configured"
    gateway.stop()
    gateway.config["page"] = {"enabled": False}
    gateway.start()
    assert gateway.http.request("GET", "/admin").status == 404


# ---- who sees and does what ----

def test_operator(browser, platform, folder):
    f = platform()
    kept = stored(f, "bob", note="kept for later")
    mine = f.gateway.store(user="alice", packet_filter=FILTER, note=HOSTILE)
    log_in(browser, f.gateway, "olga")
    assert browser.text("#who") == "olga, operator"
    for text in (HOSTILE, FILTER, "Alice " + HOSTILE, "acme/dev"):
        assert text in row(browser, mine).text, "what comes from outside is shown as text"
    assert not browser.script("return document.querySelector('#app img, #app b')") and browser.script("return document.title") == "Pcapline"

    points = f'return document.querySelector(\'[data-job="{mine}"] .spark.rate .line\').getAttribute("points").split(" ").map(p => +p.split(",")[1])'
    wait_for(lambda: len(browser.script(points)) > 1, "a second look")
    assert len(set(browser.script(points))) == 1, "nothing flows"
    sender = f.send(pps=500)
    wait_for(lambda: len(set(browser.script(points))) > 1, "the line to move", every_s=0.2)
    wait_for(lambda: "/s" in browser.text(f'[data-job="{mine}"] .chart') and "0/s" != browser.texts(f'[data-job="{mine}"] .chart dd')[0], "a rate", every_s=0.2)
    pictures(browser, "operator", folder)

    click_in(browser, mine, "web")
    browser.wait("dialog .events", "running")
    browser.wait("dialog table", "web/0 eth0")
    assert HOSTILE in browser.text("dialog .facts")
    pictures(browser, "details", folder)
    browser.click("dialog .actions-of button", "Kill")
    browser.wait("dialog h2", "Kill this capture?")
    browser.click("dialog button", "Cancel")
    sender.stop()

    click_in(browser, mine, "Kill")
    pictures(browser, "kill", folder)
    browser.click("dialog button", "Cancel")
    assert f.gateway.job(mine)["state"] == "running", "a question is no deed"
    click_in(browser, mine, "Kill")
    browser.click('dialog button[type="submit"]', "Kill")
    assert f.gateway.wait_state(mine, "killed")["stop_reason"] == "killed"
    browser.wait(f'#ended [data-job="{mine}"]', "killed")
    browser.wait("#running-none", "Nothing is being captured")

    click_in(browser, kept, "Purge")
    browser.click('dialog button[type="submit"]', "Purge")
    assert f.gateway.wait_state(kept, "purged", "bob")
    browser.wait(f'#ended [data-job="{kept}"]', "erased")
    browser.click(".tab", "Controls")
    pictures(browser, "controls", folder)
    browser.click("button", "Kill captures")
    browser.click('dialog button[type="submit"]', "Kill")
    browser.wait("dialog .bad", "Say what is meant")
    browser.click('dialog [name="all"]')
    browser.click('dialog button[type="submit"]', "Kill")
    browser.wait("dialog", "Nothing of that was running")


def test_operators_sections(browser, platform, folder):
    """What this gateway has a call for is there and works; what it has none for is not shown."""
    f = platform()
    kept, job = stored(f, "bob"), f.gateway.store(user="alice", packet_filter=FILTER)
    here = {name for name in ("agents", "switches", "approvals", "audit", "halt", "hold")
            if f.gateway.api("POST" if name not in ("halt", "hold") else "GET", f"/v1/admin/{name}", user="olga").status != 404}
    log_in(browser, f.gateway, "olga")
    tabs = browser.texts(".tab")
    assert tabs == ["Captures", *[n.title() for n in ("agents", "switches", "approvals", "audit") if n in here], "Controls"]
    for name in ("agents", "approvals", "audit"):
        if name in here:
            browser.click(".tab", name.title())
            browser.wait(f"#panel-{name}", {"agents": f.agents[0].address, "approvals": "Nothing waits", "audit": "capture.start"}[name])
            pictures(browser, name, folder)
    if "switches" in here:
        browser.click(".tab", "Switches")
        browser.wait("#panel-switches", "No switch is set")
        browser.click("button", "Set a switch")
        browser.choose('[name="scope"]', "a group")
        browser.choose('[name="capture"]', "forbidden")
        browser.choose('[name="payload"]', "headers only")
        browser.type('[name="id"]', "web")
        browser.type('[name="reason"]', HOSTILE)
        pictures(browser, "switch", folder)
        browser.click('dialog button[type="submit"]', "Set")
        browser.wait("#panel-switches table", "no captures; headers only")
        assert HOSTILE in browser.text("#panel-switches table") and f.gateway.wait_state(job, ENDS)["stop_reason"] in ("policy_changed", "switched_off")
        pictures(browser, "switches", folder)
        browser.click("#panel-switches button", "Take away")
        browser.click('dialog button[type="submit"]', "Take away")
        browser.wait("#panel-switches", "No switch is set")
        job = f.gateway.store(user="alice", packet_filter=FILTER)
    browser.click(".tab", "Controls")
    if "hold" in here:
        browser.click("button", "Hold")
        browser.type('[name="user"]', "bob")
        browser.type('[name="reason"]', "case 7")
        browser.click('dialog button[type="submit"]', "Hold")
        browser.wait("dialog", "Held: 1")
        browser.click("dialog button", "Close")
        browser.click("button", "Purge captures")
        browser.type('[name="user"]', "bob")
        browser.click('dialog button[type="submit"]', "Look")
        browser.wait("dialog", "Held, and left alone: 1")
        browser.click("dialog button", "Close")
        browser.click("button", "Let go")
        browser.type('[name="user"]', "bob")
        browser.click('dialog button[type="submit"]', "Let go")
        browser.wait("dialog", "Let go: 1")
        browser.click("dialog button", "Close")
        browser.click("button", "Purge captures")
        browser.type('[name="user"]', "bob")
        browser.click('dialog button[type="submit"]', "Look")
        browser.wait("dialog", "Would be erased: 1 capture,")
        assert f.gateway.job(kept, "bob")["state"] == "ready", "only looked"
        pictures(browser, "purge", folder)
        browser.click('dialog button[type="submit"]', "Erase")
        browser.wait("dialog", "Erased: 1 capture,")
        assert f.gateway.job(kept, "bob")["state"] == "purged"
        browser.click("dialog button", "Close")
    if "halt" in here:
        browser.click("button", "Halt everything")
        browser.click('dialog button[type="submit"]', "Halt")
        assert browser.all("dialog"), "not without a reason"
        browser.type('[name="reason"]', "drill")
        browser.click('dialog button[type="submit"]', "Halt")
        browser.wait("#notices", "drill")
        browser.wait("#health", "halted")
        assert f.gateway.wait_state(job, ENDS)["state"] == "killed"
        pictures(browser, "halted", folder)
        browser.click("button", "Resume")
        browser.click('dialog button[type="submit"]', "Resume")
        browser.wait_gone("#notices", "drill")


def test_user(browser, platform, folder):
    f = platform()
    go(browser, f.gateway).wait("#login")
    pictures(browser, "login", folder)
    browser.type("#token", "wrong-" + "0" * 30)
    browser.click("#login-form button")
    browser.wait("#login-why", "the token is not valid here")
    assert not browser.all("#app") and browser.script("return document.getElementById('token').value") == ""
    pictures(browser, "refused", folder)

    mine, other = stored(f, "alice"), stored(f, "bob")
    log_in(browser, f.gateway, "alice")
    browser.wait("#stored", "web")
    browser.wait("#running-none", "You capture nothing")
    assert not browser.all(f'[data-job="{other}"]') and not browser.all(".tab")
    pictures(browser, "user", folder)
    click_in(browser, mine, "Link")
    link = browser.wait("#link-url").get_attribute("value")
    pictures(browser, "link", folder)
    browser.click("#link-go")
    whole = f.gateway.fetch(link).body
    found = wait_for(lambda: [p for p in browser.downloads.iterdir() if p.suffix == ".pcapng" and p.stat().st_size == len(whole)], "the download")
    assert found[0].read_bytes() == whole and mine in found[0].name
    assert len(read_pcapng(found[0].read_bytes()).packets) == 5
    browser.click("dialog .close")

    secret = f.gateway.tokens["alice"]
    keeps = browser.script("return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, history.length, history.state, document.documentElement.outerHTML,"
                           "Object.keys(window).map(k => { try { return String(JSON.stringify(window[k])) } catch { return '' } })])")
    assert secret not in keeps, "the token lives in the module's memory alone"
    browser.look_at_logs()
    assert not [url for url in browser.requests if secret in url]

    click_in(browser, mine, "Delete")
    browser.click('dialog button[type="submit"]', "Delete")
    assert f.gateway.wait_state(mine, "purged")
    browser.wait("#stored-none", "No capture is stored")
    f.gateway.users = {k: v for k, v in f.gateway.users.items() if k != "alice"}  # what is taken back ends the login
    f.gateway.write_tokens()
    f.gateway.send(signal.SIGHUP)
    browser.wait("#login-why", "You are logged out: the token is not valid here")
    browser.driver.refresh()
    browser.wait("#login")
    assert not browser.all("#login-why"), "a page that is loaded anew knows nothing"


# ---- logging in with the issuer ----

def test_issuer(browser, gateways, issuers, folder):
    uaa = issuers()
    entry = uaa.entry(operator_scopes=["pcap.admin"])
    gateway = gateways({}, issuers=[entry], config={"page": {"client_id": "pcap page", "scopes": "openid cloud_controller.read"}})
    browser.allowed.append(uaa.url + "/oauth/authorize?")
    go(browser, gateway).wait("#login-go", "Log in with cf")
    pictures(browser, "issuer", folder)

    browser.click("#login-go")
    browser.wait("#who", "dev@example.test")
    asked = uaa.authorized[-1]
    assert asked["response_type"] == "code" and asked["client_id"] == "pcap page" and asked["scope"] == "openid cloud_controller.read"
    assert asked["redirect_uri"] == gateway.url + "/admin" and len(asked["state"]) == 43 and asked["code_challenge_method"] == "S256"
    assert browser.script("return location.href") == gateway.url + "/admin", "no code stays in the address"
    assert browser.script("return [sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]
    assert "Running" in browser.text("#app") and not browser.all(".tab")

    browser.click("#logout")
    uaa.login = {"user": "boss", "scope": ["openid", "cloud_controller.read", "pcap.admin"]}
    browser.click("#login-go")
    browser.wait("#who", "boss@example.test, operator")

    browser.click("#logout")
    uaa.login = None
    browser.click("#login-go")
    browser.wait("#login-why", "the issuer says: <b>not you</b>")
    uaa.login = {"user": "dev", "aud": ["something.else"], "scope": ["something.else"]}
    browser.click("#login-go")
    browser.wait("#login-why", "made for something else")

    # Somebody else's code, brought by a link: no login of this tab.
    uaa.login = {"user": "mallory"}
    stray = uaa.authorize("?" + "&".join(f"{k}={v}" for k, v in uaa.authorized[-1].items() if k != "scope"))
    count = uaa.asked.count("/oauth/token")
    browser.open(stray)
    browser.wait("#login-why", "not begun in this tab")
    browser.script("sessionStorage.setItem('pcapline.login', JSON.stringify({state: 'mine', verifier: 'v'.repeat(43)}))")
    browser.open(stray)
    browser.wait("#login-why", "not begun in this tab")
    assert uaa.asked.count("/oauth/token") == count, "the gateway is not even asked"


def test_exchange(gateways, issuers):
    """The gateway's part of it, without a browser: exactly this grant, strictly."""
    uaa = issuers()
    gateway = gateways({}, issuers=[uaa.entry()], config={"page": {"client_id": "page"}})
    page = gateway.api("GET", "/v1/info", user=None).json["login"]["page"]
    assert page == {"issuer": "cf", "authorize_url": uaa.url + "/oauth/authorize", "client_id": "page", "scopes": "", "redirect_uri": gateway.url + "/admin"}

    def ask(**body):
        return gateway.http.request("POST", "/v1/login/token", body)

    def code_for(verifier, **more):
        challenge = hashlib.sha256(verifier.encode()).digest()
        from rig.issuer import b64
        query = {"state": "s", "client_id": "page", "redirect_uri": gateway.url + "/admin", "code_challenge": b64(challenge), "code_challenge_method": "S256", **more}
        uaa.authorize("?" + "&".join(f"{k}={v}" for k, v in query.items()))
        return list(uaa.codes)[-1]

    verifier = "v-._~" + "0" * 43
    code = code_for(verifier)
    reply = ask(code=code, code_verifier=verifier)
    assert reply.status == 200 and set(reply.json) == {"access_token", "token_type", "expires_in"}, "no refresh token comes through"
    token = reply.json["access_token"]
    you = gateway.api("GET", "/v1/info", user=None, token=token).json["you"]
    assert you["user_id"] == "cf:" + uaa.user_id("dev") and you["operator"] is False and you["org"] is None and you["expires_at"]
    assert "you" not in gateway.api("GET", "/v1/info", user=None, token="wrong").json
    for why, body in {"again": {"code": code, "code_verifier": verifier}, "other verifier": {"code": code_for(verifier), "code_verifier": "w" * 43},
                      "other client": {"code": code_for(verifier, client_id="other"), "code_verifier": verifier}}.items():
        reply = ask(**body)
        assert (reply.status, reply.error["code"]) == (401, "login_refused"), why
    for field, body in {"code_verifier": {"code": "x", "code_verifier": "short"}, "code": {"code_verifier": verifier},
                        "grant_type": {"code": "x", "code_verifier": verifier, "grant_type": "password"}}.items():
        reply = ask(**body)
        assert reply.status == 400 and reply.error["field"] == field, reply
    assert ask(code="x", code_verifier="v" * 42 + "\u00e9").error["field"] == "code_verifier"
    uaa.fault = lambda handler, path: path == "/oauth/token" and (handler.send(500, b"<html>", {"Content-Type": "text/html"}) or True)
    assert (ask(code="x", code_verifier=verifier).status, ask(code="x", code_verifier=verifier).error["code"]) == (503, "issuer_away")
    uaa.close()
    reply = ask(code="x", code_verifier=verifier)
    assert (reply.status, reply.error["code"]) == (503, "issuer_away")
    statuses = [ask(code="x", code_verifier=verifier).status for _ in range(40)]
    assert 429 in statuses, "and only so often"


def test_bad_configuration(gateways, issuers):
    uaa = issuers()
    entries = [uaa.entry(), {**uaa.entry(), "name": "corp", "kind": "oidc", "issuer": "https://corp.example.test"}]
    for config, says in [
        ({"client_id": "page", "issuer": "nobody"}, 'page.issuer: "nobody" does not stand in'),
        ({"client_id": "page", "token_url": "http://uaa.example.test/token"}, 'page.token_url: "http://uaa.example.test/token" does not begin with https://'),
        ({"client_id": "page", "authorize_url": "https://uaa.example.test/?x=1"}, 'page.authorize_url: "https://uaa.example.test/?x=1" has'),
        ({"client_id": "page", "issuer": "corp"}, "page.authorize_url: must be said"),
    ]:
        gateway = gateways({}, start=False, issuers=entries, config={"page": config})
        gateway.expected_exits, gateway.allowed_errors = {1}, ["not JSON"]
        gateway.start(wait=False)
        assert gateway.wait_exit() == 1 and says in gateway.log()
