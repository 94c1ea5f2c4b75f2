"""What the docstrings of MLPClassifier and MLPRegressor share, written once."""

import inspect

PARAMETERS = """\
hidden_layer_sizes : array-like of int or int, default=(100,)
    Units of each hidden layer, at least 1; empty for a linear model.
activation : str, fasttrain.activations.Activation or list of them, default='relu'
    'identity', 'logistic', 'tanh', 'relu' as in scikit-learn, and every elementwise one of
    :mod:`fasttrain.activations`. A list has one for each hidden layer.
solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
    'lbfgs' takes all rows at once and computes in float64.
alpha : float, default=0.0001
    Strength of the L2 penalty ``alpha / 2 * sum W^2``, which is divided by the batch's weight.
batch_size : int or 'auto', default='auto'
    Rows of a step; 'auto' is ``min(200, n_samples)``.
learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
    For ``solver='sgd'`` without ``schedule``. 'invscaling': ``learning_rate_init / (t_ + 1) ** power_t`` after each
    epoch; 'adaptive': a fifth whenever training would stop, until it is 1e-6 or less.
learning_rate_init : float, default=0.001
    Learning rate of 'sgd' and 'adam', greater than 0.
power_t : float, default=0.5
    Exponent of 'invscaling', at least 0.
max_iter : int, default=200
    Most epochs, or iterations of 'lbfgs'.
shuffle : bool, default=True
    Take the rows in a new order in each epoch.
random_state : int, RandomState instance or None, default=None
    Draws initial weights, the validation split, the order of the rows, and the seed of dropout, noise and mixup.
tol : float, default=1e-4
    Smallest improvement of the training loss, or of the validation score with ``early_stopping``, that counts; for
    'lbfgs' the largest element of the gradient at which it stops.
verbose : bool or int, default=False
    Print the loss of each epoch.
warm_start : bool, default=False
    Start from the last fit's ``coefs_`` and ``intercepts_``.
momentum : float, default=0.9
    Of 'sgd', from 0 to 1.
nesterovs_momentum : bool, default=True
    Of 'sgd'.
early_stopping : bool, default=False
    Hold rows out, stop when their score does not improve, keep the weights of the best score.
validation_fraction : float, default=0.1
    Share of the rows that ``early_stopping`` holds out.
beta_1, beta_2, epsilon : float, default=0.9, 0.999 and 1e-8
    Of 'adam'.
n_iter_no_change : int, default=10
    Epochs in a row without an improvement that are borne; infinity for all.
max_fun : int, default=15000
    Most evaluations of the loss by 'lbfgs'.
{own}\
optimizer : str, fasttrain.optimizers.Optimizer or None, default=None
    In place of ``solver``: its own learning rate, constants, gradient clipping and weight decay hold, and those above
    (``learning_rate``, ``learning_rate_init``, ``momentum``, ``beta_1`` ...) are not used. A name stands for the
    optimizer with its defaults.
schedule : str, fasttrain.schedules.Schedule or None, default=None
    Learning rates of the steps, from the solver's or optimizer's; laid out over ``max_iter`` epochs.
    'reduce_on_plateau' watches the loss on ``validation_data``, else the training loss.
penalties : str, fasttrain.penalties.Penalty, list of them or None, default=None
    In place of ``alpha``: one for all layers, or a list of one for each, the output's last (None: no penalty). They
    are added to the mean loss as they are, not divided by the batch's weight. L1 is applied by its proximal map, so
    weights that it removes are exactly 0.
dropout : float or list of float, default=0.0
    Probability, at least 0 and less than 1, that a hidden unit's output is 0 in a row of a training step; what is left
    is divided by one minus it (Srivastava et al. 2014). A list has one for each hidden layer.
input_dropout : float, default=0.0
    The same for the features.
noise : float, default=0.0
    Standard deviation of Gaussian noise that is added to the features of each training step.
mixup : float, default=0.0
    With a number > 0, a step trains on ``m x_i + (1 - m) x_j`` with targets and weights mixed alike; j are the batch's
    rows in another order and m is drawn from Beta(mixup, mixup) once a step (Zhang et al. 2018).
max_norm : float, list of float or None, default=None
    Largest Euclidean norm of a unit's incoming weights; after a step, longer ones are scaled down to it (Srebro and
    Shraibman 2005). A list has one for each layer, the output's last (None: no limit).
averaging : {None, 'ema', 'swa'}, default=None
    Predict with an average of the weights over the steps: 'ema' ``a = averaging_decay * a + (1 - averaging_decay) *
    w`` after each step (Polyak and Juditsky 1992), 'swa' the mean of the weights at the ends of epochs (Izmailov et
    al. 2018). ``coefs_``, ``intercepts_``, scores and validation losses are those of the average; training itself does
    not see it. The moving statistics of ``batch_norm`` are not averaged.
averaging_decay : float, default=0.999
    Of 'ema', at least 0 and less than 1.
averaging_start : int, default=1
    The average begins with the weights at the end of this epoch.
batch_norm : {None, 'before', 'after'} or list of them, default=None
    Batch normalization of a hidden layer's values before or after its activation (Ioffe and Szegedy 2015): ``scale *
    (v - mean) / sqrt(variance + 0.001) + shift`` with mean and variance of the batch in training. Predictions take
    moving ones, ``batch_norm_momentum * m + (1 - batch_norm_momentum) * mean`` after each step, that start from 0 and
    1. A list has one for each hidden layer.
batch_norm_momentum : float, default=0.99
    How slowly the moving statistics follow, at least 0 and less than 1: some hundreds of steps with the default, so
    little data and few epochs want less.
callbacks : callback, function of (epoch, logs), list of them or None, default=None
    See :func:`fasttrain.callbacks.as_callbacks`.
progress : bool, default=False
    Show a bar of the epochs with the latest losses.
n_threads : int, default=None
    Most threads to use, None for all that the process may use; the model does not depend on it.
dtype : {'float32', 'float64'} or None, default=None
    To compute in; None takes that of X when it is one of these, else float64.\
"""

