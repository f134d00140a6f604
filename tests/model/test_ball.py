"""Points that fill a ball."""

from __future__ import annotations

import numpy as np

from gpurefine.model.ball import SPREAD, ball


def test_no_place_is_farther_from_a_point_than_asked_for() -> None:
    points = ball(6.0, 1.0)
    assert np.array_equal(points[0], np.zeros(3)) and len(np.unique(points, axis=0)) == len(points)
    distance = np.linalg.norm(points, axis=1)
    assert (np.diff(distance) >= -1e-12).all() and distance[-1] <= 6.0
    rng = np.random.default_rng(0)
    places = rng.uniform(-3, 3, (20_000, 3))
    apart = places[:, None] - points[distance < 5.5]
    nearest = np.argmin(np.sum(apart**2, axis=2), axis=1)
    offset = apart[np.arange(len(places)), nearest]
    farthest = np.linalg.norm(offset, axis=1).max()
    assert 0.95 < farthest <= 1.0
    assert abs(offset.std() - SPREAD) < 0.01


def test_a_small_ball_is_its_centre() -> None:
    assert np.array_equal(ball(0.5, 1.0), np.zeros((1, 3)))
