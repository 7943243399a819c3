"""What makes a definition acceptable: a module for each group of its keys."""
