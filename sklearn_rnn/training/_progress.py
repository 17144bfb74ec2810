"""Progress shown while training."""

import logging

from skorch.callbacks import Callback
from tqdm import tqdm  # a dependency of skorch

from sklearn_rnn._logging import LOGGER


class ProgressBar(Callback):
    """A progress bar of epochs with losses and gradient norms, on standard error.

    `label` is the name of what is trained.
    """

    def __init__(self, label):
        self.label = label

    def on_train_begin(self, net, **kwargs):
        self.bar_ = tqdm(total=net.max_epochs, desc=self.label, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        self.bar_.set_postfix(_format_record(net.history[-1]))
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        self.bar_.close()


class EpochLines(Callback):
    """One line per epoch on standard output.

    `label` is the name of what is trained.
    """

    def __init__(self, label):
        self.label = label

    def on_train_begin(self, net, **kwargs):
        n_before = net.history[-1]["epoch"] if len(net.history) else 0
        self.n_epochs_ = n_before + net.max_epochs

    def on_epoch_end(self, net, **kwargs):
        record = net.history[-1]
        text = _describe_record(record)
        print(f"{self.label} epoch {record['epoch']}/{self.n_epochs_}: {text}")


def log_epoch(label, record):
    """Log the record of an epoch of what is trained, at the level INFO."""
    if LOGGER.isEnabledFor(logging.INFO):
        text = _describe_record(record)
        LOGGER.info("%s epoch %d: %s", label, record["epoch"], text)


# Short names of what a record of the history holds.
SHORT_NAMES = {
    "train_loss": "loss",
    "valid_loss": "val_loss",
    "valid_score": "val_score",
    "gradient_norm": "gradient",
    "clipped_share": "clipped",
}


def _describe_record(record):
    values = _format_record(record).items()
    return ", ".join(f"{name} {value}" for name, value in values)


def _format_record(record):
    return {
        name: f"{record[key]:.4g}" for key, name in SHORT_NAMES.items() if key in record
    }
