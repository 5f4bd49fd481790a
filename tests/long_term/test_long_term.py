"""Networks that learn the tasks: against the oracle; remedies; success and its limits; sweeps."""

import dataclasses
import json

import numpy as np
import pytest
from conftest import function_in_python

from theano_rnn import RNNError
from theano_rnn.engine import theano
from theano_rnn.long_term import grid, remedies, tasks
from theano_rnn.long_term import trial as trials
from theano_rnn.long_term.net import TaskNet
from theano_rnn.long_term.trial import Trial
from theano_rnn.model.cells import CELLS
from theano_rnn.reference import NumpyRNN, directional_difference
from theano_rnn.reference.omega import omega

#: 5 symbols in, 5 out, the last 3 outputs asked for: what NumpyRNN can do too.
ECHO = tasks.Task("echo", 5, 5, draw=None, answers=3)
MEAN = dataclasses.replace(tasks.find("addition"), answers=2)


def net(task, cell="tanh", remedy="orthogonal", hidden_size=4, **settings):
    """A float64 net whose parameters are all random, the biases too."""
    made = TaskNet(
        task, cell, remedies.parse(remedy), hidden_size=hidden_size, dtype="float64", **settings
    )
    rng = np.random.default_rng(1)
    for shared in made.shared.values():
        shape = shared.get_value().shape
        shared.set_value(rng.uniform(-0.9, 0.9, shape))
    return made


def values(made):
    return {name: shared.get_value() for name, shared in made.shared.items()}


def compiled(made):
    """f(x, y) -> E, o, gradients by name."""
    x, y = made.symbols()
    with theano.config.change_flags(floatX="float64"):
        p, states, o = made.network(x)
        E = made.loss(o, y)
        gradients = made.gradients(E, p, states)
    f = function_in_python([x, y], [E, o, *gradients.values()])

    def run(x, y):
        E, o, *rest = f(x, y)
        return float(E), o, dict(zip(gradients, rest))

    return run


def echo(T=6, B=3):
    rng = np.random.default_rng(2)
    symbols, answers = rng.integers(5, size=(T, B)), rng.integers(5, size=(3, B))
    return symbols, tasks.one_hot(symbols, 5).astype("float64"), answers


# ---- the network


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_loss_and_gradients_are_those_of_the_oracle(cell):
    made = net(ECHO, cell)
    symbols, x, y = echo()
    T, B = symbols.shape
    E, o, gradients = compiled(made)(x, y)
    oracle = NumpyRNN(values(made), "full", cell=cell, bias=True)
    expected = dict.fromkeys(made.shared, 0)
    loss = 0
    for b in range(B):
        # The oracle asks for every output: less those before the last three, those remain.
        all_y = np.concatenate([np.zeros(T - 3, int), y[:, b]])
        before, begun = symbols[: T - 3, b], all_y[: T - 3]
        loss += (oracle.ce_error(symbols[:, b], all_y) - oracle.ce_error(before, begun)) / B
        whole, part = oracle.bptt(symbols[:, b], all_y), oracle.bptt(before, begun)
        expected = {name: expected[name] + (whole[name] - part[name]) / B for name in expected}
        softmax = np.exp(o[:, b]) / np.exp(o[:, b]).sum(axis=1, keepdims=True)
        assert np.allclose(softmax, oracle.forward_propagation(symbols[:, b])[-3:], atol=1e-12)
    assert abs(E - loss) < 1e-12
    for name in expected:
        assert np.abs(gradients[name] - expected[name]).max() < 1e-12, name


def test_the_squared_error_has_the_gradient_of_its_differences():
    made = net(MEAN)
    rng = np.random.default_rng(0)
    x, y = rng.random((5, 3, 2)), rng.random((2, 3))
    f = compiled(made)
    E, o, gradients = f(x, y)
    assert abs(E - ((o[:, :, 0] - y) ** 2).sum() / 3) < 1e-12
    at = values(made)

    def loss(parameters):
        for name, value in parameters.items():
            made.shared[name].set_value(value)
        return f(x, y)[0]

    direction = {name: rng.standard_normal(value.shape) for name, value in at.items()}
    slope = sum((gradients[name] * direction[name]).sum() for name in at)
    assert abs(slope - directional_difference(loss, at, direction)) < 1e-8


