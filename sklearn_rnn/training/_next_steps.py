"""Sequences of which each step is to be told from those before it."""

import numpy as np
import torch

from sklearn_rnn.training._batches import NO_CODE, Batched
from sklearn_rnn.training._memory import computing_batch

# Sequences read side by side when their likelihood is computed, and steps of them
# at a time; fewer steps where the vocabulary is large, so that the outputs of one
# piece are at most this many numbers.
SIDE_BY_SIDE, PIECE, MAX_OUTPUTS = 64, 512, 16_000_000


class NextStepDataset(Batched):
    """Sequences as inputs, and shifted by one step as targets.

    A batch of sequences that are longer than `piece` is gathered piece by piece
    while it is used, so that memory does not grow with their length.

    Parameters
    ----------
    sequences : SequenceArray
        At least two steps each: all but the last are inputs, all but the first
        are targets. Ids of symbols, or frames of zeros and ones.
    weights : Tensor of shape (n_sequences,), default=None
        Sample weights of mean 1.
    piece : int, default=None
        Steps a batch may have to be gathered at once; None has no bound.
    of_frames : bool, default=False
        Whether steps are frames, and not ids.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import check_sequences
    >>> from sklearn_rnn.training import NextStepDataset
    >>> data = NextStepDataset(check_sequences([[7, 5, 6], [7, 8]]))
    >>> inputs, (targets, _) = data.batch(np.array([0, 1]), "cpu")
    >>> inputs["x"][:, :, 0], targets
    (tensor([[7, 5],
            [7, 7]]), tensor([[ 5,  6],
            [ 8, -1]]))
    """

    def __init__(self, sequences, weights=None, piece=None, of_frames=False):
        self.sequences = sequences
        self.weights = weights
        self.piece = piece
        self.of_frames = of_frames
        self.targets = None  # what skorch's callbacks are told about
        # Predicted steps of each sequence; counted once, as there may be millions.
        self.lengths = sequences.lengths - 1
        self.n_targets = self.lengths

    def __len__(self):
        return len(self.sequences)

    def batch(self, indices, device, random_state=None):
        """Gather some sequences and their targets.

        Parameters
        ----------
        indices : ndarray of int
            Which.
        device : torch.device or str
            Where the batch goes.
        random_state : numpy.random.RandomState, default=None
            Ignored: symbols do not vary.

        Returns
        -------
        inputs : dict
            ``x`` and ``lengths``, as a network reads them.
        targets_and_weights : tuple
            As the loss takes them; targets are -1 where a sequence has ended.
        """
        x, targets = self.gather(indices, device)
        if self.piece is None or x.shape[1] <= self.piece:
            x, targets = x[:, :], targets[:, :]
        lengths = self.lengths[indices]
        is_ragged = lengths.min() < x.shape[1]
        lengths = torch.from_numpy(lengths).to(device) if is_ragged else None
        return {"x": x, "lengths": lengths}, (targets, self.weights_of(indices))

    def gather(self, indices, device):
        """Make some sequences and their targets ready to be read in pieces.

        Parameters
        ----------
        indices : ndarray of int
            Which.
        device : torch.device or str
            Where steps go.

        Returns
        -------
        x, targets : GatheredSteps
            Steps, and what follows each of them.
        """
        steps = self.steps_of("sequences", device)
        x = GatheredSteps(self.sequences, indices, steps)
        kind = "frames" if self.of_frames else "ids"
        return x, GatheredSteps(self.sequences, indices, steps, targets=kind)


