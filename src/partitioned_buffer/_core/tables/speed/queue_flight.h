/* The worker's half of a Queue's table, and the type. No two threads are here at once. */
#ifndef PARTITIONED_BUFFER_QUEUE_FLIGHT_H
#define PARTITIONED_BUFFER_QUEUE_FLIGHT_H

#include "queue.h"

static PyObject *
Queue_swap(Queue *queue, PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t in_flight;
    Row empty = {0}, gone = {0};
    STEP(&queue->table);
    queue_join(queue);
    if (queue->flying.count == 0) {
        gone = queue->flying;
        queue->flying = queue->waiting;
        queue->waiting = empty;
        queue->table.rung = 0;
    }
    in_flight = queue->flying.count;
    DONE(&queue->table);
    row_free(gone);
    return PyLong_FromSsize_t(in_flight);
}

/* What was settled of the batch, to be let go of after the step. */
typedef struct {
    PyObject **items;
    Py_ssize_t count;
    PyObject *few[64];
} Settled;

/* In a step: settle the batch, but for the places that *keep* names; those are in hand still, in
 * order, and nothing is returned last. Returns how many are kept. */
static Py_ssize_t
settle_step(Queue *queue, Py_ssize_t *counter, const char *keep, Settled *settled)
{
    Row *row = &queue->flying;
    Py_ssize_t kept = 0, weight = 0, end = queue->hand_at + queue->batch;
    settled->count = 0;
    for (Py_ssize_t place = queue->batch - 1; place >= 0; place--) {
        Py_ssize_t at = queue->hand_at + place;
        if (keep && keep[place]) {  /* they move to the batch's end */
            kept++;
            row->items[end - kept] = row->items[at];
            if (row->weights) {
                row->weights[end - kept] = row->weights[at];
            }
            continue;
        }
        settled->items[settled->count++] = row->items[at];
        weight += row->weights ? row->weights[at] : 0;
    }
    count_out(&queue->table, counter, settled->count, weight);
    queue->hand_at = end - kept;
    queue->hand -= settled->count;
    queue->batch = 0;
    return kept;
}

