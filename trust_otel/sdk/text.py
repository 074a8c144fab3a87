"""Text that every format can carry."""


def valid_text(text: str) -> str:
    """The text with `?` for each lone surrogate, which invalid bytes in the environment become, and UTF-8 has not."""
    return text if text.isascii() else text.encode(errors="replace").decode()
