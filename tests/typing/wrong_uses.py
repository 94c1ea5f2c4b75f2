"""Mistakes that a type checker must find: one error on each line with a comment that says which. Nothing runs this."""

from __future__ import annotations

import fasttrain
from fasttrain import MLPClassifier, minimize
from fasttrain.linear_model import Ridge
from fasttrain.optimizers import Adam

MLPClassifier(solver="adamm")  # wrong: reportArgumentType
MLPClassifier(hidden_layers=(10,))  # wrong: reportCallIssue
MLPClassifier().fitt([[1.0]], [1])  # wrong: reportAttributeAccessIssue
MLPClassifier(optimizer="adamx")  # wrong: reportArgumentType
Adam(0.1, beta1=0.9)  # wrong: reportCallIssue
minimize([[1.0]], [1.0], loss="hubber")  # wrong: reportArgumentType
print(Ridge(solver="auto").coef)  # wrong: reportAttributeAccessIssue
print(fasttrain.MLPClasifier)  # wrong: reportAttributeAccessIssue
