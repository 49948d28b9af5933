"""Elementary functions of float32 and float64 as sequences of instructions, defined once for all renderers."""
