"""From parameters and samples to a network, a loss and datasets."""

import numpy as np
import torch

from sklearn_rnn.estimators._state import DTYPES
from sklearn_rnn.estimators._tokens import start_embedding
from sklearn_rnn.estimators._trainer import SCHEDULER
from sklearn_rnn.modules import NetworkSpec, build_network
from sklearn_rnn.sequences import mean_and_scale
from sklearn_rnn.training import (
    SequenceDataset,
    StepTargets,
    WeightedLoss,
    choose_dtype,
    find_optimizer,
    limit_threads,
)

# Sequences that tell the scale of differences from the last step.
SCALED_BY = 4096


class NetMaker:
    """Part of an estimator that makes a network and datasets from parameters."""

    def _build(self, samples, random_state, is_stream):
        """Build an initialised network for these samples."""
        self._learn_targets(samples)
        self._check_target_features()
        self._torch_dtype = self.dtype
        if self.dtype == "auto":
            # A stream is longer than its first call.
            n_sequences = len(samples.y)
            self._torch_dtype = "float32" if is_stream else choose_dtype(n_sequences)
        vectors = self._learn_tokens(samples.sequences)
        self._network_spec = self._spec(samples.sequences)
        generator = torch.Generator().manual_seed(random_state.randint(2**31 - 1))
        with limit_threads(1):
            network = build_network(
                self._network_spec, DTYPES[self._torch_dtype], generator
            )
        if self._reads_tokens:
            start_embedding(network.embedding, samples.sequences, vectors)
        elif self.standardize:
            mean, scale = self._input_scaling(samples)
            network.set_input_scaling(mean, 1 / scale)
        self._initialize_head(network, samples)
        return network

    def _input_scaling(self, samples):
        """Return mean and scale of each feature, as the network reads it."""
        mean, scale = mean_and_scale(samples.sequences, samples.weights)
        seen = self._as_seen(samples.sequences)
        differencing = seen.transforms.differencing
        if differencing is None:
            return mean, scale
        chosen = np.unique(np.linspace(0, len(seen) - 1, SCALED_BY).astype(int))
        steps = seen.gather(chosen)[:, :, differencing.features].astype(np.float64)
        weights = np.arange(len(steps))[:, np.newaxis] < seen.lengths[chosen]
        if samples.weights is not None:
            weights = weights * samples.weights[chosen]
        squares = (steps**2 * weights[:, :, np.newaxis]).sum(axis=(0, 1))
        spread = np.sqrt(squares / weights.sum())
        # Rounding leaves a constant feature differences of a few ulps.
        constant = spread <= 1e-9 * np.abs(mean[differencing.features])
        scale[differencing.features] = np.where(constant, 1.0, spread)
        # Not centred: the last value itself is 0.
        mean[differencing.features] = 0.0
        return mean, scale

    def _spec(self, sequences):
        n_units = self.hidden_size
        n_units = self.hidden_size_ if n_units == "auto" else n_units
        return NetworkSpec(
            cell=self.cell_ if self.cell == "auto" else self.cell,
            n_features=sequences.n_features,
            hidden_size=int(n_units),
            n_outputs=self._n_outputs(),
            n_layers=int(self.n_layers),
            bidirectional=bool(self.bidirectional),
            dropout=float(self.dropout),
            input_dropout=float(self.input_dropout),
            weight_drop=float(self.weight_drop),
            residual=bool(self.residual),
            layer_norm=bool(self.layer_norm),
            pooling=self._pooling,
            **self._token_spec(),
            **self._category_spec(),
        )

    def _refresh_net(self, samples):
        """Let parameters set since the last call of partial_fit count."""
        net = self.net_
        net.set_params(schedule=None, lr=self.learning_rate)
        # The rate is constant now, whatever fit had.
        net.callbacks_ = [item for item in net.callbacks_ if item[0] != SCHEDULER]
        net.batch_size = self.batch_size_
        for name in ("bptt_steps", "clip_norm", "clip_value", "shuffle"):
            setattr(net, name, getattr(self, name))
        optimizer, options = find_optimizer(self.optimizer, self.weight_decay)
        options = {"optimizer": optimizer, **options}
        self._choose_kernel(self.module_, net.device)
        net.kernel = self.kernel_
        if any(getattr(net, name, None) != value for name, value in options.items()):
            for name in [name for name in vars(net) if name.startswith("optimizer__")]:
                delattr(net, name)
            for name, value in options.items():
                setattr(net, name, value)
            net.initialize_optimizer()
        self._learn_class_weights(samples)
        net.criterion_ = self._criterion().to(net.device)

    def _criterion(self):
        dtype = DTYPES[self._torch_dtype]
        class_weights, levels = (
            None if numbers is None else torch.as_tensor(numbers, dtype=dtype)
            for numbers in (self._class_weights_of_steps(), self._levels)
        )
        return WeightedLoss(self._loss_name(), self._may_miss, class_weights, levels)

    def _dataset(self, samples):
        dtype, device = DTYPES[self._torch_dtype], self.net_.device
        weights = samples.weights
        if weights is not None:
            weights = torch.as_tensor(weights, dtype=dtype, device=device)
        targets = torch.from_numpy(self._network_targets(samples))
        if targets.is_floating_point():
            targets = targets.to(dtype)
        targets = targets.to(device)
        if self._per_step:
            lengths = torch.tensor(samples.sequences.lengths, device=device)
            targets = StepTargets(targets, lengths)
        return SequenceDataset(self._as_seen(samples.sequences), targets, weights)
