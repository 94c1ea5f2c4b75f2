"""Predictions of a dense network, and the buffers that rows on their way through it are kept in."""

import numpy as np

from fasttrain._kernels.layers cimport layer, sparse_rows
from fasttrain._kernels.layout cimport address_of
from fasttrain._kernels.passes cimport fit_task, fold_normalization, point_layers
from fasttrain._kernels.primitives cimport activate, row_times, rows_dot
from fasttrain._kernels.steps cimport block_rows, predict_threads
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport real

from fasttrain._kernels.layout import aligned

cdef double STEP_PER_THREAD = 4e5


def set_step_per_thread(double multiply_adds):
    """Change what a step must hold for each thread, and return what it was; with 0 every thread allowed is used.

    For measurements, and for tests that must see several threads on little data.
    """
    global STEP_PER_THREAD
    before = STEP_PER_THREAD
    STEP_PER_THREAD = multiply_adds
    return before


cdef class Predictor(Layout):
    """A layout whose parameters predict; :class:`fasttrain._kernels.network.Network` trains them."""

    def _block_rows(self):
        if self.is_double:
            return block_rows(&self.task, <const double*> NULL)
        return block_rows(&self.task, <const float*> NULL)

    def _array(self, name, size, dtype):
        """Address of a workspace of at least ``size`` elements, zero when new."""
        if name not in self.hold or self.hold[name].size < size or self.hold[name].dtype != dtype:
            self.hold[name] = aligned(size, dtype)
        return address_of(self.hold[name])

    def _buffers(self, Py_ssize_t capacity, int threads, int row_lists=0):
        """Room for the layers' outputs and gradients of ``capacity`` rows for each of ``threads``.

        ``row_lists``: threads that have a list of the rows of their own, when more than those.
        """
        cdef size_t address
        self.task.capacity = capacity
        address = self._array("values", threads * capacity * self.task.row_size, self.dtype)
        self.task.values = <void*> address
        address = self._array("rows", max(threads, row_lists) * 2 * capacity, np.uintp)
        self.task.rows = <const void**> address
        address = self._array("pointers", threads * 2 * self.task.n_layers * capacity, np.uintp)
        self.task.pointers = <const void**> address
        if self.is_double:
            point_layers(&self.task, threads, <const double*> NULL)
        else:
            point_layers(&self.task, threads, <const float*> NULL)

    def raw_predict(self, const real[:, ::1] X, int n_threads=1):
        """Raw predictions of shape (n_samples, n_outputs): for a linear model ``X @ coef.T + intercept``."""
        cdef sparse_rows dense
        dense.data = NULL
        return self._predict(&dense, &X[0, 0] if X.shape[0] else NULL, X.shape[1], X.shape[0], n_threads)

    def predict_row(self, coefs, intercepts, const real[::1] x):
        """:meth:`raw_predict`, of shape (1, n_outputs), of one row by weights that are not packed, without batch norm.

        For a wide layer packing takes longer than the row. ``coefs`` (n_in, n_out) and ``intercepts`` are of the
        network's dtype and C-contiguous; the bytes are those of :meth:`raw_predict`.
        """
        cdef layer* shape
        cdef const real[:, ::1] w
        cdef const real[::1] b
        cdef real[:, ::1] spare
        cdef real[:, ::1] z
        cdef const real* row = &x[0]
        cdef real* column
        cdef Py_ssize_t f, o
        cdef int i, n_layers = self.task.n_layers
        out = np.empty((1, self.layers[n_layers - 1].n_out), dtype=self.dtype)
        z = out
        if "row" not in self.hold:
            widest = max(max(self.layers[i].n_in, self.layers[i].width) for i in range(n_layers))
            self.hold["row"] = np.zeros((2, widest), dtype=self.dtype)
        spare = self.hold["row"]
        for i in range(n_layers):
            shape = &self.layers[i]
            w = coefs[i]
            b = intercepts[i]
            if shape.panel:
                row_times(row, shape.n_in, &w[0, 0], shape.n_out, shape.n_out, &b[0],
                          &z[0, 0] if i == n_layers - 1 else &spare[i % 2, 0])
            else:
                column = &spare[i % 2, 0]
                for o in range(shape.n_out):
                    for f in range(shape.n_in):
                        column[f] = w[f, o]
                    rows_dot(&row, 1, shape.n_in, column, shape.n_in, 1, &b[o], 1, &z[0, o], 1, NULL)
            if i < n_layers - 1:
                row = &spare[i % 2, 0]
                if shape.activation:
                    # whole vectors, as a batch has them
                    activate(shape.activation, <real> shape.activation_parameter, row, &spare[i % 2, 0], shape.width)
        return out

    def raw_predict_csr(self, const real[::1] data, indices, indptr, int n_threads=1):
        """:meth:`raw_predict` of CSR rows; the arrays are those of :meth:`bind_csr`."""
        cdef sparse_rows rows
        kept = point_sparse(&rows, data, indices, indptr)
        return self._predict(&rows, <const real*> NULL, 0, len(kept[1]) - 1, n_threads)

    cdef _predict(self, sparse_rows* rows, const real* x, Py_ssize_t ldx, Py_ssize_t n, int n_threads):
        cdef layer* last = &self.layers[self.task.n_layers - 1]
        cdef Py_ssize_t width = last.width
        cdef fit_task task
        cdef size_t address
        out = np.empty((n, width), dtype=self.dtype)
        if n == 0:
            return out[:, :last.n_out]
        cdef real[:, ::1] z = out
        n_threads = threads_for_work(n_threads, <double> n * self.task.n_parameters, STEP_PER_THREAD)
        wanted = ("prediction", min(n, <Py_ssize_t> self._block_rows()), n_threads)
        if self.hold.get("workspace") != wanted:
            self.hold["workspace"] = None
            self._buffers(wanted[1], n_threads)
            self.hold["workspace"] = wanted
        task = self.task
        task.sparse = rows[0]
        task.training = False
        if task.n_statistics:
            address = self._array("affine", 2 * task.n_statistics, self.dtype)
            task.affine = <void*> address
            fold_normalization(&task, x)
        with nogil:
            predict_threads(&task, x, ldx, n, &z[0, 0], n_threads)
        return out if width == last.n_out else np.ascontiguousarray(out[:, :last.n_out])


cdef tuple point_sparse(sparse_rows* rows_out, const real[::1] data, indices, indptr):
    """Points at the arrays of CSR rows; returns what must be kept alive meanwhile."""
    cdef const Py_ssize_t[::1] starts = np.ascontiguousarray(indptr, dtype=np.intp)
    cdef const int[::1] narrow
    cdef const long long[::1] wide
    # an array without entries still needs an address that says "sparse"
    rows_out.data = &data[0] if data.shape[0] else <const void*> &starts[0]
    rows_out.indptr = &starts[0]
    rows_out.wide = indices.dtype.itemsize == 8
    rows_out.indices = NULL
    if rows_out.wide:
        wide = indices
        if wide.shape[0]:
            rows_out.indices = &wide[0]
    else:
        narrow = indices
        if narrow.shape[0]:
            rows_out.indices = &narrow[0]
    return indices, starts
