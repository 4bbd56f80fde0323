"""The user's own functions: what they compute, as expressions in Brian2's syntax."""
