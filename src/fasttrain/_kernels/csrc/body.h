/* Everything that depends on the instruction set: included once by each isa_*.c, which sets the target, FT_ISA,
 * FT_VECTOR_BYTES and FT_REGISTERS first. All functions are static; only the two tables leave the file. */
#include <float.h>

#include "ops.h"
#include "scalar.h"

#define FT_TABLE_(isa) ft_ops_##isa
#define FT_TABLE(isa) FT_TABLE_(isa)
#define FT_PROBE_(isa) ft_fma_probe_##isa
#define FT_PROBE(isa) FT_PROBE_(isa)

/* A tile of R rows by V vectors needs R V accumulators, V operands and one broadcast in registers. */
#if FT_REGISTERS >= 32
#define FT_PANEL_VECTORS 4
#else
#define FT_PANEL_VECTORS 2
#endif

#define FT_REAL float
#define FT_BITS int32_t
#define FT_IS_DOUBLE 0
#define FT_SQRT sqrtf
#define FT_POW powf
#define FT_SUFFIX _f32
#include "spans_body.h"
#include "updates_body.h"
#include "products_body.h"
#include "gradients_body.h"
#include "lanes_body.h"
#include "columns_body.h"
#include "missing_body.h"
#include "training_body.h"
#include "table_body.h"
#undef FT_REAL
#undef FT_BITS
#undef FT_IS_DOUBLE
#undef FT_SQRT
#undef FT_POW
#undef FT_SUFFIX

#define FT_REAL double
#define FT_BITS int64_t
#define FT_IS_DOUBLE 1
#define FT_SQRT sqrt
#define FT_POW pow
#define FT_SUFFIX _f64
#include "spans_body.h"
#include "updates_body.h"
#include "products_body.h"
#include "gradients_body.h"
#include "lanes_body.h"
#include "columns_body.h"
#include "missing_body.h"
#include "training_body.h"
#include "table_body.h"
#undef FT_REAL
#undef FT_BITS
#undef FT_IS_DOUBLE
#undef FT_SQRT
#undef FT_POW
#undef FT_SUFFIX
