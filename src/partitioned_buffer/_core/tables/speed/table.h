/* What a Queue's and a Map's table share: the ledger, who is told, and when. */
#ifndef PARTITIONED_BUFFER_TABLE_H
#define PARTITIONED_BUFFER_TABLE_H

#include "room.h"

struct Table;

/* What differs between the two kinds. */
typedef struct {
    int (*drop_oldest)(struct Table *);  /* a step of its own; whether there was one to drop */
    Py_ssize_t (*waiting)(struct Table *);  /* in a step */
    Py_ssize_t (*in_flight)(struct Table *);  /* in a step */
} Kind;

typedef struct Table {
    PyObject_HEAD
    LOCK
    char closed;
    char rung;  /* whether `wake` was called since the last swap */
    Py_ssize_t flush_at;
    Py_ssize_t accepted, delivered, dead_lettered, dropped, coalesced, deleted;
    Py_ssize_t bytes;  /* what is held, where bytes are bounded */
    Room *room;
    PyObject *observer;  /* or NULL */
    PyObject *wake;  /* or NULL */
    PyObject *partition;
    const Kind *kind;
    State *state;  /* lives as long as the type, which lives as long as its tables */
    PyObject *weak;
} Table;

/* Somebody may have put anything into a room's list. */
static inline Table *
as_table(State *state, PyObject *object)
{
    return Py_IS_TYPE(object, state->QueueTable) || Py_IS_TYPE(object, state->MapTable)
               ? (Table *)object : NULL;
}

static inline int
is_weighed(Table *table)
{
    return table->room && table->room->weighed;
}

/* In a step, after a write: what is to be done when it is over. */
static inline int
look(Table *table, Py_ssize_t waiting)
{
    int tell = 0;
    if (UNLIKELY(waiting >= table->flush_at) && !table->rung) {
        table->rung = 1;
        tell = RING;
    }
    if (UNLIKELY(table->observer != NULL)) {
        tell |= OBSERVE;
    }
    return tell;
}

/* What is wrong with an observer is not the writer's affair; but what is no Exception, such as
 * Ctrl-C, comes out of the write. 0, or -1. */
static int
observe(Table *table)
{
    PyObject *observer, *partition, *result = NULL;
    int failed = 0;
    STEP(table);
    observer = Py_XNewRef(table->observer);
    partition = Py_NewRef(table->partition);
    DONE(table);
    if (observer != NULL) {
        result = PyObject_CallOneArg(observer, partition);
        failed = result == NULL;
    }
    if (failed && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_WriteUnraisable(observer);
        failed = 0;
    }
    Py_XDECREF(result);
    Py_XDECREF(observer);
    Py_DECREF(partition);
    return failed ? -1 : 0;
}

/* Nobody was woken after all: the next write shall try. */
static void
unring(Table *table)
{
    STEP(table);
    table->rung = 0;
    DONE(table);
}

/* 0, or -1: what `wake` raised. */
static int
ring(Table *table)
{
    PyObject *wake, *result;
    STEP(table);
    wake = Py_XNewRef(table->wake);
    DONE(table);
    if (wake == NULL) {
        return 0;
    }
    result = PyObject_CallNoArgs(wake);
    if (result == NULL) {
        unring(table);
    }
    Py_DECREF(wake);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* After a write's step, outside of it: tell whom it concerns. Returns MADE, or FAILED: the write
 * is made all the same, and what was raised comes out of it. */
static SELDOM int
told(Table *table, int tell)
{
    int failed = 0;
    Py_INCREF(table);
    if (tell & OBSERVE) {
        failed = observe(table) < 0;
    }
    if (!failed && (tell & SERVE)) {
        failed = served(table->room) < 0;
    }
    if (!failed && (tell & RING)) {
        failed = ring(table) < 0;
    }
    else if (tell & RING) {
        unring(table);
    }
    Py_DECREF(table);
    return failed ? FAILED : MADE;
}

/* Drop the oldest of *table*; whether there was one. */
static int
drop_one(Table *table)
{
    return table->kind->drop_oldest(table);
}

/* Wake the worker of *table*, if that was not done since the last swap, and it could make room.
 * 0, or -1: what `wake` raised. */
static int
ring_one(Table *table)
{
    int tell = 0;
    STEP(table);
    if (!table->rung && (table->kind->waiting(table) || table->kind->in_flight(table))) {
        table->rung = 1;
        tell = RING;
    }
    DONE(table);
    return told(table, tell);
}

/* Do that to the tables that share a room with *table*, until it returns something else than 0;
 * return that. Each is a step of its own: two tables are never locked at once. */
static int
for_tables(Table *table, int (*what)(Table *))
{
    PyObject *tables = table->room->tables;
    int result = 0;
    for (Py_ssize_t i = 0; result == 0 && i < PyList_Size(tables); i++) {
        PyObject *other;
#if PY_VERSION_HEX >= 0x030D0000
        other = PyList_GetItemRef(tables, i);
#else
        other = Py_XNewRef(PyList_GetItem(tables, i));
#endif
        if (other == NULL) {
            PyErr_Clear();  /* shorter than a moment ago */
            return 0;
        }
        result = as_table(table->state, other) ? what((Table *)other) : 0;
        Py_DECREF(other);
    }
    return result;
}

/* Count so many writes as accepted and dropped: MADE, or CLOSED. */
static int
drop(Table *table, Py_ssize_t items, int *tell)
{
    int closed;
    STEP(table);
    closed = table->closed;
    if (!closed) {
        table->accepted += items;
        table->dropped += items;
        *tell = table->observer ? OBSERVE : 0;
    }
    DONE(table);
    return closed ? CLOSED : MADE;
}

/* What becomes of a write that found no room where items are dropped: AGAIN, or it is dropped
 * itself, and counted. All workers that could make room are woken first; FAILED if one cannot be,
 * and nothing is dropped. */
static SELDOM int
too_full(Table *table, Py_ssize_t items, Py_ssize_t weight)
{
    Room *room = table->room;
    int tell = 0;
    if (for_tables(table, ring_one) == FAILED) {
        return FAILED;
    }
    if (room->when_full == DROP_OLDEST && items <= room->size && weight <= room->bytes
        && (drop_one(table) || for_tables(table, drop_one))) {
        return AGAIN;
    }
    return drop(table, items, &tell) == CLOSED ? CLOSED : told(table, tell);
}

static int
Table_init(Table *table, const Kind *kind, PyObject *room)
{
    table->kind = kind;
    table->state = state_of(Py_TYPE(table));
    table->closed = 1;
    table->flush_at = NO_LIMIT;
    table->partition = Py_NewRef(Py_None);
    if (table->state == NULL) {
        return -1;
    }
    if (room == Py_None) {
        return 0;
    }
    if (!Py_IS_TYPE(room, table->state->Room)) {
        PyErr_Format(PyExc_TypeError, "room=%R: expected a Room", room);
        return -1;
    }
    table->room = (Room *)Py_NewRef(room);
    return 0;
}

static int
Table_join(Table *table)
{
    return table->room ? PyList_Append(table->room->tables, (PyObject *)table) : 0;
}

static int
Table_traverse(Table *table, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(table));
    Py_VISIT(table->room);
    Py_VISIT(table->observer);
    Py_VISIT(table->wake);
    Py_VISIT(table->partition);
    return 0;
}

