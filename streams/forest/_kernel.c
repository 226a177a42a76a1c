/* The compiled twin of the hot parts of the default model: the same numbers as NumPy's, to the last bit (_kernel.h,
 * _learning.h).
 *
 * This file is their door to Python: it takes arrays and makes sure that nothing is read or written beside them.
 * Nothing here is needed: kernel.py says what happens without it. test_compiled.py compares the two.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "_kernel.h"
#include "_learning.h"

/* The arrays of the models, in the order in which compiled.py passes them. */
enum {
    RECENT, ORIGIN, WINDOW, MARKS, SCORES, EARLIER, LASTING_SUM, LEVELS, HOUR_WEIGHTS, FRAME, NEUTRAL, VARIANCE, WEIGHT,
    CODES, LIMITS, BEGIN, COUNT, ARRAYS
};
#define MOST_ARGUMENTS 6

/* What a function was called with: the models, and other arrays after them. */
typedef struct {
    Models m;
    Py_buffer views[ARRAYS + MOST_ARGUMENTS];
    Py_buffer *given;
    int held;
} Call;

static PyObject *
close_call(Call *call, int succeeded)
{
    while (call->held > 0) PyBuffer_Release(&call->views[--call->held]);
    return succeeded ? Py_NewRef(Py_None) : NULL;
}

/* Borrow an array for the call. 0 and a Python error if its items are not of `size` bytes. */
static int
hold(Call *call, PyObject *array, char size)
{
    Py_buffer *view = &call->views[call->held];
    if (PyObject_GetBuffer(array, view, PyBUF_ND | PyBUF_WRITABLE) < 0) return 0;
    call->held++;
    if (view->itemsize == size - '0') return 1;
    PyErr_Format(PyExc_ValueError, "items of %zd bytes do not fit", view->itemsize);
    return 0;
}

/* Whether argument number `i` holds so many items; if not, a Python error. */
static int
holds(const Call *call, int i, Py_ssize_t items)
{
    const Py_buffer *view = &call->given[i];
    if (view->len == items * view->itemsize) return 1;
    PyErr_Format(PyExc_ValueError, "argument %d does not fit: %zd bytes instead of %zd", i, view->len,
                 items * view->itemsize);
    return 0;
}

static int
open_models(Call *call)
{
    Models *m = &call->m;
    const Py_buffer *v = call->views;
    if (v[WINDOW].ndim != 3 || v[FRAME].ndim != 4 || v[CODES].ndim != 3 || v[LEVELS].ndim != 3 || v[SCORES].ndim != 2)
        return 0;
    m->capacity = v[COUNT].shape[0];
    m->w = (int)v[WINDOW].shape[1];
    m->d = (int)v[WINDOW].shape[2];
    m->k = (int)v[FRAME].shape[3];
    m->trees = (int)v[CODES].shape[1];
    m->leaves = (int)v[CODES].shape[2];
    m->hours = (int)v[LEVELS].shape[1];
    m->length = (int)v[SCORES].shape[1];
    int d = m->d, q = m->d * m->k;
    const Py_ssize_t items[ARRAYS] = {
        LAGS * d, d, m->w * d, m->w, m->length, LASTING, 1, m->hours * d, m->hours * d, FRAME_ROWS * q, q, q, q,
        m->trees * m->leaves, 2, 1, 1,
    };
    for (int i = 0; i < ARRAYS; i++)
        if (v[i].len != m->capacity * items[i] * v[i].itemsize) return 0;
    *m = (Models){
        m->capacity, d, m->k, m->w, m->hours, m->trees, m->leaves, m->length,
        .recent = v[RECENT].buf, .origin = v[ORIGIN].buf, .window = v[WINDOW].buf, .marks = v[MARKS].buf,
        .scores = v[SCORES].buf, .earlier = v[EARLIER].buf, .lasting = v[LASTING_SUM].buf, .levels = v[LEVELS].buf, .hour_weights = v[HOUR_WEIGHTS].buf, .frame = v[FRAME].buf,
        .neutral = v[NEUTRAL].buf, .variance = v[VARIANCE].buf, .weight = v[WEIGHT].buf, .codes = v[CODES].buf,
        .limits = v[LIMITS].buf, .begin = v[BEGIN].buf, .count = v[COUNT].buf,
    };
    return q <= MAX_COLUMNS && (m->k == GAP || m->k == GAP + 1) && (m->k > GAP) == (m->hours > 0)
        && m->trees <= MAX_TREES && m->leaves <= MAX_LEAVES && m->w <= MAX_WINDOW && 2 * m->length == m->w;
}

/* Take the models and one more argument for each of `sizes`, the bytes of their items. 0 and a Python error if they
 * don't fit each other. */
