/* What a Map's dicts hold for a key, and the entries that are made of it.
 *
 * A plain value is held bare: it costs its place in the dict and nothing else. Where there is more
 * to know, a version, a weight, that it was deleted while the processor has it, a Node holds it
 * all, and is changed in place while it waits. A Linked is a Node in a list of what waits, in
 * order, where the oldest may have to be dropped: a dict whose first keys were deleted takes long
 * to find its first one.
 *
 * Nodes are not tracked by the garbage collector, which would cost 16 bytes and a collection now
 * and then: the table visits what its nodes hold. That is right as long as a Node is in one dict
 * only; one that lies in a local variable meanwhile keeps alive what it holds, which is right, too.
 */
#ifndef PARTITIONED_BUFFER_ENTRY_H
#define PARTITIONED_BUFFER_ENTRY_H

#include "spare.h"

#define BITS (sizeof(size_t) * 8)

typedef struct {
    PyObject_HEAD
    PyObject *value, *version;  /* version NULL: a plain put */
    Py_ssize_t weight;
    size_t updates : BITS - 2;
    size_t hidden : 1;  /* deleted while the processor has it */
    size_t linked : 1;  /* whether it is a Linked */
} Node;

typedef struct Linked {
    Node node;
    struct Linked *before, *after;
    PyObject *stored;
} Linked;

typedef struct {
    Linked *first, *last;
} Chain;

static void
Node_dealloc(Node *node)
{
    PyTypeObject *type = Py_TYPE(node);
    Py_XDECREF(node->value);
    Py_XDECREF(node->version);
    if (node->linked) {
        Py_XDECREF(((Linked *)node)->stored);
    }
    PyObject_Free(node);
    Py_DECREF(type);
}

static PyType_Slot Node_slots[] = {
    {Py_tp_dealloc, Node_dealloc},
    {0, NULL},
};

static PyType_Spec Node_spec = {
    .name = "partitioned_buffer._core.tables._speed.Node",
    .basicsize = sizeof(Node),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Node_slots,
};

