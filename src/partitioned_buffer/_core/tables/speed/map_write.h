/* Writing one key. */
#ifndef PARTITIONED_BUFFER_MAP_WRITE_H
#define PARTITIONED_BUFFER_MAP_WRITE_H

#include "map.h"

typedef struct {
    PyObject *value, *version;  /* version: an exact int, or NULL */
    Py_ssize_t weight;
    int first;
    Name name;
    PyObject *expected;  /* the waiting value that was merged into `value`, or NULL */
    PyObject *gone;  /* what the step replaced */
    int tell;
} Write;

/* In a step: change what a Node holds. */
static void
node_renew(Node *node, Write *write)
{
    PyObject *version = node->version;
    write->gone = node->value;
    node->value = Py_NewRef(write->value);
    node->version = Py_XNewRef(write->version);
    node->updates = write->version ? node->updates + 1 : 0;
    node->weight = write->weight;
    Py_XDECREF(version);  /* an int */
}

/* In a step: store a new key, or put it in place of *old*. 0, or -1: nothing is changed. */
static int
store(Map *map, Write *write, PyObject *old)
{
    State *state = map->table.state;
    PyObject *stored = write->name.stored;
    Node *node = as_node(state, old);
    if (node) {
        node_renew(node, write);
        return 0;
    }
    if (map->linked || write->version || is_weighed(&map->table)) {
        node = node_new(state, write->value, write->version, write->weight, map->linked);
        if (node == NULL) {
            return -1;
        }
        node->updates = old && write->version;
    }
    write->gone = Py_XNewRef(old);
    if (PyDict_SetItem(map->waiting, stored, node ? (PyObject *)node : write->value) < 0) {
        Py_XDECREF(node);  /* the value has a reference from the caller */
        return -1;
    }
    if (node) {
        map->mixed = 1;
        Py_DECREF(node);
        if (map->linked && old == NULL) {
            chain_last(&map->chain, (Linked *)node, stored);
        }
    }
    else {
        map->loud = 1;
    }
    return 0;
}

/* In a step: a new key is there. */
static inline void
count_birth(Map *map, int boxing)
{
    map->births++;
    if (UNLIKELY(boxing)) {
        NOTE(map->foreign);
    }
}

/* In a step: all of a write. */
static int
write_step(Map *map, Write *write)
{
    Table *table = &map->table;
    PyObject *floor, *stored = write->name.stored, *old;
    Held was = {0};
    Py_ssize_t extra;
    int failed = 0, is_floor;
    old = find_in(map->waiting, stored, &failed);
    if (write->version && !failed) {
        is_floor = find_floor(map, stored, old, &floor);
        failed = is_floor < 0;
        if (is_floor == 1 && is_at_most(write->version, floor)) {
            table->accepted++;
            table->coalesced++;
            write->tell = look(table, PyDict_GET_SIZE(map->waiting));
            return MADE;
        }
    }
    if (failed) {
        return FAILED;
    }
    if (old) {
        was = held_as(table->state, old);
    }
    if (map->merge && was.value != write->expected) {
        return AGAIN;
    }
    extra = write->weight - was.weight;
    if (table->room && !room_take(table->room, old ? 0 : 1, extra, write->first)) {
        return FULL;
    }
    if (store(map, write, old) < 0) {
        room_give(table->room, old ? 0 : 1, extra);
        return FAILED;
    }
    table->accepted++;
    table->bytes += extra;
    if (old) {
        table->coalesced++;
    }
    else {
        count_birth(map, write->name.boxing);
    }
    write->tell = look(table, PyDict_GET_SIZE(map->waiting)) | (extra < 0 ? SERVE : 0);
    return MADE;
}