/* Settle what was returned last. Returns how many are kept, or -1 with an exception. */
static Py_ssize_t
queue_settle(Queue *queue, Py_ssize_t *counter, const char *keep, Py_ssize_t *count)
{
    Settled settled;
    Py_ssize_t kept;
    settled.items = settled.few;
    if (queue->batch > (Py_ssize_t)(sizeof settled.few / sizeof *settled.few)) {
        settled.items = PyMem_Malloc(queue->batch * sizeof *settled.items);
        if (settled.items == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    STEP(&queue->table);
    kept = settle_step(queue, counter, keep, &settled);
    DONE(&queue->table);
    *count = settled.count;
    for (Py_ssize_t i = 0; i < settled.count; i++) {
        Py_DECREF(settled.items[i]);
    }
    if (settled.items != settled.few) {
        PyMem_Free(settled.items);
    }
    return served(queue->table.room) < 0 ? -1 : kept;
}

/* Return the first *size* in hand, anew. The list is made before the step. */
static PyObject *
queue_again(Queue *queue, Py_ssize_t size)
{
    PyObject *batch;
    size = size < queue->hand ? size : queue->hand;
    if (size <= 0) {
        Py_RETURN_NONE;
    }
    batch = PyList_New(size);
    if (batch == NULL) {
        return NULL;
    }
    STEP(&queue->table);
    for (Py_ssize_t i = 0; i < size; i++) {
        PyList_SET_ITEM(batch, i, Py_NewRef(queue->flying.items[queue->hand_at + i]));
    }
    queue->batch = size;
    DONE(&queue->table);
    return batch;
}

static PyObject *
Queue_again(Queue *queue, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t size;
    if (!has_arguments("again", count, 0, 2)) {
        return NULL;
    }
    size = count ? limit_of(args[0]) : NO_LIMIT;
    return PyErr_Occurred() ? NULL : queue_again(queue, size);
}

static PyObject *
Queue_take(Queue *queue, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t size, settled;
    Row *row = &queue->flying;
    if (!has_arguments("take", count, 0, 1)) {
        return NULL;
    }
    size = count ? limit_of(args[0]) : NO_LIMIT;
    if (size == -1 && PyErr_Occurred()) {
        return NULL;
    }
    /* Should `serve` raise, then before anything is taken: what is returned last was returned. */
    if (queue->batch && queue_settle(queue, &queue->table.delivered, NULL, &settled) < 0) {
        return NULL;
    }
    STEP(&queue->table);
    queue_join(queue);
    size = size < 0 ? 0 : size < row->count ? size : row->count;
    queue->hand_at = row->head;
    queue->hand = size;
    row->head += size;
    row->count -= size;
    DONE(&queue->table);
    return queue_again(queue, size);
}

/* In a step: put up to *most* of what waits behind what is in flight. Returns how many, or -1 (no
 * exception is set). */
static Py_ssize_t
reach_items(Queue *queue, Py_ssize_t most)
{
    Row *from = &queue->waiting, *to = &queue->flying;
    Py_ssize_t count = most < from->count ? most : from->count, end;
    if (count <= 0) {
        return 0;
    }
    if (count > to->space - to->head - to->count && queue_grow(queue, count) < 0) {
        return -1;
    }
    end = to->head + to->count;
    memcpy(to->items + end, row_items(from), count * sizeof *to->items);
    if (from->weights) {
        memcpy(to->weights + end, from->weights + from->head, count * sizeof *to->weights);
    }
    to->count += count;
    from->head += count;
    from->count -= count;
    return count;
}

static PyObject *
Queue_reach(Queue *queue, PyObject *number)
{
    Py_ssize_t reached, most = PyLong_AsSsize_t(number);
    if (PyErr_Occurred()) {
        return NULL;
    }
    STEP(&queue->table);
    reached = reach_items(queue, most);
    DONE(&queue->table);
    return reached < 0 ? PyErr_NoMemory() : PyLong_FromSsize_t(reached);
}

static PyObject *
Queue_acknowledge(Queue *queue, PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t settled;
    int failed = queue_settle(queue, &queue->table.delivered, NULL, &settled) < 0;
    return failed ? NULL : PyLong_FromSsize_t(settled);
}

static PyObject *
Queue_bury(Queue *queue, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t settled;
    char *keep = NULL;
    int failed;
    if (!has_arguments("bury", count, 0, 1)) {
        return NULL;
    }
    if (count && args[0] != Py_None && !(keep = places_in(args[0], queue->batch, 0))) {
        return NULL;
    }
    failed = queue_settle(queue, &queue->table.dead_lettered, keep, &settled) < 0;
    PyMem_Free(keep);
    return failed ? NULL : PyLong_FromSsize_t(settled);
}

static PyObject *
Queue_keep(Queue *queue, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t kept = queue->batch, settled;
    char *keep;
    if (!has_arguments("keep", count, 0, 1)) {
        return NULL;
    }
    if (count == 0 || args[0] == Py_None) {
        queue->batch = 0;
        return PyLong_FromSsize_t(kept);
    }
    keep = places_in(args[0], queue->batch, 1);
    if (keep == NULL) {
        return NULL;
    }
    kept = queue_settle(queue, &queue->table.delivered, keep, &settled);
    PyMem_Free(keep);
    return kept < 0 ? NULL : PyLong_FromSsize_t(kept);
}

static PyObject *
Queue_release(Queue *queue, PyObject *Py_UNUSED(ignored))
{
    STEP(&queue->table);
    queue_join(queue);
    DONE(&queue->table);
    Py_RETURN_NONE;
}

static PyObject *
Queue_faults(Queue *Py_UNUSED(queue), PyObject *Py_UNUSED(ignored))
{
    return PyList_New(0);
}

static void
copy_items(PyObject *list, Py_ssize_t *at, PyObject **items, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        PyList_SET_ITEM(list, (*at)++, Py_NewRef(items[i]));
    }
}

static PyObject *
Queue_held(Queue *queue, PyObject *Py_UNUSED(ignored))
{
    Row *row = &queue->flying;
    for (;;) {
        Py_ssize_t at = 0, count = Table_len(&queue->table);
        PyObject *list = PyList_New(count);
        int fits;
        if (list == NULL) {
            return NULL;
        }
        STEP(&queue->table);
        fits = count == queue_in_flight(&queue->table) + queue->waiting.count;
        if (fits) {
            copy_items(list, &at, row->items + queue->hand_at, queue->hand);
            copy_items(list, &at, row_items(row), row->count);
            copy_items(list, &at, row_items(&queue->waiting), queue->waiting.count);
        }
        DONE(&queue->table);
        if (fits) {
            return list;
        }
        Py_DECREF(list);  /* others wrote in between */
    }
}

/* Take all out; they are let go of here. */
static void
queue_empty(Queue *queue)
{
    Row waiting, flying, empty = {0};
    STEP(&queue->table);
    queue_join(queue);
    waiting = queue->waiting;
    flying = queue->flying;
    queue->waiting = queue->flying = empty;
    queue->hand_at = 0;
    forget_counts(&queue->table);
    DONE(&queue->table);
    row_free(waiting);
    row_free(flying);
}

static PyObject *
Queue_reset(Queue *queue, PyObject *Py_UNUSED(ignored))
{
    FRESH_LOCK(&queue->table);
    queue_empty(queue);
    set_wake(&queue->table, Py_None);
    Py_RETURN_NONE;
}

static int
Queue_traverse(Queue *queue, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < queue->hand; i++) {
        Py_VISIT(queue->flying.items[queue->hand_at + i]);
    }
    if (row_traverse(&queue->waiting, visit, arg) || row_traverse(&queue->flying, visit, arg)) {
        return -1;
    }
    return Table_traverse(&queue->table, visit, arg);
}

