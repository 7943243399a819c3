"""The pure core: values and decisions, without clock, I/O, randomness or concurrency."""
