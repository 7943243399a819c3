"""The semantics reference: every rule as at least one property, named by its id."""
