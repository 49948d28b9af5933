"""Functions of tensors, one module to a subject."""
