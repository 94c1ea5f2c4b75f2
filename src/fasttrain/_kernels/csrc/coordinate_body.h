/* Included by coordinate_isa.h once for each real type. */

/* ---- one column ---- */

/* z_j . r of one task. */
FT_INLINE double FT(descent_product)(const ft_descent *s, ptrdiff_t j, ptrdiff_t t)
{
    const FT_REAL *x = s->x, *r = (const FT_REAL *)s->r + t * s->n;
    if (s->design == FT_DESIGN_DENSE)
        return FT(column_dot)(x + j * s->n, r, s->n);
    if (s->design == FT_DESIGN_GRAM)
        return r[j];
    FT_REAL total = 0;
    for (int32_t k = s->indptr[j]; k < s->indptr[j + 1]; k++)
        total += x[k] * r[s->indices[k]];
    if (!s->mean)
        return total;
    return total + s->along[t] * s->root_product[j] - (double)((const FT_REAL *)s->mean)[j] * s->root_residual[t];
}

/* r -= delta z_j of one task. */
FT_INLINE void FT(descent_move)(ft_descent *s, ptrdiff_t j, ptrdiff_t t, FT_REAL delta)
{
    const FT_REAL *x = s->x;
    FT_REAL *r = (FT_REAL *)s->r + t * s->n;
    if (s->design == FT_DESIGN_DENSE) {
        FT(column_axpy)(-delta, x + j * s->n, r, s->n);
    } else if (s->design == FT_DESIGN_GRAM) {
        FT(column_axpy)(-delta, x + j * s->p, r, s->p);
    } else {
        for (int32_t k = s->indptr[j]; k < s->indptr[j + 1]; k++)
            r[s->indices[k]] -= delta * x[k];
        if (s->mean) {
            const double mean = (double)((const FT_REAL *)s->mean)[j];
            s->along[t] += delta * mean;
            s->root_residual[t] -= delta * (s->root_product[j] - mean * s->root_squares);
        }
    }
}

FT_INLINE ptrdiff_t FT(descent_length)(const ft_descent *s, ptrdiff_t j)
{
    if (s->design == FT_DESIGN_DENSE)
        return s->n * s->n_tasks;
    return s->design == FT_DESIGN_GRAM ? 1 : (s->indptr[j + 1] - s->indptr[j]) * s->n_tasks + 1;
}

/* The products of column j with the residuals of all tasks into `out`; what is remembered of them, returned: the product itself,
 * or the norm over tasks. */
FT_INLINE double FT(descent_correlate)(ft_descent *s, ptrdiff_t j, FT_REAL *out)
{
    FT_REAL *products = s->products;
    if (s->design == FT_DESIGN_GRAM) {
        out[0] = products[j];
        return products[j];
    }
    if (s->n_tasks == 1) {
        out[0] = (FT_REAL)FT(descent_product)(s, j, 0);
        products[j] = out[0];
    } else {
        double squares = 0;
        for (ptrdiff_t t = 0; t < s->n_tasks; t++) {
            out[t] = (FT_REAL)FT(descent_product)(s, j, t);
            squares += (double)out[t] * (double)out[t];
        }
        products[j] = (FT_REAL)sqrt(squares);
    }
    s->stamp[j] = s->travelled - s->distance;
    return products[j];
}

/* How far the product of column j can be from what is remembered. */
FT_INLINE double FT(descent_reach)(const ft_descent *s, ptrdiff_t j)
{
    return s->norm[j] * (s->travelled + s->distance - s->stamp[j]);
}

/* A look at half the bytes: the product from the column rounded to float. How far it can be from the truth; below 0 where there is no
 * such column. */
FT_INLINE double FT(descent_glance)(ft_descent *s, ptrdiff_t j)
{
#if FT_IS_DOUBLE
    if (s->narrow) {
        /* each number is off by a share of at most 2^-24 */
        const double error = 0x1.001p-24 * (s->r_norm + s->distance);
        ((FT_REAL *)s->products)[j] = FT(column_dot_narrow)(s->narrow + j * s->n, s->r, s->n);
        s->stamp[j] = s->travelled - s->distance - error;
        return s->norm[j] * error;
    }
#endif
    (void)s, (void)j;
    return -1;
}

