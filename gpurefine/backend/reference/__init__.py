"""Pure NumPy, float64: the readable definition of every operation."""
