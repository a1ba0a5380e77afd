/* The methods that a Queue's and a Map's table share. */
#ifndef PARTITIONED_BUFFER_TABLE_METHODS_H
#define PARTITIONED_BUFFER_TABLE_METHODS_H

#include "table.h"

/* Ring if enough waits already; outside of steps. None, or NULL. */
static PyObject *
look_now(Table *table)
{
    int tell;
    STEP(table);
    table->rung = 0;
    tell = look(table, table->kind->waiting(table)) & RING;
    DONE(table);
    return told(table, tell) == FAILED ? NULL : Py_NewRef(Py_None);
}

static void
set_wake(Table *table, PyObject *wake)
{
    PyObject *gone;
    STEP(table);
    gone = table->wake;
    table->wake = wake == Py_None ? NULL : Py_NewRef(wake);
    DONE(table);
    Py_XDECREF(gone);
}

static PyObject *
Table_open(Table *table, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t flush_at;
    if (!has_arguments("open", count, 2, 2)) {
        return NULL;
    }
    flush_at = limit_of(args[1]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    set_wake(table, args[0]);
    STEP(table);
    table->flush_at = flush_at;
    table->closed = 0;
    DONE(table);
    return look_now(table);
}

static PyObject *
Table_close(Table *table, PyObject *Py_UNUSED(ignored))
{
    STEP(table);
    table->closed = 1;
    DONE(table);
    Py_RETURN_NONE;
}

static PyObject *
Table_rewire(Table *table, PyObject *wake)
{
    set_wake(table, wake);
    Py_RETURN_NONE;
}

static PyObject *
Table_retune(Table *table, PyObject *number)
{
    Py_ssize_t flush_at = limit_of(number);
    if (PyErr_Occurred()) {
        return NULL;
    }
    STEP(table);
    table->flush_at = flush_at;
    DONE(table);
    return look_now(table);
}

static PyObject *
Table_drop(Table *table, PyObject *number)
{
    Py_ssize_t count = PyLong_AsSsize_t(number);
    int untold;
    return PyErr_Occurred() ? NULL : outcome_as_int(drop(table, count, &untold));
}

static PyObject *
Table_drop_oldest(Table *table, PyObject *Py_UNUSED(ignored))
{
    int dropped = table->kind->drop_oldest(table);
    if (dropped && served(table->room) < 0) {
        return NULL;
    }
    return PyBool_FromLong(dropped);
}

static PyObject *
Table_get_closed(Table *table, void *Py_UNUSED(closure))
{
    int closed;
    STEP(table);
    closed = table->closed;
    DONE(table);
    return PyBool_FromLong(closed);
}

static PyObject *
Table_get_number(Table *table, void *offset)
{
    Py_ssize_t number;
    STEP(table);
    number = *(Py_ssize_t *)((char *)table + (Py_ssize_t)offset);
    DONE(table);
    return PyLong_FromSsize_t(number);
}

static PyObject *
Table_get_object(Table *table, void *observer)
{
    PyObject *object;
    STEP(table);
    object = Py_XNewRef(observer ? table->observer : table->partition);
    DONE(table);
    return object ? object : Py_NewRef(Py_None);
}

static int
Table_set_object(Table *table, PyObject *value, void *observer)
{
    PyObject *gone, *given = value == NULL ? Py_None : value;
    STEP(table);
    if (observer) {
        gone = table->observer;
        table->observer = given == Py_None ? NULL : Py_NewRef(given);
    }
    else {
        gone = table->partition;
        table->partition = Py_NewRef(given);
    }
    DONE(table);
    Py_XDECREF(gone);
    return 0;
}

static PyGetSetDef Table_getset[] = {
    {"closed", (getter)Table_get_closed, NULL, "Whether it takes no writes.", NULL},
    {"accepted", (getter)Table_get_number, NULL, "How much was accepted.",
     (void *)offsetof(Table, accepted)},
    {"delivered", (getter)Table_get_number, NULL, "How much was delivered.",
     (void *)offsetof(Table, delivered)},
    {"partition", (getter)Table_get_object, (setter)Table_set_object,
     "What the observer is told.", NULL},
    {"observer", (getter)Table_get_object, (setter)Table_set_object,
     "Called with the partition after a write, or None.", (void *)1},
    {NULL},
};

static PyMemberDef Table_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Table, weak), READONLY},
    {NULL},
};

#define TABLE_METHODS                                                                             \
    PLACES("open", Table_open,                                                                    \
           "open($self, wake, flush_at, /)\n--\n\nLet writers in; call wake() when that many "    \
           "wait."),                                                                              \
    NOTHING("close", Table_close, "close($self, /)\n--\n\nTake no more writes."),                 \
    ONE("rewire", Table_rewire, "rewire($self, wake, /)\n--\n\nCall another wake() from now on."), \
    ONE("retune", Table_retune,                                                                   \
        "retune($self, flush_at, /)\n--\n\nWake when another number waits."),                     \
    ONE("drop", Table_drop,                                                                       \
        "drop($self, count, /)\n--\n\nCount new items that are dropped."),                        \
    NOTHING("drop_oldest", Table_drop_oldest,                                                     \
            "drop_oldest($self, /)\n--\n\nDrop the oldest that the processor does not have."),    \
    NOTHING("counts", Table_counts, "counts($self, /)\n--\n\nReturn the ledger."),                \
    NOTHING("load", Table_load,                                                                   \
            "load($self, /)\n--\n\nReturn how many items are held, and their bytes.")

#endif
