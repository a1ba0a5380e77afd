/* What all tables of a buffer may hold together.
 *
 * What is used is counted in the very steps that take an item in, or let it go, so that it is at
 * every instant what the tables hold. Room is taken before an item is stored, and only if it is
 * there: a bound is never passed, not for a moment. With the GIL that is a comparison in the
 * table's step. On free-threaded builds several tables take at once: the number of items by
 * compare and swap; where bytes are bounded, too, by a mutex, since two numbers have to be taken
 * together, or neither. The order is always a table's lock, then the room's.
 *
 * Writers that wait stand in a line, in Python. Here only is known what they wait for: nobody else
 * takes that.
 */
#ifndef PARTITIONED_BUFFER_ROOM_H
#define PARTITIONED_BUFFER_ROOM_H

#include "step.h"

enum { BLOCK, RAISE, DROP_NEWEST, DROP_OLDEST };
static const char *const when_full_names[] = {"block", "raise", "drop_newest", "drop_oldest"};

typedef struct {
    PyObject_HEAD
    LOCK
    Py_ssize_t used, used_bytes;
    Py_ssize_t line, line_bytes;  /* about what those in line wait for */
    Py_ssize_t size, bytes;  /* or NO_LIMIT */
    char weighed, when_full;
    PyObject *serve, *tables;
    State *state;
    PyObject *weak;
    SPACE
} Room;

/* Whether there is room for that, beside what those in line wait for but the *first*. */
static inline int
has_room(Room *room, Py_ssize_t items, Py_ssize_t bytes, int first)
{
    Py_ssize_t line = first ? 0 : PEEK(room->line), line_bytes = first ? 0 : PEEK(room->line_bytes);
    return (items <= 0 || items <= room->size - PEEK(room->used) - line)
           && (bytes <= 0 || bytes <= room->bytes - PEEK(room->used_bytes) - line_bytes);
}

/* Take room for *items* more, and *bytes* (fewer than none: give back), or nothing; in a step. */
static inline int
room_take(Room *room, Py_ssize_t items, Py_ssize_t bytes, int first)
{
    int fits;
#ifdef Py_GIL_DISABLED
    if (!room->weighed) {
        Py_ssize_t line = first ? 0 : PEEK(room->line);
        Py_ssize_t used = _Py_atomic_load_ssize_relaxed(&room->used);
        do {
            if (items > 0 && items > room->size - used - line) {
                return 0;
            }
        } while (!_Py_atomic_compare_exchange_ssize(&room->used, &used, used + items));
        return 1;
    }
#endif
    STEP(room);
    fits = has_room(room, items, bytes, first);
    if (fits) {
        POKE(room->used, room->used + items);
        POKE(room->used_bytes, room->used_bytes + bytes);
    }
    DONE(room);
    return fits;
}

/* Give back what is held no more; in a step. */
static inline void
room_give(Room *room, Py_ssize_t items, Py_ssize_t bytes)
{
    if (room == NULL) {
        return;
    }
    if (!room->weighed) {
        GIVE(room->used, items);
        return;
    }
    STEP(room);
    POKE(room->used, room->used - items);
    POKE(room->used_bytes, room->used_bytes - bytes);
    DONE(room);
}

/* Room came back: let the first in line look. Outside of steps. 0, or -1: what `serve` raised.
 *
 * Whoever waits adds itself to the line, and looks once more before it sleeps; here room is given
 * first, and then the line is looked at. So one of the two sees the other. */
static SELDOM int
serve_line(Room *room)
{
    PyObject *serve, *result;
    STEP(room);
    serve = Py_XNewRef(room->serve);
    DONE(room);
    if (serve == NULL) {
        return 0;
    }
    result = PyObject_CallNoArgs(serve);
    Py_DECREF(serve);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static inline int
served(Room *room)
{
    return room && UNLIKELY(PEEK(room->line) > 0) ? serve_line(room) : 0;
}

static int
Room_traverse(Room *room, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(room));
    Py_VISIT(room->serve);
    Py_VISIT(room->tables);
    return 0;
}

static int
Room_clear(Room *room)
{
    Py_CLEAR(room->serve);
    /* Emptied, not taken away: a table that is part of the same garbage may still look. */
    return room->tables ? PyList_SetSlice(room->tables, 0, PY_SSIZE_T_MAX, NULL) : 0;
}

