"""From kernels to execution plans: memory, arguments, launches."""
