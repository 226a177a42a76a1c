/* The compiled twin of the hot parts of the default model: the same numbers as NumPy's, to the last bit.
 *
 * The Python files are the reference and say why; each function here names the one that it repeats. What keeps the
 * bits equal: sums run in the order of the rows, in both; -ffp-contract=off forbids fused multiply-adds; logarithms
 * and powers are looked up in NumPy's tables, which configure() hands over together with the constants. Nothing
 * here is needed: kernel.py says what happens without it. tests/streams/forest/test_compiled.py compares the two.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Where numbers would be rounded otherwise there is no compiled kernel, which does no harm. */
#if FLT_EVAL_METHOD != 0 || defined(__FAST_MATH__)
#error "this compiler rounds otherwise than NumPy"
#endif

#define MAX_COLUMNS 40 /* 10 features, 4 columns each */
#define MAX_TREES 100
#define MAX_LEAVES 64
#define AHEAD 16 /* rows between asking memory for something and using it */
#define MAX_WINDOW 1024
#define SPAN 8
#define LAGS (SPAN - 1)
#define MANTISSA_BITS 12
#define FINE 256
#define SUMS (128 * FINE + 1)

enum { BASE, GAIN, CENTER, CLOSENESS, FRAME_ROWS }; /* rows of Models.frame */
enum { VALUE, CHANGE, MEAN, GAP };                  /* columns of a feature */

static struct {
    double mantissas[1 << MANTISSA_BITS];
    int32_t sums[256];
    uint8_t codes[SUMS];
    double step, cells, low, high, tree_share, highest, margin, stop, memory, leaning, hour_memory, farthest;
    int least_known, least_rows, protected;
} constants;

/* ---- Buffers ------------------------------------------------------------------------------------------------ */

/* The array behind `object`, or -1 and a Python error. Its length must be `items`, unless that is negative. */
static int
borrow(PyObject *object, Py_buffer *view, Py_ssize_t itemsize, Py_ssize_t items)
{
    if (PyObject_GetBuffer(object, view, PyBUF_ND | PyBUF_WRITABLE) < 0) return -1;
    if (view->itemsize == itemsize && (items < 0 || view->len == items * itemsize)) return 0;
    PyErr_Format(PyExc_ValueError, "an array of %zd bytes in items of %zd does not fit", view->len, view->itemsize);
    PyBuffer_Release(view);
    return -1;
}

static void
give_back(Py_buffer *views, int count)
{
    while (count-- > 0) PyBuffer_Release(&views[count]);
}

/* Models, as in models.py; compiled.py passes the arrays in this order. */
enum {
    RECENT, ORIGIN, WINDOW, MARKS, SCORES, LEVELS, HOUR_WEIGHTS, FRAME, NEUTRAL, VARIANCE, WEIGHT, CODES, LIMITS, BEGIN,
    COUNT, ARRAYS
};
static const int SIZES[ARRAYS] = {8, 8, 4, 1, 2, 4, 4, 8, 2, 8, 8, 1, 8, 8, 8};

typedef struct {
    Py_buffer views[ARRAYS];
    int64_t capacity;
    int d, k, w, hours, trees, leaves, length;
    double *recent, *origin, *frame, *variance, *weight, *limits;
    float *window, *levels, *hour_weights;
    uint8_t *marks, *codes;
    int16_t *scores, *neutral;
    int64_t *begin, *count;
} Models;

static void
close_models(Models *m)
{
    give_back(m->views, ARRAYS);
}

