"""Text of others, as a terminal or a log may show it."""


def printable(text: str) -> str:
    """Return a text with what can't be printed, lines and control sequences, as escapes."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
