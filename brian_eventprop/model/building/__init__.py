"""From Brian2's objects to a model, and back."""
