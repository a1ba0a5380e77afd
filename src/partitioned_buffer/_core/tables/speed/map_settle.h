/* Settling what was returned last: delivered, dead-lettered, or kept. */
#ifndef PARTITIONED_BUFFER_MAP_SETTLE_H
#define PARTITIONED_BUFFER_MAP_SETTLE_H

#include "map_flight.h"

/* A step: whether nothing that is settled has more to it than its number. */
static int
is_all_plain(Map *map)
{
    int plain;
    STEP(&map->table);
    plain = !map->mixed && size_of(map->recent) == 0 && size_of(map->older) == 0;
    DONE(&map->table);
    return plain;
}

/* In a step: remember a version, or forget that there was one. *pile* has fresh dicts, of which
 * those from *used* on are still fresh; what is let go of takes their place. */
static void
remember_version(Map *map, PyObject *stored, Held held, PyObject *pile, Py_ssize_t *used)
{
    int failed = 0;
    if (held.version == NULL || held.hidden || map->remember <= 0) {
        forget_version(map, stored);
        return;
    }
    if (PyDict_GET_SIZE(map->recent) >= map->remember && !find_in(map->recent, stored, &failed)
        && pile && *used < PyList_GET_SIZE(pile)) {
        PyObject *fresh = PyList_GET_ITEM(pile, *used);
        PyList_SET_ITEM(pile, (*used)++, map->older);
        map->older = map->recent;
        map->recent = fresh;
    }
    if (failed || PyDict_SetItem(map->recent, stored, held.version) < 0) {
        PyErr_Clear();  /* memory is out: it counts as not remembered */
    }
}

/* Which of what is given to leave out of a settlement: places, counted without the hidden. */
typedef struct {
    const char *keep;  /* or NULL: none */
    PyObject *kept;  /* an empty dict for them, or NULL */
    Gone gone;  /* hidden ones of them: they are kept no more */
} Kept;

/* In a step: settle what is given. What is kept goes to kept->kept. Returns how many are settled,
 * or -1: nothing is changed. */
static Py_ssize_t
settle_each(Map *map, Py_ssize_t *counter, Kept *kept, PyObject *pile)
{
    Py_ssize_t next = 0, place = 0, settled = 0, weight = 0, used = 0, dropped = 0, lighter = 0;
    PyObject *stored, *object;
    while (kept->keep && PyDict_Next(map->given, &next, &stored, &object)) {
        int hidden = held_as(map->table.state, object).hidden;
        if (kept->keep[place++] && !hidden && PyDict_SetItem(kept->kept, stored, object) < 0) {
            return -1;
        }
    }
    for (next = place = 0; PyDict_Next(map->given, &next, &stored, &object); place++) {
        Held held = held_as(map->table.state, object);
        map->hidden -= held.hidden;
        if (kept->keep && kept->keep[place]) {
            dropped += held.hidden;
            lighter += held.hidden ? held.weight : 0;
            continue;
        }
        if (counter == &map->table.delivered) {
            remember_version(map, stored, held, pile, &used);
        }
        weight += held.weight;
        settled++;
    }
    count_out(&map->table, counter, settled, weight);
    count_out(&map->table, &map->table.deleted, dropped, lighter);
    return settled;
}

/* Fresh dicts for as many generations of versions as *count* of them may begin. */
static PyObject *
fresh_pile(Map *map, Py_ssize_t count)
{
    Py_ssize_t most = map->remember > 0 ? count / map->remember + 1 : 0;
    PyObject *pile = PyList_New(most);
    for (Py_ssize_t i = 0; pile && i < most; i++) {
        PyObject *fresh = PyDict_New();
        if (fresh == NULL) {
            Py_CLEAR(pile);
            break;
        }
        PyList_SET_ITEM(pile, i, fresh);
    }
    return pile;
}

/* Settle what was returned last, but for what is kept. Returns how many, or -1. */
static Py_ssize_t
map_settle(Map *map, Py_ssize_t *counter, Kept *kept)
{
    PyObject *gone = NULL, *pile = NULL;
    Py_ssize_t settled = size_of(map->given);
    int plain = kept->keep == NULL && is_all_plain(map);
    if (settled == 0) {
        return 0;
    }
    if (!plain && (pile = fresh_pile(map, settled)) == NULL) {
        return -1;
    }
    STEP(&map->table);
    if (plain && map->mixed) {  /* it was, a moment ago; another thread has just hidden something */
        plain = 0;
    }
    if (plain) {
        count_out(&map->table, counter, settled, 0);
    }
    else {
        settled = settle_each(map, counter, kept, pile);
    }
    if (settled >= 0) {
        gone = map->given;
        map->given = kept->kept;
        kept->kept = NULL;
    }
    DONE(&map->table);
    Py_XDECREF(gone);
    Py_XDECREF(pile);
    return settled < 0 || served(map->table.room) < 0 ? -1 : settled;
}

static PyObject *
settle_all(Map *map, Py_ssize_t *counter)
{
    Kept none = {0};
    Py_ssize_t settled = map_settle(map, counter, &none);
    return settled < 0 ? NULL : PyLong_FromSsize_t(settled);
}

static PyObject *
Map_acknowledge(Map *map, PyObject *Py_UNUSED(ignored))
{
    return settle_all(map, &map->table.delivered);
}

/* Settle what was returned last, but for what is kept: see places_in. Returns how many, or -1. */
static Py_ssize_t
settle_some(Map *map, Py_ssize_t *counter, PyObject *named, int keep)
{
    Kept those = {0};
    Py_ssize_t settled = -1;
    char *places = places_in(named, size_of(map->given), keep);
    those.keep = places;
    those.kept = places ? PyDict_New() : NULL;
    if (those.kept) {
        settled = map_settle(map, counter, &those);
    }
    Py_XDECREF(those.kept);
    PyMem_Free(places);
    return settled;
}

/* What was returned last, and is not settled, is in hand. Returns how many, or -1. */
static Py_ssize_t
keep_given(Map *map)
{
    PyObject *old = NULL;
    Gone gone = {0};
    Py_ssize_t kept;
    int failed;
    STEP(&map->table);
    kept = size_of(map->given);
    failed = give_back(map, &gone, &old) < 0;
    DONE(&map->table);
    kept -= gone.count / 2;
    gone_go(&gone);
    Py_XDECREF(old);
    return failed || served(map->table.room) < 0 ? -1 : kept;
}

static PyObject *
Map_bury(Map *map, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t settled;
    if (!has_arguments("bury", count, 0, 1)) {
        return NULL;
    }
    if (count == 0 || args[0] == Py_None) {
        return settle_all(map, &map->table.dead_lettered);
    }
    settled = settle_some(map, &map->table.dead_lettered, args[0], 0);
    if (settled < 0) {
        return not_returned(map);
    }
    return keep_given(map) < 0 ? NULL : PyLong_FromSsize_t(settled);
}

static PyObject *
Map_keep(Map *map, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t kept;
    if (!has_arguments("keep", count, 0, 1)) {
        return NULL;
    }
    if (count && args[0] != Py_None
        && settle_some(map, &map->table.delivered, args[0], 1) < 0) {
        return not_returned(map);
    }
    kept = keep_given(map);
    return kept < 0 ? NULL : PyLong_FromSsize_t(kept);
}

#endif
