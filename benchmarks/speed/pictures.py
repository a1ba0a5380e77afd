"""
The pictures, light and dark: what a write costs, by the numbers on the page; and a stall.

Text becomes outlines, so that it looks the same wherever there are other fonts.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from . import stall
from .report import OURS

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "partitioned-buffer"  # the same picture from the same numbers
mpl.rcParams["svg.fonttype"] = "path"
mpl.rcParams["font.family"] = "DejaVu Sans"  # which comes with it

SUBJECTS = {
    "list.append": "Writes, one thread",
    "queue.SimpleQueue.put": "Writes, one thread",
    "Queue.push": "Writes, one thread",
    "AsyncQueue.push_nowait": "asyncio: writes, one task",
    "Map.put, 1000 keys": "Writes, one thread",
    "asyncio.Queue.put_nowait": "asyncio: writes, one task",
    "OpenTelemetry emit": "Writes, one thread",
    "queue.Queue.put": "Writes, one thread",
}
"""Which are shown, and the heading of the table that has them; the others are in the tables."""
TIMES = (1, 3, 10, 30, 100)


class Colours(NamedTuple):
    """Of one background."""

    ground: str
    text: str
    faint: str
    lines: str
    ours: str
    others: str
    trouble: str


THEMES = {
    "light": Colours("#ffffff", "#1f2328", "#59636e", "#d8dee4", "#0969da", "#8c959f", "#bc4c00"),
    "dark": Colours("#0d1117", "#f0f6fc", "#9198a1", "#30363d", "#4493f8", "#8b949e", "#f0883e"),
}
Ratios = tuple[float, float, float]


def draw(page: str, folder: Path) -> None:
    """Draw all there are, into *folder*."""
    costs, looks = _costs(page), stall.run()
    for theme, colours in THEMES.items():
        for name, figure in {
            "writes": _writes(costs, colours),
            "stall": _stall(looks, colours),
        }.items():
            figure.savefig(folder / f"{name}-{theme}.svg", metadata={"Date": None})
            plt.close(figure)


def _figure(title: str, panels: int, height: float, colours: Colours) -> tuple[Any, list[Any]]:
    figure, all_axes = plt.subplots(
        panels,
        squeeze=False,
        sharex=True,
        figsize=(6.4, height),
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08),
    )
    figure.set_facecolor(colours.ground)
    figure.suptitle(title, x=0.016, ha="left", fontsize=13, fontweight="bold", color=colours.text)
    for axes in all_axes[:, 0]:
        axes.set_facecolor(colours.ground)
        axes.tick_params(colors=colours.faint, labelsize=11, length=0)
        axes.spines[:].set_visible(False)
        axes.grid(color=colours.lines, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, list(all_axes[:, 0])


# --- what a write costs ------------------------------------------------------------------


def _costs(page: str) -> dict[str, Ratios]:
    """Return the ratios of each subject by the tables on the page, sorted."""
    found = {name: _ratios(page, heading, name) for name, heading in SUBJECTS.items()}
    return dict(sorted(found.items(), key=lambda each: each[1][1]))


def _ratios(page: str, heading: str, name: str) -> Ratios:
    """Return the least, the median and the greatest."""
    table = page.partition(f"### {heading}\n")[2].partition("\n###")[0]
    escaped = re.escape(name.replace("_", r"\_"))
    row = re.search(rf"^\| (?:\*\*)?{escaped}(?:\*\*)? \|(.*)\|$", table, re.MULTILINE)
    if row is None:
        raise LookupError(f"{name}: not in the table below {heading!r}")
    low, median, high = map(float, row[1].split("|")[1:])
    return low, median, high


def _writes(costs: dict[str, Ratios], colours: Colours) -> Any:
    push, put = costs["Queue.push"][1], costs["queue.Queue.put"][1]
    title = f"A push costs {push:.1f} times a list.append,\na queue.Queue.put {put:.0f} times"
    figure, (axes,) = _figure(title, 1, 4.6, colours)
    for place, (name, (low, median, high)) in enumerate(costs.items()):
        colour = colours.ours if name.startswith(OURS) else colours.others
        axes.plot(
            [low, high], [place, place], color=colour, lw=5, alpha=0.35, solid_capstyle="round"
        )
        axes.plot([median], [place], "o", color=colour, ms=9)
        axes.annotate(
            f"{median:.0f}×" if median >= 10 else f"{median:.1f}×",
            (high, place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=colours.text,
            fontsize=11,
            bbox={"facecolor": colours.ground, "lw": 0, "pad": 1},  # over lines of the grid
        )
    names = [name.removesuffix(", 1000 keys") for name in costs]
    axes.set_yticks(range(len(costs)), names)
    for label in axes.get_yticklabels():
        is_ours = label.get_text().startswith(OURS)
        label.set(color=colours.text, fontweight="bold" if is_ours else "normal")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xscale("log")
    axes.set_xlim(0.5, 260)
    axes.set_xticks(TIMES, [f"{times}×" for times in TIMES])
    axes.minorticks_off()
    axes.set_xlabel("× list.append; log scale, less is better", color=colours.faint, fontsize=11)
    _legend(figure, colours)
    return figure


def _legend(figure: Any, colours: Colours) -> None:
    def dot(colour: str) -> Any:
        return Line2D([], [], marker="o", ms=9, lw=0, color=colour)

    spread = Line2D([], [], lw=5, alpha=0.5, color=colours.others, solid_capstyle="round")
    figure.legend(
        [dot(colours.ours), dot(colours.others), spread],
        ["this library", "others", "least to greatest of all rounds"],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=10.5,
        labelcolor=colours.faint,
        handlelength=1.2,
        columnspacing=1.4,
    )


# --- a stall -----------------------------------------------------------------------------


def _stall(looks: list[stall.Look], colours: Colours) -> Any:
    since, until = stall.STALL
    over = next(each.at for each in looks if each.at > until and each.held <= stall.RATE)
    title = (
        f"The sink stalls for {until - since:.0f} s: what is written waits,\n"
        f"and {over - until:.0f} s after the end all of it is delivered"
    )
    figure, panels = _figure(title, 2, 4.6, colours)
    times = [each.at for each in looks]
    for axes, values, name in zip(
        panels,
        ([each.held for each in looks], [each.age for each in looks]),
        ("items held", "age of the oldest, at most (s)"),
        strict=True,
    ):
        axes.axvspan(since, until, color=colours.trouble, alpha=0.14, lw=0)
        axes.fill_between(times, values, color=colours.ours, alpha=0.18, lw=0)
        axes.plot(times, values, color=colours.ours, lw=2)
        axes.set_title(name, loc="left", fontsize=11, color=colours.text)
        axes.set_ylim(0)
        axes.set_xlim(0, stall.END)
        axes.grid(visible=False, axis="x")
    panels[0].yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panels[1].set_xlabel(
        f"seconds; {stall.RATE:,} pushes per second throughout", color=colours.faint, fontsize=11
    )
    panels[0].annotate(
        "the sink stalls",
        (since, 1),
        xycoords=("data", "axes fraction"),
        xytext=(8, -8),
        textcoords="offset points",
        va="top",
        color=colours.trouble,
        fontsize=11,
    )
    return figure
