"""The rooms of the package in their order; docs/architecture.md says what each is for."""

from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "fasttrain"

# Lowest first; a room imports from itself and from those above its line here. Imports inside functions count.
ROOMS = [
    "_kernels",
    "_core",
    "_files",
    "_tables",
    "activations", "losses", "penalties", "schedules", "optimizers",
    "plotting", "embedding",
    "data",
    "callbacks",
    "training",
    "checkpoints",
    "_estimators",
    "preprocessing",
    "linear_model",
    "stochastic_linear",
    "neural_network",
    "keras",
    "layers", "models",
    "descent", "rate_finder",
    "model_selection",
    "inspection",
    "persistence",
    "interop",
    "dask",
    "patch",
    "cli",
    "__main__",
]  # fmt: skip
