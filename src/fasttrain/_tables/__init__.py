"""Columns of any library: NumPy, pandas, polars and Arrow read by one set of functions, without importing any of them.

``kinds`` tells which library a table is of and which arrays the kernels can walk as they lie. ``categories`` finds the
distinct values of a column and codes it by them, for numbers, text and objects. ``moments`` has means, variances and
extremes of columns. ``frames`` is a table by its columns:
numbers, missing values, exact codes, rows taken by number, each in the caller's kind. ``texts`` reads the distinct
cells of a column as numbers, times and words.

Preprocessing is built on all five; the linear models take the coding of classes from ``categories`` and the units of
columns from ``moments``.
"""
