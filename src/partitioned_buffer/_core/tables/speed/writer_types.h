/* The types of the writers: the bases of Queue, AsyncQueue, Map and AsyncMap, which are classes in
 * Python, with other bases and a __dict__ besides. They have no __init__ that would have to be
 * called in some order: `_equip` gives them what they need.
 *
 * `push` and the like are no methods but functions in slots: CPython (3.13) finds a method of an
 * object that has a __dict__ without its shortcuts, and calls a C method of a derived class
 * without them, too; that costs two pushes more. A function in a slot it finds, and calls, with
 * them all. A class that derives from a writer may define a method of the same name, and call
 * super()'s.
 */
#ifndef PARTITIONED_BUFFER_WRITER_TYPES_H
#define PARTITIONED_BUFFER_WRITER_TYPES_H

#include "deal.h"

static int
Core_traverse(Core *core, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(core));
    Py_VISIT(core->tables);
    Py_VISIT(core->table_for);
    Py_VISIT(core->weigh);
    Py_VISIT(core->late);
    Py_VISIT(core->many);
    return 0;
}

/* `table_for`, `late` and `many` are what refers to the buffer. Other garbage may still call: then
 * None is called, and says so. */
static int
Core_clear(Core *core)
{
    PyObject *table_for = core->table_for, *late = core->late, *many = core->many;
    core->table_for = Py_NewRef(Py_None);
    core->late = Py_NewRef(Py_None);
    core->many = Py_NewRef(Py_None);
    Py_XDECREF(table_for);
    Py_XDECREF(late);
    Py_XDECREF(many);
    return 0;
}

static void
Core_dealloc(Core *core)
{
    PyTypeObject *type = Py_TYPE(core);
    PyObject_GC_UnTrack(core);
    Py_XDECREF(core->tables);
    Py_XDECREF(core->table_for);
    Py_XDECREF(core->weigh);
    Py_XDECREF(core->late);
    Py_XDECREF(core->many);
    type->tp_free(core);
    Py_DECREF(type);
}

/* A bound method is pickled as a name of what it is bound to. */
static PyObject *
Core_reduce(Core *Py_UNUSED(core), PyObject *Py_UNUSED(ignored))
{
    PyErr_SetString(PyExc_TypeError,
                    "a buffer's methods cannot be pickled, for its workers and what it holds are "
                    "here: another process makes a buffer of its own");
    return NULL;
}

static PyMethodDef Core_methods[] = {
    {"__reduce__", (PyCFunction)Core_reduce, METH_NOARGS, PyDoc_STR("Say why not.")},
    {NULL},
};

static PyType_Slot Core_slots[] = {
    {Py_tp_methods, Core_methods},
    {Py_tp_traverse, Core_traverse},
    {Py_tp_clear, Core_clear},
    {Py_tp_dealloc, Core_dealloc},
    {0, NULL},
};

static PyType_Spec Core_spec = {
    .name = "partitioned_buffer._core.tables._speed.Core",
    .basicsize = sizeof(Core),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = Core_slots,
};

/* *in_turn*: a tuple of tables, or NULL; then table_for, weigh, late, and perhaps many. */
static Core *
core_new(State *state, PyObject *in_turn, PyObject *const *rest, Py_ssize_t count)
{
    Core *core = (Core *)state->Core->tp_alloc(state->Core, 0);
    if (core == NULL) {
        return NULL;
    }
#ifdef Py_GIL_DISABLED
    core->number = (size_t)_Py_atomic_add_ssize(&cores_so_far, 1) + 1;
#endif
    core->tables = Py_XNewRef(in_turn);
    core->table_for = Py_NewRef(rest[0]);
    core->weigh = rest[1] == Py_None ? NULL : Py_NewRef(rest[1]);
    core->late = Py_NewRef(rest[2]);
    core->many = Py_NewRef(count > 3 ? rest[3] : Py_None);
    return core;
}

#define FUNCTIONS 6

/* Free-threaded, an object that threads share costs them what they wait for each other to count
 * its references. Python 3.14 lets an object be counted by no one; on 3.13, each access gets a
 * function of its own, so that `push = buffer.push` in each thread shares nothing. */
