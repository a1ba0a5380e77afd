/* A Map's table: where everything is, and how it is found.
 *
 *     waiting --swap--> line --take--> given --keep--> hand --again--> given --> settled
 *                        ^                |              |
 *                        +----release-----+--------------+
 *
 * Each is a dict (line: a few), of keys as they are stored (keys.h) to what is held for them
 * (entry.h), in order. A swap, and a take of everything, move a dict; a key is in at most one of
 * those in flight, so that whether the processor has it is where it is found. `given` is what was
 * returned last. `recent` and `older` have the versions that were delivered, in two generations.
 *
 * From `line` things are taken away, so that it is walked with PyDict_Next: a deletion moves
 * nothing, and nothing is looked at twice. Only `reach` adds to it, at the end: then the last dict
 * is walked from its beginning again.
 */
#ifndef PARTITIONED_BUFFER_MAP_H
#define PARTITIONED_BUFFER_MAP_H

#include "entry.h"
#include "table_methods.h"

/* What is released goes to the front of the line as a dict of its own, if it is not what was all
 * in front. That takes a batch size that became smaller; a fifth dict is joined with the fourth. */
#define PARTS 4

typedef struct {
    PyObject *dict;
    Py_ssize_t next;  /* where PyDict_Next goes on */
} Part;

typedef struct {
    Table table;
    PyObject *waiting;
    char foreign;  /* whether there was ever a boxed key: it may equal a safe one */
    char simple;  /* whether a plain put needs no Node, and no more than one look */
    char linked;  /* whether all that waits is in `chain` */
    char mixed;  /* whether there was ever a Node */
    char loud;  /* whether a value may wait whose last reference runs code */
    char leftover;  /* whether what is in line was so before the last swap */
    Py_ssize_t births;  /* how many new keys there were */
    Py_ssize_t remember;
    PyObject *merge, *weigh;  /* or NULL */
    Part line[PARTS];  /* first in line first */
    int parts;
    PyObject *given, *hand;  /* or NULL */
    Py_ssize_t hidden;  /* of what is given: deleted since */
    PyObject *recent, *older;
    Chain chain;
    PyObject *faults;
    SPACE
} Map;

static inline Py_ssize_t
size_of(PyObject *dict)
{
    return dict ? PyDict_GET_SIZE(dict) : 0;
}

/* CPython has this in its headers, and others count on it; later ones may not. */
#if PY_VERSION_HEX < 0x030F0000
#define LOOK(dict, key, hash)                                                                     \
    ((hash) == -1 ? PyDict_GetItemWithError(dict, key) : _PyDict_GetItem_KnownHash(dict, key, hash))
#define DICT_FOR(size) _PyDict_NewPresized(size)
#else
#define LOOK(dict, key, hash) ((void)(hash), PyDict_GetItemWithError(dict, key))
#define DICT_FOR(size) PyDict_New()
#endif

/* In a step: look into one dict; *hash* is the key's, or -1: it is not known. NULL: not there, or
 * (*failed) an exception is set, which takes a tuple compared at the end of C's stack, or memory
 * that is out. */
static inline PyObject *
find_hashed(PyObject *dict, PyObject *stored, Py_hash_t hash, int *failed)
{
    PyObject *held;
    if (size_of(dict) == 0) {
        return NULL;
    }
    held = LOOK(dict, stored, hash);
    if (held == NULL && UNLIKELY(PyErr_Occurred() != NULL)) {
        *failed = 1;
    }
    return held;
}

static inline PyObject *
find_in(PyObject *dict, PyObject *stored, int *failed)
{
    return find_hashed(dict, stored, -1, failed);
}

/* In a step: what is in flight for a key, borrowed, and in which dict. */
static PyObject *
find_flying(Map *map, PyObject *stored, PyObject **where, int *failed)
{
    PyObject *held;
    if ((held = find_in(*where = map->given, stored, failed)) != NULL
        || (held = find_in(*where = map->hand, stored, failed)) != NULL) {
        return held;
    }
    for (int i = 0; i < map->parts; i++) {
        if ((held = find_in(*where = map->line[i].dict, stored, failed)) != NULL) {
            return held;
        }
    }
    return NULL;
}

/* In a step: what readers see, borrowed. */
static inline PyObject *
find_seen(Map *map, PyObject *stored, int *failed)
{
    PyObject *where, *held = find_in(map->waiting, stored, failed);
    if (held == NULL) {
        held = find_flying(map, stored, &where, failed);
        if (held && held_as(map->table.state, held).hidden) {
            held = NULL;
        }
    }
    return *failed ? NULL : held;
}

/* In a step: the version that a new one has to beat. 1: there is one (NULL counts as 0), 0: there
 * is none, -1: an exception is set. */
static int
find_floor(Map *map, PyObject *stored, PyObject *waiting, PyObject **version)
{
    State *state = map->table.state;
    PyObject *where, *held = waiting;
    int failed = 0;
    if (held == NULL) {
        held = find_flying(map, stored, &where, &failed);
    }
    if (held && !held_as(state, held).hidden) {
        *version = held_as(state, held).version;
        return 1;
    }
    if ((*version = find_in(map->recent, stored, &failed)) == NULL) {
        *version = find_in(map->older, stored, &failed);
    }
    return failed ? -1 : *version != NULL;
}

