/* The type of a Map's table: made, read as a whole, let go of. */
#ifndef PARTITIONED_BUFFER_MAP_TYPE_H
#define PARTITIONED_BUFFER_MAP_TYPE_H

#include "map_bulk.h"
#include "map_take.h"

/* In a step: all that is held, oldest first. Returns how many were filled, or -1. */
static Py_ssize_t
fill_all(Map *map, PyObject *list)
{
    PyObject *dicts[PARTS + 3] = {map->given, map->hand};
    Py_ssize_t at = 0;
    for (int i = 0; i < map->parts; i++) {
        dicts[2 + i] = map->line[i].dict;
    }
    dicts[2 + map->parts] = map->waiting;
    for (int i = 0; i < map->parts + 3 && at >= 0; i++) {
        Py_ssize_t next = 0;
        at = fill_entries(map->table.state, list, at, dicts[i], &next, NO_LIMIT);
    }
    return at;
}

static PyObject *
Map_held(Map *map, PyObject *Py_UNUSED(ignored))
{
    for (;;) {
        Py_ssize_t count = Table_len(&map->table), filled = 0;
        PyObject *list = blank_entries(map->table.state, count + count / 8 + 8);
        int fits;
        if (list == NULL) {
            return NULL;
        }
        STEP(&map->table);
        count = map_waiting(&map->table) + map_in_flight(&map->table);
        fits = count <= PyList_GET_SIZE(list);
        if (fits) {
            filled = fill_all(map, list);
        }
        DONE(&map->table);
        list = whole_entries(list, filled);
        if (fits || list == NULL) {
            return list;
        }
        Py_DECREF(list);  /* others wrote in between */
    }
}

/* What a table holds in dicts, and what it would hold when it is new. */
typedef struct {
    PyObject *waiting, *given, *hand, *recent, *older, *faults;
    Part line[PARTS];
    int parts;
} Contents;

static int
contents_new(Contents *contents)
{
    memset(contents, 0, sizeof *contents);
    contents->waiting = PyDict_New();
    contents->recent = PyDict_New();
    contents->older = PyDict_New();
    contents->faults = PyList_New(0);
    return contents->waiting && contents->recent && contents->older && contents->faults ? 0 : -1;
}

static void
contents_go(Contents *contents)
{
    PyObject *all[] = {contents->waiting, contents->given, contents->hand, contents->recent,
                       contents->older, contents->faults};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        Py_XDECREF(all[i]);
    }
    for (int i = 0; i < contents->parts; i++) {
        Py_DECREF(contents->line[i].dict);
    }
}

/* In a step: give the table these, and get what it had. */
static void
contents_exchange(Map *map, Contents *contents)
{
    Contents had = {map->waiting, map->given, map->hand, map->recent, map->older, map->faults,
                    {{0}}, map->parts};
    memcpy(had.line, map->line, sizeof had.line);
    map->waiting = contents->waiting;
    map->given = contents->given;
    map->hand = contents->hand;
    map->recent = contents->recent;
    map->older = contents->older;
    map->faults = contents->faults;
    map->parts = contents->parts;
    map->chain = (Chain){NULL, NULL};
    map->hidden = map->births = 0;
    map->foreign = map->mixed = map->loud = map->leftover = 0;
    *contents = had;
}

static PyObject *
Map_reset(Map *map, PyObject *Py_UNUSED(ignored))
{
    Contents contents;
    FRESH_LOCK(&map->table);
    if (contents_new(&contents) < 0) {
        contents_go(&contents);
        return NULL;
    }
    STEP(&map->table);
    contents_exchange(map, &contents);
    forget_counts(&map->table);
    DONE(&map->table);
    contents_go(&contents);
    set_wake(&map->table, Py_None);
    Py_RETURN_NONE;
}

static int
Map_traverse(Map *map, visitproc visit, void *arg)
{
    State *state = map->table.state;
    PyObject *dicts[PARTS + 3] = {map->waiting, map->given, map->hand};
    for (int i = 0; i < map->parts; i++) {
        dicts[3 + i] = map->line[i].dict;
    }
    for (int i = 0; i < map->parts + 3; i++) {
        int stop = map->mixed ? visit_nodes(state, dicts[i], visit, arg) : 0;
        if (stop) {
            return stop;
        }
        Py_VISIT(dicts[i]);
    }
    Py_VISIT(map->recent);
    Py_VISIT(map->older);
    Py_VISIT(map->merge);
    Py_VISIT(map->weigh);
    Py_VISIT(map->faults);
    return Table_traverse(&map->table, visit, arg);
}

/* Empty it: a table that is garbage may still be asked by other garbage, and has all its dicts. */
static int
Map_clear(Map *map)
{
    Contents contents;
    if (map->waiting) {
        if (contents_new(&contents) == 0) {
            contents_exchange(map, &contents);
        }
        contents_go(&contents);  /* what it had; or what there is of new ones, for want of memory */
    }
    PyErr_Clear();
    Py_CLEAR(map->merge);
    Py_CLEAR(map->weigh);
    Table_clear(&map->table);
    return 0;
}

