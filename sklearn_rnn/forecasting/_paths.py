"""Paths through the blocks of a horizon that is longer than a model's own."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.pipeline import make_pipeline

from sklearn_rnn.estimators import inspect_model, sample_rows, split_at_windower
from sklearn_rnn.forecasting._calendar import CalendarFeatures
from sklearn_rnn.sequences import SequenceArray

# Values of windows that are copied at a time, one copy per path.
MAX_COPIED = 4_000_000


class Blocks(NamedTuple):
    """The steps that a model forecasts at a time, up to a longer horizon.

    targets : list of str
    order : list of int, the model's outputs target by target, step by step
    n_steps : int, the horizon of the model
    horizon : int, the longer one
    ahead : column and step by the name of each feature that is known in advance
    """

    targets: list[str]
    order: list[int]
    n_steps: int
    horizon: int
    ahead: Mapping[str, tuple]

    @classmethod
    def of(
        cls, outputs: list[tuple[str, int]], horizon: int, ahead: Mapping[str, tuple]
    ) -> Self:
        """Return the blocks of a model, from target and step of its outputs."""
        targets = list(dict.fromkeys(name for name, _ in outputs))
        n_steps = len(outputs) // len(targets)
        order = [
            outputs.index((name, k)) for name in targets for k in range(1, n_steps + 1)
        ]
        return cls(targets, order, n_steps, horizon, ahead)

    @property
    def anchors(self) -> list[int]:
        """Steps that blocks after the first follow: a block has the n_steps after."""
        anchors = list(range(self.n_steps, self.horizon, self.n_steps))
        if self.ahead:  # nothing is known of the steps after the horizon
            anchors[-1] = self.horizon - self.n_steps
        return anchors

    def by_step(self, values: np.ndarray, n_samples: int = 1) -> np.ndarray:
        """Return outputs as (n_series, n_targets, n_steps, n_samples)."""
        values = values.reshape(-1, len(self.order), n_samples)[:, self.order]
        return values.reshape(-1, len(self.targets), self.n_steps, n_samples)


def sample_paths(
    model: Any,
    X: Any,
    bounds: np.ndarray,
    *,
    blocks: Blocks,
    n_paths: int,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Return paths (n_series, n_targets, n_steps, n_paths) through all blocks.

    `X` has the newest rows and those of the steps that are fed back, series by series;
    `bounds` are where each series begins, and one past the last.
    """
    n_fed = blocks.anchors[-1]
    # Steps after the newest row, which is step 0.
    steps = np.arange(len(X)) - np.repeat(bounds[1:] - n_fed - 1, np.diff(bounds))
    lookback = inspect_model(model).lookback
    paths = np.empty((len(bounds) - 1, len(blocks.targets), 0, n_paths))
    for anchor in [0, *blocks.anchors]:
        begin = 0 if lookback is None else max(anchor - lookback, 0)
        is_read = steps <= anchor
        if begin:  # else what a window needs of the rows before may be any of them
            is_read &= steps >= begin
        rows = np.flatnonzero(is_read)
        last_rows = np.searchsorted(rows, bounds[1:] - n_fed + anchor - 1)
        if anchor:
            fed = paths[:, :, max(begin - 1, 0) : anchor]
            fed_rows = np.flatnonzero(steps[rows] > 0)
            part = FedRows(X.iloc[rows], blocks.targets, fed_rows, fed)
            drawn = part.sample(model, last_rows, random_state)
        else:  # paths part after the newest row
            drawn = sample_rows(model, X.iloc[rows], last_rows, n_paths, random_state)
        new = blocks.by_step(drawn, n_paths)[:, :, paths.shape[2] - anchor :]
        paths = np.concatenate([paths, new], axis=2)
    return paths


class FedRows(NamedTuple):
    """Rows of a table that have forecasts of each path in place of targets.

    X : the frame
    targets : list of str
    rows : ndarray of int, rows of X that are forecasts, series by series
    fed : ndarray of shape (n_series, n_targets, n_steps, n_paths), the forecasts
    """

    X: Any
    targets: list[str]
    rows: np.ndarray
    fed: np.ndarray

    def with_path(self, i: int) -> Any:
        """Return the frame with the forecasts of one path."""
        columns = {}
        for j, name in enumerate(self.targets):
            values = self.X[name].to_numpy(copy=True)
            values[self.rows] = self.fed[:, j, :, i].ravel()
            columns[name] = values
        return self.X.assign(**columns)

    def sample(
        self, model: Any, last_rows: np.ndarray, random_state: np.random.RandomState
    ) -> np.ndarray:
        """Draw what follows the last rows of each path, (n, n_outputs, n_paths)."""
        n_paths = self.fed.shape[-1]
        before, windower, following = split_at_windower(model)
        # Others than those of the calendar could make features of the targets.
        is_calendar = all(isinstance(step, CalendarFeatures) for step in before)
        if n_paths == 1 or windower is None or not is_calendar:
            drawn = [
                sample_rows(model, self.with_path(i), last_rows, 1, random_state)
                for i in range(n_paths)
            ]
            return np.concatenate(drawn, axis=-1)
        # What differs between paths are targets, which windows hold as they are.
        windows = make_pipeline(*before, windower).transform(self.with_path(0))
        n_at_a_time = max(MAX_COPIED // max(windows.values.size, 1), 1)
        drawn = []
        for begin in range(0, n_paths, n_at_a_time):
            copies = self._copy_windows(windows, last_rows, begin, n_at_a_time)
            rows = np.arange(len(copies))
            found = sample_rows(following, copies, rows, 1, random_state)
            drawn.append(found.reshape(-1, len(last_rows), found.shape[1]))
        return np.moveaxis(np.concatenate(drawn), 0, -1)

    def _copy_windows(self, windows, last_rows, begin, n_copies):
        """Return the windows of the last rows for some of the paths, path by path."""
        fed = self.fed[..., begin : begin + n_copies]
        n_copies = fed.shape[-1]
        values = np.tile(windows.values, (n_copies, 1, 1))
        step_of_row = windows.ends - 1
        names = list(windows.feature_names)
        for j, name in enumerate(self.targets):
            by_path = np.moveaxis(fed[:, j], -1, 0).reshape(n_copies, -1)
            values[:, step_of_row[self.rows], names.index(name)] = by_path
        offsets = len(windows.values) * np.arange(n_copies)[:, np.newaxis]
        starts = (windows.starts[last_rows] + offsets).ravel()
        lengths = np.tile(windows.lengths[last_rows], n_copies)
        return SequenceArray(
            values.reshape(-1, values.shape[-1]),
            starts,
            lengths,
            windows.feature_names,
            transforms=windows.transforms,
        )
