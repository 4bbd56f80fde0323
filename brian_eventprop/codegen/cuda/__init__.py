"""The clock solver's CUDA kernels as text, a kernel for each network."""
