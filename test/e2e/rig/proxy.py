"""A TCP proxy of the tests' own, for connections that break in the middle or stall."""
import socket
import struct
import threading


class Proxy:
    """Forwards host:port to address.  cut() resets every connection on both sides; hold() stops forwarding, release() goes on."""

    def __init__(self, address, host="127.0.0.1"):
        self.address = address
        self._pairs, self._lock = [], threading.Lock()
        self._flow = threading.Event()
        self._flow.set()
        self._listener = socket.create_server((host, 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self.address, 10)
            except OSError:
                return
            far.settimeout(None)
            with self._lock:
                self._pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                self._flow.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # cut

    def hold(self):
        self._flow.clear()

    def release(self):
        self._flow.set()

    def cut(self):
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for s in pair:
                # shutdown wakes the thread that reads here; without lingering the close is a reset.
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()
        self._flow.set()

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self._thread.join(10)
        self.cut()
