"""Names of parameters: those of other packages are answered with ours."""

import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_rnn import RNNClassifier, RNNGenerator, RNNRegressor


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("hidden_layer_sizes", "hidden_size"),
        ("solver", "optimizer"),
        ("alpha", "weight_decay"),
        ("max_iter", "max_epochs"),
        ("units", "hidden_size"),
    ],
)
@pytest.mark.parametrize("estimator_type", [RNNRegressor, RNNClassifier, RNNGenerator])
def test_names_of_other_packages_are_answered_with_ours(estimator_type, name, here):
    with pytest.raises(TypeError, match=f"no parameter '{name}'.*called {here}"):
        estimator_type(**{name: 1})


@pytest.mark.parametrize("name", ["momentum", "nesterovs_momentum", "beta_1"])
def test_options_of_optimizers_point_to_the_optimizer(name):
    with pytest.raises(TypeError, match=f"'{name}'. It is an option of the optimizer"):
        RNNClassifier(**{name: 0.5})


@pytest.mark.parametrize("estimator_type", [RNNRegressor, RNNClassifier])
def test_a_schedule_as_learning_rate_is_answered_with_lr_schedule(estimator_type):
    model = estimator_type(learning_rate="adaptive")
    said = "must be a float.*lr_schedule: 'plateau'.*Got 'adaptive'"
    with pytest.raises(ValueError, match=said):
        model.fit([[1.0, 2.0], [3.0]], [0, 1])


def test_searches_are_answered_as_well():
    with pytest.raises(ValueError, match="no parameter 'max_iter'.*called max_epochs"):
        make_pipeline(RNNRegressor()).set_params(rnnregressor__max_iter=3)


def test_a_subclass_may_have_a_parameter_of_such_a_name():
    class Penalised(RNNRegressor):
        def __init__(self, alpha=0.0):
            super().__init__()
            self.alpha = alpha

    assert clone(Penalised(alpha=0.5)).alpha == 0.5
    with pytest.raises(TypeError, match="unexpected keyword argument 'beta'"):
        Penalised(beta=1)