#if defined(Py_GIL_DISABLED) && PY_VERSION_HEX < 0x030E0000
#define FRESH_FUNCTIONS
#endif

typedef struct {
    PyObject_HEAD
    Core *core;  /* NULL: not equipped yet */
    PyMethodDef *methods;  /* by their places in `functions` */
    PyObject *module;  /* the name that functions say they are from */
    PyObject *functions[FUNCTIONS];
} Writer;

static PyObject *
function_new(Writer *writer, Py_ssize_t place)
{
    return PyCFunction_NewEx(&writer->methods[place], (PyObject *)writer->core, writer->module);
}

#ifdef FRESH_FUNCTIONS
/* What is in a slot is what somebody put there instead; most often nothing. */
static PyObject *
Writer_function(Writer *writer, void *place)
{
    PyObject **slot = &writer->functions[(Py_ssize_t)place], *function = NULL;
    if (writer->core == NULL) {
        PyErr_SetString(PyExc_AttributeError, "a buffer that was not made: its __init__ was not "
                        "called, or did not return");
        return NULL;
    }
    if (_Py_atomic_load_ptr(slot) != NULL) {
        Py_BEGIN_CRITICAL_SECTION(writer);
        function = Py_XNewRef(*slot);
        Py_END_CRITICAL_SECTION();
    }
    return function ? function : function_new(writer, (Py_ssize_t)place);
}

static int
Writer_replace(Writer *writer, PyObject *function, void *place)
{
    PyObject **slot = &writer->functions[(Py_ssize_t)place], *gone;
    Py_BEGIN_CRITICAL_SECTION(writer);
    gone = *slot;
    _Py_atomic_store_ptr(slot, Py_XNewRef(function));
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(gone);
    return 0;
}
#endif

static int
Writer_traverse(Writer *writer, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(writer));
    Py_VISIT(writer->core);
    for (int i = 0; i < FUNCTIONS; i++) {
        Py_VISIT(writer->functions[i]);
    }
    return 0;
}

/* What is in the slots stays: other garbage may still call it, and it refers to the Core alone. */
static int
Writer_clear(Writer *Py_UNUSED(writer))
{
    return 0;
}

static void
Writer_dealloc(Writer *writer)
{
    PyTypeObject *type = Py_TYPE(writer);
    PyObject_GC_UnTrack(writer);
    Py_CLEAR(writer->core);
    Py_CLEAR(writer->module);
    for (int i = 0; i < FUNCTIONS; i++) {
        Py_CLEAR(writer->functions[i]);
    }
    type->tp_free(writer);
    Py_DECREF(type);
}

static int
all_are(PyObject *tables, PyTypeObject *type)
{
    if (!PyTuple_CheckExact(tables) || PyTuple_GET_SIZE(tables) == 0) {
        PyErr_SetString(PyExc_TypeError, "tables: expected a tuple of at least one");
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tables); i++) {
        if (!Py_IS_TYPE(PyTuple_GET_ITEM(tables, i), type)) {
            PyErr_Format(PyExc_TypeError, "tables: expected a %s, not %R", type->tp_name,
                         PyTuple_GET_ITEM(tables, i));
            return 0;
        }
    }
    return 1;
}

/* Fill the slots with functions that say they are the package's. */
static int
fill_slots(Writer *writer)
{
#ifndef FRESH_FUNCTIONS
    for (int place = 0; writer->methods[place].ml_name; place++) {
        writer->functions[place] = function_new(writer, place);
        if (writer->functions[place] == NULL) {
            return -1;
        }
#ifdef Py_GIL_DISABLED
        PyUnstable_Object_EnableDeferredRefcount(writer->functions[place]);
#endif
    }
#endif
    return writer->core ? 0 : -1;
}

