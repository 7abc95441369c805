"""One picture's bytes -> [H, W, 3] uint8 RGB: every format and mode, upright, and no broken picture
in silence.
"""

from __future__ import annotations

import sys
import threading
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from everybody.errors import InputError
from everybody.media.images import FORMATS, decode, picture_format, rgb, upright

SCENE = np.zeros((24, 40, 3), np.uint8)
SCENE[:12, :20] = (255, 0, 0)
SCENE[:12, 20:] = (0, 255, 0)
SCENE[12:, :20] = (0, 0, 255)


def saved(image: Any, format: str, **options: Any) -> bytes:
    file = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        file, format, **options
    )
    return file.getvalue()


def stored(orientation: int) -> np.ndarray:
    """SCENE as a camera held otherwise would store it: the inverse of what the tag asks for, spelt
    out one by one.
    """
    pictures = {
        1: SCENE,
        2: SCENE[:, ::-1],
        3: SCENE[::-1, ::-1],
        4: SCENE[::-1],
        5: SCENE.swapaxes(0, 1),
        6: np.rot90(SCENE),
        7: np.rot90(SCENE.swapaxes(0, 1), 2),
        8: np.rot90(SCENE, -1),
    }
    return np.ascontiguousarray(pictures[orientation])


def test_every_format_is_known_by_its_bytes_and_gives_the_same_picture() -> None:
    exact = {"PNG": {}, "BMP": {}, "TIFF": {}, "WebP": {"lossless": True}}
    close = {"JPEG": {"quality": 95, "subsampling": 0}, "AVIF": {"quality": 95}, "GIF": {}}
    for format, options in (exact | close).items():
        data = saved(SCENE, format, **options)
        assert picture_format(data[:64]) == format
        image = decode(data, "x")
        assert image.shape == SCENE.shape
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert image.flags.writeable
        assert np.abs(image.astype(int) - SCENE).mean() <= (0 if format in exact else 8), format


def test_heic() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra 'heif'")
    file = BytesIO()
    pillow_heif.from_pillow(Image.fromarray(SCENE.repeat(4, 0).repeat(4, 1))).save(file, quality=90)
    assert picture_format(file.getvalue()[:64]) == "HEIC"
    assert decode(file.getvalue(), "x").shape == (96, 160, 3)
    with pytest.raises(InputError, match="broken or truncated HEIC"):
        decode(file.getvalue()[:-200], "x")


def test_heic_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"pip install 'everybody\[heif\]'"):
        decode(b"\0\0\0\x18ftypheic" + bytes(64), "x.heic")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WebP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_give_the_same_upright_picture(format: str, orientation: int) -> None:
    assert (upright(stored(orientation), orientation) == SCENE).all()
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(
        stored(orientation),
        format,
        exif=exif,
        **({"quality": 95} if format in ("JPEG", "AVIF") else {}),
    )
    image = decode(data, "x")
    assert image.shape == SCENE.shape
    assert np.abs(image[4:8, 4:16].astype(int) - (255, 0, 0)).mean() < 12
    assert np.abs(image[16:20, 4:16].astype(int) - (0, 0, 255)).mean() < 12
    assert np.abs(image[16:20, 24:36].astype(int)).mean() < 12


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_cut(format: str) -> None:
    ramp = np.arange(0, 65536, 257, dtype=np.uint16).reshape(
        16, 16
    )  # 0, 257, ... 65535: exactly 0, 1, ... 255
    image = decode(saved(Image.fromarray(ramp), format), "x")
    assert (image == np.arange(256).reshape(16, 16, 1)).all()


def test_modes() -> None:
    grey = SCENE[..., 0]
    assert (decode(saved(grey, "PNG"), "x") == grey[..., None]).all()
    assert (decode(saved(Image.fromarray(grey).convert("1"), "PNG"), "x") == grey[..., None]).all()
    assert (decode(saved(Image.fromarray(SCENE).quantize(8), "PNG"), "x") == SCENE).all()
    assert (
        np.abs(
            decode(saved(Image.fromarray(SCENE).convert("CMYK"), "TIFF"), "x").astype(int) - SCENE
        ).max()
        <= 1
    )
    jpeg = decode(
        saved(Image.fromarray(SCENE).convert("CMYK"), "JPEG", quality=95, subsampling=0), "x"
    )
    assert np.abs(jpeg.astype(int) - SCENE).mean() < 8


