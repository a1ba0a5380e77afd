"""Anything may be asked of the page, and buffers may have any name: it answers, and it is JSON."""

import io
import json
from typing import Any

from asking import ACTS, content
from hypothesis import example, given, settings
from hypothesis import strategies as st

from partitioned_buffer import Queue
from partitioned_buffer.dashboard import Page, Request, wsgi
from partitioned_buffer.dashboard.files import files

ANY = st.text(st.characters(codec=None), max_size=30)  # half pairs, too
PIECES = st.sampled_from(
    "/ .. %2e %00 api buffers buffer flush replay index.html \\ vendor // ? # \r\n <b> C:".split(
        " "
    )
)
PATHS = st.one_of(ANY, st.lists(st.one_of(PIECES, ANY), max_size=8).map("".join)).flatmap(
    lambda path: st.sampled_from([path, f"/{path}", f"/api/{path}"])
)
KNOWN = st.sampled_from(["/", "/api/buffers", "/api/buffer", "/api/flush", "/api/replay"])
METHODS = st.one_of(st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE"]), ANY)
HEADERS = st.dictionaries(
    st.one_of(
        st.sampled_from(
            "host origin sec-fetch-site authorization content-type accept-encoding "
            "if-none-match x-partitioned-buffer cookie".split()
        ),
        ANY,
    ),
    ANY,
    max_size=6,
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), ANY),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(ANY, inner)),
    max_leaves=5,
)
BODIES = st.one_of(
    st.binary(max_size=50), JSON.map(lambda each: json.dumps(each).encode()),
    JSON.map(lambda each: json.dumps({"name": each}).encode()),
)  # fmt: skip
REFUSED = {400, 401, 403, 404, 405, 409, 413, 415, 421}


def checked(response: Any) -> None:
    """It is an answer that does no harm."""
    assert response.status in {200, 202, 304, 308} | REFUSED, response.body
    kinds = [text for name, text in response.headers if name == "Content-Type"]
    names = [name.lower() for name, _ in response.headers]
    assert len(names) == len(set(names))
    for name, text in response.headers:
        assert text.isascii(), name
        assert not set("\r\n\0") & set(name + text), name
    if response.body and kinds == ["application/json"]:
        assert content(response)["format"] == 1
    elif response.body:
        assert response.status == 200
        assert kinds[0] in {kind for kind, _, _ in files().values()}
    else:
        assert not kinds or "Content-Length" in dict(response.headers)


@settings(deadline=None)
@given(METHODS, st.one_of(PATHS, KNOWN), ANY, HEADERS, BODIES, st.one_of(st.just(""), PATHS))
@example("GET", "", "", {}, b"", "//evil.example")
@example("GET", "", "", {}, b"", "/half \ud800")
@example("GET", "/api/half \ud800", "", {}, b"", "")
@example("GET", "", "", {}, b"", "/\r\nSet-Cookie: a=b")
def test_anything_may_be_asked(
    method: str, path: str, query: str, headers: Any, body: bytes, mounted_at: str
) -> None:
    with Queue[int]("events", print, partitions=1):
        for page in PAGES:
            checked(page.answer(Request(method, path, query, headers, body, mounted_at)))
            acting = Request("POST", "/api/flush", query, headers | ACTS, body, mounted_at)
            checked(page.answer(acting))


PAGES = [
    Page(actions=True),
    Page(token="0123456789abcdef"),
    Page(hosts=["localhost"]),
]


@settings(deadline=None)
@given(st.text(st.characters(codec=None), min_size=1, max_size=40))
@example("</script><script>alert(1)</script>")
@example("\u2028\u2029\0\x7f")
@example("half \udfff")
def test_a_buffer_may_have_any_name(name: str) -> None:
    page = Page([Queue(name, print, partitions=1)])
    told = page.answer(Request("GET", "/api/buffers"))
    assert content(told)["buffers"][0]["name"] == name
    quoted = "".join(f"%{byte:02X}" for byte in name.encode(errors="surrogatepass"))
    one = page.answer(Request("GET", "/api/buffer", f"name={quoted}"))
    assert content(one)["buffer"]["name"] == name
    for each in page.answer(Request("GET", "/")), told, one:
        assert dict(each.headers)["X-Content-Type-Options"] == "nosniff"


@settings(deadline=None)
@given(
    st.binary(max_size=30),
    st.binary(max_size=30),
    st.dictionaries(st.from_regex(r"HTTP_[A-Z_]{1,12}", fullmatch=True), ANY, max_size=4),
    ANY,
)
def test_servers_of_wsgi_may_bring_anything(
    path: bytes, query: bytes, headers: dict[str, str], length: str
) -> None:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "CONTENT_LENGTH": length,
        "wsgi.input": io.BytesIO(b"x" * 100),
        **headers,
    }
    said = list[str]()
    body = b"".join(wsgi([])(environ, lambda status, _headers: said.append(status)))
    assert said[0].split()[0] in {"200", "304", "308", "400", "404"}
    assert body or said[0].split()[0] in {"304", "308"}
