"""An HTTP proxy of the tests' own between the gateway and its store, which does to chosen requests what networks and stores do.

    proxy = FaultProxy(("127.0.0.1", rgw.port))
    proxy.fault(store_faults.slow_down, op="part", part=1)
    ... proxy.seen ...

Requests reach the store byte for byte but for `Expect` and `Connection`, so that signatures stay good.
"""
import http.client
import socket
import ssl
import struct
import threading
import urllib.parse

PIECE = 65536


class Seen:
    """A request: method, path, query (as a dict), op (what it is to S3), part (number or None), headers, bytes of its body that came,
    status that the client was given (None: none), fault that it met (name or None)."""

    def __init__(self, method, target, headers, op, query):
        self.method, self.target, self.headers, self.op, self.query = method, target, headers, op, query
        self.path = target.partition("?")[0]
        self.part = int(query["partNumber"]) if "partNumber" in query else None
        self.bytes, self.status, self.fault = 0, None, None

    def __repr__(self):
        return f"<{self.op}{self.part or ''} {self.method} {self.target} {self.bytes} bytes: {self.status} {self.fault or ''}>"


def op_of(method, path, query):
    """What a path-style request is to S3."""
    on_object = path.strip("/").count("/") >= 1
    if "tagging" in query:
        return f"{method.lower()}_tagging"
    if "uploads" in query:
        return "create" if method == "POST" else "list_uploads"
    if "uploadId" in query:
        return {"PUT": "part", "GET": "list_parts", "POST": "complete", "DELETE": "abort"}.get(method, method)
    if on_object:
        return {"PUT": "put", "GET": "get", "HEAD": "head", "DELETE": "delete"}.get(method, method)
    sub = next((k for k in query if k not in ("prefix", "max-keys", "list-type", "encoding-type", "delimiter")), "")
    return f"bucket_{method.lower()}{'_' + sub if sub else ''}"


class Cut(Exception):
    """The connection to the client is to be reset."""


