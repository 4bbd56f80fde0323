"""Brian2's objects while a model is used: values read again, written back, or changed."""
