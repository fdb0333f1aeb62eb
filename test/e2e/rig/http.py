"""HTTP as the tests need it: replies that are not exceptions, streams that can be watched, cut or not read."""
import http.client
import json
import socket
import ssl
import threading

from .pcapng import Parser, read_pcap
from .wait import SLOW, wait_for


class Reply:
    """status, headers (lower-case names), body; `json` and `error` (the object under "error") read the body."""

    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {k.lower(): v for k, v in headers}

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def __repr__(self):
        return f"<Reply {self.status} {self.body[:500]!r}>"


class _Connection(http.client.HTTPConnection):
    """Dials address, whatever name the certificate must bear."""

    def __init__(self, address, context=None, server_name=None, timeout=30):
        super().__init__(address[0], address[1], timeout=timeout * SLOW)
        self._context, self._server_name = context, server_name

    def connect(self):
        super().connect()
        if self._context:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self._server_name)


class Http:
    """A server to talk to.

    address      (host, port); IPv6 without brackets
    ca           path of the CA for TLS; None: plain
    identity     pki.Identity of a client certificate, or None
    server_name  DNS name that the server's certificate must bear
    judge        a Description that every answer must agree with; None: there is none
    """

    def __init__(self, address, ca=None, identity=None, server_name=None, judge=None):
        self.address, self.server_name, self.judge = address, server_name, judge
        self.context = None
        if ca:
            self.context = ssl.create_default_context(cafile=ca)
            if identity:
                self.context.load_cert_chain(identity.cert, identity.key)

    def connection(self, timeout=30):
        return _Connection(self.address, self.context, self.server_name, timeout)

    def raw(self, timeout=30):
        """A connected socket (TLS when so configured) for requests that no client would make."""
        s = socket.create_connection(self.address, timeout * SLOW)
        return self.context.wrap_socket(s, server_hostname=self.server_name) if self.context else s

    def request(self, method, path, body=None, token=None, headers=None, timeout=30):
        """One exchange.  body: bytes or str as it is, anything else as JSON."""
        connection = self.connection(timeout)
        try:
            self._send(connection, method, path, body, token, headers)
            response = connection.getresponse()
            reply = Reply(response.status, response.getheaders(), response.read())
        finally:
            connection.close()
        if self.judge:
            self.judge.see(method, path, reply.status, reply.headers, reply.body, body if isinstance(body, dict) else None)
        return reply

    def stream(self, method, path, body=None, token=None, headers=None, read=True):
        """An answer that is read in the background as it comes: a Live."""
        connection = self.connection()
        self._send(connection, method, path, body, token, headers)
        live = Live(connection, read)
        if self.judge:
            self.judge.see(method, path, live.status, live.headers, None, body if isinstance(body, dict) else None)
        return live

    @staticmethod
    def _send(connection, method, path, body, token, headers):
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=body, headers=headers)


class Live:
    """An answer under way.

    status, headers   of the answer
    data              what came so far
    ended             the body is over; broken: it was cut off in the middle
    read=False at the start: nothing is taken from the socket until resume() - a viewer too slow
    """

    def __init__(self, connection, read=True):
        self._connection = connection
        self._response = connection.getresponse()
        self.status = self._response.status
        self.headers = {k.lower(): v for k, v in self._response.getheaders()}
        self._chunks, self._lock = [], threading.Lock()
        self._parser, self._parsed, self._parsing = Parser(), 0, threading.Lock()
        self.ended = self.broken = False
        self._go = threading.Event()
        if read:
            self._go.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._connection.sock and self._connection.sock.settimeout(None)
        self._thread.start()

    def _run(self):
        try:
            while True:
                self._go.wait()
                piece = self._response.read1(1 << 18)
                if not piece:
                    break
                with self._lock:
                    self._chunks.append(piece)
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            self.broken = True
        self.ended = True

    def pause(self):
        self._go.clear()

    def resume(self):
        self._go.set()

    @property
    def data(self):
        with self._lock:
            whole = b"".join(self._chunks)
            self._chunks = [whole]
            return whole

    @property
    def size(self):
        with self._lock:
            return sum(map(len, self._chunks))

    @property
    def error(self):
        """The refusal, when it is one."""
        self.wait_end()
        return json.loads(self.data)["error"]

    def capture(self):
        """What came so far as a Capture; a block that is still under way is left out."""
        with self._parsing:
            data = self.data
            self._parser.feed(data[self._parsed:])
            self._parsed = len(data)
            return self._parser.capture.copy()

    def pcap(self):
        return read_pcap(self.data, partial=True)

    def packets(self):
        return self.capture().packets

    def wait_packets(self, n, what="", timeout_s=30):
        return wait_for(lambda: len(self.packets()) >= n, f"{n} packets {what}, have {len(self.packets())}", timeout_s)

    def wait_end(self, timeout_s=60):
        wait_for(lambda: self.ended, "the stream to end", timeout_s)
        return self

    def abort(self):
        """Cuts the connection as a killed client does."""
        sock = self._response.fp.raw._sock if self._response.fp else None
        try:
            if sock:
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._go.set()
        self._thread.join(10)
        self._response.close()
        self._connection.close()
