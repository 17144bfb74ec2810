# %% [markdown]
"""Serve a model over HTTP with FastAPI: predictions, and live signals.

Loads a model that `save_model` wrote, without pickles, and answers

* ``POST /predict`` with ``{"sequences": [[[0.1, 2.0], ...], ...]}``: one prediction per
  sequence, each a list of steps, and each step a list of features;
* ``POST /streams/NAME`` with ``{"steps": [[0.1, 2.0], ...]}``: the prediction after the
  newest steps of a live signal, whose earlier steps are remembered by its name;
  ``DELETE /streams/NAME`` forgets it;
* ``GET /health``: the type of the model and the version of the package.

What the model cannot read is answered with status 422 and the message of the package.
The model is shared by the threads of the server; a stream takes one call at a time.

    python examples/serve.py --train model.safetensors
    python examples/serve.py model.safetensors --port 8000

The first writes a small forecast of temperature to try the server with: windows of two
features, temperature and dew point. Needs ``pip install fastapi uvicorn`` and the extra
``persist``.
"""

# %%
import argparse
import threading
from collections import OrderedDict

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

import sklearn_rnn
from sklearn_rnn import RNNRegressor, StatefulPredictor, make_windows
from sklearn_rnn.datasets import load_nyc_weather
from sklearn_rnn.persistence import load_model, save_model

# The least recently used stream beyond these is forgotten, so that clients who never
# delete theirs do not fill the memory.
MOST_STREAMS = 1000


# %% [markdown]
# ## What a request holds


# %%
class Sequences(BaseModel):
    """Sequences of any length: sequences[i][t][j] is feature j at step t."""

    sequences: list[list[list[float]]]


class Steps(BaseModel):
    """The newest steps of one live signal: steps[t][j] is feature j."""

    steps: list[list[float]]


# %% [markdown]
# ## Live signals
#
# Each has a name, under which the state of the network after its newest step is kept.


# %%
class Streams:
    """The states of live signals, by name."""

    def __init__(self, model):
        self.model, self.by_name, self.lock = model, OrderedDict(), threading.Lock()

    def __getitem__(self, name):
        with self.lock:
            if name not in self.by_name:
                self.by_name[name] = StatefulPredictor(self.model)
            self.by_name.move_to_end(name)
            if len(self.by_name) > MOST_STREAMS:
                self.by_name.popitem(last=False)
            return self.by_name[name]

    def delete(self, name):
        with self.lock:
            return self.by_name.pop(name, None) is not None


# %% [markdown]
# ## The application


# %%
def answer(predict, X):
    """Return predictions as lists; what cannot be read is the client's mistake."""
    try:
        return {"predictions": np.asarray(predict(X)).tolist()}
    except (ValueError, TypeError) as error:
        raise HTTPException(422, str(error)) from error


def as_arrays(sequences):
    """Return sequences as arrays; rows of unequal length are the client's mistake."""
    try:
        return [np.array(steps, dtype=float) for steps in sequences]
    except ValueError as error:
        message = "each step must have the same number of features"
        raise HTTPException(422, message) from error


def make_app(model):
    """Return the application that serves a fitted model."""
    app, streams = FastAPI(title="sklearn_rnn"), Streams(model)

    # Functions without async run in FastAPI's pool of threads, many at a time.
    @app.post("/predict")
    def predict(body: Sequences):
        return answer(model.predict, as_arrays(body.sequences))

    @app.post("/streams/{name}")
    def predict_stream(name: str, body: Steps):
        (steps,) = as_arrays([body.steps])
        return answer(lambda X: streams[name].predict(X)[0], [steps])

    @app.delete("/streams/{name}")
    def delete_stream(name: str):
        return {"deleted": streams.delete(name)}

    @app.get("/health")
    def health():
        return {"model": type(model).__name__, "version": sklearn_rnn.__version__}

    return app


# %% [markdown]
# ## A model to try it with
#
# This cell and the next are for the command line: a server runs until it is stopped.


# %%
def train(path):
    """Write a model of the temperature six hours ahead."""
    weather = load_nyc_weather("JFK")[["temp", "dewp"]]
    weather = weather.asfreq("h").interpolate()[:2000]
    X, y = make_windows(weather, weather["temp"], n_steps=24, horizon=6)
    # subtract_last needs whole windows, which a live signal does not have.
    model = RNNRegressor(subtract_last=False, max_epochs=5, random_state=0)
    save_model(model.fit(X, y), path)


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="file that save_model wrote")
    parser.add_argument("--train", action="store_true", help="write it instead")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(arguments)
    if options.train:
        train(options.model)
        return
    app = make_app(load_model(options.model))
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")


# %%
if __name__ == "__main__":
    main()
