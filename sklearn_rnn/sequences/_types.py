"""Types in the signatures of what a user calls."""

from collections.abc import Sequence
from typing import TypeAlias

import pandas as pd
from numpy.typing import ArrayLike

from sklearn_rnn.sequences._container import SequenceArray

# Everything that an estimator takes as X.
SequencesLike: TypeAlias = (
    SequenceArray | ArrayLike | Sequence[ArrayLike] | pd.DataFrame
)
