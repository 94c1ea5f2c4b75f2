"""Optimizer updates over arrays, in place, with the penalty folded in.

Each rule sees ``g = clip(gradient_scale * gradient) + l2 * w`` and ends with the soft threshold that belongs to
``l1`` in
the step's own metric, so that fixed points satisfy the optimality conditions of the penalized loss and zeros are exact.
With ``eta`` the rate of one weight (for the adaptive rules ``learning_rate / (sqrt(s + epsilon_inside) + epsilon)``):

================== ============================================================ ======================================
rule               update                                                       source
================== ============================================================ ======================================
gradient_descent   w -= rate g                                                  Cauchy 1847
momentum           v = mu v - rate g;  w += v                                   Polyak 1964
nesterov           v = mu v - rate g;  w += mu v - rate g                       Nesterov 1983; Sutskever et al. 2013
adagrad            s += g^2;  w -= eta g                                        Duchi, Hazan, Singer 2011
rmsprop            s = rho s + (1-rho) g^2;  v = mu v + eta g;  w -= v          Tieleman and Hinton 2012
rmsprop_centered   the same with s - mean(g)^2 under the root                   Graves 2013
adadelta           s as rmsprop;  d = sqrt(u+eps)/sqrt(s+eps) g;                Zeiler 2012
                   u = rho u + (1-rho) d^2;  w -= rate d
adam               m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;                 Kingma and Ba 2015; with ``keep`` < 1
                   w -= step m / (root_scale sqrt(v) + eps)                     AdamW, Loshchilov and Hutter 2019
nadam              as adam with step m + step_gradient g                        Dozat 2016
lion               w -= rate sign(b1 m + (1-b1) g);  m = b2 m + (1-b2) g        Chen et al. 2023
amsgrad            as adam with the greatest v so far under the root             Reddi, Kale, Kumar 2018
adamax             m as adam;  u = max(b2 u, |g|);  w -= step m / (u + eps)      Kingma and Ba 2015, section 7.1
ftrl               n += g^2;  z += g + shrinkage w - (n^p - n_before^p)/rate w;  McMahan et al. 2013
                   w = (clip(z, l1') - z) / ((n^p + eps) / rate + l2')
lamb               u as adam's move;  w -= (||w|| / ||u||) rate u, norms of the   You et al. 2020
                   whole array, their quotient 1 where either is 0
================== ============================================================ ======================================
"""

from cython.parallel cimport prange
from libc.math cimport pow, sqrt

from fasttrain._kernels.primitives cimport (
    FT_N_UPDATES, FT_UPDATE_adam, FT_UPDATE_adamax, FT_UPDATE_amsgrad, FT_UPDATE_lamb, FT_UPDATE_momentum,
    FT_UPDATE_nadam, FT_UPDATE_nesterov, FT_UPDATE_rmsprop, FT_UPDATE_rmsprop_centered, ft_update, ft_update_names,
    moments_and_squares, update_and_square, update_span, weight_squares,
)
from fasttrain._kernels.threads cimport threads_for_work
from fasttrain._kernels.types cimport STATUS_BAD_KIND, STATUS_BAD_STRUCT, STATUS_OK, real

NAMES = tuple(ft_update_names[i].decode() for i in range(FT_N_UPDATES))

# Arrays of state that a rule keeps, in the order of s1, s2, s3; rmsprop uses s3 only with momentum.
SLOTS = {
    "gradient_descent": (),
    "momentum": ("s1",),
    "nesterov": ("s1",),
    "adagrad": ("s1",),
    "rmsprop": ("s1", "s3"),
    "rmsprop_centered": ("s1", "s2", "s3"),
    "adadelta": ("s1", "s2"),
    "adam": ("s1", "s2"),
    "nadam": ("s1", "s2"),
    "lion": ("s1",),
    "amsgrad": ("s1", "s2", "s3"),
    "adamax": ("s1", "s2"),
    "ftrl": ("s1", "s2"),
    "lamb": ("s1", "s2"),
}

