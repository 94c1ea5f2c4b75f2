/* Rows with missing values: how many each row has, and those that stay moved together, of tables by rows and by columns.
 * Included after spans_body.h, which has the vector types. */

/* Where cells are missing, one byte a cell, which is vector code for any width; then eight bytes, each 0 or 1, are added up
 * by a product. */
#define FT_FLAGS 512
#define FT_SHORT_ROW 256

FT_INLINE ptrdiff_t FT(count_flags)(const uint8_t *flag, ptrdiff_t width)
{
    ptrdiff_t count = 0, j = 0;
    for (; j + 8 <= width; j += 8) {
        uint64_t eight;
        memcpy(&eight, flag + j, 8);
        count += (ptrdiff_t)(eight * 0x0101010101010101u >> 56);
    }
    for (; j < width; j++)
        count += flag[j];
    return count;
}

FT_INLINE void FT(flag_missing)(const FT_REAL *restrict x, ptrdiff_t n, uint8_t *restrict flag_out)
{
    for (ptrdiff_t k = 0; k < n; k++)
        flag_out[k] = x[k] != x[k];
}

/* Copies a row and asks for the one that lies `ahead` elements on. */
FT_INLINE void FT(copy_row)(const FT_REAL *row, ptrdiff_t width, ptrdiff_t ahead, FT_REAL *out)
{
    ptrdiff_t j = 0;
    for (; j + FT_LANES <= width; j += FT_LANES) {
        __builtin_prefetch(row + ahead + j);
        FT_STORE(out + j, FT_LOAD(row + j));
    }
    for (; j < width; j++) {
        __builtin_prefetch(row + ahead + j);
        out[j] = row[j];
    }
}

static ptrdiff_t FT(take_present)(const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width, ptrdiff_t most,
                                  uint8_t *keep_io, FT_REAL *out)
{
    uint8_t flag[FT_FLAGS];
    const ptrdiff_t at_once = width <= FT_FLAGS ? FT_FLAGS / width : 1;
    ptrdiff_t kept = 0;
    for (ptrdiff_t start = 0; start < m; start += at_once) {
        const ptrdiff_t rows = m - start < at_once ? m - start : at_once;
        const FT_REAL *block = x + start * ldx;
        uint8_t *keep = keep_io + start;
        if (width > FT_FLAGS) {
            ptrdiff_t count = 0;
            for (ptrdiff_t j = 0; j < width; j += FT_FLAGS) {
                const ptrdiff_t some = width - j < FT_FLAGS ? width - j : FT_FLAGS;
                FT(flag_missing)(block + j, some, flag);
                count += FT(count_flags)(flag, some);
            }
            keep[0] &= count <= most;
        } else {
            if (ldx == width)
                FT(flag_missing)(block, rows * width, flag);
            else
                for (ptrdiff_t i = 0; i < rows; i++)
                    FT(flag_missing)(block + i * ldx, width, flag + i * width);
            if (width == 8)
                for (ptrdiff_t i = 0; i < rows; i++)
                    keep[i] &= FT(count_flags)(flag + i * 8, 8) <= most;
            else
                for (ptrdiff_t i = 0; i < rows; i++)
                    keep[i] &= FT(count_flags)(flag + i * width, width) <= most;
        }
        if (width <= FT_SHORT_ROW)
            /* Every row is copied and the next one goes over it unless it stays: no branch to guess. */
            for (ptrdiff_t i = 0; i < rows; i++) {
                FT(copy_row)(block + i * ldx, width, rows * ldx, out + kept * width);
                kept += keep[i];
            }
        else
            for (ptrdiff_t i = 0; i < rows; i++)
                if (keep[i])
                    memcpy(out + kept++ * width, block + i * ldx, (size_t)width * sizeof(FT_REAL));
    }
    return kept;
}
#undef FT_FLAGS
#undef FT_SHORT_ROW

static void FT(count_missing)(const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width, int32_t *restrict count_io)
{
    for (ptrdiff_t j = 0; j < width; j++) {
        const FT_REAL *restrict column = x + j * ldx;
        for (ptrdiff_t i = 0; i < m; i++)
            count_io[i] += column[i] != column[i];
    }
}

