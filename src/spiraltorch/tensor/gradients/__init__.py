"""Gradient modes, `backward`, hooks, and transformations of functions."""
