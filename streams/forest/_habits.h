/* What is usual, learned from a chapter (habits.py); see _kernel.h. Features are treated one after the other. */

/* habits.py: values_of, of one feature of one event; before event 0 there is nothing */
static inline double
value_of(const Models *m, int64_t row, int f, int64_t number)
{
    if (number < 0) return NAN;
    return m->window[(row * m->w + number % m->w) * m->d + f] + m->origin[row * m->d + f];
}

static inline int
mark_of(const Models *m, int64_t row, int64_t number)
{
    return m->marks[row * m->w + (number + m->w) % m->w];
}

typedef struct {
    double recent[LAGS], gaps[FORECAST];
    int8_t residual_units[RESIDUALS], gap_units[GAPS];
    int32_t run;
} Own;

/* habits.py: warm_up, of one feature */
static void
warm_up(const Models *m, int64_t row, int f, int64_t count, Own *own, Past *past)
{
    double columns[COLUMNS];
    Seen seen;
    for (int lag = 0; lag < LAGS; lag++) own->recent[lag] = NAN;
    for (int lag = 0; lag < FORECAST; lag++) own->gaps[lag] = NAN;
    memset(own->residual_units, 0, RESIDUALS);
    memset(own->gap_units, 0, GAPS);
    own->run = 0;
    *past = (Past){own->recent, own->gaps, own->residual_units, own->gap_units, &own->run, 1};
    for (int64_t number = count - constants.warm_up; number < count; number++)
        see(m, row, f, past, value_of(m, row, f, number), mark_of(m, row, number), columns, &seen);
}

/* habits.py: look_back, of one feature. Writes the columns of the chapter's n events from number `first` on, those of
 * one event `apart` from those of the next, and what else was seen if there is room for it. */
static void
look_back(const Models *m, int64_t row, int f, int64_t first, int64_t n, double *columns, int apart, Seen *seen)
{
    Own own;
    Past past;
    Seen one;
    warm_up(m, row, f, first, &own, &past);
    own.run = m->runs[(row * 2 + 1) * m->d + f];
    for (int64_t i = 0; i < n; i++)
        see(m, row, f, &past, value_of(m, row, f, first + i), mark_of(m, row, first + i), columns + i * apart,
            seen ? seen + i : &one);
}

/* learning.py: _rewind */
static void
rewind_past(const Models *m, int64_t row, int64_t count)
{
    for (int f = 0; f < m->d; f++) {
        Own own;
        Past past;
        warm_up(m, row, f, count, &own, &past);
        for (int lag = 0; lag < FORECAST; lag++) m->gaps[(row * FORECAST + lag) * m->d + f] = own.gaps[lag];
        for (int lag = 0; lag < RESIDUALS; lag++)
            m->residual_units[(row * RESIDUALS + lag) * m->d + f] = own.residual_units[lag];
        for (int lag = 0; lag < GAPS; lag++) m->gap_units[(row * GAPS + lag) * m->d + f] = own.gap_units[lag];
        m->runs[(row * 2 + 1) * m->d + f] = m->runs[row * 2 * m->d + f];
    }
}

/* forecast.py: solve, of one feature; `sums` and `solved` lie `stride` apart */
static void
solve(const double *sums, double *solved, int stride)
{
    enum { TERMS = 1 + FORECAST };
    double matrix[TERMS][TERMS], right[TERMS];
    int place = 0;
    for (int a = 0; a < TERMS; a++)
        for (int b = a; b < TERMS; b++) matrix[a][b] = sums[place++ * stride];
    for (int a = 0; a < TERMS; a++) right[a] = sums[place++ * stride];
    double rows = matrix[0][0] + 1e-300;
    for (int a = 0; a < TERMS; a++) {
        double size = a ? matrix[a][a] / rows : 1.0;
        matrix[a][a] += constants.ridge * size + 1e-300;
    }
    for (int a = 0; a < TERMS; a++)
        for (int below = a + 1; below < TERMS; below++) {
            double factor = matrix[a][below] / matrix[a][a];
            for (int other = below; other < TERMS; other++) matrix[below][other] -= factor * matrix[a][other];
            right[below] -= factor * right[a];
        }
    for (int a = TERMS - 1; a >= 0; a--) {
        double rest = right[a];
        for (int other = a + 1; other < TERMS; other++) rest = rest - matrix[a][other] * solved[other * stride];
        solved[a * stride] = rest / matrix[a][a];
    }
}

