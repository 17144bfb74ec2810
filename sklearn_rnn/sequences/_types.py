"""Types for signatures, and for constraints of parameters."""

from collections.abc import Sequence
from numbers import Integral
from typing import TypeAlias

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval

from sklearn_rnn.sequences._container import SequenceArray

# Everything that an estimator takes as X.
SequencesLike: TypeAlias = (
    SequenceArray | ArrayLike | Sequence[ArrayLike] | pd.DataFrame
)

# Number of steps, units, epochs or symbols, within int32.
COUNT = Interval(Integral, 1, 2**31 - 1, closed="both")
