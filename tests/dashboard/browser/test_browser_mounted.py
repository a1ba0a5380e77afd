"""The page in three frameworks, by their servers, in a browser."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import wait_until
from listening import listens
from mounted import APPS, PREFIX
from playwright.sync_api import expect
from programs import free_ports
from watching import Tab


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("framework", APPS)
def test_it_lives_under_a_prefix(framework: str, tab: Tab, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    program = Path(__file__).parents[2] / "support" / "mounted.py"
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, str(program), framework, str(port)], stdout=log, stderr=log
        )
    try:
        wait_until(lambda: server.poll() is not None or listens(port))
        page = tab.open(f"http://127.0.0.1:{port}{PREFIX}")
        assert page.url.partition("#")[0].endswith(f"{PREFIX}/")
        expect(page.locator(".detail h2")).to_have_text("a/b ä<b>")
        expect(page.locator(".tile.held .value")).to_have_text("3")
        expect(page.locator(".part")).to_have_count(2)
        assert all(PREFIX in url for url in tab.asked)
        tab.check()
    finally:
        server.kill()
        server.wait()
        sys.stdout.write((tmp_path / "log").read_text())
