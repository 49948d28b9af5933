"""Rewrites of programs before fusion. One module to a pass or a family of them."""
