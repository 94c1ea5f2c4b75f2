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
        (r"Normalization|Rescaling", "another normalization",
         "scale the rows first, with fasttrain.preprocessing.StandardScaler, or use BatchNormalization"),
        (r"Dropout|Gaussian", "another noise", "use Dropout"),
        (r"Lambda|Layer$|Wrapper", "a computation of one's own", _ELSEWHERE),
    ],
    "optimizers": [(r"legacy", "what Keras 2 had", "use the classes of this module")],
    "callbacks": [
        (r"RemoteMonitor", "a logger to a server", "post the logs from a LambdaCallback"),
        (r"SwapEMA", "an exchange of weights", "use use_ema of the optimizer, which puts the averages in at the end"),
        (r"Orbax", "a format of JAX's checkpoints", "use ModelCheckpoint or BackupAndRestore"),
    ],
    "losses": [(r"CTC|ctc", "a loss of sequences", _ELSEWHERE), (r"Circle|circle", "a loss of embeddings", _ELSEWHERE)],
    "metrics": [(r".*IoU", "a metric of segmented images", "use scikit-learn's on the predictions")],
    "utils": [
        (r"image|img|audio|text_dataset|timeseries|pad_sequences|FeatureSpace", "a reader of images, sound or text",
         "read them into arrays first"),
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
