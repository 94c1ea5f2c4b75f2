"""What an optimizer remembers in the order of Keras's files."""

import numpy as np

from fasttrain.keras.optimizers.schedules import LearningRateSchedule
from fasttrain.training.engine import array_to_layers


def slots_of(optimizer):
    """The optimizer's arrays in Keras's order: groups of slots, whose arrays alternate from variable to variable."""
    spec = optimizer.spec()
    slots = {
        "gradient_descent": [], "momentum": [["s1"]], "nesterov": [["s1"]], "adagrad": [["s1"]], "rmsprop": [["s1"]],
        "rmsprop_centered": [["s1"]], "adadelta": [["s1", "s2"]], "adam": [["s1", "s2"]],
        "amsgrad": [["s1", "s2"], ["s3"]], "nadam": [["s1", "s2"]], "lion": [["s1"]],
        "adamax": [["s1", "s2"]], "ftrl": [["s1", "s2"]], "lamb": [["s1", "s2"]],
    }[spec.rule]
    if spec.rule.startswith("rmsprop"):
        slots = [*slots, *([["s3"]] if spec.momentum else []), *([["s2"]] if spec.centered else [])]
    return [
        *([["average"]] if optimizer.use_ema else []),
        *([["accumulated"]] if optimizer.gradient_accumulation_steps else []), *slots,
    ]


def variables_of(model):
    """Of each trained array its layer's number in the engine, and what it is called there."""
    dense = {unit.dense: number for number, unit in enumerate(model._chain.units)}
    normalized = {layer: number for number, layer in enumerate(model._chain.normalizations)}
    for layer in model.layers:
        if layer in dense:
            yield "coefs", dense[layer]
            if layer.use_bias:
                yield "intercepts", dense[layer]
        elif layer in normalized:
            yield "gains", normalized[layer]
            yield "shifts", normalized[layer]


def memory_arrays(model):
    optimizer, network = model.optimizer, model._network
    yield np.array(network.counters["t"], dtype="int32")
    if not isinstance(optimizer.schedule, LearningRateSchedule):
        yield np.array(optimizer._learning_rate, dtype="float32")
    arrays = {slot: array_to_layers(network, array) for slot, array in network.state.items()}
    if optimizer.use_ema:
        arrays["average"] = array_to_layers(network, network.average)
    for group in slots_of(optimizer):
        for part, number in variables_of(model):
            for slot in group:
                yield arrays[slot][part][number]
    if network.rule == "nadam":
        yield np.array(1.0 - network.counters["carried"], dtype="float32")
