"""What modules answer when they are asked for a name of Keras that they do not have."""

import re
from difflib import get_close_matches

# Of each module: which names, what they are, and what to do instead. The first that fits is said.
_ELSEWHERE = "build it with Keras or PyTorch"
_KINDS = {
    "layers": [
        (r"Conv|Separable|Depthwise", "a convolution", _ELSEWHERE),
        (r"Pool|UpSampling|ZeroPadding|Cropping|Spatial", "a layer of images or series", _ELSEWHERE),
        (r"LSTM|GRU|RNN|Bidirectional|TimeDistributed|Masking|RepeatVector", "a layer of sequences", _ELSEWHERE),
        (r"Attention", "attention", _ELSEWHERE),
        (r"Random|Rand|Mix|Resizing|CenterCrop|AugMix|AutoContrast|Equaliz|Solarization|Bounding|Histogram",
         "a change of images", _ELSEWHERE),
        (r"Add$|Subtract|Multiply|Average$|Maximum|Minimum|Concatenate|Dot$|add|subtract|multiply|average|maximum|"
         r"minimum|concatenate|dot", "a join of several branches, and models here are chains", _ELSEWHERE),
        (r"Lookup|CategoryEncoding|Hash|Discretization|TextVectorization|Embedding|EinsumDense",
         "an encoding of categories or text",
         "encode the columns first, with fasttrain.preprocessing or scikit-learn"),
        (r"Normalization", "another normalization",
         "use Normalization of the rows before the first Dense, or BatchNormalization"),
        (r"Dropout|Gaussian", "another noise", "use Dropout, or GaussianNoise before the first Dense"),
        (r"ActivityRegularization", "a penalty of outputs", "use kernel_regularizer of Dense"),
        (r"PReLU", "an activation with weights of its own", "use LeakyReLU"),
        (r"Reshape", "rows of several axes", "use Flatten before the first Dense"),
        (r"Lambda|Layer$|Wrapper|InputSpec", "a part of computations of one's own", _ELSEWHERE),
    ],
    "optimizers": [
        (r"legacy", "what Keras 2 had", "use the classes of this module"),
        (r"Adafactor", "a rule of factors of a layer's array, where each weight has its own memory here",
         "use Adam, or Lamb for large batches"),
        (r"Muon", "a rule of products of a layer's array, where weights are updated block by block here",
         "use Adam, or Lamb for large batches"),
        (r"ScheduleFree", "a rule that trains other weights than it evaluates",
         "use Adam with use_ema, whose averages take the weights' place"),
        (r"LossScale", "what half precision needs", "use the optimizer itself, in float32 or float64"),
    ],
    "callbacks": [
        (r"RemoteMonitor", "a logger to a server", "post the logs from a LambdaCallback"),
        (r"Progbar", "what fit prints by itself", "use verbose, or ProgressBar"),
        (r"SwapEMA", "an exchange of weights", "use use_ema of the optimizer, which puts the averages in at the end"),
        (r"Orbax", "a format of JAX's checkpoints", "use ModelCheckpoint or BackupAndRestore"),
    ],
    "losses": [(r"CTC|ctc", "a loss of sequences", _ELSEWHERE), (r"Circle|circle", "a loss of embeddings", _ELSEWHERE)],
    "activations": [
        (r"glu|sparsemax|log_softmax", "an activation that joins the outputs of a row",
         "use softmax in the last layer"),
        (r"threshold|.*shrink|sparse_|squareplus", "a rare activation", "use relu, tanh, hard_tanh or softplus"),
    ],
    "regularizers": [
        (r"Orthogonal|orthogonal", "a penalty of products of weights",
         "use L1, L2 or L1L2, or the Orthogonal initializer"),
    ],
    "saving": [
        (r"KerasFileEditor", "an editor of files", "load the model and change it"),
        (r"(de)?serialize_keras_object", "a form of any object of Keras",
         "use serialize and deserialize of the module that the object is of"),
    ],
    "metrics": [(r".*IoU", "a metric of segmented images", "use scikit-learn's on the predictions")],
    "utils": [
        (r"image|img|audio|text_dataset|timeseries|pad_sequences|FeatureSpace", "a reader of images, sound or text",
         "read them into arrays first"),
        (r"(de)?serialize_keras_object", "a form of any object of Keras",
         "use serialize and deserialize of the module that the object is of"),
        (r"is_interactive_logging", "a switch of what Keras prints", "use verbose"),
        (r"standardize_dtype", "the name of a dtype of any backend", "use numpy.dtype(...).name"),
        (r"Progbar", "a bar for loops of one's own", "use fasttrain.callbacks.ProgressBar in fit"),
        (r"plot_model|model_to_dot", "a drawing of a graph", "use summary(), or show the model in a notebook"),
    ],
    "": [
        (r"applications", "the networks of images", _ELSEWHERE),
        (r"datasets", "data sets", "read them with scikit-learn"),
        (r"distribution|device", "the use of several devices", "use fasttrain.dask for several machines"),
        (r"quantizers|mixed_precision|dtype_policies|DTypePolicy", "another precision of numbers",
         "use dtype of the layers, float32 or float64"),
        (r"export", "a writer of other formats", "use fasttrain.interop"),
    ],
}


def absent(module, names):
    """A module's ``__getattr__``: an AttributeError that says what is missing, and where to go.

    Parameters
    ----------
    module : str
        Its name.
    names : list of str
        What it has.
    """
    room = module.removeprefix("fasttrain.keras").removeprefix(".")

    def __getattr__(name):
        message = f"module {module!r} has no attribute {name!r}"
        if name.startswith("__"):
            raise AttributeError(message)
        for pattern, what, instead in _KINDS.get(room, ()):
            if re.match(pattern, name) or (room == "layers" and re.search(pattern, name)):
                raise AttributeError(f"{message}: it is {what}; fasttrain trains dense networks, so {instead}")
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
        raise AttributeError(f"{message}; fasttrain has the parts of Keras for dense networks: {hint}")

    return __getattr__
