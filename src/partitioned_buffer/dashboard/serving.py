"""The page alone, by the standard library's server, in threads of its own."""

import threading
from collections.abc import Iterable
from ipaddress import ip_address
from socket import AF_INET6
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Any, Self, Unpack
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from ..errors import InvalidOption
from .over_wsgi import Environ, StartResponse, Wsgi
from .page import Buffers, Options, Page

PORT = 8765
LOCAL = ("localhost", "127.0.0.1", "::1")
"""What it answers to, where only this machine reaches it."""


def serve(
    buffers: Buffers = None,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    **options: Unpack[Options],
) -> "Serving":
    """
    Serve the page alone at *host* and *port* (0: any that is free), until it is closed.

    `with serve() as page: print(page.url)`. The rest is as for `wsgi()`.

    Raises `InvalidOption` for a *host* that others reach, without a `token`; and `OSError` if it
    cannot be had.
    """
    local = is_loopback(host)
    if not local and options.get("token") is None:
        raise InvalidOption(
            f"host={host!r}: others reach it: expected a token, too, or 127.0.0.1, and a tunnel "
            "of ssh to it"
        )
    if local:
        options.setdefault("hosts", (*LOCAL, host))
    return Serving(host, port, _Alone(Page(buffers, **options)))


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Serving:
    """A server that goes on in the background."""

    def __init__(self, host: str, port: int, application: Wsgi) -> None:
        kind = _Server6 if ":" in host else _Server
        self._server = kind((host, port), _Quiet)
        self._server.set_app(application)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="partitioned-buffer-page"
        )
        self._thread.daemon = True
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        host, port = self._server.server_address[:2]
        name = host.decode() if isinstance(host, bytes | bytearray) else host
        return f"http://{f'[{name}]' if ':' in name else name}:{port}/"

    def close(self) -> None:
        """End it; once more does no harm."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Alone(Wsgi):
    """Says nothing of the server."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, with a header that the server would make otherwise."""
        name = ("Server", "partitioned-buffer")
        return super().__call__(environ, lambda status, said: start_response(status, [*said, name]))


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False  # who looks at the page must not keep a program from its end

    def server_bind(self) -> None:
        """Bind, without asking for the name of this machine, which may take a while."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of who went away in the middle."""


class _Server6(_Server):
    address_family = AF_INET6


class _Quiet(WSGIRequestHandler):
    """Logs nothing, and waits for nobody for long."""

    timeout = 30.0
    server_version, sys_version = "partitioned-buffer", ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as the library has it
        """Say nothing: names of buffers are in what is asked."""
