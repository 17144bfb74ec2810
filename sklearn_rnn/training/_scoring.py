"""What skorch's scoring callbacks read: predictions and targets, without padding.

A scorer of scikit-learn calls ``net.predict(X)`` and compares the result with ``y``.
Batches of sequences are padded and may lack targets, so X is `ScoringData` here, with
one row per target: a sequence, or a step.
"""

from dataclasses import dataclass

import numpy as np
import torch
from skorch.callbacks import BatchScoring
from skorch.dataset import Dataset

from sklearn_rnn.training._datasets import LazyBatch
from sklearn_rnn.training._inference import evaluating
from sklearn_rnn.training._losses import WeightedLoss, has_target


@dataclass(frozen=True)
class ScoringData:
    """Targets, predictions and, of classes, probabilities; one row per target."""

    y: np.ndarray
    predictions: np.ndarray
    probabilities: np.ndarray | None = None

    def __len__(self):
        return len(self.y)


def scoring_dataset(net, dataset):
    """Return a dataset's predictions and targets as a skorch dataset."""
    batches = (_evaluate(net, batch) for batch in net.get_iterator(dataset))
    data = _decode(net.criterion_, batches)
    return Dataset(data, data.y, length=len(data))


def scoring_batch(net, batch, y_pred):
    """Return a batch of training and its outputs as ``(X, y)`` for a callback."""
    targets = _load(batch[1][0])
    if y_pred.ndim > 2 and y_pred.shape[1] < targets.shape[1]:
        # Chunks in which no step has a target have no outputs.
        y_pred, targets = _evaluate(net, batch)
    data = _decode(net.criterion_, [(y_pred, targets)])
    return data, data.y


def score_validation_batches(net, validation):
    """Call the callbacks that score batches of validation data."""
    callbacks = [
        callback
        for _, callback in net.callbacks_
        if isinstance(callback, BatchScoring) and not callback.on_train
    ]
    if not callbacks:
        return
    for batch in net.get_iterator(validation):
        outputs, targets = _evaluate(net, batch)
        data = _decode(net.criterion_, [(outputs, targets)])
        if len(data) == 0:
            continue
        net.history.new_batch()
        net.history.record_batch("valid_batch_size", len(data))
        for callback in callbacks:
            callback.on_batch_end(
                net, batch=(data, data.y), training=False, y_pred=outputs
            )


@torch.inference_mode()
def _evaluate(net, batch):
    """Return a network's outputs in evaluation mode, and the targets of a batch."""
    inputs, (targets, _) = batch
    with evaluating(net.module_):
        outputs = net.module_(**{**inputs, "x": _load(inputs["x"])})
    return outputs, _load(targets)


def _load(values):
    """Return a tensor, gathered now if it is a `LazyBatch`."""
    return values[:, :] if isinstance(values, LazyBatch) else values


def _decode(criterion, batches):
    """Return the network's own predictions, without what an estimator adds to them.

    Class codes; or values as the loss compares them, of quantiles the one next to 0.5.
    """
    if type(criterion) is not WeightedLoss:
        raise ValueError(
            "skorch's scoring callbacks need one prediction per target, which a "
            f"network trained with {type(criterion).__name__} does not have. With "
            "early_stopping=True, or X_val and y_val given to fit, every epoch is "
            "scored, as valid_score in history_."
        )
    rows = [_drop_missing(*batch) for batch in batches]
    outputs, targets = (torch.cat(tensors) for tensors in zip(*rows, strict=True))
    if criterion.name == "log_loss":
        probabilities = outputs.softmax(dim=-1).numpy()
        return ScoringData(
            targets.numpy(), outputs.argmax(dim=-1).numpy(), probabilities
        )
    is_binary = criterion.name == "bernoulli"
    outputs = (outputs > 0).long() if is_binary else criterion.point(outputs)
    return ScoringData(_squeeze(targets), _squeeze(outputs))


def _drop_missing(outputs, targets):
    """Return the rows of a batch that have all of their targets."""
    exists = has_target(targets)
    if targets.ndim == outputs.ndim:  # vectors, not class codes
        exists = exists.all(dim=-1)
    return outputs[exists].cpu(), targets[exists].cpu()


def _squeeze(tensor):
    """Return rows of a single value as 1-D, as scikit-learn's metrics prefer."""
    is_column = tensor.ndim == 2 and tensor.shape[1] == 1
    return (tensor[:, 0] if is_column else tensor).numpy()
