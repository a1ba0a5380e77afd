"""`page`, as it is typed."""

from typing import Any

from .command import Command

TOKEN = "PARTITIONED_BUFFER_TOKEN"  # noqa: S105  # the name of it


def _add(parser: Any) -> None:
    parser.add_argument(
        "buffers",
        metavar="MODULE[:BUFFER]",
        nargs="+",
        help="all buffers that a module names, or one of them: shop.events, or shop.events:queue",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen at (default: %(default)s); another than this machine's own "
        "takes a token",
    )
    parser.add_argument(
        "--port", type=int, default=8765, help="the port (default: %(default)s); 0: any"
    )
    parser.add_argument(
        "--token-file",
        metavar="PATH",
        help=f"a file with the token that has to be known; without it, the variable {TOKEN} is it",
    )
    parser.add_argument(
        "--messages",
        action="store_true",
        help="show what exceptions say, which may be what items hold",
    )
    parser.add_argument(
        "--actions", action="store_true", help="let who sees the page flush, and replay"
    )


PAGE = Command(
    "page",
    "show buffers in a browser",
    "Serve a page that shows the buffers of a module, which is imported for that. A buffer that is "
    "shared is looked at on its server, and nothing is delivered here; of others there is to see "
    "what this process does with them. It runs until SIGTERM or Ctrl-C. Exits with 0.",
    (
        "page shop.events --port 8080",
        "page shop.events:queue --host 0.0.0.0 --token-file /run/secrets/page",
    ),
    _add,
    "live.paging",
)
