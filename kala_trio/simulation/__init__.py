"""``kala-trio simulate``: the scheduler on virtual time, in a world that goes by a plan."""