static void
Room_dealloc(Room *room)
{
    PyTypeObject *type = Py_TYPE(room);
    PyObject_GC_UnTrack(room);
    if (room->weak) {
        PyObject_ClearWeakRefs((PyObject *)room);
    }
    Py_CLEAR(room->serve);
    Py_CLEAR(room->tables);
    type->tp_free(room);
    Py_DECREF(type);
}

static int
when_full_of(const char *name)
{
    for (int i = BLOCK; i <= DROP_OLDEST; i++) {
        if (strcmp(when_full_names[i], name) == 0) {
            return i;
        }
    }
    PyErr_Format(PyExc_ValueError, "when_full='%s': expected block, raise, drop_newest or "
                 "drop_oldest", name);
    return -1;
}

static PyObject *
Room_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"max_size", "max_bytes", "when_full", NULL};
    PyObject *size = Py_None, *bytes = Py_None;
    const char *when_full = "block";
    Room *room;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOs:Room", names, &size, &bytes, &when_full)) {
        return NULL;
    }
    room = (Room *)type->tp_alloc(type, 0);
    if (room == NULL) {
        return NULL;
    }
    room->state = state_of(type);
    room->size = limit_of(size);
    room->bytes = PyErr_Occurred() ? 0 : limit_of(bytes);
    room->weighed = bytes != Py_None;
    room->when_full = PyErr_Occurred() ? 0 : (char)when_full_of(when_full);
    room->tables = PyErr_Occurred() ? NULL : PyList_New(0);
    if (room->tables == NULL) {
        Py_DECREF(room);
        return NULL;
    }
    return (PyObject *)room;
}

/* The sum of two, or as much as there can be: what takes that finds no room. */
static inline Py_ssize_t
sum_of(Py_ssize_t bytes, Py_ssize_t more)
{
    return more > 0 && bytes > PY_SSIZE_T_MAX - more ? PY_SSIZE_T_MAX : bytes + more;
}

/* Ask *weigh*; outside of steps. 0, or -1. */
static APART int
ask_for_weight(PyObject *weigh, PyObject *subject, Py_ssize_t *weight)
{
    PyObject *number = PyObject_CallOneArg(weigh, subject);
    if (number == NULL) {
        return -1;
    }
    *weight = PyLong_AsSsize_t(number);
    Py_DECREF(number);
    return *weight == -1 && PyErr_Occurred() ? -1 : 0;
}

