"""
Who may ask, and what a browser is told to make of the answers.

A token is sent in a header, which no other site can have a browser do: so where there is one, it
guards actions, too. Where there is none, what a browser says of itself does: actions take a header
that another site cannot send unless it is let, and nobody lets it.
"""

import hashlib
import hmac
import re
from collections.abc import Collection
from urllib.parse import urlsplit

from ..errors import InvalidOption
from .messages import Refused, Request, Response

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)

MARK = "x-partitioned-buffer"
"""The header that actions take."""

SHORTEST = 16
"""Characters that a token has at least."""


def guarded(response: Response) -> Response:
    """Return *response* with what browsers have to know."""
    length = (("Content-Length", str(len(response.body))),) if response.status != 304 else ()
    return response._replace(headers=(*response.headers, *HEADERS, *length))


class Guard:
    """Lets requests in that may come."""

    def __init__(self, token: str | None, hosts: Collection[str] | None) -> None:
        if token is not None and len(token) < SHORTEST:
            raise InvalidOption(
                f"token: expected a text of {SHORTEST} characters at least, which nobody guesses: "
                "python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        if isinstance(hosts, str):
            raise InvalidOption(f"hosts={hosts!r}: expected a collection of names, or None")
        self._token = None if token is None else _digest(token)
        self._hosts = None if hosts is None else {host.lower() for host in hosts}

    def check_host(self, request: Request) -> None:
        """Refuse names that are not ours: another site may have its own lead here."""
        if self._hosts is not None and _name(request.headers.get("host", "")) not in self._hosts:
            raise Refused(421, "this name is not one that the page answers to")

    def check_token(self, request: Request) -> None:
        """Refuse who has not got the token."""
        if self._token is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(self._token, _digest(given.strip()))
        if not (is_right and scheme.lower() == "bearer"):
            raise Refused(401, "a token is needed", ("WWW-Authenticate", "Bearer"))

    def check_site(self, request: Request) -> None:
        """Refuse what another site has a browser do."""
        headers = request.headers
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if MARK not in headers:
            raise Refused(403, f"actions take a header {MARK}")
        if site is not None:
            if site != "same-origin":
                raise Refused(403, "actions are for this very site")
        elif origin is not None and _place(origin) != headers.get("host", "").lower():
            raise Refused(403, "actions are for this very site")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _name(host: str) -> str:
    """Return the name, or the address, without a port."""
    return re.sub(r":\d*\Z", "", host.lower()).strip("[]")
