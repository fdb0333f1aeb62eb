"""How soon a kill is done while something hangs.

Each: a capture of fifty instances on ten agents, and what hangs; kill() asks for it over a connection of its own, and looks() until every agent that lives is
free and the job is killed.  left() is what the gateway has more than before the capture: threads, descriptors, files in the spool.
"""
import hashlib
import http.client
import http.server
import json
import pathlib
import threading
import time

from many import ManyWhole
from place import BenchError, Process, wait_for
from rig.http import Http
from systems import DEVICE, Asking

KEY = "b" * 20
XML = '<?xml version="1.0" encoding="UTF-8"?>'


class Identity:
    def __init__(self, certs):
        self.cert, self.key = certs / "gateway-client.pem", certs / "gateway-client.key"


class Killed(ManyWhole):
    """pcap admin kill while nothing hangs"""
    name = "all is well"
    options = ()
    frozen = 0
    gateway_more = ""

    def start(self):
        super().start()
        certs = self.place.dir / "certs"
        self.lives = []
        for port in self.ports[self.frozen:]:
            connection = Http(("127.0.0.1", port), certs / "ca.pem", Identity(certs), "pcap-agent").connection()
            self.place.within("host", connection.connect)
            self.lives.append(connection)
        self.operator = Http(("127.0.0.1", self.gateway_port), certs / "ca.pem", server_name="localhost").connection()
        self.place.within("host", self.operator.connect)
        self.before = self.taken()

    def start_gateway(self, more=""):
        super().start_gateway(self.gateway_more + more)

    def begin(self):
        self.launch_viewer(*(self.options or ("-w", self.file)))

    def taken(self):
        pid = self.parts["gateway"].pid
        folder = pathlib.Path(f"/proc/{pid}")
        return {"threads": len(list((folder / "task").iterdir())), "fds": len(list((folder / "fd").iterdir())),
                "files": sum(1 for path in (self.state / "spool").rglob("*") if path.is_file())}

    def left(self):
        return {key: max(value - self.before[key], 0) for key, value in self.taken().items()}

    def hang(self):
        """Makes hang what this way is about."""

    def kill(self):
        self.operator.request("POST", "/v1/admin/kill", json.dumps({"all": True, "reason": "bench"}), {"Authorization": f"Bearer {self.place.token}"})
        reply = self.operator.getresponse()
        if reply.status != 200 or not json.loads(reply.read())["killed"]:
            raise BenchError(f"kill: {reply.status}")

    def agents_busy(self):
        busy = 0
        for connection in self.lives:
            connection.request("GET", "/v1/info")
            busy += json.loads(connection.getresponse().read())["captures"]
        return busy

    def is_killed(self):
        return self.ask(f"/v1/captures/{self.job}")["state"] == "killed"

    def close(self):
        for agent in self.agents[:self.frozen]:
            agent.thaw()
        for connection in (*self.lives, self.operator):
            connection.close()
        self.viewer().kill()
        super().close()


class KilledFrozen(Killed):
    """... while one of ten agents is frozen (SIGSTOP)"""
    name, frozen = "a frozen agent", 1

    def hang(self):
        self.agents[0].freeze()


class KilledStalled(Killed):
    """... while the viewer takes nothing (SIGSTOP) and its backlog is full"""
    name = "a stalled viewer"
    gateway_more = "live: {backlog: 1MiB}\n"

    def hang(self):
        self.viewer().freeze()
        wait_for(lambda: self.ask(f"/v1/captures/{self.job}")["packets"]["dropped"]["gateway"] > 0, "the viewer to be behind", 30)

    def close(self):
        self.viewer().thaw()
        super().close()


class HangingStore:
    """Enough of S3 for an upload to begin, in the namespace of the gateway; then, once hangs is set, it takes requests and never answers."""

    def __init__(self, place):
        store, self.hangs, self.over, self.met = self, threading.Event(), threading.Event(), 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if store.hangs.is_set():
                    store.met += 1
                    store.over.wait()
                    self.close_connection = True
                    return
                query = self.path.partition("?")[2]
                if self.command == "POST" and query.startswith("uploads"):
                    self.send(200, f"{XML}<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>")
                elif self.command == "PUT":
                    self.send(200, "", ETag=f'"{hashlib.md5(body).hexdigest()}"')
                elif self.command == "GET" and "list-type" in query:
                    self.send(200, f"{XML}<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>")
                elif self.command == "HEAD" and self.path.strip("/").count("/") == 0:
                    self.send(200, "")
                elif self.command == "DELETE":
                    self.send(204, "")
                else:
                    self.send(404, "" if self.command == "HEAD" else f"{XML}<Error><Code>NoSuchKey</Code></Error>")

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

            def send(self, status, text, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = place.within("host", lambda: http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


class KilledStoring(Killed):
    """... while the store hangs in the middle of a part"""
    name = "a store that hangs"
    options = ("--store",)

    def start(self):
        self.store = HangingStore(self.place)
        config = self.place.dir / "gateway.yml"
        config.touch()
        config.chmod(0o600)  # it holds keys
        self.gateway_more = ("storage: {driver: s3, chunk: 64KiB, job_max: 512MiB}\n"
                             f"s3: {{endpoint: 'http://127.0.0.1:{self.store.port}', allow_http: true, bucket: bench, credentials: static, access_key: {KEY}, "
                             f"secret_key: {KEY}, part_min: 64KiB, lifecycle: false}}\n")
        super().start()

    def hang(self):
        self.store.hangs.set()
        wait_for(lambda: self.store.met, "the store to hang", 30)

    def packet_came(self):
        return True

    def close(self):
        self.store.close()
        super().close()
