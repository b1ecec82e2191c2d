"""Radiomic features against PyRadiomics' own baselines, mirp and pywt, and against values worked by hand."""

import csv

import numpy as np
import pytest
import SimpleITK as sitk

from radloom.errors import RadloomError
from radloom.metrics import radiomics_sets as sets
from radloom.metrics.radiomics import (
    FixedCount,
    FixedWidth,
    coiflet_subbands,
    laplacian_of_gaussian,
    mirp_features,
    radiomic_features,
)

# PyRadiomics' names, in the order of our tuples
PEERS = {
    "firstorder": (sets.FIRST_ORDER, """Energy TotalEnergy Entropy Minimum 10Percentile 90Percentile Maximum Mean Median
        InterquartileRange Range MeanAbsoluteDeviation RobustMeanAbsoluteDeviation RootMeanSquared Skewness Kurtosis
        Variance Uniformity"""),
    "glcm": (sets.GLCM24, """Autocorrelation JointAverage ClusterProminence ClusterShade ClusterTendency Contrast
        Correlation DifferenceAverage DifferenceEntropy DifferenceVariance JointEnergy JointEntropy Imc1 Imc2 Idm Idmn
        Id Idn InverseVariance MaximumProbability SumEntropy SumSquares MCC SumAverage"""),
    "glrlm": (sets.GLRLM, """GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance
        LowGrayLevelRunEmphasis HighGrayLevelRunEmphasis ShortRunEmphasis LongRunEmphasis ShortRunLowGrayLevelEmphasis
        ShortRunHighGrayLevelEmphasis LongRunLowGrayLevelEmphasis LongRunHighGrayLevelEmphasis RunLengthNonUniformity
        RunLengthNonUniformityNormalized RunPercentage RunVariance RunEntropy"""),
    "glszm": (sets.GLSZM, """SmallAreaEmphasis LargeAreaEmphasis LowGrayLevelZoneEmphasis HighGrayLevelZoneEmphasis
        SmallAreaLowGrayLevelEmphasis SmallAreaHighGrayLevelEmphasis LargeAreaLowGrayLevelEmphasis
        LargeAreaHighGrayLevelEmphasis GrayLevelNonUniformity GrayLevelNonUniformityNormalized SizeZoneNonUniformity
        SizeZoneNonUniformityNormalized ZonePercentage GrayLevelVariance ZoneVariance ZoneEntropy"""),
    "gldm": (sets.GLDM, """SmallDependenceEmphasis LargeDependenceEmphasis LowGrayLevelEmphasis HighGrayLevelEmphasis
        SmallDependenceLowGrayLevelEmphasis SmallDependenceHighGrayLevelEmphasis LargeDependenceLowGrayLevelEmphasis
        LargeDependenceHighGrayLevelEmphasis GrayLevelNonUniformity DependenceNonUniformity
        DependenceNonUniformityNormalized GrayLevelVariance DependenceVariance DependenceEntropy"""),
    "ngtdm": (sets.NGTDM, "Coarseness Contrast Busyness Complexity Strength"),
}  # fmt: skip
SHAPE = {"morph_volume": "MeshVolume", "morph_area_mesh": "SurfaceArea", "morph_vol_approx": "VoxelVolume",
         "morph_sphericity": "Sphericity", "morph_diam": "Maximum3DDiameter"}  # fmt: skip
SHIFT = 2000  # added to intensities in the baselines' energies


def baseline(shared, group, case):
    """PyRadiomics' values of one case by name."""
    with (shared / "radiomics_pyradiomics" / "baseline" / f"baseline_{group}.csv").open() as file:
        rows = list(csv.reader(file))
    column = rows[0].index(case)
    start = f"original_{group}_"
    return {row[0].removeprefix(start): float(row[column]) for row in rows[1:] if row[0].startswith(start)}


def read(shared, case):
    image, label = (sitk.ReadImage(str(shared / "radiomics_pyradiomics" / f"{case}_{name}.nrrd"))
                    for name in ("image", "label"))  # fmt: skip
    return sitk.GetArrayFromImage(image).T.astype(float), sitk.GetArrayFromImage(label).T == 1, image.GetSpacing()


def as_pyradiomics(name, value, values, spacing):
    """Our value in PyRadiomics' conventions."""
    energy = np.sum((values + SHIFT) ** 2)
    moved = {
        "stat_kurt": value + 3,
        "stat_energy": energy,
        "stat_total_energy": energy * np.prod(spacing),
        "stat_rms": np.sqrt(energy / len(values)),
    }
    return moved.get(name, value)


