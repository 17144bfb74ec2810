"""How the next symbol is drawn from a network's scores."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

# Probabilities are sums of many: the symbol that reaches a sum is the last one that
# counts, and rounding must not add another.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Sampling:
    """How continuations are drawn: sharper, from fewer symbols, or within rules.

    Passed as `sampling` to the methods of `RNNGenerator` that write. Temperature and
    penalty come first; of what is left are kept the symbols that pass `top_k`, of these
    those that pass `top_p`, and so on, in the order below.

    Parameters
    ----------
    temperature : float, default=1.0
        Divides the logits: below 1 the likely becomes likelier, above 1 the unlikely.
        0 always takes the likeliest.
    top_k : int, default=None
        Draw only from this many of the likeliest symbols.
    top_p : float, default=None
        Draw only from the fewest likeliest symbols that have this probability together
        (nucleus sampling).
    min_p : float, default=None
        Draw only from symbols at least this fraction as likely as the likeliest one:
        few where the continuation is clear, many where it is open.
    typical_p : float, default=None
        Draw only from the symbols that have this probability together and whose
        surprise is the nearest to the expected one (locally typical sampling). The
        likeliest may not be among them.
    repetition_penalty : float, default=1.0
        Above 1 recently written symbols become less likely, below 1 likelier. From
        their log-probabilities it subtracts ``repetition_penalty - 1`` times the mean
        of ``-log(p)`` over the other symbols. A value of 2 thus makes an all but
        certain symbol about as likely as an average other one; values from 1.1 to 1.5
        are common. Meant for words: of characters nearly all repeat soon.
    repetition_window : int, default=64
        How many of the last symbols, prompt included, the penalty is for.
    forbidden : str or list of symbols, default=()
        Symbols that are not written; of those that were never learned, which are not
        written anyway, there is a warning. Of frames: indices of features that stay 0.
    forced : dict, default=None
        Symbols, or frames, by the step at which they are written instead of one that is
        drawn, counted from 0 after the prompt: ``{0: "T", 3: "e"}``. No continuation
        ends before the last of them.
    min_steps : int, default=0
        Fewest symbols to write, where sequences end by themselves; 1 excludes empty
        continuations.

    Raises
    ------
    ValueError
        If a value is not a number, or outside its range.

    References
    ----------
    Fan, Lewis and Dauphin, "Hierarchical neural story generation", ACL 2018
    (top-k). Holtzman et al., "The curious case of neural text degeneration",
    ICLR 2020 (top-p, nucleus sampling). Minh et al., "Turning up the heat: min-p
    sampling for creative and coherent LLM outputs", ICLR 2025 (min-p). Meister et al.,
    "Locally typical sampling", TACL 2023. Keskar et al., "CTRL: a conditional
    transformer language model for controllable generation", 2019 (repetition penalty:
    there the logits of repeated symbols are divided by it. Here normalised
    probabilities, the mean of network and n-grams, are penalised, which do not
    determine logits; the subtraction does not depend on their offset).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import RNNGenerator, Sampling
    >>> logits = np.log([[0.5, 0.3, 0.15, 0.05]])
    >>> Sampling(top_p=0.7).probabilities(logits)
    array([[0.625, 0.375, 0.   , 0.   ]])
    >>> Sampling(min_p=0.2).probabilities(logits).round(3)
    array([[0.526, 0.316, 0.158, 0.   ]])
    >>> writer = RNNGenerator(hidden_size=16, random_state=0).fit("abcabcabd" * 50)
    >>> rules = Sampling(temperature=0, forbidden="d", forced={1: "a"})
    >>> writer.sample("abc", 7, sampling=rules)
    'aabcabc'
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float = 1.0
    repetition_window: int = 64
    forbidden: Iterable[Any] = ()
    forced: Mapping[int, Any] | None = None
    min_steps: int = 0

    def __post_init__(self):
        if not _is_real(self.temperature) or not 0 <= self.temperature < np.inf:
            raise ValueError(
                f"temperature={self.temperature!r} must be a number from 0 (always the "
                "likeliest) up; 1 draws from what was learned."
            )
        if self.top_k is not None and not _is_count(self.top_k):
            raise ValueError(
                f"top_k={self.top_k!r} must be a whole number from 1, or None for all."
            )
        for name in ("top_p", "min_p", "typical_p"):
            value = getattr(self, name)
            if value is not None and (not _is_real(value) or not 0 < value <= 1):
                raise ValueError(
                    f"{name}={value!r} must be a number in (0, 1], or None for all."
                )
        penalty = self.repetition_penalty
        if not _is_real(penalty) or not 0 < penalty < np.inf:
            raise ValueError(
                f"repetition_penalty={penalty!r} must be a number above 0; 1 is none."
            )
        check_count(self.repetition_window, "repetition_window")
        check_count(self.min_steps, "min_steps", minimum=0)
        if self.forced is not None:
            _check_forced(self.forced)

    def changed(self):
        """Return the names of the options that are not at their default.

        Returns
        -------
        list of str
            In the order of the parameters.
        """
        return [
            field.name
            for field in fields(self)
            if field.name not in ("forbidden", "forced")
            and getattr(self, field.name) != field.default
        ]

    def penalize(self, logits, recent, never=()):
        """Make recently written symbols less likely.

        Parameters
        ----------
        logits : ndarray of shape (n, n_symbols)
            Unnormalised log-probabilities.
        recent : ndarray of int of shape (n, n_recent)
            The last symbols of each row; they may repeat.
        never : list of int, default=()
            Symbols that are not drawn, and not averaged over either.

        Returns
        -------
        ndarray of shape (n, n_symbols)
            Unnormalised log-probabilities.
        """
        if self.repetition_penalty == 1:
            return logits
        logits = torch.from_numpy(np.array(logits, dtype=np.float64))
        logits = logits.log_softmax(dim=1).numpy()
        # A mask: a symbol that occurs twice is not penalised twice.
        is_recent = np.zeros(logits.shape, dtype=bool)
        np.put_along_axis(is_recent, recent, True, axis=1)
        is_other = ~is_recent & np.isfinite(logits)
        is_other[:, list(never)] = False
        # Not a multiple of the symbol's own log-probability: that is 0 where a loop
        # is certain.
        n_others = np.maximum(is_other.sum(axis=1, keepdims=True), 1)
        surprise = -np.where(is_other, logits, 0.0).sum(axis=1, keepdims=True)
        reduction = (self.repetition_penalty - 1) * surprise / n_others
        return np.where(is_recent, logits - reduction, logits)

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
        probabilities = torch.from_numpy(relative).softmax(dim=1).numpy()
        if self.top_k is not None and self.top_k < probabilities.shape[1]:
            probabilities = _keep(probabilities, -probabilities, _first(self.top_k))
        if self.top_p is not None and self.top_p < 1:
            probabilities = _keep(probabilities, -probabilities, _until(self.top_p))
        if self.min_p is not None:
            is_kept = probabilities >= self.min_p * probabilities.max(
                axis=1, keepdims=True
            )
            probabilities = _normalize(np.where(is_kept, probabilities, 0.0))
        if self.typical_p is not None and self.typical_p < 1:
            probabilities = _keep(
                probabilities, _atypicality(probabilities), _until(self.typical_p)
            )
        return probabilities

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
            Index of the drawn symbol.
        """
        until = np.cumsum(self.probabilities(logits, never), axis=1)
        drawn = random_state.random_sample(len(until))[:, np.newaxis]
        # Scaled, as the last sum may be short of 1 by rounding.
        return (drawn * until[:, -1:] >= until).sum(axis=1)

    def draw_frames(self, logits, random_state, never=()):
        """Draw a frame for each row, every feature by itself.

        Parameters
        ----------
        logits : ndarray of shape (n, n_features)
            Log-odds that the feature is 1.
        random_state : numpy.random.RandomState
            Gives one number per feature.
        never : list of int, default=()
            Features that stay 0.

        Returns
        -------
        ndarray of uint8 of shape (n, n_features)
            Zeros and ones.
        """
        logits = np.array(logits, dtype=np.float64)
        logits[:, list(never)] = -np.inf
        if self.temperature == 0:
            return (logits > 0).astype(np.uint8)
        drawn = random_state.random_sample(logits.shape)
        with np.errstate(over="ignore"):
            scaled = torch.from_numpy(logits / self.temperature)
        probabilities = scaled.sigmoid().numpy()
        return (drawn < probabilities).astype(np.uint8)


def check_count(number, name, minimum=1):
    """Return a count as an int; raise if it is no whole number from `minimum`.

    Parameters
    ----------
    number : int
        As given by the user.
    name : str
        What it is called, for the message.
    minimum : int, default=1
        The smallest that is allowed.

    Returns
    -------
    int
        `number`, as a Python int.
    """
    if not _is_count(number, minimum):
        raise ValueError(f"{name}={number!r} must be a whole number from {minimum}.")
    return int(number)


def _is_real(number):
    return isinstance(number, Real) and not isinstance(number, bool)


def _is_count(number, minimum=1):
    is_integer = isinstance(number, Integral) and not isinstance(number, bool)
    return is_integer and number >= minimum


def _check_forced(forced):
    if not isinstance(forced, Mapping):
        raise ValueError(
            f"forced={forced!r} must be a dict from steps, counted from 0, to what is "
            'written there, such as {0: "T"}.'
        )
    for step in forced:
        check_count(step, "a step of forced", minimum=0)


def _atypicality(probabilities):
    """Return how far each symbol's surprise is from the expected one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = -np.log(probabilities)
        summands = np.where(probabilities > 0, probabilities * surprise, 0.0)
    return np.abs(surprise - summands.sum(axis=1, keepdims=True))


def _first(k: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that keeps the first `k` of ordered probabilities."""
    return lambda ordered: np.broadcast_to(
        np.arange(ordered.shape[1]) < k, ordered.shape
    )


def _until(p: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that keeps the fewest leading values that sum to `p`."""

    def keep(ordered):
        before = np.cumsum(ordered, axis=1) - ordered
        kept = before < p - ROUNDING  # the one that reaches p is in
        kept[:, 0] = True
        return kept

    return keep


def _keep(probabilities, ranks, choose):
    """Keep and normalise the probabilities chosen in the order of `ranks`."""
    order = np.argsort(ranks, axis=1, kind="stable")
    mask = np.zeros(probabilities.shape, dtype=bool)
    kept = choose(np.take_along_axis(probabilities, order, axis=1))
    np.put_along_axis(mask, order, kept, axis=1)
    return _normalize(np.where(mask, probabilities, 0.0))


def _normalize(probabilities):
    return probabilities / probabilities.sum(axis=1, keepdims=True)
