"""Run the clock solver on a CUDA device."""
