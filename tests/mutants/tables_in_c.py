"""
Break the tables in C, one place at a time, and see a test go red.

    python tests/mutants/tables_in_c.py [FIRST LETTERS OF A MUTANT'S NAME]

Each mutant is a copy of the package with one piece of text replaced, compiled by itself; the model,
stress, leak and interruption tests run over it until one fails. Listed is which did; a mutant that
no test noticed, or that does not compile, makes this fail.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLES = Path("partitioned_buffer", "_core", "tables")
TESTS = [
    "test_tables_walks.py",
    "test_tables_room.py",
    "test_tables_lastrefs.py",
    "test_leaks.py",
    "test_interruption.py",
    "test_tables_stress.py",
]


@dataclass(frozen=True)
class Mutant:
    name: str
    header: str
    old: str
    new: str


MUTANTS = [
    Mutant(
        "a bound off by one",
        "room",
        "items <= room->size - room->used)",
        "items <= room->size - room->used + 1)",
    ),
    Mutant(
        "bytes given back twice",
        "room",
        "POKE(room->used_bytes, room->used_bytes - bytes);",
        "POKE(room->used_bytes, room->used_bytes - 2 * bytes);",
    ),
    Mutant(
        "the line is not looked at",
        "room",
        "if (UNLIKELY(PEEK(room->line)) && !first && (items > 0 || bytes > 0)) {",
        "if (0) {",
    ),
    Mutant(
        "overwriting stands in line",
        "room",
        "&& !first && (items > 0 || bytes > 0)) {",
        "&& !first) {",
    ),
    Mutant("a closed table takes an item", "queue", "if (UNLIKELY(table->closed)) {", "if (0) {"),
    Mutant(
        "room is kept when memory is out or a put is refused",
        "map_write",
        "room_take(table->room, old ? 0 : 1, extra, write->first)",
        "room_take(table->room, 1, extra, write->first)",
    ),
    Mutant(
        "a coalesced put counts as a new one", "map_write", "map->table.coalesced++;", "(void)0;"
    ),
    Mutant("an equal version wins", "keys", "return small <= (other ?", "return small < (other ?"),
    Mutant(
        "what is given is deleted at once",
        "map_read",
        "if (flying && where == map->given) {",
        "if (0) {",
    ),
    Mutant(
        "a version is not forgotten by a delete",
        "map_read",
        "forget_version(map, stored);",
        "(void)0;",
    ),
    Mutant(
        "new keys go unnoticed",
        "map_write",
        "map->births++;\n    if (UNLIKELY(boxing)",
        "if (UNLIKELY(boxing)",
    ),
    Mutant("a foreign key goes unnoticed", "map_write", "map->foreign = 1;", "(void)0;"),
    Mutant(
        "a merge of what waits no more",
        "map_write",
        "if (map->merge && was.value != write->expected) {",
        "if (0) {",
    ),
    Mutant(
        "what is put over was changed meanwhile",
        "map_take",
        "|| new.value != pair->newer) {",
        ") {",
    ),
    Mutant(
        "the value that is replaced dies in the step",
        "map_write",
        "write->gone = Py_XNewRef(old);",
        "write->gone = NULL;",
    ),
    Mutant(
        "a Node's old value dies in the step",
        "map_write",
        "write->gone = node->value;\n    node->value",
        "Py_DECREF(node->value);\n    node->value",
    ),
    Mutant(
        "settled items die in the step",
        "queue_flight",
        "settled->items[settled->count++] = row->items[at];",
        "Py_DECREF(row->items[at]); settled->count++;",
    ),
    Mutant(
        "a reference too few for a taken item",
        "queue_flight",
        "PyList_SET_ITEM(batch, i, Py_NewRef(queue->flying.items[queue->hand_at + i]));",
        "PyList_SET_ITEM(batch, i, queue->flying.items[queue->hand_at + i]);",
    ),
    Mutant(
        "a reference too many for an entry",
        "entry",
        "PyTuple_SET_ITEM(entry, 1, Py_NewRef(is.value));",
        "PyTuple_SET_ITEM(entry, 1, Py_NewRef(Py_NewRef(is.value)));",
    ),
    Mutant(
        "kept items lose their order",
        "queue_flight",
        "row->items[end - kept] = row->items[at];",
        "row->items[queue->hand_at + queue->batch - 1] = row->items[at];",
    ),
    Mutant(
        "a swap over what is left", "queue_flight", "if (queue->flying.count == 0) {", "if (1) {"
    ),
    Mutant("what is reached moves, the walk does not", "map_flight", "last->next = 0;", ""),
    Mutant(
        "what is reached stays in the chain",
        "map_flight",
        "        if (map->linked) {\n            unchain",
        "        if (0) {\n            unchain",
    ),
    Mutant(
        "a hand is lost when more is reached",
        "queue",
        "    queue->hand_at = row->head;\n",
        "",
    ),
    Mutant(
        "buried are those that are kept",
        "table",
        "memset(places, !keep, count);",
        "memset(places, 0, count);",
    ),
    Mutant("the bell is rung again and again", "table", "&& !table->rung) {", ") {"),
    Mutant(
        "a generation of versions too early",
        "map_settle",
        "PyDict_GET_SIZE(map->recent) >= map->remember",
        "PyDict_GET_SIZE(map->recent) + 1 >= map->remember",
    ),
    Mutant(
        "hidden ones are delivered again",
        "map_flight",
        "if (!held_as(map->table.state, held).hidden) {\n            continue;",
        "if (1) {\n            continue;",
    ),
    Mutant(
        "the oldest is the newest",
        "map_read",
        "map->chain.first) {\n        Linked *link = map->chain.first;",
        "map->chain.last) {\n        Linked *link = map->chain.last;",
    ),
    Mutant(
        "nodes are not visited",
        "map_type",
        "map->mixed ? visit_nodes(state, dicts[i], visit, arg) : 0",
        "0",
    ),
    Mutant(
        "a plan that counts a key twice",
        "map_bulk",
        "bulk->births += old == NULL;",
        "bulk->births += planned == NULL;",
    ),
    Mutant(
        "a gap in front is taken for items",
        "queue",
        "Py_ssize_t to = row->head - queue->hand;",
        "Py_ssize_t to = row->head - queue->batch;",
    ),
]


def compile_in(folder: Path) -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    source = folder / TABLES / "_speed.c"
    subprocess.run(
        [
            os.environ.get("CC", "cc"), "-O1", "-fPIC", "-shared", "-w",
            f"-I{sysconfig.get_paths()['include']}", str(source),
            "-o", str(source.with_name(f"_speed{suffix}")),
        ],
        check=True,
    )  # fmt: skip


def noticed_by(mutant: Mutant) -> str | None:
    """Return which test failed; None: none did."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(
            ROOT / "src", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.so", "__py*")
        )
        header = folder / TABLES / "speed" / f"{mutant.header}.h"
        text = header.read_text()
        if text.count(mutant.old) < 1:
            raise SystemExit(f"{mutant.name}: no such text in {header.name}")
        header.write_text(text.replace(mutant.old, mutant.new))
        compile_in(folder)
        environment = os.environ | {"PYTHONPATH": name, "STRESS_SECONDS": "0.2"}
        for test in TESTS:
            command = [
                sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
                "--confcutdir=tests", f"tests/core/{test}", "-k", "not python",
            ]  # fmt: skip
            try:
                done = subprocess.run(
                    command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
                    check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return f"{test}: it hangs"
            if done.returncode:
                failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
                crashed = f"died of {-done.returncode}" if done.returncode < 0 else "error"
                return f"{test}: {failed[0].split('::')[-1].split(' - ')[0] if failed else crashed}"
    return None


def main() -> None:
    survivors = 0
    for mutant in MUTANTS:
        if not mutant.name.startswith(" ".join(sys.argv[1:])):
            continue
        by = noticed_by(mutant)
        survivors += by is None
        print(f"{mutant.name:52} {by or 'NOT NOTICED'}", flush=True)
    sys.exit(survivors > 0)


if __name__ == "__main__":
    main()
