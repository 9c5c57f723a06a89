"""One https request to the service, byte by byte under the test's control: what the plugin would not send."""
import json
import socket
import ssl

from servers import SERVER_NAME, Failed


def tls(ca, version=None):
    """A client's context; `version`: that one only."""
    context = ssl.create_default_context(cafile=ca)
    if version:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return context


def connect(port, context, timeout=30):
    raw = socket.create_connection(("127.0.0.1", port), timeout)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(raw, server_hostname=SERVER_NAME)
    except OSError:
        raw.close()
        raise


def question(world, pod, ns="a", uid=None, interface="net1", network_name="ib", **more):
    """The body of an attach request."""
    uid = uid or world.get_pod(pod, ns)["metadata"]["uid"]
    return dict({"pod": {"namespace": world.ns(ns), "name": pod, "uid": uid}, "interface": interface,
                 "networkName": network_name, "guid": "", "containerID": "c0", "node": "node1"}, **more)


class Ask:
    """Sent when it is made; answer() waits, leave() goes away without."""

    def __init__(self, world, daemon, body=None, token=None, method="POST", path="/v1/attach", headers=()):
        self.socket = connect(daemon.https, tls(world.certificate.ca))
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: " + SERVER_NAME, "Connection: close",
                 "Content-Length: %d" % len(data), "Content-Type: application/json"] + list(headers)
        if token:
            lines.append("Authorization: Bearer " + token)
        try:
            self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + data)
        except OSError:
            pass  # refused before it was read: the answer says why

    def leave(self):
        self.socket.close()

    def answer(self, timeout=30):
        """(status, headers in lower case, body)"""
        self.socket.settimeout(timeout)
        data = b""
        try:
            while chunk := self.socket.recv(65536):
                data += chunk
        except TimeoutError:
            raise Failed("no answer within %g s" % timeout)
        except OSError:
            pass  # closed by the other side behind its answer
        self.socket.close()
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        if not lines[0].startswith("HTTP/"):
            raise Failed("no answer: %r" % data[:200])
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        if body.startswith(b"{"):
            body = json.loads(body)
        return int(lines[0].split()[1]), headers, body