static int
open_models(PyObject *arrays, Models *m)
{
    int got = 0;
    if (!PyTuple_Check(arrays) || PyTuple_Size(arrays) != ARRAYS) {
        PyErr_SetString(PyExc_TypeError, "models are a tuple of arrays");
        return -1;
    }
    for (; got < ARRAYS; got++)
        if (borrow(PyTuple_GetItem(arrays, got), &m->views[got], SIZES[got], -1) < 0) goto failed;
    if (m->views[WINDOW].ndim != 3 || m->views[FRAME].ndim != 4 || m->views[CODES].ndim != 3
        || m->views[LEVELS].ndim != 3 || m->views[SCORES].ndim != 2)
        goto wrong;
    m->capacity = m->views[COUNT].shape[0];
    m->w = (int)m->views[WINDOW].shape[1];
    m->d = (int)m->views[WINDOW].shape[2];
    m->k = (int)m->views[FRAME].shape[3];
    m->trees = (int)m->views[CODES].shape[1];
    m->leaves = (int)m->views[CODES].shape[2];
    m->hours = (int)m->views[LEVELS].shape[1];
    m->length = (int)m->views[SCORES].shape[1];
    const Py_ssize_t widths[ARRAYS] = {
        LAGS * m->d, m->d, m->w * m->d, m->w, m->length, m->hours * m->d, m->hours * m->d,
        FRAME_ROWS * m->d * m->k, m->d * m->k, m->d * m->k, m->d * m->k, m->trees * m->leaves, 2, 1, 1,
    };
    for (int i = 0; i < ARRAYS; i++)
        if (m->views[i].len != m->capacity * widths[i] * SIZES[i]) goto wrong;
    if (m->d * m->k > MAX_COLUMNS || m->k < GAP || m->k > GAP + 1 || m->trees > MAX_TREES || m->leaves > MAX_LEAVES || m->w > MAX_WINDOW
        || 2 * m->length != m->w || (m->k > GAP) != (m->hours > 0))
        goto wrong;
    m->recent = m->views[RECENT].buf;
    m->origin = m->views[ORIGIN].buf;
    m->window = m->views[WINDOW].buf;
    m->marks = m->views[MARKS].buf;
    m->scores = m->views[SCORES].buf;
    m->levels = m->views[LEVELS].buf;
    m->hour_weights = m->views[HOUR_WEIGHTS].buf;
    m->frame = m->views[FRAME].buf;
    m->neutral = m->views[NEUTRAL].buf;
    m->variance = m->views[VARIANCE].buf;
    m->weight = m->views[WEIGHT].buf;
    m->codes = m->views[CODES].buf;
    m->limits = m->views[LIMITS].buf;
    m->begin = m->views[BEGIN].buf;
    m->count = m->views[COUNT].buf;
    return 0;
wrong:
    PyErr_SetString(PyExc_ValueError, "the arrays of the models don't fit each other");
failed:
    give_back(m->views, got);
    return -1;
}

/* How many words the table of cells.py has for such models. */
static Py_ssize_t
table_items(const Models *m)
{
    return m->d * m->k * (Py_ssize_t)constants.cells * m->trees;
}

static int
all_inside(const int64_t *rows, Py_ssize_t n, int64_t capacity)
{
    for (Py_ssize_t i = 0; i < n; i++)
        if (rows[i] < 0 || rows[i] >= capacity) {
            PyErr_Format(PyExc_IndexError, "there is no model %lld", (long long)rows[i]);
            return 0;
        }
    return 1;
}

/* Into the second cache: the first one can wait for a dozen lines only, and that took half of the time. */
#define ASK(place) __builtin_prefetch((place), 0, 2)

static inline void
ask(const void *start, size_t size)
{
    const char *line = (const char *)((uintptr_t)start & ~(uintptr_t)63);
    for (; line < (const char *)start + size; line += 64) ASK(line);
}

/* ---- What one row needs -------------------------------------------------------------------------------------- */

/* log2.py: log2 */
static inline double
log2_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> 52) - 1022;
    return constants.mantissas[(bits >> (52 - MANTISSA_BITS)) & ((1 << MANTISSA_BITS) - 1)] + exponent;
}

/* cells.py: cell_of */
static inline int
cell_of(double scaled)
{
    double position = (scaled - constants.low) * (constants.cells / (constants.high - constants.low));
    double last = constants.cells - 1.0;
    position = position > 0.0 ? position : 0.0; /* NaN, too */
    return (int)(position < last ? position : last);
}

/* derive.py: derive, of one feature; before[lag * stride] are the values before, the latest first */
static inline void
derive(double value, const double *before, int stride, double *change, double *mean)
{
    double total = value;
    *change = value - before[0];
    for (int lag = 0; lag < LAGS; lag++) total += before[lag * stride];
    *mean = total / SPAN;
    if (isnan(*mean) && !isnan(value)) {
        double some = value;
        int known = 1;
        for (int lag = 0; lag < LAGS; lag++) {
            double one = before[lag * stride];
            if (isnan(one)) continue;
            some += one;
            known++;
        }
        *mean = known >= constants.least_known ? some / known : NAN;
    }
}

