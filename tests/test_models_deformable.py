"""Deformable convolution: what is known exactly."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from torch.nn import functional  # noqa: E402

from everybody.models.deformable import DeformableConv, deformable_convolution  # noqa: E402


def drawn(stride: int, padding: int, *, kernel: int = 3):
    """Features, a weight, and offsets of 0: exact in float64."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 9, 12, generator=rng, dtype=torch.float64)
    weight = torch.randn(5, 4, kernel, kernel, generator=rng, dtype=torch.float64)
    shape = functional.conv2d(x, weight, stride=stride, padding=padding).shape[2:]
    return x, weight, x.new_zeros(2, 2 * kernel * kernel, *shape)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_without_offsets_it_is_the_ordinary_convolution(stride, padding, kernel):
    x, weight, offsets = drawn(stride, padding, kernel=kernel)
    found = deformable_convolution(x, offsets, weight, stride=stride, padding=padding)
    torch.testing.assert_close(
        found, functional.conv2d(x, weight, stride=stride, padding=padding), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, 2), (-2, 3)])
def test_whole_offsets_read_the_picture_shifted_with_nothing_outside(down, right):
    x, weight, offsets = drawn(1, 1)
    offsets[:, 0::2], offsets[:, 1::2] = down, right
    wide = functional.pad(x, (4, 4, 4, 4))
    shifted = wide[:, :, 4 + down - 1 : 4 + down + 10, 4 + right - 1 : 4 + right + 13]
    found = deformable_convolution(x, offsets, weight, padding=1)
    torch.testing.assert_close(found, functional.conv2d(shifted, weight), rtol=0, atol=1e-12)


def test_half_an_offset_reads_the_mean_of_two_pixels():
    x, weight, offsets = drawn(1, 0, kernel=1)
    offsets[:, 1] = 0.5
    wide = functional.pad(x, (0, 1))
    between = (wide[..., 1:] + wide[..., :-1]) / 2
    found = deformable_convolution(x, offsets, weight)
    torch.testing.assert_close(found, functional.conv2d(between, weight), rtol=0, atol=1e-12)


def test_each_place_has_its_own_offset_row_by_row():
    """Only the kernel's upper right place, the third, is moved: down by one, onto the sixth."""
    x, weight, offsets = drawn(1, 1)
    offsets[:, 2 * 2] = 1
    moved = weight.clone()
    moved[:, :, 1, 2] += moved[:, :, 0, 2]
    moved[:, :, 0, 2] = 0
    found = deformable_convolution(x, offsets, weight, padding=1)
    torch.testing.assert_close(found, functional.conv2d(x, moved, padding=1), rtol=0, atol=1e-12)


def test_modulation_weighs_each_place():
    x, weight, offsets = drawn(1, 1)
    modulation = torch.linspace(0, 1, 9, dtype=x.dtype)
    found = deformable_convolution(
        x, offsets, weight, modulation[None, :, None, None].expand(2, 9, 9, 12), padding=1
    )
    weighed = weight * modulation.reshape(3, 3)
    torch.testing.assert_close(found, functional.conv2d(x, weighed, padding=1), rtol=0, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    rng = torch.Generator().manual_seed(1)
    sizes = ((1, 2, 4, 5), (1, 18, 4, 5), (2, 2, 3, 3), (1, 9, 4, 5))
    inputs = [
        torch.randn(size, generator=rng, dtype=torch.float64, requires_grad=True) for size in sizes
    ]
    assert torch.autograd.gradcheck(
        lambda *values: deformable_convolution(*values, padding=1), inputs
    )


@pytest.mark.parametrize(("modulated", "share"), [(False, 1.0), (True, 0.5)])
def test_a_new_layer_is_an_ordinary_convolution_of_full_or_half_weight(modulated, share):
    layer = DeformableConv(3, 4, stride=2, modulated=modulated)
    x = torch.randn(2, 3, 8, 6)
    ordinary = functional.conv2d(x, share * layer.weight, stride=2, padding=1)
    torch.testing.assert_close(layer(x), ordinary, rtol=0, atol=1e-4)
