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
#include "_habits.h"
#include "_learning.h"

/* The arrays of the models, in the order in which compiled.py passes them, and how their day is divided. */
enum {
    RECENT, OF_GAPS, RESIDUAL_UNITS, GAP_UNITS, RUNS, ORIGIN, WINDOW, MARKS, SCORES, EARLIER, LASTING_SUM, OF_KNOWN,
    OF_SUMS, LEVELS, LEVEL_WEIGHTS, HOURS, HOUR_WEIGHTS, SCALE, FRAME, NEUTRAL, VARIANCE, WEIGHT, CODES, BEGIN, DAY, ARRAYS
};
static const char items_of_models[] = "8811484221488424288288188";
#define MOST_ARGUMENTS 7

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
    if (v[WINDOW].ndim != 3 || v[CODES].ndim != 3 || v[SCORES].ndim != 2 || v[LEVELS].ndim != 3 || v[HOURS].ndim != 3)
        return 0;
    if (v[DAY].len != 3 * 8) return 0;
    const int64_t *day = v[DAY].buf, capacity = v[BEGIN].shape[0];
    int d = (int)v[WINDOW].shape[2], w = (int)v[WINDOW].shape[1], length = (int)v[SCORES].shape[1];
    int trees = (int)v[CODES].shape[1], leaves = (int)v[CODES].shape[2];
    int levels = (int)v[LEVELS].shape[1], hours = (int)v[HOURS].shape[1];
    const Py_ssize_t items[ARRAYS] = {
        LAGS * d, FORECAST * d, RESIDUALS * d, GAPS * d, 2 * d, d, w * d, w, length, LASTING, 1, KNOWN * d,
        SUMS_OF_PRODUCTS * d, levels * d, levels * d, hours * d, hours * d, 2 * d * CUT, 2 * d * COLUMNS, d * CUT,
        d * COLUMNS, d * COLUMNS, trees * leaves, 1,
    };
    for (int i = 0; i < DAY; i++)
        if (v[i].len != capacity * items[i] * v[i].itemsize) return 0;
    *m = (Models){
        capacity, d, w, trees, leaves, length, (int)day[0], (int)day[1], (int)day[2], hours,
        .recent = v[RECENT].buf, .gaps = v[OF_GAPS].buf, .residual_units = v[RESIDUAL_UNITS].buf,
        .gap_units = v[GAP_UNITS].buf, .runs = v[RUNS].buf, .origin = v[ORIGIN].buf, .window = v[WINDOW].buf,
        .marks = v[MARKS].buf, .scores = v[SCORES].buf, .earlier = v[EARLIER].buf, .lasting = v[LASTING_SUM].buf,
        .known = v[OF_KNOWN].buf, .sums = v[OF_SUMS].buf, .levels = v[LEVELS].buf,
        .level_weights = v[LEVEL_WEIGHTS].buf, .hours = v[HOURS].buf, .hour_weights = v[HOUR_WEIGHTS].buf,
        .scale = v[SCALE].buf, .frame = v[FRAME].buf, .neutral = v[NEUTRAL].buf, .variance = v[VARIANCE].buf,
        .weight = v[WEIGHT].buf, .codes = v[CODES].buf, .begin = v[BEGIN].buf,
    };
    return d <= MAX_FEATURES && trees <= MAX_TREES && leaves <= MAX_LEAVES && w <= MAX_WINDOW && 2 * length == w
        && w >= 2 * SPAN && w > constants.warm_up && 0 < day[0] && day[0] <= SLOT + 1 && 0 <= day[1] && day[1] <= MAX_BINS
        && 0 <= day[2] && 2 * day[2] <= MAX_BINS && levels == day[1] + 2 * day[2] && !day[1] == !day[2] && hours <= MAX_BINS;
}

/* Take the models and one more argument for each of `sizes`, the bytes of their items. 0 and a Python error if they
 * don't fit each other. */
