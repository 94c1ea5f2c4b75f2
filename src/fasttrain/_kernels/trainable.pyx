"""What the steps of a network minimize, and what training adds to them."""

import numpy as np

from fasttrain._kernels.layers cimport is_constrained, layer
from fasttrain._kernels.passes cimport OVER_NOTHING, OVER_ROWS, OVER_WEIGHTS
from fasttrain._kernels.prediction cimport Predictor

from fasttrain._kernels import activations as _activations
from fasttrain._kernels import losses as _losses


cdef class Trainable(Predictor):
    """A predictor with what its training minimizes; :class:`fasttrain._kernels.network.Network` trains it."""

    def __cinit__(self, *args, **kwargs):
        self.task.statistics_momentum = 0.99
        self.task.statistics_epsilon = 1e-3
        self.task.loss_parameter = 1.0
        self.task.value_scale = 1.0
        self.task.loss_scale = 1.0

    def set_loss(self, name, double parameter=1.0):
        """Choose the loss by its kernel name."""
        self.task.loss = _losses.NAMES.index(name)
        self.task.loss_parameter = parameter
        self.loss = (name, parameter)

    def set_value_scale(self, double scale):
        """Factor of the reported loss, the penalty apart; the gradient keeps its size."""
        self.task.value_scale = scale

    def set_reduction(self, double scale=1.0, over="weights"):
        """How the losses of a batch become one number: their weighted sum, times ``scale``, divided by ``over``.

        over : {'weights', 'rows', 'nothing'}
            The sum of the rows' weights, their number, or 1.
        """
        self.task.loss_scale = scale
        self.task.reduction = {"weights": OVER_WEIGHTS, "rows": OVER_ROWS, "nothing": OVER_NOTHING}[over]

    def set_output_activation(self, name, double parameter=1.0):
        """Apply an activation to the outputs before an elementwise loss; predictions stay raw. 'identity' for none."""
        cdef layer* shape = &self.layers[self.task.n_layers - 1]
        number = _activations.NAMES.index(name)
        if number != shape.activation:
            shape.activation = number
            self._lay_out()
        shape.activation_parameter = parameter

    def set_penalty(self, l1, l2, bint over_batch=False):
        """``l1 * sum|w| + l2 / 2 * sum w^2`` over the weights, not the biases; each a number or one for each layer.

        With ``over_batch`` it is divided by the batch's weight, as scikit-learn's MLP does.
        """
        cdef int i
        n = self.task.n_layers
        l1, l2 = ([value] * n if np.ndim(value) == 0 else value for value in (l1, l2))
        for i in range(n):
            self.layers[i].l1 = l1[i]
            self.layers[i].l2 = l2[i]
        self.task.penalty_over_batch = over_batch

    # ---- what training adds to a step ----

    def set_seed(self, seed):
        """Seed of dropout, noise and mixing, an int; what they draw is a function of it, the step and the place."""
        self.task.seed = seed & 0xFFFFFFFFFFFFFFFF
        self.hold["seed"] = seed

    @property
    def seed(self):
        """What :meth:`set_seed` was given, 0 before: with ``counters``, all that the draws hang on."""
        return self.hold.get("seed", 0)

    def set_dropout(self, rates):
        """Shares dropped of the input and of each hidden layer's outputs (n_layers numbers in [0, 1)).

        What is kept is multiplied by ``1 / (1 - rate)`` (inverted dropout; Srivastava et al., 2014); predictions drop
        nothing.
        """
        cdef int i
        self.task.input_drop_rate = rates[0]
        for i in range(self.task.n_layers - 1):
            self.layers[i].drop_rate = rates[i + 1]
        self._lay_out()

    def set_noise(self, double deviation):
        """Standard deviation of the normal noise that each step adds to its input; 0 for none."""
        self.task.noise = deviation
        self._lay_out()

    def set_mixup(self, alpha):
        """Mix each row, and its target and weight, with another of its batch; 0 for none.

        ``a x_i + (1 - a) x_j`` with one ``a ~ Beta(alpha, alpha)`` a step (Zhang et al., mixup, 2018) and j at one
        distance from i, drawn a step, in the batch's order.
        """
        self.hold["mixup"] = float(alpha) if alpha else None
        self._lay_out()

    def set_max_norm(self, limits):
        """Largest L2 norm of the incoming weights of a unit of each layer, held after each update; inf for none."""
        cdef int i
        for i in range(self.task.n_layers):
            self.layers[i].max_norm = limits[i]
        self._note_constraints()

    def set_constraints(self, bounds, non_negative):
        """Norms of the incoming weights of a unit and signs of the weights of each layer, held after each update.

        Parameters
        ----------
        bounds : sequence of (least, largest, share)
            Norms outside ``[least, largest]`` go ``share`` of the way to the nearer end; (0, inf, 1) for none.
        non_negative : sequence of bool
            Whether weights below zero become zero.
        """
        cdef int i
        for i in range(self.task.n_layers):
            self.layers[i].min_norm, self.layers[i].max_norm, self.layers[i].norm_share = bounds[i]
            self.layers[i].non_negative = non_negative[i]
        self._note_constraints()

    def _note_constraints(self):
        cdef int i
        self.task.constrains = False
        for i in range(self.task.n_layers):
            self.task.constrains |= is_constrained(&self.layers[i])

    def set_lanes(self, bint wanted):
        """Whether steps on all rows may read them from a copy in which a row has a lane, where ``lanes.pyx`` says so.

        They are then sooner over, and to rounding those of a batch of the same rows among others.
        """
        self.task.wants_lanes = wanted

    def set_normalization(self, double momentum=0.99, double epsilon=1e-3):
        """How slowly the moving statistics of normalized layers follow, and what is added to a variance."""
        self.task.statistics_momentum = momentum
        self.task.statistics_epsilon = epsilon

    @property
    def normalization_epsilon(self):
        """What is added to a variance of normalized layers; None where there are none."""
        return self.task.statistics_epsilon if any(self.normalize) else None
