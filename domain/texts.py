"""Names and other short texts that people write and others read."""

from domain.errors import BadInput

LONGEST = 255


def line(field: str, text: str) -> str:
    """One line of text, without spaces around it; raises BadInput naming the field."""
    text = text.strip()
    if not (0 < len(text) <= LONGEST and text.isprintable()):
        raise BadInput(f"{field}: 1 to {LONGEST} characters that can be shown")
    return text
