"""Everything that is fitted passes through skops with TRUSTED_TYPES alone."""

import io
import json
import zipfile

import numpy as np
import pytest
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException
from zoo import ZOO, flat, make

import sklearn_rnn
from sklearn_rnn import RNNClassifier, RNNRegressor
from sklearn_rnn.persistence import TRUSTED_TYPES


@pytest.mark.thorough
@pytest.mark.parametrize("name", ZOO)
def test_a_model_loads_with_the_trust_list_and_predicts_the_same(name):
    fitted = make(name)
    loaded = skops.io.loads(skops.io.dumps(fitted.model), trusted=TRUSTED_TYPES)
    again = skops.io.loads(skops.io.dumps(fitted.model), trusted=TRUSTED_TYPES)
    expected = flat(fitted.predict(loaded))
    # A StatefulPredictor remembers: each of these has seen as much.
    model = again if name == "live" else fitted.model
    np.testing.assert_array_equal(flat(fitted.predict(model)), expected)


def types_in(node):
    if isinstance(node, dict):
        if "__module__" in node:
            yield f"{node['__module__']}.{node['__class__']}"
        node = list(node.values())
    for child in node if isinstance(node, list) else []:
        yield from types_in(child)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ZOO)
def test_files_name_public_paths_alone(name):
    data = skops.io.dumps(make(name).model)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = set(types_in(json.loads(archive.read("schema.json"))))
    ours = {path for path in found if path.startswith("sklearn_rnn")}
    assert ours <= {f"sklearn_rnn.{public}" for public in sklearn_rnn.__all__}
    assert not any(path.startswith(("pandas", "torch", "skorch")) for path in found)


@pytest.mark.thorough
def test_the_trust_list_holds_every_estimator():
    estimators = {
        f"sklearn_rnn.{name}"
        for name in sklearn_rnn.__all__
        if hasattr(getattr(sklearn_rnn, name), "get_params")
    }
    assert len(estimators) == 15
    assert estimators < set(TRUSTED_TYPES)
    used = {
        path
        for name in ZOO
        for path in skops.io.get_untrusted_types(data=skops.io.dumps(make(name).model))
    }
    assert used <= set(TRUSTED_TYPES)
    unused = {path.rpartition(".")[2] for path in set(TRUSTED_TYPES) - used}
    assert unused <= {"StratifiedKFold", "TimeSeriesSplit"}


def test_a_function_of_the_user_is_not_trusted():
    X = np.zeros((40, 3, 1))
    model = RNNRegressor(hidden_size=2, max_epochs=1, lr_schedule=constant)
    data = skops.io.dumps(model.fit(X, X[:, 0, 0]))
    with pytest.raises(UntrustedTypesFoundException, match="constant"):
        skops.io.loads(data, trusted=TRUSTED_TYPES)


def constant(progress):
    return 1.0


def test_wrong_weights_are_refused_through_skops_too():
    X = np.zeros((40, 3, 1))
    X[::2] = 1
    model = RNNClassifier(hidden_size=2, max_epochs=1).fit(X, X[:, 0, 0] > 0)
    model.module_.head.bias.data.fill_(np.nan)
    with pytest.raises(sklearn_rnn.InvalidModelError, match=r"'head\.bias'.* finite"):
        skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES)
