"""Pitfall 25: tokens, keys and signed links are in no log and in no answer.  The rig looks for every token and key in all logs at the
end of each run (rig/session.py, check_logs); here they are put where a program would be tempted to repeat them."""
import json

import pytest

from rig import PORT, wait_for

FILTER = f"udp port {PORT}"


def test_a_secret_in_a_log_is_found(session, folder):
    """The check itself can fail."""
    secret, before = session.new_token("nobody"), list(session.logs)
    log = folder / "planted.log"
    session.logs.append(str(log))
    try:
        log.write_text("all is well\n")
        session.check_logs()
        log.write_text(f'{{"event": "x", "data": "Bearer {secret}"}}\n')
        with pytest.raises(AssertionError, match="token of nobody"):
            session.check_logs()
    finally:
        session.logs[:] = before
        del session.secrets[secret]


def test_tokens_are_not_repeated(fleet):
    """A token where none belongs, or a wrong one where one belongs: it is refused, and neither answer nor log has it."""
    f = fleet(1)
    g = f.gateway
    for token in (g.tokens["alice"], g.session.new_token("stranger")):
        body = json.dumps(g.request(note="x") | {"token": token})
        ways = [
            ("GET", "/v1/captures", None, {"Authorization": f"Basic {token}"}),
            ("GET", "/v1/captures", None, {"Authorization": token}),
            ("GET", "/v1/captures", None, {"Authorization": f"Bearer {token}x"}),
            ("GET", "/v1/captures", None, {"Authorization": f"Bearer x {token}"}),
            ("GET", f"/v1/captures?access_token={token}", None, {}),
            ("GET", f"/v1/captures/{token}", None, {"Authorization": f"Bearer {g.tokens['bob']}"}),
            ("GET", f"/v1/files/{token}", None, {}),
            ("GET", f"/{token}", None, {}),
            ("POST", "/v1/captures", body, {"Authorization": f"Bearer {g.tokens['bob']}"}),
            ("POST", "/v1/captures", token, {"Authorization": f"Bearer {g.tokens['bob']}"}),
        ]
        for method, path, data, headers in ways:
            reply = g.http.request(method, path, data, headers=headers)
            assert 400 <= reply.status < 500, (method, path[:20], reply.status)
            assert token not in reply.body.decode() and token not in str(reply.headers), (method, path, reply)
        assert token not in g.log() and token not in f.agents[0].log()


def test_links_are_not_logged(fleet):
    """A signed link is a key to the packets: whoever reads the log has none."""
    f = fleet(1)
    job = f.gateway.store(packet_filter=FILTER)
    f.gateway.finish(job)
    urls = [f.gateway.link(job)["url"], f.gateway.link(job, once=True)["url"],
            f.gateway.api("GET", f"/v1/captures/{job}/download").headers["location"]]
    for url in urls:
        assert f.gateway.fetch(url).status == 200
        assert f.gateway.fetch(url[:-1]).status == 403
    log = f.gateway.log()
    assert job in log
    for url in urls:
        signature = url.rsplit(".", 1)[1]
        assert len(signature) >= 32 and signature[:-1] not in log
        assert signature not in json.dumps(f.gateway.events(job))


def test_the_command_keeps_its_token(fleet, cli):
    f = fleet(1)
    wrong = f.gateway.session.new_token("stranger")
    for token, words in ((wrong, ["jobs"]), (wrong, ["host", "web", "-c", "1"]), (f"{wrong} x", ["jobs"]), (f"{wrong}\n", ["jobs"]),
                         (wrong, ["info", "--json"])):
        result = cli(f.gateway, PCAP_TOKEN=token).run(*words)
        assert wrong not in result.err and wrong not in result.text, result
    wait_for(lambda: f.gateway.api("GET", "/readyz", user=None).json["captures"] == 0, "nothing to run")
    assert wrong not in f.gateway.log()
