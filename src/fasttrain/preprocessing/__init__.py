"""From a raw table to a clean matrix: dropping rows, scaling columns, encoding categories."""

from fasttrain.preprocessing.cleaning import (
    DropDuplicates,
    DropMissing,
    DropOutliers,
    RowReport,
    drop_duplicates,
    drop_missing,
    drop_outliers,
)
from fasttrain.preprocessing.encoding import LabelEncoder, OneHotEncoder
from fasttrain.preprocessing.scaling import MinMaxScaler, StandardScaler

__all__ = [
    "DropDuplicates",
    "DropMissing",
    "DropOutliers",
    "LabelEncoder",
    "MinMaxScaler",
    "OneHotEncoder",
    "RowReport",
    "StandardScaler",
    "drop_duplicates",
    "drop_missing",
    "drop_outliers",
]