# Those of them that are sums, means or greatest of squares or sizes.
NEVER_NEGATIVE = {
    "adagrad": ("s1",),
    "rmsprop": ("s1",),
    "rmsprop_centered": ("s1",),
    "adadelta": ("s1", "s2"),
    "adam": ("s2",),
    "nadam": ("s2",),
    "amsgrad": ("s2", "s3"),
    "adamax": ("s2",),
    "ftrl": ("s1",),
    "lamb": ("s2",),
}

cdef enum:
    BLOCK = 4096
    SPANS = 64              # parts of an array whose squares are added up by themselves


cdef inline double without_power(double beta, double t) noexcept nogil:
    """1 - beta^t, without the power where that rounds to 1: beta^t < exp(-38) < 2^-54."""
    return 1.0 if (1.0 - beta) * t > 38.0 else 1.0 - pow(beta, t)


cdef void adam_moments(ft_update* h, double learning_rate, double beta1, double beta2, double t,
        bint corrected_root) noexcept nogil:
    """Bias corrections of step t >= 1. Kingma and Ba give two forms: epsilon beside sqrt(v) (their section 2, what
    scikit-learn and Keras do) or, with corrected_root, beside sqrt(v / (1 - beta2^t)) (their algorithm 1, PyTorch)."""
    cdef double first = without_power(beta1, t)
    cdef double root = sqrt(without_power(beta2, t))
    h.beta1 = beta1
    h.beta2 = beta2
    if corrected_root:
        h.step = learning_rate / first
        h.root_scale = 1.0 / root
    else:
        h.step = learning_rate * root / first
        h.root_scale = 1.0


cdef void lamb_moments(ft_update* h, double learning_rate, double beta1, double beta2, double t) noexcept nogil:
    """Bias corrections of step t >= 1, as adam's with epsilon beside the corrected root; the trust ratio is still 1."""
    adam_moments(h, learning_rate, beta1, beta2, t, True)


cdef void trust(ft_update* h, double step, const double* squares) noexcept nogil:
    """Scales ``step``, what lamb_moments has made of it, by the trust ratio of an array: the norm of its weights over
    that of its moves at rate 1 (You et al. 2020, algorithm 2; Keras's choice of 1 where one of them is 0).

    squares: of the decayed weights and of the moves, summed over the array.
    """
    h.step = step
    if squares[0] > 0.0 and squares[1] > 0.0:
        h.step *= h.learning_rate * sqrt(squares[0] / squares[1])


cdef void adamax_moments(ft_update* h, double learning_rate, double beta1, double beta2, double t) noexcept nogil:
    """Bias correction of step t >= 1 of Kingma and Ba's section 7.1; the greatest gradient needs none."""
    h.beta1 = beta1
    h.beta2 = beta2
    h.step = learning_rate / without_power(beta1, t)


cdef void nadam_moments(ft_update* h, double learning_rate, double beta1, double beta2, double t, double decay,
                        double* carried_io) noexcept nogil:
    """Momentum schedule of Dozat 2016: mu_t = beta1 (1 - 0.96^(t decay) / 2). carried_io is one minus the product of
    the mu so far; it starts at 0 and is advanced."""
    cdef double mu = beta1 * (1.0 - 0.5 * pow(0.96, t * decay))
    cdef double mu_next = beta1 * (1.0 - 0.5 * pow(0.96, (t + 1.0) * decay))
    cdef double product = (1.0 - carried_io[0]) * mu
    carried_io[0] = 1.0 - product
    h.beta1 = beta1
    h.beta2 = beta2
    h.step = learning_rate * mu_next / (1.0 - product * mu_next)
    h.step_gradient = learning_rate * (1.0 - mu) / (1.0 - product)
    h.root_scale = 1.0 / sqrt(without_power(beta2, t))


