"""
Django with ASGI, in one file: a `Queue` that is started at import, and stopped by the lifespan.

    uvicorn django_app:application --workers 2
    gunicorn django_app:application --workers 2 --worker-class asgi

`POST /events/7` is answered at once. The events arrive in `events.txt`, those that wait when the
server is told to stop included.
"""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from partitioned_buffer import Queue

FILE = Path(os.environ.get("EVENTS_FILE", "events.txt"))


def store(batch: list[int]) -> None:
    """One write per batch, so that several processes can share the file."""
    with FILE.open("ab", buffering=0) as file:
        file.write("".join(f"{number}\n" for number in batch).encode())


running = ExitStack()
events: Queue[int] = running.enter_context(Queue("events", store))


def accept(_request: HttpRequest, number: int) -> JsonResponse:
    """Accept an event, and say which process did."""
    events.push(number)
    return JsonResponse({"process": os.getpid()}, status=202)


settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"])
urlpatterns = [path("events/<int:number>", accept)]
django = get_asgi_application()


async def lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Deliver what waits when the last request has been answered."""
    await receive()  # the server starts
    await send({"type": "lifespan.startup.complete"})
    await receive()  # and ends
    await asyncio.to_thread(running.close)
    await send({"type": "lifespan.shutdown.complete"})


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Be Django, and have the lifespan that Django has not."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        await django(scope, receive, send)