FT_INLINE int FT(descent_is_zero)(const ft_descent *s, ptrdiff_t j)
{
    const FT_REAL *w = (const FT_REAL *)s->w + j * s->n_tasks;
    for (ptrdiff_t t = 0; t < s->n_tasks; t++)
        if (w[t] != 0)
            return 0;
    return 1;
}

/* ---- where the residual is ---- */

static double FT(descent_measure)(const ft_descent *s)
{
    return (1 + FT_SLACK) * sqrt((double)FT(column_distance)(s->r, s->anchor, s->n * s->n_tasks));
}

/* A column's coefficients have moved by a vector of this length. */
FT_INLINE void FT(descent_moved)(ft_descent *s, ptrdiff_t j, double length)
{
    if (s->design == FT_DESIGN_GRAM)
        return;
    s->distance += (1 + FT_SLACK) * length * s->norm[j];
    s->moved++;
    if (s->design == FT_DESIGN_DENSE && s->moved >= FT_DESCENT_MOVES) {
        s->distance = FT(descent_measure)(s);
        s->moved = 0;
    }
}

/* The residual of today becomes the anchor. */
static void FT(descent_settle)(ft_descent *s)
{
    if (s->design == FT_DESIGN_GRAM)
        return;
    if (s->design == FT_DESIGN_DENSE) {
        if (s->moved)
            s->distance = FT(descent_measure)(s);
        if (s->distance > 0)
            memcpy(s->anchor, s->r, (size_t)(s->n * s->n_tasks) * sizeof(FT_REAL));
    }
    s->travelled += s->distance;
    s->distance = 0;
    s->moved = 0;
}

/* |residual|^2 and residual . y. */
static void FT(descent_squares)(ft_descent *s, double *squares_out, double *product_out)
{
    const FT_REAL *r = s->r, *y = s->y, *w = s->w;
    if (s->design == FT_DESIGN_GRAM) {
        const double wy = FT(column_dot)(w, y, s->p), wr = FT(column_dot)(w, r, s->p);
        *squares_out = s->y_squares - wy - wr;
        *product_out = s->y_squares - wy;
        return;
    }
    if (s->design == FT_DESIGN_SPARSE && s->mean) {
        FT_REAL *whole = s->anchor;
        const FT_REAL *root = s->root;
        for (ptrdiff_t t = 0; t < s->n_tasks; t++)
            for (ptrdiff_t i = 0; i < s->n; i++)
                whole[t * s->n + i] = r[t * s->n + i] + (FT_REAL)s->along[t] * (root ? root[i] : 1);
        r = whole;
    }
    *squares_out = FT(column_dot)(r, r, s->n * s->n_tasks);
    *product_out = FT(column_dot)(r, y, s->n * s->n_tasks);
}

/* ---- the gap and what it screens ---- */

/* The duality gap of w, or without a penalty |Z'r|^2. The largest product of the columns through dual_norm_out: that of Z'r - l2 w,
 * by its size (with `positive` by its value). 1 when it is interrupted. */
