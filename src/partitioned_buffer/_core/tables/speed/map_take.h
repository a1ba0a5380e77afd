/* What the processor gets: the next in line, or what is in hand once more, as new as it is.
 *
 * What was left over at a swap, or failed, may have a newer value waiting. That is put over it, or
 * merged with it, key by key: the older one's place, the newer one's version. `merge` and `weigh`
 * are the user's, and run outside of steps; what they raise is noted, and both values stay as they
 * are, the older one first.
 */
#ifndef PARTITIONED_BUFFER_MAP_TAKE_H
#define PARTITIONED_BUFFER_MAP_TAKE_H

#include "map_settle.h"

/* How many entries are filled in one step: others can write in between. */
#define SOME 1024

/* How many faults are kept until they are asked for: a merge that always fails is one story. */
#define FAULTS 10

/* A key that is given, and waits again. */
typedef struct {
    PyObject *stored, *older, *newer;  /* the values */
    PyObject *merged;  /* or NULL: the newer one counts */
    Py_ssize_t weight;  /* of what was merged; -1: as that of the newer one */
    PyObject *gone[3];
} Pair;

static void
pair_go(Pair *pair)
{
    PyObject *all[] = {pair->stored, pair->older, pair->newer, pair->merged, pair->gone[0],
                       pair->gone[1], pair->gone[2]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        Py_XDECREF(all[i]);
    }
}

/* A step: find the next key, from *next* on, that is given and waits again. 1, 0, or -1. */
static int
find_pair(Map *map, Py_ssize_t *next, Pair *pair)
{
    State *state = map->table.state;
    PyObject *stored, *held, *waiting = NULL;
    int failed = 0;
    STEP(&map->table);
    while (size_of(map->waiting) && waiting == NULL && !failed
           && PyDict_Next(map->given, next, &stored, &held)) {
        if (!held_as(state, held).hidden) {
            waiting = find_in(map->waiting, stored, &failed);
        }
    }
    if (waiting) {
        pair->stored = Py_NewRef(stored);
        pair->older = Py_NewRef(held_as(state, held).value);
        pair->newer = Py_NewRef(held_as(state, waiting).value);
        pair->weight = -1;
    }
    DONE(&map->table);
    return failed ? -1 : waiting != NULL;
}

/* In a step: the newer Node becomes what is given; its value may be a merged one. */
static void
node_over(Pair *pair, Node *node, Held old)
{
    node->updates = node->version ? old.updates + node->updates + 1 : 0;
    if (pair->merged) {
        pair->gone[0] = node->value;
        node->value = Py_NewRef(pair->merged);
    }
    if (pair->weight >= 0) {
        node->weight = pair->weight;
    }
}

/* In a step: put the newer of a pair over the older. MADE; AGAIN: one of them is another by now;
 * FULL: what was merged is too big; FAILED. */
static int
pair_step(Map *map, Pair *pair)
{
    Table *table = &map->table;
    int failed = 0;
    PyObject *older = find_in(map->given, pair->stored, &failed);
    PyObject *newer = find_in(map->waiting, pair->stored, &failed);
    Held old = held_as(table->state, older), new = held_as(table->state, newer);
    Node *node = as_node(table->state, newer);
    PyObject *over = node || !pair->merged ? newer : pair->merged;
    Py_ssize_t less;
    if (failed) {
        return FAILED;
    }
    if (!older || old.hidden || old.value != pair->older || new.value != pair->newer) {
        return AGAIN;
    }
    less = old.weight + new.weight - (pair->weight >= 0 ? pair->weight : new.weight);
    if (less < 0 && !room_take(table->room, 0, -less, 1)) {
        return FULL;
    }
    pair->gone[1] = Py_NewRef(older);
    if (PyDict_SetItem(map->given, pair->stored, over) < 0) {
        room_give(table->room, 0, less < 0 ? -less : 0);
        return FAILED;
    }
    pair->gone[2] = take_out(map->waiting, pair->stored, newer);
    if (node) {
        node_over(pair, node, old);
    }
    if (map->linked) {
        unchain(&map->chain, (Linked *)newer);
    }
    table->coalesced++;
    table->bytes -= less;
    room_give(table->room, 1, less > 0 ? less : 0);
    return MADE;
}

/* Take the exception that is set, with its traceback. */
static PyObject *
raised(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value && traceback) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

/* Note what is raised, whatever it is: a worker does not die of it. 0, or -1: it is Ctrl-C, and is
 * set still. */
static int
note_fault(Map *map)
{
    PyObject *error;
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        return -1;
    }
    error = raised();
    if (error && PyList_GET_SIZE(map->faults) < FAULTS && PyList_Append(map->faults, error) < 0) {
        PyErr_Clear();
    }
    Py_XDECREF(error);
    return 0;
}