/* season.py: usual */
static inline double
usual(double level, float weight, double mean)
{
    return mean + (level - mean) * (double)(weight / (weight + (float)constants.leaning));
}

/* The gap of `value` of feature f from what is usual for model `row` at `hour`. */
static inline double
gap_of(const Models *m, int64_t row, int hour, int f, double value)
{
    int64_t place = (row * m->hours + hour) * m->d + f;
    double mean = m->frame[((row * FRAME_ROWS + CENTER) * m->d + f) * m->k];
    return value - usual(m->levels[place] + m->origin[row * m->d + f], m->hour_weights[place], mean);
}

/* cells.py: leaves_of. The bits of `columns` that are left standing in each tree. */
static inline void
stand(const Models *m, const uint64_t *table, const double *columns, const double *base, const double *gain,
      const int16_t *neutral, uint64_t *standing)
{
    int q = m->d * m->k;
    for (int c = 0; c < q; c++) {
        int cell = isnan(columns[c]) ? neutral[c] : cell_of((columns[c] - base[c]) * gain[c]);
        const uint64_t *reach = table + ((int64_t)c * (int64_t)constants.cells + cell) * m->trees;
        if (c == 0)
            memcpy(standing, reach, m->trees * sizeof *standing);
        else
            for (int t = 0; t < m->trees; t++) standing[t] &= reach[t];
    }
}

/* distance.py: distances, and the largest of them */
static inline double
farthest_of(const Models *m, const double *columns, const double *frame)
{
    int q = m->d * m->k;
    double far = 0.0;
    for (int c = 0; c < q; c++) {
        double one = fabs(columns[c] - frame[CENTER * q + c]) * frame[CLOSENESS * q + c];
        if (one > far) far = one;
    }
    return far;
}

/* scoring.py: score, of a row of which the leaves are known. */
static inline void
finish(const Models *m, const uint8_t **leaf, const double *columns, int64_t row, int height, double *score)
{
    int32_t sum = 0;
    for (int t = 0; t < m->trees; t++) sum += constants.sums[*leaf[t]];
    double thin = height + 1 - log2_of(sum / (m->trees * 65536.0));
    double far = farthest_of(m, columns, m->frame + row * FRAME_ROWS * m->d * m->k);
    double bits = constants.tree_share * thin + log2_of(1 + far);
    bits = rint(bits / constants.step) * constants.step;
    *score = bits < constants.highest ? bits : constants.highest;
}

/* engine.py: _score, and scoring.py: score, for n rows. With `hours`, their gaps are written among the columns first.
 * Most of the time goes into waiting for models that lie anywhere in memory, so they are asked for AHEAD rows before
 * they are used, and their leaves as soon as these are known. */
static void
score(const Models *m, const uint64_t *table, const int64_t *rows, const uint8_t *hours, double *columns, Py_ssize_t n,
      double *scores)
{
    int q = m->d * m->k, height = __builtin_ctz(m->leaves);
    uint64_t standing[MAX_TREES];
    const uint8_t *leaf[AHEAD][MAX_TREES];
    for (Py_ssize_t i = -AHEAD; i < n + AHEAD; i++) {
        if (i + AHEAD < n) {
            int64_t row = rows[i + AHEAD];
            ask(m->frame + row * FRAME_ROWS * q, FRAME_ROWS * q * sizeof *m->frame);
            if (hours) {
                int64_t place = (row * m->hours + hours[i + AHEAD]) * m->d;
                ask(m->levels + place, m->d * sizeof *m->levels);
                ask(m->hour_weights + place, m->d * sizeof *m->hour_weights);
                ask(m->origin + row * m->d, m->d * sizeof *m->origin);
            }
        }
        if (0 <= i && i < n) {
            const double *frame = m->frame + rows[i] * FRAME_ROWS * q;
            const uint8_t *codes = m->codes + rows[i] * m->trees * m->leaves, **own = leaf[i % AHEAD];
            for (int f = 0; f < m->d && hours; f++)
                columns[i * q + f * m->k + GAP] = gap_of(m, rows[i], hours[i], f, columns[i * q + f * m->k]);
            stand(m, table, columns + i * q, frame + BASE * q, frame + GAIN * q, m->neutral + rows[i] * q, standing);
            if (i >= AHEAD) finish(m, own, columns + (i - AHEAD) * q, rows[i - AHEAD], height, &scores[i - AHEAD]);
            for (int t = 0; t < m->trees; t++) {
                own[t] = codes + t * m->leaves + __builtin_ctzll(standing[t]);
                ASK(own[t]);
            }
        }
        else if (i >= n && i >= AHEAD)
            finish(m, leaf[i % AHEAD], columns + (i - AHEAD) * q, rows[i - AHEAD], height, &scores[i - AHEAD]);
    }
}