class FaultProxy:
    """Listens on 127.0.0.1:port and passes on to the store's address.  Any thread; close() ends everything.

    identity     certificate (IP:127.0.0.1) to speak TLS with on both sides, ca: who signed the store's; None: plain
    seen         every request, in the order in which they came
    complaints   what should not have happened here; close() fails with it
    """

    def __init__(self, address, identity=None, ca=None):
        self.address, self.seen, self.complaints = address, [], []
        self._server = self._client = None
        if identity:
            self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server.load_cert_chain(identity.cert, identity.key)
            self._client = ssl.create_default_context(cafile=ca)
        self._rules, self._lock = [], threading.RLock()
        self._sockets, self._threads = set(), []
        self._closing = threading.Event()
        self._released = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if identity else 'http'}://127.0.0.1:{self.port}"
        self._spawn(self._accept)

    def fault(self, fault, op=None, part=None, of="", times=1, skip=0, match=None):
        """The next `times` requests (None: all) of this kind meet fault, after `skip` of them have passed.

        of      text in the path, a job's id for example;  match: whatever else, a function of a Seen
        """
        with self._lock:
            self._rules.append([fault, op, part, of, times, skip, match])
        return self

    def heal(self):
        """No more faults; who hangs is cut."""
        with self._lock:
            self._rules.clear()
            self._released.set()
            self._released = threading.Event()

    def ops(self):
        """["create", "part", ...] of all that was seen."""
        with self._lock:
            return [s.op for s in self.seen]

    def of(self, op=None, of=""):
        """What was seen of this op and with this text in its path."""
        with self._lock:
            return [s for s in self.seen if op in (None, s.op) and of in s.path]

    def met(self):
        """The requests that met a fault."""
        with self._lock:
            return [s for s in self.seen if s.fault]

    def close(self):
        self._closing.set()
        self._released.set()
        for s in (self._listener, *list(self._sockets)):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._listener.close()
        for thread in list(self._threads):
            thread.join(30)
            assert not thread.is_alive(), "a thread of the proxy hangs"
        assert not self.complaints, self.complaints

    # ---- a connection ----

    def _spawn(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def _accept(self):
        while not self._closing.is_set():
            try:
                s, _ = self._listener.accept()
            except OSError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.add(s)
            self._spawn(self._serve, s)

    def connect(self):
        """To the store."""
        if self._client:
            return http.client.HTTPSConnection(*self.address, timeout=60, context=self._client)
        return http.client.HTTPConnection(*self.address, timeout=60)

    def _serve(self, s):
        reader = None
        try:
            s = self._server.wrap_socket(s, server_side=True) if self._server else s
            reader = s.makefile("rb")
            while self._exchange(s, reader):
                pass
        except Cut:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # the client went away
        except Exception as e:  # pylint: disable=broad-except
            self.complaints.append(repr(e))
        finally:
            self._sockets.discard(s)
            if reader:
                reader.close()
            s.close()

    def _exchange(self, s, reader):
        line = reader.readline(PIECE).decode("latin-1").split()
        if len(line) != 3:
            return False
        headers = []
        while (text := reader.readline(PIECE)) not in (b"\r\n", b"\n", b""):
            name, _, value = text.decode("latin-1").partition(":")
            headers.append((name, value.strip()))
        call = Call(self, s, reader, line[0], line[1], headers)
        with self._lock:
            self.seen.append(call.seen)
            fault = self._fault_for(call.seen)
            released = self._released
        call.released = released
        if fault:
            call.seen.fault = fault.__name__
            fault(call)
        else:
            call.forward()
        return call.keep

    def _fault_for(self, seen):
        for rule in self._rules:
            fault, op, part, of, times, skip, match = rule
            if (op and op != seen.op) or (part and part != seen.part) or of not in seen.path or times == 0 or (match and not match(seen)):
                continue
            if skip:
                rule[5] -= 1
                continue
            if times is not None:
                rule[4] -= 1
            return fault
        return None


class Call:
    """One request and its answer, for the faults: read what the client sends, ask the store, answer.  keep: the connection goes on after it."""

    def __init__(self, proxy, sock, reader, method, target, headers):
        self.proxy, self.socket, self.reader, self.headers = proxy, sock, reader, headers
        path, _, query = target.partition("?")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.seen = Seen(method, target, {k.lower(): v for k, v in headers}, op_of(method, path, query), query)
        self.length = int(self.seen.headers.get("content-length", 0))
        self.keep = True
        assert "transfer-encoding" not in self.seen.headers, "S3 wants a Content-Length"

    def pieces(self, limit=None):
        """The body as it comes, `limit` bytes of it."""
        if self.seen.headers.get("expect", "").lower() == "100-continue" and self.length:
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = self.length if limit is None else min(limit, self.length)
        while left:
            piece = self.reader.read1(min(left, PIECE))
            if not piece:
                raise Cut
            left -= len(piece)
            self.seen.bytes += len(piece)
            yield piece

    def drain(self):
        for _ in self.pieces():
            pass

    def upstream(self, pieces=None):
        """Asks the store: (status, headers, body)."""
        connection = self.proxy.connect()
        try:
            connection.putrequest(self.seen.method, self.seen.target, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers:
                if name.lower() not in ("expect", "connection"):
                    connection.putheader(name, value)
            connection.putheader("Connection", "close")
            connection.endheaders()
            for piece in self.pieces() if pieces is None else pieces:
                connection.send(piece)
            response = connection.getresponse()
            headers = [(k, v) for k, v in response.getheaders() if k.lower() not in ("connection", "transfer-encoding")]
            return response.status, headers, response.read()
        except (http.client.HTTPException, ConnectionError, TimeoutError) as e:
            raise Cut from e
        finally:
            connection.close()

    def forward(self):
        self.answer(*self.upstream())

    def head(self, status, headers, length):
        """The head of an answer; a Content-Length among the headers (an answer to HEAD) is kept."""
        self.seen.status = status
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}", *(f"{k}: {v}" for k, v in headers)]
        if not any(k.lower() in ("content-length", "transfer-encoding") for k, _ in headers) and status != 204:
            lines.append(f"Content-Length: {length}")
        return "\r\n".join(lines + ["", ""]).encode("latin-1")

    def answer(self, status, headers=(), body=b""):
        body = body.encode() if isinstance(body, str) else body
        self.socket.sendall(self.head(status, headers, len(body)) + (b"" if self.seen.method == "HEAD" else body))
