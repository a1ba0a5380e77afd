/* What writes: how a write finds its table, makes its step, and is done.
 *
 * Whatever else there is to a write is Python's, above: how a partition key finds a table
 * (`table_for`), and what becomes of a write that was not made (`late`, and of a list's, `many`).
 *
 * The functions here are methods of a Core, which a writer (writer_types.h) has one of. Who calls
 * one holds the Core, which has its tables for as long as it lives, and nothing in it is ever
 * changed but `turn`. So tables are borrowed here.
 */
#ifndef PARTITIONED_BUFFER_WRITERS_H
#define PARTITIONED_BUFFER_WRITERS_H

#include "map_type.h"
#include "queue_flight.h"

/* On free-threaded builds a thread stays with a table for that many pushes: where threads take
 * turns at all tables, each waits for what the others have in their caches. */
#define STAY 1000

typedef struct {
    PyObject_HEAD
    PyObject *tables;  /* a tuple: in turn, or by the key's slot; NULL: `table_for` decides */
    Py_ssize_t turn;  /* whose turn it is */
    PyObject *table_for, *weigh, *late, *many;  /* weigh: or NULL */
    size_t number;  /* of the Cores of this process; never the same twice */
    SPACE
} Core;

typedef struct {
    PyObject *subject, *partition_key;  /* an item, or a key; partition_key: None is none */
} Where;

#ifdef Py_GIL_DISABLED
#if defined(_MSC_VER)
#define PER_THREAD __declspec(thread)
#else
#define PER_THREAD _Thread_local
#endif
static PER_THREAD struct {
    size_t number;
    Py_ssize_t turn, left;
} stay;
static Py_ssize_t cores_so_far;
#endif

/* Whose turn it is; borrowed. With the GIL nothing comes in between: one after the other. */
static ALWAYS_INLINE PyObject *
next_in_turn(Core *core)
{
    Py_ssize_t count = PyTuple_GET_SIZE(core->tables), turn;
#ifdef Py_GIL_DISABLED
    if (UNLIKELY(stay.number != core->number || stay.left == 0)) {
        stay.number = core->number;
        stay.left = STAY;
        stay.turn = (Py_ssize_t)((size_t)_Py_atomic_add_ssize(&core->turn, 1) % (size_t)count);
    }
    stay.left--;
    turn = stay.turn;
#else
    turn = core->turn;
    core->turn = turn + 1 == count ? 0 : turn + 1;
#endif
    return PyTuple_GET_ITEM(core->tables, turn);
}

/* Whose turn it is for many items together: nobody stays, for the next are many, too. */
static inline PyObject *
next_for_many(Core *core)
{
#ifdef Py_GIL_DISABLED
    size_t count = (size_t)PyTuple_GET_SIZE(core->tables);
    return PyTuple_GET_ITEM(core->tables, (size_t)_Py_atomic_add_ssize(&core->turn, 1) % count);
#else
    return next_in_turn(core);
#endif
}

/* Ask Python for the table; a new reference. Outside of steps: it runs the user's code. */
static APART PyObject *
ask_for_table(Core *core, PyObject *subject, PyObject *partition_key, PyTypeObject *type)
{
    PyObject *args[] = {subject, partition_key}, *table;
    table = PyObject_Vectorcall(core->table_for, args, 2, NULL);
    if (table && !Py_IS_TYPE(table, type)) {
        PyErr_Format(PyExc_TypeError, "table_for() returned %R: expected a %s", table,
                     type->tp_name);
        Py_CLEAR(table);
    }
    return table;
}

/* Say what a write was that was not made: (table, outcome, method, args). Takes *args*. */
static PyObject *
unmade(PyObject *table, int outcome, const char *method, PyObject *args)
{
    return args ? Py_BuildValue("(OisN)", table, outcome, method, args) : NULL;
}

/* Leave it to Python, which raises, or waits and makes it. Takes *unmade*; None, or NULL. */
static SELDOM PyObject *
leave_to_python(Core *core, PyObject *unmade)
{
    PyObject *late, *result;
    if (unmade == NULL) {
        return NULL;
    }
    late = Py_NewRef(core->late);
    result = PyObject_Call(late, unmade, NULL);
    Py_DECREF(late);
    Py_DECREF(unmade);
    if (result == NULL) {
        return NULL;
    }
    Py_DECREF(result);
    Py_RETURN_NONE;
}

