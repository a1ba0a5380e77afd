"""What the documentation points at is there, and of the world outside it names few hosts."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
KNOWN_HOSTS = {"github.com", "keepachangelog.com", "semver.org"}
FOR_EXAMPLES = re.compile(r"(.+\.)?example\.(com|org|net)")  # RFC 2606: nobody's
OUTSIDE = re.compile(r"\b(?:[\w-]+\.)+(?:com|org|net|io)\b", re.IGNORECASE)


def without_code(text: str) -> str:
    return re.sub(r"^(`{3,})[^\n]*\n.*?^\1$|<!--.*?-->", "", text, flags=re.MULTILINE | re.DOTALL)


@cache
def anchors(page: Path) -> set[str]:
    """Return what code forges call the headings of *page*."""
    found = set[str]()
    for heading in re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
        slug = base = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        times = 0
        while slug in found:
            times += 1
            slug = f"{base}-{times}"
        found.add(slug)
    return found


def dead_links(page: Path, text: str) -> list[str]:
    """Return the links of *text*, which is that of *page*, that lead nowhere in the repository."""
    links = re.findall(r'\]\(([^)\s]+)\)|src(?:set)?="([^"]+)"', without_code(text))
    dead = []
    for link in (markdown or html for markdown, html in links):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


def outside(text: str) -> set[str]:
    """Return the hosts that *text* names, but for those that are known, or nobody's."""
    hosts = {host.lower() for host in OUTSIDE.findall(text)} - KNOWN_HOSTS
    return {host for host in hosts if not FOR_EXAMPLES.fullmatch(host)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert dead_links(page, page.read_text()) == []


def test_a_dead_link_is_found() -> None:
    text = "[a](guide.md) [b](gone.md) [c](guide.md#bounds) [d](guide.md#gone) [e](#gone)"
    picture = '<img src="gone.svg">'
    assert dead_links(DOCS / "outages.md", text + picture) == [
        "gone.md",
        "guide.md#gone",
        "#gone",
        "gone.svg",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_hosts_that_a_page_names_are_known(page: Path) -> None:
    """Where packages come from, above all, is the business of whoever installs them."""
    assert outside(page.read_text()) == set()


def test_an_unknown_host_is_found() -> None:
    text = "redis://cache.internal:6379 https://semver.org/x ops.example.org 'Some.Where.org' a.io."
    assert outside(text) == {"some.where.org", "a.io"}


@pytest.mark.parametrize("light", sorted(DOCS.rglob("happens-light.svg")), ids=lambda p: p.stem)
def test_a_picture_in_the_dark_is_the_same_but_for_its_colours(light: Path) -> None:
    dark = light.with_name(light.name.replace("light", "dark"))
    shape, other = (re.sub("#[0-9a-f]{6}", "#", each.read_text()) for each in (light, dark))
    assert shape == other
