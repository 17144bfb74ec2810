"""Transformers whose type of output does not depend on set_output."""

from typing import Any, Self


class FixedOutput:
    """For transformers that return sequences, or a frame of the type of their input.

    Stands first among the bases, as it keeps scikit-learn from wrapping the output.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        kwargs.setdefault("auto_wrap_output_keys", None)
        super().__init_subclass__(**kwargs)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Accept scikit-learn's choice of output, without effect.

        Sequences fit in no DataFrame, and `CalendarFeatures` returns a frame of the
        type of its input. The method is here so that a pipeline's ``set_output``
        reaches its other steps.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Has no effect.

        Returns
        -------
        estimator instance
            The same transformer.
        """
        return self