def test_omega_is_added_to_the_gradient_of_W_alone():
    _, x, y = echo(T=4, B=2)
    plain = compiled(net(ECHO))(x, y)[2]
    made = net(ECHO, remedy="omega+orthogonal", alpha=3.0)
    _, o, gradients = compiled(made)(x, y)
    U, V, W, b, _ = (values(made)[name] for name in "UVWbc")
    s = np.zeros((5, 2, 4))  # s[-1] is the state before the first step
    for t in range(4):
        s[t] = np.tanh(x[t] @ U.T + b + s[t - 1] @ W.T)
    softmax = np.exp(o) / np.exp(o).sum(axis=2, keepdims=True)
    ds = np.zeros((4, 2, 4))
    ds[-3:] = ((softmax - np.eye(5)[y]) @ V) / 2
    dz = np.zeros((4, 2, 4))
    for t in (3, 2, 1, 0):
        dz[t] = ds[t] * (1 - s[t] ** 2)
        if t > 0:
            ds[t - 1] += dz[t] @ W
    _, dW = omega(W, dz, ds)
    assert np.abs(gradients["W"] - plain["W"] - 3 * dW).max() < 1e-12
    assert all((gradients[name] == plain[name]).all() for name in "UVbc")


def test_an_update_is_clipped_where_that_is_a_remedy(monkeypatch):
    monkeypatch.setattr("theano_rnn.long_term.net.compile_function", function_in_python)
    _, x, y = echo()
    moved = {}
    for remedy in ("sgd", "clip"):
        made = net(ECHO, remedy=remedy, clip=0.01)
        before = values(made)
        _, norm = made.compile_update(0.5)(x, y)
        steps = {name: value - before[name] for name, value in values(made).items()}
        moved[remedy] = np.sqrt(sum((step**2).sum() for step in steps.values()))
        assert norm > 0.01
    assert abs(moved["sgd"] - 0.5 * norm) < 1e-12 and abs(moved["clip"] - 0.5 * 0.01) < 1e-12


@pytest.mark.parametrize("remedy", ["orthogonal", "identity", "spectral"])
def test_a_remedy_says_how_W_begins(remedy):
    W = TaskNet(ECHO, "relu", remedies.parse(remedy), hidden_size=6).shared["W"].get_value()
    judged = {
        "orthogonal": np.abs(W @ W.T - np.eye(6)).max(),
        "identity": np.abs(W - np.eye(6)).max(),
        "spectral": abs(np.abs(np.linalg.eigvals(W)).max() - 1),
    }
    assert judged[remedy] < 1e-5


@pytest.mark.parametrize("cell, gate", [("gru", 0), ("lstm", 1)])
def test_chrono_gates_keep_their_units_for_up_to_the_length(cell, gate):
    made = TaskNet(ECHO, cell, remedies.parse("chrono"), hidden_size=500, length=80)
    b = np.split(made.shared["b"].get_value(), CELLS[cell].gates)
    steps = np.exp(b[gate])
    assert 1 <= steps.min() < 3 and 77 < steps.max() < 79 and abs(steps.mean() - 40) < 4
    written = -b[1] if cell == "lstm" else np.zeros(500)
    assert (b[0] == written).all() or cell == "gru"
    assert all((other == 0).all() for other in b[2 if cell == "lstm" else 1 :])


# ---- remedies and settings


def test_remedies_are_combined():
    assert remedies.parse("sgd") == remedies.PLAIN
    expected = remedies.Remedy(True, True, False, "orthogonal", "momentum")
    assert remedies.parse("clip, omega,orthogonal,momentum") == expected
    assert remedies.parse("momentum+orthogonal+omega+clip") == expected


@pytest.mark.parametrize(
    "remedy, said",
    [
        ("clip+dropout", "remedy 'dropout' is unknown; the remedies are clip, omega"),
        ("", "remedy '' is unknown"),
        ("identity+orthogonal", "initialization both identity and orthogonal"),
        ("sgd+adam", "optimizer both sgd and adam"),
    ],
)
def test_a_bad_remedy_is_refused(remedy, said):
    with pytest.raises(RNNError) as refused:
        remedies.parse(remedy)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"task": "adition"}, "task 'adition' is unknown"),
        ({"cell": "elman"}, "cell 'elman' is unknown; the cells are tanh"),
        ({"cell": "gru", "remedy": "omega"}, "not gru"),
        ({"remedy": "clip+chrono"}, "chrono is for the cells gru and lstm, not tanh"),
        ({"length": 5}, "length must be a whole number of at least 10, not 5"),
        ({"seed": -1}, "seed"),
        ({"max_updates": 0}, "max_updates"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"max_seconds": "9"}, "max_seconds must be a positive, finite number, not '9'"),
    ],
)
def test_a_bad_setting_of_a_trial_is_refused(settings, said):
    with pytest.raises(RNNError) as refused:
        Trial(**{"task": "addition", "length": 10, **settings})
    assert said in str(refused.value)


