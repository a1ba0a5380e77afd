"""
Flask with an application factory: each application has a buffer of its own.

    gunicorn "flask_factory:create_app()" --workers 2 --threads 4
"""

import os
from pathlib import Path
from typing import Any

from flask import Flask, current_app, request

from partitioned_buffer import Queue
from partitioned_buffer.dead_letters import DeadLetterFile

FILE = Path(os.environ.get("EVENTS_FILE", "events.txt"))


def store(batch: list[str]) -> None:
    """One write per batch, so that several processes can share the file."""
    with FILE.open("ab", buffering=0) as file:
        file.write("".join(f"{line}\n" for line in batch).encode())


class Events:
    """As extensions of Flask are: made at import, begun by an application."""

    def init_app(self, app: Flask, **options: Any) -> None:
        """Give *app* a buffer: of its own name, for tests make many applications."""
        name = f"events of {app.config.get('NAME', app.import_name)}"
        letters = DeadLetterFile(FILE.with_suffix(".refused"))
        queue: Queue[str] = Queue(name, store, dead_letter=letters, **options)
        app.extensions["events"] = queue.start()  # the end of the process drains it

    @property
    def queue(self) -> Queue[str]:
        """That of the application at hand."""
        queue: Queue[str] = current_app.extensions["events"]
        return queue


events = Events()


def create_app(**config: Any) -> Flask:
    """Make an application."""
    app = Flask(__name__)
    app.config.update(config)
    events.init_app(app)

    @app.post("/events")
    def accept() -> tuple[str, int]:
        events.queue.push(request.get_data(as_text=True))
        return "", 202

    return app
