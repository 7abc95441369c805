"""Damaged labels: every reader returns data or raises one line that names the file, whatever is in
it; sizes that a file states are not believed.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from benchmarks.fuzz import Seed, input_of, outcome, seeds, write
from everybody.data.mat import read_mat
from everybody.data.read import read, read_results
from everybody.errors import DataError
from synthetic import files
from synthetic.formats import FORMATS

OWN = (
    "coco",
    "crowdpose",
    "whole-body",
    "posetrack",
    "coco-results",
    "mpii",
    "mpii-csv",
    "mpii-mat",
    "lsp-mat",
    "lsp-npz",
    "yolo",
)


@pytest.mark.parametrize("name", OWN)
def test_damaged_files_are_read_or_refused_by_name(tmp_path: Path, name: str) -> None:
    originals = seeds(FORMATS[name])[:1]
    whole = write(originals[0], tmp_path / "whole")
    assert outcome(FORMATS[name].read, whole) == ("read", "")
    ends: dict[str, Any] = {}
    for case in range(120):
        path = write(input_of(name, case, 7, originals), tmp_path / str(case))
        ends.setdefault(outcome(FORMATS[name].read, path)[0], []).append(case)
    assert set(ends) == {"read", "refused"}, ends


def test_the_fuzzer_tells_ends_apart(tmp_path: Path) -> None:
    path = tmp_path / "a" / "labels.json"

    def raising(error: BaseException) -> Callable[[Path], None]:
        def read(path: Path) -> None:
            raise error

        return read

    assert outcome(lambda path: None, path)[0] == "read"
    assert outcome(raising(DataError(f"{path}: is broken")), path)[0] == "refused"
    assert outcome(raising(DataError("is broken")), path)[0] == "unclear"
    assert outcome(raising(KeyError("id")), path)[0] == "traceback"
    assert outcome(raising(MemoryError()), path)[0] == "memory"


def test_a_case_of_the_fuzzer_is_the_same_again_and_differs_from_others() -> None:
    originals = seeds(FORMATS["coco"])[:1]
    texts = [input_of("coco", case, 0, originals).content["annotations.json"] for case in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert isinstance(originals[0], Seed)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("1_13_test_crowdpose.json", r"\$\.categories\[0\]\.keypoints\[10\]: expected text"),
        ("1_31_test_crowdpose.json", r"\$\.images\[1\]\.crowdIndex: expected a number"),
        ("1_38_test_posetrack18_val.json", r"\$\.annotations\[3\]\.track_id: expected"),
        ("1_43_test_posetrack18_val.json", r"\$\.categories\[0\]: object missing .*`id`"),
        ("1_9_mpii.mat", "pos_gt_src has a number that is not finite"),
        ("2_38_mpii.mat", "pos_gt_src has a number that is not finite"),
        ("segv_mpii.mat", "a type numbered 0"),
    ],
)
def test_handed_files_are_refused_with_the_path_of_the_field(
    shared: Path, name: str, said: str
) -> None:
    path = shared / "cases" / "broken" / name
    with pytest.raises(DataError, match=rf"{name}: .*{said}"):
        read(path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("1_16_alphapose-results.json", r"\$\[0\]: expected an object, got a list"),
        ("1_35_alphapose-results.json", r"\$\[2\]\.keypoints\[18\]: expected a number"),
    ],
)
def test_handed_results_are_refused_too(shared: Path, tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_results(shared / "cases" / "broken" / name, read(files.coco(tmp_path)))


def test_no_handed_file_ends_in_anything_but_an_error_of_ours(shared: Path) -> None:
    for path in sorted((shared / "cases" / "broken").iterdir()):
        with pytest.raises(DataError, match=path.name):
            read(path)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["float64", "float32", "uint8", "int16", "int64"])
def test_arrays_of_mat_files_are_those_that_scipy_reads(
    tmp_path: Path, kind: str, compressed: bool
) -> None:
    path = tmp_path / "a.mat"
    values = np.random.default_rng(0).integers(0, 100, (2, 3, 4)).astype(kind)
    cells = np.empty((1, 2), object)
    cells[0] = ["text", np.eye(2)]
    content = {"values": values, "one": 7.5, "none": np.zeros((0, 3)), "cells": cells}
    savemat(path, {**content, "complex": np.ones(2) * 1j}, do_compression=compressed)
    read_back = read_mat(path, path.read_bytes())
    assert set(read_back) == {"values", "one", "none"}
    expected = loadmat(path)
    for name, array in read_back.items():
        np.testing.assert_array_equal(array, expected[name])


def test_a_mat_file_that_states_more_than_it_has_costs_no_memory(tmp_path: Path) -> None:
    path = files.lsp_mat(tmp_path)
    data = path.read_bytes()
    sides = np.array([3, 14, 3], "<i4").tobytes()
    path.write_bytes(data.replace(sides, np.array([3, 14, 2**30], "<i4").tobytes()))
    with pytest.raises(DataError, match=r"joints\.mat: is a broken \.mat"):
        read(path)

    bomb = zlib.compress(bytes(1 << 24))
    path.write_bytes(data[:128] + (15).to_bytes(4, "little") + len(bomb).to_bytes(4, "little"))
    with pytest.raises(DataError, match="bytes announced"):
        read(path)


def test_an_npz_that_states_more_than_it_has_costs_no_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 14, 3)}
    np.lib.format.write_array_header_1_0(header, shape)
    path = tmp_path / "val.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("joints.npy", header.getvalue())
        archive.writestr("names.npy", header.getvalue())
    with pytest.raises(DataError, match=r"val\.npz: is a broken \.npz .* 0 bytes for"):
        read(path)
