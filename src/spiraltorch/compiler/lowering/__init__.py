"""From clusters to unscheduled kernels, one module to a kind of kernel."""
