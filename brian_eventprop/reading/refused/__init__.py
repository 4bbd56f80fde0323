"""What is refused, all of it at once, and what the user leaves out of a network."""
