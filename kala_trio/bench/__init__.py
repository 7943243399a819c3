"""``kala-trio bench``: what this machine allows, and how near kala-trio comes to it."""
