"""The dispatch table: vector primitives in the instruction set chosen at import.

The functions and their contracts are those of ``csrc/ops_list.h``; each is given here for a fused ``real``.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from fasttrain._kernels.types cimport real

cdef extern from "ops.h" nogil:
    # kinds.h
    enum:
        FT_STRIP_PANELS
        FT_LOSS_half_squared_error
        FT_LOSS_squared_error
        FT_LOSS_absolute_error
        FT_LOSS_huber
        FT_LOSS_quantile
        FT_LOSS_poisson
        FT_LOSS_binary_crossentropy
        FT_LOSS_hinge
        FT_LOSS_squared_hinge
        FT_LOSS_modified_huber
        FT_LOSS_epsilon_insensitive
        FT_LOSS_squared_epsilon_insensitive
        FT_LOSS_gamma
        FT_LOSS_tweedie
        FT_LOSS_tweedie_identity
        FT_LOSS_softmax_crossentropy
        FT_N_ELEMENTWISE_LOSSES
        FT_ACTIVATION_identity
        FT_ACTIVATION_relu
        FT_ACTIVATION_leaky_relu
        FT_ACTIVATION_elu
        FT_ACTIVATION_selu
        FT_ACTIVATION_gelu
        FT_ACTIVATION_silu
        FT_ACTIVATION_tanh
        FT_ACTIVATION_logistic
        FT_ACTIVATION_softplus
        FT_ACTIVATION_exponential
        FT_ACTIVATION_clipped_relu
        FT_ACTIVATION_hard_sigmoid
        FT_ACTIVATION_hard_silu
        FT_ACTIVATION_hard_tanh
        FT_ACTIVATION_softsign
        FT_ACTIVATION_mish
        FT_ACTIVATION_celu
        FT_ACTIVATION_log_sigmoid
        FT_N_ACTIVATIONS
        FT_UPDATE_gradient_descent
        FT_UPDATE_momentum
        FT_UPDATE_nesterov
        FT_UPDATE_adagrad
        FT_UPDATE_rmsprop
        FT_UPDATE_rmsprop_centered
        FT_UPDATE_adadelta
        FT_UPDATE_adam
        FT_UPDATE_nadam
        FT_UPDATE_lion
        FT_UPDATE_amsgrad
        FT_UPDATE_adamax
        FT_UPDATE_ftrl
        FT_UPDATE_lamb
        FT_N_UPDATES
        FT_ISA_BASELINE
        FT_ISA_AVX2
        FT_ISA_AVX512

    const char** ft_loss_names
    const char** ft_activation_names
    const char** ft_update_names

    ctypedef struct ft_update:
        size_t size
        double gradient_scale
        double clip_value
        double l2
        double l1
        double keep
        double learning_rate
        double l1_rate
        double momentum
        double beta1
        double beta2
        double epsilon_inside
        double epsilon
        double step
        double step_gradient
        double root_scale
        double power
        double leader_l1
        double leader_l2
        double shrinkage

    ctypedef struct ft_ops_f32:
        Py_ssize_t lanes
        Py_ssize_t panel_width
        float (*dot)(const float* x, const float* y, Py_ssize_t n) noexcept nogil
        void (*axpy)(float a, const float* x, float* y_io, Py_ssize_t n) noexcept nogil
        double (*sum)(const float* x, Py_ssize_t n) noexcept nogil
        double (*sum_squares)(const float* x, Py_ssize_t n) noexcept nogil
        double (*sum_abs)(const float* x, Py_ssize_t n) noexcept nogil
        double (*max_abs)(const float* x, Py_ssize_t n) noexcept nogil
        int (*all_finite)(const float* x, Py_ssize_t n) noexcept nogil
        double (*loss_span)(int kind, float p, const float* y, const float* z, const float* weight,
            Py_ssize_t n, int want_value, float* gradient_out) noexcept nogil
        double (*softmax_loss)(const float* y, Py_ssize_t y_width, const float* z, Py_ssize_t ldz,
            const float* weight, Py_ssize_t n, Py_ssize_t k, int want_value, float* gradient_out,
            Py_ssize_t ldg) noexcept nogil
        void (*softmax)(const float* z, Py_ssize_t ldz, Py_ssize_t n, Py_ssize_t k, float* out,
            Py_ssize_t ldo) noexcept nogil
        void (*activate)(int kind, float p, const float* z, float* a_out, Py_ssize_t n) noexcept nogil
        void (*activate_backward)(int kind, float p, const float* z, const float* a, float* delta_io,
            Py_ssize_t n) noexcept nogil
        void (*penalty_gradient)(float l1, float l2, const float* w, float* g_io, Py_ssize_t n) noexcept nogil
        void (*penalty_prox)(float l1, float l2, float* w_io, Py_ssize_t n) noexcept nogil
        void (*update_span)(int kind, const ft_update* h, float* w_io, const float* g, float* s1_io,
            float* s2_io, float* s3_io,
            Py_ssize_t n) noexcept nogil
        double (*weight_squares)(const float* x, Py_ssize_t n) noexcept nogil
        void (*moments_and_squares)(const ft_update* h, const float* w, const float* g, float* s1_io, float* s2_io,
            Py_ssize_t n, double* squares_io) noexcept nogil
        double (*update_and_square)(int kind, const ft_update* h, float* w_io, const float* g, float* s1_io,
            float* s2_io, float* s3_io, Py_ssize_t n) noexcept nogil
        void (*rows_dot)(const float* const* rows, Py_ssize_t m, Py_ssize_t k, const float* w,
            Py_ssize_t ldw, Py_ssize_t n_out, const float* bias, Py_ssize_t bias_stride, float* z_out,
            Py_ssize_t ldz, const float* const* ahead) noexcept nogil
        void (*rows_axpy)(const float* const* rows, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
            const float* d, Py_ssize_t ldd, Py_ssize_t n_out, float* g_io, Py_ssize_t ldg,
            const float* const* ahead) noexcept nogil
        void (*rows_panel)(const float* const* rows, Py_ssize_t m, Py_ssize_t k, const float* panel,
            Py_ssize_t width, const float* bias, float* z_out, Py_ssize_t ldz) noexcept nogil
        void (*row_times)(const float* x, Py_ssize_t k, const float* w, Py_ssize_t ldw, Py_ssize_t n,
            const float* bias, float* z_out) noexcept nogil
        void (*columns_panel)(const float* const* rows, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
            const float* d, Py_ssize_t ldd, Py_ssize_t width, int accumulate, float* g_io) noexcept nogil
        void (*columns_strip)(const float* const* rows, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
            const float* d, Py_ssize_t ldd, Py_ssize_t width, Py_ssize_t n_panels, float* g_out,
            Py_ssize_t ldg) noexcept nogil
        void (*column_sums)(const float* d, Py_ssize_t ldd, Py_ssize_t m, Py_ssize_t width, int accumulate,
            float* s_io) noexcept nogil
        void (*transpose)(const float* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t n, float* out,
            Py_ssize_t ldo) noexcept nogil
        void (*traffic)(const float* g, float* w_io, float* s1_io, float* s2_io, float* s3_io,
            Py_ssize_t n) noexcept nogil
        void (*prefetch_rows)(const float* const* rows, Py_ssize_t m, Py_ssize_t k) noexcept nogil
        void (*deviation_sums)(const float* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width,
            const double* shift, double* s1_io, double* s2_io) noexcept nogil
        void (*present_sums)(const float* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width,
            const double* weight, const double* shift, double* s0_io, double* s1_io, double* s2_io) noexcept nogil
        void (*extremes)(const float* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width, float* min_io,
            float* max_io) noexcept nogil
        int (*scale_rows)(int kind, const float* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width, const float* a,
            const float* b, float low, float high, float* out, Py_ssize_t ldo) noexcept nogil
        void (*drop)(uint32_t threshold, float scale, uint64_t key, uint32_t first, const float* x, float* out,
            Py_ssize_t n) noexcept nogil
        void (*add_noise)(float deviation, uint64_t key, uint32_t first, float* x_io, Py_ssize_t n) noexcept nogil
        void (*mix)(float a, const float* x, const float* y, float* out, Py_ssize_t n) noexcept nogil
        void (*approach)(float factor, const float* w, float* average_io, Py_ssize_t n) noexcept nogil
        void (*normalize_rows)(const float* x, Py_ssize_t m, Py_ssize_t width, const float* mean,
            const float* inverse, const float* gain, const float* shift, float* normalized_out,
            float* out) noexcept nogil
        void (*product_sums)(const float* d, const float* x, Py_ssize_t m, Py_ssize_t width, double* s1_io,
            double* s2_io) noexcept nogil
        void (*normalize_backward)(const float* normalized, Py_ssize_t m, Py_ssize_t width, const float* factor,
            const float* mean_d, const float* mean_dx, float* d_io) noexcept nogil
        void (*sparse_row)(const float* x, const void* indices, int wide, Py_ssize_t begin, Py_ssize_t end,
            const float* panel, Py_ssize_t width, const float* bias, float* z_out) noexcept nogil
        Py_ssize_t (*sparse_columns)(const float* x, const void* indices, int wide, Py_ssize_t begin, Py_ssize_t end,
            Py_ssize_t first, Py_ssize_t last, const float* d, Py_ssize_t width, float* g_io) noexcept nogil
        Py_ssize_t (*take_present)(const float* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width, Py_ssize_t most,
            uint8_t* keep_io, float* out) noexcept nogil
        void (*count_missing)(const float* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width,
            int32_t* count_io) noexcept nogil
        Py_ssize_t (*take_present_columns)(const float* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width,
            Py_ssize_t most, uint8_t* keep_io, float* out, Py_ssize_t ldo) noexcept nogil
        void (*lanes_of_rows)(const float* const* rows, Py_ssize_t m, Py_ssize_t k, float* out) noexcept nogil
        void (*lanes_dot)(const float* x, Py_ssize_t n_panels, Py_ssize_t k, const float* w, Py_ssize_t ldf,
            Py_ssize_t ldo, Py_ssize_t n_out, float* z_out, Py_ssize_t ldz) noexcept nogil
        void (*lanes_axpy)(const float* x, Py_ssize_t n_panels, Py_ssize_t k, const float* d, Py_ssize_t n_out,
            int accumulate, float* sums_io) noexcept nogil
        void (*lanes_sum)(const float* sums, Py_ssize_t n, float* out) noexcept nogil
        double (*lanes_softmax)(const float* y, const float* weight, Py_ssize_t n_panels, Py_ssize_t k,
            float* z_io) noexcept nogil

    ctypedef struct ft_ops_f64:
        Py_ssize_t lanes
        Py_ssize_t panel_width
        double (*dot)(const double* x, const double* y, Py_ssize_t n) noexcept nogil
        void (*axpy)(double a, const double* x, double* y_io, Py_ssize_t n) noexcept nogil
        double (*sum)(const double* x, Py_ssize_t n) noexcept nogil
        double (*sum_squares)(const double* x, Py_ssize_t n) noexcept nogil
        double (*sum_abs)(const double* x, Py_ssize_t n) noexcept nogil
        double (*max_abs)(const double* x, Py_ssize_t n) noexcept nogil
        int (*all_finite)(const double* x, Py_ssize_t n) noexcept nogil
        double (*loss_span)(int kind, double p, const double* y, const double* z, const double* weight,
            Py_ssize_t n, int want_value, double* gradient_out) noexcept nogil
        double (*softmax_loss)(const double* y, Py_ssize_t y_width, const double* z, Py_ssize_t ldz,
            const double* weight, Py_ssize_t n, Py_ssize_t k, int want_value, double* gradient_out,
            Py_ssize_t ldg) noexcept nogil
        void (*softmax)(const double* z, Py_ssize_t ldz, Py_ssize_t n, Py_ssize_t k, double* out,
            Py_ssize_t ldo) noexcept nogil
        void (*activate)(int kind, double p, const double* z, double* a_out, Py_ssize_t n) noexcept nogil
        void (*activate_backward)(int kind, double p, const double* z, const double* a, double* delta_io,
            Py_ssize_t n) noexcept nogil
        void (*penalty_gradient)(double l1, double l2, const double* w, double* g_io, Py_ssize_t n) noexcept nogil
        void (*penalty_prox)(double l1, double l2, double* w_io, Py_ssize_t n) noexcept nogil
        void (*update_span)(int kind, const ft_update* h, double* w_io, const double* g, double* s1_io,
            double* s2_io, double* s3_io,
            Py_ssize_t n) noexcept nogil
        double (*weight_squares)(const double* x, Py_ssize_t n) noexcept nogil
        void (*moments_and_squares)(const ft_update* h, const double* w, const double* g, double* s1_io, double* s2_io,
            Py_ssize_t n, double* squares_io) noexcept nogil
        double (*update_and_square)(int kind, const ft_update* h, double* w_io, const double* g, double* s1_io,
            double* s2_io, double* s3_io, Py_ssize_t n) noexcept nogil
        void (*rows_dot)(const double* const* rows, Py_ssize_t m, Py_ssize_t k, const double* w,
            Py_ssize_t ldw, Py_ssize_t n_out, const double* bias, Py_ssize_t bias_stride, double* z_out,
            Py_ssize_t ldz, const double* const* ahead) noexcept nogil
        void (*rows_axpy)(const double* const* rows, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
            const double* d, Py_ssize_t ldd, Py_ssize_t n_out, double* g_io, Py_ssize_t ldg,
            const double* const* ahead) noexcept nogil
        void (*rows_panel)(const double* const* rows, Py_ssize_t m, Py_ssize_t k, const double* panel,
            Py_ssize_t width, const double* bias, double* z_out, Py_ssize_t ldz) noexcept nogil
        void (*row_times)(const double* x, Py_ssize_t k, const double* w, Py_ssize_t ldw, Py_ssize_t n,
            const double* bias, double* z_out) noexcept nogil
        void (*columns_panel)(const double* const* rows, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
            const double* d, Py_ssize_t ldd, Py_ssize_t width, int accumulate, double* g_io) noexcept nogil
        void (*columns_strip)(const double* const* rows, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
            const double* d, Py_ssize_t ldd, Py_ssize_t width, Py_ssize_t n_panels, double* g_out,
            Py_ssize_t ldg) noexcept nogil
        void (*column_sums)(const double* d, Py_ssize_t ldd, Py_ssize_t m, Py_ssize_t width, int accumulate,
            double* s_io) noexcept nogil
        void (*transpose)(const double* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t n, double* out,
            Py_ssize_t ldo) noexcept nogil
        void (*traffic)(const double* g, double* w_io, double* s1_io, double* s2_io, double* s3_io,
            Py_ssize_t n) noexcept nogil
        void (*prefetch_rows)(const double* const* rows, Py_ssize_t m, Py_ssize_t k) noexcept nogil
        void (*deviation_sums)(const double* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width,
            const double* shift, double* s1_io, double* s2_io) noexcept nogil
        void (*present_sums)(const double* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width,
            const double* weight, const double* shift, double* s0_io, double* s1_io, double* s2_io) noexcept nogil
        void (*extremes)(const double* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width, double* min_io,
            double* max_io) noexcept nogil
        int (*scale_rows)(int kind, const double* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width, const double* a,
            const double* b, double low, double high, double* out, Py_ssize_t ldo) noexcept nogil
        void (*drop)(uint32_t threshold, double scale, uint64_t key, uint32_t first, const double* x, double* out,
            Py_ssize_t n) noexcept nogil
        void (*add_noise)(double deviation, uint64_t key, uint32_t first, double* x_io, Py_ssize_t n) noexcept nogil
        void (*mix)(double a, const double* x, const double* y, double* out, Py_ssize_t n) noexcept nogil
        void (*approach)(double factor, const double* w, double* average_io, Py_ssize_t n) noexcept nogil
        void (*normalize_rows)(const double* x, Py_ssize_t m, Py_ssize_t width, const double* mean,
            const double* inverse, const double* gain, const double* shift, double* normalized_out,
            double* out) noexcept nogil
        void (*product_sums)(const double* d, const double* x, Py_ssize_t m, Py_ssize_t width, double* s1_io,
            double* s2_io) noexcept nogil
        void (*normalize_backward)(const double* normalized, Py_ssize_t m, Py_ssize_t width,
            const double* factor, const double* mean_d, const double* mean_dx, double* d_io) noexcept nogil
        void (*sparse_row)(const double* x, const void* indices, int wide, Py_ssize_t begin, Py_ssize_t end,
            const double* panel, Py_ssize_t width, const double* bias, double* z_out) noexcept nogil
        Py_ssize_t (*sparse_columns)(const double* x, const void* indices, int wide, Py_ssize_t begin, Py_ssize_t end,
            Py_ssize_t first, Py_ssize_t last, const double* d, Py_ssize_t width, double* g_io) noexcept nogil
        Py_ssize_t (*take_present)(const double* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width, Py_ssize_t most,
            uint8_t* keep_io, double* out) noexcept nogil
        void (*count_missing)(const double* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width,
            int32_t* count_io) noexcept nogil
        Py_ssize_t (*take_present_columns)(const double* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width,
            Py_ssize_t most, uint8_t* keep_io, double* out, Py_ssize_t ldo) noexcept nogil
        void (*lanes_of_rows)(const double* const* rows, Py_ssize_t m, Py_ssize_t k, double* out) noexcept nogil
        void (*lanes_dot)(const double* x, Py_ssize_t n_panels, Py_ssize_t k, const double* w, Py_ssize_t ldf,
            Py_ssize_t ldo, Py_ssize_t n_out, double* z_out, Py_ssize_t ldz) noexcept nogil
        void (*lanes_axpy)(const double* x, Py_ssize_t n_panels, Py_ssize_t k, const double* d, Py_ssize_t n_out,
            int accumulate, double* sums_io) noexcept nogil
        void (*lanes_sum)(const double* sums, Py_ssize_t n, double* out) noexcept nogil
        double (*lanes_softmax)(const double* y, const double* weight, Py_ssize_t n_panels, Py_ssize_t k,
            double* z_io) noexcept nogil

    int ft_isa_best() noexcept
    const ft_ops_f32* ft_ops_for_f32(int isa) noexcept
    const ft_ops_f64* ft_ops_for_f64(int isa) noexcept
    double ft_fma_probe(int isa, int is_double, Py_ssize_t rounds) noexcept

cdef const ft_ops_f32* ops_f32
cdef const ft_ops_f64* ops_f64
cdef int active_isa


cdef inline Py_ssize_t lanes(const real* like) noexcept nogil:
    if real is float:
        return ops_f32.lanes
    else:
        return ops_f64.lanes


cdef inline Py_ssize_t panel_width(const real* like) noexcept nogil:
    if real is float:
        return ops_f32.panel_width
    else:
        return ops_f64.panel_width


# What the columns of a panel are a multiple of.
cdef inline Py_ssize_t panel_step(const real* like) noexcept nogil:
    return lanes(like) // 2 if lanes(like) * sizeof(real) == 64 else lanes(like)


cdef inline real dot(const real* x, const real* y, Py_ssize_t n) noexcept nogil:
    if real is float:
        return ops_f32.dot(x, y, n)
    else:
        return ops_f64.dot(x, y, n)


cdef inline void axpy(real a, const real* x, real* y_io, Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.axpy(a, x, y_io, n)
    else:
        ops_f64.axpy(a, x, y_io, n)


cdef inline double sum(const real* x, Py_ssize_t n) noexcept nogil:
    if real is float:
        return ops_f32.sum(x, n)
    else:
        return ops_f64.sum(x, n)


cdef inline double sum_squares(const real* x, Py_ssize_t n) noexcept nogil:
    if real is float:
        return ops_f32.sum_squares(x, n)
    else:
        return ops_f64.sum_squares(x, n)


cdef inline double sum_abs(const real* x, Py_ssize_t n) noexcept nogil:
    if real is float:
        return ops_f32.sum_abs(x, n)
    else:
        return ops_f64.sum_abs(x, n)


cdef inline double max_abs(const real* x, Py_ssize_t n) noexcept nogil:
    if real is float:
        return ops_f32.max_abs(x, n)
    else:
        return ops_f64.max_abs(x, n)


cdef inline int all_finite(const real* x, Py_ssize_t n) noexcept nogil:
    if real is float:
        return ops_f32.all_finite(x, n)
    else:
        return ops_f64.all_finite(x, n)


cdef inline double loss_span(int kind, real p, const real* y, const real* z, const real* weight,
        Py_ssize_t n, int want_value, real* gradient_out) noexcept nogil:
    if real is float:
        return ops_f32.loss_span(kind, p, y, z, weight, n, want_value, gradient_out)
    else:
        return ops_f64.loss_span(kind, p, y, z, weight, n, want_value, gradient_out)


cdef inline double softmax_loss(const real* y, Py_ssize_t y_width, const real* z, Py_ssize_t ldz,
        const real* weight, Py_ssize_t n, Py_ssize_t k, int want_value, real* gradient_out,
        Py_ssize_t ldg) noexcept nogil:
    if real is float:
        return ops_f32.softmax_loss(y, y_width, z, ldz, weight, n, k, want_value, gradient_out, ldg)
    else:
        return ops_f64.softmax_loss(y, y_width, z, ldz, weight, n, k, want_value, gradient_out, ldg)


cdef inline void softmax(const real* z, Py_ssize_t ldz, Py_ssize_t n, Py_ssize_t k, real* out,
        Py_ssize_t ldo) noexcept nogil:
    if real is float:
        ops_f32.softmax(z, ldz, n, k, out, ldo)
    else:
        ops_f64.softmax(z, ldz, n, k, out, ldo)


cdef inline void activate(int kind, real p, const real* z, real* a_out, Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.activate(kind, p, z, a_out, n)
    else:
        ops_f64.activate(kind, p, z, a_out, n)


cdef inline void activate_backward(int kind, real p, const real* z, const real* a, real* delta_io,
        Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.activate_backward(kind, p, z, a, delta_io, n)
    else:
        ops_f64.activate_backward(kind, p, z, a, delta_io, n)


cdef inline void penalty_gradient(real l1, real l2, const real* w, real* g_io, Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.penalty_gradient(l1, l2, w, g_io, n)
    else:
        ops_f64.penalty_gradient(l1, l2, w, g_io, n)


cdef inline void penalty_prox(real l1, real l2, real* w_io, Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.penalty_prox(l1, l2, w_io, n)
    else:
        ops_f64.penalty_prox(l1, l2, w_io, n)


cdef inline void update_span(int kind, const ft_update* h, real* w_io, const real* g, real* s1_io,
        real* s2_io, real* s3_io, Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.update_span(kind, h, w_io, g, s1_io, s2_io, s3_io, n)
    else:
        ops_f64.update_span(kind, h, w_io, g, s1_io, s2_io, s3_io, n)


cdef inline double weight_squares(const real* x, Py_ssize_t n) noexcept nogil:
    if real is float:
        return ops_f32.weight_squares(x, n)
    else:
        return ops_f64.weight_squares(x, n)


cdef inline void moments_and_squares(const ft_update* h, const real* w, const real* g, real* s1_io, real* s2_io,
        Py_ssize_t n, double* squares_io) noexcept nogil:
    if real is float:
        ops_f32.moments_and_squares(h, w, g, s1_io, s2_io, n, squares_io)
    else:
        ops_f64.moments_and_squares(h, w, g, s1_io, s2_io, n, squares_io)


cdef inline double update_and_square(int kind, const ft_update* h, real* w_io, const real* g, real* s1_io,
        real* s2_io, real* s3_io, Py_ssize_t n) noexcept nogil:
    if real is float:
        return ops_f32.update_and_square(kind, h, w_io, g, s1_io, s2_io, s3_io, n)
    else:
        return ops_f64.update_and_square(kind, h, w_io, g, s1_io, s2_io, s3_io, n)


cdef inline void rows_dot(const real* const* rows, Py_ssize_t m, Py_ssize_t k, const real* w,
        Py_ssize_t ldw, Py_ssize_t n_out, const real* bias, Py_ssize_t bias_stride, real* z_out,
        Py_ssize_t ldz, const real* const* ahead) noexcept nogil:
    if real is float:
        ops_f32.rows_dot(rows, m, k, w, ldw, n_out, bias, bias_stride, z_out, ldz, ahead)
    else:
        ops_f64.rows_dot(rows, m, k, w, ldw, n_out, bias, bias_stride, z_out, ldz, ahead)


cdef inline void rows_axpy(const real* const* rows, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
        const real* d, Py_ssize_t ldd, Py_ssize_t n_out, real* g_io, Py_ssize_t ldg,
            const real* const* ahead) noexcept nogil:
    if real is float:
        ops_f32.rows_axpy(rows, m, first, last, d, ldd, n_out, g_io, ldg, ahead)
    else:
        ops_f64.rows_axpy(rows, m, first, last, d, ldd, n_out, g_io, ldg, ahead)


cdef inline void rows_panel(const real* const* rows, Py_ssize_t m, Py_ssize_t k, const real* panel,
        Py_ssize_t width, const real* bias, real* z_out, Py_ssize_t ldz) noexcept nogil:
    if real is float:
        ops_f32.rows_panel(rows, m, k, panel, width, bias, z_out, ldz)
    else:
        ops_f64.rows_panel(rows, m, k, panel, width, bias, z_out, ldz)


cdef inline void columns_panel(const real* const* rows, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
        const real* d, Py_ssize_t ldd, Py_ssize_t width, int accumulate, real* g_io) noexcept nogil:
    if real is float:
        ops_f32.columns_panel(rows, m, first, last, d, ldd, width, accumulate, g_io)
    else:
        ops_f64.columns_panel(rows, m, first, last, d, ldd, width, accumulate, g_io)


cdef inline void columns_strip(const real* const* rows, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
        const real* d, Py_ssize_t ldd, Py_ssize_t width, Py_ssize_t n_panels, real* g_out,
        Py_ssize_t ldg) noexcept nogil:
    if real is float:
        ops_f32.columns_strip(rows, m, first, last, d, ldd, width, n_panels, g_out, ldg)
    else:
        ops_f64.columns_strip(rows, m, first, last, d, ldd, width, n_panels, g_out, ldg)


cdef inline void column_sums(const real* d, Py_ssize_t ldd, Py_ssize_t m, Py_ssize_t width, int accumulate,
        real* s_io) noexcept nogil:
    if real is float:
        ops_f32.column_sums(d, ldd, m, width, accumulate, s_io)
    else:
        ops_f64.column_sums(d, ldd, m, width, accumulate, s_io)


cdef inline void traffic(const real* g, real* w_io, real* s1_io, real* s2_io, real* s3_io, Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.traffic(g, w_io, s1_io, s2_io, s3_io, n)
    else:
        ops_f64.traffic(g, w_io, s1_io, s2_io, s3_io, n)


cdef inline void transpose(const real* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t n, real* out,
        Py_ssize_t ldo) noexcept nogil:
    if real is float:
        ops_f32.transpose(x, ldx, m, n, out, ldo)
    else:
        ops_f64.transpose(x, ldx, m, n, out, ldo)


cdef inline void prefetch_rows(const real* const* rows, Py_ssize_t m, Py_ssize_t k) noexcept nogil:
    if real is float:
        ops_f32.prefetch_rows(rows, m, k)
    else:
        ops_f64.prefetch_rows(rows, m, k)


cdef inline void drop(uint32_t threshold, real scale, uint64_t key, uint32_t first, const real* x, real* out,
        Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.drop(threshold, scale, key, first, x, out, n)
    else:
        ops_f64.drop(threshold, scale, key, first, x, out, n)


cdef inline void add_noise(real deviation, uint64_t key, uint32_t first, real* x_io, Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.add_noise(deviation, key, first, x_io, n)
    else:
        ops_f64.add_noise(deviation, key, first, x_io, n)


cdef inline void mix(real a, const real* x, const real* y, real* out, Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.mix(a, x, y, out, n)
    else:
        ops_f64.mix(a, x, y, out, n)


cdef inline void approach(real factor, const real* w, real* average_io, Py_ssize_t n) noexcept nogil:
    if real is float:
        ops_f32.approach(factor, w, average_io, n)
    else:
        ops_f64.approach(factor, w, average_io, n)


cdef inline void normalize_rows(const real* x, Py_ssize_t m, Py_ssize_t width, const real* mean, const real* inverse,
        const real* gain, const real* shift, real* normalized_out, real* out) noexcept nogil:
    if real is float:
        ops_f32.normalize_rows(x, m, width, mean, inverse, gain, shift, normalized_out, out)
    else:
        ops_f64.normalize_rows(x, m, width, mean, inverse, gain, shift, normalized_out, out)


cdef inline void product_sums(const real* d, const real* x, Py_ssize_t m, Py_ssize_t width, double* s1_io,
        double* s2_io) noexcept nogil:
    if real is float:
        ops_f32.product_sums(d, x, m, width, s1_io, s2_io)
    else:
        ops_f64.product_sums(d, x, m, width, s1_io, s2_io)


cdef inline void normalize_backward(const real* normalized, Py_ssize_t m, Py_ssize_t width, const real* factor,
        const real* mean_d, const real* mean_dx, real* d_io) noexcept nogil:
    if real is float:
        ops_f32.normalize_backward(normalized, m, width, factor, mean_d, mean_dx, d_io)
    else:
        ops_f64.normalize_backward(normalized, m, width, factor, mean_d, mean_dx, d_io)


cdef inline void sparse_row(const real* x, const void* indices, int wide, Py_ssize_t begin, Py_ssize_t end,
        const real* panel, Py_ssize_t width, const real* bias, real* z_out) noexcept nogil:
    if real is float:
        ops_f32.sparse_row(x, indices, wide, begin, end, panel, width, bias, z_out)
    else:
        ops_f64.sparse_row(x, indices, wide, begin, end, panel, width, bias, z_out)


cdef inline Py_ssize_t sparse_columns(const real* x, const void* indices, int wide, Py_ssize_t begin, Py_ssize_t end,
        Py_ssize_t first, Py_ssize_t last, const real* d, Py_ssize_t width, real* g_io) noexcept nogil:
    if real is float:
        return ops_f32.sparse_columns(x, indices, wide, begin, end, first, last, d, width, g_io)
    else:
        return ops_f64.sparse_columns(x, indices, wide, begin, end, first, last, d, width, g_io)


cdef inline void deviation_sums(const real* x, Py_ssize_t ldx, Py_ssize_t m, Py_ssize_t width, const double* shift,
        double* s1_io, double* s2_io) noexcept nogil:
    if real is float:
        ops_f32.deviation_sums(x, ldx, m, width, shift, s1_io, s2_io)
    else:
        ops_f64.deviation_sums(x, ldx, m, width, shift, s1_io, s2_io)


cdef inline void row_times(const real* x, Py_ssize_t k, const real* w, Py_ssize_t ldw, Py_ssize_t n, const real* bias,
        real* z_out) noexcept nogil:
    if real is float:
        ops_f32.row_times(x, k, w, ldw, n, bias, z_out)
    else:
        ops_f64.row_times(x, k, w, ldw, n, bias, z_out)


cdef inline void lanes_of_rows(const real* const* rows, Py_ssize_t m, Py_ssize_t k, real* out) noexcept nogil:
    if real is float:
        ops_f32.lanes_of_rows(rows, m, k, out)
    else:
        ops_f64.lanes_of_rows(rows, m, k, out)


cdef inline void lanes_dot(const real* x, Py_ssize_t n_panels, Py_ssize_t k, const real* w, Py_ssize_t ldf,
        Py_ssize_t ldo, Py_ssize_t n_out, real* z_out, Py_ssize_t ldz) noexcept nogil:
    if real is float:
        ops_f32.lanes_dot(x, n_panels, k, w, ldf, ldo, n_out, z_out, ldz)
    else:
        ops_f64.lanes_dot(x, n_panels, k, w, ldf, ldo, n_out, z_out, ldz)


cdef inline void lanes_axpy(const real* x, Py_ssize_t n_panels, Py_ssize_t k, const real* d, Py_ssize_t n_out,
        bint accumulate, real* sums_io) noexcept nogil:
    if real is float:
        ops_f32.lanes_axpy(x, n_panels, k, d, n_out, accumulate, sums_io)
    else:
        ops_f64.lanes_axpy(x, n_panels, k, d, n_out, accumulate, sums_io)


cdef inline void lanes_sum(const real* sums, Py_ssize_t n, real* out) noexcept nogil:
    if real is float:
        ops_f32.lanes_sum(sums, n, out)
    else:
        ops_f64.lanes_sum(sums, n, out)


cdef inline double lanes_softmax(const real* y, const real* weight, Py_ssize_t n_panels, Py_ssize_t k,
        real* z_io) noexcept nogil:
    if real is float:
        return ops_f32.lanes_softmax(y, weight, n_panels, k, z_io)
    else:
        return ops_f64.lanes_softmax(y, weight, n_panels, k, z_io)
