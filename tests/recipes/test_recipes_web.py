"""Recipes that serve: what they answered for is there, killed or told to stop."""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from subprocess import run

import pytest
from listening import need
from recipes import RECIPES, Clients, request, rows, serving

from partitioned_buffer import Queue
from partitioned_buffer.dead_letters import DeadLetterFile

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def test_fastapi_with_sqlalchemy_has_all_that_it_accepted_killed_or_stopped(tmp_path: Path) -> None:
    need("fastapi", "uvicorn", "sqlalchemy", "aiosqlite")
    database = tmp_path / "shop.db"
    command = ["-m", "uvicorn", "fastapi_sqlalchemy:app", "--port=PORT", "--no-access-log"]
    accepted = set[int]()

    for killed in (True, False):
        with serving(tmp_path, *command) as server:

            def order(number: int, port: int = server.port) -> bool:
                body = json.dumps({"id": number, "what": "tea"})
                return request(port, "POST", "/orders", body) == 202

            clients = Clients(order, first=max(accepted, default=-1) + 1)
            clients.until(50)
            if killed:
                server.kill()
            else:
                assert server.stop() in (0, -signal.SIGTERM)  # uvicorn's way to end
            accepted |= clients.ended()

    stored = [number for (number,) in rows(database, "SELECT id FROM orders")]
    assert accepted <= set(stored)
    assert len(stored) == len(set(stored))


MANAGE = """
import sys, threading, partitioned_buffer, django_upsert
from django.core.management import call_command
call_command("check")
call_command("migrate", run_syncdb=True, verbosity=0)
assert partitioned_buffer.running() == []
assert threading.active_count() == 1, threading.enumerate()
"""


def test_django_starts_nothing_in_commands_and_upserts_what_it_was_told(tmp_path: Path) -> None:
    need("django", "gunicorn")
    environment = os.environ | {"PYTHONPATH": str(RECIPES)}
    done = run(
        [sys.executable, "-c", MANAGE],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    command = ["-m", "gunicorn", "django_upsert:application", "--bind=127.0.0.1:PORT"]
    with serving(tmp_path, *command, "--threads=2") as server:

        def see(number: int) -> bool:
            path = f"/seen/user{number % 7}/page{number}"
            return request(server.port, "GET", path) == 202

        clients = Clients(see)
        clients.until(50)
        assert server.stop() == 0
        accepted = clients.ended()

    seen = dict(rows(tmp_path / "seen.db", "SELECT user, page FROM recipes_lastseen"))
    assert set(seen) == {f"user{number % 7}" for number in accepted}
    for number in range(7):  # the last or, of two at a time, the last but one
        pages = [f"page{each}" for each in sorted(accepted) if each % 7 == number]
        assert seen[f"user{number}"] in pages[-2:]


def test_flask_s_applications_have_a_buffer_each_and_lose_nothing(tmp_path: Path) -> None:
    need("flask", "gunicorn")
    command = ["-m", "gunicorn", "flask_factory:create_app()", "--bind=127.0.0.1:PORT"]
    with serving(tmp_path, *command, "--workers=2", "--threads=2", "--preload") as server:
        clients = Clients(
            lambda number: request(server.port, "POST", "/events", str(number)) == 202
        )
        clients.until(50)
        assert server.stop() == 0
        accepted = clients.ended()

    lines = (tmp_path / "events.txt").read_text().split()
    assert accepted <= set(map(int, lines))
    assert len(lines) == len(set(lines))


def test_two_applications_of_one_test_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("flask")
    monkeypatch.syspath_prepend(RECIPES)
    import flask_factory  # noqa: PLC0415  # a recipe

    monkeypatch.setattr(flask_factory, "FILE", tmp_path / "events.txt")
    for name in ("one", "two"):
        app = flask_factory.create_app(NAME=name)
        assert app.test_client().post("/events", data=name).status_code == 202
        app.extensions["events"].stop()

    assert (tmp_path / "events.txt").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
def test_under_kubernetes_it_is_ready_no_more_answers_and_keeps_what_it_cannot_deliver(
    tmp_path: Path, down: bool
) -> None:
    gone, file = tmp_path / "events.down", tmp_path / "events.txt"
    options = {"GRACE": "3", "UNROUTED": "0.3"}
    command = [str(RECIPES / "kubernetes_service.py"), "PORT"]
    if down:
        gone.touch()
    with serving(tmp_path, *command, **options) as server:
        assert request(server.port, "GET", "/ready") == 200
        clients = Clients(
            lambda number: request(server.port, "POST", "/events", str(number)) == 202
        )
        clients.until(50)
        stopped: list[int] = []
        stopping = threading.Thread(target=lambda: stopped.append(server.stop()))
        stopping.start()
        while (status := request(server.port, "GET", "/ready")) == 200:
            pass
        assert status in (503, 0)
        accepted = clients.ended()
        stopping.join(60)
        assert stopped == [0]

    left = letters(tmp_path / "events.left")
    lines = file.read_text().split() if file.exists() else []
    assert accepted <= {*map(int, lines), *map(int, left)}
    assert not {*lines} & {*left}
    assert bool(left) == down

    gone.unlink(missing_ok=True)
    with serving(tmp_path, *command, **options) as server:
        while down and len(set(file.read_text().split() if file.exists() else ())) < len(accepted):
            threading.Event().wait(0.01)
        assert server.stop() == 0
    assert accepted <= set(map(int, file.read_text().split()))


def letters(file: Path) -> list[str]:
    """Return what is in a file of dead letters, and leave it there."""
    if not file.exists():
        return []
    text, found = file.read_text(), list[str]()
    with Queue("letters", found.extend) as queue:
        DeadLetterFile(file).replay(queue)
    file.write_text(text)
    return found
