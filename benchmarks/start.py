"""
How long the command line takes to start, beside Python alone, in turns, in one run.

    python benchmarks/start.py [ROUNDS]

What is compiled is kept in a folder of its own, as an installation has it. Counted is the time of a
processor, which others that work on the machine change least.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SUBJECTS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import argparse'": ["-c", "import argparse"],
    "import partitioned_buffer": ["-c", "import partitioned_buffer"],
    "partitioned-buffer --help": ["-m", "partitioned_buffer", "--help"],
    "partitioned-buffer drain --help": ["-m", "partitioned_buffer", "drain", "--help"],
    "partitioned-buffer nosuch": ["-m", "partitioned_buffer", "nosuch"],
    "partitioned-buffer inspect nosuch.db": ["-m", "partitioned_buffer", "inspect", "nosuch.db"],
    "from partitioned_buffer import Queue": ["-c", "from partitioned_buffer import Queue"],
}


def seconds(arguments: list[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *arguments]
    subprocess.run(command, env=environment, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    source = str(Path(__file__).parents[1] / "src")
    with tempfile.TemporaryDirectory() as folder:
        left_out = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        environment |= {"PYTHONPATH": source, "PYTHONPYCACHEPREFIX": folder}
        for arguments in SUBJECTS.values():
            seconds(arguments, environment)  # which compiles
        took: dict[str, list[float]] = {name: [] for name in SUBJECTS}
        for _ in range(rounds):
            for name, arguments in SUBJECTS.items():
                took[name].append(seconds(arguments, environment))
    alone = statistics.median(took["python -c pass"])
    for name, each in took.items():
        middle = statistics.median(each)
        print(
            f"{name:40} {min(each) * 1e3:6.0f} ms at best, {middle * 1e3:6.0f} ms in the middle, "
            f"{(middle - alone) * 1e3:+6.0f} ms beyond Python"
        )


if __name__ == "__main__":
    main()
