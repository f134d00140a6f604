"""The table of operations and who performs them."""

from .create import create, describe_choice

__all__ = ["create", "describe_choice"]
