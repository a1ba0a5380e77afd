"""`page` looks at shared buffers on their server, and delivers nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paged import asked, serving
from servers import Server, wait_until

from partitioned_buffer import Queue
from partitioned_buffer.storage.redis import Redis

pytest.importorskip("msgspec")

Program = Callable[[str], Path]

SHOP = """
from partitioned_buffer import {kind}
from partitioned_buffer.storage import Redis

def store(batch):
    raise SystemExit("it is not for this process to deliver")

clicks = {kind}("{name}", store, storage=Redis("{url}"), processing_interval=0.05)
"""


@pytest.mark.parametrize("made_as", ["Queue", "AsyncQueue"])
def test_a_shared_buffer_is_looked_at_and_not_delivered(
    server: Server, name: str, program: Program, made_as: str
) -> None:
    folder = program(SHOP.format(kind=made_as, name=name, url=server.url))
    with serving(folder, "shop") as (process, url):
        with Queue[int](name, storage=Redis(server.url)) as writes:
            writes.push_all(range(10))

            def told() -> Any:
                (buffer,) = asked(f"{url}api/buffers")["buffers"]
                return buffer

            wait_until(lambda: (told()["stats"] or {}).get("held") == 10, 30)
            assert told()["stats"]["shared"]["away"] is None
            assert (told()["delivers"], told()["storage"]) == (False, "Redis")
            assert told()["where"] in server.url
        process.terminate()
        assert process.wait(30) == 0


def test_a_server_that_is_away_is_said_and_waited_for(
    own: Callable[..., Server], name: str, program: Program
) -> None:
    server = own()
    server.kill()
    folder = program(SHOP.format(kind="Queue", name=name, url=server.url))
    with serving(folder, "shop") as (process, url):
        (buffer,) = asked(f"{url}api/buffers")["buffers"]
        assert buffer["state"] == "stopped"
        server.start()
        wait_until(lambda: asked(f"{url}api/buffers")["buffers"][0]["running"], 30)
        process.terminate()
        assert process.wait(30) == 0