# ---- learning

QUICK = {"task": "temporal_order", "length": 10, "hidden_size": 20, "max_updates": 4000}


@pytest.fixture(scope="module")
def solved():
    told = []
    record = trials.learn(Trial(**QUICK), lambda *figures: told.append(figures))
    return record, told


def test_plain_sgd_solves_temporal_order_at_length_10(solved):
    record, told = solved
    assert record["solved"] and record["ended"] == "solved" and record["error_rate"] < 0.01
    assert record["updates"] == told[-1][0] <= 4000 and record["updates"] % 500 == 0
    (_, _, first_loss, first_error, _), (_, _, last_loss, last_error, norm) = told[0], told[-1]
    assert last_loss < first_loss < 1.5 and last_error < 0.01 <= first_error and norm > 0
    assert {name: record[name] for name in QUICK} == QUICK


def test_a_seed_learns_the_same_again_however_often_it_is_tested(solved, monkeypatch):
    end = solved[0]["updates"]
    monkeypatch.setattr(trials, "SOLVED", 0)  # never
    losses = []
    for test_every in (end, end // 2):
        told = []
        trial = Trial(**{**QUICK, "max_updates": end, "test_every": test_every})
        record = trials.learn(trial, lambda *figures, told=told: told.append(figures))
        assert record["ended"] == "updates" and record["updates"] == end
        losses.append(np.mean([loss for _, _, loss, _, _ in told]))
    assert abs(losses[0] - losses[1]) < 1e-6


def test_a_loss_that_is_not_finite_ends_a_trial_unsolved():
    trial = Trial("addition", 10, "relu", "sgd", learning_rate=1e6, max_updates=2000)
    record = trials.learn(trial)
    assert record["ended"] == "not finite" and not record["solved"]
    assert record["error_rate"] is None
    json.dumps(record, allow_nan=False)


def test_seconds_and_the_watch_end_a_trial():
    long = {**QUICK, "max_updates": 10**9, "test_every": 1}
    assert trials.learn(Trial(**long, max_seconds=1e-9))["ended"] == "seconds"
    record = trials.learn(Trial(**long), lambda *_: True)
    assert record["ended"] == "stopped" and record["updates"] == 1


def test_a_test_looks_at_all_fresh_sequences_only_if_few_are_wrong():
    task, seen = tasks.find("permutation"), []

    def answers(share):
        def answer(x):
            seen.append(x.shape[1])
            right = x[:1].copy()  # the first symbol, one-hot
            wrong = np.arange(right.shape[1]) < round(share * right.shape[1])
            right[:, wrong] = -right[:, wrong]
            return right

        return answer

    for share, count in ((0.0, 10_000), (0.01, 10_000), (0.02, 1000), (1.0, 1000)):
        seen.clear()
        assert trials.test(answers(share), task, np.random.default_rng(0), 10) == share
        assert sum(seen) == count


@pytest.mark.slow
@pytest.mark.parametrize("cell, remedy", [("tanh", "clip+omega"), ("tanh", "clip+orthogonal")])
def test_remedies_learn_where_plain_sgd_does_not(cell, remedy):
    at_50 = {"task": "temporal_order", "length": 50, "max_updates": 40_000}
    assert not trials.learn(Trial(**at_50))["solved"]
    assert trials.learn(Trial(**at_50, cell=cell, remedy=remedy))["solved"]


# ---- grids and results


def record_of(trial, solved=True):
    return {
        **dataclasses.asdict(trial), "solved": solved, "updates": 500, "seconds": 1.5,
        "error_rate": 0.0 if solved else 0.7, "ended": "solved" if solved else "updates",
    }  # fmt: skip


GRID = [{"task": "temporal_order", "length": [10, 20], "remedy": ["sgd", "clip"], "seed": [0, 1]}]


def test_a_grid_stands_for_all_combinations_once():
    found = grid.trials([*GRID, {"task": "addition", "length": 30}, GRID[0]])
    assert len(found) == 9 and len(set(found)) == 9
    assert found[0] == Trial("temporal_order", 10) and found[-1] == Trial("addition", 30)


def test_the_default_grid_holds_what_the_readme_shows():
    found = grid.trials(grid.DEFAULT)
    ordered = {(t.length, t.cell, t.remedy) for t in found if t.task == "temporal_order"}
    assert {length for length, _, _ in ordered} == {10, 20, 50, 100} and len(ordered) == 24
    assert {t.cell for t in found if t.task == "addition"} == {"tanh", "relu", "lstm"}
    budgets = {(t.max_updates, t.max_seconds, t.hidden_size, t.batch_size) for t in found}
    assert len(budgets) == 1


@pytest.mark.parametrize(
    "blocks, said",
    [
        ([], "the grid is empty"),
        (["tanh"], "block 1 of the grid is not an object"),
        ([*GRID, {"task": "addition"}], "block 2 of the grid has no length"),
        ([{**GRID[0], "leng": 3}], "block 1 of the grid sets leng, which is unknown"),
        ([{**GRID[0], "cell": ["tanh", "elman"]}], "block 1 of the grid: cell 'elman'"),
        ([{**GRID[0], "length": []}], "the grid is empty"),
        ([{**GRID[0], "task": {"a": 1}}], "block 1 of the grid: task"),
    ],
)
def test_a_bad_grid_is_refused(tmp_path, blocks, said):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(blocks))
    with pytest.raises(RNNError) as refused:
        grid.read_grid(path)
    assert said in str(refused.value) and str(refused.value).startswith(str(path))


