"""Likelihoods of generalised linear models on shares: residuals and weights for Newton's method, and deviances.

Families with the log link work on y / mean(y) with means mu = e^eta around 1: a factor of y only moves the intercept,
and the range of e^eta is known whatever the units of y.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import final

from ..array import SecureArray
from ..functions import clip, divide, exp, log, reciprocal, sigmoid, stack
from ..functions.activation import log_one_plus_exp
from ..ring import exact
from ..types import RANGE_BITS
from .newton import Family

_LOSS_BITS = 28
_PEARSON = "Pearson's residuals: y of a row is far above its prediction; raise ratio_bound, or leave such rows out"
_FAR_BELOW = 8.0  # log of the mean over a mean of counts that is told from 0: its weight in the information is felt


@final
class Normal(Family):
    """y = eta + noise; residuals stay below ``bound``, which the owner guards."""

    exact_bound = True
    weight_bound = 1.0
    bits = 26

    def __init__(self, y: SecureArray, bound: float) -> None:
        self.y, self.residual_bound = y, bound

    def evaluate(self, linear: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        return linear - self.y, None


@final
class Binomial(Family):
    """y of 0 and 1 with the logit link. Error of a probability at most 2^-14 of p and of 1 - p, plus 2^-28."""

    exact_bound = True
    residual_bound = 1.01
    weight_bound = 0.2502
    weight_bits = 22

    def __init__(self, y: SecureArray) -> None:
        self.y = y

    def evaluate(self, linear: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        p = sigmoid(linear)
        return p - self.y, p - p.multiply(p, scale=p.scale)

    def losses(self, linear: SecureArray) -> SecureArray:
        """log(1 + e^eta) - y eta for each row; relative error at most 2^-15 plus 1 ulp of eta and 2^-26."""
        scale = max(linear.scale, min(_LOSS_BITS, RANGE_BITS - 2 - exact.log2_ceil(max(linear.bound, 1.0))))
        return log_one_plus_exp(linear, scale) - self.y * linear


class LogLink(Family):
    """Families with mu = e^(eta + offset). ``y`` (n,): over its mean; ``ratio``: bound on y and mu, times the mean.

    ``mean``: secret scalar, the mean of y, for families whose shape depends on the unit of y.
    """

    exact_bound = False
    weight_bound: float

    def __init__(self, y: SecureArray, offset: SecureArray | None, ratio: float) -> None:
        self.y, self.offset, self.ratio = y, offset, ratio
        self.residual_bound = ratio

    def predictor(self, linear: SecureArray) -> SecureArray:
        """eta with its offset, limited to where the mean stays below ``ratio`` and above 2^-16 (or 1 / ``ratio``)."""
        eta = linear if self.offset is None else linear + self.offset
        return clip(eta, -self.lowest, exact.ln(self.ratio))

    @property
    def lowest(self) -> float:
        return 11.0

    @abstractmethod
    def deviances(self, linear: SecureArray) -> SecureArray:
        """Half the deviance of each row (n,), for y and mu over the mean of y."""

    @abstractmethod
    def pearson(self, linear: SecureArray) -> SecureArray:
        """(y - mu)^2 over the variance function, for each row."""


@final
class Poisson(LogLink):
    """Variance mu. Gradient mu - y, weight mu."""

    @property
    def weight_bound(self) -> float:  # type: ignore[override]
        return self.ratio * 1.001

    def evaluate(self, linear: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        mu = exp(self.predictor(linear))
        return mu - self.y, mu

    def deviances(self, linear: SecureArray) -> SecureArray:
        eta = self.predictor(linear)
        return self.y * (log(self.y) - eta - 1) + exp(eta)

    def pearson(self, linear: SecureArray) -> SecureArray:
        eta = self.predictor(linear)
        error = self.y * exp(eta * -0.5) - exp(eta * 0.5)
        return error * error


@final
class Gamma(LogLink):
    """Variance mu^2. Gradient 1 - y / mu, expected weight 1."""

    weight_bound = 1.0

    @property
    def lowest(self) -> float:
        return exact.ln(self.ratio)

    def evaluate(self, linear: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        return 1 - self.y * exp(-self.predictor(linear)), None

    def deviances(self, linear: SecureArray) -> SecureArray:
        eta = self.predictor(linear)
        return self.y * exp(-eta) - 1 + eta - log(self.y)

    def pearson(self, linear: SecureArray) -> SecureArray:
        error = (self.y * exp(-self.predictor(linear)) - 1).assume_bound(self.ratio, _PEARSON)
        return error * error


@final
class Tweedie(LogLink):
    """Variance mu^power, 1 < power < 2. Gradient mu^(2 - power) - y mu^(1 - power), expected weight mu^(2 - power)."""

    def __init__(self, y: SecureArray, offset: SecureArray | None, ratio: float, power: float) -> None:
        super().__init__(y, offset, ratio)
        self.power = power
        self.weight_bound = exact.power(ratio, 2 - power) * 1.001

    def _powers(self, linear: SecureArray) -> tuple[SecureArray, SecureArray]:
        eta, p = self.predictor(linear), self.power
        both = exp(stack([eta * (2 - p), eta * (1 - p)]))
        return both[0], both[1]

    def evaluate(self, linear: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        weight, other = self._powers(linear)
        return weight - self.y * other, weight

    def deviances(self, linear: SecureArray) -> SecureArray:
        p = self.power
        weight, other = self._powers(linear)
        saturated = exp(log(self.y) * (2 - p)) * (self.y > 0)
        return saturated * (1 / ((1 - p) * (2 - p))) - self.y * other * (1 / (1 - p)) + weight * (1 / (2 - p))

    def pearson(self, linear: SecureArray) -> SecureArray:
        eta, p = self.predictor(linear), self.power
        both = exp(stack([eta * (-p / 2), eta * (1 - p / 2)]))
        error = (self.y * both[0] - both[1]).assume_bound(self.ratio, _PEARSON)
        return error * error


@final
class NegativeBinomial(LogLink):
    """Variance mu + dispersion mu^2. Gradient (mu - y) t, expected weight mu t, with t = (1 + dispersion) /
    (1 + dispersion mu): times 1 + dispersion, so that large dispersions keep their digits."""

    def __init__(
        self, y: SecureArray, offset: SecureArray | None, ratio: float, dispersion: float, mean: SecureArray
    ) -> None:
        super().__init__(y, offset, ratio)
        self.dispersion = mean * dispersion  # of y over its mean
        self._share = reciprocal(self.dispersion + 1, at_most=1.01, scale=24)  # 1 / (1 + dispersion)
        self.weight_bound = ratio * 1.001

    @property
    def lowest(self) -> float:
        return max(exact.ln(self.ratio), _FAR_BELOW)

    def _mixed(self, x: SecureArray) -> SecureArray:
        """(1 + dispersion x) / (1 + dispersion), between x and 1."""
        most = max(1.0, x.bound) * 1.01
        return (x.multiply(1 - self._share, scale=24) + self._share)._stated(most)

    def evaluate(self, linear: SecureArray) -> tuple[SecureArray, SecureArray | None]:
        mu = exp(self.predictor(linear))._stated(self.ratio * 1.001)
        t = reciprocal(self._mixed(mu), at_most=exact.exp(self.lowest) * 1.01, scale=20)
        both = stack([mu - self.y, mu]).multiply(t, scale=20)
        return both[0], both[1]

    def deviances(self, linear: SecureArray) -> SecureArray:
        """y log(y / mu) - (y + 1 / a) log((1 + a y) / (1 + a mu)), with a the dispersion of y over its mean."""
        eta = self.predictor(linear)
        mu = exp(eta)._stated(self.ratio * 1.001)
        logs = log(stack([self.y, *(self._mixed(x).rescaled(self.y.scale) for x in (self.y, mu))]))
        over = divide(self._share, 1 - self._share, at_most=2.0**10 + 2)
        return self.y * (logs[0] - eta) - (self.y + over) * (logs[1] - logs[2])

    def pearson(self, linear: SecureArray) -> SecureArray:
        mu = exp(self.predictor(linear))
        t = reciprocal(mu * (mu * self.dispersion + 1), at_most=2.0**16)
        error = (mu - self.y)._stated(self.ratio)
        return error * error * t
