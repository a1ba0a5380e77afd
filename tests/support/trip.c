/* Sets a signal's flag before the n-th opcode of a file's code: the handler runs where CPython
 * looks for signals next, as it would for a real one. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>

static long target, seen;
static int number;
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
    if (what == PyTrace_OPCODE && is_ours(frame) && ++seen == target) {
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
    target = -1;
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
    target = -1;
    PyEval_SetTrace(tracer, Py_None);
    Py_RETURN_NONE;
}

static PyObject *
end(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    PyEval_SetTrace(NULL, NULL);
    Py_RETURN_NONE;
}

/* at(n, signal): count from here, the signal pending at the n-th. rest(): return how many were
 * counted; no signal comes from here on. */
static PyObject *
at(PyObject *Py_UNUSED(module), PyObject *args)
{
    long n;
    if (!PyArg_ParseTuple(args, "li", &n, &number)) {
        return NULL;
    }
    seen = 0;
    target = n;
    Py_RETURN_NONE;
}

static PyObject *
rest(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    target = -1;
    return PyLong_FromLong(seen);
}

static PyMethodDef methods[] = {
    {"begin", begin, METH_O, NULL},
    {"end", end, METH_NOARGS, NULL},
    {"at", at, METH_VARARGS, NULL},
    {"rest", rest, METH_NOARGS, NULL},
    {"run", run, METH_VARARGS, NULL},
    {NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "trip", NULL, 0, methods};

PyMODINIT_FUNC
PyInit_trip(void)
{
    return PyModule_Create(&module);
}
