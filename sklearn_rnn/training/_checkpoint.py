"""Files from which training continues after its process has ended."""

import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sklearn_rnn._exceptions import (
    InvalidModelError,
    SklearnRNNWarning,
    user_stacklevel,
)
from sklearn_rnn._logging import LOGGER
from sklearn_rnn._plain_files import (
    check_writable,
    load_plain_file,
    partial_files,
    remove_files,
    save_plain_file,
)
from sklearn_rnn.kernels import compiled_kernels_available, instruction_set
from sklearn_rnn.training._resume import (
    StateReader,
    StateWriter,
    TrainingRun,
    pack_run,
    unpack_run,
)

REMEDY = "Restore what it is of, or delete it to train from the beginning."


class CheckpointFile:
    """A file of a folder that holds how far something is, and what it is of.

    What prevents writing is a warning, once: it costs the checkpoint, not the fit.

    Parameters
    ----------
    path : Path
        The file, and the folder, which is made if it does not exist.
    about : dict
        What the file is of: a description, or a dict of these, by its name. A file
        of something else is refused.
    label : str
        Name of what is trained, for messages.
    parameters : dict, default=None
        Objects that the file names, and does not hold.
    has_warned : bool, default=False
        Whether it was said that nothing can be written.
    """

    def __init__(self, path, about, label, parameters=None, has_warned=False):
        self.path: Path = path
        self.about: dict[str, Any] = about
        self.label: str = label
        self.parameters: dict[str, Any] = parameters or {}
        self.has_warned: bool = has_warned

    def load(self) -> dict[str, Any] | None:
        """Return what was written, None if there is no file.

        Raises
        ------
        InvalidModelError
            If the file is damaged, or of something else.
        """
        try:
            saved = load_plain_file(self.path, partial(StateReader, self.parameters))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InvalidModelError(
                f"the checkpoint {self.path} cannot be read: {error}. {REMEDY}"
            ) from error
        except InvalidModelError as error:
            raise InvalidModelError(f"the checkpoint {error}. {REMEDY}") from error
        self._check_about(saved)
        return saved

    def _check_about(self, saved):
        """Check that a file is of what is trained now; warn of another machine."""
        about = saved.get("about") if isinstance(saved, dict) else None
        differences = _differences(about, self.about)
        if differences:
            raise InvalidModelError(
                f"the checkpoint {self.path} is not of what {self.label} is to "
                f"continue: it has another {' and another '.join(differences)}. "
                f"{REMEDY}"
            )
        if saved["environment"] != environment():
            self._warn(
                f"{self.path} was written with {_as_text(saved['environment'])}, and "
                f"is continued with {_as_text(environment())}: the result equals that "
                "of an uninterrupted fit to rounding only."
            )

    def prepare(self) -> None:
        """Make the folder, and warn if no file can be made there."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            check_writable(self.path)
        except OSError as error:
            self._warn_of(error)

    def write(self, pack: Callable[[], dict[str, Any]]) -> None:
        """Write what a function returns, or warn if that is not possible."""
        try:
            state = {"about": self.about, "environment": environment(), **pack()}
            save_plain_file(self.path, state, StateWriter(self.parameters))
        except (OSError, InvalidModelError) as error:
            self._warn_of(error)

    def _warn_of(self, error):
        if not self.has_warned:
            self.has_warned = True
            self._warn(
                f"{self.label} cannot write the checkpoint {self.path}: "
                f"{_line(error)}. Training continues without it."
            )

    def _warn(self, message):
        warnings.warn(message, SklearnRNNWarning, stacklevel=user_stacklevel())

    def remove(self) -> None:
        """Remove the file, and what killed processes left of it."""
        remove_files([self.path, *partial_files(self.path)])


class TrainingCheckpoint(CheckpointFile):
    """The file of one training run of a fit, and of those that the fit compares with.

    Attributes
    ----------
    seconds : float
        Time between two writes, at least. Set from outside.
    """

    seconds = 0.0

    def __init__(self, path, about, label):
        super().__init__(path, about, label)
        self._last_write = time.monotonic()
        self._saved: dict[str, Any] | None = None
        self._trials: list[TrainingCheckpoint] = []

    def open(self) -> "TrainingCheckpoint":
        """Read the file, if there is one, and see whether it can be written."""
        self._saved = self.load()
        self.prepare()
        return self

    def next_trial(self) -> "TrainingCheckpoint":
        """Return the checkpoint of the next network that is trained to compare."""
        n = len(self._trials) + 1
        path = self.path.with_name(f"{self.path.stem}-trial{n}{self.path.suffix}")
        trial = TrainingCheckpoint(path, {**self.about, "trial": str(n)}, self.label)
        trial.seconds, trial.has_warned = self.seconds, self.has_warned
        trial._saved = trial.load()
        self._trials.append(trial)
        return trial

    def resume(self, run: TrainingRun) -> tuple[int, bool]:
        """Let a training run continue where the file is.

        Returns
        -------
        n_epochs : int
            Epochs that were made.
        is_finished : bool
            Whether they were all.
        """
        saved, self._saved = self._saved, None
        self._last_write = time.monotonic()
        if saved is None:
            pack_run(run)  # before time is spent: callbacks may keep what is not plain
            LOGGER.info("%s begins: there is no %s", self.label, self.path)
            return 0, False
        unpack_run(run, saved["run"])
        n_epochs = saved["n_epochs"]
        LOGGER.info(
            "%s continues after epoch %d of %s", self.label, n_epochs, self.path
        )
        return n_epochs, saved["is_finished"]

    def save(self, run: TrainingRun, n_epochs: int, is_finished: bool) -> None:
        """Write the file after an epoch, if it was the last one or it is time to."""
        if not is_finished and time.monotonic() - self._last_write < self.seconds:
            return
        self.write(
            lambda: {
                "n_epochs": n_epochs,
                "is_finished": is_finished,
                "run": pack_run(run),
            }
        )
        self._last_write = time.monotonic()

    def remove(self) -> None:
        """Remove the file, and those of the networks that were compared."""
        for checkpoint in self._trials:
            checkpoint.remove()
        super().remove()


def environment() -> dict[str, str]:
    """Return what a continued fit depends on besides data, parameters and version."""
    kernels = instruction_set() if compiled_kernels_available() else None
    return {
        "torch": str(torch.__version__),
        "NumPy": np.__version__,
        "compiled kernels for": kernels or "nothing",
    }


def _as_text(found):
    return ", ".join(f"{name} {value}" for name, value in found.items())


def _differences(found, wanted):
    """Return in what a file differs from what is wanted, as text."""
    if not isinstance(found, dict):
        return ["kind of file"]
    differences = []
    for name in wanted.keys() | found.keys():
        before, now = found.get(name), wanted.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            changed = sorted(
                k for k in before.keys() | now.keys() if before.get(k) != now.get(k)
            )
            differences += [f"{name} ({', '.join(changed)})"] if changed else []
        elif name == "version" and before != now:
            differences.append(f"version of sklearn_rnn ({before}, and this is {now})")
        elif before != now:
            differences.append(name)
    return sorted(differences)


def _line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
