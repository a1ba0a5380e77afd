"""The file of slots is mapped only where writing to it takes no room."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from partitioned_buffer.storage.sqlite import slots
from partitioned_buffer.storage.sqlite.slots import mapped

SIZE = 4096

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is mapped elsewhere")


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    os.write(opened, bytes(SIZE))
    yield opened
    os.close(opened)


@pytest.fixture
def mounts(tmp_path: Path, fd: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the system says of the file systems: that there is ext4 where the file is."""
    path = tmp_path / "mountinfo"
    monkeypatch.setattr(slots, "_MOUNTS", path)
    return mounted(path, fd, "ext4")


def mounted(path: Path, fd: int, kind: str) -> Path:
    device = os.fstat(fd).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    path.write_text(
        "22 27 999:21 / /proc rw,relatime - proc proc rw\n"
        f"27 1 {number} / /a\\040place rw,relatime shared:1 - {kind} /dev/sda1 rw\n"
    )
    return path


def test_what_is_written_to_a_map_is_in_the_file(fd: int, mounts: Path) -> None:
    assert mounts.exists()
    made = mapped(fd, SIZE)
    assert made is not None
    made[10:13] = b"abc"
    assert os.pread(fd, 3, 10) == b"abc"


@pytest.mark.parametrize("kind", ["btrfs", "zfs", "fuse.other"])
def test_none_is_where_each_write_takes_new_room(kind: str, fd: int, mounts: Path) -> None:
    mounted(mounts, fd, kind)
    assert mapped(fd, SIZE) is None


def test_none_is_where_the_file_system_is_not_known(fd: int, mounts: Path) -> None:
    mounts.write_text("22 27 999:21 / /proc rw,relatime - proc proc rw\n")
    assert mapped(fd, SIZE) is None
    mounts.write_text("and what is no list of file systems\n")
    assert mapped(fd, SIZE) is None
    mounts.unlink()
    assert mapped(fd, SIZE) is None


def test_none_is_of_a_file_that_has_no_room(
    fd: int, mounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mounts.exists()

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert mapped(fd, SIZE) is None
