"""Queues, batched arrivals and tables of the event solver that serve every network."""
