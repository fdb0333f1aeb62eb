"""App instances on a cell: the right container and no other, seen as tcpdump inside of it sees it, until it ends."""
import json
import shutil
import subprocess
import threading

import pytest

from rig import Sender, Sink, Tcpdump, WebServer, numbers_of, read_pcap, wait_for
from rig.cell import cells, new_app, new_handle  # noqa: F401  (cells is a fixture)
from rig.reference import accepted_by_all

PORT = 8080
SLL2 = 20
UDP = f"udp port {PORT}"


@pytest.fixture
def cell(cells):  # noqa: F811
    return cells()


def destinations(packets, link_header=14):
    """The addresses that the IPv4 packets went to."""
    return {".".join(map(str, p.data[link_header + 16:link_header + 20])) for p in packets}


def last_comment(live):
    return live.capture().interfaces[0].last_stats.comments[-1]


def stop(cell, live):
    assert cell.agent.stop_capture(live).status == 202
    live.wait_end()
    assert not live.broken
    return live.capture()


def refused(live, status, code, *words):
    error = live.error
    assert (live.status, error["code"]) == (status, code), error
    for word in words:
        assert word in error["message"], error


# ---- packets ----

def test_eth0_as_tcpdump_inside_sees_it(cell, folder):
    """The app's own process answers; both directions, packet for packet."""
    c = cell.container(new_app(), 0, process=["/bin/busybox", "httpd", "-f", "-p", str(PORT), "-h", "/bin"])
    wait_for(lambda: c.run(["/bin/busybox", "wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{PORT}/busybox"]).returncode == 0, "the app to listen")
    end_port = PORT + 1
    packet_filter = f"tcp port {PORT} or udp port {end_port}"
    dump = Tcpdump(c.ns, "eth0", packet_filter)
    live = cell.capture(c, "eth0", packet_filter)
    assert live.status == 200, live.error
    done = subprocess.run(cell.ns.command(["curl", "-sS", "--noproxy", "*", f"http://{c.ip}:{PORT}/busybox"]), capture_output=True,
                          env=cell.net.session.env())
    assert done.returncode == 0 and len(done.stdout) > 100000
    Sink(c.ns, end_port)
    Sender(cell.ns, c.ip, end_port, count=1).wait()
    wait_for(lambda: numbers_of(live.packets(), end_port) and numbers_of(read_pcap(dump.path.read_bytes(), partial=True).packets, end_port), "both to have the last packet")
    ours, theirs = stop(cell, live), dump.stop()
    # Two processors bring packets of the two directions at once: which comes first each listener sees in its own way.
    assert len(ours.packets) > 10 and sorted(p.data for p in ours.packets) == sorted(p.data for p in theirs.packets)
    assert destinations(ours.packets) == {c.ip, "169.254.0.1"}
    interface = ours.interfaces[0]
    assert interface.name == "eth0" and not interface.comments
    assert interface.last_stats.accepted == interface.last_stats.delivered == len(ours.packets)
    path = folder / "x.pcapng"
    path.write_bytes(live.data)
    accepted_by_all(path)
    started = cell.agent.logged("capture.started")[0]["data"]
    assert started["handle"] == c.handle and started["app"] == c.app


def test_lo_and_any(cell):
    """lo is the container's own, each packet once; any has both."""
    c = cell.container(new_app(), 0)
    Sink(c.ns, PORT)
    lo, both, eth0 = (cell.capture(c, device, UDP) for device in ("lo", "any", "eth0"))
    Sender(c.ns, "127.0.0.1", PORT, count=50).wait()
    Sender(c.ns, c.ip, PORT, count=30).wait()  # as Envoy does: over lo, from and to the overlay's address
    Sender(cell.ns, c.ip, PORT, count=20).wait()
    lo.wait_packets(80)
    both.wait_packets(100)
    eth0.wait_packets(20)
    assert numbers_of(stop(cell, lo).packets, PORT) == [*range(50), *range(30)]
    assert sorted(numbers_of(stop(cell, both).packets, PORT, SLL2)) == sorted([*range(50), *range(30), *range(20)])
    assert numbers_of(stop(cell, eth0).packets, PORT) == list(range(20))


