"""Tables for the page."""

from typing import Any

from ..speed.measure import Row

OURS = ("Queue", "AsyncQueue")


def rows_of(found: dict[str, Any]) -> dict[str, Row]:
    return {name: Row(name, times) for name, times in found["times"].items()}


def _name(name: str) -> str:
    return f"**{name}**" if name.startswith(OURS) else name


def rates(found: dict[str, Any], base: str, each: int = 1) -> str:
    """Show how many items a second, *each* at once, and the ratio to the base's in its round."""
    rows = rows_of(found)
    lines = [f"| | items/s | × {base}: min | median | max |", "|---|--:|--:|--:|--:|"]
    for name, row in rows.items():
        low, middle, high = rows[base].ratios(row)
        rate = each * 1e9 / row.median
        lines.append(f"| {_name(name)} | {rate:,.0f} | {low:.3f} | {middle:.3f} | {high:.3f} |")
    return "\n".join([*lines, ""])


def best_peer(found: dict[str, Any], ours: str, peers: list[str]) -> str:
    """Say how many times faster ours is than the best of the peers."""
    rows = rows_of(found)
    best = min(peers, key=lambda name: rows[name].median)
    low, middle, high = rows[best].ratios(rows[ours])
    return f"{ours} to {best}, the best peer: × {low:.1f} | {middle:.1f} | {high:.1f}.\n"


def costs(found: dict[str, Any]) -> str:
    """Show what was counted of a batch."""
    lines = ["| | syncs per batch | bytes written, × the items' |", "|---|--:|--:|"]
    for name, (syncs, written) in found["counts"].items():
        lines.append(f"| {_name(name)} | {syncs:,.2f} | {written:.2f} |")
    return "\n".join([*lines, ""])


def backlog(count: int, filled: dict[str, Any], drained: dict[str, Any]) -> str:
    """Show what so many waiting items take."""
    lines = [
        f"| {count:,} waiting items of 90 bytes | |",
        "|---|--:|",
        f"| memory that they took, of the process that pushed them | {_mb(filled['grown'])} |",
        f"| the file | {_mb(filled['file'])} |",
        f"| opening it after a kill | {drained['open'] * 1000:,.0f} ms |",
        f"| delivering all of it, in order | {drained['rate']:,.0f} items/s |",
        f"| memory that it took meanwhile | {_mb(drained['grown'])} |",
        f"| the file afterwards | {_mb(drained['file'])} |",
    ]
    return "\n".join([*lines, ""])


def opening(count: int, filled: dict[str, Any], opened: dict[str, Any]) -> str:
    """Show how long it takes to open a Map of so many keys."""
    lines = [
        f"| a Map of {count:,} keys, of 90 bytes each, its log compacted | |",
        "|---|--:|",
        f"| the file | {_mb(filled['file'])} |",
        f"| opening it after a kill | {opened['rate']:,.0f} entries/s |",
    ]
    return "\n".join([*lines, ""])


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
