/* Many entries at once, dealt out to the tables of their keys.
 *
 * Here are only those that take no more than that: a dict, or a list of tuples, by their own keys,
 * without weights. All else is Python's, above. No step is in here: a key's `__hash__` may do
 * whatever it likes, and what was given is copied before.
 */
#ifndef PARTITIONED_BUFFER_DEAL_H
#define PARTITIONED_BUFFER_DEAL_H

#include "writers.h"

#define ASIDE 1  /* this is not for us */

typedef struct {
    PyObject *groups;  /* what is returned: a list of operations by table */
    PyObject **lists;  /* the same by slot, borrowed; NULL: not looked for yet */
    PyObject *none;  /* the weight of each */
} Deal;

/* The list of the table of *slot*, borrowed. */
static PyObject *
list_of_slot(Core *core, Deal *deal, Py_ssize_t slot)
{
    PyObject *table = PyTuple_GET_ITEM(core->tables, slot), *list;
    int failed;
    if ((list = PyDict_GetItemWithError(deal->groups, table)) == NULL) {
        if (PyErr_Occurred() || (list = PyList_New(0)) == NULL) {
            return NULL;
        }
        failed = PyDict_SetItem(deal->groups, table, list);
        Py_DECREF(list);
        if (failed) {
            return NULL;
        }
    }
    return deal->lists[slot] = list;
}

/* Deal out *entry*: 0, or ASIDE, or -1 where an exception is set. */
static int
deal_one(Core *core, Deal *deal, PyObject *entry, int versioned)
{
    PyObject *version = Py_None, *list, *op;
    Py_hash_t hash;
    Py_ssize_t slot;
    int failed;
    if (!PyTuple_CheckExact(entry) || PyTuple_GET_SIZE(entry) != 2 + versioned) {
        return ASIDE;
    }
    if (versioned && !PyLong_CheckExact(version = PyTuple_GET_ITEM(entry, 2))) {
        return ASIDE;
    }
    if ((hash = PyObject_Hash(PyTuple_GET_ITEM(entry, 0))) == -1) {
        return -1;
    }
    slot = slot_of(hash, PyTuple_GET_SIZE(core->tables));
    if ((list = deal->lists[slot]) == NULL && (list = list_of_slot(core, deal, slot)) == NULL) {
        return -1;
    }
    if ((op = PyTuple_New(4)) == NULL) {
        return -1;
    }
    PyTuple_SET_ITEM(op, 0, Py_NewRef(PyTuple_GET_ITEM(entry, 0)));
    PyTuple_SET_ITEM(op, 1, Py_NewRef(PyTuple_GET_ITEM(entry, 1)));
    PyTuple_SET_ITEM(op, 2, Py_NewRef(version));
    PyTuple_SET_ITEM(op, 3, Py_NewRef(deal->none));
    failed = PyList_Append(list, op);
    Py_DECREF(op);
    return failed;
}

static PyObject *
copied_entries(PyObject *entries)
{
    if (PyDict_CheckExact(entries)) {
        return PyDict_Items(entries);
    }
    return PyList_CheckExact(entries) ? PyList_AsTuple(entries) : Py_NewRef(Py_None);
}

static PyObject *
Core_deal(Core *core, PyObject *const *args, Py_ssize_t count)
{
    Deal deal = {NULL, NULL, NULL};
    PyObject *entries;
    int came_to = -1, versioned;
    if (!has_arguments("_deal", count, 2, 2) || (versioned = PyObject_IsTrue(args[1])) < 0) {
        return NULL;
    }
    if (core->tables == NULL || core->weigh) {
        Py_RETURN_NONE;
    }
    if ((entries = copied_entries(args[0])) == NULL || entries == Py_None) {
        return entries;
    }
    deal.lists = PyMem_Calloc((size_t)PyTuple_GET_SIZE(core->tables), sizeof *deal.lists);
    deal.groups = PyDict_New();
    deal.none = PyLong_FromLong(0);
    if (deal.lists && deal.groups && deal.none) {
        came_to = 0;
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(entries) && came_to == 0; i++) {
            came_to = deal_one(core, &deal, PySequence_Fast_GET_ITEM(entries, i), versioned);
        }
    }
    else if (deal.lists == NULL) {
        PyErr_NoMemory();
    }
    PyMem_Free(deal.lists);
    Py_XDECREF(deal.none);
    Py_DECREF(entries);
    if (came_to != 0) {
        Py_CLEAR(deal.groups);
    }
    return came_to == ASIDE ? Py_NewRef(Py_None) : deal.groups;
}

#endif