@pytest.mark.parametrize("case", ["brain1", "brain2", "breast1"])
@pytest.mark.parametrize(("suffix", "binning"), [("", FixedWidth(25)), ("_FBN", FixedCount(64))])
def test_real_tumours_have_the_values_of_pyradiomics(shared, case, suffix, binning):
    image, mask, spacing = read(shared, case)
    found = radiomic_features(image, mask, spacing, binning=binning)
    groups = [name for name in PEERS if name != "firstorder" or not suffix]
    for group in groups:
        ours, theirs = PEERS[group]
        published = baseline(shared, group, case + suffix)
        for name, peer in zip(ours, theirs.split(), strict=True):
            value = as_pyradiomics(name, found[name], image[mask], spacing)
            assert value == pytest.approx(published[peer], rel=1e-9, abs=1e-12), (group, peer)
    shape = baseline(shared, "shape", case)
    for name, peer in SHAPE.items():  # their marching cubes resolves ambiguous cells another way
        assert found[name] == pytest.approx(shape[peer], rel=6e-3)


@pytest.mark.filterwarnings("ignore:The intensities for this image")
@pytest.mark.parametrize(("binning", "aggregation"), [(FixedWidth(25, -400), "average"), (FixedCount(16), "merge")])
def test_an_anisotropic_region_has_the_values_of_mirp(binning, aggregation):
    rng = np.random.default_rng(3)
    image = 100 * rng.normal(size=(9, 11, 8)).clip(-3.9, 4)
    mask = rng.random(image.shape) > 0.3
    ours = radiomic_features(image, mask, (1, 1.5, 2), binning=binning, aggregation=aggregation)
    theirs = mirp_features(image, mask, (1, 1.5, 2), binning=binning, aggregation=aggregation)
    shared_names = ours.keys() & theirs.keys()
    assert len(shared_names) == len(ours) - 2
    for name in shared_names:  # files hold the image in float64, the spacing in float32
        assert ours[name] == pytest.approx(theirs[name], rel=2e-5), name


def test_a_binning_that_mirp_cannot_do_is_refused():
    with pytest.raises(RadloomError, match="origin"):
        mirp_features(np.zeros((4, 4, 4)), np.ones((4, 4, 4)), (1, 1, 1), binning=FixedWidth(25))


def test_mirp_that_is_absent_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mirp", None)
    with pytest.raises(RadloomError, match=r"pip install 'radloom\[radiomics\]'"):
        mirp_features(np.zeros((4, 4, 4)), np.ones((4, 4, 4)), (1, 1, 1), binning=FixedCount(2))


@pytest.mark.parametrize("shape", [(8, 6), (6, 8, 10)])
def test_subbands_are_those_of_pywt(shape):
    pywt = pytest.importorskip("pywt")
    image = np.random.default_rng(0).normal(size=shape)
    theirs = pywt.swtn(image, "coif1", 1)[0]
    ours = coiflet_subbands(image)
    assert ours.keys() == {name.replace("a", "L").replace("d", "H") for name in theirs}
    for name, band in theirs.items():
        np.testing.assert_allclose(ours[name.replace("a", "L").replace("d", "H")], band, atol=1e-13)


def test_subbands_of_odd_axes_wrap_one_more_voxel():
    pywt = pytest.importorskip("pywt")
    image = np.random.default_rng(0).normal(size=(7, 6))
    theirs = pywt.swtn(np.concatenate([image, image[:1]]), "coif1", 1)[0]["da"][:7]
    np.testing.assert_allclose(coiflet_subbands(image)["HL"], theirs, atol=1e-13)


def test_the_laplacian_of_a_gaussian_blob_is_the_analytic_one():
    x, y = np.mgrid[-40:41, -60:61:2].astype(float)
    blob, sigma = np.exp(-(x**2 + y**2) / 50), 3.0  # standard deviation 5 mm
    variance = 25 + sigma**2
    want = sigma**2 * 25 / variance * ((x**2 + y**2) / variance**2 - 2 / variance)
    want = want * np.exp(-(x**2 + y**2) / (2 * variance))
    found = laplacian_of_gaussian(blob, (1, 2), sigma_mm=sigma)
    assert np.abs(found - want).max() < 0.02 * np.abs(want).max()  # the recursive filter approximates
