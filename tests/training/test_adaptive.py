"""K chosen before each epoch: the estimate against NumPy and closed forms, the choice, the run."""

import numpy as np
import pytest
from conftest import first, function_in_python, some
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import GATES, net

from theano_rnn import RNN, RNNError, Step
from theano_rnn.commands.progress import chosen_K
from theano_rnn.reference import NumpyRNN
from theano_rnn.text.batches import Stream
from theano_rnn.training import adaptive
from theano_rnn.training.adaptive import LONGEST, MEASURED, Adaptive, parse, relative_bias
from theano_rnn.training.settings import Settings


@pytest.fixture
def quickly_compiled(monkeypatch):
    monkeypatch.setattr("theano_rnn.engine.compile_function", function_in_python)
    for module in ("theano_rnn.model.functions", "theano_rnn.optim.step"):
        monkeypatch.setattr(f"{module}.compile_function", function_in_python)


@pytest.mark.parametrize(
    ("truncation", "message"),
    [
        ("adaptive", "the tolerance must be a number between 0 and 1, not ''"),
        ("adaptive:0", "between 0 and 1, not '0'"),
        ("adaptive:1", "between 0 and 1, not '1'"),
        ("adaptive:-0.1", "between 0 and 1"),
        ("adaptive:nan", "between 0 and 1"),
        ("adaptive:x", "between 0 and 1, not 'x'"),
        ("adaptive:0_1", "between 0 and 1"),
        ("adaptive:0.1:", "'' has no K to choose"),
        ("adaptive:0.1:last", "'last' has no K to choose; use"),
        ("window:0", "K must be a whole number"),
    ],
)
def test_a_bad_tolerance_is_refused_with_what_to_do(truncation, message):
    for make in (parse, lambda name: Settings(truncation=name)):
        with pytest.raises(RNNError, match=message):
            make(truncation)


def test_only_a_training_chooses_K_and_a_stream_only_that_of_chunks():
    with pytest.raises(RNNError, match="only train takes it: give 'window:K' or 'chunk:K'"):
        RNN(5, 3, truncation="adaptive:0.1")
    with pytest.raises(RNNError, match="a stream needs truncation chunk:K, artbp:K or adaptive"):
        Settings(truncation="adaptive:0.1:window", stream=True)
    with pytest.raises(RNNError, match="omega needs truncation full or chunk:K"):
        Settings(truncation="adaptive:0.1", omega=1.0)
    assert parse("adaptive:0.1").of(is_stream=True) == "chunk"
    assert parse("adaptive:.1").of(is_stream=False) == "window"
    assert parse("adaptive:1e-1:chunk") == Adaptive(0.1, "chunk")


def distinct(cell, T=7, seed=0):
    """A net, and a sentence without a word twice: column x_j of dU is then dE/dp_j."""
    parameters, _, _ = net({"cell": cell}, seed, vocab_size=T)
    random = np.random.default_rng(seed)
    return parameters, random.permutation(T), random.integers(T, size=T)


def of_steps(oracle, x, y):
    """dE/dp_j under the truncation of the oracle, (T, G*H)."""
    return oracle.bptt(x, y)["U"].T[x]


@pytest.mark.usefixtures("quickly_compiled")
@pytest.mark.parametrize("cell", first(1, sorted(GATES, key="lstm".__ne__)))
def test_errors_by_lag_are_differences_of_windows_and_the_bias_is_not_above_its_bound(
    cell,
):
    model = RNN(7, 3, cell=cell, dtype="float64")
    compiled = adaptive.compile_errors(model)

    @settings(max_examples=some(25), deadline=None, database=None)
    @given(st.integers(0, 2**32 - 1), st.floats(0.2, 1.5))
    def equal_numpy(seed, scale):
        parameters, x, y = distinct(cell, seed=seed)
        parameters = {name: scale * p for name, p in parameters.items()}
        T, R = len(x), len(x) - 1
        model.set_parameters(parameters)
        squares, sums = adaptive.measure(
            compiled(x[:, None], y, model.zero_state(1), R), R, is_stream=False
        )
        # D_0 + ... + D_k; chunk:1 is a window of 0 lags
        cuts = ["chunk:1", *(f"window:{k}" for k in range(1, T))]
        kept = [of_steps(NumpyRNN(parameters, cut, cell=cell), x, y) for cut in cuts]
        by_lag = np.diff([np.zeros_like(kept[0]), *kept], axis=0)
        expected = (by_lag**2).sum(axis=(1, 2))
        np.testing.assert_allclose(squares, expected, rtol=1e-10, atol=1e-15)
        np.testing.assert_allclose(sums, (np.array(kept) ** 2).sum(axis=(1, 2)), rtol=1e-10)
        full = of_steps(NumpyRNN(parameters, cell=cell), x, y)
        if not full.any():  # every relu is off
            return
        bound = relative_bias("window", squares, sums, is_longer=False)
        for K in range(1, T):
            bias = np.linalg.norm(kept[K] - full) / np.linalg.norm(full)
            assert bias <= bound[K - 1] * (1 + 1e-9) + 1e-15  # its rounding
        assert bound[R - 1 :].max() == 0  # no lag is left out

    equal_numpy()


