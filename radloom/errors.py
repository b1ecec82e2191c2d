"""The one exception that a user may cause: what was wrong, what was expected and what to do, in one line."""


class RadloomError(Exception):
    """A mistake in the input or the surroundings, not in radloom; the command line prints it without a traceback."""

    def __init__(self, what: str, *, expected: str = "", do: str = "") -> None:
        parts = [what.rstrip(".")]
        if expected:
            parts.append(f"expected {expected.rstrip('.')}")
        if do:
            parts.append(do.rstrip("."))
        super().__init__("; ".join(" ".join(part.split()) for part in parts) + ".")
