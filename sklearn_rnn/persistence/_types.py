"""The closed lists of types that saved models may hold."""

from typing import Any

from sklearn import (
    compose,
    decomposition,
    ensemble,
    frozen,
    impute,
    linear_model,
    multioutput,
    pipeline,
    preprocessing,
)
from sklearn.feature_extraction import text
from sklearn.feature_selection import VarianceThreshold
from sklearn.utils import Bunch

from sklearn_rnn.audio import LogMelSpectrogram
from sklearn_rnn.estimators import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    StatefulPredictor,
)
from sklearn_rnn.forecasting import (
    CalendarFeatures,
    ConformalCalibrator,
    ForecastAnomalyDetector,
)
from sklearn_rnn.model_selection import TimeBlockSplit
from sklearn_rnn.preprocessing import (
    SequenceFlattener,
    SequenceScaler,
    SequenceTokenizer,
    SequenceWindower,
    WordFeatures,
)

OWN = (
    CalendarFeatures,
    ConformalCalibrator,
    ForecastAnomalyDetector,
    LogMelSpectrogram,
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceFlattener,
    SequenceScaler,
    SequenceTokenizer,
    SequenceWindower,
    StatefulPredictor,
    TimeBlockSplit,
    WordFeatures,
)
for _own in OWN:
    # The path that files and pickles name: classes may move inside the package.
    _own.__module__ = "sklearn_rnn"

# Of scikit-learn those that compute by NumPy alone. Trees, neighbours and support
# vector machines read memory by indices of their state without checking them.
SKLEARN = (
    Bunch,
    VarianceThreshold,
    compose.ColumnTransformer,
    compose.TransformedTargetRegressor,
    decomposition.PCA,
    ensemble.StackingClassifier,
    ensemble.StackingRegressor,
    ensemble.VotingClassifier,
    ensemble.VotingRegressor,
    frozen.FrozenEstimator,
    impute.MissingIndicator,
    impute.SimpleImputer,
    linear_model.ElasticNet,
    linear_model.ElasticNetCV,
    linear_model.HuberRegressor,
    linear_model.Lasso,
    linear_model.LassoCV,
    linear_model.LinearRegression,
    linear_model.LogisticRegression,
    linear_model.QuantileRegressor,
    linear_model.Ridge,
    linear_model.RidgeCV,
    linear_model.RidgeClassifier,
    multioutput.MultiOutputClassifier,
    multioutput.MultiOutputRegressor,
    pipeline.FeatureUnion,
    pipeline.Pipeline,
    preprocessing.FunctionTransformer,
    preprocessing.LabelBinarizer,
    preprocessing.LabelEncoder,
    preprocessing.MaxAbsScaler,
    preprocessing.MinMaxScaler,
    preprocessing.OneHotEncoder,
    preprocessing.OrdinalEncoder,
    preprocessing.PowerTransformer,
    preprocessing.QuantileTransformer,
    preprocessing.RobustScaler,
    preprocessing.StandardScaler,
    text.TfidfTransformer,
)


def _public_name(cls):
    """Return the path of a class without scikit-learn's private modules."""
    parts = cls.__module__.split(".")
    return ".".join([p for p in parts if not p.startswith("_")] + [cls.__name__])


NAMES: dict[Any, str] = {cls: _public_name(cls) for cls in (*OWN, *SKLEARN)}
CLASSES: dict[str, Any] = {name: cls for cls, name in NAMES.items()}

# What ``skops.io.load`` need trust besides what it trusts by itself.
TRUSTED_TYPES = [
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.model_selection._split.TimeSeriesSplit",
    "sklearn.utils._bunch.Bunch",
    *(NAMES[cls] for cls in OWN),
]
