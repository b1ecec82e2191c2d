"""The documentation keeps its word: commands parse, links resolve, citations exist, figures are filled in."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BIBLIOGRAPHY = ROOT / "docs" / "references.bib"

_KEY = re.compile(r"[a-z]+(?:19|20)\d\d[a-z]+\d*")
_AUTHOR_YEAR = re.compile(r"([A-Z][A-Za-z-]+)(?: et al\.| & [A-Z][a-z]+),? \(?((?:19|20)\d\d)\b")
_ALONE = re.compile(r"[(;] ?([A-Z][A-Za-z-]+) ((?:19|20)\d\d)\b")
_JOURNAL_STYLE = re.compile(r"([A-Z][A-Za-z-]+) [A-Z]{1,3}(?:,[^.]{0,60}| et al)?\. [A-Z][A-Za-z ]+ ((?:19|20)\d\d);")
_STYLES = (_AUTHOR_YEAR, _ALONE, _JOURNAL_STYLE)


def blocks(text: str) -> Iterator[str]:
    """The fenced code blocks of a page."""
    yield from re.findall(r"^```[a-z]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of each radloom command in a page's code blocks, also behind torchrun -m."""
    for block in blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            starts = [i for i, word in enumerate(words) if word == "radloom"][:1]
            if starts and (starts[0] == 0 or words[starts[0] - 1] == "-m"):
                yield words[starts[0] + 1 :]


def spans(text: str) -> Iterator[list[str]]:
    """The words of each radloom command in a page's running text."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`radloom ([^`]+)`", prose):
        yield [word for word in shlex.split(span) if word != "..."]


def leaf(words: list[str]) -> tuple[object, list[str]]:
    """The command that the words name, and the words that are left for it."""
    import typer

    from radloom.cli import app

    command = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def parse(words: list[str]) -> None:
    """Parses a command line without running it; raises when a command, option, value or argument is wrong."""
    command, rest = leaf(words)
    if {"--help", "--version"} & set(rest):
        return
    command.make_context("radloom", list(rest))


def leaves(command: object, name: str = "radloom") -> Iterator[tuple[str, object]]:
    """Every command with its full name."""
    for word, child in getattr(command, "commands", {}).items():
        yield from leaves(child, f"{name} {word}")
    if not hasattr(command, "commands"):
        yield name, command


def links(page: Path) -> Iterator[str]:
    """The relative link targets of a page, without anchors."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target) and not target.startswith("#"):
            yield target.split("#")[0]


def entries() -> dict[str, str]:
    """The entries of the bibliography by key."""
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    return dict(re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, flags=re.MULTILINE | re.DOTALL))


def sources() -> list[Path]:
    return sorted((ROOT / "radloom").rglob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_parses(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for words in commands(text):
        try:
            parse(words)
        except Exception as error:
            pytest.fail(f"radloom {shlex.join(words)}: {error}")
    for words in spans(text):
        command, rest = leaf(words)
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        unknown = {word for word in rest if word.startswith("--")} - known - {"--help"}
        assert not unknown, f"radloom {shlex.join(words)}: no option {unknown}"


@pytest.mark.parametrize(
    "line",
    [
        "nothing",
        "data resample X",
        "run conte2021_missing_sequence --data X",
        "run conte2021_missing_sequence --data X --out Y --dims two",
        "export X --out Y --dicom",
        "data build --spacing 1 1 1",
        "show",
    ],
)
def test_a_wrong_command_does_not_parse(line: str) -> None:
    with pytest.raises(Exception, match=r"."):
        parse(line.split())


def test_commands_are_found_in_code_blocks() -> None:
    text = "```sh\nDIR=x\nradloom data audit \\\n  c  # why\ntorchrun -m radloom draw r\npip install radloom\n```\n"
    assert list(commands(text)) == [["data", "audit", "c"], ["draw", "r"]]


def test_the_systems_that_commands_name_exist() -> None:
    from radloom.systems import names

    for page in PAGES:
        for words in commands(page.read_text(encoding="utf-8")):
            if words[0] in ("run", "train", "plan", "show", "cite"):
                assert words[1] in names(), f"{page.name}: radloom {shlex.join(words)}"


def test_the_reference_names_every_command_and_option() -> None:
    import typer

    from radloom.cli import app

    page = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    for name, command in leaves(typer.main.get_command(app)):
        assert name in page, f"{name} is missing"
        for parameter in command.params:
            for option in (o for o in parameter.opts if o.startswith("--")):
                assert f"{option}" in page, f"{name} {option} is missing"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_resolves(page: Path) -> None:
    missing = [target for target in links(page) if not (page.parent / target).exists()]
    assert not missing


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        waiting += [page.parent / target for target in links(page)]
    lost = {page.resolve() for page in PAGES} - reached
    assert not lost


def test_every_key_that_the_code_cites_is_in_the_bibliography() -> None:
    known = entries()
    for source in sources():
        cited = {text for text in re.findall(r'"(\w+)"', source.read_text(encoding="utf-8")) if _KEY.fullmatch(text)}
        assert cited <= known.keys(), f"{source.name}: {cited - known.keys()}"


def test_every_metric_and_system_is_in_the_bibliography() -> None:
    from radloom.metrics import METRICS
    from radloom.systems import load, names

    cited = {metric.cite for metric in METRICS.values() if metric.cite} | {load(name).cite.key for name in names()}
    assert len(cited) > 5
    assert cited <= entries().keys()


def test_every_author_that_the_code_cites_is_in_the_bibliography() -> None:
    known = entries()
    cited = 0
    for source in sources():
        text = re.sub(r"\s+", " ", source.read_text(encoding="utf-8"))
        for author, year in {found for style in _STYLES for found in style.findall(text)}:
            cited += 1
            plain = re.sub(r"[^a-z]", "", author.lower())
            assert any(key.startswith(f"{plain}{year}") for key in known), f"{source.name}: {author} {year}"
    assert cited > 20, "the patterns no longer find the citations"


def test_keys_of_the_bibliography_agree_with_author_and_year() -> None:
    for key, body in entries().items():
        author = re.search(r"author\s*=\s*\{(.+?)[,}]", body)
        year = re.search(r"year\s*=\s*\{(\d{4})\}", body)
        assert author, key
        assert year, key
        assert key.startswith(re.sub(r"[^a-z]", "", author[1].lower()) + year[1]), key


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 180


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_measured_figure_is_left_out(page: Path) -> None:
    assert not re.findall(r"<!-- measured:([^ ]+)", page.read_text(encoding="utf-8"))
