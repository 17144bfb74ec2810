"""Files from which training continues after its process has ended."""

import time
import warnings
from collections.abc import Callable
from copy import deepcopy
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
from sklearn_rnn.kernels import (
    compiled_kernels_available,
    computing,
    instruction_set,
    kernel_threads,
)
from sklearn_rnn.training._resume import (
    StateReader,
    StateWriter,
    TrainingRun,
    pack_run,
    unpack_run,
)

# Copies of the state in memory take at most one in so many parts of the time.
COPY_PERIOD = 20
# What follows where it cannot be written.
CONTINUES = "Training continues without it."
BEGINS_EARLIER = "If this fit is made again, it begins at an earlier epoch."
REMEDY = "Restore the file, or delete it to train from the beginning."


class CheckpointFile:
    """File that stores training progress and the identity of the fit it belongs to.

    If it cannot be written, there is one warning, and training continues.

    Parameters
    ----------
    path : Path
        The file, and the folder, which is made if it does not exist.
    identity : dict
        Names and hashes of what identifies the fit, or dicts of these. A file with
        another identity is refused.
    label : str
        Name of what is trained, for messages.
    parameters : dict, default=None
        Objects that the file names, and does not hold.
    environment : dict, default=None
        What the result depends on besides its identity; None: that of the CPU.
    has_warned : bool, default=False
        Whether the user was warned that nothing can be written.
    """

    def __init__(
        self,
        path,
        identity,
        label,
        parameters=None,
        environment=None,
        has_warned=False,
    ):
        self.path: Path = path
        self.identity: dict[str, Any] = identity
        self.label: str = label
        self.parameters: dict[str, Any] = parameters or {}
        self.environment: dict[str, str] = environment or environment_of("cpu")
        self.has_warned: bool = has_warned

    def load(self) -> dict[str, Any] | None:
        """Return what was written, None if there is no file.

        Raises
        ------
        InvalidModelError
            If the file is damaged, or belongs to another fit.
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
        self._check_identity(saved)
        return saved

    def _check_identity(self, saved):
        """Check that a file belongs to this fit; warn of another environment."""
        identity = saved.get("identity") if isinstance(saved, dict) else None
        differences = _differences(identity, self.identity)
        if differences:
            raise InvalidModelError(
                f"checkpoint {self.path} belongs to another fit: "
                f"{_joined(differences)}. Restore them, or delete the file to train "
                "from the beginning."
            )
        if saved["environment"] != self.environment:
            self._warn(
                f"{self.path} was written with {_as_text(saved['environment'])}, and "
                f"is continued with {_as_text(self.environment)}: the result may "
                "differ by rounding from that of an uninterrupted fit."
            )

    def prepare(self) -> None:
        """Make the folder, and warn if no file can be made there."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            check_writable(self.path)
        except OSError as error:
            self._warn_of(error)

    def write(
        self, pack: Callable[[], dict[str, Any]], if_not: str = CONTINUES
    ) -> None:
        """Write what a function returns, or warn of what follows if it cannot be."""
        try:
            state = {
                "identity": self.identity,
                "environment": self.environment,
                **pack(),
            }
            save_plain_file(self.path, state, StateWriter(self.parameters))
        except (OSError, InvalidModelError) as error:
            self._warn_of(error, if_not)

    def _warn_of(self, error, consequence=CONTINUES):
        if not self.has_warned:
            self.has_warned = True
            self._warn(
                f"{self.label} cannot write the checkpoint {self.path}: "
                f"{_line(error)}. {consequence}"
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

    def __init__(self, path, identity, label, environment=None):
        super().__init__(path, identity, label, environment=environment)
        self._last_write = time.monotonic()
        self._saved: dict[str, Any] | None = None
        self._kept: dict[str, Any] | None = None
        self._last_copy = self._copy_seconds = 0.0
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
        identity = {**self.identity, "trial": str(n)}
        trial = TrainingCheckpoint(path, identity, self.label, self.environment)
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
        """Write the file after an epoch, if it was the last one or it is time to.

        Otherwise keep a copy, for `write_kept`, unless copies would take long.
        """
        begin = time.monotonic()
        is_due = is_finished or begin - self._last_write >= self.seconds
        if not is_due and begin - self._last_copy < COPY_PERIOD * self._copy_seconds:
            return
        progress = {"n_epochs": n_epochs, "is_finished": is_finished}
        if is_due:
            self.write(lambda: {**progress, "run": pack_run(run)})
            self._kept, self._last_write = None, time.monotonic()
            return
        try:
            self._kept = {**progress, "run": deepcopy(pack_run(run))}
        except InvalidModelError:
            return  # a callback keeps what cannot be written: warned of when it is due
        self._last_copy = time.monotonic()
        self._copy_seconds = self._last_copy - begin

    def write_kept(self, reason: BaseException) -> None:
        """Write the copy of a later epoch than the file's, if there is one.

        Parameters
        ----------
        reason : BaseException
            What ended training. If writing fails it gets a note, and nothing is raised.
        """
        kept, self._kept = self._kept, None
        if kept is None:
            return
        try:
            self.write(lambda: kept, BEGINS_EARLIER)
        except BaseException as error:  # Ctrl-C again, say, or a warning as an error
            reason.add_note(
                f"Beside that, the checkpoint was not written: {_line(error)}"
            )

    def remove(self) -> None:
        """Remove the file, and those of the networks that were compared."""
        for checkpoint in self._trials:
            checkpoint.remove()
        super().remove()


def environment_of(device: Any, n_threads: int | None = None) -> dict[str, str]:
    """Return what a continued fit depends on besides data, parameters and version.

    Parameters
    ----------
    device : str or torch.device
        Which the network is trained on.
    n_threads : int, default=None
        Threads that the estimator sets; None is at most those of torch.
    """
    kernels = instruction_set() if compiled_kernels_available() else None
    device = torch.device(device)
    on_gpu = device.type == "cuda"
    gpu = {"CUDA": str(torch.version.cuda)} if on_gpu else {}
    with computing(n_threads):
        threads = str(kernel_threads.count)
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else device.type,
        **gpu,
        "threads": threads,
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


def _joined(differences):
    """Return differences as a clause."""
    *first, last = differences
    if first or last.startswith(("data", "parameters")):
        return f"{', '.join(first)}{' and ' * bool(first)}{last} differ"
    return f"{last} differs"


def _line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