/* The keyword of all these methods; the rest is by place. -1: an exception is set. */
static SELDOM int
read_keywords(const char *name, PyObject *const *args, Py_ssize_t *count, PyObject *names,
              const char *const *by_name, PyObject **values, PyObject **partition_key)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *keyword = PyTuple_GET_ITEM(names, i);
        int found = PyUnicode_CompareWithASCIIString(keyword, "partition_key") == 0;
        if (found) {
            *partition_key = args[*count + i];
        }
        for (Py_ssize_t place = 0; by_name[place] && !found; place++) {
            if (PyUnicode_CompareWithASCIIString(keyword, by_name[place]) == 0) {
                if (place < *count || values[place]) {
                    PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'",
                                 name, keyword);
                    return -1;
                }
                values[place] = args[*count + i];
                found = 1;
            }
        }
        if (!found) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", name,
                         keyword);
            return -1;
        }
    }
    return 0;
}

#define MOST 3

typedef struct {
    const char *name;
    const char *const *by_name;
    Py_ssize_t least, most;
} Signature;

/* Read the arguments as Python would: by place or by name, partition_key by name alone. */
static SELDOM int
read_arguments(const Signature *signature, PyObject *const *args, Py_ssize_t count,
               PyObject *names, PyObject **values, PyObject **partition_key)
{
    Py_ssize_t given = count;
    memset(values, 0, MOST * sizeof *values);
    if (count > signature->most) {
        PyErr_Format(PyExc_TypeError, "%s() takes %zd positional arguments but %zd were given",
                     signature->name, signature->most, count);
        return -1;
    }
    if (names && read_keywords(signature->name, args, &given, names, signature->by_name, values,
                               partition_key) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        values[i] = args[i];
    }
    for (Py_ssize_t i = 0; i < signature->least; i++) {
        if (values[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing the required argument '%s'",
                         signature->name, signature->by_name[i]);
            return -1;
        }
    }
    return 0;
}

/* ------------------------------------------------------------------------- Queue */

static const char *const push_names[] = {"item", NULL};
static const Signature push_signature = {"push", push_names, 1, 1};

/* A push that has something special: a partition key, a weight, an outcome. Returns None, or what
 * was not made. */
static APART PyObject *
push_specially(Core *core, PyObject *item, PyObject *partition_key)
{
    State *state;
    PyObject *table = NULL, *result = NULL;
    Py_ssize_t weight = 0;
    int outcome;
    if (core->tables && partition_key == Py_None) {
        table = Py_NewRef(next_in_turn(core));
    }
    else if ((state = state_of(Py_TYPE(core))) != NULL) {
        table = ask_for_table(core, item, partition_key, state->QueueTable);
    }
    if (table == NULL) {
        return NULL;
    }
    if (core->weigh == NULL || ask_for_weight(core->weigh, item, &weight) == 0) {
        outcome = queue_push((Queue *)table, item, weight, 0);
        if (outcome == MADE) {
            result = Py_NewRef(Py_None);
        }
        else if (outcome != FAILED) {
            result = unmade(table, outcome, "push",
                            core->weigh ? Py_BuildValue("(On)", item, weight)
                                        : PyTuple_Pack(1, item));
        }
    }
    Py_DECREF(table);
    return result;
}

static PyObject *
made_or_left(Core *core, PyObject *result)
{
    return LIKELY(result == Py_None) ? result : leave_to_python(core, result);
}

static PyObject *
Core_try_push(Core *core, PyObject *const *args, Py_ssize_t count)
{
    return has_arguments("_try_push", count, 2, 2) ? push_specially(core, args[0], args[1]) : NULL;
}

static PyObject *
Core_push(Core *core, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *values[MOST], *partition_key = Py_None;
    if (LIKELY(count == 1 && names == NULL && core->tables && core->weigh == NULL)) {
        PyObject *table = next_in_turn(core);
        int outcome = queue_push((Queue *)table, args[0], 0, 0);
        if (LIKELY(outcome == MADE)) {
            Py_RETURN_NONE;
        }
        if (outcome == FAILED) {
            return NULL;
        }
        return leave_to_python(core, unmade(table, outcome, "push", PyTuple_Pack(1, args[0])));
    }
    if (read_arguments(&push_signature, args, count, names, values, &partition_key) < 0) {
        return NULL;
    }
    return made_or_left(core, push_specially(core, values[0], partition_key));
}

