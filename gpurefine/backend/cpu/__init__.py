"""NumPy arrays with the irregular loops compiled by numba, all cores."""
