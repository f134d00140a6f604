"""The gpurefine command line."""
