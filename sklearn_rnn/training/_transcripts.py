"""Sequences of frames, and the symbols that they are to be transcribed to."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_rnn.modules import n_joined
from sklearn_rnn.training._batches import NO_CODE, Batched, to_batch

# The class that says nothing; symbol i of the vocabulary is class i + 1.
BLANK = 0


class Transcripts(NamedTuple):
    """What a batch of sequences is to be transcribed to.

    Attributes
    ----------
    classes : LongTensor of shape (N, S)
        Classes of the symbols, from 1; padded with -1.
    n_symbols : LongTensor of shape (N,)
        Symbols of each transcript; there may be none.
    n_frames : LongTensor of shape (N,)
        Frames of each sequence, as the network's outputs have them.
    """

    classes: torch.Tensor
    n_symbols: torch.Tensor
    n_frames: torch.Tensor


class TranscriptDataset(Batched):
    """What a transcriber trains on or is judged by.

    Parameters
    ----------
    sources : SequenceArray
        The frames.
    rows : list of ndarray of int
        Classes of each transcript's symbols, from 1.
    weights : Tensor of shape (n_sequences,), default=None
        Sample weights of mean 1.
    subsampling : int, default=1
        Frames that the network reads as one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.sequences import check_sequences
    >>> from sklearn_rnn.training import TranscriptDataset
    >>> sources = check_sequences([np.zeros((5, 1)), np.zeros((3, 1))])
    >>> data = TranscriptDataset(sources, [np.array([2, 1]), np.array([3])])
    >>> data.batch(np.array([0, 1]), "cpu")[1][0].classes
    tensor([[ 2,  1],
            [ 3, -1]])
    """

    def __init__(self, sources, rows, weights=None, subsampling=1):
        self.sources = sources
        self.rows = rows
        self.weights = weights
        self.subsampling = subsampling
        self.targets = None  # what skorch's callbacks are told about
        self.lengths = sources.lengths
        self.n_symbols = np.array([len(row) for row in rows])
        # The end of a transcript counts, too: that nothing else is said.
        self.n_targets = self.n_symbols + 1

    def __len__(self):
        return len(self.rows)

    def select(self, rows):
        """Return some of the sequences.

        Parameters
        ----------
        rows : ndarray of int
            Which.

        Returns
        -------
        TranscriptDataset
            In the order of `rows`.
        """
        weights = None if self.weights is None else self.weights[rows]
        chosen = [self.rows[i] for i in rows]
        return TranscriptDataset(self.sources[rows], chosen, weights, self.subsampling)

    def with_weights(self, weights):
        """Return the same sequences, weighted otherwise.

        Parameters
        ----------
        weights : Tensor of shape (n_sequences,)
            Sample weights of mean 1.

        Returns
        -------
        TranscriptDataset
            Of the same sequences.
        """
        return TranscriptDataset(self.sources, self.rows, weights, self.subsampling)

    def batch(self, indices, device, random_state=None):
        """Gather some sequences and their transcripts.

        Parameters
        ----------
        indices : ndarray of int
            Which.
        device : torch.device or str
            Where the batch goes.
        random_state : numpy.random.RandomState, default=None
            Source of what varies in training; None reads sequences as they are.

        Returns
        -------
        inputs : dict
            Arguments of a network's ``forward``.
        transcripts_and_weights : tuple
            `Transcripts`, and weights of shape (N,) or None, as `CTCLoss` takes
            them.
        """
        steps = self.steps_of("sources", device)
        inputs = to_batch(self.sources, indices, device, random_state, steps)
        n_symbols = self.n_symbols[indices]
        n_frames = n_joined(self.lengths[indices], self.subsampling)
        classes = np.full((len(indices), n_symbols.max()), NO_CODE)
        for row, i in zip(classes, indices, strict=True):
            row[: self.n_symbols[i]] = self.rows[i]
        parts = (classes, n_symbols, n_frames)
        transcripts = Transcripts(*(torch.from_numpy(p).to(device) for p in parts))
        return inputs, (transcripts, self.weights_of(indices))


class CTCLoss(nn.Module):
    """The mean negative log-likelihood of transcripts (CTC), a symbol.

    The likelihood of a transcript is that of all ways to spread its symbols over
    the frames, blanks between them. The end of a transcript counts as a symbol.

    References
    ----------
    Graves et al., "Connectionist temporal classification: labelling unsegmented
    sequence data with recurrent neural networks", ICML 2006.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import CTCLoss, Transcripts
    >>> transcripts = Transcripts(*map(torch.tensor, ([[1]], [1], [1])))
    >>> CTCLoss()(torch.zeros(1, 1, 4), (transcripts, None))  # log(4) / 2
    tensor(0.6931)
    """

    def forward(self, outputs, transcripts_and_weights):
        """Compute the weighted mean loss.

        Parameters
        ----------
        outputs : Tensor of shape (N, T, 1 + n_symbols)
            Logits, the blank's first.
        transcripts_and_weights : tuple
            `Transcripts`, and weights of shape (N,) or None.

        Returns
        -------
        Tensor
            A scalar, in nats a symbol.
        """
        transcripts, weights = transcripts_and_weights
        losses = self.of_sequences(outputs, transcripts)
        if weights is not None:
            losses = losses * weights
        return losses.sum() / self.count(transcripts)

    def of_sequences(self, outputs, transcripts):
        """Compute the loss of each sequence.

        Parameters
        ----------
        outputs : Tensor of shape (N, T, 1 + n_symbols)
            Logits, the blank's first.
        transcripts : Transcripts
            What is to be said.

        Returns
        -------
        Tensor of shape (N,)
            In nats; infinite where a transcript cannot be said in so few frames.
        """
        # In float32 the gradient of 3000 frames is off by 0.6 %.
        return F.ctc_loss(
            outputs.double().log_softmax(dim=2).transpose(0, 1),
            transcripts.classes,
            transcripts.n_frames,
            transcripts.n_symbols,
            blank=BLANK,
            reduction="none",
        ).to(outputs.dtype)

    def count(self, transcripts):
        """Count the symbols of a batch, the ends of transcripts included.

        Parameters
        ----------
        transcripts : Transcripts
            What is to be said.

        Returns
        -------
        int
            Symbols.
        """
        return int(transcripts.n_symbols.sum()) + len(transcripts.n_symbols)


def fewest_frames(classes):
    """Tell how many frames a transcript takes at least.

    Parameters
    ----------
    classes : ndarray of int of shape (n_symbols,)
        Of its symbols.

    Returns
    -------
    int
        One a symbol, one more for a blank between equal neighbours, and at least
        one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.training import fewest_frames
    >>> fewest_frames(np.array([5, 5, 2]))
    4
    """
    return max(1, len(classes) + int((classes[1:] == classes[:-1]).sum()))
