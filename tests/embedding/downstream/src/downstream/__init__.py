"""A package that builds on fasttrain's kernels; it is compiled and run by the tests."""
