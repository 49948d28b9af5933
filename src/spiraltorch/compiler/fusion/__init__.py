"""Fusion: which values are stored (`storage`), share a kernel (`placement`), or share a launch (`phases`)."""
