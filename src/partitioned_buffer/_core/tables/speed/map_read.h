/* Reading one key, deleting one, dropping the oldest. */
#ifndef PARTITIONED_BUFFER_MAP_READ_H
#define PARTITIONED_BUFFER_MAP_READ_H

#include "map.h"

/* Return the value that readers see, a new reference; NULL: there is none, or an exception. */
static ALWAYS_INLINE PyObject *
map_get(Map *map, PyObject *key, Py_hash_t hash)
{
    PyObject *held, *value = NULL;
    Name name;
    int failed = 0;
    if (UNLIKELY(name_key(map, key, hash, &name) < 0)) {
        return NULL;
    }
    STEP(&map->table);
    held = find_seen(map, name.stored, &failed);
    if (LIKELY(held != NULL)) {
        Node *node = as_node(map->table.state, held);
        value = Py_NewRef(node ? node->value : held);
    }
    DONE(&map->table);
    Py_DECREF(name.stored);
    return value;
}

static PyObject *
Map_get(Map *map, PyObject *const *args, Py_ssize_t count)
{
    PyObject *value;
    if (!has_arguments("get", count, 1, 2)) {
        return NULL;
    }
    value = map_get(map, args[0], -1);
    if (value == NULL && !PyErr_Occurred()) {
        value = Py_NewRef(count > 1 ? args[1] : Py_None);
    }
    return value;
}

static PyObject *
Map_has(Map *map, PyObject *key)
{
    PyObject *value = map_get(map, key, -1);
    if (value == NULL && PyErr_Occurred()) {
        return NULL;
    }
    Py_XDECREF(value);
    return PyBool_FromLong(value != NULL);
}

/* What a delete takes out. */
typedef struct {
    PyObject *waiting, *flying;
    Py_ssize_t count, weight;
} Deleted;

/* In a step: what the processor has cannot be taken from it. 0, or -1: nothing is changed. */
static int
hide(Map *map, PyObject *stored, PyObject *held, Deleted *deleted)
{
    Node *node = as_node(map->table.state, held);
    if (node == NULL) {
        node = node_new(map->table.state, held, NULL, 0, 0);
        if (node == NULL) {
            return -1;
        }
        deleted->flying = Py_NewRef(held);
        if (PyDict_SetItem(map->given, stored, (PyObject *)node) < 0) {
            Py_DECREF(node);
            return -1;
        }
        map->mixed = 1;
        Py_DECREF(node);  /* the dict has it */
    }
    map->hidden += !node->hidden;
    node->hidden = 1;
    return 0;
}

/* In a step: delete what waits, and what is in flight. */
static int
delete_step(Map *map, PyObject *stored, Deleted *deleted)
{
    Table *table = &map->table;
    PyObject *where, *waiting, *flying;
    int failed = 0;
    waiting = find_in(map->waiting, stored, &failed);
    flying = find_flying(map, stored, &where, &failed);
    if (failed) {
        return FAILED;
    }
    if (flying && where == map->given) {
        if (hide(map, stored, flying, deleted) < 0) {
            return FAILED;
        }
    }
    else if (flying) {
        deleted->weight += held_as(table->state, flying).weight;
        deleted->flying = take_out(where, stored, flying);
        deleted->count++;
    }
    if (waiting) {
        deleted->weight += held_as(table->state, waiting).weight;
        deleted->waiting = take_out(map->waiting, stored, waiting);
        deleted->count++;
        if (map->linked) {
            unchain(&map->chain, (Linked *)waiting);
        }
    }
    forget_version(map, stored);
    count_out(table, &table->deleted, deleted->count, deleted->weight);
    return MADE;
}

static int
delete_once(Map *map, Name *name)
{
    Deleted deleted = {0};
    int outcome, tell = 0;
    STEP(&map->table);
    if (map->table.closed) {
        outcome = CLOSED;
    }
    else if (!is_current(map, name)) {
        outcome = AGAIN;
    }
    else {
        outcome = delete_step(map, name->stored, &deleted);
        tell = (deleted.count ? SERVE : 0) | (map->table.observer ? OBSERVE : 0);
    }
    DONE(&map->table);
    Py_XDECREF(deleted.waiting);
    Py_XDECREF(deleted.flying);
    return outcome == MADE && tell ? told(&map->table, tell) : outcome;
}

static int
map_delete(Map *map, PyObject *key, Py_hash_t hash)
{
    int outcome;
    do {
        Name name;
        if (name_key(map, key, hash, &name) < 0) {
            return FAILED;
        }
        outcome = delete_once(map, &name);
        Py_DECREF(name.stored);
    } while (outcome == AGAIN);
    return outcome;
}

static PyObject *
Map_delete(Map *map, PyObject *key)
{
    return outcome_as_int(map_delete(map, key, -1));
}

/* What is in line is older than what waits. */
static int
map_drop_oldest(Table *table)
{
    Map *map = (Map *)table;
    PyObject *stored = NULL, *held = NULL;
    Py_ssize_t start = 0;
    Part *part;
    if (table->room == NULL) {
        return 0;
    }
    STEP(table);
    if ((part = first_part(map)) && PyDict_Next(part->dict, &part->next, &stored, &held)) {
        Py_INCREF(stored);
        take_out(part->dict, stored, held);
    }
    else if (map->linked && map->chain.first) {
        Linked *link = map->chain.first;
        stored = Py_NewRef(link->stored);
        held = take_out(map->waiting, stored, (PyObject *)link);
        unchain(&map->chain, link);
    }
    else if (!map->linked && PyDict_Next(map->waiting, &start, &stored, &held)) {
        Py_INCREF(stored);
        take_out(map->waiting, stored, held);
    }
    if (held) {
        count_out(table, &table->dropped, 1, held_as(table->state, held).weight);
    }
    DONE(table);
    Py_XDECREF(held);
    Py_XDECREF(stored);
    return held != NULL;
}

static const Kind map_kind = {map_drop_oldest, map_waiting, map_in_flight};

#endif
