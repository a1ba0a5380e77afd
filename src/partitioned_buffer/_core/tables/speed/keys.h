/* Keys: what runs the user's `__hash__` and `__eq__`, and when.
 *
 * A dict calls `==` whenever two hashes are the same, even for an object that it holds itself. So
 * the dicts of a table hold only keys whose hash and `==` are C and do nothing else:
 *
 * - *safe* ones: exact str, int, float, bytes, bool, None, and tuples of them, as they are;
 * - a Box for any other key, which has that key's hash, as it was, and equals only itself.
 *
 * Which box is a key's is found outside of steps, in the writer (`resolve()` in map.h): a step
 * collects all stored keys of that hash, by looking for a Probe, which equals nothing and
 * remembers what it was compared with; then the user's `==` is asked. The step that writes finds
 * by a counter whether there were new keys meanwhile, and then all begins again. Workers never
 * hash or compare a user's key.
 */
#ifndef PARTITIONED_BUFFER_KEYS_H
#define PARTITIONED_BUFFER_KEYS_H

#include "step.h"

/* Deeper tuples than this would go into boxes: to compare them takes C's stack. */
#define DEEPEST 20

typedef struct {
    PyObject_HEAD
    PyObject *key;
    Py_hash_t hash;
} Box;

static Py_hash_t
Box_hash(Box *box)
{
    return box->hash;
}

static int
Box_traverse(Box *box, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(box));
    Py_VISIT(box->key);
    return 0;
}

static int
Box_clear(Box *box)
{
    /* None, not nothing: a table that is part of the same garbage may still be asked. */
    PyObject *key = box->key;
    box->key = Py_NewRef(Py_None);
    Py_XDECREF(key);
    return 0;
}

static void
Box_dealloc(Box *box)
{
    PyTypeObject *type = Py_TYPE(box);
    PyObject_GC_UnTrack(box);
    Py_XDECREF(box->key);
    PyObject_GC_Del(box);
    Py_DECREF(type);
}

static PyType_Slot Box_slots[] = {
    {Py_tp_hash, Box_hash},
    {Py_tp_traverse, Box_traverse},
    {Py_tp_clear, Box_clear},
    {Py_tp_dealloc, Box_dealloc},
    {0, NULL},
};

static PyType_Spec Box_spec = {
    .name = "partitioned_buffer._core.tables._speed.Box",
    .basicsize = sizeof(Box),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Box_slots,
};

static PyObject *
box_new(State *state, PyObject *key, Py_hash_t hash)
{
    Box *box = PyObject_GC_New(Box, state->Box);
    if (box == NULL) {
        return NULL;
    }
    box->key = Py_NewRef(key);
    box->hash = hash;
    PyObject_GC_Track(box);
    return (PyObject *)box;
}

/* The user's key of a stored one; borrowed. */
static inline PyObject *
key_of(State *state, PyObject *stored)
{
    return UNLIKELY(Py_IS_TYPE(stored, state->Box)) ? ((Box *)stored)->key : stored;
}

#define FEW 6

typedef struct {
    PyObject_HEAD
    Py_hash_t hash;
    Py_ssize_t count, space;
    PyObject **found;  /* `few`, or more */
    PyObject *few[FEW];
} Probe;

static Py_hash_t
Probe_hash(Probe *probe)
{
    return probe->hash;
}

/* Called by a dict, in a step: no object is made but None's friends. */
static PyObject *
Probe_compare(Probe *probe, PyObject *other, int Py_UNUSED(operation))
{
    if (probe->count == probe->space) {
        Py_ssize_t space = probe->space * 2;
        int is_few = probe->found == probe->few;
        PyObject **found = PyMem_Realloc(is_few ? NULL : probe->found, space * sizeof *found);
        if (found == NULL) {
            return PyErr_NoMemory();
        }
        if (is_few) {
            memcpy(found, probe->few, sizeof probe->few);
        }
        probe->found = found;
        probe->space = space;
    }
    probe->found[probe->count++] = Py_NewRef(other);
    Py_RETURN_FALSE;
}

