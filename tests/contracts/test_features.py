"""What every feature extractor keeps, and that the one without weights sees what a radiologist would see."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from radloom.errors import RadloomError
from radloom.metrics.features import Contract, Extractor, multiscale_texture, radiomic

EXTRACTORS = {
    "multiscale_texture_2d": (lambda: multiscale_texture(2, window=(0, 255)), (40, 36)),
    "multiscale_texture_3d": (lambda: multiscale_texture(3, window=(-1000, 400)), (32, 34, 33)),
    "radiomic_frd_v0_2d": (lambda: radiomic("frd_v0", 2, spacing_mm=(1, 1)), (24, 20)),
    "radiomic_frd_v0_3d": (lambda: radiomic("frd_v0", 3, spacing_mm=(1, 1, 1)), (8, 9, 7)),
    "radiomic_frd_v1_2d": (lambda: radiomic("frd_v1", 2, spacing_mm=(1, 1)), (24, 20)),
    "radiomic_frd_v1_3d": (lambda: radiomic("frd_v1", 3, spacing_mm=(1, 1, 2)), (12, 11, 9)),
}


def pictures(shape, count, seed=0):
    return [120 + 60 * np.random.default_rng([seed, i]).normal(size=shape) for i in range(count)]


def frechet(a, b):
    """The squared Frechet distance of two feature matrices through the nuclear norm; independent of the package's."""
    x, y = ((m - m.mean(0)) / np.sqrt(len(m) - 1) for m in (a, b))
    cross = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.sum(x**2) + np.sum(y**2) - 2 * cross)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_features_have_the_stated_width_and_carry_the_extractors_name(name):
    build, shape = EXTRACTORS[name]
    extractor = build()
    found = extractor(pictures(shape, 2))
    assert found.values.shape == (2, extractor.dim)
    assert found.values.dtype == np.float64
    assert found.extractor == extractor.name == name
    assert found.preprocessing == extractor.preprocessing
    assert extractor.licence


@pytest.mark.parametrize("name", EXTRACTORS)
def test_an_image_has_the_same_features_alone_and_among_others_and_every_time(name):
    build, shape = EXTRACTORS[name]
    many = pictures(shape, 3)
    together = build()(many).values
    np.testing.assert_array_equal(together[1:2], build()(iter(many[1:2])).values)


def test_more_images_than_a_batch_come_back_in_order():
    counted = Extractor("mean", "MIT", 1, Contract(2, 1, "any", None, "none", "as it is", None),
                        lambda images: np.array([[image.mean()] for image in images]))  # fmt: skip
    found = counted(np.full((4, 4), i) for i in range(37))
    assert found.values[:, 0].tolist() == list(range(37))


def test_the_hash_tells_every_part_of_the_preprocessing_apart():
    hashes = {build().preprocessing for build, _ in EXTRACTORS.values()}
    hashes |= {multiscale_texture(2, window=(0, 256)).preprocessing,
               radiomic("frd_v1", 2, spacing_mm=(1, 2)).preprocessing}  # fmt: skip
    assert len(hashes) == len(EXTRACTORS) + 2
    assert (
        multiscale_texture(2, window=(0.0, 255.0)).preprocessing == multiscale_texture(2, window=(0, 255)).preprocessing
    )


def test_importing_extractors_radiomics_and_report_scores_loads_nothing_heavy():
    code = ("import sys, radloom.metrics.features, radloom.metrics.radiomics, radloom.metrics.text; "
            "print([n for n in ('torch', 'skimage', 'SimpleITK', 'mirp', 'pandas') if n in sys.modules])")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100), st.floats(-1000, 1000))
def test_texture_depends_on_intensities_only_through_the_window(gain, offset):
    image = pictures((33, 40), 1)[0]
    plain = multiscale_texture(2, window=(0, 255))([image]).values
    moved = multiscale_texture(2, window=(offset, offset + gain * 255))([gain * image + offset]).values
    np.testing.assert_allclose(moved, plain, rtol=1e-6, atol=1e-7)


