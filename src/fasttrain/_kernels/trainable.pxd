"""What the steps of a network minimize, and what training adds to them."""

from fasttrain._kernels.prediction cimport Predictor


cdef class Trainable(Predictor):
    cdef readonly tuple loss