/* Merge a pair, outside of steps. 0, or -1. */
static int
merge_pair(Map *map, Pair *pair)
{
    if (map->merge == NULL) {
        return 0;
    }
    pair->merged = call_merge(map, pair->older, pair->newer);
    if (pair->merged == NULL) {
        return -1;
    }
    if (map->weigh == NULL || !is_weighed(&map->table)) {
        return 0;
    }
    return ask_for_weight(map->weigh, pair->merged, &pair->weight);
}

/* What becomes of one pair: MADE, AGAIN, FULL (what could not be merged stays), or FAILED. */
static int
freshen_pair(Map *map, Pair *pair)
{
    int outcome = FULL;
    if (merge_pair(map, pair) == 0) {
        STEP(&map->table);
        outcome = pair_step(map, pair);
        DONE(&map->table);
        if (outcome == FULL) {
            PyErr_Format(PyExc_OverflowError,
                         "merge() made %zd bytes, more than there is room for", pair->weight);
        }
    }
    if (outcome == FULL && note_fault(map) < 0) {
        return FAILED;
    }
    return outcome;
}

/* Put over what is given whatever is newer. 0, or -1 with an exception. */
static int
freshen(Map *map)
{
    Py_ssize_t next = 0;
    for (;;) {
        Py_ssize_t before = next;
        Pair pair = {0};
        int outcome, found = find_pair(map, &next, &pair);
        if (found != 1) {
            return found;
        }
        outcome = freshen_pair(map, &pair);
        pair_go(&pair);
        if (outcome == FAILED || (outcome == MADE && served(map->table.room) < 0)) {
            return -1;
        }
        if (outcome == AGAIN) {
            next = before;
        }
    }
}

/* Entries of what is given. It stays given while they are made: only the worker changes that,
 * whoever deletes changes what is held for a key and not the keys. */
static PyObject *
given_entries(Map *map)
{
    State *state = map->table.state;
    Py_ssize_t count = size_of(map->given), at = 0, next = 0, before;
    PyObject *list;
    if (count == 0) {
        Py_RETURN_NONE;
    }
    if ((list = blank_entries(state, count)) == NULL) {
        return NULL;
    }
    do {
        before = at;
        STEP(&map->table);
        at = fill_entries(state, list, at, map->given, &next, SOME);
        DONE(&map->table);
    } while (at > before && at < count);
    return whole_entries(list, at);
}

/* Put *entries* in place of what *dict* has from *next* on. 0, or -1. Takes *entries*, or NULL. */
static int
put_in_place(PyObject *dict, Py_ssize_t *next, PyObject *entries)
{
    PyObject *stored, *held;
    int failed = entries == NULL;
    for (Py_ssize_t i = 0; !failed && i < PyList_GET_SIZE(entries); i++) {
        failed = !PyDict_Next(dict, next, &stored, &held)
                 || PyDict_SetItem(dict, stored, PyList_GET_ITEM(entries, i)) < 0;
    }
    Py_XDECREF(entries);
    return failed ? -1 : 0;
}

/* Entries by key of what is given: a copy of that, in which they take the place of what is held. */
static PyObject *
given_table(Map *map)
{
    State *state = map->table.state;
    Py_ssize_t count = size_of(map->given), next = 0, placed = 0;
    PyObject *dict, *entries;
    if (count == 0) {
        Py_RETURN_NONE;
    }
    dict = PyDict_Copy(map->given);
    for (Py_ssize_t at = 0, some; dict && at < count; at += some) {
        some = count - at < SOME ? count - at : SOME;
        if ((entries = blank_entries(state, some)) != NULL) {
            Py_ssize_t filled;
            STEP(&map->table);
            filled = fill_entries(state, entries, 0, map->given, &next, some);
            DONE(&map->table);
            entries = whole_entries(entries, filled);
        }
        if (put_in_place(dict, &placed, entries) < 0) {
            Py_CLEAR(dict);
        }
    }
    return dict;
}

/* Put over what is given whatever is newer, if that is wanted. 0, or -1. */
static int
map_freshen(Map *map, int newest)
{
    return newest && size_of(map->given) && size_of(map->waiting) ? freshen(map) : 0;
}

/* Return what is given, as new as it is. */
static PyObject *
map_return(Map *map, int newest)
{
    PyObject *entries = map_freshen(map, newest) < 0 ? NULL : given_entries(map);
    return entries ? entries : not_returned(map);
}

