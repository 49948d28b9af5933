"""Functions of tensors, one module for each subject."""
