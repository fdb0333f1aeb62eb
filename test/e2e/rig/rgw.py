"""A real S3 server of the tests' own: Ceph's RADOS gateway over one monitor and one OSD that keeps its data in memory.

Everything is on 127.0.0.1 and below one folder; the system's own Ceph, if there is one, is neither used nor seen.  By hand:

    python3 -m rig.rgw FOLDER      (in test/e2e) runs until ^C and says how to reach it
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

from .gateway import free_port
from .wait import SLOW, wait_for

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool")

# Without authentication between the daemons, the gateway must be kept from asking the monitor for its secure mode.  The paxos lines make each of
# the dozen pools in hundredths of a second instead of one.  Deleted data is freed by gc only, two hours later by default: too late for memory.
# A gateway that was killed is waited for, half a minute, whenever a cache that it may have had is to be cleared: so there are no caches.
_CONF = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms mon client mode = crc
ms async op threads = 1
auth cluster required = none
auth service required = none
auth client required = none
keyring = {folder}/keyring
run dir = {folder}/run
crash dir = {folder}/run
admin socket = {folder}/run/$name.$pid
log file = {folder}/$name.log
log to stderr = false
err to stderr = true
mon cluster log file = {folder}/cluster.log
paxos propose interval = 0.02
paxos min wait = 0.01
mon osd nearfull ratio = 0.96
mon osd backfillfull ratio = 0.97
mon osd full ratio = 0.98
mon data avail warn = 2
mon data avail crit = 1
mon allow pool size one = true
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd crush initial weight = 1
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = {bytes}
osd op num shards = 2
osd op num threads per shard = 1
[client]
rgw data = {folder}/rgw
rgw frontends = {frontends}
rgw dns name = s3.localhost
rgw cache enabled = false
rgw thread pool size = 64
rgw rados pool pg num min = 1
rgw run sync thread = false
rgw enable quota threads = false
rgw enable usage log = false
rgw gc obj min wait = 1
rgw gc processor period = 5
rgw gc processor max time = 5
rgw lc debug interval = {day_s}
rgw multipart min part size = {part_min}
rgw s3 auth use sts = {sts}
rgw sts key = {sts_key}
"""


def missing():
    """The programs that are not installed."""
    return [p for p in PROGRAMS if not shutil.which(p)]


