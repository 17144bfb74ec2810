"""The examples run, and show what they say."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example_scripts import EXAMPLES, assert_is_picture, load

STATIONS = ["EWR", "JFK", "LGA"]


def test_beginners_script_learns_the_mean(capsys):
    results = load("beginners_script").main(["--picture", "loss.png"])
    assert results["r2"] > 0.8
    assert len(results["history"]) == 10
    assert results["history"][-1]["valid_score"] == pytest.approx(results["r2"])
    assert "epoch 10/10" in capsys.readouterr().out
    assert_is_picture("loss.png")


@pytest.mark.thorough
def test_speakers_are_told_apart(capsys):
    results = load("speaker_classification").main(["--models", "default"])
    assert list(results) == ["default"]
    assert results["default"]["test accuracy"] > 0.93
    assert "270 utterances of 9 speakers: 7 to 26 frames" in capsys.readouterr().out
    assert_is_picture("speaker_classification.png")


@pytest.mark.slow
def test_reading_backwards_as_well_tells_speakers_apart():
    results = load("speaker_classification").main([])
    assert results["bidirectional"]["test accuracy"] > 0.95
    assert results["bidirectional"]["parameters"] > results["default"]["parameters"]


@pytest.mark.slow
def test_anomalies_of_sensors_are_found_and_named(capsys):
    results = load("sensor_anomalies").main([])
    precision = results["average precision"]
    assert max(precision, key=precision.get) == "ForecastAnomalyDetector"
    assert precision["ForecastAnomalyDetector"] > 0.8
    assert results["found"] > 0.8
    assert results["right sensor"] > 0.95
    assert results["false alarms"] < 0.08
    assert "Average precision of the steps" in capsys.readouterr().out
    assert_is_picture("sensor_anomalies.png")


def test_the_chorales_are_what_their_readme_says():
    load_chorales = load("chorale_harmonisation").load_bach_chorales
    train, test = load_chorales("train"), load_chorales("test")
    assert (len(train.data), len(test.data)) == (111, 37)
    assert not set(train.bwv) & set(test.bwv)
    for part in (train, test):
        for soprano, bass, onsets in zip(
            part.data, part.target, part.onsets, strict=True
        ):
            assert len(soprano) == len(bass) == len(onsets)
            changes = np.diff(soprano, prepend=0) != 0
            assert onsets[changes & (soprano > 0)].all()
            assert soprano[soprano > 0].mean() > bass[bass > 0].mean()
        # The last bass note is the tonic of the major or the relative minor key.
        last = np.array([bass[bass > 0][-1] for bass in part.target])
        assert np.isin((last - 7 * part.fifths) % 12, [0, 9]).mean() > 0.6


@pytest.mark.thorough
def test_the_bass_of_chorales_is_found_in_part(monkeypatch, capsys):
    example = load("chorale_harmonisation")
    # They take longer.
    monkeypatch.setattr(example, "predict_by_baselines", lambda *_: {})
    results = example.main(["--models", "before", "--max-epochs", "5"])["before"]
    assert results["RNNTagger"] > results["most frequent pitch"] + 0.05
    assert "111 chorales, 24856 steps, to train on" in capsys.readouterr().out
    assert_is_picture("chorale_harmonisation.png")


@pytest.mark.slow
def test_the_bass_of_chorales_is_found_better_than_from_single_pitches():
    results = load("chorale_harmonisation").main([])
    single = "the same for each soprano pitch"
    assert results["before"]["RNNTagger"] > results["before"][single] + 0.04
    assert results["both ways"]["RNNTagger"] > results["before"]["RNNTagger"]
    windows = [v for k, v in results["both ways"].items() if k.endswith("window")]
    assert results["both ways"]["RNNTagger"] > max(windows) - 0.01


@pytest.mark.slow
def test_grid_search_ranks_every_combination(monkeypatch):
    example = load("grid_search")
    grid = {**example.GRID, "rnnregressor__cell": ["rnn", "lstm"]}
    monkeypatch.setattr(example, "GRID", grid)
    results = example.main(["--hours", "800", "--epochs", "4"])
    table, best = results["table"], results["best_params"]
    assert len(table) == 2 * 2 * 2
    assert table["RMSE"].is_monotonic_increasing
    assert set(best) == set(grid)
    for name, value in best.items():
        assert value in grid[name]
        assert table[name.split("__")[1]][0] == value
    assert table["RMSE"][0] < results["last_value"]
    assert_is_picture("grid_search.png")


@pytest.mark.slow
def test_temperature_forecast_of_two_months_beats_the_last_value(monkeypatch):
    example = load("temperature_forecast")
    whole = example.load_nyc_weather
    monkeypatch.setattr(
        example, "load_nyc_weather", lambda s: whole(s).loc["2013-09-16":"2013-11-20"]
    )
    errors = example.main(["--horizons", "6"])["6 h"]
    assert errors["RNNRegressor"] < errors["last value"]
    assert_is_picture("temperature_forecast.png")


@pytest.mark.slow
def test_temperature_forecast_beats_last_value_and_trees():
    errors = load("temperature_forecast").main(["--horizons", "6"])["6 h"]
    assert errors["RNNRegressor"] < errors["trees"] < errors["last value"]


@pytest.mark.slow
def test_one_network_remembers_the_letter_and_the_other_looks_back(capsys):
    results = load("what_the_network_remembers").main([])
    assert list(results) == ["last", "attention"]
    assert min(results.values()) > 0.95
    assert 'pooling="attention": ' in capsys.readouterr().out
    assert_is_picture("what_the_network_remembers.png")


@pytest.mark.thorough
def test_gradients_shrink_with_distance_until_training_evens_them(capsys):
    gradients = load("gradient_flow").main(["--steps", "40"])
    assert gradients.shape == (4 * 3, 40)
    shallow, deep, residual, trained = (
        gradients.loc[name] for name in gradients.index.unique(0)
    )
    assert (shallow[39] < 0.1 * shallow[0]).all()
    assert (residual[0] > 2 * deep[0]).all()
    # A mean of 40 steps hangs on each alike.
    np.testing.assert_allclose(trained.loc[["lstm", "gru"]], 40**-0.5, rtol=0.6)
    # A plain RNN, which rounding sends elsewhere on other processors, may hang on its
    # first few steps more.
    near = np.isclose(trained.loc["rnn"], 40**-0.5, rtol=0.6, atol=0)
    assert near.mean() > 0.8
    assert "steps before the last" in capsys.readouterr().out
    assert_is_picture("gradient_flow.png")


def test_every_example_is_tested():
    files = Path(__file__).parent.glob("test_*.py")
    tests = "".join(path.read_text(encoding="utf-8") for path in files)
    names = {path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"}
    called = {name for name in names if f'load("{Path(name).stem}")' in tests}
    # Started as processes, by test_serve.py and test_data_parallel.py.
    assert names - called == {"serve.py", "data_parallel.py"}


@pytest.mark.thorough
def test_co2_of_the_last_two_years_is_forecast_better_than_by_last_year(capsys):
    results = load("co2_forecast").main(["--blocks", "1"])
    errors = results["errors"]
    assert list(errors.columns) == [1, 13, 26, 52]
    baselines = errors[errors.index.str.startswith("last year")]
    assert len(baselines) == 3
    assert (errors.loc["RNNRegressor"] < baselines.min()).all()
    assert results["blocks"].shape == (len(errors), 1)
    assert results["coverage"].between(0.5, 1).all()
    assert "80 % intervals cover" in capsys.readouterr().out
    assert_is_picture("co2_forecast.png")


def test_what_is_expected_of_co2_was_known_a_year_before():
    example = load("co2_forecast")
    whole = example.make_table()
    air = example.load_co2_weekly()
    example.load_co2_weekly = lambda: air.loc[:"1999"]
    part = example.make_table()
    assert part.index[-1] - air.loc[:"1999"].index[-1] == pd.Timedelta(weeks=52)
    pd.testing.assert_series_equal(
        part["expected"], whole["expected"].loc[: part.index[-1]], check_freq=False
    )


@pytest.mark.slow
def test_co2_is_forecast_best_for_half_a_year_and_in_most_blocks_for_a_year():
    results = load("co2_forecast").main([])
    errors, blocks = results["errors"], results["blocks"]
    alone = errors.drop(index="mean of both")
    assert (alone.loc["RNNRegressor"] <= alone.min())[[1, 13, 26]].all()
    drifts = errors[errors.index.str.startswith("last year")]
    assert (errors.loc["mean of both"] < drifts.min()).all()
    assert errors.loc["RNNRegressor", 52] < errors.loc["last year + its growth", 52]
    baselines = blocks[blocks.index.str.startswith("last year")]
    assert (blocks.loc["RNNRegressor"] < baselines.min()).sum() == 4


def test_the_oil_prices_are_what_their_readme_says():
    prices = pd.read_csv(
        EXAMPLES / "data" / "wti_oil_daily.csv.gz", index_col="date", parse_dates=True
    )["price"]
    assert (len(prices), prices.isna().sum()) == (3916, 145)
    assert prices.index.equals(
        pd.bdate_range("2004-01-01", "2019-01-03", name="date", unit=prices.index.unit)
    )
    assert prices.max() == 145.31  # 3 July 2008


@pytest.mark.thorough
@pytest.mark.parametrize("options", [[], ["--trading-days"]])
def test_nothing_is_claimed_for_oil_prices_that_the_numbers_do_not_say(capsys, options):
    example = load("price_forecast")
    results = example.main(["--blocks", "2", *options])
    printed = capsys.readouterr().out
    for result in results["results"].values():
        ratio = result["RMSE, RNNRegressor (%)"] / result["RMSE, last price (%)"]
        assert 0.95 < ratio < 1.1
        low, high = result["at least (95 %)"], result["at most (95 %)"]
        assert low < result["direction right"] < high
        assert example.judge(result) in printed
    assert list(results["coverage"].index) == [1, 5]
    assert_is_picture("price_forecast.png")


@pytest.mark.slow
def test_calibrated_intervals_of_oil_prices_cover_what_they_say():
    coverage = load("price_forecast").main([])["coverage"]
    off = (coverage - 0.8).abs()
    assert (off["calibrated"] < 0.02).all()
    assert (off["calibrated"] < off["as predicted"]).all()


@pytest.mark.parametrize(
    ("t", "p", "right", "p_direction", "words"),
    [
        (3.0, 0.01, 0.56, 0.01, "beats the last price; its direction is more often"),
        (-3.0, 0.01, 0.44, 0.01, "worse than the last price; its direction is less"),
        (3.0, 0.06, 0.56, 0.06, "could not be chance; its direction is no better"),
    ],
)
def test_the_verdict_follows_from_the_numbers(t, p, right, p_direction, words):
    sentence = load("price_forecast").judge(
        {
            "t of the difference": t,
            "p of the difference": p,
            "direction right": right,
            "p of the direction": p_direction,
        }
    )
    assert words in sentence


def test_forecasts_that_know_the_future_beat_the_last_price():
    rng = np.random.default_rng(0)
    naive = np.cumsum(rng.normal(0, 0.02, size=400))
    truth = naive + rng.normal(0, 0.02, size=400)
    forecasts = pd.DataFrame(
        {"horizon": 1, "truth": truth, "naive": naive, "prediction": truth}
    )
    forecasts["prediction"] += rng.normal(0, 0.01, size=400)
    example = load("price_forecast")
    result = example.compare(forecasts, horizon=1)
    assert result["RMSE, RNNRegressor (%)"] == pytest.approx(1, rel=0.1)
    assert result["direction right"] > 0.8
    assert "beats" in example.judge(result)
    forecasts["prediction"] = naive + rng.normal(0, 0.02, size=400)
    assert "worse" in example.judge(example.compare(forecasts, horizon=1))


@pytest.mark.slow
def test_tomorrows_temperature_is_forecast_better_without_the_season():
    errors = load("tomorrows_temperature").main(["--seeds", "1"])
    network = {name: of_table["RNNRegressor"] for name, of_table in errors.items()}
    assert network["hour, no season"] < network["as observed"] - 0.2
    assert network["hour, no season"] < 6.34  # ridge on 48 hours of lags


@pytest.mark.slow
def test_the_stations_are_forecast_from_a_few_weeks_with_holes(capsys):
    example = load("station_forecasts")
    table = example.load_table(n_days=50)
    hours = (table["time"].max() - table["time"].min()) // pd.Timedelta(hours=1) + 1
    assert len(table) < 3 * hours
    assert table["pressure"].isna().any()
    results = example.main(["--days", "50", "--epochs", "3"])
    errors, coverage, tomorrow = results.values()
    assert list(errors.index) == [(s, k) for s in STATIONS for k in (1, 6, 24)]
    soon = errors.drop(24, level="horizon")
    for name in ("one model", "three models"):
        assert (soon[name] < soon["seasonal naive"]).all()
    assert list(coverage.index) == [1, 6, 24]
    # From so few days they are not yet as they should be.
    assert coverage["coverage_80"].stack().between(0.55, 0.95).all()
    assert (coverage["coverage_95"] > coverage["coverage_80"]).all(axis=None)
    assert list(tomorrow["station"].unique()) == STATIONS
    last = table["time"].max()
    day = pd.date_range(last, periods=25, freq="h")[1:]
    assert list(tomorrow.index) == 3 * list(day)
    quantiles = tomorrow[["q0.025", "q0.1", "q0.5", "q0.9", "q0.975"]]
    assert (quantiles.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert "Picture of the next 24 hours" in capsys.readouterr().out
    assert_is_picture("station_forecasts.png")


def test_the_impossible_wind_is_missing_and_no_other():
    example = load("station_forecasts")
    table = example.load_table(n_days=400)
    raw = example.load_nyc_weather()
    gone = raw.loc[table["wind_speed"].isna() & raw["wind_speed"].notna()]
    assert gone["wind_speed"].round().tolist() == [1048]
    assert table["wind_speed"].max() < 50
    places = table.groupby("station")[["latitude", "longitude"]].nunique()
    assert (places == 1).all(axis=None)


@pytest.mark.slow
def test_calibrated_intervals_of_the_stations_cover_what_they_say():
    results = load("station_forecasts").main([])
    coverage, errors = results["coverage"], results["errors"]
    for width, share in {"coverage_80": 0.8, "coverage_95": 0.95}.items():
        off = (coverage[width] - share).abs()
        assert (off["calibrated"] < 0.035).all()
        # At some horizon those as predicted may be off by less already.
        assert off["calibrated"].sum() < off["as predicted"].sum()
    assert (errors["one model"] < errors["seasonal naive"]).all()
    assert (errors["one model"] < 1.05 * errors["three models"]).all()


@pytest.mark.slow
def test_a_week_of_shops_with_gaps_is_forecast_from_a_saved_model(tmp_path, capsys):
    picture = tmp_path / "shops.png"
    found = load("shop_week").main(["--picture", str(picture)])
    errors, coverage, weeks, truth = found.values()
    assert (errors["RNNRegressor"] < 0.65 * errors["seasonal naive"]).all()
    assert errors["RNNRegressor"].mean() < 1.05 * errors["boosted trees"].mean()
    assert abs(coverage["calibrated"] - 0.8) < 0.04
    found = weeks.merge(truth, on=["shop", "date"])
    assert len(found) == 2 * 7 * 12
    assert found["sales"].between(found["q0.1"], found["q0.9"]).mean() > 0.7
    assert picture.stat().st_size > 10_000
    assert "408 without sales" in capsys.readouterr().out


def test_shops_end_on_one_day_and_have_a_plan_for_two_weeks_more():
    example = load("shop_week")
    table, plan, truth = example.draw_table()
    assert (table.groupby("shop")["date"].max() == table["date"].max()).all()
    assert 0.04 < table["sales"].isna().mean() < 0.06
    assert plan.groupby("shop")["date"].nunique().eq(14).all()
    assert len(truth) == len(table) + len(plan)


@pytest.mark.slow
def test_a_week_of_promotions_is_forecast_as_the_kind_of_shop_lets_it(capsys):
    errors, plans = load("shop_promotions").main([]).values()
    assert list(errors.index) == list(range(1, 8))
    assert (errors["with categories"] < 0.95 * errors["without categories"]).all()
    assert (errors["without categories"] < errors["seasonal naive"]).all()
    difference = plans["difference"]
    assert difference["city"] < difference["village"] < difference["mall"]
    assert difference.between(0.2, 5.0).all()
    assert "Sales per day in the week to come" in capsys.readouterr().out


def test_captions_say_what_can_be_measured_of_an_image():
    example = load("image_captions")
    images = np.zeros((3, 8, 8))
    images[0, :, 3:5] = 8
    images[1, range(8), range(7, -1, -1)] = 1  # up and to the right
    images[2, range(8), range(8)] = 16
    limits = pd.DataFrame(
        {"thickness": [10, 100], "width": [1, 4], "slant": [-0.5, 0.5]}
    )
    words = example.describe(images.reshape(3, 64), [8, 8, 7], limits)
    captions = example.write(words)
    assert [" ".join(caption) for caption in captions] == [
        "a bold narrow eight",
        "a thin wide eight leaning right",
        "a bold wide seven leaning left",
    ]
    pd.testing.assert_frame_equal(example.read(captions), words)
    words[["thickness", "width"]] = ""
    assert example.write(words)[1] == "an eight leaning right".split()


@pytest.mark.slow
def test_captions_of_new_digits_are_written(monkeypatch, capsys):
    example = load("image_captions")
    baselines = {"LogisticRegression": example.LogisticRegression(max_iter=2000)}
    # The other one is slow.
    monkeypatch.setattr(example, "make_baselines", lambda: baselines)
    table = example.main(["--epochs", "10"])
    network, rival = table.index
    assert table.loc[network, "digit"] > 0.9
    assert table.loc[network, "whole caption"] > 0.4
    assert table.loc[rival, "thickness"] > 0.9
    assert "a thin narrow one\n" in capsys.readouterr().out
    assert_is_picture("image_captions.png")


@pytest.mark.slow
def test_captions_are_written_about_as_well_as_parts_are_told():
    table = load("image_captions").main([])
    network = table.loc["RNNSeq2Seq"]
    assert network["digit"] > 0.96
    assert network["whole caption"] > table["whole caption"].max() - 0.04


def test_pairs_to_translate_are_clean_and_no_sentence_comes_twice():
    pytest.importorskip("jupyterlab_language_pack_fr_FR")
    example = load("translation")
    X, y = example.load_pairs()
    assert len(X) == len(y) > 2000
    letters = [tuple(w for w in x if re.search(r"\w", w)) for x in X]
    assert len(set(letters)) == len(letters)
    assert max(map(len, X)) == example.LONGEST
    longer, _ = example.load_longer_pairs()
    assert len(longer) > 300
    assert example.LONGEST < max(map(len, longer)) <= example.LONGEST_LEARNED
    read = {tuple(re.findall(r"\w+", " ".join(x))) for x in X}
    assert not read & {tuple(re.findall(r"\w+", " ".join(x))) for x in longer}
    words = {word for sentence in X + y for word in sentence}
    assert {"%1", "l'", "noyau", "kernel"} < words
    assert not any(re.search(r"[A-Z<>{}\s’]", word) for word in words)


@pytest.mark.slow
def test_short_messages_are_translated_better_than_not_at_all(monkeypatch, capsys):
    pytest.importorskip("jupyterlab_language_pack_fr_FR")
    pytest.importorskip("sacrebleu")
    example = load("translation")
    pairs = zip(*example.load_pairs(), strict=True)
    short = [pair for pair in pairs if len(pair[0]) <= 4][:600]
    monkeypatch.setattr(example, "load_pairs", lambda: zip(*short, strict=True))
    monkeypatch.setattr(example, "load_longer_pairs", lambda: ([], []))
    results = example.main(["--epochs", "8"])
    figures = results["figures"]
    assert (figures.iloc[2:]["chrF"] > figures.loc["the English", "chrF"] + 10).all()
    known = {word for sentence in results["y"] for word in sentence}
    copied = {word for sentence in results["beam"] for word in sentence} - known
    assert copied & {word for sentence in results["X"] for word in sentence}
    assert "(translator: " in capsys.readouterr().out
    assert_is_picture("translation.png")


def test_a_missing_language_pack_is_named(monkeypatch):
    example = load("translation")
    monkeypatch.setattr(example, "PACKAGE", "no_such_language_pack")
    with pytest.raises(ImportError, match="install jupyterlab-language-pack-fr-FR"):
        example.load_pairs()


@pytest.mark.slow
def test_messages_are_translated_better_than_from_the_nearest_known_one():
    pytest.importorskip("jupyterlab_language_pack_fr_FR")
    pytest.importorskip("sacrebleu")
    figures = load("translation").main([])["figures"]
    network = figures[figures.index.str.startswith("RNNSeq2Seq")]
    assert (network > figures.loc["nearest known sentence"] + 5).all(axis=None)
    assert network["BLEU"].is_monotonic_increasing  # the beam's is the last


@pytest.mark.thorough
def test_kind_sentences_are_told_from_others(capsys):
    arguments = ["--sentences", "1500", "--epochs", "4", "--picture", "words.png"]
    means = load("sentiment").main(arguments)
    assert len(means) == 4
    assert min(means.values()) > 0.5
    assert "mean of 1 of 5 folds of 1500 sentences" in capsys.readouterr().out
    assert_is_picture("words.png")


@pytest.mark.slow
def test_a_book_is_learned_character_by_character(capsys):
    arguments = ["--characters", "60000", "--epochs", "5", "--hidden-size", "64"]
    results = load("character_generator").main([*arguments, "--test", "2000"])
    assert results["bits"] < 4  # by the share of each character alone: 4.5
    assert "Temperature 0.7" in capsys.readouterr().out
    assert_is_picture("character_generator.png")


@pytest.mark.slow
def test_the_next_word_is_suggested(capsys):
    arguments = ["--words", "5000", "--epochs", "2", "--max-symbols", "300"]
    rates = load("next_word").main(arguments)
    assert rates["network"]["among three"] > 0.1
    assert "the white …" in capsys.readouterr().out
    assert_is_picture("next_word.png")


@pytest.mark.slow
def test_words_are_spelled_out(capsys):
    arguments = ["--words", "2000", "--epochs", "6", "--test-words", "200"]
    results = load("pronunciation").main(arguments)
    assert results["attention"]["beam of 5"]["phoneme error"] < 0.6
    transcribed = results["transcriber"]
    assert transcribed["beam of 8, six-grams"]["phoneme error"] < 0.5
    assert "the best three for 'bach'" in capsys.readouterr().out
    assert_is_picture("pronunciation.png")


@pytest.mark.slow
def test_most_phonemes_of_unseen_words_are_right():
    results = load("pronunciation").main([])
    for name, searched in [
        ("transcriber", "beam of 8, six-grams"),
        ("attention", "beam of 5"),
    ]:
        greedy, best = results[name]["greedy"], results[name][searched]
        assert greedy["phoneme error"] < 0.15
        assert best["word error"] <= greedy["word error"] + 0.01
