"""
Break the tables in C, one place at a time, and see a test go red.

    python tests/mutants/tables_in_c.py [FIRST LETTERS OF A MUTANT'S NAME]

Each is compiled by itself; the model, stress, leak and interruption tests run over it.
"""

from breaking import Mutant, break_each

TESTS = (
    "test_tables_walks.py",
    "test_tables_room.py",
    "test_tables_lastrefs.py",
    "test_leaks.py",
    "test_interruption.py",
    "test_tables_stress.py",
)
WATCHES = ("test_stopwatch.py",)
ENTRIES = ("test_entries.py", "test_map.py", "test_tables_model.py")

MUTANTS = [
    Mutant(
        "a bound off by one",
        "tables/speed/room.h",
        "items <= room->size - PEEK(room->used) - line)",
        "items <= room->size - PEEK(room->used) - line + 1)",
    ),
    Mutant(
        "bytes given back twice",
        "tables/speed/room.h",
        "POKE(room->used_bytes, room->used_bytes - bytes);",
        "POKE(room->used_bytes, room->used_bytes - 2 * bytes);",
    ),
    Mutant(
        "the line is not looked at",
        "tables/speed/room.h",
        "Py_ssize_t line = first ? 0 : PEEK(room->line), line_bytes",
        "Py_ssize_t line = 0, line_bytes",
    ),
    Mutant(
        "overwriting stands in line",
        "tables/speed/room.h",
        "return (items <= 0 || items",
        "return (items",
    ),
    Mutant(
        "a closed table takes an item",
        "tables/speed/queue.h",
        "if (UNLIKELY(table->closed)) {",
        "if (0) {",
    ),
    Mutant(
        "room is kept when memory is out or a put is refused",
        "tables/speed/map_write.h",
        "room_take(table->room, old ? 0 : 1, extra, write->first)",
        "room_take(table->room, 1, extra, write->first)",
    ),
    Mutant(
        "a coalesced put counts as a new one",
        "tables/speed/map_write.h",
        "map->table.coalesced++;",
        "(void)0;",
    ),
    Mutant(
        "an equal version wins",
        "tables/speed/keys.h",
        "return small <= (other ?",
        "return small < (other ?",
    ),
    Mutant(
        "what is given is deleted at once",
        "tables/speed/map_read.h",
        "if (flying && where == map->given) {",
        "if (0) {",
    ),
    Mutant(
        "a version is not forgotten by a delete",
        "tables/speed/map_read.h",
        "forget_version(map, stored);",
        "(void)0;",
    ),
    Mutant(
        "new keys go unnoticed",
        "tables/speed/map_write.h",
        "map->births++;\n    if (UNLIKELY(boxing)",
        "if (UNLIKELY(boxing)",
    ),
    Mutant(
        "a foreign key goes unnoticed",
        "tables/speed/map_write.h",
        "NOTE(map->foreign);",
        "(void)0;",
    ),
    Mutant(
        "a merge of what waits no more",
        "tables/speed/map_write.h",
        "if (map->merge && was.value != write->expected) {",
        "if (0) {",
    ),
    Mutant(
        "what is put over was changed meanwhile",
        "tables/speed/map_take.h",
        "|| new.value != pair->newer) {",
        ") {",
    ),
    Mutant(
        "the value that is replaced dies in the step",
        "tables/speed/map_write.h",
        "write->gone = Py_XNewRef(old);",
        "write->gone = NULL;",
    ),
    Mutant(
        "what runs code when it dies is not noted",
        "tables/speed/map_write.h",
        "map->loud |= !quiet;",
        "",
    ),
    Mutant(
        "nor is what many writes bring",
        "tables/speed/map_bulk.h",
        "map->loud |= bulk->count > 0;",
        "",
    ),
    Mutant(
        "a key that is known counts as new",
        "tables/speed/map_write.h",
        "if (PyDict_GET_SIZE(map->waiting) != before) {\n        map->births++;",
        "if (1) {\n        map->births++;",
    ),
    Mutant(
        "a Node's old value dies in the step",
        "tables/speed/map_write.h",
        "write->gone = node->value;\n    node->value",
        "Py_DECREF(node->value);\n    node->value",
    ),
    Mutant(
        "settled items die in the step",
        "tables/speed/queue_flight.h",
        "settled->items[settled->count++] = row->items[at];",
        "Py_DECREF(row->items[at]); settled->count++;",
    ),
    Mutant(
        "a reference too few for a taken item",
        "tables/speed/queue_flight.h",
        "PyList_SET_ITEM(batch, i, Py_NewRef(queue->flying.items[queue->hand_at + i]));",
        "PyList_SET_ITEM(batch, i, queue->flying.items[queue->hand_at + i]);",
    ),
    Mutant(
        "a reference too many for an entry",
        "tables/speed/entry.h",
        "PyTuple_SET_ITEM(entry, 1, Py_NewRef(is.value));",
        "PyTuple_SET_ITEM(entry, 1, Py_NewRef(Py_NewRef(is.value)));",
    ),
    Mutant(
        "an entry ends all that is in it on C's stack",
        "tables/speed/spare.h",
        "           && spares.nested < NESTED;",
        "           ;",
        tests=ENTRIES,
    ),
    Mutant(
        "a class that is referred to for ever",
        "tables/speed/spare.h",
        "type->tp_free(entry);\n    Py_DECREF(type);",
        "type->tp_free(entry);",
        tests=ENTRIES,
    ),
    Mutant(
        "a finalizer that is not called",
        "tables/speed/spare.h",
        "UNLIKELY(type->tp_finalize != NULL)",
        "0",
        tests=ENTRIES,
    ),
    Mutant(
        "a spare entry of another size",
        "tables/speed/spare.h",
        " && Py_SIZE(entry) == FIELDS",
        "",
        tests=ENTRIES,
    ),
    Mutant(
        "a spare entry that the collector has",
        "tables/speed/spare.h",
        "    PyObject_GC_UnTrack(entry);\n",
        "",
        tests=ENTRIES,
    ),
    Mutant(
        "fields that live on",
        "tables/speed/spare.h",
        "Py_XDECREF(field);",
        ";",
        tests=ENTRIES,
    ),
    Mutant(
        "what was left over is not made new",
        "tables/speed/map_take.h",
        "if (moves && !map->leftover && size",
        "if (moves && size",
    ),
    Mutant(
        "a whole table has boxes",
        "tables/speed/map_take.h",
        "has_boxes(map) ? given_entries(map) : given_table(map)",
        "given_table(map)",
        tests=ENTRIES,
    ),
    Mutant(
        "kept items lose their order",
        "tables/speed/queue_flight.h",
        "row->items[end - kept] = row->items[at];",
        "row->items[queue->hand_at + queue->batch - 1] = row->items[at];",
    ),
    Mutant(
        "a swap over what is left",
        "tables/speed/queue_flight.h",
        "if (queue->flying.count == 0) {",
        "if (1) {",
    ),
    Mutant(
        "what is reached moves, the walk does not",
        "tables/speed/map_flight.h",
        "last->next = 0;",
        "",
    ),
    Mutant(
        "what is reached stays in the chain",
        "tables/speed/map_flight.h",
        "        if (map->linked) {\n            unchain",
        "        if (0) {\n            unchain",
    ),
    Mutant(
        "a hand is lost when more is reached",
        "tables/speed/queue.h",
        "    queue->hand_at = row->head;\n",
        "",
    ),
    Mutant(
        "buried are those that are kept",
        "tables/speed/table.h",
        "memset(places, !keep, count);",
        "memset(places, 0, count);",
    ),
    Mutant("the bell is rung again and again", "tables/speed/table.h", "&& !table->rung) {", ") {"),
    Mutant(
        "a generation of versions too early",
        "tables/speed/map_settle.h",
        "PyDict_GET_SIZE(map->recent) >= map->remember",
        "PyDict_GET_SIZE(map->recent) + 1 >= map->remember",
    ),
    Mutant(
        "hidden ones are delivered again",
        "tables/speed/map_flight.h",
        "if (!held_as(map->table.state, held).hidden) {\n            continue;",
        "if (1) {\n            continue;",
    ),
    Mutant(
        "the oldest is the newest",
        "tables/speed/map_read.h",
        "map->chain.first) {\n        Linked *link = map->chain.first;",
        "map->chain.last) {\n        Linked *link = map->chain.last;",
    ),
    Mutant(
        "nodes are not visited",
        "tables/speed/map_type.h",
        "map->mixed ? visit_nodes(state, dicts[i], visit, arg) : 0",
        "0",
    ),
    Mutant(
        "a plan that counts a key twice",
        "tables/speed/map_bulk.h",
        "bulk->births += old == NULL;",
        "bulk->births += planned == NULL;",
    ),
    Mutant(
        "a gap in front is taken for items",
        "tables/speed/queue.h",
        "Py_ssize_t to = row->head - queue->hand;",
        "Py_ssize_t to = row->head - queue->batch;",
    ),
    Mutant(
        "a bound is part of what is above it",
        "tables/speed/stopwatch.h",
        "if (watch->bounds[middle] < seconds) {",
        "if (watch->bounds[middle] <= seconds) {",
        tests=WATCHES,
    ),
    Mutant(
        "the next call begins with the one before",
        "tables/speed/stopwatch.h",
        "    watch->began = now;\n}",
        "}",
        tests=WATCHES,
    ),
    Mutant(
        "another attempt is a batch",
        "tables/speed/stopwatch.h",
        "watch->times.batches += !again;",
        "watch->times.batches++;",
        tests=WATCHES,
    ),
    Mutant(
        "the longest is the last",
        "tables/speed/stopwatch.h",
        "place && seconds > watch->times.longest",
        "place",
        tests=WATCHES,
    ),
    Mutant(
        "what the clock raised is overheard",
        "tables/speed/stopwatch.h",
        "            Py_CLEAR(time);",
        "            PyErr_Clear();",
        tests=WATCHES,
    ),
    Mutant(
        "a watch does not show what reads its clock",
        "tables/speed/stopwatch.h",
        "Py_VISIT(watch->monotonic);",
        ";",
        tests=WATCHES,
    ),
    Mutant(
        "what is dealt out is not copied before",
        "tables/speed/deal.h",
        "PyList_AsTuple(entries)",
        "Py_NewRef(entries)",
        tests=("test_deal.py",),
    ),
    Mutant(
        "a version is dealt out unseen",
        "tables/speed/deal.h",
        "!PyLong_CheckExact(version = PyTuple_GET_ITEM(entry, 2))",
        "!(version = PyTuple_GET_ITEM(entry, 2))",
        tests=("test_deal.py",),
    ),
    Mutant(
        "weights are not asked for",
        "tables/speed/deal.h",
        "core->tables == NULL || core->weigh",
        "core->tables == NULL",
        tests=("test_deal.py",),
    ),
    Mutant(
        "a list is pushed without its weights",
        "tables/speed/writers.h",
        "core->tables == NULL || core->weigh || !PyList_CheckExact",
        "core->tables == NULL || !PyList_CheckExact",
        tests=("test_bounds.py",),
    ),
    Mutant(
        "a list that found no room is let go",
        "tables/speed/writers.h",
        "outcome == MADE",
        "outcome != FAILED",
        within="Core_push_all(",
        tests=("test_bounds.py",),
    ),
    Mutant(
        "weights are summed beyond what a number holds",
        "tables/speed/queue.h",
        "*sum = sum_of(*sum, weights[i]);",
        "*sum = (Py_ssize_t)((size_t)*sum + (size_t)weights[i]);",
        tests=("test_large_sizes.py",),
    ),
]


if __name__ == "__main__":
    break_each(MUTANTS, TESTS, compiled=True)
