"""What the page is made of, read once: no request ever names a file of the disk."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from .messages import Request, Response

_FOLDER: Final = Path(__file__).parent / "static"
_KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@cache
def files() -> dict[str, tuple[str, str, bytes]]:
    """Return each by its path: what it is, its tag, and its bytes."""
    found: dict[str, tuple[str, str, bytes]] = {}
    for path in sorted(_FOLDER.rglob("*")):
        if path.suffix in _KINDS:
            data = path.read_bytes()
            tag = hashlib.sha256(data).hexdigest()[:16]
            found[path.relative_to(_FOLDER).as_posix()] = _KINDS[path.suffix], tag, data
    return found


def served(name: str, request: Request) -> Response | None:
    """Return the file of that name, or that it is the one that is there; None if there is none."""
    file = files().get(name)
    if file is None:
        return None
    kind, tag, data = file
    tag = f'W/"{tag}"'  # of the text, compressed or not
    also = (("ETag", tag), ("Cache-Control", "no-cache"))
    if tag in request.headers.get("if-none-match", ""):
        return Response(304, also, b"")
    return Response(200, (("Content-Type", kind), *also), data)
