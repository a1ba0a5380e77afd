/* What a step is, on every build; and what all other headers stand on.
 *
 * A step is what lies between STEP(t) and DONE(t): all of a write, or nothing of it, and nobody
 * sees the half. On builds with the GIL the two are empty. CPython gives the GIL away, runs signal
 * handlers, finalizers and collections only where Python code runs, so a stretch of C is one step
 * as long as it keeps the rules:
 *
 * 1. It calls nothing that can run Python code. Dicts are asked only for keys that hash and
 *    compare in C (see keys.h).
 * 2. It makes no object that the garbage collector tracks. Python 3.11 collects in the very
 *    allocation of one, and a collection runs finalizers and the callbacks of weak references.
 *    Dicts and lists are made before the step; a dict that grows, a Node, an int or a piece of
 *    memory is no such object, and may be made inside.
 * 3. It lets go of no last reference, for that is a finalizer, too. What is replaced is moved into
 *    a local variable and let go of after DONE(). Exact ints have no finalizer and are excepted.
 * 4. What can fail comes first, what has to be undone is undone before DONE().
 *
 * On free-threaded builds the two lock and unlock a mutex of the table. It is no critical section,
 * because those are given up whenever a thread has to wait for another lock, or for a collection;
 * a mutex is held until the step is over. The dicts of a table have locks of their own, which
 * PyDict_* takes inside of the step: nobody else knows these dicts, so nobody ever waits for one,
 * and the order (table, then its dict, or its room) is always the same. What changes is read in a
 * step, or by PEEK and NOTED: C promises nothing of a number that another thread is just writing.
 * A collection stops all threads first, each at a place that is in no step, and so finds whole
 * tables. Nothing is called with the mutex held that could come back for it: rule 1.
 *
 * A child of a fork has a new mutex (`reset()`): the thread that held the old one is not there.
 */
#ifndef PARTITIONED_BUFFER_STEP_H
#define PARTITIONED_BUFFER_STEP_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <string.h>
#include <structmember.h>

#if defined(__GNUC__) || defined(__clang__)
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define SELDOM __attribute__((noinline, cold))
#define APART __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define LIKELY(x) (x)
#define UNLIKELY(x) (x)
#define SELDOM __declspec(noinline)
#define APART __declspec(noinline)
#define ALWAYS_INLINE __forceinline
#else
#define LIKELY(x) (x)
#define UNLIKELY(x) (x)
#define SELDOM
#define APART
#define ALWAYS_INLINE inline
#endif

#ifdef Py_GIL_DISABLED
#define LOCK PyMutex lock;
#define STEP(t) PyMutex_Lock(&(t)->lock)
#define DONE(t) PyMutex_Unlock(&(t)->lock)
#define FRESH_LOCK(t) memset(&(t)->lock, 0, sizeof (t)->lock)
#define PEEK(field) _Py_atomic_load_ssize(&(field))
#define POKE(field, n) _Py_atomic_store_ssize(&(field), (n))
#define GIVE(field, n) ((void)_Py_atomic_add_ssize(&(field), -(n)))
#define NOTED(flag) _Py_atomic_load_uint8_relaxed((uint8_t *)&(flag))
#define NOTE(flag) _Py_atomic_store_uint8_relaxed((uint8_t *)&(flag), 1)
/* Two tables that are made side by side shall not share a cache line: their writers are other
 * threads, on other cores. Two lines, because processors fetch them in pairs. */
#define SPACE char space[128];
#else
#define LOCK
#define STEP(t) ((void)0)
#define DONE(t) ((void)0)
#define FRESH_LOCK(t) ((void)0)
#define PEEK(field) (field)
#define POKE(field, n) ((field) = (n))
#define GIVE(field, n) ((field) -= (n))
#define NOTED(flag) (flag)
#define NOTE(flag) ((flag) = 1)
#define SPACE
#endif

/* What a write came to. Python sees the first three. FAILED: an exception is set. */
enum { MADE = 0, FULL = 1, CLOSED = 2, AGAIN = 3, FAILED = -1 };

/* What is to be done after a step, outside of it. */
enum { RING = 1, OBSERVE = 2, SERVE = 4 };

#define NO_LIMIT PY_SSIZE_T_MAX

typedef struct {
    PyTypeObject *Entry;  /* the named tuple, from Python */
    PyTypeObject *Box, *Probe, *Node, *Core, *Room, *QueueTable, *MapTable;
    PyObject *zero;
} State;

static struct PyModuleDef speed_module;

/* The state of the module that *type*, or a base of it, was made by; each interpreter has one. */
static State *
state_of(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &speed_module);
    return module ? (State *)PyModule_GetState(module) : NULL;
}

/* None, or a number: no limit, or one. -1 with an exception set. */
static Py_ssize_t
limit_of(PyObject *number)
{
    return number == Py_None ? NO_LIMIT : PyLong_AsSsize_t(number);
}

static inline PyObject *
outcome_as_int(int outcome)
{
    return outcome == FAILED ? NULL : PyLong_FromLong(outcome);
}

/* The arguments of a method that takes them by place: from *least* to *most*. */
static inline int
has_arguments(const char *name, Py_ssize_t count, Py_ssize_t least, Py_ssize_t most)
{
    if (LIKELY(count >= least && count <= most)) {
        return 1;
    }
    PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments, got %zd", name, least, most,
                 count);
    return 0;
}

#define PLACES(name, function, doc) {name, (PyCFunction)(void *)(function), METH_FASTCALL, doc}
#define NOTHING(name, function, doc) {name, (PyCFunction)(void *)(function), METH_NOARGS, doc}
#define ONE(name, function, doc) {name, (PyCFunction)(void *)(function), METH_O, doc}

#endif
