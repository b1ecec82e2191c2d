"""BLEU, ROUGE-L and label F1 against values worked by hand, an exhaustive search and independent implementations."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radloom.errors import RadloomError
from radloom.metrics.text import corpus_bleu, label_f1, rouge_l, sentence_bleu, words

TOKENS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=9)
HAVE = words("the heart is enlarged and the lungs are clear")
WANT = words("the heart is mildly enlarged and both lungs are clear")


def test_bleu_has_the_values_worked_by_hand():
    # 1-grams 8 of 9 ("the" once only), 2-grams 4 of 8, 3-grams 1 of 7 (lungs are clear), no 4-gram; 9 words against 10
    brevity = math.exp(1 - 10 / 9)
    assert corpus_bleu([HAVE], [[WANT]], order=1) == pytest.approx(brevity * 8 / 9)
    # the heart, heart is, enlarged and, lungs are, are clear
    assert corpus_bleu([HAVE], [[WANT]], order=2) == pytest.approx(brevity * math.sqrt(8 / 9 * 5 / 8))
    # the heart is, lungs are clear
    three = (8 / 9 * 5 / 8 * 2 / 7) ** (1 / 3)
    assert corpus_bleu([HAVE], [[WANT]], order=3) == pytest.approx(brevity * three)
    assert corpus_bleu([HAVE], [[WANT]]) == 0
    assert sentence_bleu(HAVE, [WANT]) == pytest.approx(brevity * (8 / 9 * 5 / 8 * 2 / 7 * 0.1 / 6) ** 0.25)
    added = (8 / 9 * 6 / 9 * 3 / 8 * 1 / 7) ** 0.25
    assert sentence_bleu(HAVE, [WANT], smoothing="add_one") == pytest.approx(brevity * added)


def test_bleu_clips_a_repeated_word_as_its_authors_do():
    # Papineni et al.: seven times "the" against "the cat is on the mat" has precision 2/7
    assert corpus_bleu([["the"] * 7], [[["the", "cat", "is", "on", "the", "mat"],
                       ["there", "is", "a", "cat", "on", "the", "mat"]]], order=1) == pytest.approx(2 / 7)  # fmt: skip


def test_bleu_takes_the_closest_reference_length_and_the_shorter_on_a_tie():
    references = [["a", "b", "c", "d", "e", "f"], ["a", "b"]]  # 4 words: both are 2 away
    assert corpus_bleu([["a", "b", "c", "d"]], [references], order=1) == 1
    assert corpus_bleu([["a", "b", "c"]], [[["a", "b", "c", "d", "e"]]], order=1) == pytest.approx(math.exp(1 - 5 / 3))


def test_corpus_bleu_pools_counts_and_is_not_the_mean_of_sentences():
    candidates, references = [["a"], ["a", "x", "y"]], [[["a"]], [["a", "b", "c"]]]
    assert corpus_bleu(candidates, references, order=1) == 2 / 4
    assert np.mean([sentence_bleu(c, r, order=1) for c, r in zip(candidates, references, strict=True)]) == 2 / 3


def tied(candidate, references):
    """Whether a shorter and a longer reference are equally close to the candidate."""
    gaps = {len(one) - len(candidate) for one in references}
    nearest = min(abs(gap) for gap in gaps)
    return nearest > 0 and {nearest, -nearest} <= gaps


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TOKENS, st.lists(TOKENS, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_bleu_agrees_with_torchmetrics(corpus):
    torchmetrics = pytest.importorskip("torchmetrics.functional.text")
    candidates, references = [c for c, _ in corpus], [r for _, r in corpus]
    joined = [" ".join(c) for c in candidates], [[" ".join(one) for one in several] for several in references]
    for order in (1, 2, 4):
        theirs = float(torchmetrics.bleu_score(*joined, n_gram=order))
        # of two references equally close they take the first, we the shorter one as Papineni et al. ask
        if not any(tied(*pair) for pair in corpus):
            assert corpus_bleu(candidates, references, order=order) == pytest.approx(theirs, abs=2e-6)


def test_rouge_has_the_values_of_its_paper():
    # Lin 2004: "police killed the gunman" against "police kill the gunman" 3/4 and "the gunman kill police" 2/4
    want = ["police", "killed", "the", "gunman"]
    assert rouge_l(["police", "kill", "the", "gunman"], [want]) == 3 / 4
    assert rouge_l(["the", "gunman", "kill", "police"], [want]) == 2 / 4
    # P = 2/2, R = 2/4
    assert rouge_l(["police", "gunman"], [want], beta=1.2) == pytest.approx(2.44 * 0.5 / (0.5 + 1.44))
    assert rouge_l(["police", "gunman"], [["x"], want]) == pytest.approx(2 / 3)


@settings(max_examples=60, deadline=None)
@given(TOKENS, TOKENS)
def test_rouge_finds_the_longest_of_all_common_subsequences(a, b):
    longest = max(
        n for n in range(len(a) + 1)
        if n == 0 or {tuple(c) for c in combinations(a, n)} & {tuple(c) for c in combinations(b, n)}
    )  # fmt: skip
    want = 2 * longest / (len(a) + len(b))  # F1 of longest / a and longest / b
    assert rouge_l(a, [b]) == pytest.approx(want)
    assert rouge_l(b, [a]) == pytest.approx(want)


def test_a_report_equals_itself_and_shares_nothing_with_other_words():
    assert sentence_bleu(WANT, [WANT]) == rouge_l(WANT, [WANT]) == 1
    assert rouge_l(["x"], [WANT]) == corpus_bleu([["x"] * 5], [[WANT]]) == 0
    assert corpus_bleu([[]], [[WANT]]) == rouge_l([], [WANT]) == 0


def test_label_f1_has_the_values_worked_by_hand():
    truth = np.array([[1, 0, -1, np.nan], [1, 1, 0, np.nan], [0, 0, 1, 0]])
    drawn = np.array([[1, 1, 1, np.nan], [0, 1, 0, 0], [0, 0, -1, 0]])
    negative = label_f1(drawn, truth, uncertain="negative")
    # label 1: 1 hit, 1 missed; label 2: 1 hit, 1 false; label 3: 1 false, 1 missed; label 4: never
    assert negative.each[:3] == (2 / 3, 2 / 3, 0)
    assert math.isnan(negative.each[3])
    assert negative.micro == 4 / 8
    assert negative.macro == pytest.approx(4 / 9)
    assert negative.labels == 3
    assert label_f1(drawn, truth, uncertain="positive").each[2] == 1
    ignored = label_f1(drawn, truth, uncertain="ignore")
    assert math.isnan(ignored.each[2])
    assert (ignored.labels, ignored.micro) == (2, 4 / 6)


def test_label_f1_agrees_with_scikit_learn():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    truth, drawn = rng.integers(0, 2, (2, 40, 14))
    found = label_f1(drawn, truth, uncertain="negative")
    assert found.micro == pytest.approx(f1_score(truth, drawn, average="micro"))
    assert found.macro == pytest.approx(f1_score(truth, drawn, average="macro"))


def test_labels_that_nobody_has_give_no_score():
    found = label_f1(np.zeros((3, 2)), np.zeros((3, 2)), uncertain="negative")
    assert math.isnan(found.micro)
    assert math.isnan(found.macro)
    assert found.labels == 0


BAD = {
    "string": lambda: corpus_bleu(["no effusion"], [[["no"]]]),
    "at least one": lambda: corpus_bleu([], []),
    "references for 2": lambda: corpus_bleu([["a"]], [[["a"]], [["b"]]]),
    "empty reference": lambda: rouge_l(["a"], [[]]),
    "order": lambda: corpus_bleu([["a"]], [[["a"]]], order=0),
    "beta": lambda: rouge_l(["a"], [["a"]], beta=0),
    "other values": lambda: label_f1(np.full((1, 1), 2), np.zeros((1, 1)), uncertain="ignore"),
    "shapes": lambda: label_f1(np.zeros((1, 2)), np.zeros((2, 1)), uncertain="ignore"),
}


@pytest.mark.parametrize("text", BAD)
def test_bad_input_is_one_clear_line(text):
    with pytest.raises(RadloomError, match=text):
        BAD[text]()
