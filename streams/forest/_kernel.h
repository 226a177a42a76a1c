/* The numbers of the compiled kernel (_kernel.c): it repeats functions of the Python files, which each names. Those
 * say why. What keeps the bits equal: sums run in the order of the rows, in both; -ffp-contract=off
 * forbids fused multiply-adds; logarithms and powers are looked up in NumPy's tables, which configure() hands over
 * together with the constants. */
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
#define MAX_WINDOW 1024
#define AHEAD 16 /* rows between asking memory for something and using it */
#define SPAN 8
#define LAGS (SPAN - 1)
#define LASTING 32 /* lasting.py: ROWS */
#define MANTISSA_BITS 12
#define FINE 256
#define SUMS (128 * FINE + 1)

enum { BASE, GAIN, CENTER, CLOSENESS, FRAME_ROWS }; /* rows of Models.frame */
enum { VALUE, CHANGE, MEAN, GAP };                  /* columns of a feature */

static struct {
    double mantissas[1 << MANTISSA_BITS];
    int32_t sums[256];
    uint8_t codes[SUMS];
    double step, cells, low, high, tree_share, highest, margin, stop, memory, leaning, hour_memory, farthest, lasting_unit;
    int least_known, least_rows, protected, lasting_steps;
} constants;

/* models.py: Models */
typedef struct {
    int64_t capacity;
    int d, k, w, hours, trees, leaves, length;
    double *recent, *origin, *frame, *variance, *weight, *limits;
    float *window, *levels, *hour_weights;
    uint8_t *marks, *earlier, *codes;
    int32_t *lasting;
    int16_t *scores, *neutral;
    int64_t *begin, *count;
} Models;

/* Into the second cache: the first one can wait for a dozen lines only, and that took half of the time. */
#define ASK(place) __builtin_prefetch((place), 0, 2)

static inline void
ask(const void *start, size_t size)
{
    const char *line = (const char *)((uintptr_t)start & ~(uintptr_t)63);
    for (; line < (const char *)start + size; line += 64) ASK(line);
}

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
        if (cell < 0 || cell >= (int)constants.cells) cell = 0; /* from a damaged record only */
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
score(const Models *m, const uint64_t *table, const int64_t *rows, const uint8_t *hours, double *columns, int64_t n,
      double *scores)
{
    int q = m->d * m->k, height = __builtin_ctz(m->leaves);
    uint64_t standing[MAX_TREES];
    const uint8_t *leaf[AHEAD][MAX_TREES];
    for (int64_t i = -AHEAD; i < n + AHEAD; i++) {
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

/* engine.py: _derive, of n rows. */
static void
derive_rows(const Models *m, const int64_t *rows, int64_t n, const double *known, int64_t *number, double *before,
            double *columns)
{
    for (int64_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            ask(m->recent + rows[i + AHEAD] * LAGS * m->d, LAGS * m->d * sizeof *m->recent);
            ASK(m->count + rows[i + AHEAD]);
        }
        double *recent = m->recent + rows[i] * LAGS * m->d;
        number[i] = m->count[rows[i]]++;
        memcpy(before + i * LAGS * m->d, recent, LAGS * m->d * sizeof *recent);
        for (int f = 0; f < m->d; f++) {
            double value = known[i * m->d + f];
            double *own = columns + (i * m->d + f) * m->k;
            own[VALUE] = value;
            derive(value, recent + f, m->d, &own[CHANGE], &own[MEAN]);
            double carried = isnan(value) ? recent[f] : value;
            for (int lag = LAGS - 1; lag > 0; lag--) recent[lag * m->d + f] = recent[(lag - 1) * m->d + f];
            recent[f] = carried;
        }
    }
}

/* engine.py: _remember, of n rows. -1 for an event that is not of its model's current chapter. */
static int
remember_rows(const Models *m, const int64_t *rows, int64_t n, const int64_t *number, const uint8_t *hours,
              const double *columns, const double *scores)
{
    for (int64_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            int64_t row = rows[i + AHEAD], slot = number[i + AHEAD] % m->w;
            ask(m->window + (row * m->w + slot) * m->d, m->d * sizeof *m->window);
            ASK(m->marks + row * m->w + slot);
            ASK(m->scores + row * m->length + slot % m->length);
            ask(m->earlier + row * LASTING, LASTING);
            ASK(m->lasting + row);
            ASK(m->begin + row);
        }
        int64_t row = rows[i], slot = number[i] % m->w, place = number[i] - m->begin[row];
        if (place < 0 || place >= m->length) return -1;
        for (int f = 0; f < m->d; f++) {
            double value = columns[(i * m->d + f) * m->k];
            double *origin = m->origin + row * m->d + f;
            if (isnan(*origin)) *origin = value;
            double relative = value - *origin;
            relative = relative < -constants.farthest ? -constants.farthest : relative;
            relative = relative > constants.farthest ? constants.farthest : relative;
            m->window[(row * m->w + slot) * m->d + f] = (float)relative;
        }
        m->marks[row * m->w + slot] = hours[i];
        m->scores[row * m->length + place] = (int16_t)(scores[i] / constants.step);
    }
    return 0;
}

/* lasting.py: units, of a score: they are never negative */
static inline int
units(int score)
{
    return (score + constants.lasting_steps / 2) / constants.lasting_steps;
}

/* engine.py: _lasting, of n rows. -1 for an event that is not of its model's current chapter. */
static int
last_rows(const Models *m, const int64_t *rows, int64_t n, const int64_t *number, double *means)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t row = rows[i], place = number[i] - m->begin[row];
        if (place < 0 || place >= m->length) return -1;
        const int16_t *scores = m->scores + row * m->length;
        int leaving = place < LASTING ? m->earlier[row * LASTING + place] : units(scores[place - LASTING]);
        m->lasting[row] += units(scores[place]) - leaving;
        means[i] = m->lasting[row] * constants.lasting_unit;
    }
    return 0;
}
