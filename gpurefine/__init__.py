"""gpurefine: macromolecular crystallographic refinement on GPU and CPU."""

__version__ = "0.1.0"
