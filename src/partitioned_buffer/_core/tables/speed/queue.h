/* A Queue's table: items in the order they were pushed.
 *
 *     waiting   [ . . . a b c ]            pushed at the end; dropped from the front
 *     flying    [ . . h h h . i i i ]      before what is still to be taken lies what is in `hand`;
 *                     |<->| batch          the first `batch` of that were returned last
 *
 * Both are arrays of references, which cost their eight bytes; a swap exchanges them. What was
 * settled, or dropped, leaves a gap. Where bytes are bounded, a second array has the weights.
 */
#ifndef PARTITIONED_BUFFER_QUEUE_H
#define PARTITIONED_BUFFER_QUEUE_H

#include "table_methods.h"

typedef struct {
    PyObject **items;
    Py_ssize_t *weights;  /* or NULL */
    Py_ssize_t head, count, space;
} Row;

typedef struct {
    Table table;
    Row waiting, flying;
    Py_ssize_t hand_at, hand, batch;
    SPACE
} Queue;

static inline PyObject **
row_items(Row *row)
{
    return row->items + row->head;
}

static inline Py_ssize_t
row_weight(Row *row, Py_ssize_t place)
{
    return row->weights ? row->weights[row->head + place] : 0;
}

/* In a step: make room for *more* at the end; 0, or -1 (no exception is set). */
static SELDOM int
row_grow(Row *row, Py_ssize_t more, int weighed)
{
    Py_ssize_t needed, space;
    void *moved;
    if (row->head && row->head >= row->count) {  /* half of it, at least, was dropped */
        memmove(row->items, row_items(row), row->count * sizeof *row->items);
        if (row->weights) {
            memmove(row->weights, row->weights + row->head, row->count * sizeof *row->weights);
        }
        row->head = 0;
        if (more <= row->space - row->count) {
            return 0;
        }
    }
    needed = row->head + row->count + more;
    space = needed + (needed >> 3) + 6;
    if ((moved = PyMem_Realloc(row->items, space * sizeof *row->items)) == NULL) {
        return -1;
    }
    row->items = moved;
    if (weighed) {
        if ((moved = PyMem_Realloc(row->weights, space * sizeof *row->weights)) == NULL) {
            return -1;
        }
        row->weights = moved;
    }
    row->space = space;
    return 0;
}

/* Let go of what is in *row*, which is in no table any more. */
static void
row_free(Row row)
{
    for (Py_ssize_t i = 0; i < row.count; i++) {
        Py_DECREF(row_items(&row)[i]);
    }
    PyMem_Free(row.items);
    PyMem_Free(row.weights);
}

static int
row_traverse(Row *row, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < row->count; i++) {
        Py_VISIT(row_items(row)[i]);
    }
    return 0;
}

/* One write: all of *items*, or none. MADE, FULL, CLOSED, or FAILED (no exception is set). */
static ALWAYS_INLINE int
queue_step(Queue *queue, PyObject *const *items, Py_ssize_t count, const Py_ssize_t *weights,
           Py_ssize_t weight, int first, int *tell)
{
    Table *table = &queue->table;
    Row *row = &queue->waiting;
    int outcome = MADE;
    STEP(table);
    if (UNLIKELY(table->closed)) {
        outcome = CLOSED;
    }
    else if (UNLIKELY(count > row->space - row->head - row->count)
             && row_grow(row, count, weights != NULL) < 0) {
        outcome = FAILED;
    }
    else if (table->room && UNLIKELY(!room_take(table->room, count, weight, first))) {
        outcome = FULL;
    }
    else {
        PyObject **to = row_items(row) + row->count;
        for (Py_ssize_t i = 0; i < count; i++) {
            to[i] = Py_NewRef(items[i]);
        }
        if (weights && count) {  /* an empty array may be nowhere */
            memcpy(row->weights + row->head + row->count, weights, count * sizeof *weights);
            table->bytes += weight;
        }
        row->count += count;
        table->accepted += count;
        *tell = look(table, row->count);
    }
    DONE(table);
    return outcome;
}

/* The items are the caller's, and stay as they are: it has references, or a list of its own. */
static ALWAYS_INLINE int
queue_write(Queue *queue, PyObject *const *items, Py_ssize_t count, const Py_ssize_t *weights,
            Py_ssize_t weight, int first)
{
    int tell = 0;
    int outcome = queue_step(queue, items, count, weights, weight, first, &tell);
    if (LIKELY(outcome == MADE && tell == 0)) {
        return MADE;
    }
    if (outcome == FAILED) {
        PyErr_NoMemory();
    }
    return outcome == MADE ? told(&queue->table, tell) : outcome;
}

/* What the writers call, and `push`. */
static ALWAYS_INLINE int
queue_push(Queue *queue, PyObject *item, Py_ssize_t weight, int first)
{
    int outcome;
    do {
        if (UNLIKELY(is_weighed(&queue->table))) {
            outcome = queue_write(queue, &item, 1, &weight, weight, first);
        }
        else {
            outcome = queue_write(queue, &item, 1, NULL, weight = 0, first);
        }
        if (UNLIKELY(outcome == FULL) && queue->table.room->when_full >= DROP_NEWEST) {
            outcome = too_full(&queue->table, 1, weight);
        }
    } while (UNLIKELY(outcome == AGAIN));
    return outcome;
}