cdef void velocity_rate(
        ft_update* h, int kind, double learning_rate, double momentum, double* carried_io) noexcept nogil:
    """The rate of the l1 threshold for rules with a velocity. carried_io is the sum of the rates that the velocity
    holds, each decayed as its gradient is; it starts at 0 and is advanced.

    A steady gradient c moves a weight by c times that sum. A threshold with any other factor, also with the sum's limit
    rate / (1 - momentum) while the rate changes, has its fixed point where another penalty has its optimum.
    """
    cdef double total = momentum * carried_io[0] + learning_rate
    carried_io[0] = total
    h.l1_rate = momentum * total + learning_rate if kind == FT_UPDATE_nesterov else total


cdef int update_array(
        int kind, const ft_update* h, real* w_io, const real* g, real* s1_io, real* s2_io, real* s3_io, Py_ssize_t n,
        int n_threads) noexcept nogil:
    """One step of rule ``kind`` on n weights; state arrays that the rule does not have are NULL."""
    cdef Py_ssize_t b, i, blocks = (n + BLOCK - 1) // BLOCK, spans = min(blocks, <Py_ssize_t> SPANS), last
    cdef double[2 * SPANS] parts
    cdef double[2] squares
    cdef double* sums = parts
    cdef ft_update trusted
    if h.size != sizeof(ft_update):
        return STATUS_BAD_STRUCT
    if not 0 <= kind < FT_N_UPDATES:
        return STATUS_BAD_KIND
    n_threads = threads_for_work(n_threads, <double> n, 8.0 * BLOCK)
    if kind == FT_UPDATE_lamb:
        for b in prange(spans, num_threads=n_threads, schedule="static"):
            i = blocks * b // spans * BLOCK
            last = min(n, blocks * (b + 1) // spans * BLOCK)
            sums[2 * b] = 0.0
            sums[2 * b + 1] = 0.0
            moments_and_squares(h, w_io + i, g + i, s1_io + i, s2_io + i, last - i, sums + 2 * b)
        squares[0] = 0.0
        squares[1] = 0.0
        for b in range(spans):
            squares[0] += sums[2 * b]
            squares[1] += sums[2 * b + 1]
        trusted = h[0]
        trust(&trusted, h.step, squares)
        h = &trusted
    for b in prange((n + BLOCK - 1) // BLOCK, num_threads=n_threads, schedule="static"):
        i = b * BLOCK
        update_span(
            kind, h, w_io + i, g + i, s1_io + i if s1_io != NULL else NULL, s2_io + i if s2_io != NULL else NULL,
            s3_io + i if s3_io != NULL else NULL, min(<Py_ssize_t> BLOCK, n - i))
    return STATUS_OK


cdef int adam_step(
        real* w_io, const real* g, real* m_io, real* v_io, Py_ssize_t n, double learning_rate, double beta1,
        double beta2, double epsilon, double t, double l1, double l2, int n_threads) noexcept nogil:
    """Step t >= 1 of Adam on n weights with moments m and v, epsilon beside sqrt(v), l2 in the gradient, l1 as its
    prox."""
    cdef ft_update h
    update_init(&h, learning_rate)
    adam_moments(&h, learning_rate, beta1, beta2, t, False)
    h.epsilon = epsilon
    h.l1 = l1
    h.l2 = l2
    return update_array(FT_UPDATE_adam, &h, w_io, g, m_io, v_io, <real*> NULL, n, n_threads)


cdef void _fill(ft_update* h, int kind, dict settings, double* carried):
    """From the plain numbers that fasttrain.optimizers prepares for one step; the bias corrections are made here."""
    cdef double t = settings.get("t", 1.0)
    cdef double rate = settings["learning_rate"]
    update_constants(h, settings)
    h.learning_rate = rate
    h.gradient_scale = settings.get("gradient_scale", 1.0)
    h.l1 = settings.get("l1", 0.0)
    h.l2 = settings.get("l2", 0.0)
    h.keep = 1.0 - rate * settings.get("weight_decay", 0.0)
    if kind in (FT_UPDATE_adam, FT_UPDATE_amsgrad):
        adam_moments(h, rate, h.beta1, h.beta2, t, settings.get("corrected_root", False))
    elif kind == FT_UPDATE_lamb:
        lamb_moments(h, rate, h.beta1, h.beta2, t)
    elif kind == FT_UPDATE_adamax:
        adamax_moments(h, rate, h.beta1, h.beta2, t)
    elif kind == FT_UPDATE_nadam:
        nadam_moments(h, rate, h.beta1, h.beta2, t, settings.get("momentum_decay", 1.0), carried)
    elif kind in (FT_UPDATE_momentum, FT_UPDATE_nesterov, FT_UPDATE_rmsprop, FT_UPDATE_rmsprop_centered):
        velocity_rate(h, kind, rate, h.momentum, carried)


def step_and_square(dict settings, real[::1] w_io, const real[::1] gradient, real[::1] s1_io, real[::1] s2_io):
    """:func:`step` of a rule with at most two state arrays, lamb apart; returns the sum of squares of the new weights.

    All arrays are of shape (n,), n at least 1.
    """
    cdef ft_update h
    cdef double carried = 0.0
    cdef int kind = NAMES.index(settings["rule"])
    cdef Py_ssize_t n = w_io.shape[0]
    if not gradient.shape[0] == s1_io.shape[0] == s2_io.shape[0] == n > 0:
        raise ValueError(f"gradient, s1_io and s2_io must have shape ({n},), n at least 1, got ({gradient.shape[0]},), "
                         f"({s1_io.shape[0]},) and ({s2_io.shape[0]},)")
    _fill(&h, kind, settings, &carried)
    return update_and_square(kind, &h, &w_io[0], &gradient[0], &s1_io[0], &s2_io[0], <real*> NULL, n)


def squares_of_weights(const real[::1] w):
    """What :func:`step_and_square` returns of weights (n,), n at least 1, that are as it left them."""
    return weight_squares(&w[0], w.shape[0])


def step(dict settings, real[::1] w_io, const real[::1] gradient, real[::1] s1_io=None, real[::1] s2_io=None,
         real[::1] s3_io=None, double carried=0.0, int n_threads=1):
    """One update of ``w_io`` and its state arrays, in place.

    Parameters
    ----------
    settings : dict
        ``rule`` (one of ``NAMES``), ``learning_rate``, and what the rule needs: ``t`` (the step's number from 1),
        ``momentum``,
        ``beta1``, ``beta2`` (also rho), ``epsilon``, ``epsilon_inside``, ``corrected_root``, ``momentum_decay``,
        ``gradient_scale``, ``clip_value``, ``l1``, ``l2``, ``weight_decay``.
    w_io, gradient : arrays of shape (n,)
    s1_io, s2_io, s3_io : arrays of shape (n,)
        Those that ``SLOTS[rule]`` names.
    carried : float
        What the step before returned; 0 before the first.

    Returns
    -------
    float
        The one number that some rules carry from step to step: of those with a velocity the sum of its decayed rates,
        of NAdam one minus the product of its momentum coefficients.
    """
    cdef ft_update h
    cdef int kind
    cdef Py_ssize_t n = w_io.shape[0]
    rule = settings["rule"]
    if rule not in NAMES:
        raise ValueError(f"rule must be one of {', '.join(NAMES)}, got {rule!r}")
    kind = NAMES.index(rule)
    given = {"s1": s1_io, "s2": s2_io, "s3": s3_io}
    for slot in SLOTS[rule]:
        if given[slot] is None:
            if rule == "rmsprop" and slot == "s3":
                continue
            raise ValueError(f"{rule} needs the state array {slot}_io")
    for name, array in (("gradient", gradient), *((f"{slot}_io", a) for slot, a in given.items() if a is not None)):
        if array.shape[0] != n:
            raise ValueError(f"{name} must have shape ({n},), got ({array.shape[0]},)")
    _fill(&h, kind, settings, &carried)
    if n:
        with nogil:
            update_array(
                kind, &h, &w_io[0], &gradient[0], &s1_io[0] if s1_io is not None else NULL,
                &s2_io[0] if s2_io is not None else NULL, &s3_io[0] if s3_io is not None else NULL, n, n_threads)
    return carried
