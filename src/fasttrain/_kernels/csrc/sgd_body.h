/* Included by sgd_isa.h once for each real type. The loop over rows of a fit, dense and CSR.
 *
 * A step on row x with target y, for each candidate (scikit-learn's arithmetic, Bottou's scaled vector w = wscale * v):
 *     p = w . x + b,  g = loss'(y, p) clipped to +-1e12,  update = -eta g (class weight) (sample weight)
 *     wscale *= max(0, 1 - (L2 share) eta alpha);  v += (update / wscale) x;  b += update * intercept_decay
 *     then the average and, with an L1 share, the cumulative truncated gradient (Tsuruoka, Tsujii, Ananiadou 2009).
 * The dot product with the next row is taken in the pass that moves v, while v is in registers.
 */

#include "sgd_vectors_body.h"
#include "sgd_step_body.h"
#include "sgd_dense_body.h"
#include "sgd_single_body.h"
#include "sgd_pair_body.h"
#include "sgd_many_body.h"
#include "sgd_sparse_body.h"
#include "sgd_lines_body.h"
#include "sgd_run_body.h"

#undef FT_RESET_WSCALE
#undef FT_X86
#undef FT_PANEL_VECTORS
#undef FT_LANES
#undef FT_LANE_BLOCK
#undef FT_ROWS_AHEAD
#undef FT_COLUMN
#undef FT_CANDIDATE
#undef FT_SGD_LOSS
#undef FT_INDEX
#undef FT_SPARSE_ROWS_AHEAD
#undef FT_SPARSE_NEAR_ROWS_AHEAD
#undef FT_SPARSE_NEAR_BYTES
#undef FT_FOUR
#undef FT_GATHERED
#undef FT_WIDENED
#undef FT_NARROWED
#undef FT_SGD_FIRST
#undef FT_SGD_SINGLE_SLOT
#undef FT_SGD_BLOCK
#undef FT_SGD_MOST_VECTORS
#undef FT_SGD_DENSE_LOOP
#undef FT_SGD_SPARSE_LOOP
