/* The numbers of the compiled kernel (_kernel.c): it repeats functions of the Python files, which each names. Those
 * say why. What keeps the bits equal: sums run in the order of the rows, in both; -ffp-contract=off
 * forbids fused multiply-adds; logarithms and powers are looked up in NumPy's tables, which configure() hands over
 * together with the constants. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Where numbers would be rounded otherwise there is no compiled kernel, which does no harm. */
#if FLT_EVAL_METHOD != 0 || defined(__FAST_MATH__)
#error "this compiler rounds otherwise than NumPy"
#endif

#define MAX_FEATURES 10
#define MAX_TREES 100
#define MAX_LEAVES 64
#define MAX_WINDOW 1024
#define MAX_BINS 128
#define AHEAD 16 /* rows between asking memory for something and using it */
#define SPAN 8
#define LAGS (SPAN - 1)
#define LASTING 32 /* lasting.py: ROWS */
#define FORECAST 3 /* forecast.py: LAGS */
#define RESIDUALS 3
#define GAPS 15 /* rows in Models.residual_units and gap_units */
#define SLOT 0x3fff /* season.py: MOST_SLOTS - 1, WEEKEND, PROTECTED */
#define WEEKEND 0x4000
#define PROTECTED 0x8000
#define MANTISSA_BITS 12
#define FINE 256
#define SUMS (128 * FINE + 1)
#define SUMS_OF_PRODUCTS 14 /* forecast.py: SUMS */

/* models.py: columns of a feature and families of them, rows of Models.known, of scale and of frame */
enum { VALUE, CHANGE, MEAN, GAP, RESIDUAL, SUM_4, SUM_16, RUN, COLUMNS };
enum { OWN, SURPRISE, DRIFT, STUCK, FAMILIES };
enum { LEVEL, COEFFICIENTS, SPREAD = COEFFICIENTS + 1 + FORECAST, GAP_SPREAD, REPEATS, BITS, KNOWN };
enum { BASE, GAIN };
enum { CENTER, CLOSENESS };
#define CUT 4 /* models.py: TREE_COLUMNS */
static const int family_of[COLUMNS] = {OWN, OWN, OWN, OWN, SURPRISE, SURPRISE, DRIFT, STUCK};

static struct {
    double mantissas[1 << MANTISSA_BITS];
    int32_t sums[256];
    uint8_t codes[SUMS];
    double step, cells, low, high, tree_share, highest, margin, stop, memory, farthest, lasting_unit;
    double unit, most_units, most_residual, run_bits;
    double leaning, type_leaning, hour_leaning, bin_memory, hour_memory, most_weight;
    double ridge, forecast_memory, cut_off, normal_spread, spread_memory, level_memory, most_spreads, most_spread, rare;
    double least_deviation, clipped;
    int least_known, least_rows, lasting_steps, warm_up;
} constants;

