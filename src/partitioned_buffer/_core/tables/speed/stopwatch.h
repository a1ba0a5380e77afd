/* How long calls of a partition's processor take, that go one after the other.
 *
 * One reading of the clock ends a call and begins the next one. The clock may be Python, and is
 * read outside of steps. Who calls alone writes, so between its reading and its step nothing
 * changes; who reads, reads in a step, and so sees numbers that belong together.
 */
#ifndef PARTITIONED_BUFFER_STOPWATCH_H
#define PARTITIONED_BUFFER_STOPWATCH_H

#include "step.h"

#include <math.h>

enum { MOST_BOUNDS = 127 };

/* What may be read. */
typedef struct {
    unsigned long long counts[MOST_BOUNDS + 1], batches;
    double seconds, longest;  /* if that is longer than the first bound */
    double succeeded_at;  /* NaN before there was a success */
} Times;

typedef struct {
    PyObject_HEAD
    LOCK
    double began, settled_at;
    Times times;
    Py_ssize_t size;  /* how many bounds there are */
    double bounds[MOST_BOUNDS];
    PyObject *monotonic;
    SPACE
} Stopwatch;

/* Read the clock, and say what it said as a number, too. A new reference, or NULL. */
static inline PyObject *
read_clock(Stopwatch *watch, double *now)
{
    PyObject *time = PyObject_CallNoArgs(watch->monotonic);
    if (LIKELY(time && PyFloat_CheckExact(time))) {
        *now = PyFloat_AS_DOUBLE(time);
    }
    else if (time) {
        *now = PyFloat_AsDouble(time);
        if (UNLIKELY(*now == -1.0 && PyErr_Occurred())) {
            Py_CLEAR(time);
        }
    }
    return time;
}

/* The place of the first bound that is no less than *seconds*. */
static inline Py_ssize_t
place_of(Stopwatch *watch, double seconds)
{
    Py_ssize_t low = 1, high = watch->size;
    if (LIKELY(seconds <= watch->bounds[0])) {
        return 0;
    }
    while (low < high) {
        Py_ssize_t middle = (low + high) / 2;
        if (watch->bounds[middle] < seconds) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

/* Count the call that ends *now*, and begin the next; in a step. */
static inline void
end_call(Stopwatch *watch, double now, int again)
{
    double seconds = now - watch->began;
    Py_ssize_t place = place_of(watch, seconds);
    watch->times.counts[place]++;
    watch->times.batches += !again;
    watch->times.seconds += seconds;
    if (UNLIKELY(place && seconds > watch->times.longest)) {
        watch->times.longest = seconds;
    }
    watch->began = now;
}

static PyObject *
Stopwatch_begin(Stopwatch *watch, PyObject *Py_UNUSED(ignored))
{
    double now;
    PyObject *time = read_clock(watch, &now);
    if (time) {
        STEP(watch);
        watch->began = now;
        DONE(watch);
    }
    return time;
}

/* Whether it was another attempt, which is said or not; -1 with an exception set. */
static inline int
is_again(const char *name, PyObject *const *args, Py_ssize_t count)
{
    if (LIKELY(count == 0)) {
        return 0;
    }
    return has_arguments(name, count, 0, 1) ? PyObject_IsTrue(args[0]) : -1;
}

/* Note that the call ended *well*, or not, and that the next one begins; return when. */
static inline PyObject *
ended(Stopwatch *watch, const char *name, PyObject *const *args, Py_ssize_t count, int well)
{
    double now;
    int again = is_again(name, args, count);
    PyObject *time = again < 0 ? NULL : read_clock(watch, &now);
    if (time) {
        STEP(watch);
        end_call(watch, now, again);
        if (well) {
            watch->times.succeeded_at = watch->settled_at = now;
        }
        DONE(watch);
    }
    return time;
}

static PyObject *
Stopwatch_returned(Stopwatch *watch, PyObject *const *args, Py_ssize_t count)
{
    return ended(watch, "returned", args, count, 1);
}

static PyObject *
Stopwatch_raised(Stopwatch *watch, PyObject *const *args, Py_ssize_t count)
{
    return ended(watch, "raised", args, count, 0);
}

static PyObject *
Stopwatch_times(Stopwatch *watch, PyObject *Py_UNUSED(ignored))
{
    Times times;
    PyObject *counts, *succeeded_at;
    STEP(watch);
    times = watch->times;
    DONE(watch);
    counts = PyTuple_New(watch->size + 1);
    for (Py_ssize_t i = 0; counts && i <= watch->size; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(times.counts[i]);
        if (number) {
            PyTuple_SET_ITEM(counts, i, number);
        }
        else {
            Py_CLEAR(counts);
        }
    }
    if (counts == NULL) {
        return NULL;
    }
    succeeded_at = isnan(times.succeeded_at) ? Py_NewRef(Py_None)
                                             : PyFloat_FromDouble(times.succeeded_at);
    return Py_BuildValue("NKddN", counts, times.batches, times.seconds, times.longest,
                         succeeded_at);
}

static PyObject *
Stopwatch_get_settled_at(Stopwatch *watch, void *Py_UNUSED(closure))
{
    double at;
    STEP(watch);
    at = watch->settled_at;
    DONE(watch);
    return PyFloat_FromDouble(at);
}

static int
Stopwatch_set_settled_at(Stopwatch *watch, PyObject *value, void *Py_UNUSED(closure))
{
    double at;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "settled_at: cannot be deleted");
        return -1;
    }
    at = PyFloat_AsDouble(value);
    if (at == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    STEP(watch);
    watch->settled_at = at;
    DONE(watch);
    return 0;
}

/* 0, or -1. */
static int
set_bounds(Stopwatch *watch, PyObject *bounds)
{
    watch->size = PyTuple_GET_SIZE(bounds);
    if (watch->size < 1 || watch->size > MOST_BOUNDS) {
        PyErr_Format(PyExc_ValueError, "bounds: expected 1 to %d, got %zd", MOST_BOUNDS,
                     watch->size);
        return -1;
    }
    for (Py_ssize_t i = 0; i < watch->size; i++) {
        watch->bounds[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(bounds, i));
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
Stopwatch_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "", NULL};
    PyObject *monotonic, *bounds, *time = NULL;
    Stopwatch *watch;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO!:Stopwatch", names, &monotonic,
                                     &PyTuple_Type, &bounds)) {
        return NULL;
    }
    watch = (Stopwatch *)type->tp_alloc(type, 0);
    if (watch == NULL) {
        return NULL;
    }
    watch->monotonic = Py_NewRef(monotonic);
    watch->times.succeeded_at = NAN;
    if (set_bounds(watch, bounds) == 0) {
        time = read_clock(watch, &watch->began);
    }
    if (time == NULL) {
        Py_DECREF(watch);
        return NULL;
    }
    Py_DECREF(time);
    watch->settled_at = watch->began;
    return (PyObject *)watch;
}

