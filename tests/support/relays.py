"""A way to a server that loses what is said there: requests, replies, or all at once."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator


class Relay:
    """Listens on a port of its own, and passes on what comes, both ways, unless told."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.cut_replies = 0
        """How many replies more are lost, each with its connection."""
        self.cut_every = 0
        """Of how many replies one is lost; 0: none of them."""
        self.cuts = self._replies = 0
        self.refusing = False
        """Whether whoever connects is sent away."""
        self.silent = False
        """Whether all that is said is lost, and nobody is told."""
        self._open: set[socket.socket] = set()
        self._over = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def sent_away(self) -> Iterator[None]:
        """Have everybody sent away meanwhile."""
        self.refusing = True
        self.cut()
        yield
        self.refusing = False

    @contextlib.contextmanager
    def falling_silent(self) -> Iterator[None]:
        """Have all that is said lost meanwhile."""
        self.silent = True
        yield
        self.silent = False

    def _accept(self) -> None:
        while not self._over:
            try:
                near, _ = self._socket.accept()
                if self.refusing:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                continue
            self._open |= {near, far}
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        is_greeted = False
        with contextlib.suppress(OSError, ValueError), near, far:
            while True:
                ready, _, _ = select.select([near, far], [], [], 0.5)
                if self._over or self.refusing:
                    return
                for each in ready:
                    data = each.recv(1 << 20)
                    if not data:
                        return
                    if self.silent:
                        continue
                    if each is near:
                        is_greeted = is_greeted or b"EVALSHA" in data
                        far.sendall(data)
                    elif is_greeted and self._is_lost():  # of a script: it has run
                        return
                    else:
                        near.sendall(data)

    def _is_lost(self) -> bool:
        """Return whether a reply is."""
        self._replies += 1
        told, every = self.cut_replies > 0, self.cut_every
        self.cut_replies -= told
        cut = told or (every > 0 and self._replies % every == 0)
        self.cuts += cut
        return cut

    def cut(self) -> None:
        """End all connections there are."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._over = True
        self._socket.close()
        self.cut()
