"""Keras's functional way to write a chain: layers called on what others put out."""

from fasttrain.keras._layer import InputLayer, KerasTensor


def chain_between(inputs, outputs):
    """The input layer and the layers from it to an output, from the input upwards.

    Parameters
    ----------
    inputs : InputLayer, or list of one
    outputs : KerasTensor, or list of one

    Raises
    ------
    ValueError, TypeError
        When there are several, when a layer stands in the chain twice, or when it does not begin at the input; the
        message names the layer.
    """
    start = _only(inputs, "inputs", InputLayer)
    end = _only(outputs, "outputs", KerasTensor)
    layers, here = [], end
    while isinstance(here, KerasTensor):
        if any(here.layer is layer for layer in layers):
            raise ValueError(
                f"layer {here.layer.name!r} is shared: it stands in the model twice; fasttrain trains chains of dense "
                "layers, so build this model with Keras or PyTorch")
        layers.append(here.layer)
        here = here.parent
    if here is not start:
        raise ValueError(
            f"layer {layers[-1].name!r} is called on input {here.name!r}, which is not inputs, {start.name!r}")
    return start, layers[::-1]


def _only(given, argument, kind):
    several = list(given.values()) if isinstance(given, dict) else given
    several = list(several) if isinstance(several, (list, tuple)) else [several]
    for one in several:
        if not isinstance(one, kind):
            made = "Input(shape=...)" if kind is InputLayer else "a layer called on an input"
            raise TypeError(f"{argument} must be what {made} gives, got {type(one).__name__}")
    if len(several) != 1:
        names = ", ".join(repr(one.name if kind is InputLayer else one.layer.name) for one in several)
        raise ValueError(
            f"{argument} must be one, as fasttrain trains chains of dense layers, got {len(several)}: {names}; build a "
            "model of several branches with Keras or PyTorch")
    return several[0]
