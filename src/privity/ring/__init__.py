"""Arithmetic over Z_2^64: kernels, fixed point and randomness. Knows nothing of parties or protocols."""
