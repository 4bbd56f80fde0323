"""Run the clock solver on the CPU."""
