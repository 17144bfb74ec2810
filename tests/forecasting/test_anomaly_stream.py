"""AnomalyStream: row by row as from the table of all rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    ForecastAnomalyDetector,
    RNNRegressor,
    SequenceFlattener,
    SequenceWindower,
)


def make_table(n=400, n_columns=2):
    """Return noisy waves, with two anomalies after row 300."""
    rng = np.random.default_rng(0)
    phases = np.arange(n)[:, np.newaxis] / 4 + np.arange(n_columns)
    values = np.sin(phases) + rng.normal(0, 0.1, (n, n_columns))
    values[310, 0] += 3
    values[330:340] -= 2
    return pd.DataFrame(values, columns=[*"abc"][:n_columns])


def linear(n_steps=16):
    return make_pipeline(SequenceWindower(n_steps), SequenceFlattener(), Ridge(1e-3))


def network():
    model = RNNRegressor(
        loss="quantile", quantiles=(0.1, 0.5, 0.9), hidden_size=4, max_epochs=2
    )
    return make_pipeline(SequenceWindower(16), model.set_params(random_state=0))


@pytest.mark.parametrize("make_model", [linear, network])
@pytest.mark.parametrize("repair", [True, False])
def test_scores_are_those_of_the_table(make_model, repair):
    table = make_table()
    model = ForecastAnomalyDetector(make_model(), repair=repair).fit(table[:300])
    rows = table[300:].reset_index(drop=True)
    live, values = model.stream(), rows.to_numpy()
    found = [live.score(row) for row in values]
    np.testing.assert_allclose(found, model.score_samples(rows), rtol=1e-9)
    assert live.n_rows == 100
    live = model.stream()
    predicted = [live.predict(row) for row in values]
    np.testing.assert_array_equal(predicted, model.predict(rows))
    assert -1 in predicted


def test_features_are_scored_as_in_the_table():
    table = make_table()
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    rows = table[300:].reset_index(drop=True)
    live = model.stream()
    found = []
    for row in rows.to_numpy():
        live.score(row)
        found.append(live.feature_scores)
    np.testing.assert_allclose(found, model.score_features(rows), rtol=1e-9)


def test_a_stream_follows_the_rows_it_is_given():
    table = make_table()
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    rows = table[200:].reset_index(drop=True)
    live = model.stream(rows[:150])
    found = [live.score(row) for row in rows[150:].to_numpy()]
    np.testing.assert_allclose(found, model.score_samples(rows)[150:], rtol=1e-9)


def test_missing_values_are_filled_as_in_the_table():
    table = make_table()
    table.iloc[[50, 120], 0] = np.nan
    table.iloc[350:353, 0] = np.nan
    table.iloc[360] = np.nan
    model = ForecastAnomalyDetector(network(), missing="mask").fit(table[:300])
    rows = table[300:].reset_index(drop=True)
    live = model.stream()
    found = [live.score(row) for row in rows.to_numpy()]
    np.testing.assert_allclose(found, model.score_samples(rows), rtol=1e-9)
    assert np.isnan(found).sum() == 1


def dated(table):
    return table.set_axis(pd.date_range("2025", periods=len(table), freq="h"))


@pytest.mark.parametrize("begin", [0, 300])
def test_rows_before_a_gap_are_no_history_of_a_stream(begin):
    table = dated(make_table())
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    with_gap = table.drop(table.index[335:345])[begin:]
    live = model.stream(with_gap[: 360 - 10 - begin])
    assert live.n_rows == 350 - begin
    found = [live.score(row) for row in table[360:].to_numpy()]
    expected = model.score_samples(with_gap)[-40:]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_stream_that_follows_fit_has_its_history():
    table = dated(make_table())
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    live = model.stream(table[300:304])
    assert live.n_rows == 4
    found = [live.score(row) for row in table[304:].to_numpy()]
    expected = model.score_samples(table[300:])[4:]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_missing_rows_of_the_history_are_filled_as_in_the_table():
    table = dated(make_table())
    model = ForecastAnomalyDetector(network(), missing="mask").fit(table[:300])
    with_gap = table.drop(table.index[345:348])[300:]
    live = model.stream(with_gap[:50])
    found = [live.score(row) for row in with_gap[50:].to_numpy()]
    expected = model.score_samples(with_gap)[50:]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_history_out_of_order_is_refused():
    table = dated(make_table())
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    with pytest.raises(ValueError, match="order|increas|sort"):
        model.stream(table[300:].sample(frac=1, random_state=0))


def test_a_stream_does_not_change_with_its_detector():
    table = make_table()
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    same, live = model.stream(), model.stream()
    rows = table[300:].to_numpy()
    expected = [(same.score(row), same.feature_scores) for row in rows]
    same = model.stream()
    labels = [same.predict(row) for row in rows]
    other = model.stream()
    model.set_params(repair=False, contamination=0.5, horizon=[1]).fit(table[:200] * 9)
    for row, (score, features) in zip(rows, expected, strict=True):
        assert live.score(row) == score
        np.testing.assert_array_equal(live.feature_scores, features)
    assert [other.predict(row) for row in rows] == labels


def test_rows_may_be_given_by_name():
    table = make_table()
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    by_order, by_name, series = model.stream(), model.stream(), model.stream()
    for a, b in table[300:320].to_numpy():
        score = by_order.score([a, b])
        assert by_name.score({"b": b, "a": a}) == score
        assert series.score(pd.Series({"b": b, "a": a})) == score


def test_wrong_rows_are_refused_and_cost_nothing():
    table = make_table()
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    live = model.stream(table[:300])
    with pytest.raises(ValueError, match=r"a row has the 2 values \['a', 'b'\]"):
        live.score([1.0])
    with pytest.raises(ValueError, match="no value of 'b'"):
        live.score({"a": 1.0})
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="'b' of row 300 is NaN or infinite"):
            live.score([1.0, bad])
    assert live.n_rows == 300


def test_rows_with_their_times_are_scored_as_the_table():
    table = dated(make_table())
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    expected = model.predict(table)[300:]
    frames, series = model.stream(table[:300]), model.stream(table[:300])
    found = [frames.predict(table[i : i + 1]) for i in range(300, 400)]
    np.testing.assert_array_equal(found, expected)
    found = [series.predict(row) for _, row in table[300:].iterrows()]
    np.testing.assert_array_equal(found, expected)


def test_a_gap_in_a_live_signal_begins_a_new_history_as_in_the_table():
    table = dated(make_table()).rename_axis("hour").reset_index()
    model = ForecastAnomalyDetector(linear(), time="hour").fit(table[:300])
    with_gap = table[200:].drop(range(320, 323))
    live = model.stream(with_gap[:110])
    rows = with_gap[110:].to_dict("records")
    found = [live.score(row) for row in rows]
    np.testing.assert_allclose(found, model.score_samples(with_gap)[110:], rtol=1e-9)
    assert live.n_rows == 197


def test_rows_that_a_live_signal_lacks_are_filled_as_in_the_table():
    table = dated(make_table())
    model = ForecastAnomalyDetector(network(), missing="mask").fit(table[:300])
    with_gap = table[300:].drop(table.index[345:348])
    live = model.stream(with_gap[:20])
    found = [live.score(row) for _, row in with_gap[20:].iterrows()]
    np.testing.assert_allclose(found, model.score_samples(with_gap)[20:], rtol=1e-6)
    assert live.n_rows == len(with_gap)


@pytest.mark.parametrize("again", [399, 350])
def test_a_row_that_does_not_come_after_the_last_is_refused(again):
    table = dated(make_table())
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    live, same = model.stream(table[300:]), model.stream(table[300:])
    late = table[again : again + 1]
    message = "2025-01-1.* does not come after that at 2025-01-17 15:00"
    with pytest.raises(ValueError, match=message):
        live.score(late)
    with pytest.raises(ValueError, match=r"a table of 2 rows.*score the table with"):
        live.score(table[300:302])
    assert live.n_rows == 100
    # A refused row leaves the stream as it was.
    assert live.score([0.5, 0.5]) == same.score([0.5, 0.5])


def test_times_of_another_kind_than_in_fit_are_refused():
    table = dated(make_table())
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    live = model.stream(table[:300])
    with pytest.raises(ValueError, match="times of a live signal"):
        live.score(table[300:301].set_axis([300]))
    with pytest.raises(ValueError, match="times of a live signal"):
        live.score(table[300:301].tz_localize("UTC"))
    with pytest.raises(ValueError, match="times of X are numbers, but"):
        model.stream().score(table[300:301].set_axis([300]))


def test_models_that_cannot_continue_are_refused_with_the_remedy():
    table = make_table()
    with pytest.raises(TypeError, match="begins with a SequenceWindower"):
        ForecastAnomalyDetector(LinearRegression()).fit(table).stream()
    dated = table.set_axis(pd.date_range("2025", periods=400, freq="h"))
    calendar = make_pipeline(CalendarFeatures(["hour"]), *linear())
    with pytest.raises(TypeError, match="begins with a SequenceWindower"):
        ForecastAnomalyDetector(calendar).fit(dated).stream()
    panel = pd.concat({"a": dated, "b": dated}, names=["site", "hour"])
    with pytest.raises(TypeError, match=r"several series, of \['site'\]"):
        ForecastAnomalyDetector(linear()).fit(panel).stream()
    kinds = table.assign(kind=np.tile(["x", "y"], 200))
    with pytest.raises(TypeError, match="'kind'"):
        ForecastAnomalyDetector(network()).fit(kinds).stream()


@pytest.mark.parametrize("kind", ["column", "level", "levels"])
def test_frames_of_one_row_have_their_time_wherever_fit_had_it(kind):
    table = dated(make_table()).rename_axis("time").reset_index()
    if kind == "level":
        table = table.set_index("time")
    elif kind == "levels":
        table = table.assign(batch=1).set_index(["batch", "time"])
    model = ForecastAnomalyDetector(linear(), time="time").fit(table[:300])
    with_gap = pd.concat([table[200:320], table[323:]])
    live = model.stream(with_gap[:110])
    found = [live.score(with_gap[i : i + 1]) for i in range(110, len(with_gap))]
    np.testing.assert_allclose(found, model.score_samples(with_gap)[110:], rtol=1e-9)
    with pytest.raises(ValueError, match="does not come after"):
        live.score(with_gap[:1])


def test_a_frame_without_the_column_of_times_is_the_next_step():
    table = dated(make_table()).rename_axis("time").reset_index()
    model = ForecastAnomalyDetector(linear(), time="time").fit(table[:300])
    live, same = model.stream(table[:300]), model.stream(table[:300])
    row = table[300:301]
    untimed = row.drop(columns="time").reset_index(drop=True)
    assert live.score(untimed) == same.score(row)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("freq", "zone"),
    [
        ("h", None),
        ("D", "Europe/Berlin"),
        ("MS", None),
        ("period", None),
        ("numbers", None),
    ],
)
def test_rows_without_a_time_advance_the_time_by_a_step(freq, zone):
    table = make_table()
    if freq == "numbers":
        table.index = np.arange(400) * 5 + 2
    elif freq == "period":
        table.index = pd.period_range("2025", periods=400, freq="D")
    else:
        table.index = pd.date_range("1990", periods=400, freq=freq, tz=zone)
    model = ForecastAnomalyDetector(linear()).fit(table[:300])
    live = model.stream(table[:300])
    live.score(table[300:301])
    live.score(table.iloc[301].to_numpy())
    for early in (302 - 100, 301):
        with pytest.raises(ValueError, match="does not come after"):
            live.score(table[early : early + 1])
    same = model.stream(table[:302])
    assert live.score(table[302:303]) == same.score(table[302:303])
    live.score(table.iloc[303].to_numpy())
    # Rows are missing: a new history, as without any.
    assert live.score(table[310:311]) == model.stream().score(table[310:311])


def test_times_after_rows_without_one_are_refused_where_there_is_no_step():
    table = make_table()
    days = np.random.default_rng(0).integers(1, 9, 400).cumsum()
    table.index = pd.Timestamp("2025") + pd.to_timedelta(days, unit="D")
    model = ForecastAnomalyDetector(linear(), freq="rows").fit(table[:300])
    live = model.stream(table[:300])
    live.score(table[300:301])
    live.score(table.iloc[301].to_numpy())
    with pytest.raises(ValueError, match="came without a time.*no fixed step"):
        live.score(table[302:303])
    assert live.n_rows == 302
    live.score(table.iloc[302].to_numpy())


class CountingRidge(Ridge):
    """Count the rows that are predicted."""

    n_predicted = 0

    def predict(self, X):
        """Return predictions."""
        CountingRidge.n_predicted += len(X)
        return super().predict(X)


def test_a_long_gap_costs_no_more_forecasts_than_the_history_needs():
    table = dated(make_table(4000))
    steps = SequenceWindower(16), SequenceFlattener(), CountingRidge(1e-3)
    model = ForecastAnomalyDetector(make_pipeline(*steps), missing="mask")
    model.fit(table[:300])
    with_gap = pd.concat([table[300:335], table[3900:]])
    live = model.stream(with_gap[:34])
    live.score(with_gap[34:35])
    CountingRidge.n_predicted = 0
    found = [live.score(with_gap[35:36])]
    assert CountingRidge.n_predicted < 3 * (16 + max(model.horizon_))
    found += [live.score(with_gap[i : i + 1]) for i in range(36, 80)]
    expected = model.score_samples(with_gap)[35:80]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert live.n_rows == 80