/* Write a list without keys and weights, if that is what is *given*; FULL: it is not. */
static ALWAYS_INLINE int
push_list(Core *core, PyObject *given)
{
    PyObject *items;
    Queue *queue;
    int outcome;
    if (UNLIKELY(core->tables == NULL || core->weigh || !PyList_CheckExact(given))) {
        return FULL;
    }
    if ((items = fixed_items(given)) == NULL) {
        return FAILED;
    }
    queue = (Queue *)next_for_many(core);
    outcome = queue_write(queue, PySequence_Fast_ITEMS(items), PySequence_Fast_GET_SIZE(items),
                          NULL, 0, 0);
    Py_DECREF(items);
    return outcome;
}

static PyObject *
Core_push_list(Core *core, PyObject *given)
{
    int outcome = push_list(core, given);
    return outcome == FAILED ? NULL : PyBool_FromLong(outcome == MADE);
}

static const char *const push_all_names[] = {"items", NULL};
static const Signature push_all_signature = {"push_all", push_all_names, 1, 1};

static PyObject *
Core_push_all(Core *core, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *values[MOST] = {count ? args[0] : NULL}, *partition_key = Py_None, *many, *result;
    if (LIKELY(count == 1 && names == NULL)) {
        int outcome = push_list(core, args[0]);
        if (LIKELY(outcome == MADE)) {
            Py_RETURN_NONE;
        }
        if (outcome == FAILED) {
            return NULL;
        }
    }
    else if (read_arguments(&push_all_signature, args, count, names, values, &partition_key) < 0) {
        return NULL;
    }
    many = Py_NewRef(core->many);
    result = PyObject_CallFunctionObjArgs(many, values[0], partition_key, NULL);
    Py_DECREF(many);
    return result;
}

/* --------------------------------------------------------------------------- Map */

static const char *const put_names[] = {"key", "value", NULL};
static const char *const newer_names[] = {"key", "value", "version", NULL};
static const char *const get_names[] = {"key", "default", NULL};
static const char *const delete_names[] = {"key", NULL};
static const Signature put_signature = {"put", put_names, 2, 2};
static const Signature newer_signature = {"put_newer", newer_names, 3, 3};
static const Signature get_signature = {"get", get_names, 1, 2};
static const Signature delete_signature = {"delete", delete_names, 1, 1};

/* As Python's %: never negative. The short division is many times faster than the long one. */
static ALWAYS_INLINE Py_ssize_t
slot_of(Py_hash_t hash, Py_ssize_t count)
{
    Py_ssize_t slot;
    if (LIKELY((((size_t)hash | (size_t)count) >> 16) >> 16 == 0)) {
        return (Py_ssize_t)((uint32_t)hash % (uint32_t)count);
    }
    slot = hash % count;
    return slot < 0 ? slot + count : slot;
}

/* The table of a key's slot, borrowed. *hash* is the key's, if it was needed. NULL: it has none. */
static ALWAYS_INLINE PyObject *
table_of_slot(Core *core, PyObject *key, Py_hash_t *hash)
{
    if (UNLIKELY((*hash = PyObject_Hash(key)) == -1)) {
        return NULL;
    }
    return PyTuple_GET_ITEM(core->tables, slot_of(*hash, PyTuple_GET_SIZE(core->tables)));
}

/* The table of a key: a new reference. */
static PyObject *
table_of(Core *core, PyObject *key, PyObject *partition_key, Py_hash_t *hash)
{
    State *state;
    *hash = -1;
    if (core->tables && partition_key == Py_None) {
        return Py_XNewRef(table_of_slot(core, key, hash));
    }
    state = state_of(Py_TYPE(core));
    return state ? ask_for_table(core, key, partition_key, state->MapTable) : NULL;
}

/* A put that has something special. Returns None, or what was not made. */
static APART PyObject *
put_specially(Core *core, PyObject *key, PyObject *value, PyObject *version,
              PyObject *partition_key)
{
    PyObject *table, *result = NULL;
    Py_ssize_t weight = 0;
    Py_hash_t hash;
    int outcome;
    if ((table = table_of(core, key, partition_key, &hash)) == NULL) {
        return NULL;
    }
    if (core->weigh == NULL || ask_for_weight(core->weigh, value, &weight) == 0) {
        outcome = map_put((Map *)table, key, hash, value, version, weight, 0);
        if (outcome == MADE) {
            result = Py_NewRef(Py_None);
        }
        else if (outcome != FAILED) {
            result = unmade(table, outcome, "put",
                            Py_BuildValue("(OOOn)", key, value, version ? version : Py_None,
                                          weight));
        }
    }
    Py_DECREF(table);
    return result;
}

