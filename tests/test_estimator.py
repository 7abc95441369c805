"""An Estimator goes to other processes as its options, and finds the same there."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

import everybody
from everybody.options import Keywords, Options
from synthetic import nets


def test_an_estimator_is_pickled_as_its_options():
    estimator = everybody.Estimator(model="fast", whole=True, flip_test=True)
    data = pickle.dumps(estimator)
    assert len(data) < 5000
    again = pickle.loads(data)
    assert again.options == estimator.options
    image = nets.blob(96, 128, 40.0, 60.0)
    one, two = estimator.estimate(image), again.estimate(image)
    assert np.array_equal(one.keypoints, two.keypoints)


def test_a_process_pool_finds_the_same():
    estimator = everybody.Estimator(model="fast", whole=True, threads=1)
    images = [nets.blob(96, 128, x, 60.0) for x in (20.0, 50.0, 70.0)]
    here = [estimator.estimate(image) for image in images]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = list(pool.map(estimator.estimate, images))
    for one, two in zip(here, there, strict=True):
        assert np.array_equal(one.keypoints, two.keypoints)


def test_flat_keywords_and_options_are_the_same():
    keywords = Keywords(model="fast", det_score=0.1, tiles=(2, 1), flip_test=True, threads=2)
    options = Options.of(**keywords)
    flat = options.flat()
    assert set(flat) == set(Keywords.__annotations__)
    assert flat | dict(keywords) == flat
    assert Options.of(**flat) == options
    assert Options.of(**Options().flat()) == Options()
