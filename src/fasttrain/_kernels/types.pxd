"""The types every kernel shares.

The order of ``real`` is frozen: specialisation 0 is float, 1 is double, and packages that cimport a fused kernel
rely on it.
"""

ctypedef fused real:
    float
    double

cdef enum status:
    STATUS_OK = 0
    STATUS_NO_MEMORY = 1      # a malloc that the kernel needed failed; nothing was written
    STATUS_BAD_KIND = 2       # a loss, activation or update number that is not in the registry
    STATUS_NOT_FINITE = 3     # the loss or the parameters left the finite numbers
    STATUS_OUT_OF_RANGE = 4   # an index points outside its array, or a size is below what it may be
    STATUS_BAD_STRUCT = 5     # a struct's size is not the one of this build; nothing was written
