"""What the doubles of platforms have in common: an HTTPS server on the tester's loopback that can be closed, and opened again on its port."""
import http.server
import ssl
import threading

from .gateway import free_port


class HttpsServer:
    """Listens from open() to close().

    handler()   the class that answers, a Handler; made by the double
    identity    certificate and key
    port        0: any that stays free between close() and open()
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def send(self, status, body, headers):
            """body: bytes."""
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def __init__(self, identity, port=0):
        self.identity, self.port, self._server = identity, port or free_port(), None

    def handler(self):
        raise NotImplementedError

    def open(self):
        """Begins to listen, on the port it had before."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.identity.cert, self.identity.key)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def finish_request(self, request, client_address):  # in the connection's own thread: a handshake that hangs hangs nobody else
                request.settimeout(60)
                super().finish_request(context.wrap_socket(request, server_side=True), client_address)

            def handle_error(self, *_):
                pass  # clients that go

        self._server = Server(("127.0.0.1", self.port), self.handler())
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        """Connections are refused from now on."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self):
        return f"https://localhost:{self.port}"