/* models.py: Models, and season.py: Day */
typedef struct {
    int64_t capacity;
    int d, w, trees, leaves, length, slots, bins, halves, hours_a_day;
    double *recent, *gaps, *origin, *known, *sums, *scale, *frame, *variance, *weight;
    float *window, *levels, *hours;
    int8_t *residual_units, *gap_units;
    uint8_t *earlier, *codes;
    uint16_t *marks, *level_weights, *hour_weights;
    int32_t *runs, *lasting;
    int16_t *scores, *neutral;
    int64_t *begin;
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

/* season.py: between, of one feature of one model: `table` [bins, d] */
static inline double
between(const float *table, int stride, int mark, int slots, int bins)
{
    double place = ((mark & SLOT) + 0.5) * bins / slots - 0.5;
    double low = floor(place);
    int below = (int)low;
    double a = table[(below + bins) % bins * stride], b = table[(below + 1) % bins * stride];
    return a + (place - low) * (b - a);
}

/* season.py: usual */
static inline double
usual_at(const Models *m, int64_t row, int f, int mark)
{
    if (!m->bins) return 0.0;
    const float *levels = m->levels + row * (m->bins + 2 * m->halves) * m->d + f;
    double of_day = between(levels, m->d, mark, m->slots, m->bins);
    int of_type = m->bins + (mark & WEEKEND ? m->halves : 0);
    return of_day + between(levels + of_type * m->d, m->d, mark, m->slots, m->halves);
}

/* sight.py: Past, of one feature; the values of a lag lie `stride` apart */
typedef struct {
    double *recent, *gaps;
    int8_t *residual_units, *gap_units;
    int32_t *run;
    int stride;
} Past;

/* sight.py: Seen, of one feature in one row; the columns lie elsewhere */
typedef struct {
    double usual, forecast, gaps[FORECAST], spread;
} Seen;

static inline double
limited(double value, double most)
{
    value = value < -most ? -most : value;
    return value > most ? most : value;
}

/* sight.py: units */
static inline int
units_of(double spreads)
{
    double scaled = limited(spreads * constants.unit, constants.most_units);
    return isnan(scaled) ? 0 : (int)rint(scaled);
}

static inline int
push(int8_t *units, int stride, int rows, int own)
{
    int sum = own;
    for (int lag = 0; lag < rows; lag++) sum += units[lag * stride];
    for (int lag = rows - 1; lag > 0; lag--) units[lag * stride] = units[(lag - 1) * stride];
    units[0] = (int8_t)own;
    return sum;
}

/* sight.py: see, of one feature in one row */
static inline void
see(const Models *m, int64_t row, int f, const Past *past, double value, int mark, double *columns, Seen *seen)
{
    int d = m->d, stride = past->stride;
    const double *known = m->known + row * KNOWN * d + f;
    double before = past->recent[0];
    columns[VALUE] = value;
    derive(value, past->recent, stride, &columns[CHANGE], &columns[MEAN]);
    seen->usual = known[LEVEL * d] + usual_at(m, row, f, mark);
    double gap = value - seen->usual;
    seen->forecast = known[COEFFICIENTS * d];
    for (int lag = 0; lag < FORECAST; lag++) {
        double one = past->gaps[lag * stride];
        seen->gaps[lag] = isnan(one) ? 0.0 : one;
        seen->forecast += known[(COEFFICIENTS + 1 + lag) * d] * seen->gaps[lag];
    }
    seen->spread = known[SPREAD * d];
    if (m->hours_a_day)
        seen->spread = between(m->hours + row * m->hours_a_day * d + f, d, mark, m->slots, m->hours_a_day);
    double residual = limited((gap - seen->forecast) / seen->spread, constants.most_residual);
    int sum_4 = push(past->residual_units, stride, RESIDUALS, units_of(residual));
    int sum_16 = push(past->gap_units, stride, GAPS, units_of(gap / known[GAP_SPREAD * d]));
    if (!isnan(value)) *past->run = value != before ? 0 : *past->run < INT32_MAX ? *past->run + 1 : INT32_MAX;
    columns[GAP] = gap;
    columns[RESIDUAL] = residual;
    columns[SUM_4] = isnan(residual) ? NAN : sum_4 / (2 * constants.unit);
    columns[SUM_16] = isnan(residual) ? NAN : sum_16 / (4 * constants.unit);
    columns[RUN] = isnan(value) ? NAN : *past->run * known[BITS * d] / constants.run_bits;
    for (int lag = LAGS - 1; lag > 0; lag--) past->recent[lag * stride] = past->recent[(lag - 1) * stride];
    for (int lag = FORECAST - 1; lag > 0; lag--) past->gaps[lag * stride] = past->gaps[(lag - 1) * stride];
    if (!isnan(value)) past->recent[0] = value;
    if (!isnan(gap)) past->gaps[0] = gap;
}

/* cells.py: leaves_of. The bits that are left standing in each tree of `columns`, of which those of a feature begin
 * `apart` from those of the one before. */
static inline void
stand(const Models *m, const uint64_t *table, const double *columns, int apart, int64_t row, uint64_t *standing)
{
    const double *base = m->scale + row * 2 * m->d * CUT, *gain = base + m->d * CUT;
    const int16_t *neutral = m->neutral + row * m->d * CUT;
    for (int c = 0; c < m->d * CUT; c++) {
        double value = columns[c / CUT * apart + c % CUT];
        int cell = isnan(value) ? neutral[c] : cell_of((value - base[c]) * gain[c]);
        if (cell < 0 || cell >= (int)constants.cells) cell = 0; /* from a damaged record only */
        const uint64_t *reach = table + ((int64_t)c * (int64_t)constants.cells + cell) * m->trees;
        if (c == 0)
            memcpy(standing, reach, m->trees * sizeof *standing);
        else
            for (int t = 0; t < m->trees; t++) standing[t] &= reach[t];
    }
}

/* scoring.py: far_bits, of one row */
static inline void
far_bits(const Models *m, const double *columns, int64_t row, double *bits)
{
    const double *center = m->frame + row * 2 * m->d * COLUMNS, *close = center + m->d * COLUMNS;
    double far[FAMILIES] = {0.0};
    for (int f = 0; f < m->d; f++)
        for (int c = 0; c < COLUMNS; c++) {
            double one = fabs(columns[f * COLUMNS + c] - center[f * COLUMNS + c]) * close[f * COLUMNS + c];
            if (one > far[family_of[c]]) far[family_of[c]] = one;
        }
    for (int family = 0; family < FAMILIES; family++) bits[family] = log2_of(1 + far[family]);
}

/* scoring.py: scores, of a row of which the leaves are known. */
static inline void
finish(const Models *m, const uint8_t **leaf, const double *columns, int64_t row, int height, double *scores)
{
    int32_t sum = 0;
    for (int t = 0; t < m->trees; t++) sum += constants.sums[*leaf[t]];
    double thin = height + 1 - log2_of(sum / (m->trees * 65536.0));
    far_bits(m, columns, row, scores);
    for (int family = 0; family < FAMILIES; family++) {
        double bits = constants.tree_share * thin + scores[family];
        bits = rint(bits / constants.step) * constants.step;
        scores[family] = bits < constants.highest ? bits : constants.highest;
    }
}

/* engine.py: _score, for n rows. Most of the time goes into waiting for models that lie anywhere in memory, so they are
 * asked for AHEAD rows before they are used, and their leaves as soon as these are known. */
static void
score(const Models *m, const uint64_t *table, const int64_t *rows, const double *columns, int64_t n, double *scores)
{
    int q = m->d * COLUMNS, height = __builtin_ctz(m->leaves);
    uint64_t standing[MAX_TREES];
    const uint8_t *leaf[AHEAD][MAX_TREES];
    for (int64_t i = -AHEAD; i < n + AHEAD; i++) {
        if (i + AHEAD < n) {
            int64_t row = rows[i + AHEAD];
            ask(m->frame + row * 2 * q, 2 * q * sizeof *m->frame);
            ask(m->scale + row * 2 * m->d * CUT, 2 * m->d * CUT * sizeof *m->scale);
        }
        if (0 <= i && i < n) {
            const uint8_t *codes = m->codes + rows[i] * m->trees * m->leaves, **own = leaf[i % AHEAD];
            stand(m, table, columns + i * q, COLUMNS, rows[i], standing);
            if (i >= AHEAD)
                finish(m, own, columns + (i - AHEAD) * q, rows[i - AHEAD], height, scores + (i - AHEAD) * FAMILIES);
            for (int t = 0; t < m->trees; t++) {
                own[t] = codes + t * m->leaves + __builtin_ctzll(standing[t]);
                ASK(own[t]);
            }
        }
        else if (i >= n && i >= AHEAD)
            finish(m, leaf[i % AHEAD], columns + (i - AHEAD) * q, rows[i - AHEAD], height,
                   scores + (i - AHEAD) * FAMILIES);
    }
}

/* engine.py: _see, of n rows. */
static void
see_rows(const Models *m, const int64_t *rows, int64_t n, const double *values, const uint16_t *marks, double *columns,
         double *usual, double *forecast, double *spread)
{
    int d = m->d, levels = m->bins + 2 * m->halves;
    for (int64_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            int64_t row = rows[i + AHEAD];
            int slot = marks[i + AHEAD] & SLOT;
            ask(m->known + row * KNOWN * d, KNOWN * d * sizeof *m->known);
            ask(m->recent + row * LAGS * d, LAGS * d * sizeof *m->recent);
            ask(m->gaps + row * FORECAST * d, FORECAST * d * sizeof *m->gaps);
            ask(m->residual_units + row * RESIDUALS * d, RESIDUALS * d);
            ask(m->gap_units + row * GAPS * d, GAPS * d);
            ASK(m->runs + row * 2 * d);
            if (m->bins && slot < m->slots) {
                int half = m->bins + (marks[i + AHEAD] & WEEKEND ? m->halves : 0) + slot * m->halves / m->slots;
                ask(m->levels + (row * levels + slot * m->bins / m->slots) * d, d * sizeof *m->levels);
                ask(m->levels + (row * levels + half) * d, d * sizeof *m->levels);
                ask(m->hours + (row * m->hours_a_day + slot * m->hours_a_day / m->slots) * d, d * sizeof *m->hours);
            }
        }
        int64_t row = rows[i];
        for (int f = 0; f < d; f++) {
            Seen seen;
            Past past = {
                m->recent + row * LAGS * d + f, m->gaps + row * FORECAST * d + f,
                m->residual_units + row * RESIDUALS * d + f, m->gap_units + row * GAPS * d + f,
                m->runs + row * 2 * d + f, d,
            };
            see(m, row, f, &past, values[i * d + f], marks[i], columns + (i * d + f) * COLUMNS, &seen);
            usual[i * d + f] = seen.usual;
            forecast[i * d + f] = seen.forecast;
            spread[i * d + f] = seen.spread;
        }
    }
}

