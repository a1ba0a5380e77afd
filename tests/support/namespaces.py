"""Another host, as far as the network goes: what is sent there may vanish, and nobody says so."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Sequence

import pytest

_numbers = itertools.count()


class Elsewhere:
    """A namespace of the kernel's, with a cable to this one."""

    def __init__(self) -> None:
        if shutil.which("ip") is None:
            missing = "there is no program `ip` (iproute2)"
            (pytest.fail if os.environ.get("SERVERS") == "required" else pytest.skip)(missing)
        number = next(_numbers)
        self._name, end = f"pb-{os.getpid()}-{number}", f"pb{os.getpid()}{number}"
        self._here, there = f"{end}a", f"{end}b"
        net = f"10.231.{os.getpid() % 256}"
        self.server, self.inside = f"{net}.{4 * number + 1}", f"{net}.{4 * number + 2}"
        self._do("ip", "netns", "add", self._name)
        try:
            self._do("ip", "link", "add", self._here, "type", "veth", "peer", "name", there)
            self._do("ip", "link", "set", there, "netns", self._name)
            self._do("ip", "addr", "add", f"{self.server}/30", "dev", self._here)
            self._do("ip", "link", "set", self._here, "up")
            self._do(*self.command, "ip", "addr", "add", f"{self.inside}/30", "dev", there)
            for device in (there, "lo"):
                self._do(*self.command, "ip", "link", "set", device, "up")
        except BaseException:
            self.close()
            raise

    @property
    def command(self) -> Sequence[str]:
        """What comes before a command to have it run there, as the same process."""
        return "ip", "netns", "exec", self._name

    def _do(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"the kernel has no other network for us: {done.stderr.strip()}")

    def cut(self) -> None:
        """Have all vanish, both ways."""
        self._do("ip", "link", "set", self._here, "down")

    def mend(self) -> None:
        self._do("ip", "link", "set", self._here, "up")

    def close(self) -> None:
        for command in (("link", "del", self._here), ("netns", "del", self._name)):
            subprocess.run(("ip", *command), capture_output=True, check=False)
