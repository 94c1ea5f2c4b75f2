"""From a raw table to a clean matrix: dropping rows, scaling columns, encoding categories.

``cleaning`` drops missing, duplicate and outlying rows by functions, ``samplers`` in pipelines, with a report.
``scaling`` has the moments and extremes of columns and what all scalers share, with the standard and min-max scaler;
``robust`` the scalers by largest absolute value and by quantiles. ``categories`` has what category encoders share,
``encoding`` one-hot rows, ``ordinal`` codes, ``labels`` encoders of targets; ``columns`` recognises what the columns of
a table are, and ``table`` makes one matrix of them.
``_entries`` says what each is to scikit-learn, to batches of fits, to saved models and to the patch. Users put them
before a model; searches fit scalers from ``scaling``'s moments, and the command line prepares its tables with them.
"""

from fasttrain._core.public import publish
from fasttrain.preprocessing.columns.fitted import ColumnLeftOutWarning
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
    "ColumnLeftOutWarning",
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
