"""The ground floor: compiled kernels that know nothing of Python objects.

============ =======================================================================================================
csrc         the only C: one-sample formulas, spans, products and per-sample descent, compiled once an instruction set
types        the fused ``real``, status codes
scalar       the formulas inline, to cimport
primitives   the table of vector primitives in the instruction set chosen at import
threads      how many threads: the one place that decides
losses       value and gradient over arrays
activations  forward and backward over arrays
penalties    value, gradient, proximal map
updates      every optimizer's step, the penalty folded in
layers       one dense layer: its parameters in memory, the products of its rows
passes       one block of rows through a dense network and back
lanes        full-batch steps of a linear model on few rows, a row to a lane
normalization  batch normalization in a training step
noise        keys of the random bits of a training step (header only)
steps        training steps of a dense network on plain structs
layout       the shape of a network, its parameters as the engine keeps them
trainable    what the steps of a network minimize, what training adds to them
network      the engine as Python sees it: whole epochs, objectives, predictions
dense        a network's values and gradients for other compiled code, on plain structs
sgd          per-sample stochastic descent, one model or many in lockstep
coordinate   coordinate descent with an elastic-net penalty, along a path of penalties
stacked      full-batch linear fits of many folds and candidates as columns of one product
columns      column statistics, scaling
gram         sums of products of columns: what least squares needs of a table
quantiles    order statistics by selection
rows         missing, duplicate and outlier masks; row moves
interleaving  columns put together as rows
categories   one-hot, ordinal and label codes
objects      codes of Python objects; the one kernel that holds the interpreter's lock
============ =======================================================================================================

Every module has a .pxd that other packages may cimport.
"""