def test_the_agent_s_port_is_the_app_s_own_in_its_container(cell, folder):
    """What is left out of a host's captures as the agent's own traffic is an app's in its loopback."""
    c = cell.container(new_app(), 0)
    server = WebServer(c.ns, folder / "www", {"x": b"here"}, port=cell.agent.port)
    live = cell.capture(c, "lo", f"tcp port {cell.agent.port}")
    assert server.get(c.ns, "x", host="127.0.0.1") == b"here"
    live.wait_packets(8)
    stop(cell, live)


def test_two_instances_of_one_app_do_not_mix(cells):  # noqa: F811
    """Pitfall 27.  Nor does an agent that is not root any more, and has kept what entering takes."""
    cell = cells(config={"run_as": "nobody"})
    app = new_app()
    first, second = cell.container(app, 0), cell.container(app, 1)
    for c in (first, second):
        Sink(c.ns, PORT)
    lives = [(c, device, cell.capture(c, device, UDP)) for c in (first, second) for device in ("eth0", "lo")]
    senders = [Sender(cell.ns, first.ip, PORT, count=100), Sender(cell.ns, second.ip, PORT, count=200),
               Sender(first.ns, first.ip, PORT, count=30), Sender(second.ns, second.ip, PORT, count=40)]
    for sender in senders:
        sender.wait()
    for (c, _, live), count in zip(lives, (100, 30, 200, 40)):
        live.wait_packets(count)
        packets = stop(cell, live).packets
        assert numbers_of(packets, PORT) == list(range(count)) and destinations(packets) == {c.ip}
    ready = cell.agent.logged("agent.ready")[0]["data"]
    assert ready["uid"] != 0 and ready["capabilities"] == "dac_read_search, net_raw, sys_ptrace, sys_admin"


# ---- the end of a container ----

@pytest.mark.parametrize("device", ["eth0", "lo"])
def test_killed_container_ends_its_capture(cell, device):
    """Its namespace lives on while we hold a socket in it, and so does lo: what counts is its process."""
    c = cell.container(new_app(), 0)
    sink = Sink(c.ns, PORT)
    live = cell.capture(c, device, UDP)
    sender = cell.ns if device == "eth0" else c.ns
    for first in range(0, 500, 100):
        Sender(sender, c.ip, PORT, count=100, pps=0, first=first).wait()
        sink.take(100)  # and so it has passed the capture
    c.kill()
    live.wait_end()
    assert not live.broken
    capture = live.capture()
    assert numbers_of(capture.packets, PORT) == list(range(500))
    assert "container_gone" in last_comment(live) and c.handle in last_comment(live)
    stats = capture.interfaces[0].last_stats
    assert stats.accepted == stats.delivered == 500
    assert wait_for(lambda: cell.agent.logged("capture.ended"), "the log line")[0]["data"]["handle"] == c.handle


def test_removed_container_leaves_nothing_open(cell):
    """Process, veth and record go at once, under load; the agent holds nothing of it afterwards."""
    c = cell.container(new_app(), 0)
    fds = cell.agent.fds()
    lives = [cell.capture(c, device) for device in ("eth0", "lo", "any")]
    Sink(c.ns, PORT)
    sender = Sender(cell.ns, c.ip, PORT, pps=5000, burst=5)
    lives[0].wait_packets(100)
    c.remove()
    sender.close()
    for live in lives:
        live.wait_end()
        assert not live.broken and "container_gone" in last_comment(live)
        live.abort()
    wait_for(lambda: cell.agent.fds() <= fds + 1 and cell.agent.captures() == 0, f"descriptors to come back to {fds}")


def test_restart_under_a_new_handle(cell):
    old = cell.container(new_app(), 0)
    live = cell.capture(old)
    new = old.restart()
    live.wait_end()
    assert "container_gone" in last_comment(live)
    assert new.ip == old.ip and new.handle != old.handle
    refused(cell.capture(old), 404, "unknown_container", old.handle)
    live = cell.capture(new, "eth0", UDP)
    Sink(new.ns, PORT)
    Sender(cell.ns, new.ip, PORT, count=5).wait()
    live.wait_packets(5)
    stop(cell, live)


def test_record_that_goes_ends_the_capture(cell):
    """The right to capture rests on the store: also while the process lives."""
    app = new_app()
    c, other = cell.container(app, 0), cell.container(app, 1)
    live, stays = cell.capture(c, "lo"), cell.capture(other, "lo")
    c.forget()
    live.wait_end()
    assert "container_gone" in last_comment(live)
    assert not stays.ended
    stop(cell, stays)


# ---- whose it is ----