static void
Map_dealloc(Map *map)
{
    Contents nothing = {0};
    PyObject_GC_UnTrack(map);
    if (map->table.weak) {
        PyObject_ClearWeakRefs((PyObject *)map);
    }
    map->table.closed = 1;
    contents_exchange(map, &nothing);
    contents_go(&nothing);
    Py_CLEAR(map->merge);
    Py_CLEAR(map->weigh);
    Table_dealloc(&map->table);
}

static int
map_init(Map *map, PyObject *room, PyObject *merge, PyObject *weigh)
{
    Contents contents;
    if (Table_init(&map->table, &map_kind, room) < 0) {
        return -1;
    }
    if (contents_new(&contents) < 0) {
        contents_go(&contents);
        return -1;
    }
    contents_exchange(map, &contents);
    map->merge = merge == Py_None ? NULL : Py_NewRef(merge);
    map->weigh = weigh == Py_None ? NULL : Py_NewRef(weigh);
    map->linked = map->table.room && map->table.room->when_full == DROP_OLDEST;
    map->simple = !map->linked && !is_weighed(&map->table) && map->merge == NULL;
    return Table_join(&map->table);
}

static PyObject *
Map_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"room", "merge", "remember", "weigh", NULL};
    PyObject *room = Py_None, *merge = Py_None, *weigh = Py_None;
    Py_ssize_t remember = 100000;
    Map *map;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOnO:MapTable", names, &room, &merge,
                                     &remember, &weigh)) {
        return NULL;
    }
    map = (Map *)type->tp_alloc(type, 0);
    if (map == NULL) {
        return NULL;
    }
    map->remember = remember;
    if (map_init(map, room, merge, weigh) < 0) {
        Py_DECREF(map);
        return NULL;
    }
    return (PyObject *)map;
}

static PyMethodDef Map_methods[] = {
    PLACES("put", Map_put,
           "put($self, key, value, version=None, weight=0, first=False, /)\n--\n\n"
           "Accept a value, or one that is newer."),
    PLACES("put_all", Map_put_all,
           "put_all($self, ops, first=False, /)\n--\n\nAccept all (key, value, version, weight), "
           "or none; nothing is merged."),
    ONE("needs", Map_needs, "needs($self, ops, /)\n--\n\nReturn how much new room they take."),
    PLACES("get", Map_get, "get($self, key, default=None, /)\n--\n\nReturn the value held."),
    ONE("has", Map_has, "has($self, key, /)\n--\n\nReturn whether a value is held."),
    ONE("delete", Map_delete, "delete($self, key, /)\n--\n\nForget a key."),
    TABLE_METHODS,
    NOTHING("swap", Map_swap,
            "swap($self, /)\n--\n\nPut in flight what waits, if nothing is; return how much is."),
    PLACES("take", Map_take,
           "take($self, size=None, /)\n--\n\nReturn the next in flight; acknowledge the last."),
    NOTHING("take_table", Map_take_table,
            "take_table($self, /)\n--\n\nAs take(None): a dict, unless its keys are in boxes."),
    ONE("reach", Map_reach,
        "reach($self, count, /)\n--\n\nPut some of what waits behind what is in flight; return "
        "how many."),
    PLACES("again", Map_again,
           "again($self, size=None, newest=True, /)\n--\n\nReturn the first in hand, anew."),
    NOTHING("acknowledge", Map_acknowledge,
            "acknowledge($self, /)\n--\n\nWhat was returned last is delivered; return how much."),
    PLACES("bury", Map_bury,
           "bury($self, places=None, /)\n--\n\nThese are dead-lettered, the others stay in hand; "
           "return how many."),
    PLACES("keep", Map_keep,
           "keep($self, places=None, /)\n--\n\nKeep these in hand, the others are delivered."),
    NOTHING("release", Map_release,
            "release($self, /)\n--\n\nWhat is in hand is first in line again."),
    NOTHING("held", Map_held,
            "held($self, /)\n--\n\nReturn all that is not settled, oldest first."),
    NOTHING("faults", Map_faults,
            "faults($self, /)\n--\n\nReturn what `merge` raised in the worker meanwhile."),
    NOTHING("reset", Map_reset,
            "reset($self, /)\n--\n\nBe empty and closed, in a forked child."),
    {NULL},
};

static PyType_Slot Map_slots[] = {
    {Py_tp_doc, "MapTable(room=None, merge=None, remember=100000, weigh=None)\n--\n\n"
                "Entries by key: the last write wins, or the newest version."},
    {Py_tp_new, Map_new},
    {Py_tp_traverse, Map_traverse},
    {Py_tp_clear, Map_clear},
    {Py_tp_dealloc, Map_dealloc},
    {Py_tp_methods, Map_methods},
    {Py_tp_members, Table_members},
    {Py_tp_getset, Table_getset},
    {Py_sq_length, Table_len},
    {0, NULL},
};

static PyType_Spec Map_spec = {
    .name = "partitioned_buffer._core.tables._speed.MapTable",
    .basicsize = sizeof(Map),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Map_slots,
};

#endif
