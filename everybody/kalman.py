"""The Kalman filter (Kalman 1960) of points that move at constant velocity, and its smoother
(Rauch, Tung and Striebel 1965). Tracking predicts people with it, smoothing steadies their joints.

x and y of a point share one covariance of position and velocity, so a filter is three numbers (pp,
pv, vv), and any number of points are predicted and corrected by a few array operations. The
acceleration is white noise of a spectral density q: t seconds add q t³/3, q t²/2 and q t to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from .geometry import Array


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is known of points: position and velocity [..., 2] in pixels (per second), and their
    covariance [3, ...]: pp, pv, vv.
    """

    position: Array
    velocity: Array
    covariance: Array

    def ahead(
        self,
        seconds: float,
        density: Array | float,
        *,
        velocity: Array | None = None,
        damping: Array | float = 1.0,
    ) -> Self:
        """The prediction, `seconds` later. density [...] of the acceleration, in pixels² / s³.
        velocity [..., 2] in place of the state's own; damping [...]: the share of its uncertainty
        that is left.
        """
        velocity = self.velocity if velocity is None else velocity
        pp, pv, vv = self.covariance
        covariance = np.empty_like(self.covariance)
        covariance[0] = pp + (2 * seconds) * pv + seconds**2 * vv + density * (seconds**3 / 3)
        covariance[1] = damping * (pv + seconds * vv) + density * (seconds**2 / 2)
        covariance[2] = damping**2 * vv + density * seconds
        return type(self)(self.position + seconds * velocity, velocity, covariance)

    def corrected(self, points: Array, variances: Array) -> Self:
        """After points [..., 2] of variances [...] were seen; infinite where nothing was seen."""
        pp, pv, vv = self.covariance
        total = pp + variances
        gain_p, gain_v = pp / total, pv / total
        surprise = points - self.position
        covariance = np.stack([pp - gain_p * pp, pv - gain_p * pv, vv - gain_v * pv])
        return type(self)(
            self.position + gain_p[..., None] * surprise,
            self.velocity + gain_v[..., None] * surprise,
            covariance,
        )

    def smoothed(self, predicted: State, later: State, seconds: float) -> Self:
        """The same instant, knowing `later`, the smoothed state `seconds` later, which was
        `predicted` from this one. The covariance stays the filter's.
        """
        pp, pv, vv = self.covariance
        next_pp, next_pv, next_vv = predicted.covariance

        # gain = P Fᵀ P_predicted⁻¹
        det = next_pp * next_vv - next_pv * next_pv
        moved_pp, moved_vp = pp + seconds * pv, pv + seconds * vv
        gain_pp = ((moved_pp * next_vv - pv * next_pv) / det)[..., None]
        gain_pv = ((pv * next_pp - moved_pp * next_pv) / det)[..., None]
        gain_vp = ((moved_vp * next_vv - vv * next_pv) / det)[..., None]
        gain_vv = ((vv * next_pp - moved_vp * next_pv) / det)[..., None]

        shift = later.position - predicted.position
        change = later.velocity - predicted.velocity
        return type(self)(
            self.position + gain_pp * shift + gain_pv * change,
            self.velocity + gain_vp * shift + gain_vv * change,
            self.covariance,
        )