static int
Stopwatch_traverse(Stopwatch *watch, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(watch));
    Py_VISIT(watch->monotonic);
    return 0;
}

/* Not cleared: a cycle goes through what reads the clock, which clears itself; and so it is there
 * as long as the watch is. */
static void
Stopwatch_dealloc(Stopwatch *watch)
{
    PyTypeObject *type = Py_TYPE(watch);
    PyObject_GC_UnTrack(watch);
    Py_CLEAR(watch->monotonic);
    type->tp_free(watch);
    Py_DECREF(type);
}

static PyGetSetDef Stopwatch_getset[] = {
    {"settled_at", (getter)Stopwatch_get_settled_at, (setter)Stopwatch_set_settled_at,
     "When something was settled last.", NULL},
    {NULL},
};

static PyMethodDef Stopwatch_methods[] = {
    NOTHING("begin", Stopwatch_begin,
            "begin($self, /)\n--\n\nNote that a call begins; return when."),
    PLACES("returned", Stopwatch_returned,
           "returned($self, again=False, /)\n--\n\n"
           "Note that the call went well, and that the next one begins; return when."),
    PLACES("raised", Stopwatch_raised,
           "raised($self, again=False, /)\n--\n\n"
           "Note that the call failed, and that the next one begins; return when."),
    NOTHING("times", Stopwatch_times,
            "times($self, /)\n--\n\nReturn all that was noted, as of one instant."),
    {NULL},
};

static PyType_Slot Stopwatch_slots[] = {
    {Py_tp_doc, "Stopwatch(monotonic, bounds, /)\n--\n\n"
                "Sorts calls by *bounds*, seconds by the clock that *monotonic* reads."},
    {Py_tp_new, Stopwatch_new},
    {Py_tp_traverse, Stopwatch_traverse},
    {Py_tp_dealloc, Stopwatch_dealloc},
    {Py_tp_methods, Stopwatch_methods},
    {Py_tp_getset, Stopwatch_getset},
    {0, NULL},
};

static PyType_Spec Stopwatch_spec = {
    .name = "partitioned_buffer._core.tables._speed.Stopwatch",
    .basicsize = sizeof(Stopwatch),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Stopwatch_slots,
};

#endif