/* season.py: learn, of one feature. A chapter's n values lie in `bins` [n], -1 for those that do not count; sums and
 * counts are scratch for `width` bins. */
static void
learn_bins(float *table, uint16_t *weights, int stride, int width, const int *bins, const double *values, int64_t n,
           double lean, double memory, double least, double before, double after)
{
    double sums[MAX_BINS];
    int counts[MAX_BINS];
    memset(sums, 0, width * sizeof *sums);
    memset(counts, 0, width * sizeof *counts);
    for (int64_t i = 0; i < n; i++)
        if (bins[i] >= 0) {
            sums[bins[i]] += values[i];
            counts[bins[i]]++;
        }
    for (int bin = 0; bin < width; bin++) {
        double count = counts[bin], weight = weights[bin * stride];
        double mean = sums[bin] / (count > 1.0 ? count : 1.0);
        double upright = (table[bin * stride] * (weight + lean) - before * lean) / (weight > 1.0 ? weight : 1.0);
        upright = upright > least ? upright : least;
        upright = weight > 0.0 ? upright : 0.0;
        weight = weight + count;
        weight = weight < constants.most_weight ? weight : constants.most_weight;
        double share = count / (weight > 1.0 ? weight : 1.0), slow = count / (count + memory);
        upright = upright + (slow > share ? slow : share) * (mean - upright);
        double leaned = (upright * weight + after * lean) / (weight + lean);
        table[bin * stride] = (float)limited(leaned, constants.farthest);
        weights[bin * stride] = (uint16_t)weight;
    }
}

/* season.py: bins_of */
static inline int
bin_of(int mark, int slots, int bins)
{
    int bin = (int)((2 * (int64_t)(mark & SLOT) + 1) * bins / (2 * slots));
    return bin < bins ? bin : bins - 1;
}

static inline double
share_of(double rows, double count, double memory)
{
    double share = rows / count, slow = rows / (rows + memory);
    return slow > share ? slow : share;
}

static int
rising(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

/* habits.py: _medians, of one feature */
static double
median_of(const double *values, int64_t n)
{
    double known[MAX_WINDOW];
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(values[i])) known[count++] = values[i];
    qsort(known, count, sizeof *known, rising);
    return known[count / 2];
}

/* habits.py: _learn_profile, of one feature */
static void
learn_profile(const Models *m, int64_t row, int f, int64_t first, int64_t n, double *off, const uint8_t *use)
{
    int levels = m->bins + 2 * m->halves, bins[MAX_WINDOW];
    float *table = m->levels + row * levels * m->d + f;
    uint16_t *weights = m->level_weights + row * levels * m->d + f;
    for (int64_t i = 0; i < n; i++) bins[i] = use[i] ? bin_of(mark_of(m, row, first + i), m->slots, m->bins) : -1;
    learn_bins(table, weights, m->d, m->bins, bins, off, n, constants.leaning, constants.bin_memory, -INFINITY, 0.0, 0.0);
    for (int64_t i = 0; i < n; i++) {
        if (!use[i]) continue;
        int mark = mark_of(m, row, first + i);
        off[i] -= table[bins[i] * m->d];
        bins[i] = bin_of(mark, m->slots, m->halves) + (mark & WEEKEND ? m->halves : 0);
    }
    learn_bins(table + m->bins * m->d, weights + m->bins * m->d, m->d, 2 * m->halves, bins, off, n,
               constants.type_leaning, constants.bin_memory, -INFINITY, 0.0, 0.0);
    for (int bin = m->bins; bin < m->bins + m->halves; bin++) {
        int one = bin * m->d, other = (bin + m->halves) * m->d;
        float own = table[one];
        if (!weights[one]) table[one] = table[other];
        if (!weights[other]) table[other] = own;
    }
}

