"""
FastAPI: an `AsyncQueue` that lives as long as the application.

    uvicorn fastapi_app:app --workers 2

`POST /events/7` is answered at once. The events arrive in `events.txt`, those that wait when the
server is told to stop included.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from partitioned_buffer import AsyncQueue

FILE = Path(os.environ.get("EVENTS_FILE", "events.txt"))


def append(batch: list[int]) -> None:
    """One write per batch, so that several processes can share the file."""
    with FILE.open("ab", buffering=0) as file:
        file.write("".join(f"{number}\n" for number in batch).encode())


async def store(batch: list[int]) -> None:
    """Files have no `await`: a thread writes, and the event loop goes on."""
    await asyncio.to_thread(append, batch)


events: AsyncQueue[int] = AsyncQueue("events", store)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Begin before the first request; deliver what waits after the last."""
    async with events:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/events/{number}", status_code=202)
async def accept(number: int) -> dict[str, int]:
    """Accept an event, and say which process did."""
    await events.push(number)
    return {"process": os.getpid()}
