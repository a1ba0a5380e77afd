/* Entries that are spare: a processor lets go of as many as it is given next.
 *
 * To make and unmake one the usual way costs more than all else that is done for it. So those that
 * nobody has any more are kept, up to a thousand, as CPython does with its own tuples. Their class
 * is one of Python's, which has our deallocator for that.
 *
 * There is one pool, the main interpreter's, whose GIL keeps it whole; without a GIL there is none.
 */
#ifndef PARTITIONED_BUFFER_SPARE_H
#define PARTITIONED_BUFFER_SPARE_H

#include "keys.h"

#define FIELDS 4

#if !defined(Py_GIL_DISABLED) && !defined(Py_TRACE_REFS)
#define SPARES 1024

/* How many entries may end within each other's ends, through whatever they refer to, on C's stack.
 * Deeper ones end as Python's own do, which puts that off. */
#define NESTED 20

static struct {
    PyTypeObject *type;  /* NULL: there is no pool */
    int count;
    int nested;  /* how many are just ending */
    PyTupleObject *entries[SPARES];  /* blank but for their type */
} spares;

static inline int
may_be_spare(PyObject *entry)
{
    return Py_TYPE(entry) == spares.type && spares.count < SPARES && Py_SIZE(entry) == FIELDS
           && spares.nested < NESTED;
}

static void
let_go_of_fields(PyObject *entry)
{
    for (Py_ssize_t i = 0; i < Py_SIZE(entry); i++) {
        PyObject *field = PyTuple_GET_ITEM(entry, i);
        PyTuple_SET_ITEM(entry, i, NULL);
        Py_XDECREF(field);  /* which may run anything */
    }
}

static void
entry_free(PyObject *entry)
{
    PyTypeObject *type = Py_TYPE(entry);
    type->tp_free(entry);
    Py_DECREF(type);
}

/* What Python's own deallocator of classes does; it calls this one for what a subclass leaves. */
static void
Entry_dealloc(PyObject *entry)
{
    PyTypeObject *type = Py_TYPE(entry);
    if (UNLIKELY(type->tp_finalize != NULL) && type->tp_dealloc == Entry_dealloc
        && PyObject_CallFinalizerFromDealloc(entry) < 0) {
        return;
    }
    PyObject_GC_UnTrack(entry);
    if (may_be_spare(entry)) {
        spares.nested++;
        let_go_of_fields(entry);
        spares.nested--;
        if (spares.count < SPARES && type == spares.type) {
            spares.entries[spares.count++] = (PyTupleObject *)entry;
        }
        else {
            entry_free(entry);
        }
        return;
    }
    Py_TRASHCAN_BEGIN(entry, Entry_dealloc)
    let_go_of_fields(entry);
    entry_free(entry);
    Py_TRASHCAN_END
}

static inline PyTupleObject *
spare_entry(PyTypeObject *type)
{
    PyTupleObject *entry;
    if (type != spares.type || spares.count == 0) {
        return NULL;
    }
    entry = spares.entries[--spares.count];
    _Py_NewReference((PyObject *)entry);
    return entry;
}

/* Have a pool of *type*, which a class of Python's made. */
static void
begin_spares(PyTypeObject *type)
{
    if (spares.type == NULL && PyInterpreterState_Get() == PyInterpreterState_Main()) {
        spares.type = type;
        type->tp_dealloc = Entry_dealloc;
    }
}

/* Have none any more; entries that are there still go as they come. */
static void
end_spares(PyTypeObject *type)
{
    if (type == NULL || type != spares.type) {
        return;
    }
    spares.type = NULL;
    while (spares.count) {
        PyObject_GC_Del(spares.entries[--spares.count]);
        Py_DECREF(type);
    }
}

#else

static inline PyTupleObject *
spare_entry(PyTypeObject *Py_UNUSED(type))
{
    return NULL;
}

static void
begin_spares(PyTypeObject *Py_UNUSED(type))
{
}

static void
end_spares(PyTypeObject *Py_UNUSED(type))
{
}

#endif

#endif