/* Read a size and a weight that Python gives to *name*. 0, or -1. */
static int
size_and_weight(const char *name, PyObject *const *args, Py_ssize_t count, Py_ssize_t *size,
        Py_ssize_t *weight, int *first)
{
    if (!has_arguments(name, count, 2, first ? 3 : 2)) {
        return -1;
    }
    if (count > 2 && (*first = PyObject_IsTrue(args[2])) < 0) {
        return -1;
    }
    *size = PyLong_AsSsize_t(args[0]);
    /* Of many together: as much as there can be is enough to find no room. */
    *weight = PyErr_Occurred() ? 0 : PyNumber_AsSsize_t(args[1], NULL);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *
Room_fits(Room *room, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t size, weight;
    if (size_and_weight("fits", args, count, &size, &weight, NULL) < 0) {
        return NULL;
    }
    return PyBool_FromLong(size <= room->size && (!room->weighed || weight <= room->bytes));
}

static PyObject *
Room_has(Room *room, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t size, weight;
    int has, first = 0;
    if (size_and_weight("has", args, count, &size, &weight, &first) < 0) {
        return NULL;
    }
    STEP(room);
    has = has_room(room, size, weight, first);
    DONE(room);
    return PyBool_FromLong(has);
}

static PyObject *Room_recount(Room *, PyObject *);  /* asks the tables: see table.h */

static PyObject *
Room_reset(Room *room, PyObject *Py_UNUSED(ignored))
{
    FRESH_LOCK(room);
    POKE(room->used, 0);
    POKE(room->used_bytes, 0);
    POKE(room->line, 0);
    POKE(room->line_bytes, 0);
    Py_RETURN_NONE;
}

static PyObject *
Room_get_limit(Room *room, void *bytes)
{
    Py_ssize_t limit = bytes ? room->bytes : room->size;
    return limit == NO_LIMIT ? Py_NewRef(Py_None) : PyLong_FromSsize_t(limit);
}

static PyObject *
Room_get_when_full(Room *room, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(when_full_names[(int)room->when_full]);
}

static PyObject *
Room_get_number(Room *room, void *offset)
{
    return PyLong_FromSsize_t(PEEK(*(Py_ssize_t *)((char *)room + (Py_ssize_t)offset)));
}

static int
Room_set_number(Room *room, PyObject *value, void *offset)
{
    Py_ssize_t number = value ? PyLong_AsSsize_t(value) : 0;
    if (PyErr_Occurred()) {
        return -1;
    }
    POKE(*(Py_ssize_t *)((char *)room + (Py_ssize_t)offset), number);
    return 0;
}

static PyObject *
Room_get_serve(Room *room, void *Py_UNUSED(closure))
{
    PyObject *serve;
    STEP(room);
    serve = Py_XNewRef(room->serve);
    DONE(room);
    return serve ? serve : Py_NewRef(Py_None);
}

static int
Room_set_serve(Room *room, PyObject *value, void *Py_UNUSED(closure))
{
    PyObject *gone;
    STEP(room);
    gone = room->serve;
    room->serve = value == Py_None ? NULL : Py_XNewRef(value);
    DONE(room);
    Py_XDECREF(gone);
    return 0;
}

#define NUMBER(name) \
    {#name, (getter)Room_get_number, NULL, NULL, (void *)offsetof(Room, name)}

static PyGetSetDef Room_getset[] = {
    {"size", (getter)Room_get_limit, NULL, "How many items may be held, or None.", NULL},
    {"bytes", (getter)Room_get_limit, NULL, "How many bytes may be held, or None.", (void *)1},
    {"when_full", (getter)Room_get_when_full, NULL, NULL, NULL},
    {"line", (getter)Room_get_number, (setter)Room_set_number,
     "About how many items those in line wait for; at least one.", (void *)offsetof(Room, line)},
    {"line_bytes", (getter)Room_get_number, (setter)Room_set_number,
     "About how many bytes those in line wait for.", (void *)offsetof(Room, line_bytes)},
    {"serve", (getter)Room_get_serve, (setter)Room_set_serve,
     "Called when room came back while somebody stands in line.", NULL},
    NUMBER(used),
    NUMBER(used_bytes),
    {NULL},
};

static PyMemberDef Room_members[] = {
    {"weighed", T_BOOL, offsetof(Room, weighed), READONLY, "Whether bytes are bounded."},
    {"tables", T_OBJECT_EX, offsetof(Room, tables), READONLY, "Who shares it."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Room, weak), READONLY},
    {NULL},
};

static PyMethodDef Room_methods[] = {
    PLACES("fits", Room_fits,
           "fits($self, size, weight, /)\n--\n\nReturn whether that fits where nothing is held."),
    PLACES("has", Room_has,
           "has($self, size, weight, first=False, /)\n--\n\n"
           "Return whether there is room now, beside what those in line wait for but the *first*."),
    NOTHING("recount", Room_recount,
            "recount($self, /)\n--\n\nReturn the items and bytes that the tables hold."),
    NOTHING("reset", Room_reset,
            "reset($self, /)\n--\n\nBe empty, in a forked child; before its tables are."),
    {NULL},
};

static PyType_Slot Room_slots[] = {
    {Py_tp_doc, "Room(max_size=None, max_bytes=None, when_full='block')\n--\n\n"
                "What all tables of a buffer may hold together."},
    {Py_tp_new, Room_new},
    {Py_tp_traverse, Room_traverse},
    {Py_tp_clear, Room_clear},
    {Py_tp_dealloc, Room_dealloc},
    {Py_tp_methods, Room_methods},
    {Py_tp_members, Room_members},
    {Py_tp_getset, Room_getset},
    {0, NULL},
};

static PyType_Spec Room_spec = {
    .name = "partitioned_buffer._core.tables._speed.Room",
    .basicsize = sizeof(Room),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Room_slots,
};

#endif
