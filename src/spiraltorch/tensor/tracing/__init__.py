"""Compiled functions: recording, guards and replay."""
