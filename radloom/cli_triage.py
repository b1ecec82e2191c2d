"""The command `radloom triage`: parse, call, print."""

from __future__ import annotations

import math
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from radloom.cli_data import print_answer

if TYPE_CHECKING:
    import pandas as pd

    from radloom.studies.triage import Policy


def triage(
    table: Annotated[Path, typer.Argument(metavar="CSV", help="Studies with arrival, reading, score and emergency.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where tables and picture go.")],
    scores: Annotated[
        Path | None, typer.Option("--scores", metavar="CSV", help="The scores, where another file has them.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Scores from here on are flagged; else from split val.")
    ] = None,
    sensitivity: Annotated[
        float, typer.Option("--sensitivity", help="Of the threshold, on the studies of split val.")
    ] = 0.9,
    readers: Annotated[int, typer.Option("--readers", min=1, help="Who read at the same time.")] = 1,
    delay: Annotated[float, typer.Option("--delay", min=0, help="Seconds that the model takes for a score.")] = 0.0,
    patience: Annotated[
        float | None, typer.Option("--patience", help="Seconds of waiting that outweigh a flag; none for no ageing.")
    ] = None,
    load: Annotated[
        float | None, typer.Option("--load", help="Draw arrivals together until readers are busy this share.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="ROLE=NAME", help="What a column is called; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of reading times that are missing.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Simulate a worklist that a score reorders.

    Who waits longer, who waits less: from the log of a radiology information system, or a cohort with scores.
    """
    from radloom.errors import RadloomError
    from radloom.files import whole_file, write_json
    from radloom.studies import triage as study
    from radloom.studies.triage_picture import picture
    from radloom.studies.triage_queue import load as load_of
    from radloom.studies.triage_table import of_split, read_table, worklist
    from radloom.studies.triage_words import sentences

    pairs = [text.partition("=") for text in column or []]
    if any(not (role and equals and name) for role, equals, name in pairs):
        raise RadloomError(f"--column {' '.join(column or [])} cannot be read", expected="ROLE=NAME")
    studies = read_table(table, {role: name for role, _, name in pairs}, scores)
    level = _threshold(studies, sensitivity) if threshold is None else threshold
    test = of_split(studies, "test")
    waiting = worklist(test if len(test) else studies, seed=seed)
    if load is not None:
        waiting = waiting.at_load(load_of(waiting.arrival, waiting.reading, readers), load)
    found, runs = study.triage(waiting, _policies(level, delay, patience), threshold=level, readers=readers)
    found["delay_s"], found["sentences"] = delay, sentences(found)
    write_json(out / "triage.json", found)
    with whole_file(out / "waits.csv") as temporary:
        study.table(waiting, runs, level).to_csv(temporary, index=False)
    picture(out / "queues.png", waiting, runs, level)
    print_answer(found, json, "\n".join([*found["sentences"], quote(str(out / "queues.png"))]))


def _policies(threshold: float, delay: float, patience: float | None) -> list[Policy]:
    from radloom.studies.triage import by_score, by_threshold, by_truth

    patiences = [math.inf] if patience is None else [math.inf, patience]
    return [*(by_threshold(threshold, delay_s=delay, patience_s=each) for each in patiences),
            *(by_score(delay_s=delay, patience_s=each) for each in patiences), by_truth()]  # fmt: skip


def _threshold(studies: pd.DataFrame, sensitivity: float) -> float:
    """The threshold at this sensitivity on the studies of split val."""
    from radloom.errors import RadloomError
    from radloom.studies.triage import threshold_at
    from radloom.studies.triage_table import of_split, worklist

    val = of_split(studies, "val")
    if not len(val):
        raise RadloomError("there is no threshold", expected="--threshold, or a column split with studies of val",
                           do="choose it on other studies than these")  # fmt: skip
    known = worklist(val)
    return threshold_at(known.score, known.emergency, sensitivity)
