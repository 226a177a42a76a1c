/* What models learn at the end of a chapter; see _kernel.h. */

/* learning.py: _see. What the trees see of n events in the slots of the window from `first` on: columns [n, d, CUT].
 * Protected rows are NaN. */
static void
see_window(const Models *m, int64_t row, int64_t first, int64_t n, double *columns)
{
    for (int f = 0; f < m->d; f++) {
        double values[MAX_WINDOW];
        for (int64_t slot = 0; slot < m->w; slot++) values[slot] = value_of(m, row, f, slot);
        for (int64_t i = 0; i < n; i++) {
            double *own = columns + (i * m->d + f) * CUT;
            int mark = mark_of(m, row, first + i);
            if (mark & PROTECTED) {
                own[VALUE] = own[CHANGE] = own[MEAN] = own[GAP] = NAN;
                continue;
            }
            own[VALUE] = values[first + i];
            derive(own[VALUE], values + first + i - 1, -1, &own[CHANGE], &own[MEAN]);
            own[GAP] = own[VALUE] - (m->known[row * KNOWN * m->d + f] + usual_at(m, row, f, mark));
        }
    }
}

/* distance.py: learn, of one column of a chapter's n rows; NaN is left out */
static void
learn_column(double *mean, double *variance, double *weight, const double *rows, int64_t n)
{
    int64_t count = 0;
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(rows[i])) {
            sum += rows[i];
            count++;
        }
    int64_t divisor = count > 1 ? count : 1;
    double own_mean = sum / divisor;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(rows[i])) {
            double off = rows[i] - own_mean;
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

/* habits.py: _learn_moments, by the columns [n, d, COLUMNS] of the chapter's events from number `first` on */
static void
learn_moments(const Models *m, int64_t row, int64_t first, int64_t n, const double *columns)
{
    int q = m->d * COLUMNS;
    double *mean = m->frame + row * 2 * q, *closeness = mean + q, rows[MAX_WINDOW];
    double *variance = m->variance + row * q, *weight = m->weight + row * q;
    for (int place = 0; place < q; place++) {
        int c = place % COLUMNS;
        for (int64_t i = 0; i < n; i++) {
            rows[i] = mark_of(m, row, first + i) & PROTECTED ? NAN : columns[i * q + place];
            if (c == RESIDUAL) rows[i] = limited(rows[i], constants.clipped);
        }
        learn_column(mean + place, variance + place, weight + place, rows, n);
        if (c == RUN) mean[place] = 0.0;
        double spread = sqrt(variance[place]);
        if (c >= RESIDUAL)
            spread = spread > constants.least_deviation ? spread : constants.least_deviation;
        else
            spread = spread_or(spread, mean[place - c], 0);
        closeness[place] = c == CHANGE || weight[place] < constants.least_rows ? 0.0 : 1 / spread;
        if (c == RUN) closeness[place] = 1.0;
    }
}

/* habits.py: learn. Writes the columns [n, d, COLUMNS] of the chapter's events from number `first` on. */
static void
learn_habits(const Models *m, int64_t row, int64_t first, int64_t n, double *columns, Seen *seen)
{
    for (int f = 0; f < m->d; f++) learn_feature(m, row, f, first, n, columns, seen);
    learn_moments(m, row, first, n, columns);
}

/* learning.py: _look_back, of one model. Writes bits [n, FAMILIES]; columns [n, d, COLUMNS] are scratch. */
static void
look_back_bits(const Models *m, int64_t row, int64_t first, int64_t n, double *columns, double *bits)
{
    int q = m->d * COLUMNS;
    for (int f = 0; f < m->d; f++) look_back(m, row, f, first, n, columns + f * COLUMNS, q, NULL);
    for (int64_t i = 0; i < n; i++) far_bits(m, columns + i * q, row, bits + i * FAMILIES);
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
    int q = m->d * CUT;
    int64_t n = m->w - SPAN, count = 0;
    double *base = m->scale + row * 2 * q, *gain = base + q, *center = m->frame + row * 2 * m->d * COLUMNS;
    int16_t *neutral = m->neutral + row * q;
    double size = NAN;
    see_window(m, row, SPAN, n, columns);
    for (int c = 0; c < q; c++) {
        double low = NAN, high = NAN;
        for (int64_t i = 0; i < n; i++) {
            double value = columns[i * q + c];
            if (!(low <= value)) low = isnan(value) ? low : value;
            if (!(high >= value)) high = isnan(value) ? high : value;
        }
        if (c % CUT == VALUE) size = fmax(fabs(low), fabs(high));
        double width = spread_or(high - low, size, 1);
        gain[c] = isnan(width) ? 0.0 : (1 - 2 * constants.margin) / width;
        base[c] = isnan(width) ? 0.0 : low - constants.margin / (1 - 2 * constants.margin) * width;
        neutral[c] = (int16_t)cell_of((center[c / CUT * COLUMNS + c % CUT] - base[c]) * gain[c]);
    }
    int32_t fallen[MAX_TREES * MAX_LEAVES];
    uint64_t standing[MAX_TREES];
    memset(fallen, 0, m->trees * m->leaves * sizeof *fallen);
    for (int64_t i = 0; i < n; i++) {
        int known = 0;
        for (int f = 0; f < m->d; f++) known |= !isnan(columns[i * q + f * CUT]);
        if (!known) continue;
        count++;
        stand(m, table, columns + i * q, CUT, row, standing);
        for (int t = 0; t < m->trees; t++) fallen[t * m->leaves + __builtin_ctzll(standing[t])]++;
    }
    for (int t = 0; t < m->trees && count; t++)
        encode(fallen + t * m->leaves, m->leaves, count, m->codes + (row * m->trees + t) * m->leaves);
}