static int
Queue_clear(Queue *queue)
{
    queue_empty(queue);
    Table_clear(&queue->table);
    return 0;
}

static void
Queue_dealloc(Queue *queue)
{
    PyObject_GC_UnTrack(queue);
    if (queue->table.weak) {
        PyObject_ClearWeakRefs((PyObject *)queue);
    }
    queue_empty(queue);
    Table_dealloc(&queue->table);
}

static PyObject *
Queue_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"room", NULL};
    PyObject *room = Py_None;
    Queue *queue;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:QueueTable", names, &room)) {
        return NULL;
    }
    queue = (Queue *)type->tp_alloc(type, 0);
    if (queue == NULL) {
        return NULL;
    }
    if (Table_init(&queue->table, &queue_kind, room) < 0 || Table_join(&queue->table) < 0) {
        Py_DECREF(queue);
        return NULL;
    }
    return (PyObject *)queue;
}

static PyMethodDef Queue_methods[] = {
    PLACES("push", Queue_push,
           "push($self, item, weight=0, first=False, /)\n--\n\nAccept one item."),
    PLACES("push_all", Queue_push_all,
           "push_all($self, items, weights=None, first=False, /)\n--\n\nAccept all, or none."),
    TABLE_METHODS,
    NOTHING("swap", Queue_swap,
            "swap($self, /)\n--\n\nPut in flight what waits, if nothing is; return how much is."),
    PLACES("take", Queue_take,
           "take($self, size=None, /)\n--\n\nReturn the next in flight; acknowledge the last."),
    ONE("reach", Queue_reach,
        "reach($self, count, /)\n--\n\nPut some of what waits behind what is in flight; return "
        "how many."),
    PLACES("again", Queue_again,
           "again($self, size=None, newest=True, /)\n--\n\nReturn the first in hand, anew."),
    NOTHING("acknowledge", Queue_acknowledge,
            "acknowledge($self, /)\n--\n\nWhat was returned last is delivered; return how much."),
    PLACES("bury", Queue_bury,
           "bury($self, places=None, /)\n--\n\nThese are dead-lettered, the others stay in hand; "
           "return how many."),
    PLACES("keep", Queue_keep,
           "keep($self, places=None, /)\n--\n\nKeep these in hand, the others are delivered."),
    NOTHING("release", Queue_release,
            "release($self, /)\n--\n\nWhat is in hand is first in line again."),
    NOTHING("held", Queue_held,
            "held($self, /)\n--\n\nReturn all that is not settled, oldest first."),
    NOTHING("faults", Queue_faults, "faults($self, /)\n--\n\nReturn nothing: see MapTable."),
    NOTHING("reset", Queue_reset,
            "reset($self, /)\n--\n\nBe empty and closed, in a forked child."),
    {NULL},
};

static PyType_Slot Queue_slots[] = {
    {Py_tp_doc, "QueueTable(room=None)\n--\n\nItems in the order they were pushed."},
    {Py_tp_new, Queue_new},
    {Py_tp_traverse, Queue_traverse},
    {Py_tp_clear, Queue_clear},
    {Py_tp_dealloc, Queue_dealloc},
    {Py_tp_methods, Queue_methods},
    {Py_tp_members, Table_members},
    {Py_tp_getset, Table_getset},
    {Py_sq_length, Table_len},
    {0, NULL},
};

static PyType_Spec Queue_spec = {
    .name = "partitioned_buffer._core.tables._speed.QueueTable",
    .basicsize = sizeof(Queue),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Queue_slots,
};

#endif
