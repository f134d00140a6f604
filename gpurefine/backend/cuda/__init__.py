"""The cuda backend: raw kernels over arrays that stay on the device."""