@pytest.mark.usefixtures("quickly_compiled")
def test_every_layer_counts_and_a_stream_only_where_all_lags_are():
    random = np.random.default_rng(0)
    errors = [random.normal(size=(3, 8, 2)) for _ in range(2)]
    for of_layer in errors:
        for i in range(3):  # no step before the first
            of_layer[i, : 2 - i] = 0
    one, two = (adaptive.measure([of_layer], 2, True) for of_layer in errors)
    for both, a, b in zip(adaptive.measure(errors, 2, True), one, two):
        np.testing.assert_allclose(both, a + b)
    # D_k[j] is in row 2 - k, at output j + k; j from R = 2 to T - R - 1 = 5
    expected = [sum((errors[0][2 - k, j + k] ** 2).sum() for j in range(2, 6)) for k in range(3)]
    np.testing.assert_allclose(one[0], expected)
    assert (adaptive.measure(errors[:1], 2, False)[0] > one[0]).all()


@pytest.mark.parametrize("beta", [0.3, 0.5, 0.9])
def test_a_geometric_decay_gives_its_closed_form(beta):
    phi = beta ** np.arange(MEASURED + 1)
    squares, sums = phi**2, np.cumsum(phi) ** 2  # all errors of one direction
    K = np.arange(1, LONGEST + 1)
    # E(K) = beta^(K+1) / (1 - beta); the best bound of the whole is C_R - E(R)
    size = (1 - 2 * beta ** (MEASURED + 1)) / (1 - beta)
    window = beta ** (K + 1) / (1 - beta) / size
    found = relative_bias("window", squares, sums, is_longer=True)
    np.testing.assert_allclose(found, window, rtol=1e-6)
    chunk = [np.mean([beta ** (i + 1) / (1 - beta) for i in range(k)]) / size for k in K]
    np.testing.assert_allclose(
        relative_bias("chunk", squares, sums, is_longer=True), chunk, rtol=1e-6
    )


def test_an_error_that_does_not_decay_has_no_K_and_one_that_vanishes_has_no_tail():
    grows = 1.01 ** np.arange(MEASURED + 1)
    found = relative_bias("window", grows**2, np.cumsum(grows) ** 2, is_longer=True)
    assert np.isinf(found).all()
    gone = np.zeros(MEASURED + 1)
    gone[:3] = 1, 0.5, 0.25
    found = relative_bias("window", gone**2, np.cumsum(gone) ** 2, is_longer=True)
    np.testing.assert_allclose(found[:3], [0.25 / 1.75, 0, 0])
    assert np.isinf(relative_bias("window", gone * np.nan, gone, is_longer=True)).all()


def errors_that_decay(betas):
    """In place of a compiled function: the errors of lag k are beta^k, a beta for each call."""
    betas = iter(betas)

    def function(x, y, state, R):
        n, T, beta = min(R + 1, len(x)), len(x), next(betas)
        lags = n - 1 - np.arange(n)[:, None, None]
        return [np.where(np.arange(T)[:, None] >= lags, beta**lags, 0.0)]

    return function


class Model:
    @staticmethod
    def zero_state(rows):
        return np.zeros((rows, 3))