def test_only_what_the_records_say(cell):
    """Everything that the gateway may have wrong is refused, and by its name."""
    app = new_app()
    c, other = cell.container(app, 0), cell.container(new_app(), 0)
    task, staging = cell.container(app, 0, workload="task"), cell.container(app, 0, workload="staging")

    def ask(container=c, **more):
        return cell.capture(None, "lo", target=cell.target(container, **more))

    refused(ask(other, app=app), 403, "other_app", other.handle, app)
    refused(ask(task), 403, "other_workload", "task")
    refused(ask(staging), 403, "other_workload", "staging")
    refused(ask(index=1), 409, "other_index", "instance 0")
    refused(ask(handle=new_handle()), 404, "unknown_container")
    for handle in ("../" * 8 + "etc/passwd", "../" + c.handle, c.handle.upper(), "a" * 500, "", c.handle + "/", c.handle[:27]):
        refused(ask(handle=handle), 400, "input", "target.handle")
    refused(ask(handle=None, address="10.255.255.9"), 404, "unknown_container", "10.255.255.9")
    live = cell.capture(None, target=cell.target(other, app=app, handle=None, address=other.ip))
    refused(live, 403, "other_app", other.ip, app)
    assert other.handle not in live.error["message"]
    refused(cell.capture(None, target={"type": "host"}), 403, "target_not_offered")
    assert cell.agent.captures() == 0
    # ... and what is right is taken: the index when it is not told, the address in place of the handle
    for target in (cell.target(c, index=None), cell.target(c, handle=None, address=c.ip)):
        live = cell.capture(c, "lo", UDP, target=target)
        assert live.status == 200, live.error
        stop(cell, live)
    assert {line["data"]["handle"] for line in cell.agent.logged("capture.started")} == {c.handle}


def test_process_that_is_another_one_now(cell):
    """A state of runc's whose pid was given to somebody else: the number and the time of its start must both be right."""
    c, other = cell.container(new_app(), 0), cell.container(new_app(), 0)
    state, others = json.loads(c.state_path.read_text()), json.loads(other.state_path.read_text())
    state["init_process_pid"] = others["init_process_pid"]
    c.state_path.write_text(json.dumps(state))
    refused(cell.capture(c), 409, "container_gone", c.handle)
    # both of the other's: then the mount of its namespace does not fit
    state["init_process_start"] = others["init_process_start"]
    c.state_path.write_text(json.dumps(state))
    refused(cell.capture(c), 409, "records_disagree", c.handle)
    # the other root is looked into as well
    shutil.copytree(other.state_path.parent, cell.other_root / other.handle)
    shutil.rmtree(other.state_path.parent)
    live = cell.capture(other, "lo")
    assert live.status == 200, live.error
    stop(cell, live)


def test_mount_serves_where_no_state_is_seen(cells):  # noqa: F811
    """The end is seen by the mount, then."""
    cell = cells(config={"containers": {"runc_roots": ["/nonexistent"]}})
    c = cell.container(new_app(), 0)
    live = cell.capture(c, "lo", UDP)
    Sink(c.ns, PORT)
    Sender(c.ns, c.ip, PORT, count=5).wait()
    live.wait_packets(5)
    subprocess.run(["umount", str(c.mount)], check=True)
    live.wait_end()
    assert "container_gone" in last_comment(live) and len(live.packets()) == 5


