"""Passes connections on, as a Service's address does, or from a network namespace to our 127.0.0.1."""
import ctypes
import os
import socket
import threading

from servers import Failed

CLONE_NEWNET = 0x40000000


class Relay:
    """`https`: where it listens, in `namespace` if one is given; each new connection goes to `target`, a port of ours."""

    def __init__(self, target, namespace=None):
        self.target, self.problem, self.ends = target, None, []
        self.passing = threading.Event()
        self.passing.set()
        thread = threading.Thread(target=self.listen, args=(namespace,))
        thread.start()
        thread.join()
        if self.problem:
            raise self.problem
        self.https = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def listen(self, namespace):
        """Of a thread of its own, which alone enters the namespace: the socket stays there."""
        try:
            if namespace:
                enter(namespace)
            self.socket = socket.create_server(("127.0.0.1", 0))
        except (Failed, OSError) as problem:
            self.problem = problem

    def accept(self):
        while True:
            try:
                inner = self.socket.accept()[0]
            except OSError:
                return
            try:
                outer = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                inner.close()
                continue
            self.ends += [inner, outer]
            for source, sink in ((inner, outer), (outer, inner)):
                threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    def pump(self, source, sink):
        """One direction; its end is passed on, and both are closed."""
        try:
            while data := source.recv(65536):
                self.passing.wait()
                sink.sendall(data)
        except OSError:
            pass
        close(source, sink)

    def hold(self):
        """As when packets get lost: nothing passes, nothing is closed, and who connects hears no word."""
        self.passing.clear()

    def go_on(self):
        """The network heals, and what was sent meanwhile arrives."""
        self.passing.set()

    def end(self):
        """Nobody is let in any more, and all connections are closed."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # ended before
        self.socket.close()
        close(*self.ends)
        self.passing.set()


def enter(namespace):
    fd = os.open(namespace.path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
            raise Failed("setns: " + os.strerror(ctypes.get_errno()))
    finally:
        os.close(fd)


def close(*ends):
    for end in ends:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