static int
open_call(PyObject *args, Call *call, const char *sizes)
{
    PyObject *models = PyTuple_Size(args) == 1 + (Py_ssize_t)strlen(sizes) ? PyTuple_GetItem(args, 0) : NULL;
    call->held = 0;
    call->given = call->views + ARRAYS;
    if (!models || !PyTuple_Check(models) || PyTuple_Size(models) != ARRAYS) {
        PyErr_SetString(PyExc_TypeError, "expected a tuple of the models' arrays, and the other arguments");
        return 0;
    }
    for (int i = 0; i < ARRAYS; i++)
        if (!hold(call, PyTuple_GetItem(models, i), items_of_models[i])) return 0;
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
    return holds(call, i, call->m.d * CUT * (Py_ssize_t)constants.cells * call->m.trees);
}

/* see(models, rows [n], values [n, d], marks [n], columns [n, d, COLUMNS], usual, forecast, spread [n, d]): engine.py:
 * _see. Writes the last four, and what came last of the models. */
static PyObject *
see_events(PyObject *self, PyObject *args)
{
    Call call;
    if (!open_call(args, &call, "8828888")) return close_call(&call, 0);
    const Models *m = &call.m;
    const Py_buffer *v = call.given;
    Py_ssize_t n = rows_of(&call, 0);
    int fits = n >= 0 && holds(&call, 1, n * m->d) && holds(&call, 2, n) && holds(&call, 3, n * m->d * COLUMNS)
        && holds(&call, 4, n * m->d) && holds(&call, 5, n * m->d) && holds(&call, 6, n * m->d);
    if (fits) see_rows(m, v[0].buf, n, v[1].buf, v[2].buf, v[3].buf, v[4].buf, v[5].buf, v[6].buf);
    return close_call(&call, fits);
}

/* score(models, table, rows [n], columns [n, d, COLUMNS], scores [n, FAMILIES]): engine.py: _score. */
static PyObject *
score_events(PyObject *self, PyObject *args)
{
    Call call;
    if (!open_call(args, &call, "8888")) return close_call(&call, 0);
    const Models *m = &call.m;
    const Py_buffer *v = call.given;
    Py_ssize_t n = rows_of(&call, 1);
    int fits = n >= 0 && holds_table(&call, 0) && holds(&call, 2, n * m->d * COLUMNS) && holds(&call, 3, n * FAMILIES);
    if (fits) score(m, v[0].buf, v[1].buf, v[2].buf, n, v[3].buf);
    return close_call(&call, fits);
}

