"""What transformers do about scikit-learn's choice of output."""

from typing import Self


class SequenceOutput:
    """For transformers whose output is sequences, whatever the choice is."""

    def set_output(self, *, transform: str | None = None) -> Self:
        """Accept scikit-learn's choice of output, and stay with sequences.

        Sequences fit in no DataFrame; the method is here so that a pipeline's
        ``set_output`` reaches its other steps.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Has no effect.

        Returns
        -------
        LogMelSpectrogram, SequenceScaler, SequenceTokenizer or SequenceWindower
            The same transformer.
        """
        return self