/* The lanes whose bit is set, side by side. Vector types have no such shuffle; without it rows are moved one by one. */
#if FT_VECTOR_BYTES == 64
#define FT_COMPRESS 1
FT_INLINE FT(vector) FT(compress)(FT(vector) v, const uint8_t *bits)
{
#if FT_IS_DOUBLE
    return (FT(vector))_mm512_maskz_compress_pd(bits[0], (__m512d)v);
#else
    return (FT(vector))_mm512_maskz_compress_ps((__mmask16)(bits[0] | bits[1] << 8), (__m512)v);
#endif
}
#else
#define FT_COMPRESS 0
#endif

/* Rows that are counted and then moved while they are in the second-level cache, a multiple of the lanes of every vector. */
#define FT_MOST_ROWS 2048
#define FT_LEAST_ROWS 64
#define FT_CACHED_BYTES (1 << 17)

/* Which of some rows stay. Vectors of them can be moved out of order: bits has a byte for each eight rows, before how many
 * rows stay of those that lie before each eight. */
typedef struct FT(stay) {
    uint8_t bits[FT_MOST_ROWS / 8];
    int16_t before[FT_MOST_ROWS / 8];
    int16_t at[FT_MOST_ROWS];
    ptrdiff_t kept;
} FT(stay);

FT_INLINE void FT(note_kept)(const uint8_t *keep, ptrdiff_t m, FT(stay) *stay_out)
{
    ptrdiff_t kept = 0;
#if FT_COMPRESS
    for (ptrdiff_t i = 0; i < m; i += 8) {
        uint64_t eight = 0;
        memcpy(&eight, keep + i, (size_t)(m - i < 8 ? m - i : 8));
        stay_out->bits[i / 8] = (uint8_t)(eight * 0x0102040810204080u >> 56);
        stay_out->before[i / 8] = (int16_t)kept;
        kept += (ptrdiff_t)(eight * 0x0101010101010101u >> 56);
    }
#else
    for (ptrdiff_t i = 0; i < m; i++) {
        stay_out->at[kept] = (int16_t)i;
        kept += keep[i];
    }
#endif
    stay_out->kept = kept;
}

/* A vector that is written reaches beyond the rows that stay, never beyond m. */
FT_INLINE void FT(move_kept)(const FT_REAL *restrict column, ptrdiff_t m, const FT(stay) *stay, FT_REAL *restrict out)
{
#if FT_COMPRESS
    ptrdiff_t i = 0;
    for (; i + FT_LANES <= m; i += FT_LANES)
        FT_STORE(out + stay->before[i / 8], FT(compress)(FT_LOAD(column + i), stay->bits + i / 8));
    for (ptrdiff_t to = i < m ? stay->before[i / 8] : 0; i < m; i++)
        if (stay->bits[i / 8] >> i % 8 & 1)
            out[to++] = column[i];
#else
    (void)m;
    for (ptrdiff_t i = 0; i < stay->kept; i++)
        out[i] = column[stay->at[i]];
#endif
}

static ptrdiff_t FT(take_present_columns)(const FT_REAL *x, ptrdiff_t ldx, ptrdiff_t m, ptrdiff_t width, ptrdiff_t most,
                                          uint8_t *keep_io, FT_REAL *out, ptrdiff_t ldo)
{
    int32_t count[FT_MOST_ROWS];
    FT(stay) stay;
    ptrdiff_t kept = 0, at_once = FT_MOST_ROWS;
    while (at_once > FT_LEAST_ROWS && at_once * width * (ptrdiff_t)sizeof(FT_REAL) > FT_CACHED_BYTES)
        at_once /= 2;
    for (ptrdiff_t start = 0; start < m; start += at_once) {
        const ptrdiff_t rows = m - start < at_once ? m - start : at_once;
        const FT_REAL *block = x + start;
        uint8_t *keep = keep_io + start;
        memset(count, 0, (size_t)rows * sizeof(int32_t));
        FT(count_missing)(block, ldx, rows, width, count);
        for (ptrdiff_t i = 0; i < rows; i++)
            keep[i] &= count[i] <= most;
        FT(note_kept)(keep, rows, &stay);
        for (ptrdiff_t j = 0; j < width; j++)
            if (stay.kept == rows)
                memcpy(out + kept + j * ldo, block + j * ldx, (size_t)rows * sizeof(FT_REAL));
            else
                FT(move_kept)(block + j * ldx, rows, &stay, out + kept + j * ldo);
        kept += stay.kept;
    }
    return kept;
}
#undef FT_MOST_ROWS
#undef FT_LEAST_ROWS
#undef FT_CACHED_BYTES
#undef FT_COMPRESS
