"""Feature extractors: architectures, loading and preprocessing against what others publish, on weights made here."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from radloom.errors import RadloomError
from radloom.metrics.features import (
    Contract,
    Extractor,
    inception_v3_fid,
    inception_v3_logits,
    radimagenet_resnet50,
    safetensors_network,
    torchscript,
)
from radloom.metrics.features_input import as_input
from radloom.metrics.inception import InceptionV3
from radloom.metrics.resnet import ResNet50

PLAIN = Contract(2, 1, "any", None, "none", "as it is", None)


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory):
    """A state dict as the public port writes it: no counters of batches, a classifier of 1008."""
    torch.manual_seed(0)
    state = {name: value for name, value in InceptionV3().state_dict().items() if "num_batches" not in name}
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def resnet_state():
    torch.manual_seed(1)
    return ResNet50().state_dict()


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [1000 * rng.random((70, 50)), 1000 * rng.random((40, 90))]


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_inception_has_the_published_number_of_parameters():
    # torchvision prints 27,161,264 with 1000 classes and an auxiliary classifier of 3,326,696; here are 8 classes more
    assert parameters(InceptionV3()) == 27_161_264 - 3_326_696 + 8 * 2049


def test_resnet_has_the_published_number_of_parameters():
    assert parameters(ResNet50()) == 25_557_032 - 1000 * 2049  # torchvision's, less its classifier


def test_inception_has_the_published_sizes_of_its_stages():
    sizes = {}
    network = InceptionV3().eval()
    for name in ("Conv2d_1a_3x3", "Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"):
        getattr(network, name).register_forward_hook(
            lambda module, given, out, name=name: sizes.update({name: tuple(out.shape[1:])})
        )
    with torch.no_grad():
        network.pooled(torch.zeros(1, 3, 299, 299))
    # Szegedy et al., table 1
    assert sizes == {
        "Conv2d_1a_3x3": (32, 149, 149), "Conv2d_2b_3x3": (64, 147, 147), "Conv2d_4a_3x3": (192, 71, 71),
        "Mixed_5d": (288, 35, 35), "Mixed_6e": (768, 17, 17), "Mixed_7c": (2048, 8, 8),
    }  # fmt: skip


def test_inception_pools_as_the_graph_does():
    network = InceptionV3().eval()
    x = torch.rand(1, 192, 5, 5)
    seen = []
    network.Mixed_5b.branch_pool.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    network.Mixed_7b.branch_pool.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    network.Mixed_7c.branch_pool.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        network.Mixed_5b(x)
        network.Mixed_7b(x.repeat(1, 7, 1, 1)[:, :1280])
        network.Mixed_7c(x.repeat(1, 11, 1, 1)[:, :2048])
    corner = x[0, 0, :2, :2]
    assert seen[0][0, 0, 0, 0] == pytest.approx(float(corner.mean()))  # padding is not counted
    assert seen[1][0, 0, 0, 0] == pytest.approx(float(corner.mean()))
    assert seen[2][0, 0, 0, 0] == corner.max()  # the last block takes the maximum


def test_inception_features_are_the_network_on_the_stated_input(inception_file, images):
    extractor = inception_v3_fid(inception_file, window=(0, 1000))
    found = extractor(images)
    assert found.values.shape == (2, 2048)
    assert found.extractor == "inception_v3_fid"
    network = InceptionV3().eval()
    network.load_state_dict(torch.load(inception_file, weights_only=True), strict=False)
    # by hand with PIL, which clean-fid resizes with: rows are y
    rows = np.floor(np.clip(images[0].T / 1000, 0, 1) * 255 + 0.5).astype(np.float32)
    wide = np.asarray(Image.fromarray(rows, mode="F").resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255)
    x = torch.from_numpy((wide - 128) / 128)[None, None].repeat(1, 3, 1, 1)
    with torch.no_grad():
        want = network.pooled(x)[0].double().numpy()
    np.testing.assert_allclose(found.values[0], want, rtol=2e-3, atol=1e-4 * np.abs(want).max())


def test_logits_come_from_the_pooled_features(inception_file, images):
    pooled = inception_v3_fid(inception_file, window=(0, 1000))(images[:1]).values
    logits = inception_v3_logits(inception_file, window=(0, 1000))(images[:1]).values
    state = torch.load(inception_file, weights_only=True)
    want = pooled @ state["fc.weight"].double().numpy().T + state["fc.bias"].double().numpy()
    np.testing.assert_allclose(logits, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(120, 90), (500, 400)])
@pytest.mark.parametrize(("mode", "filter_"), [("bicubic", Image.Resampling.BICUBIC),
                                               ("bilinear", Image.Resampling.BILINEAR)])  # fmt: skip
def test_resizing_is_that_of_pil(size, mode, filter_):
    image = 255 * np.random.default_rng(0).random(size)
    found = as_input(image, 224, mode, None, "any")[0, 0].numpy()
    want = np.asarray(Image.fromarray(image.T.astype(np.float32), mode="F").resize((224, 224), filter_))
    np.testing.assert_allclose(found, want, atol=5e-3)  # of 255, in float32


def test_sixteen_bits_survive_where_the_contract_says_any():
    image = np.array([[0, 1], [65534, 65535]], np.uint16)
    kept = as_input(image.astype(float), None, "none", (0, 65535), "any")
    squeezed = as_input(image.astype(float), None, "none", (0, 65535), "8 bit")
    assert len(kept.unique()) == 4
    assert squeezed.unique().tolist() == [0, 255]


@pytest.mark.parametrize("kind", ["names", "numbers"])
def test_resnet_takes_both_kinds_of_names(resnet_state, images, tmp_path, kind):
    state = dict(resnet_state)
    if kind == "numbers":  # as in RadImageNet's own file
        order = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
        state = {f"backbone.{order.index(n.split('.')[0])}.{n.split('.', 1)[1]}": v for n, v in state.items()}
    else:
        state |= {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "r.safetensors")
    found = radimagenet_resnet50(tmp_path / "r.safetensors", window=(0, 1000))(images)
    network = ResNet50().eval()
    network.load_state_dict(resnet_state)
    x = (as_input(images[1], 224, "bilinear", (0, 1000), "8 bit") - 127.5) / 127.5
    with torch.no_grad():
        want = network(x.repeat(1, 3, 1, 1))[0].double().numpy()
    np.testing.assert_allclose(found.values[1], want, rtol=1e-3, atol=1e-4 * np.abs(want).max())


def test_a_bottleneck_is_three_convolutions_beside_a_shortcut(resnet_state):
    network = ResNet50().eval()
    network.load_state_dict(resnet_state)
    block, x = network.layer2[0], torch.rand(1, 256, 6, 6)
    y = F.relu(F.conv2d(x, block.conv1.weight) / (1 + 1e-5) ** 0.5)  # fresh normalisation only divides
    y = F.relu(F.conv2d(y, block.conv2.weight, stride=2, padding=1) / (1 + 1e-5) ** 0.5)
    y = F.conv2d(y, block.conv3.weight) / (1 + 1e-5) ** 0.5
    short = F.conv2d(x, block.downsample[0].weight, stride=2) / (1 + 1e-5) ** 0.5
    with torch.no_grad():
        torch.testing.assert_close(block(x), F.relu(y + short))


def test_any_torchscript_or_safetensors_network_can_be_an_extractor(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    torch.jit.trace(network, torch.zeros(1, 1, 8, 8)).save(tmp_path / "n.ts")
    save_file(network.state_dict(), tmp_path / "n.safetensors")
    image = np.random.default_rng(0).random((9, 12))
    scripted = torchscript(tmp_path / "n.ts", name="mine", licence="MIT", dim=4, contract=PLAIN)
    blank = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    filled = safetensors_network(tmp_path / "n.safetensors", blank, name="mine", licence="MIT", dim=4, contract=PLAIN)
    weight, bias = (value.detach().double().numpy() for value in network[0].parameters())
    windows = np.lib.stride_tricks.sliding_window_view(image.T, (3, 3))
    want = np.einsum("ijkl,okl->o", windows, weight[:, 0]) / (7 * 10) + bias
    for extractor in (scripted, filled):
        np.testing.assert_allclose(extractor([image]).values[0], want, rtol=1e-5)
    assert scripted.weights != filled.weights
    assert scripted.preprocessing != filled.preprocessing


def test_weights_of_another_network_or_no_weights_are_one_clear_line(tmp_path, resnet_state, inception_file):
    torch.save(resnet_state, tmp_path / "resnet.pt")
    (tmp_path / "junk.pth").write_bytes(b"junk")
    torch.save({"a": torch.nn.Linear(1, 1)}, tmp_path / "pickle.pth")
    wrong = torch.load(inception_file, weights_only=True) | {"fc.bias": torch.zeros(1000)}
    torch.save(wrong, tmp_path / "wrong.pth")
    for name, text in (("absent.pth", "download it"), ("resnet.pt", "another network"), ("junk.pth", "cannot read"),
                       ("pickle.pth", "cannot read"), ("wrong.pth", "fc.bias has shape")):  # fmt: skip
        with pytest.raises(RadloomError, match=text) as caught:
            inception_v3_fid(tmp_path / name, window=(0, 255))
        assert "\n" not in str(caught.value)
    with pytest.raises(RadloomError, match="cannot read the TorchScript"):
        torchscript(tmp_path / "junk.pth", name="mine", licence="MIT", dim=4, contract=PLAIN)


def test_features_that_break_their_own_contract_are_refused():
    liar = Extractor("liar", "MIT", 3, PLAIN, lambda images: np.zeros((len(images), 2)))
    with pytest.raises(RadloomError, match="shape"):
        liar([np.zeros((4, 4))])
    sick = Extractor("sick", "MIT", 1, PLAIN, lambda images: np.full((len(images), 1), np.nan))
    with pytest.raises(RadloomError, match="not finite"):
        sick([np.zeros((4, 4))])
