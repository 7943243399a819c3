"""The web process: it decodes, reads the store, and asks the scheduler; it decides nothing."""
