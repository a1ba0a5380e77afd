"""Tables for the page."""

from statistics import median, quantiles

from .measure import Row
from .reference import Beside
from .watched import Pair

OURS = ("Queue", "Map", "AsyncQueue", "await AsyncQueue")


def _name(name: str) -> str:
    escaped = name.replace("_", r"\_")
    return f"**{escaped}**" if name.startswith(OURS) else escaped


def ratio_table(rows: dict[str, Row], floor: str) -> str:
    """Show each row's time as a multiple of the floor's in the same round."""
    lines = [f"| | ns | × `{floor}`: min | median | max |", "|---|--:|--:|--:|--:|"]
    for name, row in rows.items():
        low, middle, high = row.ratios(rows[floor])
        lines.append(
            f"| {_name(name)} | {row.median:.0f} | {low:.2f} | {middle:.2f} | {high:.2f} |"
        )
    return "\n".join([*lines, ""])


def rate_table(rows: dict[str, Row], base: str) -> str:
    """Show each row's rate, and as a multiple of the base's in the same round."""
    lines = [f"| | M items/s | × {base}: min | median | max |", "|---|--:|--:|--:|--:|"]
    for name, row in rows.items():
        low, middle, high = rows[base].ratios(row)
        rate = 1000 / row.median
        lines.append(f"| {_name(name)} | {rate:.2f} | {low:.2f} | {middle:.2f} | {high:.2f} |")
    return "\n".join([*lines, ""])


def pair_table(pairs: dict[str, tuple[float, float, float]]) -> str:
    """Show how two rows compare, by the least, the median and the greatest ratio."""
    lines = ["| | min | median | max |", "|---|--:|--:|--:|"]
    for name, (low, middle, high) in pairs.items():
        lines.append(f"| {_name(name)} | {low:.2f} | {middle:.2f} | {high:.2f} |")
    return "\n".join([*lines, ""])


def memory_table(used: dict[str, float]) -> str:
    """Show bytes."""
    lines = ["| | bytes |", "|---|--:|"]
    lines += [f"| {_name(name)} | {size:.1f} |" for name, size in used.items()]
    return "\n".join([*lines, ""])


def beside_table(rows: dict[str, Beside], unit: str, digits: int = 0) -> str:
    """Show the reference's figures and ours, and how many times less ours are."""
    lines = [
        f"| | {unit}, an int: Elixir's | ours | × | a map of five: Elixir's | ours | × |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, (theirs, ours) in rows.items():
        cells = [
            f"{its:.0f} | {own:.{digits}f} | {its / own:.1f}"
            for its, own in zip(theirs, ours, strict=True)
        ]
        lines.append(f"| {_name(name)} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def watched_table(pairs: dict[str, list[Pair]]) -> str:
    """Show how many items go through with everything that watches on, beside off; and the CPU."""
    lines = [
        "| | items/s off | on | on ÷ off: min | median | max | CPU µs/item off | on |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, those in pairs.items():
        off, on = [pair.off for pair in those], [pair.on for pair in those]
        ratios = [pair.on.rate / pair.off.rate for pair in those]
        rates = [f"{median(run.rate for run in runs):,.0f}" for runs in (off, on)]
        marks = [f"{each(ratios):.2f}" for each in (min, median, max)]
        works = [f"{1e6 * median(run.work for run in runs):.2f}" for runs in (off, on)]
        lines.append(f"| {' | '.join([name, *rates, *marks, *works])} |")
    return "\n".join([*lines, ""])


def measured_table(rows: dict[str, tuple[Row, Row]]) -> str:
    """Show what a batch takes that is measured, beside one that is not."""
    lines = [
        "| a batch of 10 | µs measured | not | measured ÷ not: lower quartile | median | upper |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, (on, off) in rows.items():
        each = quantiles((a / b for a, b in zip(on.times, off.times, strict=True)), n=4)
        ratios = " | ".join(f"{ratio:.2f}" for ratio in each)
        lines.append(f"| {name} | {on.median / 1000:.2f} | {off.median / 1000:.2f} | {ratios} |")
    return "\n".join([*lines, ""])
