/* The worker's half of a Map's table: no two threads are here at once. */
#ifndef PARTITIONED_BUFFER_MAP_FLIGHT_H
#define PARTITIONED_BUFFER_MAP_FLIGHT_H

#include "map_read.h"
#include "map_write.h"

/* What a step took out, to be let go of after it. */
typedef struct {
    PyObject **objects;
    Py_ssize_t count;
} Gone;

/* In a step, and before anything is changed in it: a place for *most*. 0, or -1. */
static int
gone_ready(Gone *gone, Py_ssize_t most)
{
    gone->count = 0;
    gone->objects = most ? PyMem_Malloc(most * sizeof *gone->objects) : NULL;
    if (most && gone->objects == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static void
gone_go(Gone *gone)
{
    for (Py_ssize_t i = 0; i < gone->count; i++) {
        Py_DECREF(gone->objects[i]);
    }
    PyMem_Free(gone->objects);
}

/* In a step: what was deleted while it was given goes. 0, or -1: nothing is changed. */
static int
drop_hidden(Map *map, Gone *gone)
{
    PyObject *stored, *held;
    Py_ssize_t next = 0, weight = 0, count = map->hidden;
    if (gone_ready(gone, 2 * count) < 0) {
        return -1;
    }
    while (map->hidden && PyDict_Next(map->given, &next, &stored, &held)) {
        if (!held_as(map->table.state, held).hidden) {
            continue;
        }
        weight += held_as(map->table.state, held).weight;
        gone->objects[gone->count++] = Py_NewRef(stored);
        gone->objects[gone->count++] = take_out(map->given, stored, held);
        map->hidden--;
    }
    count_out(&map->table, &map->table.deleted, count, weight);
    return 0;
}

/* In a step: add what is in *more* to *dict*, whose keys are others; or nothing, and -1. */
static int
dict_extend(PyObject *dict, PyObject *more)
{
    PyObject *stored, *held;
    Py_ssize_t next = 0, undo = 0, count = 0;
    while (PyDict_Next(more, &next, &stored, &held)) {
        if (PyDict_SetItem(dict, stored, held) < 0) {
            while (count-- && PyDict_Next(more, &undo, &stored, &held)) {
                PyObject *type, *value, *traceback;
                PyErr_Fetch(&type, &value, &traceback);
                PyDict_DelItem(dict, stored);
                PyErr_Restore(type, value, traceback);
            }
            return -1;
        }
        count++;
    }
    return 0;
}

/* In a step: nothing is returned last; it is in hand, before the others there. 0, or -1: all is as
 * it was. *old* is an empty dict to be let go of after the step, or NULL. */
static int
give_back(Map *map, Gone *gone, PyObject **old)
{
    if (drop_hidden(map, gone) < 0) {
        return -1;
    }
    if (size_of(map->hand) && size_of(map->given) && dict_extend(map->given, map->hand) < 0) {
        return -1;
    }
    if (size_of(map->given)) {
        *old = map->hand;
        map->hand = map->given;
    }
    else {
        *old = map->given;
    }
    map->given = NULL;
    return 0;
}

/* In a step: what is in hand is first in line. 0, or -1: it still is in hand. */
static int
line_up(Map *map, PyObject **old)
{
    if (size_of(map->hand) == 0) {
        return 0;
    }
    first_part(map);
    if (map->parts == PARTS) {  /* batches became smaller four times */
        if (dict_extend(map->hand, map->line[0].dict) < 0) {
            return -1;
        }
        *old = map->line[0].dict;
    }
    else {
        memmove(map->line + 1, map->line, map->parts * sizeof *map->line);
        map->parts++;
    }
    map->line[0] = (Part){map->hand, 0};
    map->hand = NULL;
    return 0;
}

/* Nothing is in hand: a step. 0, or -1 with an exception. */
static int
map_release(Map *map)
{
    Gone gone = {0};
    PyObject *old = NULL, *older = NULL;
    int failed;
    STEP(&map->table);
    failed = give_back(map, &gone, &old) < 0 || line_up(map, &older) < 0;
    DONE(&map->table);
    gone_go(&gone);
    Py_XDECREF(old);
    Py_XDECREF(older);
    return failed || (gone.count && served(map->table.room) < 0) ? -1 : 0;
}

static PyObject *
Map_release(Map *map, PyObject *Py_UNUSED(ignored))
{
    return map_release(map) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
Map_swap(Map *map, PyObject *Py_UNUSED(ignored))
{
    PyObject *fresh;
    Py_ssize_t in_flight;
    if (map_release(map) < 0 || (fresh = PyDict_New()) == NULL) {
        return NULL;
    }
    STEP(&map->table);
    map->leftover = first_part(map) != NULL;
    if (!map->leftover) {
        map->line[0] = (Part){map->waiting, 0};
        map->parts = 1;
        map->waiting = fresh;
        map->loud = 0;
        fresh = NULL;
        map->chain = (Chain){NULL, NULL};
        map->table.rung = 0;
    }
    in_flight = map_in_flight(&map->table);
    DONE(&map->table);
    Py_XDECREF(fresh);
    return PyLong_FromSsize_t(in_flight);
}

/* Entries that are filled as they are taken: one walk less. */
typedef struct {
    PyObject *list;  /* or NULL */
    Py_ssize_t count;
} Filling;

static inline void
fill_next(State *state, Filling *filling, PyObject *stored, PyObject *held)
{
    if (filling->list == NULL || filling->count == PyList_GET_SIZE(filling->list)) {
        return;
    }
    if (fill_entry(state, PyList_GET_ITEM(filling->list, filling->count), stored, held) < 0) {
        PyErr_Clear();  /* they are fewer than what is given, so they are made once more */
        return;
    }
    filling->count++;
}

/* In a step: move the first *size* of *from* to the end of *to*. Returns how many; fewer when
 * memory is out. */
static Py_ssize_t
move_some(State *state, PyObject *to, Part *from, Py_ssize_t size, Filling *filling)
{
    PyObject *stored, *held;
    Py_ssize_t moved = 0;
    while (moved < size) {
        Py_ssize_t next = from->next;
        if (!PyDict_Next(from->dict, &next, &stored, &held)) {
            break;
        }
        if (PyDict_SetItem(to, stored, held) < 0) {
            PyErr_Clear();
            break;
        }
        from->next = next;
        fill_next(state, filling, stored, held);
        if (PyDict_DelItem(from->dict, stored) < 0) {
            PyErr_Clear();  /* it is there */
        }
        moved++;
    }
    return moved;
}

/* A step: give the next *size* in line. *given* is an empty dict of the caller's. */
static void
take_step(Map *map, Py_ssize_t size, PyObject *given, Filling *filling)
{
    Part *part;
    PyObject *old = NULL, *nothing;
    STEP(&map->table);
    nothing = map->given;
    while (size > 0 && (part = first_part(map))) {
        if (PyDict_GET_SIZE(given) == 0 && PyDict_GET_SIZE(part->dict) <= size) {
            /* All of it, as it is: the next part may be joined to it. */
            size -= PyDict_GET_SIZE(part->dict);
            old = given;
            given = part->dict;
            map->parts--;
            memmove(map->line, map->line + 1, map->parts * sizeof *map->line);
        }
        else {
            Py_ssize_t all = PyDict_GET_SIZE(part->dict), most = size < all ? size : all;
            if (move_some(map->table.state, given, part, most, filling) < most) {
                break;
            }
            size -= most;
        }
    }
    map->given = given;
    DONE(&map->table);
    Py_XDECREF(old);
    Py_XDECREF(nothing);
}

/* In a step: put up to *most* of what waits last in line, but what is in flight already. Returns
 * how many, or -1 with an exception: some may have been. *fresh* is an empty dict. */
static Py_ssize_t
reach_step(Map *map, Py_ssize_t most, PyObject *fresh)
{
    Part *last = &map->line[map->parts ? map->parts - 1 : 0];
    PyObject *to = map->parts ? last->dict : fresh, *stored, *held, *where;
    Py_ssize_t next = 0, reached = 0;
    int failed = 0;
    while (reached < most && PyDict_Next(map->waiting, &next, &stored, &held)) {
        int flies = find_flying(map, stored, &where, &failed) != NULL;
        if (failed || (!flies && PyDict_SetItem(to, stored, held) < 0)) {
            failed = 1;
            break;
        }
        if (flies) {
            continue;
        }
        if (PyDict_DelItem(map->waiting, stored) < 0) {
            PyErr_Clear();  /* it is there */
        }
        if (map->linked) {
            unchain(&map->chain, (Linked *)held);
        }
        reached++;
    }
    if (map->parts == 0 && reached) {
        last->dict = Py_NewRef(fresh);
        map->parts = 1;
    }
    last->next = 0;  /* a dict that grows moves what is in it */
    return failed ? -1 : reached;
}

static PyObject *
Map_reach(Map *map, PyObject *number)
{
    Py_ssize_t reached, most = PyLong_AsSsize_t(number);
    PyObject *fresh;
    if (PyErr_Occurred() || (fresh = PyDict_New()) == NULL) {
        return NULL;
    }
    STEP(&map->table);
    reached = reach_step(map, most, fresh);
    DONE(&map->table);
    Py_DECREF(fresh);
    return reached < 0 ? NULL : PyLong_FromSsize_t(reached);
}

/* What was returned last is forgotten, since it was not returned after all. */
static PyObject *
not_returned(Map *map)
{
    Gone gone = {0};
    PyObject *old = NULL, *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    STEP(&map->table);
    if (give_back(map, &gone, &old) < 0) {
        PyErr_Clear();
    }
    DONE(&map->table);
    gone_go(&gone);
    Py_XDECREF(old);
    PyErr_Restore(type, value, traceback);
    return NULL;
}

#endif
