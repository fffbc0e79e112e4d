"""Compiled kernels for small networks on a CPU."""
