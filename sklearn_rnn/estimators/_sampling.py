"""How the next symbol is drawn from a network's scores."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch


class Sampling(NamedTuple):
    """How to draw: sharper, flatter, or from fewer symbols.

    Parameters
    ----------
    temperature : float, default=1.0
        Divides the logits; 0 takes the likeliest.
    top_k : int, default=None
        Draw only from this many of the likeliest.
    top_p : float, default=None
        Draw only from the fewest likeliest that have this probability together.

    References
    ----------
    Fan, Lewis and Dauphin, "Hierarchical neural story generation", ACL 2018
    (top-k). Holtzman et al., "The curious case of neural text degeneration",
    ICLR 2020 (top-p, nucleus sampling).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.estimators import Sampling
    >>> logits = np.log([[0.5, 0.3, 0.15, 0.05]])
    >>> Sampling(top_p=0.7).probabilities(logits)
    array([[0.625, 0.375, 0.   , 0.   ]])
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def check(self):
        """Check that the values have a meaning.

        Raises
        ------
        ValueError
            If one is not a number, or outside its range.
        """
        if not _is_real(self.temperature) or not 0 <= self.temperature < np.inf:
            raise ValueError(
                f"temperature={self.temperature!r} must be a number from 0 (always the "
                "likeliest) up; 1 draws from what was learned."
            )
        if self.top_k is not None and (
            not isinstance(self.top_k, Integral)
            or isinstance(self.top_k, bool)
            or self.top_k < 1
        ):
            raise ValueError(
                f"top_k={self.top_k!r} must be a whole number from 1, or None for all."
            )
        if self.top_p is not None and (
            not _is_real(self.top_p) or not 0 < self.top_p <= 1
        ):
            raise ValueError(
                f"top_p={self.top_p!r} must be a number in (0, 1], or None for all."
            )

    def probabilities(self, logits, never=()):
        """Compute what to draw from.

        Parameters
        ----------
        logits : ndarray of shape (n, n_symbols)
            Unnormalised log-probabilities.
        never : list of int, default=()
            Symbols that are not drawn.

        Returns
        -------
        ndarray of shape (n, n_symbols)
            Float64; rows sum to 1.
        """
        logits = np.array(logits, dtype=np.float64)
        logits[:, list(never)] = -np.inf
        if self.temperature == 0:
            return np.eye(logits.shape[1])[logits.argmax(axis=1)]
        # From the largest down, so that a temperature near 0 does not overflow.
        with np.errstate(over="ignore"):
            relative = logits - logits.max(axis=1, keepdims=True)
            relative /= self.temperature
        shares = torch.from_numpy(relative).softmax(dim=1).numpy()
        if self.top_k is not None and self.top_k < shares.shape[1]:
            shares = _keep(shares, np.arange(shares.shape[1]) < self.top_k)
        if self.top_p is not None and self.top_p < 1:
            falling = -np.sort(-shares, axis=1)
            before = np.cumsum(falling, axis=1) - falling
            # The one that reaches top_p is in; rounding must not add another.
            kept = before < self.top_p - 1e-12
            kept[:, 0] = True
            shares = _keep(shares, kept)
        return shares

    def draw(self, logits, random_state, never=()):
        """Draw a symbol for each row.

        Parameters
        ----------
        logits : ndarray of shape (n, n_symbols)
            Unnormalised log-probabilities.
        random_state : numpy.random.RandomState
            Gives one number per row.
        never : list of int, default=()
            Symbols that are not drawn.

        Returns
        -------
        ndarray of int of shape (n,)
            Which.
        """
        until = np.cumsum(self.probabilities(logits, never), axis=1)
        drawn = random_state.random_sample(len(until))[:, np.newaxis]
        # Scaled, as the last sum may be short of 1 by rounding.
        return (drawn * until[:, -1:] >= until).sum(axis=1)

    def draw_frames(self, logits, random_state):
        """Draw a frame for each row, every feature by itself.

        Parameters
        ----------
        logits : ndarray of shape (n, n_features)
            Of a one.
        random_state : numpy.random.RandomState
            Gives one number per feature.

        Returns
        -------
        ndarray of uint8 of shape (n, n_features)
            Zeros and ones.
        """
        logits = np.asarray(logits, dtype=np.float64)
        if self.temperature == 0:
            return (logits > 0).astype(np.uint8)
        drawn = random_state.random_sample(logits.shape)
        with np.errstate(over="ignore"):
            chances = torch.from_numpy(logits / self.temperature).sigmoid().numpy()
        return (drawn < chances).astype(np.uint8)


def check_count(number, name):
    """Return a count as an int; raise if it is no whole number from 1.

    Parameters
    ----------
    number : int
        As given by the user.
    name : str
        What it is called, for the message.

    Returns
    -------
    int
        The same.
    """
    if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
        raise ValueError(f"{name}={number!r} must be a whole number from 1.")
    return int(number)


def _is_real(number):
    return isinstance(number, Real) and not isinstance(number, bool)


def _keep(shares, which_in_order):
    """Keep the shares that a mask names, from the largest down; renormalise."""
    order = np.argsort(-shares, axis=1, kind="stable")
    mask = np.zeros(shares.shape, dtype=bool)
    np.put_along_axis(mask, order, np.broadcast_to(which_in_order, order.shape), 1)
    kept = np.where(mask, shares, 0.0)
    return kept / kept.sum(axis=1, keepdims=True)
