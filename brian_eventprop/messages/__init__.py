"""What is said on the standard error stream while something takes long; see `wanted`."""
