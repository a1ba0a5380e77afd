/* Writing many keys: all of them, or none, in one step. Where the oldest is dropped for a new one,
 * it is none: there each is written by itself.
 *
 * What they come to is planned first, in the same step: a dict of Nodes, one for each key, as if
 * each write had been made by itself. Then it is known how much room they take, and whether it is
 * there; then the plan is carried out. Should memory be out in the middle of that, what was done is
 * undone, which takes no memory.
 */
#ifndef PARTITIONED_BUFFER_MAP_BULK_H
#define PARTITIONED_BUFFER_MAP_BULK_H

#include "map_write.h"

typedef struct {
    PyObject *key, *value;  /* borrowed of the batch's tuple */
    PyObject *version, *stored;  /* version: an exact int, or NULL */
    Py_ssize_t weight;
} Op;

typedef struct {
    PyObject *tuple;
    Op *ops;
    Py_ssize_t count;
    Name name;  /* stands for the names of all: `stored` is not used */
    int plain;  /* whether none has a version */
    PyObject *plan;  /* stored: Node */
    Py_ssize_t births, extra;  /* what the plan takes of room */
    PyObject **olds;  /* of those planned, in order: what was held before, or NULL */
} Bulk;

/* Let go of all; outside of steps. */
static void
bulk_go(Bulk *bulk)
{
    for (Py_ssize_t i = 0; bulk->ops && i < bulk->count; i++) {
        Py_XDECREF(bulk->ops[i].version);
        Py_XDECREF(bulk->ops[i].stored);
        if (bulk->olds) {
            Py_XDECREF(bulk->olds[i]);
        }
    }
    PyMem_Free(bulk->ops);
    PyMem_Free(bulk->olds);
    Py_XDECREF(bulk->plan);
    Py_XDECREF(bulk->tuple);
}

static int
read_op(PyObject *object, Op *op, int weighed)
{
    PyObject *version;
    if (!PyTuple_Check(object) || PyTuple_GET_SIZE(object) != 4) {
        PyErr_Format(PyExc_TypeError, "%R: expected (key, value, version, weight)", object);
        return -1;
    }
    op->key = PyTuple_GET_ITEM(object, 0);
    op->value = PyTuple_GET_ITEM(object, 1);
    version = PyTuple_GET_ITEM(object, 2);
    if (version != Py_None && (op->version = version_of(version)) == NULL) {
        return -1;
    }
    op->weight = weighed ? PyLong_AsSsize_t(PyTuple_GET_ITEM(object, 3)) : 0;
    return op->weight == -1 && PyErr_Occurred() ? -1 : 0;
}

static int
bulk_read(Map *map, Bulk *bulk, PyObject *given)
{
    memset(bulk, 0, sizeof *bulk);
    bulk->plain = 1;
    if ((bulk->tuple = PySequence_Tuple(given)) == NULL) {
        return -1;
    }
    bulk->count = PyTuple_GET_SIZE(bulk->tuple);
    bulk->ops = PyMem_Calloc(bulk->count + 1, sizeof *bulk->ops);
    bulk->olds = PyMem_Calloc(bulk->count + 1, sizeof *bulk->olds);
    if (bulk->ops == NULL || bulk->olds == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < bulk->count; i++) {
        if (read_op(PyTuple_GET_ITEM(bulk->tuple, i), &bulk->ops[i], is_weighed(&map->table)) < 0) {
            return -1;
        }
        bulk->plain &= bulk->ops[i].version == NULL;
    }
    return 0;
}

/* Find out what all keys are stored as; a key that is new is found again by those after it. */
static int
bulk_resolve(Map *map, Bulk *bulk)
{
    PyObject *met = PyDict_New();
    int failed = met == NULL;
    for (Py_ssize_t i = 0; i < bulk->count && !failed; i++) {
        Op *op = &bulk->ops[i];
        Py_ssize_t births = 0;
        op->stored = resolve(map, op->key, -1, is_safe(op->key, 0), met, &births);
        failed = op->stored == NULL || PyDict_SetItem(met, op->stored, Py_None) < 0;
        if (i == 0) {
            bulk->name.births = births;
        }
        else if (births != bulk->name.births) {
            bulk->name.births = -1;  /* never right: begin again */
        }
    }
    Py_XDECREF(met);
    return failed ? -1 : 0;
}