/* ---- Functions of the module: rows as they come ------------------------------------------------------------- */

/* derive(models, rows [n], known [n, d], number [n], before [n, LAGS, d], columns [n, d, k]): engine.py: _derive.
 * Writes the last three, and of the models what came last and the count. */
static PyObject *
derive_rows(PyObject *self, PyObject *args)
{
    PyObject *arrays, *given[5];
    Py_buffer v[5];
    Models m;
    int got = 0;
    PyObject *answer = NULL;
    if (!PyArg_ParseTuple(args, "OOOOOO", &arrays, &given[0], &given[1], &given[2], &given[3], &given[4])) return NULL;
    if (open_models(arrays, &m) < 0) return NULL;
    if (borrow(given[0], &v[0], 8, -1) < 0) goto done;
    got = 1;
    Py_ssize_t n = v[0].len / 8;
    const Py_ssize_t items[5] = {n, n * m.d, n, n * LAGS * m.d, n * m.d * m.k};
    for (; got < 5; got++)
        if (borrow(given[got], &v[got], 8, items[got]) < 0) goto done;
    const int64_t *rows = v[0].buf;
    const double *known = v[1].buf;
    int64_t *number = v[2].buf;
    double *before = v[3].buf, *columns = v[4].buf;
    if (!all_inside(rows, n, m.capacity)) goto done;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            ask(m.recent + rows[i + AHEAD] * LAGS * m.d, LAGS * m.d * sizeof *m.recent);
            ASK(m.count + rows[i + AHEAD]);
        }
        double *recent = m.recent + rows[i] * LAGS * m.d;
        number[i] = m.count[rows[i]]++;
        memcpy(before + i * LAGS * m.d, recent, LAGS * m.d * sizeof *recent);
        for (int f = 0; f < m.d; f++) {
            double value = known[i * m.d + f];
            double *own = columns + (i * m.d + f) * m.k;
            own[VALUE] = value;
            derive(value, recent + f, m.d, &own[CHANGE], &own[MEAN]);
            double carried = isnan(value) ? recent[f] : value;
            for (int lag = LAGS - 1; lag > 0; lag--) recent[lag * m.d + f] = recent[(lag - 1) * m.d + f];
            recent[f] = carried;
        }
    }
    answer = Py_NewRef(Py_None);
done:
    give_back(v, got);
    close_models(&m);
    return answer;
}

/* score(models, table, rows [n], hours [n], columns [n, d, k], scores [n]): engine.py: _score. Writes the gaps among
 * the columns, and the scores. Without hours (None): _score_columns, the gaps are there and all models are ready. */
