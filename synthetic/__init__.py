"""Inputs whose right answer is known, for tests and benchmarks: walking people, small networks.

They are neither the tests' nor the benchmarks', so that neither has to import the other.
"""
