"""Elementary functions as sequences of instructions, written once for all renderers."""
