/* Sets a signal's flag before the n-th opcode of a file's code: the handler runs where CPython
 * looks for signals next, as it would for a real one. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>

static long target, seen;
static int number, counting;
static PyObject *ending;

static int
is_ours(PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    int ours = PyUnicode_Tailmatch(code->co_filename, ending, 0, PY_SSIZE_T_MAX, 1) == 1;
    Py_DECREF(code);
    return ours;
}

static int
tracer(PyObject *Py_UNUSED(object), PyFrameObject *frame, int what, PyObject *Py_UNUSED(arg))
{
    if (what == PyTrace_CALL && is_ours(frame)
        && PyObject_SetAttrString((PyObject *)frame, "f_trace_opcodes", Py_True) < 0) {
        return -1;
    }
    if (what == PyTrace_OPCODE && counting && is_ours(frame) && ++seen == target) {
        PyErr_SetInterruptEx(number);
    }
    return 0;
}

/* run(call, n, signal, ending, warm): make call(), the signal pending at the n-th opcode of code
 * whose file's name ends so; return how many opcodes there were. *warm* is called before, so that
 * all functions are traced by opcodes from their first one on. */
static PyObject *
run(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *call, *warm, *result;
    long n;
    if (!PyArg_ParseTuple(args, "OliOO", &call, &n, &number, &ending, &warm)) {
        return NULL;
    }
    counting = 0;
    PyEval_SetTrace(tracer, Py_None);
    for (int i = 0; i < 2; i++) {
        if ((result = PyObject_CallNoArgs(warm)) == NULL) {
            PyEval_SetTrace(NULL, NULL);
            return NULL;
        }
        Py_DECREF(result);
    }
    seen = 0;
    target = n;
    counting = 1;
    result = PyObject_CallNoArgs(call);
    PyEval_SetTrace(NULL, NULL);
    if (result == NULL) {
        return NULL;
    }
    Py_DECREF(result);
    return PyLong_FromLong(seen);
}

/* begin(ending): trace from now on; what was called twice is traced by opcodes. end(): no more. */
static PyObject *
begin(PyObject *Py_UNUSED(module), PyObject *arg)
{
    ending = Py_NewRef(arg);
    counting = 0;
    PyEval_SetTrace(tracer, Py_None);
    Py_RETURN_NONE;
}

static PyObject *
end(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    PyEval_SetTrace(NULL, NULL);
    Py_RETURN_NONE;
}

/* at(n, signal): the signal is pending at the n-th opcode that is counted, once. go(): count from
 * here. rest(): no more. seen(): how many were counted. It is kept here, where no signal parts it. */
static PyObject *
at(PyObject *Py_UNUSED(module), PyObject *args)
{
    counting = 0;
    seen = 0;
    if (!PyArg_ParseTuple(args, "li", &target, &number)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
go(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    counting = 1;
    Py_RETURN_NONE;
}

static PyObject *
rest(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    counting = 0;
    Py_RETURN_NONE;
}

static PyObject *
count(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    return PyLong_FromLong(seen);
}

static PyMethodDef methods[] = {
    {"begin", begin, METH_O, NULL},
    {"end", end, METH_NOARGS, NULL},
    {"at", at, METH_VARARGS, NULL},
    {"go", go, METH_NOARGS, NULL},
    {"rest", rest, METH_NOARGS, NULL},
    {"seen", count, METH_NOARGS, NULL},
    {"run", run, METH_VARARGS, NULL},
    {NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "trip", NULL, 0, methods};

PyMODINIT_FUNC
PyInit_trip(void)
{
    return PyModule_Create(&module);
}