ATTRIBUTES = """\
coefs_ : list of arrays of shape (n_in, n_out)
    Weights of each layer.
intercepts_ : list of arrays of shape (n_out,)
    Biases of each layer.
batch_norm_ : list or None
    With ``batch_norm``, for each hidden layer None or a dict of its 'place' ('before', 'after') and arrays of shape
    (n_out,): 'scale' and 'shift' (of the average with ``averaging``), 'mean' and 'variance' (the moving ones).
loss_, best_loss_ : float
    The last and the lowest of ``loss_curve_``; ``best_loss_`` is None with early stopping.
loss_curve_ : list of float
    Objective of each epoch: the mean over its rows of the batches' objectives, each before its step. Of each iteration
    for L-BFGS.
validation_scores_ : list of float or None
    {score} on held-out rows, or on ``validation_data``, after each epoch.
best_validation_score_ : float or None
    The highest of them.
validation_loss_curve_ : list of float or None
    Loss on ``validation_data`` after each epoch, without penalty.
n_iter_, t_ : int
    Epochs (iterations) of the last fit; rows that training has seen.
n_layers_, n_outputs_, n_features_in_ : int
    Layers with input and output; outputs; features.
feature_names_in_ : array of str
    When X had column names.\
"""


def document(own="", score=""):
    """Class decorator that puts the shared parts where the docstring says ``{parameters}`` and ``{attributes}``."""

    def fill(cls):
        if cls.__doc__ is not None:
            text = inspect.cleandoc(cls.__doc__)
            text = text.replace("{parameters}", PARAMETERS.replace("{own}", own))
            cls.__doc__ = text.replace("{attributes}", ATTRIBUTES.replace("{score}", score))
        return cls

    return fill