/* May be called in a step: it is no object that the collector knows. */
static Node *
node_new(State *state, PyObject *value, PyObject *version, Py_ssize_t weight, int linked)
{
    Node *node = PyObject_Malloc(linked ? sizeof(Linked) : sizeof(Node));
    if (node == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    PyObject_Init((PyObject *)node, state->Node);
    node->value = Py_NewRef(value);
    node->version = Py_XNewRef(version);
    node->weight = weight;
    node->updates = node->hidden = 0;
    node->linked = linked;
    if (linked) {
        ((Linked *)node)->before = ((Linked *)node)->after = NULL;
        ((Linked *)node)->stored = NULL;
    }
    return node;
}

static inline Node *
as_node(State *state, PyObject *held)
{
    return held && Py_IS_TYPE(held, state->Node) ? (Node *)held : NULL;
}

/* What is held for a key, spelt out; borrowed. */
typedef struct {
    PyObject *value, *version;
    Py_ssize_t updates, weight;
    int hidden;
} Held;

static inline Held
held_as(State *state, PyObject *held)
{
    Node *node = as_node(state, held);
    if (node == NULL) {
        return (Held){held, NULL, 0, 0, 0};
    }
    return (Held){node->value, node->version, (Py_ssize_t)node->updates, node->weight,
                  node->hidden};
}

static void
chain_last(Chain *chain, Linked *link, PyObject *stored)
{
    link->stored = Py_NewRef(stored);
    link->before = chain->last;
    link->after = NULL;
    *(chain->last ? &chain->last->after : &chain->first) = link;
    chain->last = link;
}

static void
unchain(Chain *chain, Linked *link)
{
    *(link->before ? &link->before->after : &chain->first) = link->after;
    *(link->after ? &link->after->before : &chain->last) = link->before;
    link->before = link->after = NULL;
}

/* What the collector cannot see by itself: what the nodes of *dict* hold. */
static int
visit_nodes(State *state, PyObject *dict, visitproc visit, void *arg)
{
    PyObject *stored, *held;
    Py_ssize_t at = 0;
    while (dict && PyDict_Next(dict, &at, &stored, &held)) {
        Node *node = as_node(state, held);
        if (node != NULL) {
            Py_VISIT(node->value);
            if (node->linked) {
                Py_VISIT(((Linked *)node)->stored);
            }
        }
    }
    return 0;
}

/* Entries are made before a step, as empty tuples, and filled in it, which makes no object that
 * the collector knows. Until they are whole, nobody can find them: they, and the list that holds
 * them, are not tracked. */

/* As tp_alloc does it for a tuple without a __dict__, but not tracked. */
static inline PyObject *
blank_entry(PyTypeObject *Entry)
{
    PyTupleObject *entry = spare_entry(Entry);
    if (entry == NULL) {
        entry = PyObject_GC_NewVar(PyTupleObject, Entry, FIELDS);
        if (entry == NULL) {
            return NULL;
        }
        memset(entry->ob_item, 0, FIELDS * sizeof *entry->ob_item);
    }
#if PY_VERSION_HEX >= 0x030E0000
    entry->ob_hash = -1;  /* not known yet */
#endif
    return (PyObject *)entry;
}

/* What holds only things that refer to nothing cannot be part of a cycle: the collector need not
 * look at it. It untracks such tuples itself, when it comes by. */
static inline void
track_entry(PyObject *entry)
{
    if (PyType_IS_GC(Py_TYPE(PyTuple_GET_ITEM(entry, 1)))
        || PyType_IS_GC(Py_TYPE(PyTuple_GET_ITEM(entry, 0)))) {
        PyObject_GC_Track(entry);
    }
}

static PyObject *
blank_entries(State *state, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    if (list == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(list);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *entry = blank_entry(state->Entry);
        if (entry == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, i, entry);
    }
    return list;
}

/* In a step. 0, or -1 (an int could not be made; the entry is left blank). */
static inline int
fill_entry(State *state, PyObject *entry, PyObject *stored, PyObject *held)
{
    Held is = held_as(state, held);
    PyObject *updates = is.updates ? PyLong_FromSsize_t(is.updates) : Py_NewRef(state->zero);
    if (updates == NULL) {
        return -1;
    }
    PyTuple_SET_ITEM(entry, 0, Py_NewRef(key_of(state, stored)));
    PyTuple_SET_ITEM(entry, 1, Py_NewRef(is.value));
    PyTuple_SET_ITEM(entry, 2, Py_NewRef(is.version ? is.version : state->zero));
    PyTuple_SET_ITEM(entry, 3, updates);
    return 0;
}

/* In a step: fill up to *most* entries of *list* from *at* on with what *dict* holds from *next*
 * on. Returns where it stopped, or -1. */
static Py_ssize_t
fill_entries(State *state, PyObject *list, Py_ssize_t at, PyObject *dict, Py_ssize_t *next,
             Py_ssize_t most)
{
    PyObject *stored, *held;
    Py_ssize_t end = PyList_GET_SIZE(list);
    if (dict == NULL) {
        return at;
    }
    end = most < end - at ? at + most : end;
    while (at < end && PyDict_Next(dict, next, &stored, &held)) {
        if (fill_entry(state, PyList_GET_ITEM(list, at), stored, held) < 0) {
            return -1;
        }
        at++;
    }
    return at;
}

/* After the step: the first *count* are whole; forget the others. Returns *list*, or NULL. */
static PyObject *
whole_entries(PyObject *list, Py_ssize_t count)
{
    if (count >= 0) {
        for (Py_ssize_t i = 0; i < count; i++) {
            track_entry(PyList_GET_ITEM(list, i));
        }
        PyObject_GC_Track(list);
        if (count == PyList_GET_SIZE(list)
            || PyList_SetSlice(list, count, PyList_GET_SIZE(list), NULL) == 0) {
            return list;
        }
    }
    Py_DECREF(list);
    return NULL;
}

#endif
