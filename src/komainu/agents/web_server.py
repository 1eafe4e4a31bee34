"""Answer HTTP requests with one page, or with files of a folder: one light process, many slow clients.

Knows nothing of the cluster. A client that stalls holds up nobody and is dropped after a while.
Source: RFC 9112, as far as GET and HEAD with one answer a connection need it.
"""

import errno
import os
import select
import socket
import time

from komainu.agents.resource_agent import ERROR, NO_PRIVILEGE, NOT_CONFIGURED, Failure

CLIENTS_MAX = 512
CLIENT_S_MAX = 10.0
REQUEST_BYTES_MAX = 8192
FILE_BYTES_MAX = 16 * 1024 * 1024


def listen(ip: str, port: int) -> socket.socket:
    """Open the port. Raises Failure with what is wrong and what to do about it."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ip, port))
        listener.listen(128)
    except socket.gaierror:
        raise Failure(NOT_CONFIGURED, f"ip={ip} is not an IP address") from None
    except PermissionError:
        raise Failure(
            NO_PRIVILEGE, f"port {port} may only be opened by root; choose one above 1023"
        ) from None
    except OSError as failure:
        remedy = {
            errno.EADDRINUSE: f"another process has port {port}; stop it, or choose another port",
            errno.EADDRNOTAVAIL: f"{ip} is not an address of this node; start its vip before, in one group",
        }.get(failure.errno or 0, str(failure))
        raise Failure(ERROR, f"the web server cannot listen on {ip} port {port}: {remedy}") from None
    listener.setblocking(False)
    return listener


class _Client:
    """One connection: what it said so far, and what it still has to get."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.deadline = time.monotonic() + CLIENT_S_MAX
        self.request = b""
        self.answer = b""


def serve(listener: socket.socket, page: bytes, root: str) -> None:
    """Answer requests until the process is ended."""
    node = socket.gethostname()
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    clients: dict[int, _Client] = {}
    while True:
        for descriptor, _ in poll.poll(CLIENT_S_MAX if clients else None):
            if descriptor == listener.fileno():
                _accept(listener, poll, clients)
            elif descriptor in clients and not _go_on(clients[descriptor], poll, page, root, node):
                _drop(clients, descriptor)
        now = time.monotonic()
        for descriptor in [key for key, client in clients.items() if client.deadline < now]:
            _drop(clients, descriptor)


def _accept(listener: socket.socket, poll: "select.epoll", clients: "dict[int, _Client]") -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return  # the client was quicker, or no descriptor is left: it will try again
    if len(clients) >= CLIENTS_MAX:
        connection.close()
        return
    connection.setblocking(False)
    clients[connection.fileno()] = _Client(connection)
    poll.register(connection, select.EPOLLIN)


def _drop(clients: "dict[int, _Client]", descriptor: int) -> None:
    clients.pop(descriptor).connection.close()  # which takes it out of the epoll too


def _go_on(client: _Client, poll: "select.epoll", page: bytes, root: str, node: str) -> bool:
    """Read or write what can be at once; return whether the connection goes on."""
    try:
        if not client.answer:
            data = client.connection.recv(REQUEST_BYTES_MAX)
            client.request += data
            if not data or len(client.request) > REQUEST_BYTES_MAX:
                return False
            if b"\r\n\r\n" not in client.request and b"\n\n" not in client.request:
                return True
            client.answer = _answer(client.request, page, root, node)
        client.answer = client.answer[client.connection.send(client.answer) :]
        if client.answer:
            poll.modify(client.connection, select.EPOLLOUT)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return bool(client.answer)


def _answer(request: bytes, page: bytes, root: str, node: str) -> bytes:
    words = request.split(None, 2)
    if len(words) < 3 or words[0] not in {b"GET", b"HEAD"}:
        return _message("405 Method Not Allowed", b"only GET and HEAD\n", node)
    path = words[1].decode("latin-1").partition("?")[0]
    body: bytes | None = page
    if root and path != "/":
        body = _file(root, path)
    if body is None:
        return _message("404 Not Found", b"no such page\n", node)
    message = _message("200 OK", body, node)
    return message if words[0] == b"GET" else message[: len(message) - len(body)]


def _file(root: str, path: str) -> bytes | None:
    """Read a file of the folder; None for what is not in it, however the path is written."""
    folder = os.path.realpath(root)
    found = os.path.realpath(folder + "/" + path)
    if not found.startswith(folder + "/") or not os.path.isfile(found):  # noqa: PTH113 - pathlib costs milliseconds
        return None
    if os.path.getsize(found) > FILE_BYTES_MAX:  # noqa: PTH202 - as above
        return None
    try:
        with open(found, "rb") as file:  # noqa: PTH123 - as above
            return file.read(FILE_BYTES_MAX)
    except OSError:
        return None


def _message(status: str, body: bytes, node: str) -> bytes:
    head = (
        f"HTTP/1.0 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"X-Node: {node}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
