"""From a model to the structure factors that the crystal would give, and back."""