static PyObject *
score_rows(PyObject *self, PyObject *args)
{
    PyObject *arrays, *hours, *given[4];
    Py_buffer v[5];
    Models m;
    int got = 0;
    PyObject *answer = NULL;
    if (!PyArg_ParseTuple(args, "OOOOOO", &arrays, &given[0], &given[1], &hours, &given[2], &given[3])) return NULL;
    if (open_models(arrays, &m) < 0) return NULL;
    int q = m.d * m.k;
    Py_ssize_t n = 0, items = table_items(&m);
    for (; got < 4; got++) {
        if (borrow(given[got], &v[got], 8, items) < 0) goto done;
        if (got == 1) n = v[1].len / 8;
        items = got == 0 ? -1 : got == 1 ? n * q : n;
    }
    const int64_t *rows = v[1].buf;
    double *columns = v[2].buf, *scores = v[3].buf;
    if (!all_inside(rows, n, m.capacity)) goto done;
    if (hours != Py_None) {
        if (borrow(hours, &v[4], 1, n) < 0) goto done;
        got = 5;
        for (Py_ssize_t i = 0; i < n && m.hours; i++)
            if (((uint8_t *)v[4].buf)[i] >= m.hours) {
                PyErr_SetString(PyExc_IndexError, "there is no such hour");
                goto done;
            }
    }
    score(&m, v[0].buf, rows, got == 5 && m.hours ? v[4].buf : NULL, columns, n, scores);
    for (Py_ssize_t i = 0; i < n && hours != Py_None; i++)
        if (!isfinite(m.limits[2 * rows[i] + 1])) scores[i] = 0.0;
    answer = Py_NewRef(Py_None);
done:
    give_back(v, got);
    close_models(&m);
    return answer;
}

/* remember(models, rows [n], number [n], hours [n], columns [n, d, k], scores [n]): engine.py: _remember. */
static PyObject *
remember_rows(PyObject *self, PyObject *args)
{
    PyObject *arrays, *given[5];
    Py_buffer v[5];
    Models m;
    int got = 0;
    PyObject *answer = NULL;
    if (!PyArg_ParseTuple(args, "OOOOOO", &arrays, &given[0], &given[1], &given[2], &given[3], &given[4])) return NULL;
    if (open_models(arrays, &m) < 0) return NULL;
    if (borrow(given[0], &v[0], 8, -1) < 0) goto done;
    got = 1;
    Py_ssize_t n = v[0].len / 8;
    const Py_ssize_t items[5] = {n, n, n, n * m.d * m.k, n};
    for (; got < 5; got++)
        if (borrow(given[got], &v[got], got == 2 ? 1 : 8, items[got]) < 0) goto done;
    const int64_t *rows = v[0].buf, *number = v[1].buf;
    const uint8_t *hours = v[2].buf;
    const double *columns = v[3].buf, *scores = v[4].buf;
    if (!all_inside(rows, n, m.capacity)) goto done;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            int64_t row = rows[i + AHEAD], slot = number[i + AHEAD] % m.w;
            ask(m.window + (row * m.w + slot) * m.d, m.d * sizeof *m.window);
            ASK(m.marks + row * m.w + slot);
            ASK(m.scores + row * m.length + slot % m.length);
            ASK(m.begin + row);
        }
        int64_t row = rows[i], slot = number[i] % m.w, place = number[i] - m.begin[row];
        if (place < 0 || place >= m.length) {
            PyErr_SetString(PyExc_IndexError, "an event is not of its model's current chapter");
            goto done;
        }
        for (int f = 0; f < m.d; f++) {
            double value = columns[(i * m.d + f) * m.k];
            double *origin = m.origin + row * m.d + f;
            if (isnan(*origin)) *origin = value;
            double relative = value - *origin;
            relative = relative < -constants.farthest ? -constants.farthest : relative;
            relative = relative > constants.farthest ? constants.farthest : relative;
            m.window[(row * m.w + slot) * m.d + f] = (float)relative;
        }
        m.marks[row * m.w + slot] = hours[i];
        m.scores[row * m.length + place] = (int16_t)(scores[i] / constants.step);
    }
    answer = Py_NewRef(Py_None);
done:
    give_back(v, got);
    close_models(&m);
    return answer;
}

/* ---- Functions of the module: learning ---------------------------------------------------------------------- */

/* learning.py: _see. What the trees see of n events from number `first` on, but the gaps: columns [n, d, k]. Before
 * event 0 there is nothing; protected rows are NaN. */
