"""How close a generated report is to the written one in its words and in its labels; no labeller, no meaning.

Reports are lists of tokens; `words` makes them. Nothing here reads a finding: a report that turns "no effusion" into
"effusion" changes one word. Label scores need labels that somebody or some labeller gave.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number

Tokens = Sequence[str]
Smoothing = Literal["none", "epsilon", "add_one"]
EPSILON = 0.1  # Chen and Cherry's method 1


def words(text: str) -> list[str]:
    """Lower-case words and numbers of a text, each mark of punctuation apart; hyphens and decimal points stay inside.

    >>> words("No focal opacity; 2.5-cm nodule.")
    ['no', 'focal', 'opacity', ';', '2.5-cm', 'nodule', '.']
    """
    return re.findall(r"\w+(?:[.\-']\w+)*|[^\w\s]", text.lower())


def corpus_bleu(
    candidates: Sequence[Tokens],
    references: Sequence[Sequence[Tokens]],
    *,
    order: int = 4,
    smoothing: Smoothing = "none",
) -> float:
    """BLEU of all reports together, 0 to 1; higher is better.

    BLEU = BP exp(1/N sum_n log p_n), n = 1 ... order; p_n = matched n-grams (clipped at the most often that one
    reference has them) over all n-grams, both summed over the corpus; BP = exp(1 - r/c) where the candidates' length c
    is below r, the sum of the reference lengths closest to each candidate's (the shorter one on a tie). Not the mean
    of sentence scores. candidates[i] is scored against every one of references[i].
    smoothing: "none" (0 as soon as one order has no match), "epsilon" (0.1 in place of no match, Chen and Cherry's
    method 1) or "add_one" (1 added to matched and all n-grams from order 2 on, Lin and Och). An order longer than every
    candidate has no n-grams: its p_n is 0.
    Blind to: negation, meaning, clinical weight; it depends on the tokens, so name them (`words`).
    Raises RadloomError for no reports, an empty reference or lists of different length.
    Papineni K et al. ACL 2002:311-318; Chen B, Cherry C. WMT 2014:362-367; Lin CY, Och FJ. COLING 2004:501-507.

    >>> round(corpus_bleu([words("no acute disease seen")], [[words("no acute disease")]], order=2), 6)
    0.707107
    """
    _paired(candidates, references)
    if int(order) != order or order < 1:
        raise RadloomError(f"the order is {order}", expected="a whole number of at least 1, usually 4")
    if smoothing not in ("none", "epsilon", "add_one"):
        raise RadloomError(f"unknown smoothing {smoothing!r}", expected="none, epsilon or add_one")
    length = sum(len(candidate) for candidate in candidates)
    if not length:
        return 0.0
    wanted = sum(
        min((abs(len(one) - len(candidate)), len(one)) for one in several)[1]
        for candidate, several in zip(candidates, references, strict=True)
    )
    logs = []
    for n in range(1, order + 1):
        counts = [_matched(candidate, several, n) for candidate, several in zip(candidates, references, strict=True)]
        share = _precision(sum(hit for hit, _ in counts), sum(all_ for _, all_ in counts), n, smoothing)
        if share == 0:
            return 0.0
        logs.append(math.log(share))
    brevity = min(0.0, 1 - wanted / length)
    return math.exp(brevity + sum(logs) / order)


def sentence_bleu(
    candidate: Tokens, references: Sequence[Tokens], *, order: int = 4, smoothing: Smoothing = "epsilon"
) -> float:
    """BLEU of one report, 0 to 1; higher is better. One value for each case; `corpus_bleu` is not its mean.

    As `corpus_bleu` of a single report; smoothed, because short reports often lack a four-word match. Name the
    smoothing where you print it: it changes the value more than most models do.
    Blind to: what `corpus_bleu` is blind to. Papineni K et al. ACL 2002:311-318; Chen B, Cherry C. WMT 2014:362-367.

    >>> sentence_bleu(words("heart size is normal"), [words("heart size is normal")])
    1.0
    """
    return corpus_bleu([candidate], [references], order=order, smoothing=smoothing)


def rouge_l(candidate: Tokens, references: Sequence[Tokens], *, beta: Number = 1) -> float:
    """ROUGE-L of one report, 0 to 1; higher is better; the best over its references.

    F = (1 + beta^2) P R / (R + beta^2 P) with P = L / words of the candidate, R = L / words of the reference, and L
    the length of their longest common subsequence over the whole report (sentences are not split). beta 1 weighs both
    alike; 1.2 is the value of image captioning.
    Blind to: negation, meaning; order only through the subsequence. An empty candidate has 0.
    Raises RadloomError for no or empty references. Lin CY. ACL Workshop Text Summarization 2004:74-81.

    >>> rouge_l("a b c d".split(), ["a c e".split()]) == 2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3)
    True
    """
    _paired([candidate], [references])
    if not (math.isfinite(beta) and beta > 0):
        raise RadloomError(f"beta is {beta}", expected="a finite number above 0")
    best = 0.0
    for reference in references:
        common = _common(candidate, reference)
        if common:
            p, r = common / len(candidate), common / len(reference)
            best = max(best, (1 + beta**2) * p * r / (r + beta**2 * p))
    return best


@dataclass(frozen=True)
class LabelScores:
    """F1 of reports' labels: over all decisions (micro), the mean over labels (macro), and for each label (NaN: none).

    labels: how many labels have an F1, that is, occur in truth or prediction.
    """

    micro: float
    macro: float
    each: tuple[float, ...]
    labels: int


def label_f1(
    predicted: np.ndarray, truth: np.ndarray, *, uncertain: Literal["negative", "positive", "ignore"]
) -> LabelScores:
    """F1 of the labels of reports, 0 to 1; higher is better.

    predicted, truth: (reports, labels) with 1 positive, 0 negative, -1 uncertain and NaN not mentioned, as CheXpert's
    labeller prints them. Not mentioned counts as negative. uncertain: what -1 becomes on both sides, or "ignore", which
    drops a decision that is uncertain on either side. F1 = 2 TP / (2 TP + FP + FN); a label that neither side has is
    NaN and stays out of the macro mean (scikit-learn gives it 0).
    Blind to: true negatives, errors of the labeller, place and degree of a finding. Raises RadloomError for other
    values, shapes that differ, no reports. Irvin J et al. AAAI 2019;33:590-597.

    >>> label_f1(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]), uncertain="negative").micro
    0.8
    """
    p, t = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if p.shape != t.shape or p.ndim != 2 or p.size == 0:
        raise RadloomError(f"labels have shapes {p.shape} and {t.shape}", expected="two equal tables (reports, labels)")
    for name, table in (("predicted", p), ("true", t)):
        if not (np.isin(table, (-1, 0, 1)) | np.isnan(table)).all():
            raise RadloomError(f"{name} labels hold other values than 1, 0, -1 and NaN", expected="CheXpert's values")
    if uncertain not in ("negative", "positive", "ignore"):
        raise RadloomError(f"unknown uncertain {uncertain!r}", expected="negative, positive or ignore")
    known = (p != -1) & (t != -1) if uncertain == "ignore" else np.ones(p.shape, bool)
    is_set: Callable[[np.ndarray], np.ndarray] = (
        (lambda table: np.abs(table) == 1) if uncertain == "positive" else (lambda table: table == 1)
    )
    has, should = is_set(p) & known, is_set(t) & known
    hits, errors = (has & should).sum(0), (has ^ should).sum(0)
    each = [2 * h / (2 * h + e) if h + e else math.nan for h, e in zip(hits, errors, strict=True)]
    defined = [value for value in each if not math.isnan(value)]
    total = 2 * hits.sum() + errors.sum()
    micro = float(2 * hits.sum() / total) if total else math.nan
    macro = float(np.mean(defined)) if defined else math.nan
    return LabelScores(micro, macro, tuple(float(value) for value in each), len(defined))


def _paired(candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> None:
    if any(isinstance(one, str) for one in [*candidates, *(r for several in references for r in several)]):
        raise RadloomError("a report is a string", expected="a list of tokens", do="pass words(text)")
    if not candidates or len(candidates) != len(references):
        raise RadloomError(
            f"{len(candidates)} reports and references for {len(references)}", expected="as many, at least one"
        )
    if not all(several and all(len(one) for one in several) for several in references):
        raise RadloomError("a report has no or an empty reference", expected="at least one reference with words")


def _matched(candidate: Tokens, references: Sequence[Tokens], n: int) -> tuple[int, int]:
    """n-grams of the candidate that a reference has, each at most as often as there, and all of the candidate's."""
    own = _grams(candidate, n)
    most: Counter[tuple[str, ...]] = Counter()
    for reference in references:
        most |= _grams(reference, n)
    return (own & most).total(), own.total()


def _grams(tokens: Tokens, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def _precision(hits: int, total: int, n: int, smoothing: Smoothing) -> float:
    if smoothing == "add_one" and n > 1:
        return (hits + 1) / (total + 1)
    if total == 0:
        return 0.0
    return EPSILON / total if hits == 0 and smoothing == "epsilon" else hits / total


def _common(a: Tokens, b: Tokens) -> int:
    """Length of the longest common subsequence, row by row of the table."""
    row = [0] * (len(b) + 1)
    for token in a:
        diagonal = 0
        for j, other in enumerate(b, start=1):
            above = row[j]
            row[j] = diagonal + 1 if token == other else max(above, row[j - 1])
            diagonal = above
    return row[-1]
