/* Included by ops.h once for each real type. */

#define FT_MEMBER(result, name, arguments) result(*name) arguments;
typedef struct {
    ptrdiff_t lanes;       /* elements in a vector */
    ptrdiff_t panel_width; /* columns of a full weight panel */
    FT_OPS(FT_MEMBER)
} FT(ops);
#undef FT_MEMBER
