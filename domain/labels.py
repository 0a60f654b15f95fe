"""What operators write on devices: a few short words under short names, such as site: hall-3, timezone: Europe/Berlin."""

from domain.errors import BadInput

MOST, LONGEST_NAME, LONGEST_VALUE = 64, 63, 255


def checked(labels: object) -> dict[str, str]:
    """The labels as they are kept; raises BadInput naming the one that is wrong."""
    if not isinstance(labels, dict) or len(labels) > MOST:
        raise BadInput(f"labels must be an object of at most {MOST} strings by name")
    for name, value in labels.items():
        if not 0 < len(name) <= LONGEST_NAME:
            raise BadInput(f"labels: a name has 1 to {LONGEST_NAME} characters, “{name[:80]}” has {len(name)}")
        if not isinstance(value, str) or len(value) > LONGEST_VALUE:
            raise BadInput(f"labels.{name}: a string of at most {LONGEST_VALUE} characters")
    return dict(labels)
