"""WGSL shaders, for WebGPU."""
