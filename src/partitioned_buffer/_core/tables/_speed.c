/* The tables and the writers, compiled: what the modules in Python beside this file say, step for
 * step and with the same outcome.
 *
 * In speed/:
 *
 *     step.h                        what a step is: read this first
 *     room.h table.h                what may be held together; what both kinds share
 *     queue.h queue_flight.h        a Queue's table: the writers' half, the worker's half
 *     keys.h entry.h spare.h        keys that hash in C; what is held for a key, and delivered
 *     map.h map_write.h map_bulk.h  a Map's table: where things are; writing one, and many
 *     map_flight.h map_settle.h map_take.h map_type.h       its worker's half, and the type
 *     writers.h writer_types.h      how a write finds its table
 *     stopwatch.h                   how long calls of a processor take
 *
 * All state is the module's, and each interpreter has a module of its own.
 */
#include "speed/stopwatch.h"
#include "speed/writer_types.h"

static PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec, const char *name)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type && name && PyModule_AddObjectRef(module, name, type) < 0) {
        Py_CLEAR(type);
    }
    return (PyTypeObject *)type;
}

/* Those of which nothing else has to know. */
static int
add_others(PyObject *module)
{
    struct {
        PyType_Spec *spec;
        const char *name;
    } others[] = {
        {&Stopwatch_spec, "Stopwatch"},
        {&QueueWriter_spec, "QueueWriter"},
        {&AsyncQueueWriter_spec, "AsyncQueueWriter"},
        {&MapWriter_spec, "MapWriter"},
        {&AsyncMapWriter_spec, "AsyncMapWriter"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        PyTypeObject *type = add_type(module, others[i].spec, others[i].name);
        if (type == NULL) {
            return -1;
        }
        Py_DECREF(type);
    }
    return 0;
}

/* Entries are made without calling their class, so it has to be what it seems. */
static PyTypeObject *
import_entry(void)
{
    PyObject *module = PyImport_ImportModule("partitioned_buffer._core.tables.entry");
    PyObject *entry = module ? PyObject_GetAttrString(module, "Entry") : NULL;
    Py_XDECREF(module);
    if (entry && !(PyType_Check(entry)
                   && PyType_IsSubtype((PyTypeObject *)entry, &PyTuple_Type)
                   && ((PyTypeObject *)entry)->tp_basicsize == PyTuple_Type.tp_basicsize)) {
        PyErr_SetString(PyExc_TypeError, "Entry: expected a named tuple without a __dict__");
        Py_CLEAR(entry);
    }
    return (PyTypeObject *)entry;
}

static int
speed_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if ((state->Entry = import_entry()) == NULL
        || (state->zero = PyLong_FromLong(0)) == NULL
        || (state->Box = add_type(module, &Box_spec, NULL)) == NULL
        || (state->Probe = add_type(module, &Probe_spec, NULL)) == NULL
        || (state->Node = add_type(module, &Node_spec, NULL)) == NULL
        || (state->Core = add_type(module, &Core_spec, NULL)) == NULL
        || (state->Room = add_type(module, &Room_spec, "Room")) == NULL
        || (state->QueueTable = add_type(module, &Queue_spec, "QueueTable")) == NULL
        || (state->MapTable = add_type(module, &Map_spec, "MapTable")) == NULL) {
        return -1;
    }
    begin_spares(state->Entry);
    return add_others(module);
}

static int
speed_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->Entry);
    Py_VISIT(state->Box);
    Py_VISIT(state->Probe);
    Py_VISIT(state->Node);
    Py_VISIT(state->Core);
    Py_VISIT(state->Room);
    Py_VISIT(state->QueueTable);
    Py_VISIT(state->MapTable);
    return 0;
}

static int
speed_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    end_spares(state->Entry);
    Py_CLEAR(state->Entry);
    Py_CLEAR(state->zero);
    Py_CLEAR(state->Box);
    Py_CLEAR(state->Probe);
    Py_CLEAR(state->Node);
    Py_CLEAR(state->Core);
    Py_CLEAR(state->Room);
    Py_CLEAR(state->QueueTable);
    Py_CLEAR(state->MapTable);
    return 0;
}

static void
speed_free(void *module)
{
    speed_clear((PyObject *)module);
}

static PyModuleDef_Slot speed_slots[] = {
    {Py_mod_exec, speed_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef speed_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "partitioned_buffer._core.tables._speed",
    .m_doc = "The tables and the writers, compiled.",
    .m_size = sizeof(State),
    .m_slots = speed_slots,
    .m_traverse = speed_traverse,
    .m_clear = speed_clear,
    .m_free = speed_free,
};

PyMODINIT_FUNC
PyInit__speed(void)
{
    return PyModuleDef_Init(&speed_module);
}
