"""What is long goes compressed, to who takes that: a thousand buffers are a megabyte."""

import zlib

from .messages import Request, Response

LEAST = 2000
"""Bytes below which it is not worth it."""
_GZIP = 31  # what zlib calls that format


def compressed(request: Request, response: Response) -> Response:
    """Return *response*, compressed if that is asked for and worth it."""
    if len(response.body) < LEAST or not _takes(request.headers.get("accept-encoding", "")):
        return response
    making = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    body = making.compress(response.body) + making.flush()
    also = (("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
    return Response(response.status, (*response.headers, *also), body)


def _takes(accepted: str) -> bool:
    for each in accepted.lower().split(","):
        name, _, quality = each.partition(";")
        if name.strip() == "gzip":
            return quality.replace(" ", "").rstrip("0.") != "q="
    return False