/* Name all keys, and make an empty plan; outside of steps. 0, or -1. */
static int
bulk_prepare(Map *map, Bulk *bulk)
{
    STEP(&map->table);
    bulk->name.boxing = map->foreign;
    bulk->name.births = map->births;  /* right as long as there is no key */
    DONE(&map->table);
    for (Py_ssize_t i = 0; i < bulk->count && !bulk->name.boxing; i++) {
        bulk->name.boxing = !is_safe(bulk->ops[i].key, 0);
    }
    for (Py_ssize_t i = 0; i < bulk->count; i++) {
        Py_CLEAR(bulk->ops[i].stored);
        if (!bulk->name.boxing) {
            bulk->ops[i].stored = Py_NewRef(bulk->ops[i].key);
        }
    }
    Py_CLEAR(bulk->plan);
    bulk->births = bulk->extra = 0;
    if ((bulk->plan = PyDict_New()) == NULL) {
        return -1;
    }
    return bulk->name.boxing && bulk->count ? bulk_resolve(map, bulk) : 0;
}

/* In a step: plan one write. 0, or -1. */
static int
plan_op(Map *map, Bulk *bulk, Op *op)
{
    State *state = map->table.state;
    int failed = 0, is_floor = 0;
    PyObject *floor = NULL, *planned = find_in(bulk->plan, op->stored, &failed);
    PyObject *old = planned ? planned : find_in(map->waiting, op->stored, &failed);
    Held was = {0};
    Node *node;
    if (op->version && !failed) {
        is_floor = find_floor(map, op->stored, old, &floor);
    }
    if (failed || is_floor < 0) {
        return -1;
    }
    if (is_floor && is_at_most(op->version, floor)) {
        return 0;
    }
    if (old) {
        was = held_as(state, old);
    }
    node = node_new(state, op->value, op->version, op->weight, 0);
    if (node == NULL) {
        return -1;
    }
    node->updates = old && op->version ? was.updates + 1 : 0;
    bulk->births += old == NULL;
    bulk->extra = sum_of(bulk->extra, op->weight - was.weight);
    failed = PyDict_SetItem(bulk->plan, op->stored, (PyObject *)node) < 0;
    Py_DECREF(node);
    return failed ? -1 : 0;
}

