"""The shape of a dense network, and its parameters in the engine's layout."""

import numpy as np

from cpython.buffer cimport PyBUF_ANY_CONTIGUOUS, PyBuffer_Release, PyObject_GetBuffer
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fasttrain._kernels.layers cimport NORMALIZE_AFTER, NORMALIZE_BEFORE, group, group_count, layer_init
from fasttrain._kernels.passes cimport task_group

from fasttrain._kernels import activations as _activations
from fasttrain._kernels import primitives as _primitives


cdef size_t address_of(array) except? 0:
    """Where a contiguous array begins: ``array.ctypes.data``, which takes a microsecond."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_ANY_CONTIGUOUS)
    cdef size_t address = <size_t> view.buf
    PyBuffer_Release(&view)
    return address


def aligned(size, dtype, page_offset=0):
    """Zeros (size,) that start ``page_offset`` bytes after a multiple of 4096: vectors then never straddle two lines.

    Arrays that are walked together had better differ in it, since a processor that compares only the low bits of
    addresses would take a load from the one for what has just been stored in the other.
    """
    size_in_bytes = size * np.dtype(dtype).itemsize
    memory = np.zeros(size_in_bytes + 4096, dtype=np.uint8)
    start = (page_offset - address_of(memory)) % 4096
    return memory[start:start + size_in_bytes].view(dtype)


cdef class Layout:
    """Layers of a dense network and their parameters; :class:`fasttrain._kernels.network.Network` trains them.

    Attributes
    ----------
    parameters : array of shape (n_parameters,)
        Of all layers, as ``layers.pxd`` describes, with padding.
    moving_mean, moving_variance : float64 arrays
        Of the columns of normalized layers.
    """

    def __cinit__(self, Py_ssize_t n_features, Py_ssize_t n_outputs, dtype="float64", fit_intercept=True, hidden=(),
                  activations=(), normalize=()):
        cdef Py_ssize_t offset = 0, transposed = 0, columns = 0, n_in, n_out
        cdef int i, place, n_layers = len(hidden) + 1
        cdef bint bias
        cdef layer* shape
        _primitives.settle()
        self.dtype = np.dtype(dtype)
        self.fit_intercept = fit_intercept
        self.normalize = tuple(normalize) or (None,) * len(hidden)
        self.activations = tuple((name, float(parameter)) for name, parameter in activations)
        self.is_double = self.dtype.itemsize == 8
        self.layers = <layer*> calloc(n_layers, sizeof(layer))
        if self.layers == NULL:
            raise MemoryError(f"no memory for {n_layers} layers")
        memset(&self.task, 0, sizeof(fit_task))
        widths = [n_features, *hidden, n_outputs]
        biases = [fit_intercept] * n_layers if isinstance(fit_intercept, bool) else list(fit_intercept)
        places = {None: 0, "before": NORMALIZE_BEFORE, "after": NORMALIZE_AFTER}
        for i in range(n_layers):
            shape = &self.layers[i]
            n_in, n_out = widths[i], widths[i + 1]
            place = places[self.normalize[i]] if i < n_layers - 1 else 0
            bias = biases[i]
            if self.is_double:
                layer_init(shape, n_in, n_out, offset, bias, i == n_layers - 1, place, <const double*> NULL)
            else:
                layer_init(shape, n_in, n_out, offset, bias, i == n_layers - 1, place, <const float*> NULL)
            offset += shape.size
            shape.n_groups = group_count(shape)
            self.task.n_groups += shape.n_groups
            if i < n_layers - 1:
                name, parameter = activations[i]
                shape.activation = _activations.NAMES.index(name)
                shape.activation_parameter = parameter
            if shape.normalize:
                shape.statistics = columns
                columns += shape.width
            if i:
                shape.back_width = self.layers[i - 1].width
                shape.back_panel = self.layers[i - 1].panel
                shape.transposed = transposed
                transposed += shape.back_width * shape.n_out
        self.parameters = aligned(offset, self.dtype)
        self.transposed = aligned(transposed, self.dtype, 512)
        self.moving_mean = np.zeros(columns)
        self.moving_variance = np.ones(columns)
        self.hold = {}
        self.task.layers = self.layers
        self.task.n_layers = n_layers
        self.task.n_parameters = offset
        self.task.n_statistics = columns
        self._list_groups()
        self.task.is_double = self.is_double
        self.set_gains(self.parameters, 1.0)
        self._lay_out()

    cdef int _list_groups(self) except -1:
        """Works the groups out once, which steps of small networks would spend much of their time on."""
        cdef Py_ssize_t number
        self.groups = <group*> calloc(self.task.n_groups, sizeof(group))
        if self.groups == NULL:
            raise MemoryError(f"no memory for {self.task.n_groups} groups of parameters")
        for number in range(self.task.n_groups):
            self.groups[number] = task_group(&self.task, number)
        self.task.groups = self.groups
        return 0

    def __dealloc__(self):
        free(self.layers)
        free(self.groups)

    def pack_layers(self, coefs, intercepts, out=None):
        """Array in the engine's layout of each layer's ``coef`` (n_in, n_out) and ``intercept`` (n_out,).

        ``out`` is one of before to write to, such as ``parameters``.
        """
        packed = np.zeros(self.task.n_parameters, dtype=self.dtype) if out is None else out
        self.set_gains(packed, 1.0)
        for i, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
            for rows, first, last in self._panels(packed, i):
                rows[:-1, :last - first] = coef[:, first:last]
                rows[-1, :last - first] = intercept[first:last]
        return packed

    def unpack_layers(self, packed):
        """Lists of each layer's ``coef`` (n_in, n_out) and ``intercept`` (n_out,), copied."""
        coefs, intercepts = [], []
        for i in range(self.task.n_layers):
            coef = np.empty((self.layers[i].n_in, self.layers[i].n_out), dtype=self.dtype)
            intercept = np.empty(self.layers[i].n_out, dtype=self.dtype)
            for rows, first, last in self._panels(packed, i):
                coef[:, first:last] = rows[:-1, :last - first]
                intercept[first:last] = rows[-1, :last - first]
            coefs.append(coef)
            intercepts.append(intercept)
        return coefs, intercepts

    def pack(self, coef, intercept):
        """:meth:`pack_layers` of a linear model, ``coef`` of shape (n_outputs, n_features)."""
        return self.pack_layers([coef.T], [intercept])

    def unpack(self, packed):
        """``coef`` (n_outputs, n_features) and ``intercept`` (n_outputs,) of a linear model, copied."""
        coefs, intercepts = self.unpack_layers(packed)
        return np.ascontiguousarray(coefs[0].T), intercepts[0]

    def _panels(self, packed, int number):
        """Views (n_in + 1, columns) of each panel of a layer, with the outputs [first, last) that it holds."""
        cdef layer* shape = &self.layers[number]
        own = packed[shape.offset:shape.offset + shape.size]
        if shape.panel == 0:
            yield own.reshape(shape.n_out, shape.n_in + 1).T, 0, shape.n_out
            return
        for first in range(0, shape.width, shape.panel):
            columns = min(shape.panel, shape.width - first)
            start = first * (shape.n_in + 1)
            rows = own[start:start + (shape.n_in + 1) * columns].reshape(shape.n_in + 1, columns)
            yield rows, first, min(shape.n_out, first + columns)

    def set_gains(self, packed, value):
        """Put ``value`` where the gains of the normalized layers are."""
        for gain, _ in self.gains_and_shifts(packed):
            gain[:] = value

    def gains_and_shifts(self, packed):
        """Views (n_out,) of the gain and the shift of each normalized layer, from the input upwards."""
        cdef int i
        views = []
        for i in range(self.task.n_layers - 1):
            shape = &self.layers[i]
            if shape.normalize:
                start = shape.offset + (shape.n_in + 1) * shape.width
                rows = packed[start:start + 2 * shape.width].reshape(2, shape.width)
                views.append((rows[0, :shape.n_out], rows[1, :shape.n_out]))
        return views

    def moving_statistics(self, mean=None, variance=None):
        """Views (n_out,) of the moving mean and variance of each normalized layer, float64.

        ``mean`` and ``variance`` are to be viewed in the place of ``moving_mean`` and ``moving_variance``.
        """
        cdef int i
        views = []
        mean = self.moving_mean if mean is None else mean
        variance = self.moving_variance if variance is None else variance
        for i in range(self.task.n_layers - 1):
            shape = &self.layers[i]
            if shape.normalize:
                own = slice(shape.statistics, shape.statistics + shape.n_out)
                views.append((mean[own], variance[own]))
        return views

    def _lay_out(self):
        """Places of a row's values; they change with what stands between two layers."""
        cdef Py_ssize_t size = 0
        cdef int i
        cdef layer* shape
        for i in range(self.task.n_layers):
            shape = &self.layers[i]
            shape.d = size
            size += shape.width
            if i == self.task.n_layers - 1:
                if shape.activation:
                    shape.z = size
                    shape.a = size + shape.width
                    size += 2 * shape.width
                break
            shape.a = shape.z = shape.o = shape.s = size
            size += shape.width
            if _activations.NAMES[shape.activation] in _activations.NEEDS_INPUT:
                shape.z = size
                size += shape.width
            if shape.normalize:
                shape.s = size
                size += shape.width
            if shape.normalize == NORMALIZE_AFTER or shape.drop_rate > 0.0:
                shape.o = size
                size += shape.width
        self.task.input = size
        self.task.copies_input = (
            self.task.noise > 0.0 or self.task.input_drop_rate > 0.0 or self.hold.get("mixup") is not None)
        if self.task.copies_input:
            size += self.layers[0].n_in
        self.task.row_size = size
        self.hold["workspace"] = None
