"""
Compile the tables where that can be done.

A wheel with them is for one platform and one Python, and its name says so; where there is no
compiler, it is a pure one, and the tables are the modules in Python. An editable installation
has them compiled beside their source.

PARTITIONED_BUFFER_SPEED=0 builds a pure wheel; =1 fails if it cannot be compiled. CFLAGS and
LDFLAGS are the compiler's, as always.
"""

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "partitioned_buffer._core.tables"
NAME = f"{PACKAGE}._speed"
WANTED = os.environ.get("PARTITIONED_BUFFER_SPEED", "")


class CustomBuildHook(BuildHookInterface[Any]):
    """What hatchling calls before it makes a wheel."""

    _made_in: str | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the wheel contain what was made; or say why not."""
        if WANTED == "0" or (sys.implementation.name != "cpython" and WANTED != "1"):
            return
        self._made_in = tempfile.mkdtemp()
        beside = version == "editable"
        try:
            made = compiled(Path(self.root), None if beside else Path(self._made_in))
        except (Exception, SystemExit) as error:
            if WANTED == "1":
                raise
            reason = " ".join(str(error).split())
            sys.stderr.write(f"partitioned-buffer: not compiled, pure Python instead: {reason}\n")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if not beside:
            build_data["force_include"][str(made)] = f"{PACKAGE.replace('.', '/')}/{made.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clear away what the wheel has a copy of."""
        del version, build_data, artifact_path
        if self._made_in is not None:
            shutil.rmtree(self._made_in, ignore_errors=True)


def compiled(root: Path, folder: Path | None) -> Path:
    """Compile into *folder*, or beside the source; return the path of what was made."""
    from setuptools import Distribution, Extension  # noqa: PLC0415  # a pure wheel takes none

    source = root / "src" / PACKAGE.replace(".", "/")
    extension = Extension(
        NAME,
        [str(source / "_speed.c")],
        # Elsewhere the header of a free-threaded Python says so itself.
        define_macros=[("Py_GIL_DISABLED", "1")]
        if os.name == "nt" and sysconfig.get_config_var("Py_GIL_DISABLED")
        else [],
    )
    distribution = Distribution({"name": "partitioned-buffer", "ext_modules": [extension]})
    command = distribution.get_command_obj("build_ext")
    command.ensure_finalized()
    with tempfile.TemporaryDirectory() as objects:
        command.build_lib = str(root / "src" if folder is None else folder)
        command.build_temp = objects
        command.force = True
        command.run()
    return Path(command.get_ext_fullpath(NAME))
