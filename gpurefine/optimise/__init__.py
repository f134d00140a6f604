"""Steps towards the minimum; knows nothing of crystallography."""
