"""Memorisation and its intervals over patients against plain loops and closed forms."""

import math

import numpy as np
import pytest

from radloom.metrics import memorisation
from radloom.metrics.structural import SCALE_WEIGHTS

FEW_SCALES = SCALE_WEIGHTS[:2]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_intervals_of_memorisation_count_patients_not_images():
    train, other = rng(0).normal(size=(60, 3)), rng(1).normal(size=(60, 3))
    drawn = np.repeat(np.concatenate([train[:15] + 0.001, rng(2).normal(size=(35, 3))]), 4, axis=0)
    who = np.repeat(np.arange(50), 4)
    copied = memorisation.copy_fraction(train, drawn, other, patients=who, rng=rng()).fraction
    # three in ten are copies, some of the others are near by chance: a share p has the variance p (1 - p)
    assert copied.n_patients == 50
    want = 1.96 * math.sqrt(copied.estimate * (1 - copied.estimate) / 50)
    assert (copied.high - copied.low) / 2 == pytest.approx(want, rel=0.2)
    own = memorisation.authenticity(train, drawn, other, patients=who, rng=rng()).synthetic
    want = 1.96 * math.sqrt(own.estimate * (1 - own.estimate) / 50)
    assert (own.high - own.low) / 2 == pytest.approx(want, rel=0.2)


def test_membership_draws_the_patients_of_both_groups():
    members, others = np.repeat(rng(0).normal(size=30) + 0.5, 5), np.repeat(rng(1).normal(size=30), 5)
    who = np.repeat(np.arange(30), 5)
    aware = memorisation.membership_auc(members, others, patients_members=who, patients_non_members=who, rng=rng())
    blind = memorisation.membership_auc(members, others, rng=rng())
    area = np.mean([np.heaviside(a - b, 0.5) for a in members for b in others])
    assert aware.auc.estimate == pytest.approx(area, rel=1e-12)
    assert (aware.auc.n_patients, blind.auc.n_patients) == (60, 300)
    assert (aware.auc.high - aware.auc.low) / (blind.auc.high - blind.auc.low) == pytest.approx(math.sqrt(5), rel=0.2)
    few = memorisation.membership_auc(members, others, patients_members=who // 15, rng=rng())
    assert math.isnan(few.auc.low)
    attack = memorisation.membership_attack(
        members[:, None], members[:, None], others[:, None], patients_training=who, patients_held_out=who, rng=rng()
    )
    assert attack.auc.n_patients == 60


def test_authenticity_agrees_with_a_loop_over_its_definition():
    train, drawn, real = rng(0).normal(size=(25, 2)), rng(1).normal(size=(20, 2)), rng(2).normal(size=(30, 2))

    def share(images: np.ndarray) -> float:
        authentic = 0
        for z in images:
            nearest = min(range(25), key=lambda i: math.dist(z, train[i]))
            between = min(math.dist(train[nearest], train[i]) for i in range(25) if i != nearest)
            authentic += between < math.dist(z, train[nearest])
        return authentic / len(images)

    found = memorisation.authenticity(train, drawn, real, rng=rng())
    assert found.synthetic.estimate == pytest.approx(share(drawn), rel=1e-12)
    assert found.held_out == pytest.approx(share(real), rel=1e-12)
    assert 0 < found.held_out < 1
