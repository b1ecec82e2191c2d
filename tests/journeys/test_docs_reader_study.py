"""The page on reader studies prints what its code prints."""

import contextlib
import io
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "reader-study-statistics.md"
BLOCK = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.S)


def printed(page: str) -> list[tuple[str, str]]:
    """What each block of code prints, run in order, beside what the page says that it prints."""
    names: dict[str, object] = {}
    pairs = []
    for code, said in BLOCK.findall(page):
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            exec(code, names)
        pairs.append((told.getvalue(), said))
    return pairs


def test_every_number_on_the_page_comes_from_its_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    pairs = printed(page)
    assert len(pairs) == page.count("```python") == page.count("```text")
    for found, said in pairs:
        assert found == said
