"""
Files of JSON, a line per item.
"""

import gzip
import json
import os
from collections.abc import Callable
from typing import Any

from ... import batch_id
from ...errors import InvalidOption
from ..base import Closing, expect, expect_count, expect_flag, expect_seconds
from ..rows import Maker, Refused, RowOf, bare, is_plain
from .open_files import OpenFiles
from .placing import Folder, name_of, place

Encode = Callable[[Any], str | bytes]


class JSONLines(Closing):
    """
    Writes a file for each batch, or goes on with one until that is large, or old, enough.

    *path*: a folder; or the URL of a bucket, `s3://bucket/prefix`, or a store of obstore's, which
    take a file for each batch.

    Files are called by the buffer, its store, the partition, and the position and size of their
    first batch. So a batch that comes twice is the same file twice. They are written beside, with a
    dot before their name, and renamed when they are whole.

    *row*: a function that makes of an item, or of a Map's entry, what is written.

    *encode*: what makes text or bytes of that, instead of `json.dumps`.

    *max_bytes*, *max_age*: go on with a file until it has so many bytes, or for so many seconds (as
    the next batch of its partition finds, or `close()`). A batch that is repeated after a crash is
    there twice then.

    *fsync*: whether a call returns only when a power failure would not undo it.

    *timeout*: seconds that a bucket has to answer. A disk has as long as it takes.

    An item that is no JSON is rejected with the reason, and the others are written. All else is an
    outage. Raises `InvalidOption`.
    """

    def __init__(
        self,
        path: Any,
        *,
        row: RowOf | None = None,
        encode: Encode | None = None,
        compress: bool = False,
        max_bytes: int | None = None,
        max_age: float | None = None,
        fsync: bool = True,
        timeout: float = 30.0,
    ) -> None:
        is_function = encode is None or is_plain(encode)
        expect(is_function, "encode", encode, "a plain function that makes text or bytes, or None")
        expect_flag("compress", compress)
        expect_count("max_bytes", max_bytes, or_none=True)
        if max_age is not None:
            expect_seconds("max_age", max_age)
        expect_flag("fsync", fsync)
        self._place = place(path, fsync=fsync, timeout=timeout)
        self._make_rows = Maker(None, row, anything=True)
        self._encode, self._compress = encode or _json, compress
        self._suffix = ".jsonl.gz" if compress else ".jsonl"
        self._open: OpenFiles | None = None
        if max_bytes is not None or max_age is not None:
            if not isinstance(self._place, Folder):
                raise InvalidOption(f"path={path!r}: expected, with max_bytes or max_age, a folder")
            self._open = OpenFiles(self._place, self._suffix, max_bytes, max_age)

    def __repr__(self) -> str:
        return f"JSONLines({self._place!r})"

    def __call__(self, batch: Any, /) -> None:
        """Write *batch*. Raises `Outage`, and `PartialFailure` for what is no JSON."""
        made, bad = self._make_rows(batch), Refused()
        lines: list[bytes] = []
        for number, row in enumerate(made.rows):
            try:
                lines.append(_line(self._encode(row)))
            except Exception as error:
                bad[number] = bare(error)
        if lines:
            data = b"".join(lines)
            # The time is left out: the same batch is the same bytes.
            data = gzip.compress(data, 6, mtime=0) if self._compress else data
            if self._open is None:
                self._place.put(name_of(batch_id(), self._suffix), data)
            else:
                self._open.append(batch_id(), data)
        if failure := made.rejected(bad):
            raise failure

    def close(self) -> None:
        """Give the files that are still open their names."""
        if self._open is not None:
            self._open.finish(os.getpid())


_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _line(said: str | bytes) -> bytes:
    line = said.encode() if isinstance(said, str) else bytes(said)
    line = line.removesuffix(b"\n")
    if b"\n" in line or not line:
        raise ValueError("encode() made several lines of an item, or none: expected one")
    return line + b"\n"
