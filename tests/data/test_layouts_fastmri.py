"""fastMRI's HDF5 files become images, k-space that the operators use, and boxes; files are written here by h5py."""

import numpy as np
import pytest

from radloom.data import layouts
from radloom.data.build import build
from radloom.data.layout import matching
from radloom.errors import RadloomError
from radloom.io.fastmri import read_about, read_complex, read_kspace, read_reconstruction

LAYOUTS = {name: layouts.load(name) for name in layouts.names()}
HEADER = """<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<acquisitionSystemInformation><systemVendor>SIEMENS</systemVendor></acquisitionSystemInformation><encoding>
<encodedSpace><matrixSize><x>640</x><y>372</y><z>1</z></matrixSize>
<fieldOfView_mm><x>280</x><y>162.8</y><z>4.5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{rows}</x><y>{columns}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{high}</x><y>{wide}</y><z>4.5</z></fieldOfView_mm></reconSpace></encoding></ismrmrdHeader>"""
PATIENT = "0d2c3b8f7a"


def transform(images):
    """k-space as fastMRI's own code defines it: centred and orthonormal over the last two axes."""
    inside = np.fft.ifftshift(images, axes=(-2, -1))
    return np.fft.fftshift(np.fft.fft2(inside, norm="ortho"), axes=(-2, -1))


def write(path, images, *, size, mask=None, reconstruct=True, **attributes):
    """An HDF5 file of the complex images (slice, row, column), or (slice, coil, row, column), cropped to `size`."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: fastMRI files cannot be written or read")
    path.parent.mkdir(parents=True, exist_ok=True)
    kspace = transform(images).astype(np.complex64)
    top, left = ((n - m) // 2 for n, m in zip(images.shape[-2:], size, strict=True))
    middle = np.abs(images[..., top : top + size[0], left : left + size[1]])
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace if mask is None else kspace * mask
        if mask is not None:
            file["mask"] = mask
        if reconstruct and images.ndim == 3:
            file["reconstruction_esc"] = middle.astype(np.float32)
        elif reconstruct:
            file["reconstruction_rss"] = np.sqrt((middle**2).sum(1)).astype(np.float32)
        file["ismrmrd_header"] = HEADER.format(rows=size[0], columns=size[1], high=140, wide=160).encode()
        for name, value in attributes.items():
            file.attrs[name] = value
    return path


def drawn(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def smooth(shape, seed=0):
    """A complex image (slice, row, column) of few waves: an object whose phase and magnitude change slowly."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[1:]), indexing="ij")
    a, b = np.random.default_rng(seed).uniform(1, 2, (2, shape[0], 1, 1))
    return (1.5 + np.cos(a * 2 * x) * np.cos(b * 2 * y)) * np.exp(1j * (a * x - b * y))