static void
Table_clear(Table *table)
{
    table->closed = 1;
    Py_CLEAR(table->observer);
    Py_CLEAR(table->wake);
    Py_CLEAR(table->room);
}

static void
Table_dealloc(Table *table)
{
    PyTypeObject *type = Py_TYPE(table);
    Table_clear(table);
    Py_CLEAR(table->partition);
    type->tp_free(table);
    Py_DECREF(type);
}

static PyObject *
Table_counts(Table *table, PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t accepted, delivered, dead_lettered, dropped, coalesced, deleted, waiting, in_flight;
    STEP(table);
    accepted = table->accepted;
    delivered = table->delivered;
    dead_lettered = table->dead_lettered;
    dropped = table->dropped;
    coalesced = table->coalesced;
    deleted = table->deleted;
    waiting = table->kind->waiting(table);
    in_flight = table->kind->in_flight(table);
    DONE(table);
    return Py_BuildValue("{snsnsnsnsnsnsnsn}", "accepted", accepted, "delivered", delivered,
                         "dead_lettered", dead_lettered, "dropped", dropped, "coalesced",
                         coalesced, "deleted", deleted, "waiting", waiting, "in_flight", in_flight);
}

static void
load_of(Table *table, Py_ssize_t *items, Py_ssize_t *bytes)
{
    STEP(table);
    *items = table->kind->waiting(table) + table->kind->in_flight(table);
    *bytes = table->bytes;
    DONE(table);
}

static PyObject *
Table_load(Table *table, PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t items, bytes;
    load_of(table, &items, &bytes);
    return Py_BuildValue("(nn)", items, bytes);
}

static Py_ssize_t
Table_len(Table *table)
{
    Py_ssize_t items, bytes;
    load_of(table, &items, &bytes);
    return items;
}

static PyObject *
Room_recount(Room *room, PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t items = 0, bytes = 0, more, heavier;
    PyObject *tables = PyList_AsTuple(room->tables);
    if (tables == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tables); i++) {
        Table *table = as_table(room->state, PyTuple_GET_ITEM(tables, i));
        if (table == NULL) {
            continue;
        }
        load_of(table, &more, &heavier);
        items += more;
        bytes += heavier;
    }
    Py_DECREF(tables);
    return Py_BuildValue("(nn)", items, bytes);
}

/* In a step: be as new, but for `wake`, which may run code when it is let go of. */
static void
forget_counts(Table *table)
{
    table->flush_at = NO_LIMIT;
    table->closed = 1;
    table->rung = 0;
    table->accepted = table->delivered = table->dead_lettered = 0;
    table->dropped = table->coalesced = table->deleted = table->bytes = 0;
}

/* In a step: that many were settled, and are held no more. */
static inline void
count_out(Table *table, Py_ssize_t *counter, Py_ssize_t items, Py_ssize_t weight)
{
    *counter += items;
    table->bytes -= weight;
    room_give(table->room, items, weight);
}

/* Which of *count* places are kept: those *named* in an iterable of ints, or, if not *keep*, all
 * others. NULL with an exception. */
static char *
places_in(PyObject *named, Py_ssize_t count, int keep)
{
    char *places = PyMem_Malloc(count + 1);
    PyObject *list = places ? PySequence_List(named) : PyErr_NoMemory();
    if (list != NULL) {
        memset(places, !keep, count);
    }
    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(list); i++) {
        Py_ssize_t place = PyLong_AsSsize_t(PyList_GET_ITEM(list, i));
        if (place == -1 && PyErr_Occurred()) {
            Py_CLEAR(list);
        }
        else if (place >= 0 && place < count) {
            places[place] = (char)keep;
        }
    }
    if (list == NULL) {
        PyMem_Free(places);
        return NULL;
    }
    Py_DECREF(list);
    return places;
}

#endif
