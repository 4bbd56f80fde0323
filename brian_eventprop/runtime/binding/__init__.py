"""Parameter values into the arrays that kernels read, and gradients back."""