static int FT(descent_gap)(ft_descent *s, double *dual_norm_out)
{
    const ptrdiff_t p = s->p, n_tasks = s->n_tasks;
    const FT_REAL *w = s->w, *products = s->products;
    FT_REAL *row = s->task;
    double squares, product, l1_norm = 0, w_squares = 0;
    FT(descent_settle)(s);
    FT(descent_squares)(s, &squares, &product);
    s->r_norm = (1 + FT_SLACK) * sqrt(squares > 0 ? squares : 0);
    if (ft_descent_stop(s, 2 * s->n * n_tasks + p))
        return 1;
    if (s->l1 == 0) {
        double total = 0;
        for (ptrdiff_t j = 0; j < p; j++) {
            const double value = FT(descent_correlate)(s, j, row);
            total += value * value;
            for (ptrdiff_t t = 0; t < n_tasks; t++)
                w_squares += (double)w[j * n_tasks + t] * (double)w[j * n_tasks + t];
            if (ft_descent_stop(s, FT(descent_length)(s, j)))
                return 1;
        }
        *dual_norm_out = total;
        s->gap = s->l2 == 0 ? total : squares + 0.5 * s->l2 * w_squares - product + total / (2 * s->l2);
        return 0;
    }
    double largest = s->positive ? -INFINITY : 0;
    /* coefficients that are not zero have the largest products: with these known, few others need be */
    for (ptrdiff_t j = 0; j < p; j++) {
        if (FT(descent_is_zero)(s, j))
            continue;
        double value = FT(descent_correlate)(s, j, row), size = 0;
        if (n_tasks == 1) {
            size = w[j] < 0 ? -(double)w[j] : (double)w[j];
            w_squares += size * size;
            value = (double)row[0] - s->l2 * (double)w[j];
            if (!s->positive && value < 0)
                value = -value;
        } else {
            value = 0;
            for (ptrdiff_t t = 0; t < n_tasks; t++) {
                const double one = w[j * n_tasks + t], rest = (double)row[t] - s->l2 * one;
                size += one * one;
                value += rest * rest;
            }
            w_squares += size;
            size = sqrt(size);
            value = sqrt(value);
        }
        l1_norm += size;
        largest = value > largest ? value : largest;
        if (ft_descent_stop(s, FT(descent_length)(s, j)))
            return 1;
    }
    for (ptrdiff_t j = 0; j < p; j++) {
        if (!FT(descent_is_zero)(s, j))
            continue;
        double reach = FT(descent_reach)(s, j);
        for (int look = 0;; look++) {
            double value = products[j];
            if (!s->positive && value < 0)
                value = -value;
            if (value + reach <= largest)
                break;
            if (reach == 0) {
                largest = value;
                break;
            }
            reach = look == 0 ? FT(descent_glance)(s, j) : -1;
            if (reach < 0) {
                FT(descent_correlate)(s, j, row);
                reach = 0;
            }
        }
        if (ft_descent_stop(s, s->stamp[j] == s->travelled ? FT(descent_length)(s, j) : 1))
            return 1;
    }
    *dual_norm_out = largest;
    const double primal = 0.5 * (squares + s->l2 * w_squares) + s->l1 * l1_norm;
    const double scale = largest > s->l1 ? s->l1 / largest : 1;
    s->gap = primal + 0.5 * scale * scale * (squares + s->l2 * w_squares) - scale * product;
    return 0;
}

/* Whether column j can have a coefficient, by the gap-safe sphere: with cut = largest (1 - radius |z_j|), |z_j . r - l2 w_j| >= cut. */
FT_INLINE int FT(descent_survives)(ft_descent *s, ptrdiff_t j, double largest, double radius)
{
    const double cut = largest * (1 - radius * sqrt(s->squares[j] + s->l2));
    FT_REAL *row = s->task;
    const FT_REAL *w = (const FT_REAL *)s->w + j * s->n_tasks;
    /* what is not a number keeps its column, too */
    if (!(cut > 0))
        return 1;
    if (FT(descent_is_zero)(s, j)) {
        double reach = FT(descent_reach)(s, j);
        for (int look = 0; look < 2; look++) {
            const double value = fabs((double)((const FT_REAL *)s->products)[j]);
            if (value + reach < cut)
                return 0;
            if (value - reach >= cut)
                return 1;
            reach = look == 0 ? FT(descent_glance)(s, j) : -1;
            if (reach < 0)
                break;
        }
        return !(fabs(FT(descent_correlate)(s, j, row)) < cut);
    }
    FT(descent_correlate)(s, j, row);
    double value = 0;
    for (ptrdiff_t t = 0; t < s->n_tasks; t++) {
        const double rest = (double)row[t] - s->l2 * (double)w[t];
        value += rest * rest;
    }
    return !(sqrt(value) < cut);
}

/* Columns that can have a coefficient, of all or of those that could before; the others' coefficients become 0 (Fercoq, Gramfort,
 * Salmon, "Mind the duality gap: safer rules for the Lasso", ICML 2015). 1 when it is interrupted. */