/* Forget what was returned last; give the first *size* in hand. 0, or -1. */
static int
again_step(Map *map, Py_ssize_t size, PyObject *given)
{
    Gone gone = {0};
    PyObject *old = NULL;
    int failed;
    STEP(&map->table);
    failed = give_back(map, &gone, &old) < 0;
    if (!failed && size_of(map->hand)) {
        if (size >= PyDict_GET_SIZE(map->hand)) {
            map->given = map->hand;
            map->hand = NULL;
        }
        else {
            Part hand = {map->hand, 0};
            Filling none = {0};
            move_some(map->table.state, given, &hand, size, &none);
            map->given = Py_NewRef(given);
        }
    }
    DONE(&map->table);
    gone_go(&gone);
    Py_XDECREF(old);
    Py_DECREF(given);
    return failed || (gone.count && served(map->table.room) < 0) ? -1 : 0;
}

static PyObject *
Map_again(Map *map, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t size;
    int newest = 1;
    PyObject *given;
    if (!has_arguments("again", count, 0, 2)) {
        return NULL;
    }
    size = count ? limit_of(args[0]) : NO_LIMIT;
    if ((size == -1 && PyErr_Occurred()) || (count > 1 && (newest = PyObject_IsTrue(args[1])) < 0)
        || (given = PyDict_New()) == NULL) {
        return NULL;
    }
    if (again_step(map, size < 0 ? 0 : size, given) < 0) {
        return not_returned(map);
    }
    return map_return(map, newest);
}

/* Whether to take *size* is to move them, and not a dict as it is. So it was a moment ago. */
static int
takes_some(Map *map, Py_ssize_t size)
{
    int some;
    STEP(&map->table);
    some = size > 0 && map->parts && size < PyDict_GET_SIZE(map->line[0].dict);
    DONE(&map->table);
    return some;
}

/* What `take` and `take_table` begin with: what was returned last is acknowledged, and *size* is
 * given. 0, or -1. Should `serve` raise, then before anything is given. Entries of what is moved
 * are made meanwhile; not of what was left over, for that may be put over before it is returned. */
static int
map_take(Map *map, Py_ssize_t size, Filling *filling)
{
    Kept none = {0};
    PyObject *given;
    int moves;
    if (map_settle(map, &map->table.delivered, &none) < 0
        || (size_of(map->hand) && map_release(map) < 0)) {
        return -1;
    }
    moves = takes_some(map, size);
    if (moves && !map->leftover && size <= SOME
        && (filling->list = blank_entries(map->table.state, size)) == NULL) {
        return -1;
    }
    if ((given = moves ? DICT_FOR(size) : PyDict_New()) == NULL) {
        return -1;
    }
    take_step(map, size, given, filling);
    return 0;
}

static PyObject *
Map_take(Map *map, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t size;
    Filling filling = {0};
    PyObject *entries = NULL;
    if (!has_arguments("take", count, 0, 1)) {
        return NULL;
    }
    size = count ? limit_of(args[0]) : NO_LIMIT;
    if ((size == -1 && PyErr_Occurred()) || map_take(map, size, &filling) < 0) {
        Py_XDECREF(filling.list);
        return NULL;
    }
    if (filling.count == 0 || filling.count < size_of(map->given)) {
        Py_XDECREF(filling.list);
        return map_return(map, map->leftover);
    }
    entries = whole_entries(filling.list, filling.count);
    return entries ? entries : not_returned(map);
}

/* Whether a key of what is given is in a box. */
static int
has_boxes(Map *map)
{
    PyObject *stored, *held;
    Py_ssize_t next = 0;
    int found = 0;
    STEP(&map->table);
    while (map->foreign && !found && PyDict_Next(map->given, &next, &stored, &held)) {
        found = Py_IS_TYPE(stored, map->table.state->Box);
    }
    DONE(&map->table);
    return found;
}

static PyObject *
Map_take_table(Map *map, PyObject *Py_UNUSED(ignored))
{
    PyObject *table = NULL;
    Filling none = {0};
    if (map_take(map, NO_LIMIT, &none) < 0) {
        return NULL;
    }
    if (map_freshen(map, map->leftover) == 0) {
        /* a dict would hash and compare the user's keys, here in the worker */
        table = has_boxes(map) ? given_entries(map) : given_table(map);
    }
    return table ? table : not_returned(map);
}

static PyObject *
Map_faults(Map *map, PyObject *Py_UNUSED(ignored))
{
    PyObject *faults, *fresh = PyList_New(0);
    if (fresh == NULL) {
        return NULL;
    }
    STEP(&map->table);
    faults = map->faults;
    map->faults = fresh;
    DONE(&map->table);
    return faults;
}

#endif