def test_the_smallest_K_below_the_tolerance_is_chosen_with_its_error():
    sample = [(np.zeros(3 * MEASURED, int),) * 2] * 20
    choices = [
        adaptive.choose(wanted, True, errors_that_decay([0.5] * 20), Model, sample, random)
        for wanted in (Adaptive(0.1, "window"), Adaptive(0.01, "window"), Adaptive(0.1))
        for random in [np.random.default_rng(0)]
    ]
    # window: 0.5^(K+1) < tolerance; chunk: (1 - 0.5^K) / K < tolerance
    assert [choice.K for choice in choices] == [3, 6, 10]
    assert choices[0].bias == pytest.approx(0.5**4, rel=1e-6)
    assert choices[0].error < 1e-12  # the sequences are alike
    betas = np.random.default_rng(1).uniform(0.3, 0.7, 20)
    found = adaptive.choose(
        Adaptive(0.1, "window"), True, errors_that_decay(betas), Model, sample,
        np.random.default_rng(0),
    )  # fmt: skip
    assert found.bias < 0.1 and 0.001 < found.error < 0.05
    never = adaptive.choose(
        Adaptive(0.1), True, errors_that_decay([1.0] * 20), Model, sample,
        np.random.default_rng(0),
    )  # fmt: skip
    assert never == (LONGEST, None, None)
    one_step = [(np.zeros(1, int),) * 2]
    found = adaptive.choose(
        Adaptive(0.1), False, errors_that_decay([0.5]), Model, one_step, np.random.default_rng(0)
    )
    assert found == (1, 0.0, 0.0)


def test_what_is_measured_is_drawn_from_the_text():
    text = [np.arange(n + 1) for n in (5, 300, 7)]
    sample = adaptive.sample_of(text, None, np.random.default_rng(0))
    assert sorted(len(x) for x, _ in sample) == [5, 7, 3 * MEASURED]
    assert all((x + 1 == y).all() for x, y in sample)
    long = [np.arange(5000)]
    sample = adaptive.sample_of(long, Stream(long, 2, 20), np.random.default_rng(0))
    assert len(sample) == adaptive.STRETCHES
    assert all(len(x) == 3 * MEASURED and (x + 1 == y).all() for x, y in sample)
    assert len({int(x[0]) for x, _ in sample}) == adaptive.STRETCHES
    short = Stream([np.arange(9)], 2, 20)
    assert len(adaptive.sample_of(long, short, np.random.default_rng(0))) == 2


@pytest.mark.usefixtures("quickly_compiled")
def test_a_step_with_a_scheme_takes_any_K_and_is_compiled_once():
    model = RNN(7, 3, dtype="float64")
    before, step = model.parameters(), Step(model, scheme="window")
    x, y = np.random.default_rng(0).integers(7, size=(2, 9))
    for K in (1, 2, 5):
        model.set_parameters(before)
        oracle = NumpyRNN(before, f"window:{K}")
        oracle.sgd_step(x, y, 0.1)
        step(x, y, 0.1, K=K)
        for name, value in oracle.parameters().items():
            np.testing.assert_allclose(model.parameters()[name], value, rtol=0, atol=1e-14)
    assert step.compiled == 1
    for K in (None, 0, 1.5, True):
        with pytest.raises(RNNError, match="window:K of a step: K must be a whole number"):
            step(x, y, 0.1, K=K)
    with pytest.raises(RNNError, match="leave it out, or make the Step with a scheme"):
        Step(model)(x, y, 0.1, K=3)
    with pytest.raises(RNNError, match="scheme 'last' has no K to give"):
        Step(model, scheme="last")
    with pytest.raises(RNNError, match="omega needs truncation"):
        Step(model, scheme="chunk", omega=1.0)


@pytest.mark.usefixtures("quickly_compiled")
@pytest.mark.parametrize("own", ["artbp:4", "last:2", "chunk:3"])
def test_a_scheme_takes_the_place_of_the_models_own_truncation(own):
    """Also in the cuts that are drawn, and in where sequences of a batch stand."""
    model = RNN(7, 3, truncation=own, dtype="float64")
    oracle = NumpyRNN(model.parameters(), "chunk:2")
    x, y = np.random.default_rng(0).integers(7, size=(2, 9, 2))
    mask = np.arange(9)[:, None] < [9, 6]  # 3 steps later no chunk would begin where it does
    Step(model, scheme="chunk")(x, y, 0.1, mask=mask, K=2)
    gradients = [oracle.bptt(x[:n, row], y[:n, row]) for row, n in enumerate((9, 6))]
    for name, before in oracle.parameters().items():
        after = before - 0.1 * sum(g[name] for g in gradients) / 2
        np.testing.assert_allclose(model.parameters()[name], after, rtol=0, atol=1e-14)


def test_the_K_of_an_epoch_is_printed_with_its_bias():
    record = {"K": 7, "relative_bias": 0.0834, "relative_bias_error": 0.0041}
    assert chosen_K(record) == "  K 7, relative bias 0.083 +- 0.004"
    assert chosen_K({}) == ""
    record = {"K": 200, "relative_bias": None, "relative_bias_error": None}
    assert chosen_K(record) == "  K 200, relative bias unknown"
