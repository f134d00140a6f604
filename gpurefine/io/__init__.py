"""Files, symmetry and chemistry: the only part that calls gemmi."""
