"""Pictures of models and of how they were trained."""

from sklearn_rnn._moved import find_moved
from sklearn_rnn.displays._attention import AttentionDisplay
from sklearn_rnn.displays._gradient_flow import GradientFlowDisplay
from sklearn_rnn.displays._grid import MAX_PANELS, WIDTHS, tidy_grid
from sklearn_rnn.displays._hidden_states import HiddenStateDisplay
from sklearn_rnn.displays._importance import ImportanceDisplay
from sklearn_rnn.displays._labels import SMALLEST, fitting_style, printable
from sklearn_rnn.displays._loss_curve import LossCurveDisplay
from sklearn_rnn.displays._matplotlib import import_matplotlib

__all__ = [
    "AttentionDisplay",
    "GradientFlowDisplay",
    "HiddenStateDisplay",
    "ImportanceDisplay",
    "LossCurveDisplay",
    "MAX_PANELS",
    "SMALLEST",
    "WIDTHS",
    "fitting_style",
    "import_matplotlib",
    "printable",
    "tidy_grid",
]

__getattr__ = find_moved(
    __name__, {"ForecastDisplay", "PosteriorDisplay", "SpectrogramDisplay"}
)