static int
open_call(PyObject *args, Call *call, const char *sizes)
{
    const char *of_models = "88412144482881888";
    PyObject *models = PyTuple_Size(args) == 1 + (Py_ssize_t)strlen(sizes) ? PyTuple_GetItem(args, 0) : NULL;
    call->held = 0;
    call->given = call->views + ARRAYS;
    if (!models || !PyTuple_Check(models) || PyTuple_Size(models) != ARRAYS) {
        PyErr_SetString(PyExc_TypeError, "expected a tuple of the models' arrays, and the other arguments");
        return 0;
    }
    for (int i = 0; i < ARRAYS; i++)
        if (!hold(call, PyTuple_GetItem(models, i), of_models[i])) return 0;
    if (!open_models(call)) {
        PyErr_SetString(PyExc_ValueError, "the arrays of the models don't fit each other");
        return 0;
    }
    for (int i = 0; sizes[i]; i++)
        if (!hold(call, PyTuple_GetItem(args, 1 + i), sizes[i])) return 0;
    return 1;
}

/* How many rows argument number `i` names; -1 and a Python error if one of them doesn't exist. */
static Py_ssize_t
rows_of(const Call *call, int i)
{
    const int64_t *rows = call->given[i].buf;
    Py_ssize_t n = call->given[i].len / 8;
    for (Py_ssize_t place = 0; place < n; place++)
        if (rows[place] < 0 || rows[place] >= call->m.capacity) {
            PyErr_Format(PyExc_IndexError, "there is no model %lld", (long long)rows[place]);
            return -1;
        }
    return n;
}

static int
holds_table(const Call *call, int i)
{
    return holds(call, i, call->m.d * call->m.k * (Py_ssize_t)constants.cells * call->m.trees);
}

/* derive(models, rows [n], known [n, d], number [n], before [n, LAGS, d], columns [n, d, k]): engine.py: _derive.
 * Writes the last three, and of the models what came last and the count. */
static PyObject *
derive_events(PyObject *self, PyObject *args)
{
    Call call;
    if (!open_call(args, &call, "88888")) return close_call(&call, 0);
    const Models *m = &call.m;
    const Py_buffer *v = call.given;
    Py_ssize_t n = rows_of(&call, 0);
    int fits = n >= 0 && holds(&call, 1, n * m->d) && holds(&call, 2, n) && holds(&call, 3, n * LAGS * m->d)
        && holds(&call, 4, n * m->d * m->k);
    if (fits) derive_rows(m, v[0].buf, n, v[1].buf, v[2].buf, v[3].buf, v[4].buf);
    return close_call(&call, fits);
}

/* score(models, table, rows [n], hours [n], columns [n, d, k], scores [n]): engine.py: _score. Writes the gaps among
 * the columns, and the scores. Without any hours: _score_columns, the gaps are there and all models are ready. */
static PyObject *
score_events(PyObject *self, PyObject *args)
{
    Call call;
    if (!open_call(args, &call, "88188")) return close_call(&call, 0);
    const Models *m = &call.m;
    const Py_buffer *v = call.given;
    Py_ssize_t n = rows_of(&call, 1);
    const int64_t *rows = v[1].buf;
    const uint8_t *hours = v[2].len ? v[2].buf : NULL;
    double *scores = v[4].buf;
    int fits = n >= 0 && holds_table(&call, 0) && (!hours || holds(&call, 2, n)) && holds(&call, 3, n * m->d * m->k)
        && holds(&call, 4, n);
    for (Py_ssize_t i = 0; i < n && fits && hours && m->hours; i++)
        if (hours[i] >= m->hours) {
            PyErr_Format(PyExc_IndexError, "there is no hour %d", hours[i]);
            fits = 0;
        }
    if (!fits) return close_call(&call, 0);
    score(m, v[0].buf, rows, m->hours ? hours : NULL, v[3].buf, n, scores);
    for (Py_ssize_t i = 0; i < n && hours; i++)
        if (!isfinite(m->limits[2 * rows[i] + 1])) scores[i] = 0.0;
    return close_call(&call, 1);
}

/* remember(models, rows [n], number [n], hours [n], columns [n, d, k], scores [n]): engine.py: _remember. */
static PyObject *
remember_events(PyObject *self, PyObject *args)
{
    Call call;
    if (!open_call(args, &call, "88188")) return close_call(&call, 0);
    const Py_buffer *v = call.given;
    Py_ssize_t n = rows_of(&call, 0);
    int fits = n >= 0 && holds(&call, 1, n) && holds(&call, 2, n) && holds(&call, 3, n * call.m.d * call.m.k)
        && holds(&call, 4, n);
    if (fits && remember_rows(&call.m, v[0].buf, n, v[1].buf, v[2].buf, v[3].buf, v[4].buf) < 0) {
        PyErr_SetString(PyExc_IndexError, "an event is not of its model's current chapter");
        fits = 0;
    }
    return close_call(&call, fits);
}

/* last(models, rows [n], number [n], means [n]): engine.py: _lasting. Writes the means, and the models' sums. */
static PyObject *
last_of_events(PyObject *self, PyObject *args)
{
    Call call;
    if (!open_call(args, &call, "888")) return close_call(&call, 0);
    const Py_buffer *v = call.given;
    Py_ssize_t n = rows_of(&call, 0);
    int fits = n >= 0 && holds(&call, 1, n) && holds(&call, 2, n);
    if (fits && last_rows(&call.m, v[0].buf, n, v[1].buf, v[2].buf) < 0) {
        PyErr_SetString(PyExc_IndexError, "an event is not of its model's current chapter");
        fits = 0;
    }
    return close_call(&call, fits);
}