/* In a step: 0, or -1. A Node that is planned anew lets go of a value that is the batch's too. */
static int
plan_all(Map *map, Bulk *bulk)
{
    for (Py_ssize_t i = 0; i < bulk->count; i++) {
        if (plan_op(map, bulk, &bulk->ops[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

/* In a step: put one thing in. 0, or -1. */
static int
put_planned(Map *map, PyObject *stored, PyObject *object, PyObject **old)
{
    int failed = 0;
    *old = Py_XNewRef(find_in(map->waiting, stored, &failed));
    return failed || PyDict_SetItem(map->waiting, stored, object) < 0 ? -1 : 0;
}

/* In a step: undo it. */
static void
unput(Map *map, PyObject *stored, PyObject *old)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (old) {
        PyDict_SetItem(map->waiting, stored, old);
    }
    else {
        PyDict_DelItem(map->waiting, stored);
    }
    PyErr_Restore(type, value, traceback);
}

/* In a step: carry the plan out. 0, or -1: nothing is changed. */
static int
carry_out(Map *map, Bulk *bulk)
{
    PyObject *stored, *object;
    Py_ssize_t next = 0, undo = 0, i = 0;
    int weighed = is_weighed(&map->table);
    while (PyDict_Next(bulk->plan, &next, &stored, &object)) {
        Node *node = (Node *)object;
        if (!weighed && node->version == NULL) {
            object = node->value;
        }
        else {
            map->mixed = 1;
        }
        if (put_planned(map, stored, object, &bulk->olds[i++]) < 0) {
            for (Py_ssize_t j = 0; j < i - 1; j++) {
                PyDict_Next(bulk->plan, &undo, &stored, &object);
                unput(map, stored, bulk->olds[j]);
            }
            return -1;
        }
    }
    return 0;
}

/* In a step: bare values into a table that has nothing else, and no room. No plan is needed. */
static int
put_bare(Map *map, Bulk *bulk)
{
    Py_ssize_t before = PyDict_GET_SIZE(map->waiting);
    for (Py_ssize_t i = 0; i < bulk->count; i++) {
        Op *op = &bulk->ops[i];
        if (put_planned(map, op->stored, op->value, &bulk->olds[i]) < 0) {
            while (i-- > 0) {
                unput(map, bulk->ops[i].stored, bulk->olds[i]);
            }
            return FAILED;
        }
    }
    bulk->births = PyDict_GET_SIZE(map->waiting) - before;
    return MADE;
}

/* In a step: all of it. */
static int
bulk_step(Map *map, Bulk *bulk, int first)
{
    Room *room = map->table.room;
    if (map->linked && bulk->count) {
        return FULL;
    }
    map->loud |= bulk->count > 0;  /* whatever these are */
    if (room == NULL && map->simple && bulk->plain && !map->mixed) {
        return put_bare(map, bulk);
    }
    if (plan_all(map, bulk) < 0) {
        return FAILED;
    }
    if (room && !room_take(room, bulk->births, bulk->extra, first)) {
        return FULL;
    }
    if (carry_out(map, bulk) < 0) {
        room_give(room, bulk->births, bulk->extra);
        return FAILED;
    }
    return MADE;
}

static int
bulk_once(Map *map, Bulk *bulk, int first)
{
    Table *table = &map->table;
    int outcome, tell = 0;
    STEP(table);
    if (table->closed) {
        outcome = CLOSED;
    }
    else if (!is_current(map, &bulk->name)) {
        outcome = AGAIN;
    }
    else if ((outcome = bulk_step(map, bulk, first)) == MADE) {
        table->accepted += bulk->count;
        table->coalesced += bulk->count - bulk->births;
        table->bytes += bulk->extra;
        map->births += bulk->births;
        if (bulk->name.boxing) {
            NOTE(map->foreign);
        }
        tell = look(table, PyDict_GET_SIZE(map->waiting)) | (bulk->extra < 0 ? SERVE : 0);
    }
    DONE(table);
    return tell ? told(table, tell) : outcome;
}

static PyObject *
Map_put_all(Map *map, PyObject *const *args, Py_ssize_t count)
{
    Bulk bulk;
    int outcome = FAILED, first;
    if (!has_arguments("put_all", count, 1, 2)
        || (first = count > 1 ? PyObject_IsTrue(args[1]) : 0) < 0) {
        return NULL;
    }
    if (bulk_read(map, &bulk, args[0]) == 0) {
        do {
            outcome = bulk_prepare(map, &bulk) < 0 ? FAILED : bulk_once(map, &bulk, first);
        } while (outcome == AGAIN);
    }
    bulk_go(&bulk);
    return outcome_as_int(outcome);
}

static PyObject *
Map_needs(Map *map, PyObject *given)
{
    Bulk bulk;
    int outcome = FAILED;
    PyObject *needs = NULL;
    if (bulk_read(map, &bulk, given) == 0) {
        do {
            if (bulk_prepare(map, &bulk) < 0) {
                outcome = FAILED;
                break;
            }
            STEP(&map->table);
            outcome = !is_current(map, &bulk.name) ? AGAIN : plan_all(map, &bulk);
            DONE(&map->table);
        } while (outcome == AGAIN);
    }
    if (outcome == MADE) {
        needs = Py_BuildValue("(nn)", bulk.births, bulk.extra > 0 ? bulk.extra : 0);
    }
    bulk_go(&bulk);
    return needs;
}

#endif