/* In a step: how many dicts have keys, and which. */
static int
all_dicts(Map *map, PyObject **dicts)
{
    PyObject *others[] = {map->waiting, map->given, map->hand, map->recent, map->older};
    int count = 0;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (size_of(others[i])) {
            dicts[count++] = others[i];
        }
    }
    for (int i = 0; i < map->parts; i++) {
        if (size_of(map->line[i].dict)) {
            dicts[count++] = map->line[i].dict;
        }
    }
    return count;
}

#define DICTS (PARTS + 5)

/* A step: collect in *probe* the stored keys of its hash, and note how many new keys there were
 * so far. *also* is one more dict to look into, or NULL. Returns 1 if the *key* itself, which is
 * safe then, is there; 0, or -1 with an exception. */
static int
collect(Map *map, Probe *probe, PyObject *key, int safe, PyObject *also, Py_ssize_t *births)
{
    PyObject *dicts[DICTS + 1];
    int found = 0, count;
    STEP(&map->table);
    *births = map->births;
    count = all_dicts(map, dicts);
    if (size_of(also)) {
        dicts[count++] = also;
    }
    for (int i = 0; i < count && found == 0; i++) {
        if (safe) {
            found = PyDict_Contains(dicts[i], key);
        }
        if (found == 0 && PyDict_Contains(dicts[i], (PyObject *)probe) < 0) {
            found = -1;
        }
    }
    DONE(&map->table);
    return found;
}

/* Return what *key* is stored as, a new reference; *births* is when that was so. Runs the key's
 * own code, outside of steps. *hash* is the key's, if that is known, or -1. */
static PyObject *
resolve(Map *map, PyObject *key, Py_hash_t hash, int safe, PyObject *also, Py_ssize_t *births)
{
    State *state = map->table.state;
    PyObject *stored = NULL;
    Probe *probe;
    int found;
    if (hash == -1 && (hash = PyObject_Hash(key)) == -1) {
        return NULL;
    }
    if ((probe = probe_new(state, hash)) == NULL) {
        return NULL;
    }
    found = collect(map, probe, key, safe, also, births);
    if (found == 1) {
        stored = Py_NewRef(key);
    }
    for (Py_ssize_t i = 0; found == 0 && i < probe->count; i++) {
        PyObject *other = Py_NewRef(key_of(state, probe->found[i]));
        found = PyObject_RichCompareBool(other, key, Py_EQ);
        Py_DECREF(other);
        if (found == 1) {
            stored = Py_NewRef(probe->found[i]);
        }
    }
    if (found == 0) {
        stored = safe ? Py_NewRef(key) : box_new(state, key, hash);
    }
    Py_DECREF(probe);
    return stored;
}

/* What one call says of a key: how it is stored, and when that was found out. */
typedef struct {
    PyObject *stored;
    Py_ssize_t births;
    int boxing;  /* whether it had to be found out */
} Name;

/* 0, or -1 with an exception. Outside of steps. */
static ALWAYS_INLINE int
name_key(Map *map, PyObject *key, Py_hash_t hash, Name *name)
{
    int safe = is_safe(key, 0);
    name->boxing = UNLIKELY(NOTED(map->foreign)) || !safe;
    if (LIKELY(!name->boxing)) {
        name->stored = Py_NewRef(key);
        return 0;
    }
    name->stored = resolve(map, key, hash, safe, NULL, &name->births);
    return name->stored ? 0 : -1;
}

/* In a step: whether the name is still right. */
static inline int
is_current(Map *map, const Name *name)
{
    return name->boxing ? name->births == map->births : !map->foreign;
}

/* In a step: take a key that was found out of *dict*. What was held is returned; as the key's last
 * reference may be there, too, the caller has one of its own. */
static PyObject *
take_out(PyObject *dict, PyObject *stored, PyObject *held)
{
    Py_INCREF(held);
    if (PyDict_DelItem(dict, stored) < 0) {
        PyErr_Clear();  /* it was found a moment ago, and is */
    }
    return held;
}

/* In a step: its version is not known any more. Ints are let go of, and keys that live on. */
static void
forget_version(Map *map, PyObject *stored)
{
    PyObject *dicts[] = {map->recent, map->older};
    for (int i = 0; i < 2; i++) {
        int failed = 0;
        if (find_in(dicts[i], stored, &failed) && PyDict_DelItem(dicts[i], stored) < 0) {
            failed = 1;
        }
        if (failed) {
            PyErr_Clear();
        }
    }
}

/* In a step: the first part in line that has something; NULL: nothing is in line. Parts that are
 * empty are let go of: there is nothing in them that could run code. */
static Part *
first_part(Map *map)
{
    while (map->parts && PyDict_GET_SIZE(map->line[0].dict) == 0) {
        Py_DECREF(map->line[0].dict);
        map->parts--;
        memmove(map->line, map->line + 1, map->parts * sizeof *map->line);
    }
    return map->parts ? &map->line[0] : NULL;
}

static Py_ssize_t
map_waiting(Table *table)
{
    return PyDict_GET_SIZE(((Map *)table)->waiting);
}

static Py_ssize_t
map_in_flight(Table *table)
{
    Map *map = (Map *)table;
    Py_ssize_t count = size_of(map->given) + size_of(map->hand);
    for (int i = 0; i < map->parts; i++) {
        count += PyDict_GET_SIZE(map->line[i].dict);
    }
    return count;
}

#endif
