"""Dense networks for C and Cython code that brings its own arrays and threads.

A call allocates nothing, starts no thread and keeps nothing: with a workspace each, calls run side by side in the
caller's loop. Parameters lie in one flat array in the engine's layout, which an update rule may take as it is.
"""

from fasttrain._kernels.types cimport real

cdef struct dense_shape:
    size_t size                         # sizeof(dense_shape), as the caller was compiled
    Py_ssize_t n_layers
    const Py_ssize_t* widths            # n_layers + 1: features, units of the hidden layers, outputs
    const int* activations              # of the n_layers - 1 hidden layers, FT_ACTIVATION_ numbers
    const double* activation_parameters # n_layers - 1; NULL for 1 everywhere
    int loss                            # FT_LOSS_ number
    double loss_parameter
    int fit_intercept                   # 0: the gradient of the intercepts is 0

cdef int dense_sizes(const dense_shape* shape, const real* like, Py_ssize_t* n_parameters_out,
                     Py_ssize_t* workspace_out) noexcept nogil
cdef int dense_pack(const dense_shape* shape, const real* const* coefs, const real* const* intercepts,
                    real* w_out) noexcept nogil
cdef int dense_unpack(const dense_shape* shape, const real* w, real* const* coefs_out,
                      real* const* intercepts_out) noexcept nogil
cdef int dense_forward(const dense_shape* shape, const real* w, const real* x, real* raw_out, Py_ssize_t n,
                       void* workspace) noexcept nogil
cdef int dense_gradient(const dense_shape* shape, const real* w, const real* x, const real* y, const real* weight,
                        double* value_out, double* weight_out, real* gradient_out, Py_ssize_t n,
                        void* workspace) noexcept nogil
