"""A stand-in for an agent that misbehaves on purpose, or passes on to a real one with a change."""
import http.client
import json
import socket
import ssl
import struct
import threading


def block(kind, body):
    """A pcapng block of this kind around body."""
    body += b"\0" * (-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(link_type=1, snaplen=65535):
    """An interface block with nanoseconds."""
    return block(1, struct.pack("<HHI", link_type, 0, snaplen) + struct.pack("<HHB3x", 9, 1, 9) + struct.pack("<HH", 0, 0))


def packet(ts_ns, data, number=0, length=None):
    return block(6, struct.pack("<IIIII", number, ts_ns >> 32, ts_ns & 0xFFFFFFFF, len(data), length or len(data)) + data)


class Exchange:
    """One request as the script of a FakeAgent sees it: method, path, body (parsed JSON or None), and the ways to answer."""

    def __init__(self, fake, connection, method, path, body):
        self.fake, self.connection, self.method, self.path, self.body = fake, connection, method, path, body

    def send(self, data):
        self.connection.sendall(data)

    def reply(self, status, obj):
        text = json.dumps(obj).encode()
        self.send(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)

    def refuse(self, status, code, message):
        self.reply(status, {"error": {"code": code, "message": message, "request_id": "x"}})

    def begin(self, content_type="application/x-pcapng"):
        self.send(f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nPcap-Capture: {(self.body or {}).get('id', '')}\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n".encode())

    def chunk(self, data):
        if data:
            self.send(b"%x\r\n" % len(data) + data + b"\r\n")

    def end(self):
        self.send(b"0\r\n\r\n")

    def wait_closed(self):
        """Blocks until the gateway has hung up or the fake is closed."""
        try:
            while self.connection.recv(4096):
                pass
        except OSError:
            pass


class FakeAgent:
    """Listens on loopback with a certificate.

    script      called with an Exchange per request, in a thread of its own; its end closes the connection
    identity    its certificate (default: an agent's right one)
    handshake   False: takes connections and never says a word
    address     numeric, of loopback; with port: to stand beside another on the same port
    """

    def __init__(self, pki, script=None, identity=None, handshake=True, address="127.0.0.1", port=0):
        self.script = script
        self.handshake = handshake
        identity = identity or pki.agent
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(identity.cert, identity.key)
        self.context.load_verify_locations(pki.ca)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.address = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        self.connections, self.requests, self.closed = [], [], threading.Event()
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            if self.handshake:
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            connection = self.context.wrap_socket(connection, server_side=True)
            self.connections.append(connection)
            f = connection.makefile("rb")
            method, path, _ = f.readline().decode().split(" ", 2)
            length = 0
            for line in iter(f.readline, b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = json.loads(f.read(length)) if length else None
            self.requests.append((method, path, body))
            self.script(Exchange(self, connection, method, path, body))
        except (OSError, ValueError):
            pass
        finally:
            try:
                connection.close()
            except OSError:
                pass

    def close(self):
        self.closed.set()
        self.listener.shutdown(socket.SHUT_RDWR)  # a thread in accept() is not woken by close()
        self.listener.close()
        self.acceptor.join()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()


# ---- scripts ----

def silent(exchange):
    """Shakes hands, takes the request, never answers."""
    exchange.wait_closed()


def refusing(status, code, message):
    return lambda exchange: exchange.refuse(status, code, message)


def streaming(*pieces, then="end"):
    """Answers starts with these bytes.  then: "end" the stream well, "cut" it, or "hang"; stops are answered 202."""
    def script(exchange):
        if exchange.path.endswith("/stop"):
            exchange.reply(202, {})
            return
        exchange.begin()
        for piece in pieces:
            exchange.chunk(piece)
        if then == "end":
            exchange.end()
        elif then == "hang":
            exchange.wait_closed()
    return script


def capturing(*pieces):
    """Answers starts with these bytes and ends each stream well when it is stopped."""
    stops, lock = {}, threading.Lock()

    def stop_of(capture):
        with lock:
            return stops.setdefault(capture, threading.Event())

    def script(exchange):
        if exchange.path.endswith("/stop"):
            stop_of(exchange.path.split("/")[-2]).set()
            exchange.reply(202, {})
            return
        exchange.begin()
        for piece in pieces:
            exchange.chunk(piece)
        while not stop_of(exchange.body["id"]).wait(0.2) and not exchange.fake.closed.is_set():
            pass
        exchange.end()
    return script


def passing_on(agent, change):
    """Passes everything on to a real agent; change(options) may alter a start's options in place."""
    def script(exchange):
        connection = agent.http.connection()
        if exchange.body and "options" in exchange.body:
            change(exchange.body["options"])
        body = json.dumps(exchange.body) if exchange.body is not None else None
        try:
            connection.request(exchange.method, exchange.path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200 or not exchange.path.endswith("/captures"):
                data = response.read()
                exchange.reply(response.status, json.loads(data) if data else {})
                return
            exchange.begin()
            while True:
                piece = response.read1(65536)
                if not piece:
                    break
                exchange.chunk(piece)
            exchange.end()
        except http.client.HTTPException:
            pass
        finally:
            connection.close()
    return script