static void
see(const Models *m, int64_t row, int64_t first, int64_t n, double *columns)
{
    double values[LAGS + MAX_WINDOW];
    const uint8_t *marks = m->marks + row * m->w;
    for (int f = 0; f < m->d; f++) {
        double origin = m->origin[row * m->d + f];
        const float *window = m->window + row * m->w * m->d + f;
        for (int64_t i = -LAGS; i < n; i++)
            values[LAGS + i] = first + i < 0 ? NAN : window[(first + i) % m->w * m->d] + origin;
        for (int64_t i = 0; i < n; i++) {
            double *own = columns + (i * m->d + f) * m->k;
            if (marks[(first + i) % m->w] >= constants.protected)
                own[VALUE] = own[CHANGE] = own[MEAN] = NAN;
            else {
                own[VALUE] = values[LAGS + i];
                derive(own[VALUE], values + LAGS + i - 1, -1, &own[CHANGE], &own[MEAN]);
            }
        }
    }
}

/* learning.py: _see_gaps */
static void
see_gaps(const Models *m, int64_t row, int64_t first, int64_t n, double *columns)
{
    for (int64_t i = 0; i < n; i++) {
        int hour = m->marks[row * m->w + (first + i) % m->w] % constants.protected;
        for (int f = 0; f < m->d; f++) {
            double *own = columns + (i * m->d + f) * m->k;
            own[GAP] = gap_of(m, row, hour, f, own[VALUE]);
        }
    }
}

/* distance.py: learn, of one column */
static void
learn_column(double *mean, double *variance, double *weight, const double *rows, int64_t n, int stride)
{
    int64_t count = 0;
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(rows[i * stride])) {
            sum += rows[i * stride];
            count++;
        }
    int64_t divisor = count > 1 ? count : 1;
    double own_mean = sum / divisor;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(rows[i * stride])) {
            double off = rows[i * stride] - own_mean;
            squares += off * off;
        }
    double own_variance = squares / divisor;
    double all = *weight + count > 1 ? *weight + count : 1;
    double share = count / all, slow = count / (count + constants.memory);
    if (slow > share) share = slow;
    double shift = own_mean - *mean;
    *mean += share * shift;
    *variance *= 1 - share;
    *variance += share * ((1 - share) * (shift * shift) + own_variance);
    *weight += count;
}

/* distance.py: least_spread, spread_of_constant */
static inline double
spread_or(double spread, double size, int unknown_stays)
{
    if ((unknown_stays && isnan(spread)) || spread > 1e-9 * fabs(size)) return spread;
    return 1e-3 * fabs(size) + 1e-9;
}

/* learning.py: _take_in. Moves the moments by the chapter's events from number `first` on. */
static void
take_in(const Models *m, int64_t row, int64_t first, int64_t n, double *columns)
{
    int q = m->d * m->k;
    double *mean = m->frame + (row * FRAME_ROWS + CENTER) * q, *closeness = m->frame + (row * FRAME_ROWS + CLOSENESS) * q;
    double *variance = m->variance + row * q, *weight = m->weight + row * q;
    see(m, row, first, n, columns);
    for (int c = 0; c < q; c++)
        if (c % m->k != GAP) learn_column(mean + c, variance + c, weight + c, columns + c, n, q);
    if (m->k > GAP) {
        see_gaps(m, row, first, n, columns);
        for (int c = GAP; c < q; c += m->k) learn_column(mean + c, variance + c, weight + c, columns + c, n, q);
    }
    for (int c = 0; c < q; c++) {
        double size = mean[c - c % m->k];
        int counted = weight[c] >= constants.least_rows && c % m->k != CHANGE;
        closeness[c] = counted ? 1 / spread_or(sqrt(variance[c]), size, 0) : 0.0;
    }
}

/* reference.py: leaf_codes, of one tree, from the number of rows that fell into each leaf. */
static void
encode(const int32_t *fallen, int leaves, int64_t count, uint8_t *codes)
{
    /* In heap order. `walking` is all ones where a walk goes on, and `least` whole: masses are. */
    int32_t mass[2 * MAX_LEAVES], total[2 * MAX_LEAVES], walking[2 * MAX_LEAVES];
    int32_t least = (int32_t)ceil(constants.stop * count);
    double fine = FINE / (double)count;
    memcpy(mass + leaves - 1, fallen, leaves * sizeof *mass);
    for (int node = leaves - 2; node >= 0; node--) mass[node] = mass[2 * node + 1] + mass[2 * node + 2];
    total[0] = mass[0];
    walking[0] = -(mass[0] >= least);
    for (int first = 1, depth = 1; first < 2 * leaves - 1; first = 2 * first + 1, depth++)
        for (int node = first; node < 2 * first + 1; node++) {
            int parent = (node - 1) / 2;
            total[node] = total[parent] + (walking[parent] & (mass[node] << depth));
            walking[node] = walking[parent] & -(mass[node] >= least);
        }
    for (int leaf = 0; leaf < leaves; leaf++) codes[leaf] = constants.codes[(int32_t)(total[leaves - 1 + leaf] * fine)];
}

