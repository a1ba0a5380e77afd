"""Tables for the page, and the plot."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from .measure import Row

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "partitioned-buffer"  # the same picture from the same numbers

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


def plot(panels: dict[str, dict[str, Row]], floor: str, path: Path) -> None:
    """Draw writes, a panel of them for each kind of writer, on one scale."""
    sizes = [len(rows) for rows in panels.values()]
    figure, all_axes = plt.subplots(
        len(panels),
        squeeze=False,
        sharex=True,
        height_ratios=sizes,
        figsize=(8, 0.36 * sum(sizes) + 0.8 * len(sizes) + 0.4),
        layout="constrained",
    )
    for axes, (title, rows) in zip(all_axes[:, 0], panels.items(), strict=True):
        _draw(axes, rows, floor)
        axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(f"time per item, as a multiple of {floor} (log scale; less is better)")
    figure.savefig(path, metadata={"Date": None})


def _draw(axes: Any, rows: dict[str, Row], floor: str) -> None:
    """Draw the median as a bar, least and greatest as a whisker, on a log scale."""
    names = list(rows)[::-1]
    ratios = [rows[name].ratios(rows[floor]) for name in names]
    middles = [middle for _, middle, _ in ratios]
    whiskers = [
        [middle - low for low, middle, _ in ratios],
        [high - middle for _, middle, high in ratios],
    ]
    colours = ["#2a6fbb" if name.startswith(OURS) else "#b8bec6" for name in names]
    axes.barh(names, middles, xerr=whiskers, color=colours, ecolor="#555", capsize=2)
    for place, middle in enumerate(middles):
        axes.text(middle, place + 0.3, f" {middle:.1f}", va="center", fontsize=7, color="#333")
    axes.set_xscale("log")
    axes.margins(y=0.01)
    axes.spines[["top", "right"]].set_visible(False)
