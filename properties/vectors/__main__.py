"""Writes the vectors anew: ``python -m properties.vectors``."""

from properties.vectors import FILES, HERE, written

if __name__ == "__main__":
    for name, make in FILES.items():
        (HERE / name).write_text(written(make()), "utf-8")