/* A put of a key into the table of its slot, that is all. */
static ALWAYS_INLINE PyObject *
put_simply(Core *core, PyObject *key, PyObject *value, PyObject *version)
{
    Py_hash_t hash;
    PyObject *table = table_of_slot(core, key, &hash);
    int outcome;
    if (UNLIKELY(table == NULL)) {
        return NULL;
    }
    outcome = map_put((Map *)table, key, hash, value, version, 0, 0);
    if (LIKELY(outcome == MADE)) {
        Py_RETURN_NONE;
    }
    if (outcome == FAILED) {
        return NULL;
    }
    return leave_to_python(core, unmade(table, outcome, "put",
                                          Py_BuildValue("(OOOi)", key, value,
                                                        version ? version : Py_None, 0)));
}

static PyObject *
Core_try_put(Core *core, PyObject *const *args, Py_ssize_t count)
{
    PyObject *version = NULL, *result;
    if (!has_arguments("_try_put", count, 4, 4)
        || (args[2] != Py_None && (version = version_of(args[2])) == NULL)) {
        return NULL;
    }
    result = put_specially(core, args[0], args[1], version, args[3]);
    Py_XDECREF(version);
    return result;
}

static PyObject *
Core_put(Core *core, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *values[MOST], *partition_key = Py_None;
    if (LIKELY(count == 2 && names == NULL && core->tables && core->weigh == NULL)) {
        return put_simply(core, args[0], args[1], NULL);
    }
    if (read_arguments(&put_signature, args, count, names, values, &partition_key) < 0) {
        return NULL;
    }
    return made_or_left(core, put_specially(core, values[0], values[1], NULL, partition_key));
}

static PyObject *
Core_put_newer(Core *core, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *values[MOST], *partition_key = Py_None, *version, *result;
    if (LIKELY(count == 3 && names == NULL && core->tables && core->weigh == NULL
               && PyLong_CheckExact(args[2]))) {
        return put_simply(core, args[0], args[1], args[2]);
    }
    if (read_arguments(&newer_signature, args, count, names, values, &partition_key) < 0
        || (version = version_of(values[2])) == NULL) {
        return NULL;
    }
    result = put_specially(core, values[0], values[1], version, partition_key);
    Py_DECREF(version);
    return made_or_left(core, result);
}

static PyObject *
Core_get(Core *core, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *values[MOST], *partition_key = Py_None, *table, *value;
    Py_hash_t hash;
    if (LIKELY(count >= 1 && count <= 2 && names == NULL && core->tables)) {
        if (UNLIKELY((table = table_of_slot(core, args[0], &hash)) == NULL)) {
            return NULL;
        }
        value = map_get((Map *)table, args[0], hash);
        values[1] = count == 2 ? args[1] : NULL;
    }
    else {
        if (read_arguments(&get_signature, args, count, names, values, &partition_key) < 0
            || (table = table_of(core, values[0], partition_key, &hash)) == NULL) {
            return NULL;
        }
        value = map_get((Map *)table, values[0], hash);
        Py_DECREF(table);
    }
    if (value == NULL && !PyErr_Occurred()) {
        value = Py_NewRef(values[1] ? values[1] : Py_None);
    }
    return value;
}

static PyObject *
Core_delete(Core *core, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *values[MOST], *partition_key = Py_None, *table, *result = NULL;
    Py_hash_t hash;
    int outcome;
    if (read_arguments(&delete_signature, args, count, names, values, &partition_key) < 0
        || (table = table_of(core, values[0], partition_key, &hash)) == NULL) {
        return NULL;
    }
    outcome = map_delete((Map *)table, values[0], hash);
    if (outcome == MADE) {
        result = Py_NewRef(Py_None);
    }
    else if (outcome != FAILED) {
        result = leave_to_python(core, unmade(table, outcome, "delete",
                                                Py_BuildValue("(O)", values[0])));
    }
    Py_DECREF(table);
    return result;
}

#endif