def test_store_that_is_being_written(cell):
    """Empty and half files, as a reader without the lock meets them: read again; a capture that runs goes on."""
    c = cell.container(new_app(), 0, log_config=False)
    whole = cell.metadata.read_bytes()
    runs = cell.capture(c, "lo")

    def while_written(part):
        """A capture that is asked for while no more than this part is there; the agent waits for a moment, which the writer may miss."""
        cell.metadata.write_bytes(part)
        writer = threading.Timer(0.2, lambda: cell.metadata.write_bytes(whole))
        writer.start()
        live = cell.capture(c, "lo")
        writer.join()
        return live.status == 200 and live
    for part in (b"", whole[:len(whole) // 2]):
        stop(cell, wait_for(lambda: while_written(part), "it to be read again"))
    cell.metadata.write_bytes(whole[:-1])
    live = cell.capture(c)
    refused(live, 503, "records_unreadable", "store.json", "half written")
    assert c.app not in live.error["message"]
    cell.metadata.unlink()
    refused(cell.capture(c), 404, "unknown_container", c.handle, "no metadata store")
    runs.wait_end()
    assert "no record of it" in last_comment(runs)


# ---- from the host's end ----

@pytest.fixture
def outside(cells):  # noqa: F811
    """As its own user, for the store is vcap's."""
    return cells(config={"containers": {"enter": "never"}, "run_as": "nobody"})


def test_host_end_shows_eth0(outside):
    c = outside.container(new_app(), 0)
    Sink(c.ns, PORT)
    dump = Tcpdump(c.ns, "eth0", UDP)
    live = outside.capture(c, "eth0", UDP)
    assert live.status == 200, live.error
    Sender(outside.ns, c.ip, PORT, count=200).wait()
    Sink(outside.ns, PORT)
    Sender(c.ns, outside.ip, PORT, count=100).wait()
    live.wait_packets(300)
    wait_for(lambda: dump.count() == 300, "tcpdump to have all")
    ours, theirs = stop(outside, live), dump.stop()
    assert sorted(p.data for p in ours.packets) == sorted(p.data for p in theirs.packets)
    assert ours.interfaces[0].name == "eth0" and c.host_end in ours.interfaces[0].comments[0]
    for device in ("lo", "any", "eth1"):
        refused(outside.capture(c, device), 403, "needs_entry", c.handle, device, "CAP_SYS_ADMIN", "containers.enter")
    assert outside.agent.info()["enters"] is False
    assert outside.agent.process.poll() is None
    assert outside.agent.logged("agent.ready")[0]["data"]["capabilities"] == "dac_read_search, net_raw"
    assert "missing" not in outside.agent.logged("agent.containers")[0]["data"]


def test_address_and_name_that_another_container_took_over(outside):
    """At the host's end both are used again: not one packet of the other container is shown."""
    old = outside.container(new_app(), 0)
    Sink(old.ns, PORT)
    live = outside.capture(old, "eth0", UDP)
    Sender(outside.ns, old.ip, PORT, count=10).wait()
    live.wait_packets(10)
    old.remove()
    new = outside.container(new_app(), 0, ip=old.ip)
    assert new.host_end == old.host_end
    Sink(new.ns, PORT)
    Sender(outside.ns, new.ip, PORT, count=300).wait()
    live.wait_end()
    assert numbers_of(live.packets(), PORT) == list(range(10)) and "container_gone" in last_comment(live)
    # a record that nobody removed: two containers have the address, and neither is taken for the other
    outside.enter(old)
    refused(outside.capture(old), 409, "container_gone" if not outside.entries else "records_disagree")
    refused(outside.capture(new), 409, "records_disagree", new.handle)
    refused(outside.capture(None, target=outside.target(new, handle=None, address=new.ip)), 409, "records_disagree", new.ip)


def test_record_that_is_another_app_s_ends_the_capture(cells):  # noqa: F811
    """An agent that stayed root reads the store, though it enters nothing."""
    cell = cells(config={"containers": {"enter": "never"}})
    c = cell.container(new_app(), 0)
    live = cell.capture(c)
    assert live.status == 200, live.error
    cell.entries[c.handle]["metadata"]["app_id"] = new_app()
    cell.write_store()
    live.wait_end()
    assert not live.broken and "another one now" in last_comment(live)


def test_veth_that_goes_ends_the_capture(outside):
    c = outside.container(new_app(), 0)
    live = outside.capture(c, "eth0")
    c.unwire()
    live.wait_end()
    assert "container_gone" in last_comment(live)
    refused(outside.capture(c), 409, "container_gone", c.host_end)


def test_agent_without_capabilities(cells):  # noqa: F811
    """As an unprivileged job: what is missing is said at the start, by name, and eth0 is there all the same."""
    cell = cells(config={"run_as": "nobody"}, start=False)
    caps = "-all,+net_raw,+setuid,+setgid,+setpcap"
    plain = cell.agent.argv()
    cell.agent.argv = lambda: ["setpriv", f"--bounding-set={caps}", *plain]
    cell.agent.start()
    said = cell.agent.logged("agent.containers")[0]
    assert said["level"] == "warning" and said["data"]["enters"] is False
    assert said["data"]["missing"] == "CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH"
    c = cell.container(new_app(), 0)
    Sink(c.ns, PORT)
    live = cell.capture(c, "eth0", UDP)
    assert live.status == 200, live.error
    Sender(cell.ns, c.ip, PORT, count=20).wait()
    live.wait_packets(20)
    refused(cell.capture(c, "lo"), 403, "needs_entry", "CAP_SYS_ADMIN")
    c.remove()
    live.wait_end()
    assert "container_gone" in last_comment(live)


def test_process_namespace_of_its_own(cells):  # noqa: F811
    """Then /proc is not the one that runc's states speak of, and that is said.  The mount serves."""
    cell = cells(start=False)
    argv = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *cell.agent.argv()]
    cell.agent.config_path.write_text(json.dumps(cell.agent.config))  # which is YAML
    process = subprocess.Popen(cell.ns.command(argv), stderr=subprocess.PIPE, text=True, env=cell.net.session.env())
    try:
        said = {}
        while "agent.ready" not in said:
            line = json.loads(process.stderr.readline())
            said[line["event"]] = line
    finally:
        process.kill()
        process.communicate()
    data = said["agent.containers"]["data"]
    assert said["agent.containers"]["level"] == "info" and data["enters"] is True and "process namespace" in data["processes"]
    assert "sys_ptrace" not in said["agent.ready"]["data"]["capabilities"]


def test_cell_whose_agent_was_not_told(cells):  # noqa: F811
    cell = cells(start=False)
    del cell.agent.config["targets"]
    cell.agent.start()
    said = cell.agent.logged("agent.looks_like_a_cell")
    assert [line["level"] for line in said] == ["warning"] and "targets" in said[0]["data"]["text"]
    assert cell.agent.info()["targets"] == ["host"]


def test_placeholder_of_a_mount_that_is_not_seen(cells):  # noqa: F811
    """In a mount namespace of its own the agent sees an empty file: the host's end serves."""
    cell = cells(config={"containers": {"runc_roots": ["/nonexistent"]}})
    c = cell.container(new_app(), 0)
    subprocess.run(["umount", str(c.mount)], check=True)
    live = cell.capture(c, "eth0")
    assert live.status == 200 and c.host_end in wait_for(lambda: live.capture().interfaces, "the interface")[0].comments[0]
    stop(cell, live)
    refused(cell.capture(c, "lo"), 403, "needs_entry", "is no network namespace")


# ---- what an agent tells ----

def test_info_and_devices(cells):  # noqa: F811
    cell = cells(config={"targets": ["host", "container"], "instance": "0d7c6a11-bosh"})
    c = cell.container(new_app(), 0)
    info = cell.agent.info()
    assert info["targets"] == ["host", "container"] and info["enters"] is True and info["instance"] == "0d7c6a11-bosh"
    assert cell.agent.logged("agent.containers")[0]["level"] == "info"

    inside = {d["name"]: d for d in cell.devices(cell.target(c)).json["devices"]}
    assert set(inside) == {"eth0", "lo", "any"}
    assert inside["eth0"]["up"] and not inside["eth0"]["loopback"] and inside["eth0"]["addresses"] == [c.ip]
    assert inside["lo"]["loopback"] and "Envoy" in inside["lo"]["description"] and inside["lo"]["addresses"] == ["127.0.0.1"]
    host = {d["name"]: d for d in cell.devices({"type": "host"}).json["devices"]}
    assert {"eth0", "lo", "any", c.host_end} <= set(host) and cell.ip in host["eth0"]["addresses"]

    assert cell.devices(cell.target(c, app=new_app())).error["code"] == "other_app"
    assert cell.devices({"type": "container"}).error["field"] == "target.app"
    assert cell.agent.http.request("POST", "/v1/devices", {}).error["field"] == "target"
    assert cell.agent.http.request("GET", "/v1/devices").status == 405
    # a host capture that is meant for another machine, and one for this
    refused(cell.capture(None, target={"type": "host", "instance": "another"}), 409, "other_instance", "another", "0d7c6a11-bosh")
    stop(cell, cell.capture(None, "lo", target={"type": "host", "instance": "0d7c6a11-bosh"}))


def test_devices_from_the_host_s_end(outside):
    c = outside.container(new_app(), 0)
    devices = outside.devices(outside.target(c)).json["devices"]
    assert [d["name"] for d in devices] == ["eth0"]
    assert devices[0]["up"] and devices[0]["addresses"] == [c.ip] and c.host_end in devices[0]["description"]
    assert outside.devices({"type": "host"}).error["code"] == "target_not_offered"