static int FT(descent_screen)(ft_descent *s, double dual_norm, int of_all)
{
    const double largest = dual_norm > s->l1 ? dual_norm : s->l1;
    const double radius = sqrt(2 * fabs(s->gap)) / s->l1;
    const ptrdiff_t n_before = of_all ? s->p : s->n_active;
    FT_REAL *w = s->w;
    s->n_active = 0;
    for (ptrdiff_t k = 0; k < n_before; k++) {
        const ptrdiff_t j = of_all ? k : s->active[k];
        if (s->squares[j] > 0 && FT(descent_survives)(s, j, largest, radius)) {
            s->active[s->n_active++] = (int32_t)j;
        } else {
            double length = 0;
            for (ptrdiff_t t = 0; t < s->n_tasks; t++) {
                const FT_REAL old = w[j * s->n_tasks + t];
                if (old != 0) {
                    FT(descent_move)(s, j, t, -old);
                    w[j * s->n_tasks + t] = 0;
                    length += (double)old * (double)old;
                }
            }
            if (length > 0)
                FT(descent_moved)(s, j, sqrt(length));
        }
        if (ft_descent_stop(s, FT(descent_length)(s, j)))
            return 1;
    }
    return 0;
}

/* ---- sweeps ---- */

/* Whether the coefficients of column j, all 0, stay so. */
FT_INLINE int FT(descent_stays)(ft_descent *s, ptrdiff_t j)
{
    double reach = FT(descent_reach)(s, j);
    for (int look = 0; look < 2 && reach >= 0; look++) {
        double value = ((const FT_REAL *)s->products)[j];
        if (!s->positive && value < 0)
            value = -value;
        if (value + reach <= s->l1)
            return 1;
        reach = look == 0 ? FT(descent_glance)(s, j) : -1;
    }
    return 0;
}

/* The minimum over the coefficients of column j; its largest change and its largest coefficient raise the two maxima. */
FT_INLINE void FT(descent_update)(ft_descent *s, ptrdiff_t j, double *change_io, double *largest_io)
{
    const ptrdiff_t n_tasks = s->n_tasks;
    FT_REAL *w = (FT_REAL *)s->w + j * n_tasks, *row = s->task;
    const double curvature = s->squares[j] + s->l2;
    double length = 0, shrink = 1;
    FT(descent_correlate)(s, j, row);
    if (n_tasks > 1) {
        double squares = 0;
        for (ptrdiff_t t = 0; t < n_tasks; t++) {
            row[t] += (FT_REAL)((double)w[t] * s->squares[j]);
            squares += (double)row[t] * (double)row[t];
        }
        shrink = squares > 0 ? 1 - s->l1 / sqrt(squares) : 0;
        shrink = shrink > 0 ? shrink : 0;
    }
    for (ptrdiff_t t = 0; t < n_tasks; t++) {
        const FT_REAL old = w[t];
        FT_REAL new;
        if (n_tasks == 1) {
            const double whole = (double)row[0] + (double)old * s->squares[j];
            const double size = (whole < 0 ? -whole : whole) - s->l1;
            if (size <= 0 || (s->positive && whole < 0))
                new = 0;
            else
                new = (FT_REAL)((whole < 0 ? -size : size) / curvature);
        } else {
            new = (FT_REAL)((double)row[t] * shrink / curvature);
        }
        const double change = fabs((double)new - (double)old), size = fabs((double)new);
        if (new != old) {
            FT(descent_move)(s, j, t, new - old);
            w[t] = new;
            length += change * change;
        }
        *change_io = change > *change_io ? change : *change_io;
        *largest_io = size > *largest_io ? size : *largest_io;
    }
    if (length > 0)
        FT(descent_moved)(s, j, sqrt(length));
}

static int FT(descent_sweep)(ft_descent *s, int screened, double *change_out, double *largest_out)
{
    *change_out = *largest_out = 0;
    FT(descent_settle)(s);
    for (ptrdiff_t k = 0; k < s->n_active; k++) {
        ptrdiff_t j = s->random ? ft_descent_draw(&s->seed, s->n_active) : k;
        if (screened)
            j = s->active[j];
        if (ft_descent_stop(s, FT(descent_length)(s, j)))
            return 1;
        if (s->squares[j] == 0 || (FT(descent_is_zero)(s, j) && s->l1 > 0 && FT(descent_stays)(s, j)))
            continue;
        FT(descent_update)(s, j, change_out, largest_out);
    }
    return 0;
}

/* ---- a problem ---- */

