"""The table of operations and who performs them."""
