"""Progress shown while training."""

from skorch.callbacks import Callback
from tqdm import tqdm  # skorch brings tqdm along


class ProgressBar(Callback):
    """A bar of epochs with losses and gradients beside it, on standard error.

    Parameters
    ----------
    label : str
        What is being trained.
    """

    def __init__(self, label):
        self.label = label

    def on_train_begin(self, net, **kwargs):
        """Open the bar."""
        self.bar_ = tqdm(total=net.max_epochs, desc=self.label, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        """Advance the bar by one epoch."""
        self.bar_.set_postfix(_shown(net.history[-1]))
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        """Close the bar."""
        self.bar_.close()


class EpochLines(Callback):
    """A line an epoch on standard output.

    Parameters
    ----------
    label : str
        What is being trained.
    """

    def __init__(self, label):
        self.label = label

    def on_train_begin(self, net, **kwargs):
        """Count the epochs of this call and those before it."""
        n_before = net.history[-1]["epoch"] if len(net.history) else 0
        self.n_epochs_ = n_before + net.max_epochs

    def on_epoch_end(self, net, **kwargs):
        """Print the epoch's losses."""
        row = net.history[-1]
        values = ", ".join(f"{name} {value}" for name, value in _shown(row).items())
        print(f"{self.label} epoch {row['epoch']}/{self.n_epochs_}: {values}")


# What a row of history holds, and how it is called in little space.
SHOWN = {
    "train_loss": "loss",
    "valid_loss": "val_loss",
    "valid_score": "val_score",
    "gradient_norm": "gradient",
    "clipped_share": "clipped",
}


def _shown(row):
    return {name: f"{row[key]:.4g}" for key, name in SHOWN.items() if key in row}