/* Norms of the columns, the residual of w, and its products. */
static int FT(descent_begin)(ft_descent *s)
{
    const ptrdiff_t n = s->n, p = s->p, n_tasks = s->n_tasks;
    const FT_REAL *x = s->x, *w = s->w, *root = s->root, *mean = s->mean;
    FT_REAL *r = s->r;
    s->travelled = s->distance = 0;
    s->moved = 0;
    s->work = 0;
    const ptrdiff_t r_size = s->design == FT_DESIGN_GRAM ? p : n * n_tasks;
    memcpy(r, s->y, (size_t)r_size * sizeof(FT_REAL));
    if (s->design == FT_DESIGN_SPARSE) {
        s->root_squares = root ? (double)FT(column_dot)(root, root, n) : (double)n;
        for (ptrdiff_t t = 0; t < n_tasks; t++) {
            s->along[t] = s->root_residual[t] = 0;
            for (ptrdiff_t i = 0; i < n; i++)
                s->root_residual[t] += (double)r[t * n + i] * (root ? (double)root[i] : 1);
        }
    }
    for (ptrdiff_t j = 0; j < p; j++) {
        if (s->design == FT_DESIGN_DENSE) {
            s->squares[j] = FT(column_dot)(x + j * n, x + j * n, n);
        } else if (s->design == FT_DESIGN_GRAM) {
            s->squares[j] = x[j * p + j];
        } else {
            const double centre = mean ? (double)mean[j] : 0;
            double squares = 0, roots = 0, product = 0;
            for (int32_t k = s->indptr[j]; k < s->indptr[j + 1]; k++) {
                const double one = root ? (double)root[s->indices[k]] : 1, rest = (double)x[k] - centre * one;
                squares += rest * rest;
                roots += one * one;
                product += one * (double)x[k];
            }
            const double left = s->root_squares - roots;
            s->squares[j] = squares + centre * centre * (left > 0 ? left : 0);
            s->root_product[j] = product;
        }
        s->norm[j] = (1 + FT_SLACK) * sqrt(s->squares[j] > 0 ? s->squares[j] : 0);
        for (ptrdiff_t t = 0; t < n_tasks; t++)
            if (w[j * n_tasks + t] != 0)
                FT(descent_move)(s, j, t, w[j * n_tasks + t]);
        if (ft_descent_stop(s, FT(descent_length)(s, j)))
            return FT_DESCENT_INTERRUPTED;
    }
    if (s->design == FT_DESIGN_DENSE)
        memcpy(s->anchor, r, (size_t)r_size * sizeof(FT_REAL));
    for (ptrdiff_t j = 0; j < p; j++) {
        if (s->design == FT_DESIGN_GRAM)
            s->stamp[j] = 0;
        else
            FT(descent_correlate)(s, j, s->task);
        if (ft_descent_stop(s, FT(descent_length)(s, j)))
            return FT_DESCENT_INTERRUPTED;
    }
    return FT_DESCENT_OK;
}

/* w for the penalty in s, from where w is. */
static int FT(descent_solve)(ft_descent *s)
{
    double dual_norm, change, largest;
    const int screened = s->screening && s->l1 > 0;
    s->bound = s->tol * s->y_squares;
    s->n_iter = 0;
    s->converged = 1;
    s->n_active = s->p;
    if (FT(descent_gap)(s, &dual_norm))
        return FT_DESCENT_INTERRUPTED;
    /* a Gram matrix that is singular may give a negative gap */
    if (s->gap <= s->bound && (s->design != FT_DESIGN_GRAM || s->gap >= 0))
        return FT_DESCENT_OK;
    if (screened && FT(descent_screen)(s, dual_norm, 1))
        return FT_DESCENT_INTERRUPTED;
    while (s->n_iter < s->max_iter) {
        if (FT(descent_sweep)(s, screened, &change, &largest))
            return FT_DESCENT_INTERRUPTED;
        s->n_iter++;
        if (largest == 0 || change / largest <= s->tol || s->n_iter == s->max_iter) {
            if (FT(descent_gap)(s, &dual_norm))
                return FT_DESCENT_INTERRUPTED;
            if (s->gap <= s->bound)
                return FT_DESCENT_OK;
            if (screened && FT(descent_screen)(s, dual_norm, 0))
                return FT_DESCENT_INTERRUPTED;
        }
    }
    s->converged = 0;
    return FT_DESCENT_OK;
}

#undef FT_LANES
