"""``python -m kala_trio`` does what ``kala-trio`` does."""

from kala_trio.cli import main

main(prog_name="kala-trio")
