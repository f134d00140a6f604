"""Composition of a refinement: problem, cycle, weight, maps, statistics."""
