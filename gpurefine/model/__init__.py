"""Plain arrays that describe a crystal, its atoms, its data and its restraints."""
