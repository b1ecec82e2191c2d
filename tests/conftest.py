"""Runtime shape checks for every annotated function, and the fixtures that all tests share."""

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook("radloom", "beartype.beartype")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of openly licensed real images beside the checkout; tests skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real images are absent here ({folder})")
    return folder