def test_a_grid_that_is_missing_or_no_json_is_refused(tmp_path):
    (tmp_path / "bad.json").write_text("[{")
    for name in ("bad.json", "missing.json", "."):
        with pytest.raises(RNNError, match="cannot be read"):
            grid.read_grid(tmp_path / name)


def test_results_are_kept_and_a_torn_last_line_is_run_again(tmp_path):
    first, second, third, *rest = grid.trials(GRID)
    with grid.Results(tmp_path / "a" / "b") as results:
        for trial in (first, second, third):
            results.add(record_of(trial))
    path = tmp_path / "a" / "b" / "results.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with grid.Results(path.parent) as results:
        assert results.missing([first, second, third, *rest]) == [third, *rest]
        results.add(record_of(third))
        assert results.of([third, first, rest[0]]) == [record_of(third), record_of(first)]
    assert path.read_bytes() == whole


def test_another_setting_is_another_trial(tmp_path):
    trial = Trial("addition", 10)
    with grid.Results(tmp_path) as results:
        results.add(record_of(trial))
        assert results.missing([dataclasses.replace(trial, clip=2.0)])
        assert not results.missing([trial])


def test_a_damaged_line_before_the_last_is_named(tmp_path):
    line = json.dumps(record_of(Trial("addition", 10)))
    (tmp_path / "results.jsonl").write_text(f"{line}\n{{}}\n{line}\n")
    with pytest.raises(RNNError, match=r"line 2 of .*results.jsonl is not a record"):
        grid.Results(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RNNError, match="cannot be written"):
            grid.Results(folder)


def test_success_is_by_row_and_length_and_drawn(tmp_path):
    found = grid.trials([*GRID, {"task": "addition", "length": 30}])
    records = [record_of(trial, solved=trial.length == 10) for trial in found]
    table = grid.success(records)
    assert list(table) == [
        ("temporal_order", "tanh", "sgd"), ("temporal_order", "tanh", "clip"),
        ("addition", "tanh", "sgd"),
    ]  # fmt: skip
    row = table["temporal_order", "tanh", "clip"]
    assert {length: [r["solved"] for r in cell] for length, cell in row.items()} == {
        10: [True, True],
        20: [False, False],
    }
    with grid.Results(tmp_path) as results:
        picture = results.save_picture(records)
    assert picture == tmp_path / "success.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


def test_two_sweeps_cannot_write_to_one_folder(tmp_path):
    with grid.Results(tmp_path):
        with pytest.raises(RNNError, match="another sweep writes to "):
            grid.Results(tmp_path)
    grid.Results(tmp_path).__exit__()


def test_remedies_in_another_order_are_the_same_trial():
    assert Trial("addition", 20, remedy="orthogonal, clip") == Trial(
        "addition", 20, remedy="clip+orthogonal"
    )
