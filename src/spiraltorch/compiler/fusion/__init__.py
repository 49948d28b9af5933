"""Which values share a kernel, and how the value of an element is pulled through a cluster."""