def test_alpha_is_laid_over_white() -> None:
    half = np.dstack([SCENE, np.full(SCENE.shape[:2], 255, np.uint8)])
    half[:, 20:, 3] = 0
    half[20:, :20, 3] = 128
    for image in (half, np.dstack([half[..., 0], half[..., 3]])):
        picture = decode(saved(image, "PNG"), "x")
        assert (picture[:, 20:] == 255).all()
        assert (picture[:20, :20, 0] == half[:20, :20, 0]).all()
        assert abs(int(picture[22, 2, 0]) - 127) <= 1
    palette = Image.fromarray(SCENE).quantize(4)
    palette.info["transparency"] = palette.getpixel((30, 20))  # black
    assert (decode(saved(palette, "PNG"), "x")[12:, 20:] == 255).all()


def test_floats_are_refused_because_their_white_is_unknown() -> None:
    with pytest.raises(InputError, match="32-bit"):
        decode(saved(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"), "x")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_truncated_picture_is_an_error(format: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    data = saved(noise, format)
    with pytest.raises(
        InputError, match=r"^photo\.x: is a broken or truncated \w+ picture .*again$"
    ) as caught:
        decode(data[: int(len(data) * kept)], "photo.x")
    assert "\n" not in str(caught.value)


def test_what_is_no_picture_says_what_is_expected() -> None:
    for data in (b"", b"BM is how this text begins, and no bitmap", b"\0" * 100):
        with pytest.raises(InputError, match=FORMATS):
            decode(data, "x")


def test_broken_metadata_spoils_no_picture() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\x00" + b"\x12\x01\x03\x00\xff\xff\xff\xff" * 3
    for format in ("JPEG", "PNG", "WebP"):  # warnings are errors in these tests: none may escape
        assert decode(saved(SCENE, format, exif=exif), "x").shape == SCENE.shape


def test_pillows_limit_on_pixels_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Image, "MAX_IMAGE_PIXELS", 100
    )  # to `Image.open`, 960 pixels are now a bomb
    for format in ("JPEG", "PNG", "BMP", "GIF", "AVIF"):
        assert decode(saved(SCENE, format), "x").shape == SCENE.shape
    assert Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(InputError, match="more pixels than Pillow reads of a WebP"):
        decode(saved(SCENE, "WebP"), "x")


def test_too_large_pictures_are_told_by_their_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.new("1", (12000, 9000)), "PNG")
    monkeypatch.setattr("everybody.media.images.rgb", lambda *_: np.zeros((1, 1, 3)))
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda _: None)
    assert decode(data, "x").shape == (1, 1, 3)  # 108 megapixels, as phones have, are welcome
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda _: pytest.fail("decoded"))
    with pytest.raises(
        InputError, match=r"12000 × 9000 is 108 megapixels, more than the limit of 100;.*max-pixels"
    ):
        decode(data, "x", max_pixels=100_000_000)


def test_threads_decode_side_by_side() -> None:
    data = [saved(np.full((32, 32, 3), value, np.uint8), "PNG") for value in range(8)]
    results: list[Any] = [None] * 8

    def work(i: int) -> None:
        results[i] = decode(data[i], "x")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [int(image[0, 0, 0]) for image in results] == list(range(8))


def test_pillow_images() -> None:
    assert (rgb(Image.fromarray(SCENE), "x") == SCENE).all()
    with (
        Image.open(BytesIO(saved(SCENE, "PNG")[:-60])) as cut,
        pytest.raises(InputError, match=r"^x: is .* truncated"),
    ):
        rgb(cut, "x")


def test_broken_bytes_give_a_picture_or_a_line() -> None:
    random = np.random.default_rng(0)
    files = [
        saved(SCENE, format) for format in ("JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF")
    ]
    for trial in range(700):
        data = bytearray(files[trial % 7])
        for place in random.integers(0, len(data), 1 + trial % 5):
            data[place] = random.integers(256)
        try:
            said = ""
            assert decode(bytes(data), "x", max_pixels=10**6).shape[2] == 3
        except InputError as error:
            said = str(error)
        assert "\n" not in said
