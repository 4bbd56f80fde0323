"""The CUDA emulator, and kernels compiled without a device."""