typedef enum { TAKE_IN, REFER, LEARN_HOURS } Lesson;

static PyObject *
learn(PyObject *args, Lesson lesson)
{
    Call call;
    if (!open_call(args, &call, lesson == REFER ? "88" : "888")) return close_call(&call, 0);
    const Models *m = &call.m;
    const Py_buffer *v = call.given;
    int of_rows = lesson == REFER;
    Py_ssize_t n = rows_of(&call, of_rows);
    if (n < 0 || (lesson == REFER ? !holds_table(&call, 0) : !holds(&call, 1, n) || !holds(&call, 2, n)))
        return close_call(&call, 0);
    size_t columns = (m->w > m->hours ? m->w : m->hours) * m->d * m->k;
    double *scratch = PyMem_Malloc(columns * sizeof *scratch + m->hours * m->d * sizeof(int32_t));
    if (!scratch) {
        PyErr_NoMemory();
        return close_call(&call, 0);
    }
    const int64_t *rows = v[of_rows].buf, *begin = v[1].buf, *counts = v[2].buf;
    int fits = 1;
    for (Py_ssize_t i = 0; i < n && fits; i++) {
        if (lesson == REFER) {
            refer(m, v[0].buf, rows[i], scratch);
            continue;
        }
        int64_t length = counts[i] - begin[i];
        fits = begin[i] >= 0 && length >= 0 && length <= m->length;
        if (!fits)
            PyErr_SetString(PyExc_IndexError, "a chapter is longer than chapters are");
        else if (lesson == TAKE_IN)
            take_in(m, rows[i], begin[i], length, scratch);
        else
            learn_hours(m, rows[i], begin[i], length, scratch, (int32_t *)(scratch + columns));
    }
    PyMem_Free(scratch);
    return close_call(&call, fits);
}

/* take_in(models, rows [m], begin [m], counts [m]): learning.py: _take_in. */
static PyObject *
take_in_chapters(PyObject *self, PyObject *args)
{
    return learn(args, TAKE_IN);
}

/* refer(models, table, rows [m]): learning.py: _refer. */
static PyObject *
refer_windows(PyObject *self, PyObject *args)
{
    return learn(args, REFER);
}

/* learn_hours(models, rows [m], begin [m], counts [m]): learning.py: _learn_hours. */
static PyObject *
learn_hours_of_chapters(PyObject *self, PyObject *args)
{
    return learn(args, LEARN_HOURS);
}

/* configure(mantissas, sums, codes, numbers): the tables of log2.py and reference.py and the constants, in order. */
static PyObject *
configure(PyObject *self, PyObject *args)
{
    PyObject *mantissas, *sums, *codes;
    Call call = {.held = 0, .given = call.views};
    if (!PyArg_ParseTuple(args, "OOO(dddddddddddddiiii)", &mantissas, &sums, &codes, &constants.step,
                          &constants.cells, &constants.low, &constants.high, &constants.tree_share,
                          &constants.highest, &constants.margin, &constants.stop, &constants.memory,
                          &constants.leaning, &constants.hour_memory, &constants.farthest,
                          &constants.lasting_unit, &constants.least_known, &constants.least_rows,
                          &constants.protected, &constants.lasting_steps))
        return NULL;
    int fits = hold(&call, mantissas, '8') && holds(&call, 0, 1 << MANTISSA_BITS) && hold(&call, sums, '8')
        && holds(&call, 1, 256) && hold(&call, codes, '1') && holds(&call, 2, SUMS);
    if (!fits) return close_call(&call, 0);
    memcpy(constants.mantissas, call.given[0].buf, sizeof constants.mantissas);
    for (int code = 0; code < 256; code++) constants.sums[code] = (int32_t)((double *)call.given[1].buf)[code];
    memcpy(constants.codes, call.given[2].buf, sizeof constants.codes);
    return close_call(&call, 1);
}

static PyMethodDef methods[] = {
    {"configure", configure, METH_VARARGS, NULL},
    {"derive", derive_events, METH_VARARGS, NULL},
    {"score", score_events, METH_VARARGS, NULL},
    {"remember", remember_events, METH_VARARGS, NULL},
    {"last", last_of_events, METH_VARARGS, NULL},
    {"take_in", take_in_chapters, METH_VARARGS, NULL},
    {"refer", refer_windows, METH_VARARGS, NULL},
    {"learn_hours", learn_hours_of_chapters, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kernel", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC
PyInit__kernel(void)
{
    PyObject *kernel = PyModule_Create(&module);
    if (kernel && PyModule_AddStringConstant(kernel, "FINGERPRINT", FINGERPRINT) < 0) Py_CLEAR(kernel);
    return kernel;
}
