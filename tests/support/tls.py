"""Servers that are reached by TLS alone: their own, or where they have none, that of a proxy."""

import asyncio
import contextlib
import ssl
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple

import trustme
from servers import Server, binary, free_port


class Papers(NamedTuple):
    """A certificate for `localhost`, and who has signed it."""

    ca: Path
    certificate: Path
    key: Path


def papers(folder: Path, *names: str) -> Papers:
    """Make some, for *names* or `localhost`."""
    ca, made = trustme.CA(), Papers(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    folder.mkdir(parents=True, exist_ok=True)
    issued = ca.issue_cert(*(names or ("localhost",)))
    ca.cert_pem.write_to_path(str(made.ca))
    made.key.write_bytes(issued.private_key_pem.bytes())
    made.certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    return made


def has_tls(kind: str) -> bool:
    """Return whether that server's program speaks TLS."""
    command = [str(binary(kind)), "--port", "0", "--tls-port", str(free_port())]
    said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return "finding TLS support" not in said.stdout + said.stderr


def options(port: int, made: Papers) -> list[str]:
    """Return what a server takes to speak TLS on *port*, and ask for no certificate."""
    return [
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(made.certificate), "--tls-key-file", str(made.key)),
        *("--tls-ca-cert-file", str(made.ca)),
    ]


class Proxy:
    """Takes TLS on a port of its own, and passes on what is in it."""

    def __init__(self, server: Server, made: Papers) -> None:
        self._to, self._loop = server.port, asyncio.new_event_loop()
        self._open = set[asyncio.StreamWriter]()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(made.certificate, made.key)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(20)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, forth = await asyncio.open_connection("127.0.0.1", self._to)
        self._open |= {back, forth}
        await asyncio.gather(_pass(near, forth), _pass(far, back))

    async def _end(self) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        await asyncio.sleep(0.05)  # for transports, which end by the loop

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
