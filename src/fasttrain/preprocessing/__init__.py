"""From a raw table to a clean matrix: dropping rows, scaling columns, encoding categories."""

from fasttrain._core.public import publish
from fasttrain.preprocessing.cleaning import drop_duplicates, drop_missing, drop_outliers
from fasttrain.preprocessing.encoding import OneHotEncoder
from fasttrain.preprocessing.labels import LabelBinarizer, LabelEncoder
from fasttrain.preprocessing.ordinal import OrdinalEncoder
from fasttrain.preprocessing.robust import MaxAbsScaler, RobustScaler
from fasttrain.preprocessing.samplers import DropDuplicates, DropMissing, DropOutliers, RowReport
from fasttrain.preprocessing.scaling import MinMaxScaler, StandardScaler
from fasttrain.preprocessing.table import TablePreprocessor
from fasttrain.preprocessing import _entries  # noqa: F401  (enters them)

__all__ = [
    "DropDuplicates",
    "DropMissing",
    "DropOutliers",
    "LabelBinarizer",
    "LabelEncoder",
    "MaxAbsScaler",
    "MinMaxScaler",
    "OneHotEncoder",
    "OrdinalEncoder",
    "RobustScaler",
    "RowReport",
    "StandardScaler",
    "TablePreprocessor",
    "drop_duplicates",
    "drop_missing",
    "drop_outliers",
]

publish(globals())
