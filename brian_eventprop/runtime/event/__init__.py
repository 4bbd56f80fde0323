"""Run the event solver on the CPU."""