static PyObject *
Queue_push(Queue *queue, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t weight;
    int first;
    if (!has_arguments("push", count, 1, 3)) {
        return NULL;
    }
    weight = count > 1 ? PyLong_AsSsize_t(args[1]) : 0;
    if (weight == -1 && PyErr_Occurred()) {
        return NULL;
    }
    first = count > 2 ? PyObject_IsTrue(args[2]) : 0;
    return first < 0 ? NULL : outcome_as_int(queue_push(queue, args[0], weight, first));
}

/* The weights of *count* items, and their sum; NULL with an exception. */
static Py_ssize_t *
weights_of(PyObject *given, Py_ssize_t count, Py_ssize_t *sum)
{
    Py_ssize_t *weights = PyMem_Malloc((count + 1) * sizeof *weights);
    PyObject *list = weights ? PySequence_List(given) : PyErr_NoMemory();
    *sum = 0;
    if (list && PyList_GET_SIZE(list) != count) {
        PyErr_Format(PyExc_ValueError, "%zd weights for %zd items", PyList_GET_SIZE(list), count);
        Py_CLEAR(list);
    }
    for (Py_ssize_t i = 0; list && i < count; i++) {
        weights[i] = PyLong_AsSsize_t(PyList_GET_ITEM(list, i));
        if (weights[i] == -1 && PyErr_Occurred()) {
            Py_CLEAR(list);
        }
        else {
            *sum = sum_of(*sum, weights[i]);
        }
    }
    if (list == NULL) {
        PyMem_Free(weights);
        return NULL;
    }
    Py_DECREF(list);
    return weights;
}

/* What is pushed together, a new reference: a list or a tuple that nobody changes meanwhile. */
static inline PyObject *
fixed_items(PyObject *items)
{
#ifdef Py_GIL_DISABLED
    return PySequence_Tuple(items);
#else
    return PyList_CheckExact(items) || PyTuple_CheckExact(items) ? Py_NewRef(items)
                                                                 : PySequence_List(items);
#endif
}

static PyObject *
Queue_push_all(Queue *queue, PyObject *const *args, Py_ssize_t count)
{
    PyObject *items;
    Py_ssize_t *weights = NULL, weight = 0;
    int outcome = FAILED, first;
    if (!has_arguments("push_all", count, 1, 3)
        || (first = count > 2 ? PyObject_IsTrue(args[2]) : 0) < 0) {
        return NULL;
    }
    if ((items = fixed_items(args[0])) == NULL) {
        return NULL;
    }
    if (!is_weighed(&queue->table)) {
        outcome = queue_write(queue, PySequence_Fast_ITEMS(items), PySequence_Fast_GET_SIZE(items),
                              NULL, 0, first);
    }
    else if (count < 2 || args[1] == Py_None) {
        PyErr_SetString(PyExc_TypeError, "push_all() needs weights where bytes are bounded");
    }
    else if ((weights = weights_of(args[1], PySequence_Fast_GET_SIZE(items), &weight))) {
        outcome = queue_write(queue, PySequence_Fast_ITEMS(items), PySequence_Fast_GET_SIZE(items),
                              weights, weight, first);
    }
    PyMem_Free(weights);
    Py_DECREF(items);
    return outcome_as_int(outcome);
}

/* What is in flight and not in hand is older than what waits. */
static int
queue_drop_oldest(Table *table)
{
    Queue *queue = (Queue *)table;
    PyObject *gone = NULL;
    Row *row;
    if (table->room == NULL) {
        return 0;
    }
    STEP(table);
    row = queue->flying.count ? &queue->flying : &queue->waiting;
    if (row->count) {
        gone = row_items(row)[0];
        count_out(table, &table->dropped, 1, row_weight(row, 0));
        row->head++;
        row->count--;
    }
    DONE(table);
    Py_XDECREF(gone);
    return gone != NULL;
}

static Py_ssize_t
queue_waiting(Table *table)
{
    return ((Queue *)table)->waiting.count;
}

static Py_ssize_t
queue_in_flight(Table *table)
{
    return ((Queue *)table)->hand + ((Queue *)table)->flying.count;
}

static const Kind queue_kind = {queue_drop_oldest, queue_waiting, queue_in_flight};

/* In a step: what is in hand and what is still to be taken are one row. */
static void
queue_close_up(Queue *queue)
{
    Row *row = &queue->flying;
    Py_ssize_t to = row->head - queue->hand;
    if (queue->hand && queue->hand_at != to) {
        memmove(row->items + to, row->items + queue->hand_at, queue->hand * sizeof *row->items);
        if (row->weights) {
            memmove(row->weights + to, row->weights + queue->hand_at,
                    queue->hand * sizeof *row->weights);
        }
    }
    queue->hand_at = row->head = to;
    row->count += queue->hand;
}

/* In a step: what is in hand is in line again, and first. */
static void
queue_join(Queue *queue)
{
    queue_close_up(queue);
    queue->hand = queue->batch = 0;
}

/* In a step: make room for *more* in flight; what is in hand stays there. 0, or -1 (no exception
 * is set). */
static int
queue_grow(Queue *queue, Py_ssize_t more)
{
    Row *row = &queue->flying;
    int failed;
    queue_close_up(queue);
    failed = row_grow(row, more, is_weighed(&queue->table));
    queue->hand_at = row->head;
    row->head += queue->hand;
    row->count -= queue->hand;
    return failed;
}

#endif