/* learning.py: _refer */
static void
refer(const Models *m, const uint64_t *table, int64_t row, double *columns)
{
    int q = m->d * m->k;
    int64_t n = m->w - SPAN, count = 0;
    double *frame = m->frame + row * FRAME_ROWS * q, *base = frame + BASE * q, *gain = frame + GAIN * q;
    int16_t *neutral = m->neutral + row * q;
    double size = NAN;
    see(m, row, SPAN, n, columns);
    if (m->k > GAP) see_gaps(m, row, SPAN, n, columns);
    for (int c = 0; c < q; c++) {
        double low = NAN, high = NAN;
        for (int64_t i = 0; i < n; i++) {
            double value = columns[i * q + c];
            if (!(low <= value)) low = isnan(value) ? low : value;
            if (!(high >= value)) high = isnan(value) ? high : value;
        }
        if (c % m->k == VALUE) size = fmax(fabs(low), fabs(high));
        double width = spread_or(high - low, size, 1);
        gain[c] = isnan(width) ? 0.0 : (1 - 2 * constants.margin) / width;
        base[c] = isnan(width) ? 0.0 : low - constants.margin / (1 - 2 * constants.margin) * width;
        neutral[c] = (int16_t)cell_of((frame[CENTER * q + c] - base[c]) * gain[c]);
    }
    int32_t fallen[MAX_TREES * MAX_LEAVES];
    uint64_t standing[MAX_TREES];
    memset(fallen, 0, m->trees * m->leaves * sizeof *fallen);
    for (int64_t i = 0; i < n; i++) {
        int known = 0;
        for (int f = 0; f < m->d; f++) known |= !isnan(columns[i * q + f * m->k]);
        if (!known) continue;
        count++;
        stand(m, table, columns + i * q, base, gain, neutral, standing);
        for (int t = 0; t < m->trees; t++) fallen[t * m->leaves + __builtin_ctzll(standing[t])]++;
    }
    for (int t = 0; t < m->trees && count; t++)
        encode(fallen + t * m->leaves, m->leaves, count, m->codes + (row * m->trees + t) * m->leaves);
}

/* season.py: learn, of one model's chapter. sums and counts [hours, d] are scratch. */
static void
learn_hours(const Models *m, int64_t row, int64_t first, int64_t n, double *sums, int32_t *counts)
{
    int size = m->hours * m->d;
    memset(sums, 0, size * sizeof *sums);
    memset(counts, 0, size * sizeof *counts);
    for (int64_t i = 0; i < n; i++) {
        int64_t slot = (first + i) % m->w;
        int hour = m->marks[row * m->w + slot];
        if (hour >= constants.protected) continue;
        for (int f = 0; f < m->d; f++) {
            double value = m->window[(row * m->w + slot) * m->d + f];
            if (isnan(value)) continue;
            sums[hour * m->d + f] += value;
            counts[hour * m->d + f]++;
        }
    }
    for (int place = 0; place < size; place++) {
        float *level = m->levels + row * size + place, *weight = m->hour_weights + row * size + place;
        int64_t count = counts[place];
        double mean = sums[place] / (count > 1 ? count : 1);
        *weight += (float)count;
        double share = count / (double)(*weight > 1.0f ? *weight : 1.0f), slow = count / (count + constants.hour_memory);
        if (slow > share) share = slow;
        *level += (float)(share * (mean - *level));
    }
}

typedef enum { TAKE_IN, REFER, LEARN_HOURS } Lesson;

