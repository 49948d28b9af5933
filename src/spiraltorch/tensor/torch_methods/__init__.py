"""Methods of `Tensor` that mean what they mean in PyTorch, where no function of the array API means the same."""
