"""The table of operations and who performs them."""

from .create import compile_kernels, create, describe_choice, devices, first_run_notice

__all__ = ["compile_kernels", "create", "describe_choice", "devices", "first_run_notice"]
