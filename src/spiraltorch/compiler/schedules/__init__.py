"""Which schedule steps a kernel gets, from the facts of the target."""