class Rgw:
    """Life: start(), any number of down() and up(), close().  Holds one user with the keys access_key and secret_key.

    identity   certificate for the TLS listener (DNS:s3.localhost, DNS:*.s3.localhost, IP:127.0.0.1); None: plain only
    day_s      seconds that stand for a day of lifecycle rules; 0: real days
    part_min   smallest part that is taken when it is not the last
    bytes      size of the store
    sts        session tokens are good here; but then refusals of unknown keys are not what they are elsewhere
    env        the daemons' environment
    url, tls_url, host_url    for path style, the same with TLS, for virtual-host style (host name s3.localhost)
    """

    def __init__(self, folder, identity=None, day_s=0, part_min=65536, bytes=2 ** 31, sts=False, env=None):  # noqa: A002
        self.folder = pathlib.Path(folder).resolve()
        self.env = env or dict(os.environ)
        self.access_key, self.secret_key = self._new_pair()
        self.port, self.tls_port = free_port(), free_port() if identity else None
        frontends = f"beast endpoint=127.0.0.1:{self.port}"
        if identity:
            frontends += f" ssl_endpoint=127.0.0.1:{self.tls_port} ssl_certificate={identity.cert} ssl_private_key={identity.key}"
        self._fsid, self._mon_port = uuid.uuid4(), free_port()
        self._conf_text = _CONF.format(fsid=self._fsid, mon_port=self._mon_port, folder=self.folder, bytes=bytes, frontends=frontends,
                                       day_s=day_s, part_min=part_min, sts=str(sts).lower(), sts_key=uuid.uuid4().hex[:16])
        self._conf = self.folder / "ceph.conf"
        self._daemons = {}

    url = property(lambda self: f"http://127.0.0.1:{self.port}")
    tls_url = property(lambda self: f"https://127.0.0.1:{self.tls_port}")
    host_url = property(lambda self: f"http://s3.localhost:{self.port}")

    def start(self):
        for name in ("mon", "osd", "rgw", "run"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o700)
        self._conf.write_text(self._conf_text)
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self):
        monmap, osd = self.folder / "monmap", str(uuid.uuid4())
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", f"[v2:127.0.0.1:{self._mon_port}]", monmap, conf=False)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap)
        self._launch("mon", "ceph-mon", "-i", "a")
        self._run("ceph", "osd", "new", osd)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._launch("osd", "ceph-osd", "-i", "0")
        # Pools that are made before the OSD is active cost five seconds more.
        log = self.folder / "osd.0.log"
        self._wait("osd", lambda: log.exists() and "state: booting -> active" in log.read_text(errors="replace"))
        self.admin("user", "create", "--uid=tests", "--display-name=tests", f"--access-key={self.access_key}",
                   f"--secret-key={self.secret_key}", "--caps=roles=*")
        self.up()

    def up(self):
        """The gateway; the data is that of before."""
        assert "rgw" not in self._daemons
        self._launch("rgw", "radosgw", "-n", "client.rgw")
        self._wait("rgw", self._answers)

    def down(self):
        """Ends the gateway at once, without its knowing."""
        self._end("rgw")

    def is_up(self):
        return "rgw" in self._daemons

    def close(self):
        for name in list(reversed(self._daemons)):  # the data is thrown away: nobody is asked to end
            self._end(name)

    def admin(self, *args):
        """radosgw-admin; its JSON, or None."""
        out = self._run("radosgw-admin", *args)
        return json.loads(out) if out.lstrip()[:1] in ("{", "[") else None

    # ---- keys ----

    def new_keys(self):
        """A second pair of keys of the same user: (access key, secret key)."""
        keys = self._new_pair()
        self.admin("key", "create", "--uid=tests", "--key-type=s3", f"--access-key={keys[0]}", f"--secret-key={keys[1]}")
        return keys

    def drop_keys(self, access_key):
        self.admin("key", "rm", "--uid=tests", "--key-type=s3", f"--access-key={access_key}")

    def other_user(self, name=None):
        """The keys of somebody who has no rights in the user's buckets."""
        keys, name = self._new_pair(), name or f"u{uuid.uuid4().hex[:8]}"
        self.admin("user", "create", f"--uid={name}", f"--display-name={name}", f"--access-key={keys[0]}", f"--secret-key={keys[1]}")
        return keys

    def session_keys(self, seconds=900):
        """Temporary keys of a role that may do everything: (access key, secret key, session token)."""
        from .s3 import client_of
        name = f"r{uuid.uuid4().hex[:8]}"
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/tests"]},
                                                         "Action": ["sts:AssumeRole"]}]}
        self.admin("role", "create", f"--role-name={name}", "--path=/", f"--assume-role-policy-doc={json.dumps(allow)}")
        every = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}]}
        self.admin("role-policy", "put", f"--role-name={name}", "--policy-name=p", f"--policy-doc={json.dumps(every)}")
        found = client_of(self, service="sts").assume_role(RoleArn=f"arn:aws:iam:::role/{name}", RoleSessionName="tests", DurationSeconds=seconds)
        keys = found["Credentials"]
        return keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]

    # ---- inside ----

    @staticmethod
    def _new_pair():
        return "tests" + uuid.uuid4().hex[:15].upper(), uuid.uuid4().hex + uuid.uuid4().hex[:8]

    def _run(self, program, *args, conf=True):
        argv = [program, *(["-c", self._conf] if conf else []), *args]
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, env=self.env, stdin=subprocess.DEVNULL,
                              timeout=60 * SLOW)
        assert done.returncode == 0, f"{program}: exit code {done.returncode}: {done.stderr[-1000:]}"
        return done.stdout

    def _launch(self, name, program, *args):
        with open(self.folder / f"{name}.out", "ab") as out:
            # setpriv: a pytest that is killed takes its store along
            argv = ["setpriv", "--pdeathsig", "KILL", program, "-c", str(self._conf), *args, "-f"]
            self._daemons[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.env)

    def _wait(self, name, ready):
        def look():
            code = self._daemons[name].poll()
            if code is not None:  # no AssertionError: it would be waited out
                raise RuntimeError(f"{name} ended at once, exit code {code}: {(self.folder / f'{name}.out').read_text()[-2000:]}")
            return ready()
        wait_for(look, f"{name} to start; its logs: {self.folder}", timeout_s=60)

    def _answers(self):
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.url, timeout=10).close()
            return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def _end(self, name):
        process = self._daemons.pop(name, None)
        if process:
            process.kill()
            process.wait()


def main():
    absent = missing()
    if len(sys.argv) != 2 or absent:
        sys.exit(f"not installed: {', '.join(absent)}; see ops/install-deps.sh --check" if absent else "usage: python3 -m rig.rgw FOLDER")
    rgw = Rgw(sys.argv[1]).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        print(f"endpoint {rgw.url}\naccess_key {rgw.access_key}\nsecret_key {rgw.secret_key}", flush=True)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass
    finally:
        rgw.close()


if __name__ == "__main__":
    main()