static void
Probe_dealloc(Probe *probe)
{
    PyTypeObject *type = Py_TYPE(probe);
    for (Py_ssize_t i = 0; i < probe->count; i++) {
        Py_DECREF(probe->found[i]);
    }
    if (probe->found != probe->few) {
        PyMem_Free(probe->found);
    }
    PyObject_Free(probe);
    Py_DECREF(type);
}

static PyType_Slot Probe_slots[] = {
    {Py_tp_hash, Probe_hash},
    {Py_tp_richcompare, Probe_compare},
    {Py_tp_dealloc, Probe_dealloc},
    {0, NULL},
};

static PyType_Spec Probe_spec = {
    .name = "partitioned_buffer._core.tables._speed.Probe",
    .basicsize = sizeof(Probe),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Probe_slots,
};

static Probe *
probe_new(State *state, Py_hash_t hash)
{
    Probe *probe = PyObject_New(Probe, state->Probe);
    if (probe != NULL) {
        probe->hash = hash;
        probe->count = 0;
        probe->space = FEW;
        probe->found = probe->few;
    }
    return probe;
}

static int safe_tuple(PyObject *key, int depth);

/* Whether a key hashes and compares in C, and its last reference runs no code. */
static inline int
is_safe(PyObject *key, int depth)
{
    PyTypeObject *type = Py_TYPE(key);
    if (LIKELY(type == &PyUnicode_Type || type == &PyLong_Type)) {
        return 1;
    }
    if (type == &PyTuple_Type) {
        return safe_tuple(key, depth);
    }
    return type == &PyBytes_Type || type == &PyFloat_Type || type == &PyBool_Type
           || key == Py_None;
}

static int
safe_tuple(PyObject *key, int depth)
{
    if (depth > DEEPEST) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++) {
        if (!is_safe(PyTuple_GET_ITEM(key, i), depth + 1)) {
            return 0;
        }
    }
    return 1;
}

/* Versions: always exact ints here. */

/* Return *version* as an exact int, or NULL with an exception. */
static PyObject *
version_of(PyObject *version)
{
    if (LIKELY(PyLong_CheckExact(version))) {
        return Py_NewRef(version);
    }
    if (!PyBool_Check(version) && PyIndex_Check(version)) {
        PyObject *number = PyNumber_Index(version);
        if (number || !PyErr_ExceptionMatches(PyExc_TypeError)) {
            return number;
        }
        PyErr_Clear();
    }
    PyErr_Format(PyExc_TypeError, "version=%R: expected an int, such as a sequence number",
                 version);
    return NULL;
}

/* Whether one version is at most the other; NULL counts as 0. Runs no Python code. */
static inline int
is_at_most(PyObject *version, PyObject *other)
{
    long long left, right;
    int beyond_left = 0, beyond_right = 0;
#if PY_VERSION_HEX >= 0x030C0000
    if (LIKELY((version == NULL || PyUnstable_Long_IsCompact((PyLongObject *)version))
               && (other == NULL || PyUnstable_Long_IsCompact((PyLongObject *)other)))) {
        Py_ssize_t small = version ? PyUnstable_Long_CompactValue((PyLongObject *)version) : 0;
        return small <= (other ? PyUnstable_Long_CompactValue((PyLongObject *)other) : 0);
    }
#endif
    left = version ? PyLong_AsLongLongAndOverflow(version, &beyond_left) : 0;
    right = other ? PyLong_AsLongLongAndOverflow(other, &beyond_right) : 0;
    if (beyond_left && beyond_left == beyond_right) {
        return PyObject_RichCompareBool(version, other, Py_LE) == 1;  /* exact ints: no code */
    }
    return beyond_left || beyond_right ? beyond_left < beyond_right : left <= right;
}

#endif