/* remember(models, rows [n], number [n], marks [n], values [n, d], scores [n]): engine.py: _remember. */
static PyObject *
remember_events(PyObject *self, PyObject *args)
{
    Call call;
    if (!open_call(args, &call, "88288")) return close_call(&call, 0);
    const Py_buffer *v = call.given;
    Py_ssize_t n = rows_of(&call, 0);
    int fits = n >= 0 && holds(&call, 1, n) && holds(&call, 2, n) && holds(&call, 3, n * call.m.d) && holds(&call, 4, n);
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

typedef enum { LOOK_BACK, LEARN, REFER, REWIND } Lesson;

static PyObject *
teach(PyObject *args, Lesson lesson)
{
    static const char *const given[] = {"8888", "8888", "88", "88"};
    Call call;
    if (!open_call(args, &call, given[lesson])) return close_call(&call, 0);
    const Models *m = &call.m;
    const Py_buffer *v = call.given;
    int of_rows = lesson == REFER, of_chapter = lesson == LOOK_BACK || lesson == LEARN;
    Py_ssize_t n = rows_of(&call, of_rows), items = lesson == LEARN ? m->d * COLUMNS : FAMILIES;
    if (n < 0 || (lesson == REFER ? !holds_table(&call, 0) : !holds(&call, 1, n))
        || (of_chapter && (!holds(&call, 2, n) || !holds(&call, 3, n * m->length * items))))
        return close_call(&call, 0);
    double *scratch = PyMem_Malloc(m->w * (m->d * COLUMNS * sizeof *scratch + sizeof(Seen)));
    if (!scratch) {
        PyErr_NoMemory();
        return close_call(&call, 0);
    }
    Seen *seen = (Seen *)(scratch + m->w * m->d * COLUMNS);
    const int64_t *rows = v[of_rows].buf, *begin = v[1].buf, *counts = v[2].buf;
    int fits = 1;
    for (Py_ssize_t i = 0; i < n && fits; i++) {
        if (lesson == REFER) {
            refer(m, v[0].buf, rows[i], scratch);
            continue;
        }
        fits = begin[i] >= 0;
        int64_t length = fits && of_chapter ? counts[i] - begin[i] : 0;
        fits = fits && length >= 0 && length <= m->length;
        if (!fits)
            PyErr_SetString(PyExc_IndexError, "a chapter is longer than chapters are");
        else if (lesson == LOOK_BACK)
            look_back_bits(m, rows[i], begin[i], length, scratch, (double *)v[3].buf + i * m->length * FAMILIES);
        else if (lesson == LEARN)
            learn_habits(m, rows[i], begin[i], length, (double *)v[3].buf + i * m->length * m->d * COLUMNS, seen);
        else
            rewind_past(m, rows[i], begin[i]);
    }
    PyMem_Free(scratch);
    return close_call(&call, fits);
}

/* look_back(models, rows [m], begin [m], counts [m], bits [m, length, FAMILIES]): learning.py: _look_back. Writes the bits
 * of the rows that are there. */
static PyObject *
look_back_at_chapters(PyObject *self, PyObject *args)
{
    return teach(args, LOOK_BACK);
}

/* learn(models, rows [m], begin [m], counts [m], columns [m, length, d, COLUMNS]): habits.py: learn. Writes the columns of
 * the rows that are there. */
static PyObject *
learn_chapters(PyObject *self, PyObject *args)
{
    return teach(args, LEARN);
}

/* refer(models, table, rows [m]): learning.py: _refer. */
static PyObject *
refer_windows(PyObject *self, PyObject *args)
{
    return teach(args, REFER);
}

/* rewind(models, rows [m], counts [m]): learning.py: _rewind. */
static PyObject *
rewind_models(PyObject *self, PyObject *args)
{
    return teach(args, REWIND);
}

/* configure(mantissas, sums, codes, numbers, whole): the tables of log2.py and reference.py and the constants, in order. */
static PyObject *
configure(PyObject *self, PyObject *args)
{
    PyObject *mantissas, *sums, *codes;
    Call call = {.held = 0, .given = call.views};
    double *numbers[] = {
        &constants.step, &constants.cells, &constants.low, &constants.high, &constants.tree_share, &constants.highest,
        &constants.margin, &constants.stop, &constants.memory, &constants.farthest, &constants.lasting_unit,
        &constants.unit, &constants.most_units, &constants.most_residual, &constants.run_bits, &constants.leaning,
        &constants.type_leaning, &constants.hour_leaning, &constants.bin_memory, &constants.hour_memory,
        &constants.most_weight, &constants.ridge, &constants.forecast_memory, &constants.cut_off,
        &constants.normal_spread, &constants.spread_memory, &constants.level_memory, &constants.most_spreads,
        &constants.most_spread, &constants.rare, &constants.least_deviation, &constants.clipped,
    };
    int *whole[] = {&constants.least_known, &constants.least_rows, &constants.lasting_steps, &constants.warm_up};
    PyObject *given, *given_whole;
    if (!PyArg_ParseTuple(args, "OOOO!O!", &mantissas, &sums, &codes, &PyTuple_Type, &given, &PyTuple_Type, &given_whole))
        return NULL;
    Py_ssize_t count = sizeof numbers / sizeof *numbers, count_whole = sizeof whole / sizeof *whole;
    if (PyTuple_Size(given) != count || PyTuple_Size(given_whole) != count_whole) {
        PyErr_SetString(PyExc_ValueError, "these are not the constants of this kernel");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) *numbers[i] = PyFloat_AsDouble(PyTuple_GetItem(given, i));
    for (Py_ssize_t i = 0; i < count_whole; i++) *whole[i] = (int)PyLong_AsLong(PyTuple_GetItem(given_whole, i));
    if (PyErr_Occurred()) return NULL;
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
    {"see", see_events, METH_VARARGS, NULL},
    {"score", score_events, METH_VARARGS, NULL},
    {"remember", remember_events, METH_VARARGS, NULL},
    {"last", last_of_events, METH_VARARGS, NULL},
    {"look_back", look_back_at_chapters, METH_VARARGS, NULL},
    {"learn", learn_chapters, METH_VARARGS, NULL},
    {"refer", refer_windows, METH_VARARGS, NULL},
    {"rewind", rewind_models, METH_VARARGS, NULL},
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