/* habits.py: learn, of one feature, but for the moments. Writes the columns of the chapter's n events. */
static void
learn_feature(const Models *m, int64_t row, int f, int64_t first, int64_t n, double *columns, Seen *seen)
{
    int d = m->d, apart = d * COLUMNS;
    double values[MAX_WINDOW], gaps[MAX_WINDOW], residuals[MAX_WINDOW], total = first + n;
    uint8_t use[MAX_WINDOW];
    int64_t count = 0;
    double *known = m->known + row * KNOWN * d + f, *sums = m->sums + row * SUMS_OF_PRODUCTS * d + f;
    double *coefficients = known + COEFFICIENTS * d;
    columns += f * COLUMNS;
    for (int64_t i = 0; i < n; i++) {
        values[i] = value_of(m, row, f, first + i);
        use[i] = !isnan(values[i]) && !(mark_of(m, row, first + i) & PROTECTED);
        count += use[i];
    }
    int fresh = count && isnan(known[LEVEL * d]);
    if (fresh) known[LEVEL * d] = median_of(values, n);
    look_back(m, row, f, first, n, columns, apart, seen);

    double spread = known[SPREAD * d], cut = constants.cut_off * spread;
    for (int64_t i = 0; i < n; i++) gaps[i] = values[i] - seen[i].usual;
    if (count) {
        double fade = 1 / (1 + n / constants.forecast_memory), added[SUMS_OF_PRODUCTS] = {0.0};
        for (int64_t i = 0; i < n; i++) {
            if (!use[i]) continue;
            double terms[1 + FORECAST] = {1.0, seen[i].gaps[0], seen[i].gaps[1], seen[i].gaps[2]};
            double target = fresh ? gaps[i] : seen[i].forecast + limited(gaps[i] - seen[i].forecast, cut);
            int place = 0;
            for (int a = 0; a <= FORECAST; a++)
                for (int b = a; b <= FORECAST; b++) added[place++] += terms[a] * terms[b];
            for (int a = 0; a <= FORECAST; a++) added[place++] += terms[a] * target;
        }
        for (int place = 0; place < SUMS_OF_PRODUCTS; place++)
            sums[place * d] = sums[place * d] * fade + added[place];
        solve(sums, coefficients, d);
    }
    for (int64_t i = 0; i < n; i++) {
        double forecast = seen[i].forecast;
        if (fresh) {
            forecast = coefficients[0];
            for (int lag = 0; lag < FORECAST; lag++) forecast += coefficients[(1 + lag) * d] * seen[i].gaps[lag];
        }
        residuals[i] = gaps[i] - forecast;
    }

    double least = 1e-6 * fabs(known[LEVEL * d]) + 1e-9, share = share_of(n, total, constants.spread_memory);
    for (int which = SPREAD; which <= GAP_SPREAD && count; which++) {
        const double *off = which == SPREAD ? residuals : gaps;
        double sum = 0.0;
        for (int64_t i = 0; i < n; i++)
            if (use[i]) sum += fabs(off[i]);
        double own = constants.normal_spread * sum / count;
        double moved = fresh ? own : known[which * d] + share * (own - known[which * d]);
        moved = least > moved ? least : moved;
        known[which * d] = moved < constants.most_spread ? moved : constants.most_spread;
    }
    if (fresh) {
        for (int hour = 0; hour < m->hours_a_day; hour++)
            m->hours[(row * m->hours_a_day + hour) * d + f] = (float)known[SPREAD * d];
        look_back(m, row, f, first, n, columns, apart, NULL);
    }
    if (m->hours_a_day) {
        int hours[MAX_WINDOW];
        double off[MAX_WINDOW], most = constants.most_spreads * known[SPREAD * d];
        for (int64_t i = 0; i < n; i++) {
            hours[i] = use[i] ? bin_of(mark_of(m, row, first + i), m->slots, m->hours_a_day) : -1;
            off[i] = fabs(residuals[i]);
            off[i] = (off[i] < most ? off[i] : most) * constants.normal_spread;
        }
        int64_t place = row * m->hours_a_day * d + f;
        learn_bins(m->hours + place, m->hour_weights + place, d, m->hours_a_day, hours, off, n, constants.hour_leaning,
                   constants.hour_memory, 0.0, spread, known[SPREAD * d]);
    }

    int64_t pairs = 0, same = 0;
    for (int64_t i = 1; i < n; i++)
        if (use[i] && !isnan(values[i - 1])) {
            pairs++;
            same += values[i] == values[i - 1];
        }
    if (pairs) {
        known[REPEATS * d] += share * ((same + 0.25) / (pairs + 1.0) - known[REPEATS * d]);
        known[BITS * d] = known[REPEATS * d] < constants.rare ? -log2_of(known[REPEATS * d] + 1e-9) : 0.0;
    }

    if (count && !fresh) {
        double sum = 0.0, slow = n / (n + constants.level_memory), young = n / total;
        for (int64_t i = 0; i < n; i++)
            if (use[i]) sum += gaps[i];
        if (total < constants.level_memory && young > slow) slow = young;
        known[LEVEL * d] += slow * (sum / count);
    }
    if (m->bins) {
        for (int64_t i = 0; i < n; i++) values[i] -= known[LEVEL * d];
        learn_profile(m, row, f, first, n, values, use);
    }
}