/* engine.py: _remember, of n rows. -1 for an event that is not of its model's current chapter. */
static int
remember_rows(const Models *m, const int64_t *rows, int64_t n, const int64_t *number, const uint16_t *marks,
              const double *values, const double *scores)
{
    for (int64_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            int64_t row = rows[i + AHEAD], slot = number[i + AHEAD] % m->w;
            ask(m->window + (row * m->w + slot) * m->d, m->d * sizeof *m->window);
            ask(m->origin + row * m->d, m->d * sizeof *m->origin);
            ASK(m->marks + row * m->w + slot);
            ASK(m->scores + row * m->length + slot % m->length);
            ask(m->earlier + row * LASTING, LASTING);
            ASK(m->lasting + row);
            ASK(m->begin + row);
        }
        int64_t row = rows[i], slot = number[i] % m->w, place = number[i] - m->begin[row];
        if (place < 0 || place >= m->length) return -1;
        for (int f = 0; f < m->d; f++) {
            double value = values[i * m->d + f];
            double *origin = m->origin + row * m->d + f;
            if (isnan(*origin)) *origin = value;
            m->window[(row * m->w + slot) * m->d + f] = (float)limited(value - *origin, constants.farthest);
        }
        m->marks[row * m->w + slot] = marks[i];
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
