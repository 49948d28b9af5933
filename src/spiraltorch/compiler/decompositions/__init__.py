"""Rules that rewrite a value into other primitives, one module for each kind; `lowering.registry` refers to them."""
