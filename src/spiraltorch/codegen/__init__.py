"""Renderers of scheduled kernels: `llvm` for CPUs, `wgsl` for WebGPU, over one definition of every operation."""