class GatheredSteps:
    """A padded batch that is read when steps of it are asked for.

    Parameters
    ----------
    sequences : SequenceArray
        Where to read.
    indices : ndarray of int
        Which sequences.
    steps : StepsOnHost or StepsOnDevice
        What reads them.
    targets : {"ids", "frames"} or None, default=None
        What targets are, of which step t is the sequence's step t + 1, and -1
        after its end. None reads the steps as they are.

    Attributes
    ----------
    shape : tuple
        ``(N, T)``.
    """

    def __init__(self, sequences, indices, steps, targets=None):
        self.steps = steps
        self.first = sequences.starts[indices] + (targets is not None)
        self.lengths = sequences.lengths[indices] - 1
        self.targets = targets
        self.shape = (len(indices), int(self.lengths.max()))

    def __getitem__(self, key):
        """Gather ``[:, begin:end]`` as a tensor.

        Parameters
        ----------
        key : tuple of slice
            All sequences, and some steps.

        Returns
        -------
        Tensor of shape (N, steps, n_features), or (N, steps)
            Targets that are ids have no last dimension.
        """
        steps = range(self.shape[1])[key[1]]
        # Gathered time first, as torch's recurrences read it: the transpose is a view.
        gathered = self.steps.take(self.first, self.lengths, steps).transpose(0, 1)
        if self.targets is None:
            return gathered
        device = self.steps.device
        steps = torch.arange(steps.start, steps.stop, device=device)
        ended = steps >= torch.from_numpy(self.lengths).to(device)[:, None]
        targets = gathered.long().masked_fill(ended[:, :, None], NO_CODE)
        return targets.squeeze(2) if self.targets == "ids" else targets


@torch.inference_mode()
def log_likelihoods(network, criterion, data, device):
    """Compute the log-likelihood of every step of all sequences.

    Parameters
    ----------
    network : SequenceNetwork
        Has outputs for every step; is put into evaluation mode, and left as it
        was.
    criterion : WeightedLoss
        Whose ``of_steps`` is the negative log-likelihood of a step.
    data : NextStepDataset
        The sequences.
    device : torch.device or str
        Where the network is.

    Returns
    -------
    ndarray of shape (n_steps,)
        In nats, float64; all steps of the first sequence, then of the second, ...
    """
    found = np.empty(data.lengths.sum())
    first = np.cumsum(data.lengths) - data.lengths
    order = np.argsort(data.lengths, kind="stable")
    was_training = network.training
    network.eval()
    try:
        for begin in range(0, len(order), SIDE_BY_SIDE):
            indices = order[begin : begin + SIDE_BY_SIDE]
            with computing_batch(len(indices), int(data.lengths[indices].max())):
                for steps, losses in _losses(network, criterion, data, indices, device):
                    inside = steps < data.lengths[indices, np.newaxis]
                    places = first[indices, np.newaxis] + steps
                    found[places[inside]] = -losses[inside]
    finally:
        network.train(was_training)
    return found


def _losses(network, criterion, data, indices, device):
    """Yield steps and losses of sequences, the shortest first, read together.

    Losses have shape (N, steps); those after a sequence's end mean nothing.
    """
    lengths = data.lengths[indices]
    size = MAX_OUTPUTS // (len(indices) * network.spec.n_outputs)
    size, state, n_ended = min(max(size, 1), PIECE), None, 0
    for begin in range(0, lengths[-1], size):
        # One sequence may be far longer than the others: they are left behind.
        n_before, n_ended = n_ended, np.searchsorted(lengths, begin, side="right")
        state = _without_first(state, n_ended - n_before)
        x, targets = data.gather(indices[n_ended:], device)
        part = slice(begin, begin + size)
        states, state = network.run(x[:, part], None, state)
        going_on = criterion.of_steps(network.read(states), targets[:, part])
        losses = np.zeros((len(indices), going_on.shape[1]))
        losses[n_ended:] = going_on.double().cpu().numpy()
        yield begin + np.arange(losses.shape[1]), losses


def _without_first(state, n):
    """Drop the first `n` sequences of a state, tensors of shape (1, N, H)."""
    if state is None or n == 0:
        return state
    return tuple(tuple(part[:, n:].contiguous() for part in layer) for layer in state)


def cut_into_streams(lengths, n_streams, shortest):
    """Choose how many parts each sequence is cut into, to be read side by side.

    One long text is learned from many places at once; the state is carried from
    piece to piece within each part.

    Parameters
    ----------
    lengths : ndarray of shape (n_sequences,)
        Steps of each sequence.
    n_streams : int
        Most parts, over all sequences that are long enough to be cut.
    shortest : int
        Fewest steps of a part.

    Returns
    -------
    ndarray of int of shape (n_sequences,)
        At least 1 each.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.training import cut_into_streams
    >>> cut_into_streams(np.array([900, 90, 10]), n_streams=10, shortest=50)
    array([9, 1, 1])
    """
    n_steps = max(1, int(lengths.sum()))
    share = min(n_streams, n_steps) * lengths // n_steps  # no product overflows
    return np.maximum(1, np.minimum(share, lengths // shortest))
