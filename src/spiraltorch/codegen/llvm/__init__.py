"""LLVM IR with explicit vectors, for CPUs."""
