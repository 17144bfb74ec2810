"""What a trained network does at every step: states, attention, gradients."""

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn.estimators._access import shared
from sklearn_rnn.estimators._steps import split_steps
from sklearn_rnn.sequences import SequencesLike
from sklearn_rnn.training import (
    BLOCK_SIZE,
    computing_batch,
    step_outputs,
    to_batch,
)


class Inspector:
    """Part of an estimator that lets a user look inside its network."""

    @shared
    def hidden_states(self, X: SequencesLike) -> np.ndarray:
        """Compute the last layer's hidden state after every step.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Of each sequence an array (length_i, hidden_size), or twice as wide
            if bidirectional, forward states first; float64.
        """
        return self._each_step(X, lambda states: states.transpose(0, 1))

    @shared
    def attention_weights(self, X: SequencesLike) -> np.ndarray:
        """Compute how much each step counts in attention pooling.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Of each sequence an array (length_i,) of weights that sum to 1,
            float64.

        Raises
        ------
        ValueError
            If the network was not fitted with ``pooling="attention"``.
        """
        check_is_fitted(self)
        if self._network_spec.pooling != "attention":
            raise ValueError(
                f"this {type(self).__name__} has no attention: only a network that "
                "makes one vector of all steps can, fitted with pooling='attention'."
            )
        scores = self._each_step(
            X, lambda states: self.module_.pooling.scores(states).transpose(0, 1)
        )
        for i, score in enumerate(scores):
            shares = np.exp(score[:, 0] - score.max())
            scores[i] = shares / shares.sum()
        return scores

    @shared
    @torch.inference_mode(False)
    def input_gradients(self, X: SequencesLike) -> np.ndarray:
        """Compute how strongly the last output hangs on the input of each step.

        The output is that of the sequence or, where every step has one, that
        of the last step: the sum of the predicted numbers, or how far the
        logit of the predicted class stands above the mean of all logits. The
        inputs are as the network reads them, standardised or embedded.
        Gradients that vanish with the distance from the end tell of a network
        that cannot learn from there. Memory grows with the length of the
        longest sequence.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Of each sequence an array (length_i,): the Euclidean norm of the
            derivatives by the features of the step, float64.

        References
        ----------
        Bengio, Simard and Frasconi, "Learning long-term dependencies with
        gradient descent is difficult", IEEE Transactions on Neural Networks 5,
        1994.
        """
        check_is_fitted(self)
        sequences = self._as_seen(self._read_sequences(X, reset=False))
        if not self._reads_tokens:
            self._check_range(sequences)
        norms = np.empty(len(sequences), dtype=object)
        with self._computing():
            for begin in range(0, len(sequences), BLOCK_SIZE):
                rows = np.arange(begin, min(begin + BLOCK_SIZE, len(sequences)))
                with computing_batch(len(rows), int(sequences.lengths[rows].max())):
                    batch = to_batch(sequences, rows, self.net_.device)
                    block = self.module_.input_gradients(
                        **batch, of_classes=self._loss_name() == "log_loss"
                    )
                # In double: float32 squares underflow where gradients vanish.
                block = block.double().norm(dim=2)  # (N, T)
                for row, norm in zip(rows, block.cpu().numpy(), strict=True):
                    norms[row] = norm[: sequences.lengths[row]].copy()
        return norms

    def _each_step(self, X, read):
        check_is_fitted(self)
        sequences = self._as_seen(self._read_sequences(X, reset=False))
        if not self._reads_tokens:
            self._check_range(sequences)
        with self._computing():
            values = step_outputs(self.module_, sequences, self.net_.device, read)
        values = values.cpu().numpy().astype(np.float64)
        self._check_outputs(values, sequences.lengths)
        return split_steps(values, sequences.lengths, as_array=False)