/* Call `merge`; outside of steps. */
static inline PyObject *
call_merge(Map *map, PyObject *older, PyObject *newer)
{
    PyObject *args[] = {NULL, older, newer};
    return PyObject_Vectorcall(map->merge, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

/* Merge what waits with the new value, outside of steps; the write's step looks whether that is
 * what still waits. A stale version merges nothing, and expects nothing: should it turn out not to
 * be stale, all begins again. write->value is a reference of its own from here on. */
static int
merge_first(Map *map, Write *write)
{
    PyObject *old, *waiting = NULL, *merged;
    int failed = 0, stale = 0;
    STEP(&map->table);
    old = find_in(map->waiting, write->name.stored, &failed);
    if (old && !failed) {
        Held held = held_as(map->table.state, old);
        stale = write->version && is_at_most(write->version, held.version);
        waiting = Py_NewRef(held.value);
    }
    DONE(&map->table);
    if (failed || stale || waiting == NULL) {
        Py_XDECREF(waiting);
        Py_INCREF(write->value);
        return failed ? -1 : 0;
    }
    write->expected = waiting;
    merged = call_merge(map, waiting, write->value);
    if (merged == NULL) {
        Py_INCREF(write->value);
        return -1;
    }
    write->value = merged;
    if (map->weigh && is_weighed(&map->table)) {
        return ask_for_weight(map->weigh, merged, &write->weight);
    }
    return 0;
}

/* One attempt, its key resolved: the step, and what there is to do outside of it. */
static int
write_once(Map *map, Write *write)
{
    int outcome = FAILED;
    write->expected = write->gone = NULL;
    write->tell = 0;
    if (map->merge == NULL) {
        Py_INCREF(write->value);
    }
    if (map->merge == NULL || merge_first(map, write) == 0) {
        STEP(&map->table);
        if (UNLIKELY(map->table.closed)) {
            outcome = CLOSED;
        }
        else if (UNLIKELY(!is_current(map, &write->name))) {
            outcome = AGAIN;
        }
        else {
            outcome = write_step(map, write);
        }
        DONE(&map->table);
    }
    Py_XDECREF(write->gone);
    Py_XDECREF(write->expected);
    Py_DECREF(write->value);
    return outcome == MADE && write->tell ? told(&map->table, write->tell) : outcome;
}

/* Write what is not simple, however often it has to begin anew. */
static APART int
map_write(Map *map, PyObject *key, Py_hash_t hash, const Write *given)
{
    for (;;) {
        Write write = *given;
        int outcome;
        if (name_key(map, key, hash, &write.name) < 0) {
            return FAILED;
        }
        outcome = write_once(map, &write);
        Py_DECREF(write.name.stored);
        if (outcome == FULL && map->table.room->when_full >= DROP_NEWEST) {
            outcome = too_full(&map->table, 1, given->weight);
        }
        if (outcome != AGAIN) {
            return outcome;
        }
    }
}

/* In a step: put a plain value in place of another. It cannot fail: the key is there. */
static void
plain_over(Map *map, PyObject *key, PyObject *value, PyObject *old, PyObject **gone)
{
    Node *node = as_node(map->table.state, old);
    if (UNLIKELY(node != NULL)) {
        Write write = {.value = value};
        node_renew(node, &write);
        *gone = write.gone;
    }
    else {
        *gone = Py_NewRef(old);
        if (PyDict_SetItem(map->waiting, key, value) < 0) {
            PyErr_Clear();
        }
    }
    map->table.coalesced++;
}

/* In a step: a plain put where no value runs code when it dies, nor does this. One look. */
static ALWAYS_INLINE int
quiet_step(Map *map, PyObject *key, PyObject *value)
{
    Py_ssize_t before = PyDict_GET_SIZE(map->waiting);
    if (UNLIKELY(PyDict_SetItem(map->waiting, key, value) < 0)) {
        return FAILED;
    }
    if (PyDict_GET_SIZE(map->waiting) != before) {
        map->births++;
    }
    else {
        map->table.coalesced++;
    }
    return MADE;
}

/* In a step: a plain put, where the number of items alone may be bounded. */
static ALWAYS_INLINE int
plain_step(Map *map, PyObject *key, Py_hash_t hash, PyObject *value, int first, PyObject **gone)
{
    Room *room = map->table.room;
    int failed = 0, quiet = is_safe(value, 0);
    PyObject *old;
    if (quiet && !map->loud && !map->mixed && room == NULL) {
        return quiet_step(map, key, value);
    }
    map->loud |= !quiet;
    old = find_hashed(map->waiting, key, hash, &failed);
    if (old) {
        plain_over(map, key, value, old, gone);
        return MADE;
    }
    if (UNLIKELY(failed)) {
        return FAILED;
    }
    if (room && !room_take(room, 1, 0, first)) {
        return FULL;
    }
    if (UNLIKELY(PyDict_SetItem(map->waiting, key, value) < 0)) {
        room_give(room, 1, 0);
        return FAILED;
    }
    map->births++;
    return MADE;
}

/* A plain put of a safe key into a table that knows no other, and no weights: all of it. */
static ALWAYS_INLINE int
plain_put(Map *map, PyObject *key, Py_hash_t hash, PyObject *value, int first)
{
    Table *table = &map->table;
    PyObject *gone = NULL;
    int outcome, tell = 0;
    STEP(table);
    if (UNLIKELY(table->closed)) {
        outcome = CLOSED;
    }
    else if (UNLIKELY(map->foreign)) {
        outcome = AGAIN;
    }
    else {
        outcome = plain_step(map, key, hash, value, first, &gone);
        if (LIKELY(outcome == MADE)) {
            table->accepted++;
            tell = look(table, PyDict_GET_SIZE(map->waiting));
        }
    }
    DONE(table);
    Py_XDECREF(gone);
    return UNLIKELY(tell) ? told(table, tell) : outcome;
}

/* Put *value*; *version* is an exact int, or NULL; *hash* that of the key, if known, or -1. */
static ALWAYS_INLINE int
map_put(Map *map, PyObject *key, Py_hash_t hash, PyObject *value, PyObject *version,
        Py_ssize_t weight, int first)
{
    Write write = {.value = value, .version = version, .first = first};
    if (LIKELY(map->simple && version == NULL) && is_safe(key, 0)) {
        int outcome = plain_put(map, key, hash, value, first);
        if (LIKELY(outcome != AGAIN)
            && !(outcome == FULL && map->table.room->when_full >= DROP_NEWEST)) {
            return outcome;
        }
    }
    write.weight = is_weighed(&map->table) ? weight : 0;
    return map_write(map, key, hash, &write);
}

static PyObject *
Map_put(Map *map, PyObject *const *args, Py_ssize_t count)
{
    PyObject *version = NULL;
    Py_ssize_t weight = 0;
    int first = 0, outcome;
    if (!has_arguments("put", count, 2, 5)) {
        return NULL;
    }
    if (count > 3 && (weight = PyLong_AsSsize_t(args[3])) == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (count > 4 && (first = PyObject_IsTrue(args[4])) < 0) {
        return NULL;
    }
    if (count > 2 && args[2] != Py_None && (version = version_of(args[2])) == NULL) {
        return NULL;
    }
    outcome = map_put(map, args[0], -1, args[1], version, weight, first);
    Py_XDECREF(version);
    return outcome_as_int(outcome);
}

#endif
