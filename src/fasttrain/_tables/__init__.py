"""Columns of any library: NumPy, pandas, polars and Arrow behind one set of functions.

``frames`` looks at tables without importing their libraries: kinds of columns, missing values, rows by number, results
in the caller's kind. ``categories`` finds distinct values and codes them, for numbers, text and objects. Preprocessing
stands on both; the linear models use the coding of classes.
"""
