"""The MR signal equations against hand-worked values and the published table of nulling times."""

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.phantom import mr_signal
from radloom.phantom.tissues import TISSUES

# SYSTEMS-direct 4.1: T1 of CSF and white matter, TR, last echo; FLAIR TI, DIR TI1, DIR TI2 (ms).
NULLING_TABLE = [
    (2569.0, 500.0, 11000.0, 250.0, 1742, 2460, 339),
    (4300.0, 884.0, 11000.0, 250.0, 2641, 3802, 589),
    (4300.0, 1084.0, 7500.0, 500.0, 2210, 3380, 661),
    (4000.0, 850.0, 7500.0, 500.0, 2132, 3114, 547),
]


@pytest.mark.parametrize("row", NULLING_TABLE)
def test_nulling_times_agree_with_the_table_to_a_millisecond(row: tuple[float, ...]) -> None:
    csf, white, tr, last_echo, flair, dir1, dir2 = row
    times = mr_signal.nulling_times(t1_csf=csf, t1_wm=white, tr=tr, last_echo=last_echo)
    assert times == pytest.approx((flair, dir1, dir2), abs=1.0)


@pytest.mark.parametrize("field", ["1.5T", "3T"])
def test_dir_nulls_white_matter_and_csf_and_flair_nulls_csf_but_not_grey_matter(field: str) -> None:
    tissues = TISSUES[field]
    csf, white, grey = tissues["csf"], tissues["white"], tissues["grey"]
    times = mr_signal.nulling_times(t1_csf=csf.t1, t1_wm=white.t1, tr=9000.0, last_echo=300.0)
    settings = {"tr": 9000.0, "te": 100.0, "last_echo": 300.0}

    def dir_of(tissue):
        return mr_signal.dir_(tissue.pd, tissue.t1, tissue.t2, ti1=times.dir1, ti2=times.dir2, **settings)

    assert dir_of(csf) == pytest.approx(0, abs=1e-9)
    assert dir_of(white) == pytest.approx(0, abs=1e-9)
    assert dir_of(grey) > 0.01
    assert mr_signal.flair(csf.pd, csf.t1, csf.t2, ti=times.flair, **settings) == pytest.approx(0, abs=1e-9)


def test_table_signals_of_the_brainweb_set_at_te_120() -> None:
    times = mr_signal.nulling_times(t1_csf=2569.0, t1_wm=500.0, tr=11000.0, last_echo=250.0)
    settings = {"tr": 11000.0, "te": 120.0, "last_echo": 250.0}
    tissues = {"grey": (0.86, 833.0, 83.0), "white": (0.77, 500.0, 70.0), "lesion": (0.76, 752.0, 237.0)}
    flair = {name: mr_signal.flair(*values, ti=times.flair, **settings) for name, values in tissues.items()}
    double = {
        name: mr_signal.dir_(*values, ti1=times.dir1, ti2=times.dir2, **settings) for name, values in tissues.items()
    }
    assert flair == pytest.approx({"white": 0.130, "grey": 0.153, "lesion": 0.368}, abs=6e-4)
    assert double["grey"] == pytest.approx(0.046, abs=6e-4)
    assert double["lesion"] == pytest.approx(0.091, abs=6e-4)


def test_signals_equal_hand_worked_values() -> None:
    # TR = T1 ln 2 leaves half the recovery; TE = T2 ln 2 halves the signal.
    ln2 = float(np.log(2))
    assert mr_signal.spin_echo(0.8, 1000.0, 100.0, tr=1000 * ln2, te=100 * ln2) == pytest.approx(0.8 / 4)
    assert mr_signal.spin_echo(0.8, 1000.0, 100.0, tr=1000 * ln2 + 50, te=100 * ln2, last_echo=50.0) == pytest.approx(
        0.8 / 4
    )
    # 90 degrees: the Ernst equation becomes saturation recovery; 60 degrees with E1 = 1/2: sin60 * 0.5 / 0.75.
    assert mr_signal.spoiled_gradient_echo(1.0, 1000.0, 50.0, tr=1000 * ln2, te=0.0, flip_deg=90.0) == pytest.approx(
        0.5
    )
    assert mr_signal.spoiled_gradient_echo(1.0, 1000.0, 50.0, tr=1000 * ln2, te=0.0, flip_deg=60.0) == pytest.approx(
        np.sqrt(3) / 3
    )
    # TI = T1 ln 4, TR = T1 ln 2: 1 - 2/4 / (1 + 1/2) = 2/3.
    assert mr_signal.mp_rage(1.0, 500.0, 50.0, tr=500 * ln2, ti=1000 * ln2, te=0.0) == pytest.approx(2 / 3)
    # 1 - 2/2 + 1/8 = 1/8 and 1 - 2/2 + 2/4 - 1/8 = 3/8.
    assert mr_signal.flair(1.0, 500.0, 50.0, tr=1500 * ln2, ti=500 * ln2, te=0.0, last_echo=0.0) == pytest.approx(1 / 8)
    assert mr_signal.dir_(
        1.0, 500.0, 50.0, tr=1500 * ln2, ti1=1000 * ln2, ti2=500 * ln2, te=0.0, last_echo=0.0
    ) == pytest.approx(3 / 8)


@pytest.mark.parametrize(("millimolar", "t1_ms"), [(0.1, 900), (0.25, 550), (0.5, 340)])
def test_contrast_agent_shortens_t1_as_worked_by_hand(millimolar: float, t1_ms: float) -> None:
    assert mr_signal.with_agent(1500.0, millimolar, relaxivity=4.5) == pytest.approx(t1_ms, rel=0.02)


def test_one_tissue_cannot_be_nulled_against_itself() -> None:
    with pytest.raises(RadloomError, match="no double inversion"):
        mr_signal.nulling_times(t1_csf=4000.0, t1_wm=4000.0, tr=9000.0, last_echo=300.0)


def test_normal_tissues_order_as_radiologists_expect() -> None:
    grey, white, csf = (TISSUES["3T"][name] for name in ("grey", "white", "csf"))

    def t1w(tissue):
        return mr_signal.spin_echo(tissue.pd, tissue.t1, tissue.t2, tr=600.0, te=10.0)

    def t2w(tissue):
        return mr_signal.spin_echo(tissue.pd, tissue.t1, tissue.t2, tr=5000.0, te=100.0)

    assert t1w(white) > t1w(grey) > t1w(csf)
    assert t2w(csf) > t2w(grey) > t2w(white)
