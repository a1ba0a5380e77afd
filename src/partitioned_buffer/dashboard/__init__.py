"""
A page that shows the buffers of a process, to mount where it is served: `asgi()` and `wsgi()`; or
`serve()`, which needs no server.

    page.py         what is asked for becomes an answer; messages.py: both; guard.py: who may ask
    reading.py      looks at buffers, none of which can keep it; describing.py: what is told of one
    states.py       how it does, in a word; letters.py: what was given up last
    acting.py       flush, and replay
    files.py        what the page is made of (static/); compressing.py
    over_asgi.py    for servers and frameworks; over_wsgi.py
    serving.py      alone
"""

from typing import Unpack

from .messages import Request, Response
from .over_asgi import Asgi
from .over_wsgi import Wsgi
from .page import Buffers, Options, Page
from .serving import Serving, serve

__all__ = ["Page", "Request", "Response", "Serving", "asgi", "serve", "wsgi"]


def asgi(buffers: Buffers = None, **options: Unpack[Options]) -> Asgi:
    """Return the page as an ASGI application; its options are those of `Page`."""
    return Asgi(Page(buffers, **options))


def wsgi(buffers: Buffers = None, **options: Unpack[Options]) -> Wsgi:
    """Return the page as a WSGI application; its options are those of `Page`."""
    return Wsgi(Page(buffers, **options))


for _public in (Page, Request, Response, Serving, serve):
    _public.__module__ = __name__  # tracebacks, reprs and pickles name the public module