static PyObject *
equip(Writer *writer, State *state, PyMethodDef *methods, PyObject *in_turn, PyObject *const *rest,
      Py_ssize_t count)
{
    if (writer->core != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "already equipped");
        return NULL;
    }
    if ((writer->module = PyUnicode_FromString("partitioned_buffer")) == NULL) {
        return NULL;
    }
    writer->methods = methods;
    if ((writer->core = core_new(state, in_turn, rest, count)) == NULL || fill_slots(writer) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
equip_queue(Writer *writer, PyMethodDef *methods, PyObject *const *args, Py_ssize_t count)
{
    State *state = state_of(Py_TYPE(writer));
    int in_turn;
    if (state == NULL || !has_arguments("_equip", count, 5, 6)
        || !all_are(args[0], state->QueueTable) || (in_turn = PyObject_IsTrue(args[1])) < 0) {
        return NULL;
    }
    return equip(writer, state, methods, in_turn ? args[0] : NULL, args + 2, count - 2);
}

static PyObject *
equip_map(Writer *writer, PyMethodDef *methods, PyObject *const *args, Py_ssize_t count)
{
    State *state = state_of(Py_TYPE(writer));
    if (state == NULL || !has_arguments("_equip", count, 5, 5)
        || !all_are(args[0], state->MapTable)
        || (args[1] != Py_None && !all_are(args[1], state->MapTable))) {
        return NULL;
    }
    return equip(writer, state, methods, args[1] == Py_None ? NULL : args[1], args + 2, count - 2);
}

#define NAMED(name, function, doc) \
    {name, (PyCFunction)(void *)(function), METH_FASTCALL | METH_KEYWORDS, doc}

#define PUSH_SIGNATURE "($self, item, *, partition_key=None)\n--\n\n"
#define PUSH_DOC                                                                                  \
    "Accept one item (a list is one item), to be delivered in the background.\n\n"                \
    "Any thread, coroutine, finalizer or signal handler may call it. It waits only in a\n"        \
    "bounded buffer that is full and set to block.\n"                                             \
    "*partition_key* overrides the buffer's own for this item: a callable of the item, or\n"      \
    "any other value.\n\n"                                                                        \
    "Raises `BufferNotRunning` when the buffer is not started, or stopped, and `BufferFull`\n"    \
    "as `when_full` says; the item was not accepted then. What the callable raises is raised."

#define PUSH_ALL_SIGNATURE "($self, items, *, partition_key=None)\n--\n\n"
#define PUSH_ALL_DOC                                                                              \
    "Accept all of *items*, which stay in order.\n\n"                                             \
    "Without a partition key they go to one partition, together. A callable is asked for\n"       \
    "each item; any other key is one for all.\n\n"                                                \
    "In a bounded buffer that is full, they wait for room, or are refused, all together, if\n"    \
    "together they can fit at all; if not, they go in by parts. Where items are dropped\n"        \
    "instead, it is item by item.\n\n"                                                            \
    "Raises `TypeError` for one text, bytes, mapping or frame of data (whose characters, keys or\n"\
    "columns are hardly meant), and what `push` raises; nothing was accepted then, unless the\n"  \
    "error says how much."

#define PUT_SIGNATURE "($self, key, value, *, partition_key=None)\n--\n\n"
#define PUT_DOC                                                                                   \
    "Accept *value* for *key*, in place of whatever waits for that key: the last write wins,\n"   \
    "or with `merge`, the two are made one.\n\n"                                                  \
    "The entry's version and updates are 0. *partition_key* overrides the buffer's own: a\n"      \
    "callable of the key, or any other value. An entry belongs to its partition: the same\n"      \
    "key put under two partition keys can be two entries, each delivered, each read and\n"        \
    "deleted under its own.\n\n"                                                                  \
    "Raises `TypeError` for an unhashable key, `BufferNotRunning` when the buffer is not\n"       \
    "started, or stopped, and `BufferFull` as `when_full` says; nothing was accepted then.\n" \
    "What `merge` or `size_of` raises is raised, and nothing has changed."

#define PUT_NEWER_SIGNATURE "($self, key, value, version, *, partition_key=None)\n--\n\n"
#define PUT_NEWER_DOC                                                                             \
    "Accept *value* for *key* if *version* is greater than the one it has.\n\n"                   \
    "Compared is the version waiting, else the one in flight, else the one delivered last\n"      \
    "(see `remember_versions`); a plain `put` has version 0. A version that is not greater\n"     \
    "is coalesced: accepted, counted, and never delivered.\n\n"                                   \
    "Raises `TypeError` for a version that is no int, and what `put` raises."

#define GET_SIGNATURE "($self, key, default=None, *, partition_key=None)\n--\n\n"
#define GET_DOC                                                                                   \
    "Return the value held for *key* until it is delivered, else *default*.\n\n"                  \
    "Your own writes are seen at once. Raises `TypeError` for an unhashable key."

#define DELETE_SIGNATURE "($self, key, *, partition_key=None)\n--\n\n"
#define DELETE_DOC                                                                                \
    "Remove *key*: what waits for it, and what is in flight but not with the processor yet.\n\n"  \
    "What the processor has just been given cannot be recalled, but `get` no longer shows\n"      \
    "it, and it is not tried again should it fail. The version is forgotten: any\n"               \
    "`put_newer` is newer after a delete.\n\n"                                                    \
    "Raises what `put` raises."


/* What is in the slots, by kind; then the types. */

#define ONE_OF_CLASS(name, function, doc) {name, (PyCFunction)function, METH_O | METH_CLASS, doc}

#ifdef FRESH_FUNCTIONS
typedef PyGetSetDef SlotDef;
#define SLOTS Py_tp_getset
#define SLOT(name, place, doc) \
    {name, (getter)Writer_function, (setter)Writer_replace, doc, (void *)(Py_ssize_t)(place)}
#else
typedef PyMemberDef SlotDef;
#define SLOTS Py_tp_members
#define SLOT(name, place, doc) \
    {name, T_OBJECT_EX, offsetof(Writer, functions) + (place) * sizeof(PyObject *), 0, doc}
#endif

#define WRITER(kind, equip_kind, more)                                                            \
    static PyObject *kind##_equip(Writer *writer, PyObject *const *args, Py_ssize_t count)        \
    {                                                                                             \
        return equip_kind(writer, kind##_functions, args, count);                                 \
    }                                                                                             \
    static PyMethodDef kind##_methods[] = {                                                       \
        PLACES("_equip", kind##_equip,                                                            \
               "_equip($self, tables, how, table_for, weigh, late" more                           \
               ", /)\n--\n\n"                                                                     \
               "Give it what it needs, once."),                                                   \
        ONE_OF_CLASS("__class_getitem__", Py_GenericAlias, "See PEP 585."),                       \
        {NULL},                                                                                   \
    };                                                                                            \
    static PyType_Slot kind##_slots[] = {                                                         \
        {Py_tp_doc, "How items get in: see the class that derives from it."},                     \
        {Py_tp_traverse, Writer_traverse},                                                        \
        {Py_tp_clear, Writer_clear},                                                              \
        {Py_tp_dealloc, Writer_dealloc},                                                          \
        {Py_tp_methods, kind##_methods},                                                          \
        {SLOTS, kind##_members},                                                                  \
        {0, NULL},                                                                                \
    };                                                                                            \
    static PyType_Spec kind##_spec = {                                                            \
        .name = "partitioned_buffer._core.tables._speed." #kind,                                  \
        .basicsize = sizeof(Writer),                                                              \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,                   \
        .slots = kind##_slots,                                                                    \
    }

#define TRY_PUSH_DOC "Push, or return what was not made."
#define PUSH_LIST_DOC "Return whether they are a list, and could be written."
#define TRY_PUT_DOC "Put, or return what was not made."
#define DEAL_DOC "Return many entries by their tables; None where there is more to it."

#define TRY_PUSH                                                                                  \
    PLACES("_try_push", Core_try_push,                                                            \
           "_try_push($self, item, partition_key, /)\n--\n\n" TRY_PUSH_DOC),                      \
    {"_push_list", (PyCFunction)Core_push_list, METH_O,                                           \
     "_push_list($self, items, /)\n--\n\n" PUSH_LIST_DOC}

#define TRY_PUT                                                                                   \
    PLACES("_try_put", Core_try_put,                                                              \
           "_try_put($self, key, value, version, partition_key, /)\n--\n\n" TRY_PUT_DOC),         \
    PLACES("_deal", Core_deal, "_deal($self, entries, versioned, /)\n--\n\n" DEAL_DOC)

static PyMethodDef QueueWriter_functions[] = {
    NAMED("push", Core_push, "push" PUSH_SIGNATURE PUSH_DOC),
    NAMED("push_all", Core_push_all, "push_all" PUSH_ALL_SIGNATURE PUSH_ALL_DOC),
    TRY_PUSH,
    {NULL},
};

static SlotDef QueueWriter_members[] = {
    SLOT("push", 0, PUSH_DOC),
    SLOT("push_all", 1, PUSH_ALL_DOC),
    SLOT("_try_push", 2, TRY_PUSH_DOC),
    SLOT("_push_list", 3, PUSH_LIST_DOC),
    {NULL},
};

WRITER(QueueWriter, equip_queue, ", many=None");

static PyMethodDef AsyncQueueWriter_functions[] = {
    NAMED("push_nowait", Core_push, "push_nowait" PUSH_SIGNATURE PUSH_DOC),
    NAMED("push_all_nowait", Core_push_all, "push_all_nowait" PUSH_ALL_SIGNATURE PUSH_ALL_DOC),
    TRY_PUSH,
    {NULL},
};

static SlotDef AsyncQueueWriter_members[] = {
    SLOT("push_nowait", 0, PUSH_DOC),
    SLOT("push_all_nowait", 1, PUSH_ALL_DOC),
    SLOT("_try_push", 2, TRY_PUSH_DOC),
    SLOT("_push_list", 3, PUSH_LIST_DOC),
    {NULL},
};

WRITER(AsyncQueueWriter, equip_queue, ", many=None");

static PyMethodDef MapWriter_functions[] = {
    NAMED("put", Core_put, "put" PUT_SIGNATURE PUT_DOC),
    NAMED("put_newer", Core_put_newer, "put_newer" PUT_NEWER_SIGNATURE PUT_NEWER_DOC),
    NAMED("get", Core_get, "get" GET_SIGNATURE GET_DOC),
    NAMED("delete", Core_delete, "delete" DELETE_SIGNATURE DELETE_DOC),
    TRY_PUT,
    {NULL},
};

static SlotDef MapWriter_members[] = {
    SLOT("put", 0, PUT_DOC),
    SLOT("put_newer", 1, PUT_NEWER_DOC),
    SLOT("get", 2, GET_DOC),
    SLOT("delete", 3, DELETE_DOC),
    SLOT("_try_put", 4, TRY_PUT_DOC),
    SLOT("_deal", 5, DEAL_DOC),
    {NULL},
};

WRITER(MapWriter, equip_map, "");

static PyMethodDef AsyncMapWriter_functions[] = {
    NAMED("put_nowait", Core_put, "put_nowait" PUT_SIGNATURE PUT_DOC),
    NAMED("put_newer_nowait", Core_put_newer, "put_newer_nowait" PUT_NEWER_SIGNATURE PUT_NEWER_DOC),
    NAMED("get", Core_get, "get" GET_SIGNATURE GET_DOC),
    NAMED("delete_nowait", Core_delete, "delete_nowait" DELETE_SIGNATURE DELETE_DOC),
    TRY_PUT,
    {NULL},
};

static SlotDef AsyncMapWriter_members[] = {
    SLOT("put_nowait", 0, PUT_DOC),
    SLOT("put_newer_nowait", 1, PUT_NEWER_DOC),
    SLOT("get", 2, GET_DOC),
    SLOT("delete_nowait", 3, DELETE_DOC),
    SLOT("_try_put", 4, TRY_PUT_DOC),
    SLOT("_deal", 5, DEAL_DOC),
    {NULL},
};

WRITER(AsyncMapWriter, equip_map, "");

#endif
