"""The table of operations and who performs them."""

from .create import compile_beside, compile_kernels, create, describe_choice, devices, first_run_notice

__all__ = ["compile_beside", "compile_kernels", "create", "describe_choice", "devices", "first_run_notice"]
