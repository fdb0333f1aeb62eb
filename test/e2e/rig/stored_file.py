"""A stored capture to download: stand-ins for the gateway that hands out links and for the store behind them, which serves, cuts, holds and lies as told."""
import hashlib
import json
import re
import secrets
import socket
import ssl
import struct
import threading

PIECE = 65536
JOB = "01m83rn06d5pz5qv466nyd94av"


def _read_head(connection):
    """The request line's method and target, headers (lower-case names), what came behind; None when the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            more = connection.recv(PIECE)
        except OSError:
            more = b""
        if not more:
            return None
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    line, *fields = head.decode().split("\r\n")
    method, target, _ = line.split(" ")
    return method, target, {k.strip().lower(): v.strip() for k, v in (f.split(":", 1) for f in fields)}, rest


class Asked:
    """A GET of the file, and the ways to answer it.

    number        of the request, from 0
    link          number of the link that it came with, from 1
    headers       names in lower case
    first, end    bytes asked for; the whole file without a Range (then `ranged` is false)
    """

    def __init__(self, stored, connection, number, target, headers):
        self.stored, self.connection, self.number, self.headers = stored, connection, number, headers
        self.link = int(re.search(r"link=(\d+)", target).group(1))
        m = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
        assert m or "range" not in headers, f"a Range of another form: {headers}"
        self.ranged = bool(m)
        self.first, self.end = (int(m.group(1)), int(m.group(2)) + 1) if m else (0, len(stored.data))
        self.status, self.sent, self.is_over = None, 0, False

    def __repr__(self):
        return f"<{self.number}: {self.first}-{self.end}{'' if self.ranged else ' (all)'} link {self.link}: {self.status}, {self.sent} bytes>"

    def head(self, status, length, **fields):
        """Status and headers; a field that is None is left out, "_" in its name is a "-"."""
        self.status = status
        fields = {"Content-Length": length, "ETag": '"one"', "Connection": "close", **{k.replace("_", "-"): v for k, v in fields.items()}}
        text = "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v is not None)
        self.connection.sendall(f"HTTP/1.1 {status} X\r\n{text}\r\n".encode())

    def part_head(self, **fields):
        """206 with right headers, but for those given."""
        total = len(self.stored.data)
        self.head(206, fields.pop("Content_Length", self.end - self.first),
                  **{"Content_Range": f"bytes {self.first}-{self.end - 1}/{total}", **fields})

    def send(self, data):
        for at in range(0, len(data), PIECE):
            piece = data[at:at + PIECE]
            if self.sent + len(piece) >= self.end - self.first:
                self.stored.over(self)  # who has the last piece may come again before this thread is heard of
            self.connection.sendall(piece)
            self.sent += len(piece)

    def body(self, n=None):
        """The next n bytes of what was asked for, from where the last call stopped; None: all that is left."""
        at = self.first + self.sent
        self.send(self.stored.data[at:self.end if n is None else min(self.end, at + n)])

    def good(self):
        """As a store should."""
        if self.ranged:
            self.part_head()
        else:
            self.head(200, len(self.stored.data))
        self.body()

    def whole(self):
        """As a server that knows no ranges."""
        self.head(200, len(self.stored.data))
        self.send(self.stored.data)

    def refuse(self, status, text="<Error><Code>AccessDenied</Code></Error>"):
        self.head(status, len(text), ETag=None, Content_Type="application/xml")
        self.connection.sendall(text.encode())

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait_gone(self):
        """Until the client has hung up."""
        try:
            while self.connection.recv(PIECE):
                pass
        except OSError:
            pass


class StoredFile:
    """url: of the gateway; tokens: as a Gateway has them; job: the capture's id.

    data       the bytes of the file
    script     called with each Asked in a thread of its own, whose end closes the connection; default: Asked.good
    identity   pki.Identity of the store's certificate: then it speaks TLS, as "localhost"
    links      what the gateway does with the n-th wish for a link, from 1: None for a good one, or a status to refuse with
    asked      every Asked, in the order in which they came
    in_flight, most_in_flight    requests that are being answered now (all but the last piece), and the most at a time
    complaints what should not have happened in a thread; close() fails with it
    """

    def __init__(self, session, data, script=None, links=None, identity=None):
        self.data, self.script, self.links = data, script or Asked.good, links or (lambda n: None)
        self.job, self.tokens = JOB, {"alice": session.new_token("alice")}
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.asked, self.wishes, self.complaints = [], [], []
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.signature = session.secret("signature of a link", secrets.token_urlsafe(24))
        self._connections, self._threads = set(), []
        self._gateway, self._store = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
        self.url, self.store_url = (f"http://127.0.0.1:{s.getsockname()[1]}" for s in (self._gateway, self._store))
        self._context = None
        if identity:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(identity.cert, identity.key)
            self.store_url = self.store_url.replace("http://127.0.0.1", "https://localhost")
        for listener, serve in ((self._gateway, self._serve_gateway), (self._store, self._serve_store)):
            self._start(self._accept, listener, serve)

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        with self.lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self, listener, serve):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._start(self._run, connection, serve)

    def _run(self, connection, serve):
        try:
            if self._context and serve == self._serve_store:
                connection = self._context.wrap_socket(connection, server_side=True)
            with self.lock:
                self._connections.add(connection)
            serve(connection)
        except OSError:
            pass  # the client has gone
        except Exception as e:  # a script's assertion
            self.complaints.append(repr(e))
        finally:
            with self.lock:
                self._connections.discard(connection)
            connection.close()

    def _serve_gateway(self, connection):
        request = _read_head(connection)
        if not request:
            return
        method, target, headers, rest = request
        while len(rest) < int(headers.get("content-length", 0)):
            rest += connection.recv(PIECE)
        assert headers.get("authorization") == f"Bearer {self.tokens['alice']}", "the gateway was asked without the token"
        status, answer = 200, {"id": self.job, "state": "ready", "format": "pcapng",
                               "object": {"key": f"x/{self.job}.pcapng", "size_bytes": len(self.data), "sha256": self.sha256}}
        if (method, target) == ("POST", f"/v1/captures/{self.job}/link"):
            assert json.loads(rest) == {}, f"a link of another kind was asked for: {rest}"
            self.wishes.append(target)
            status = self.links(len(self.wishes)) or 200
            answer = {"url": f"{self.store_url}/bucket/a%20key?link={len(self.wishes)}&sig={self.signature}", "expires_at": "2099-01-01T00:00:00Z",
                      "size_bytes": len(self.data), "sha256": self.sha256}
        else:
            assert (method, target) == ("GET", f"/v1/captures/{self.job}"), f"{method} {target}"
        if status != 200:
            answer = {"error": {"code": "not_ready", "message": "no link", "request_id": "x"}}
        text = json.dumps(answer).encode()
        connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)

    def _serve_store(self, connection):
        request = _read_head(connection)
        if not request:
            return
        method, target, headers, _ = request
        with self.lock:
            asked = Asked(self, connection, len(self.asked), target, headers)
            self.asked.append(asked)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            assert method == "GET" and target.startswith("/bucket/a%20key?"), f"{method} {target}"
            assert "authorization" not in headers and not any(t in str(headers) for t in self.tokens.values()), "the store has seen the token"
            self.script(asked)
        finally:
            self.over(asked)

    def over(self, asked):
        with self.lock:
            self.in_flight -= not asked.is_over
            asked.is_over = True

    def close(self):
        self.closing.set()
        for listener in (self._gateway, self._store):
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        with self.lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            threads = list(self._threads)
        for thread in threads:
            thread.join(10)
        assert not self.complaints, self.complaints