/* What the lessons share: (models, table, rows [m], begin [m], counts [m]), the last two where they are needed. */
static PyObject *
learn(PyObject *args, Lesson lesson)
{
    PyObject *arrays, *given[4] = {NULL};
    Py_buffer v[4];
    Models m;
    int got = 0;
    PyObject *answer = NULL;
    double *scratch = NULL;
    if (!PyArg_ParseTuple(args, "OOO|OO", &arrays, &given[0], &given[1], &given[2], &given[3])) return NULL;
    if (open_models(arrays, &m) < 0) return NULL;
    Py_ssize_t n = 0, items = table_items(&m);
    for (; got < 4 && given[got]; got++) {
        if (borrow(given[got], &v[got], 8, items) < 0) goto done;
        if (got == 1) n = v[1].len / 8;
        items = got ? n : -1;
    }
    const int64_t *rows = v[1].buf, *begin = v[2].buf, *counts = v[3].buf;
    if (got < (lesson == REFER ? 2 : 4)) {
        PyErr_SetString(PyExc_TypeError, "a chapter has a begin and an end");
        goto done;
    }
    if (!all_inside(rows, n, m.capacity)) goto done;
    size_t columns = (m.w > m.hours ? m.w : m.hours) * m.d * m.k;
    scratch = PyMem_Malloc(columns * sizeof *scratch + m.hours * m.d * sizeof(int32_t));
    if (!scratch) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (lesson == REFER) {
            refer(&m, v[0].buf, rows[i], scratch);
            continue;
        }
        int64_t length = counts[i] - begin[i];
        if (length < 0 || length > m.length || begin[i] < 0) {
            PyErr_SetString(PyExc_IndexError, "a chapter is longer than chapters are");
            goto done;
        }
        if (lesson == TAKE_IN)
            take_in(&m, rows[i], begin[i], length, scratch);
        else
            learn_hours(&m, rows[i], begin[i], length, scratch, (int32_t *)(scratch + columns));
    }
    answer = Py_NewRef(Py_None);
done:
    PyMem_Free(scratch);
    give_back(v, got);
    close_models(&m);
    return answer;
}

static PyObject *
learn_moments(PyObject *self, PyObject *args)
{
    return learn(args, TAKE_IN);
}

static PyObject *
learn_reference(PyObject *self, PyObject *args)
{
    return learn(args, REFER);
}

static PyObject *
learn_season(PyObject *self, PyObject *args)
{
    return learn(args, LEARN_HOURS);
}

/* configure(mantissas, sums, codes, numbers): the tables of log2.py and reference.py and the constants, in order. */
static PyObject *
configure(PyObject *self, PyObject *args)
{
    PyObject *given[3];
    Py_buffer v[3];
    int got = 0;
    PyObject *answer = NULL;
    const int size[3] = {8, 8, 1}, items[3] = {1 << MANTISSA_BITS, 256, SUMS};
    if (!PyArg_ParseTuple(args, "OOO(ddddddddddddiii)", &given[0], &given[1], &given[2], &constants.step, &constants.cells,
                          &constants.low, &constants.high, &constants.tree_share, &constants.highest,
                          &constants.margin, &constants.stop, &constants.memory,
                          &constants.leaning, &constants.hour_memory, &constants.farthest, &constants.least_known,
                          &constants.least_rows, &constants.protected))
        return NULL;
    for (; got < 3; got++)
        if (borrow(given[got], &v[got], size[got], items[got]) < 0) goto done;
    memcpy(constants.mantissas, v[0].buf, v[0].len);
    for (int code = 0; code < 256; code++) constants.sums[code] = (int32_t)((double *)v[1].buf)[code];
    memcpy(constants.codes, v[2].buf, v[2].len);
    answer = Py_NewRef(Py_None);
done:
    give_back(v, got);
    return answer;
}

static PyMethodDef methods[] = {
    {"configure", configure, METH_VARARGS, NULL},
    {"derive", derive_rows, METH_VARARGS, NULL},
    {"score", score_rows, METH_VARARGS, NULL},
    {"remember", remember_rows, METH_VARARGS, NULL},
    {"take_in", learn_moments, METH_VARARGS, NULL},
    {"refer", learn_reference, METH_VARARGS, NULL},
    {"learn_hours", learn_season, METH_VARARGS, NULL},
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
