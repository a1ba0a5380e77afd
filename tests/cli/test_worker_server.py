"""`worker` delivers what is on a server, until it is told to end."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import Server, free_port, wait_until
from shifts import Worker, items, pushed, shop
from stores import command

from partitioned_buffer import Queue
from partitioned_buffer.storage.redis import Redis
from partitioned_buffer.storage.redis.looking import Server as Looked

pytest.importorskip("msgspec")

Program = Callable[[str], Path]
Run = Callable[..., tuple[int, str, str]]


def owners(url: str, name: str) -> list[str | None]:
    looked = Looked(url)
    try:
        return [each.owner for each in looked.buffer(name).depth()]
    finally:
        looked.close()


@pytest.mark.parametrize(
    ("made_as", "number"),
    [
        ("queue", signal.SIGTERM),
        ("queue", signal.SIGINT),
        ("awaited", signal.SIGTERM),
        ("on_loop", signal.SIGINT),
    ],
)
def test_a_signal_ends_it_between_batches(
    server: Server, name: str, program: Program, made_as: str, number: signal.Signals
) -> None:
    folder, those = program(shop(server.url, name)), items(2000)
    pushed(server.url, name, those)
    with Worker(folder, f"shop:{made_as}") as first:
        wait_until(lambda: first.log.of("begun"), 30)
        first.told(number)
        first.reads("Ending")
        (folder / "go").touch()
        code, out, _ = first.ended(None)
    done = first.log.of("done")

    assert (code, sorted(first.log.of("begun"))) == (0, sorted(done))
    assert 0 < len(done) < len(those)
    assert f"Ended: {len(done):,} delivered, 0 given up." in out
    with Worker(folder, f"shop:{made_as}") as second:  # long before a lease is over
        second.log.wait_for(those)
        assert second.ended()[0] == 0
    assert owners(server.url, name) == [None] * 4


def test_workers_share_the_partitions(server: Server, name: str, program: Program) -> None:
    folder, those = program(shop(server.url, name)), items(400)
    (folder / "go").touch()
    with Worker(folder) as first, Worker(folder) as second:

        def have_two_each() -> bool:
            now = owners(server.url, name)
            return None not in now and all(now.count(each) == 2 for each in now)

        wait_until(have_two_each, 30)
        pushed(server.url, name, those[:200])
        first.log.wait_for(those[:200])
        assert set(first.log.of("done", first.pid)) | set(first.log.of("done", second.pid)) == {
            *those[:200]
        }
        assert first.ended()[0] == 0
        pushed(server.url, name, those[200:])  # no lease is waited for: it has said goodbye
        second.log.wait_for(those)
        assert second.ended()[0] == 0


def test_a_server_that_is_away_is_waited_for(
    own: Callable[..., Server], name: str, program: Program
) -> None:
    server = own()
    folder, those = program(shop(server.url, name)), items(20)
    (folder / "go").touch()
    server.kill()
    with Worker(folder, waits=True) as worker:
        line = worker.reads("is away, and is tried again and again")
        server.start()
        worker.reads("this is the worker")
        pushed(server.url, name, those)
        worker.log.wait_for(those)
        code, out, _ = worker.ended()

    assert f"<Queue '{name}'" in line
    assert str(server.port) in line
    assert (code, out.count("is away")) == (0, 1)


@pytest.mark.parametrize("made_as", ["queue", "awaited"])
def test_who_waits_for_a_server_can_be_told_to_end(
    made_as: str, name: str, program: Program
) -> None:
    folder = program(shop(f"redis://127.0.0.1:{free_port()}", name))
    with Worker(folder, f"shop:{made_as}", waits=True) as worker:
        worker.reads("is away")
        assert worker.ended()[0] == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_it_at_once(
    server: Server, name: str, program: Program, number: signal.Signals, code: int
) -> None:
    folder, those = program(shop(server.url, name)), items(20)
    pushed(server.url, name, those)
    with Worker(folder) as worker:
        wait_until(lambda: worker.log.of("begun"), 30)
        worker.told()
        worker.reads("Ending")
        assert worker.ended(number)[0] == code
    assert worker.log.of("done") == []


@pytest.mark.parametrize("made_as", ["queue", "awaited"])
def test_a_processor_that_does_not_return_has_a_time(
    made_as: str, server: Server, name: str, program: Program
) -> None:
    folder = program(shop(server.url, name))
    pushed(server.url, name, items(20))
    with Worker(folder, f"shop:{made_as}", "--grace", "0.3") as worker:
        wait_until(lambda: worker.log.of("begun"), 30)
        code, out, _ = worker.ended()

    assert code == 1
    assert "Not all had ended after 0.3 seconds: what was in hand is delivered again" in out


def test_one_that_its_module_starts_delivers(server: Server, name: str, program: Program) -> None:
    folder, those = program(shop(server.url, name, "queue.start()\n")), items(20)
    (folder / "go").touch()
    pushed(server.url, name, those)
    with Worker(folder) as worker:
        worker.log.wait_for(those)
        assert worker.ended()[0] == 0


def test_what_is_given_up_is_counted(server: Server, name: str, program: Program) -> None:
    more = """
        def reject(batch):
            raise Reject("never")


        queue = made(Queue, reject)
    """
    folder = program(shop(server.url, name, more))
    pushed(server.url, name, items(20))
    with Worker(folder) as worker, Queue[str](name, storage=Redis(server.url)) as queue:
        queue.flush(30)
        code, out, err = worker.ended()

    assert (code, "Ended: 0 delivered, 20 given up." in out) == (0, True)
    assert "dead-lettered" in err


def test_one_that_its_program_stops_ends(server: Server, name: str, program: Program) -> None:
    more = """
        import threading


        def stop(batch):
            threading.Thread(target=queue.stop).start()


        queue = made(Queue, stop)
    """
    folder = program(shop(server.url, name, more))
    pushed(server.url, name, items(1))
    with Worker(folder) as worker:
        worker.reads("was stopped by its own program")
        assert worker.ended(None)[0] == 1


def test_it_logs_unless_its_program_does(server: Server, name: str, program: Program) -> None:
    folder = program(shop(server.url, name))
    with Worker(folder) as worker:
        _, out, err = worker.ended()
    assert "append-only file" in err
    assert "append-only file" not in out

    program(shop(server.url, name, 'import logging; logging.basicConfig(filename="app.log")\n'))
    with Worker(folder) as worker:
        _, out, err = worker.ended()
    assert err == ""
    assert "Warning: 127.0.0.1" in out
    assert "append-only file" in (folder / "app.log").read_text()


def test_one_that_was_made_otherwise_is_refused(
    server: Server, name: str, program: Program
) -> None:
    pushed(server.url, name, items(1))
    folder = program(shop(server.url, name, "queue = made(Queue, partitions=3)\n"))
    done = command("worker", "shop:queue", folder=folder)

    assert (done.returncode, done.stdout) == (2, "")
    assert "partitioned-buffer worker: " in done.stderr
    assert "partitions is '4' there, '3' here" in done.stderr
    assert "Traceback" not in done.stderr


OTHERS = """
    shared = Redis(URL)
    silent = Queue("silent", storage=shared)
    alone = Queue("alone", save)
    kept = Queue("kept", save, storage=SQLite("kept.db"))
    mapped = Map("mapped", save)
"""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shop:alone"], "whose storage is None: expected a shared one, storage=Redis(url)"),
        (["shop:kept"], "SQLite('kept.db', fsync='commit'): expected a shared one"),
        (["shop:silent"], "which has no processor: give it the function that delivers"),
        (["shop:mapped"], "whose storage is None: expected a shared one"),
        (["shop:save"], "of type function: expected a Queue, Map, AsyncQueue or AsyncMap"),
        (["shop:gone"], "worker shop:gone: module 'shop' has no attribute 'gone'"),
        (["shop"], "worker shop: expected module:name"),
        (["shop:queue", "--grace", "-1"], "expected a number of seconds from 0"),
        (["shop:queue", "--grace", "inf"], "expected a number of seconds from 0"),
        ([], "MODULE:BUFFER"),
    ],
)
def test_what_cannot_be_delivered_is_refused(
    arguments: list[str], words: str, run: Run, program: Program
) -> None:
    program(shop("redis://127.0.0.1:1", "refused", OTHERS))
    code, out, err = run("worker", *arguments)

    assert (code, out) == (2, "")
    assert words in err
