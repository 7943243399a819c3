"""What makes the files of a release out of a commit."""
