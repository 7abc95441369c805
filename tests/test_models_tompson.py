"""Efficient Object Localization: exact crops, both looks learn, and the laws of all networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.errors import OptionError  # noqa: E402
from everybody.models.gaussian_maps import gaussian_maps  # noqa: E402
from everybody.models.tompson import (  # noqa: E402
    VARIANTS,
    TompsonNet,
    cropped,
    local_contrast,
    peaks,
    tompson_loss,
)
from tests import network_answer, network_laws  # noqa: E402

SMALL = {"width": 8, "hidden": 16, "fine": 8, "window": 12}


def test_a_crop_is_a_copy_of_the_features_and_zero_outside():
    features = torch.arange(2 * 3 * 10 * 8.0).reshape(2, 3, 10, 8) + 1
    begin = torch.tensor([[[2, 3], [-2, 0]], [[5, 8], [0, 0]]])
    crops = cropped(features, begin, 4)
    assert crops.shape == (2, 2, 3, 4, 4)
    assert torch.equal(crops[0, 0], features[0, :, 3:7, 2:6])
    assert torch.equal(crops[1, 1], features[1, :, :4, :4])
    assert torch.equal(crops[0, 1, :, :, 2:], features[0, :, :4, :2])
    assert not crops[0, 1, :, :, :2].any()
    assert torch.equal(crops[1, 0, :, :2, :3], features[1, :, 8:, 5:])
    assert not crops[1, 0, :, 2:].any()


def test_all_levels_of_a_crop_see_the_same_window():
    """A picture that is its own x: the mean x of each level's crop is the window's middle."""
    net = TompsonNet(2, **SMALL)
    begin = torch.tensor([[[14, 10]]])  # of a cell's window: cell · 4 - 4
    x = torch.arange(64.0).expand(1, 1, 64, 64)
    for level in range(3):
        s = 2**level
        crop = cropped(torch.nn.functional.avg_pool2d(x, s), begin // s, net.window // s)
        middle = (begin[0, 0, 0] // s * s) + (net.window - 1) / 2
        assert crop.mean() == pytest.approx(float(middle))
    begin = net(torch.zeros(1, 3, 64, 64))[2]
    assert (begin % 4 == 0).all()  # so that the division above is exact


def test_contrast_is_the_same_in_the_dark_and_in_the_light():
    image = torch.rand(1, 3, 24, 32)
    assert torch.allclose(local_contrast(image), local_contrast(5 * image + 3), atol=1e-4)
    assert local_contrast(torch.full((1, 3, 24, 32), 7.0)).abs().max() < 1e-3


def test_the_answer_is_where_the_fine_heatmap_peaks_in_the_crop():
    net = TompsonNet(1, **SMALL)
    fine = gaussian_maps(torch.tensor([[[7.0, 3.0]]]), (12, 12), 1.5) * 0.75
    (found,) = net.answer((torch.zeros(1, 1, 16, 16), fine, torch.tensor([[[20, 36]]])))
    assert found[0, 0].tolist() == pytest.approx([27, 39, 0.25, 0.25])


def test_the_loss_is_zero_at_the_truth_and_a_joint_outside_its_window_is_coarse_only():
    places = torch.tensor([[[33.5, 21.5], [50.0, 30.0]]])
    coarse = gaussian_maps((places - 1.5) / 4, (16, 16), 1.5)
    begin = peaks(coarse) * 4 - 4
    fine = gaussian_maps(places - begin, (12, 12), 1.5)
    weights = torch.ones(1, 2)
    total, weight = tompson_loss((coarse, fine, begin), (places,), weights)
    assert total == pytest.approx(0, abs=1e-6)
    assert weight == 2

    wrong = fine.clone()
    wrong[0, 0] = 0
    assert tompson_loss((coarse, wrong, begin), (places,), weights)[0] == pytest.approx(
        0.1, abs=0.01
    )
    begin[0, 0] += 40
    assert tompson_loss((coarse, wrong, begin), (places,), weights)[0] == pytest.approx(0, abs=1e-6)


def test_untrained_maps_are_empty_and_cost_what_empty_ones_do():
    torch.manual_seed(0)
    places = torch.full((2, 3, 2), 30.0)
    said = TompsonNet(3, **SMALL)(torch.randn(2, 3, 64, 48), (places // 4).long())
    total, weight = tompson_loss(said, (places,), torch.ones(2, 3))
    empty = 1 + 0.1  # E₁ + λ E₂
    assert (total / weight).item() == pytest.approx(empty, abs=0.02)


def test_gradients_of_the_second_look_reach_the_shared_features():
    torch.manual_seed(0)
    net = TompsonNet(2, **SMALL)
    net(torch.randn(1, 3, 64, 48))[1].square().sum().backward()
    banks = [bank.levels[0][0].weight.grad for bank in net.banks]
    assert banks[0].abs().sum() > 0
    assert banks[1] is None  # only the first bank is looked at again


@pytest.mark.parametrize("norm", [False, True])
def test_laws(norm, tmp_path):
    torch.manual_seed(0)
    net = TompsonNet(3, norm=norm, **SMALL)
    images, places = torch.randn(2, 3, 64, 48), torch.rand(2, 3, 2) * 40
    cells = (places // 4).long()
    coarse, fine, begin = net(images, cells)
    assert (coarse.shape, fine.shape) == ((2, 3, 16, 12), (2, 3, 12, 12))
    assert torch.equal(begin, cells * 4 - 4)

    def loss(said):
        near = said[2] + torch.rand(2, 3, 2) * 11  # in the window, wherever it is
        return tompson_loss(said, (near,), torch.ones(2, 3))[0]

    network_laws.every_parameter_learns(net, images, loss)
    network_laws.batched_equals_single(net, images)
    network_laws.onnx_equals_torch(network_answer.Answering(net), images, tmp_path / "net.onnx")


def test_as_published_it_has_more_banks_and_coarser_cells_by_number():
    net = TompsonNet(2, banks=3, pools=3, window=24, width=4, hidden=8, fine=4).eval()
    coarse, fine, _ = net(torch.zeros(1, 3, 64, 96))
    assert (coarse.shape, fine.shape) == ((1, 2, 8, 12), (1, 2, 24, 24))
    assert {"tompson", "tompson-small"} <= set(VARIANTS)


def test_windows_without_a_middle_cell_are_refused():
    with pytest.raises(OptionError, match=r"window of 32 pixels .* odd multiple of 4"):
        TompsonNet(2, window=32)
