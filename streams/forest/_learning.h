/* What models learn at the end of a chapter; see _kernel.h. */

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
            /* An hour that doesn't exist is from a damaged record only. */
            own[GAP] = hour < m->hours ? gap_of(m, row, hour, f, own[VALUE]) : NAN;
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
    double *frame = m->frame + row * FRAME_ROWS * q, *mean = frame + CENTER * q, *closeness = frame + CLOSENESS * q;
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
        if (hour >= constants.protected || hour >= m->hours) continue;
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
        double share = count / (double)(*weight > 1.0f ? *weight : 1.0f);
        double slow = count / (count + constants.hour_memory);
        if (slow > share) share = slow;
        *level += (float)(share * (mean - *level));
    }
}