def test_texture_keeps_what_eight_bits_would_lose():
    image = 30000 + np.random.default_rng(0).integers(0, 40, (48, 48)).astype(np.uint16)
    extractor = multiscale_texture(2, window=(0, 65535))
    smooth = gaussian_filter(image.astype(float), 1)
    assert len(np.unique(image // 256)) == 1  # one level of 8 bits
    assert np.abs(extractor([image]).values - extractor([smooth]).values).max() > 0.1


def test_texture_turns_with_the_image():
    image = gaussian_filter(pictures((40, 40), 1)[0], (3, 0.5))
    a, b = multiscale_texture(2, window=(0, 255))([image, image.T]).values
    # per scale: band, sparseness, differences along x and y, sign
    for scale in range(4):
        x, y = 5 * scale + 2, 5 * scale + 3
        assert (a[x], a[y]) == pytest.approx((b[y], b[x]))


@pytest.fixture(scope="module")
def radiographs(shared):
    """300 normal and 300 abnormal chest radiographs of 64 x 64."""
    folder = shared / "cxr_nih64_normal_abnormal" / "train"
    return [[np.asarray(Image.open(path).convert("L")).T for path in sorted((folder / name).glob("*.png"))]
            for name in ("0_normal", "1_abnormal")]  # fmt: skip


def test_normal_and_abnormal_radiographs_are_farther_apart_than_halves_of_the_normal(radiographs):
    normal, abnormal = (multiscale_texture(2, window=(0, 255))(images).values for images in radiographs)
    rng = np.random.default_rng(0)
    floor, between = [], []
    for _ in range(10):
        order, other = rng.permutation(len(normal)), rng.permutation(len(abnormal))
        floor.append(frechet(normal[order[:150]], normal[order[150:]]))
        between.append(frechet(normal[order[:150]], abnormal[other[:150]]))
    assert np.mean(between) > 1.5 * np.mean(floor)
    assert np.median(between) > max(floor)


def test_tumour_classes_are_farther_apart_than_halves_of_one(shared):
    folder = shared / "brain_tumor_t1c_2d"
    values = [multiscale_texture(2, window=(0, 255))(np.asarray(Image.open(path).convert("L")).T[::2, ::2]
              for path in sorted((folder / name).glob("*.jpg"))).values
              for name in ("0_pituitary", "1_meningioma", "2_glioma")]  # fmt: skip
    rng = np.random.default_rng(0)
    for one, other in ((0, 1), (1, 2), (2, 0)):
        order = rng.permutation(100)
        floor = max(frechet(values[i][order[:50]], values[i][order[50:]]) for i in (one, other))
        assert frechet(values[one][order[:50]], values[other][order[:50]]) > floor


@pytest.mark.parametrize("damage", ["blur", "noise"])
def test_the_distance_grows_with_blur_and_with_noise(radiographs, damage):
    images = radiographs[0][:150]
    extractor = multiscale_texture(2, window=(0, 255))
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=image.shape) for image in images]

    def worse(level):
        if damage == "blur":
            return [gaussian_filter(image.astype(float), level) for image in images]
        return [image + 10 * level * one for image, one in zip(images, noise, strict=True)]

    clean = extractor(images).values
    distances = [frechet(clean, extractor(worse(level)).values) for level in (0.4, 0.6, 0.9, 1.4)]
    assert distances == sorted(distances)
    assert distances[-1] > 10 * distances[0]


BAD = {
    "no images": lambda: multiscale_texture(2, window=(0, 1))([]),
    "image 1 has shape": lambda: multiscale_texture(2, window=(0, 1))([np.zeros((32, 32)), np.zeros((32, 32, 32))]),
    "32 voxels": lambda: multiscale_texture(2, window=(0, 1))([np.zeros((32, 31))]),
    "image 17 has 1 NaN": lambda: multiscale_texture(2, window=(0, 1))(
        np.where(np.eye(32) * (i == 17) * np.arange(32) == 5, np.nan, 0) for i in range(20)
    ),
    "the window is 1 to 0": lambda: multiscale_texture(2, window=(1, 0))([np.zeros((32, 32))]),
    "flat": lambda: radiomic("frd_v1", 2, spacing_mm=(1, 1))([np.zeros((32, 32))]),
}


@pytest.mark.parametrize("text", BAD)
def test_bad_input_is_one_clear_line(text):
    with pytest.raises(RadloomError, match=text) as caught:
        BAD[text]()
    assert "\n" not in str(caught.value)