def coils(image, count=4):
    """The image as `count` coils around it see it, and their sensitivities with root sum of squares 1."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape[1:]), indexing="ij")
    angles = 2 * np.pi * np.arange(count)[:, None, None] / count
    maps = np.exp(-((x - np.cos(angles)) ** 2 + (y - np.sin(angles)) ** 2) / 2) * np.exp(1j * angles + 0.5j * x)
    maps /= np.sqrt((np.abs(maps) ** 2).sum(0))
    return image[:, None] * maps, maps


def in_images_axes(slices):
    """(slice, row, column) of a file as the cohort holds it: x against the columns, y along the rows, z the slices."""
    return slices[:, :, ::-1].transpose(2, 1, 0)


def test_a_single_coil_file_gives_reconstruction_complex_image_and_k_space(tmp_path):
    images = drawn((3, 12, 10))
    top = tmp_path / "fastMRI"
    path = write(top / "singlecoil_train" / "file1000001.h5", images, size=(8, 6), max=0.5, norm=2.25,
                 acquisition="CORPDFS_FBK", patient_id=PATIENT)  # fmt: skip
    assert matching(top, LAYOUTS) == ["fastmri"]
    cohort = build([top], tmp_path / "cohort")
    assert (cohort.ids, cohort.patients) == (["file1000001"], [PATIENT])
    case = cohort.case("file1000001")
    assert (case.site, case.vendor) == ("NYU", "SIEMENS")
    assert case.labels == {"label.acquisition": "CORPDFS_FBK", "label.max": 0.5, "label.norm": 2.25,
                           "label.part": "train", "label.coils": "singlecoil"}  # fmt: skip
    inside = in_images_axes(images[:, 2:10, 2:8])
    np.testing.assert_allclose(case.images["image.real"].voxels, inside.real, atol=1e-5)
    np.testing.assert_allclose(case.images["image.imag"].voxels, inside.imag, atol=1e-5)
    np.testing.assert_allclose(case.images["image.pd"].voxels, np.abs(inside), atol=1e-5)
    # In the header x is the readout, a file's rows, which are the image's y.
    np.testing.assert_allclose(case.images["image.pd"].spacing_mm, (160 / 6, 140 / 8, 4.5), rtol=1e-6)
    assert case.text["text.kspace"] == str(path.resolve())


@pytest.mark.parametrize("size", [(12, 10), (11, 10), (12, 9), (11, 9)])
def test_the_operators_make_the_coils_images_of_the_measured_k_space(tmp_path, size):
    import torch

    from radloom.operators.mri import inverse_fourier

    images = drawn((2, 3, *size))
    path = write(tmp_path / "multicoil_val" / "file_brain_AXT2_200_2000019.h5", images, size=(6, 8))
    found = read_kspace(path, slices=slice(1, 2))
    assert found.samples.dtype == np.complex64
    assert (found.samples.shape, found.shape) == ((1, 3, size[1], size[0]), (8, 6))
    assert found.sampled.all()
    seen = inverse_fourier(torch.from_numpy(found.samples), 2).numpy()
    wanted = images[1, :, :, ::-1].transpose(0, 2, 1)  # (coil, x, y)
    np.testing.assert_allclose(seen[0], wanted, atol=1e-5)


def test_coils_are_combined_to_the_object_that_they_saw(tmp_path):
    image = smooth((2, 48, 40))
    seen, _ = coils(image)
    path = write(tmp_path / "multicoil_train" / "file_brain_AXT1POST_202_2020062.h5", seen, size=(40, 36))
    real, imag = read_complex(path)
    found, wanted = real.voxels + 1j * imag.voxels, in_images_axes(image[:, 4:44, 2:38])
    assert np.abs(np.abs(found) - np.abs(wanted)).max() < 0.02 * np.abs(wanted).max()
    apart = found / wanted  # what is left of the phase belongs to the coils: it is as smooth as theirs
    assert np.abs(np.angle(apart[1:] / apart[:-1])).max() < 0.1


def test_sense_from_the_measured_k_space_agrees_with_the_combined_image(tmp_path):
    import torch

    from radloom.operators.mri import MultiCoil

    inside = np.outer(np.hanning(34)[1:-1], np.hanning(30)[1:-1])  # a body ends within the field of view
    seen, maps = coils(smooth((1, 32, 28)) * inside)
    path = write(tmp_path / "multicoil_train" / "file1000002.h5", seen, size=(32, 28))
    y = torch.from_numpy(read_kspace(path).samples)
    sensitivities = torch.from_numpy(maps[:, :, ::-1].transpose(0, 2, 1).astype(np.complex64))[None]
    x = MultiCoil(torch.ones(1, 1, 28, 32), sensitivities).pinv(y).numpy()[0, 0]
    real, imag = read_complex(path)
    combined = (real.voxels + 1j * imag.voxels)[:, :, 0]
    assert np.abs(np.abs(x) - np.abs(combined)).max() < 0.03 * np.abs(x).max()
    np.testing.assert_allclose(np.abs(x), read_reconstruction(path).voxels[:, :, 0], atol=2e-3)


def test_a_test_file_keeps_its_mask_and_shows_the_zero_filled_image(tmp_path):
    images = drawn((2, 3, 12, 10))
    mask = np.array([1, 0, 0, 1, 1, 1, 0, 0, 1, 0], bool)
    top = tmp_path / "fastMRI"
    path = write(top / "multicoil_test_v2" / "file1000022.h5", images, size=(8, 6), mask=mask, reconstruct=False,
                 acceleration=4, num_low_frequency=3, acquisition="CORPD_FBK")  # fmt: skip
    cohort = build([top], tmp_path / "cohort")
    case = cohort.case("file1000022")
    assert cohort.image_columns == ["image.zero_filled"]
    assert (case.patient, case.labels["label.part"], case.labels["label.acceleration"]) == ("file1000022", "test", 4)
    inside = np.fft.ifftshift(transform(images) * mask, axes=(-2, -1))
    aliased = np.fft.fftshift(np.fft.ifft2(inside, norm="ortho"), axes=(-2, -1))[..., 2:10, 2:8]
    wanted = in_images_axes(np.sqrt((np.abs(aliased) ** 2).sum(1)))
    np.testing.assert_allclose(case.images["image.zero_filled"].voxels, wanted, atol=1e-5)
    found = read_kspace(path)
    # Ten lines, the centre at 5: the line of -k is at 10 - i, and the first is its own mirror image.
    assert found.sampled.tolist() == [mask[(10 - i) % 10] for i in range(10)]
    assert (np.abs(found.samples).sum((0, 1, 3)) > 0).tolist() == found.sampled.tolist()
    with pytest.raises(RadloomError, match="undersampled"):
        read_complex(path)


KNEE = "file,slice,study_level,x,y,width,height,label\n"


def test_boxes_of_fastmri_plus_lie_on_what_they_were_drawn_around(tmp_path, text):
    top = tmp_path / "fastMRI"
    images = np.full((3, 20, 20), 0.1 + 0j)
    images[1, 5:8, 2:6] = 1.0  # rows 5 to 7 of the file: in the picture upside down they are rows 12 to 14
    write(top / "singlecoil_val" / "file1000001.h5", images, size=(20, 20))
    write(top / "singlecoil_val" / "file1000005.h5", images, size=(20, 20))
    rows = ["file1000001,1,No,2,12,4,3,Meniscus Tear", "file1000001,1,No,3,13,2,1,Joint Effusion ",
            "file1000001,0,Yes,,,,,Motion artifact", "file1000001,2,No,18,-1,9,4,Meniscus Tear",
            "file9999999,2,No,1,1,1,1,Meniscus Tear"]  # fmt: skip
    text(top / "Annotations" / "knee.csv", KNEE + "\n".join(rows))
    cohort = build([top], tmp_path / "cohort")
    case = cohort.case("file1000001")
    assert case.text["text.findings"] == "Meniscus Tear; Joint Effusion; Motion artifact"
    assert case.text["text.box_findings"] == "1:Meniscus Tear; 2:Joint Effusion; 3:Meniscus Tear"
    assert case.text["text.boxes"] == "1:14,5,1,18,8,2 2:15,6,1,17,7,2 3:0,17,2,2,20,3"
    boxes, bright = case.images["mask.box"].voxels, case.images["image.pd"].voxels > 0.5
    assert ((boxes[:, :, 1] > 0) == bright[:, :, 1]).all()
    assert (boxes == 2).sum() == 2
    other = cohort.case("file1000005")
    assert "mask.box" not in other.images
    assert "text.findings" not in other.text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("file1000001,7,No,2,12,4,3,Tear", "a box in slice 7 of file1000001; expected slices 0 to 2"),
        ("file1000001,1,No,50,12,4,3,Tear", 'the box of "Tear" in file1000001 lies outside'),
        ("file1000001,1,No,2,12,0,3,Tear", "is 0 wide and 3 high"),
        ("file1000001,1,No,2,,4,3,Tear", "row of file1000001 without a box"),
    ],
)
def test_a_box_that_cannot_be_is_refused(tmp_path, text, row, said):
    write(tmp_path / "f" / "singlecoil_val" / "file1000001.h5", drawn((3, 20, 20)), size=(20, 20))
    text(tmp_path / "f" / "knee.csv", KNEE + row)
    with pytest.raises(RadloomError, match=said):
        build([tmp_path / "f"], tmp_path / "cohort")


def test_a_knee_measured_once_and_emulated_once_has_two_cases_of_one_patient(tmp_path):
    top = tmp_path / "knee"
    write(top / "singlecoil_val" / "file1000001.h5", drawn((1, 8, 8)), size=(8, 8), patient_id=PATIENT)
    write(top / "multicoil_val" / "file1000001.h5", drawn((1, 2, 8, 8)), size=(8, 8), patient_id=PATIENT)
    cohort = build([top], tmp_path / "cohort")
    assert cohort.ids == ["file1000001_multicoil", "file1000001_singlecoil"]
    assert cohort.patients == [PATIENT]


def test_a_k_space_narrower_than_its_reconstruction_is_padded_in_the_image(tmp_path):
    image = drawn((1, 8, 4))
    path = write(tmp_path / "singlecoil_train" / "file1000003.h5", image, size=(8, 4), reconstruct=False)
    import h5py

    with h5py.File(path, "a") as file:
        file["reconstruction_esc"] = np.pad(np.abs(image), ((0, 0), (0, 0), (1, 1))).astype(np.float32)
    real, imag = read_complex(path)
    found, whole = np.hypot(real.voxels, imag.voxels), read_reconstruction(path).voxels
    np.testing.assert_allclose(found, whole, atol=1e-5)
    assert (found[[0, -1]] == 0).all()


def test_fastmri_says_what_it_needs_and_what_is_wrong_with_a_file(tmp_path, text, monkeypatch):
    import h5py

    top = tmp_path / "fastMRI"
    path = write(top / "multicoil_train" / "file_brain_AXFLAIR_200_6002425.h5", drawn((2, 2, 8, 8)), size=(8, 8))
    for change, said in [
        (lambda file: file.__delitem__("ismrmrd_header"), "holds only kspace, reconstruction_rss; expected kspace and"),
        (lambda file: file.__setitem__("ismrmrd_header", b"<a/>"), "no readable header"),
        (lambda file: file.__delitem__("kspace"), "holds only ismrmrd_header, reconstruction_rss"),
        (lambda file: file.__setitem__("kspace", np.zeros((2, 2))), r"k-space of shape \(2, 2\)"),
    ]:
        with h5py.File(path, "a") as file:
            change(file)
        with pytest.raises(RadloomError, match=said):
            read_about(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RadloomError, match=r"cannot read .*; expected a complete HDF5 file"):
        build([top], tmp_path / "out")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    assert matching(top, LAYOUTS) == ["fastmri"]
    with pytest.raises(RadloomError, match=r"\.h5 is an HDF5 file; expected the package h5py.*; pip install h5py"):
        build([top], tmp_path / "out")


def test_a_mask_of_other_lines_and_a_reconstruction_of_other_slices_are_refused(tmp_path):
    import h5py

    path = write(tmp_path / "file1000001.h5", drawn((2, 8, 8)), size=(8, 8), reconstruct=False)
    with h5py.File(path, "a") as file:
        file["mask"] = np.ones(7, bool)
    with pytest.raises(RadloomError, match="a mask of 7 lines; expected 8"):
        read_about(path)
    with h5py.File(path, "a") as file:
        file["reconstruction_esc"] = np.zeros((3, 8, 8), np.float32)
    with pytest.raises(RadloomError, match=r"a reconstruction of shape \(3, 8, 8\)"):
        read_about(path)
    with h5py.File(path, "a") as file:
        del file["reconstruction_esc"], file["mask"]
    with pytest.raises(RadloomError, match="holds no reconstruction, only ismrmrd_header, kspace"):
        read_reconstruction(path)
