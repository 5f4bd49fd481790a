"""A step in bf16 follows the gradient of float32; where it cannot, an error says why."""

import numpy as np
import pytest
from conftest import cosine, first

from theano_rnn import RNN, RNNError
from theano_rnn.engine import c_code
from theano_rnn.engine.loop.op import NativeLoop
from theano_rnn.engine.ops.skinny_gemm import SkinnyDot22, SkinnyGemm
from theano_rnn.optim.step import Step
from theano_rnn.training import build
from theano_rnn.training.settings import Settings

needs_bf16 = pytest.mark.skipif(not c_code.has_bf16(), reason="there is no AVX512-BF16")

T, B, H, VOCAB = 12, 16, 64, 500


def gradients(precision, cell, layers=1):
    """E and its gradient of a batch, read off an SGD step, and the Step."""
    model = RNN(VOCAB, H, cell=cell, layers=layers, dtype="float32")
    rng = np.random.default_rng(0)
    shapes = model.architecture.shapes
    values = {n: rng.uniform(-0.3, 0.3, s).astype("float32") for n, s in shapes.items()}
    model.set_parameters(values)
    step = Step(model, clip_by=None, precision=precision)
    x, y = rng.integers(VOCAB, size=(2, T, B))
    E = step(x, y, 1.0)[0]
    return E, {name: values[name] - after for name, after in model.parameters().items()}, step


@needs_bf16
@pytest.mark.slow
@pytest.mark.in_c
@pytest.mark.parametrize(
    "cell, layers", first(0, [(cell, n) for cell in ("tanh", "gru", "lstm") for n in (1, 2)])
)
def test_the_gradient_in_bf16_is_nearly_that_of_float32(cell, layers):
    E, exact, _ = gradients("float32", cell, layers)
    E_in_bf16, found, step = gradients("bf16", cell, layers)
    assert E_in_bf16 != E and E_in_bf16 == pytest.approx(E, rel=1e-3)
    for name, gradient in found.items():
        assert 0.999 < cosine(exact[name].astype("float64"), gradient) < 1 - 1e-7
        assert abs(gradient - exact[name]).max() < 0.05 * abs(exact[name]).max()
    ops = [node.op for node in step.function(False, False).maker.fgraph.apply_nodes]
    products = [op for op in ops if isinstance(op, (SkinnyDot22, SkinnyGemm, NativeLoop))]
    assert len(products) >= 6 and all(op.in_bf16 for op in products)


@needs_bf16
@pytest.mark.slow
@pytest.mark.in_c
def test_evaluation_stays_float32():
    model = RNN(VOCAB, H, seed=0, dtype="float32")
    x, y = np.random.default_rng(0).integers(VOCAB, size=(2, T, B))
    before = model.ce_error(x, y)
    E = Step(model, clip_by=None, precision="bf16")(x, y, 1e-9)[0]
    assert model.ce_error(x, y) == pytest.approx(before, rel=1e-6)
    assert E != pytest.approx(before, rel=1e-7)


@needs_bf16
def test_a_model_of_float64_is_refused():
    with pytest.raises(RNNError, match="this one is of float64; make the model with dtype='fl"):
        Step(RNN(7, 4, dtype="float64"), precision="bf16")


@needs_bf16
def test_a_training_steps_with_the_precision_of_its_settings():
    for precision in ("float32", "bf16"):
        settings = Settings(hidden_size=4, precision=precision)
        model = build.build_model(settings, 7, dtype="float32")
        assert build.build_step(settings, model).precision == precision


def test_an_unknown_precision_is_refused():
    with pytest.raises(RNNError, match="precision 'fp8' is unknown; use float32, bf16, auto"):
        Step(RNN(7, 4), precision="fp8")


def test_a_machine_without_bf16_is_told_before_anything_is_compiled(monkeypatch):
    monkeypatch.setattr("theano_rnn.engine.c_code.has_bf16", lambda: False)
    with pytest.raises(RNNError, match="needs a processor with AVX512-BF16"):
        Step(RNN(7, 4, dtype="float32"), precision="bf16")


@pytest.mark.parametrize(
    "dtype, is_there, expected",
    [("float32", True, "bf16"), ("float32", False, "float32"), ("float64", True, "float32")],
)
def test_auto_is_bf16_where_it_can_be(monkeypatch, dtype, is_there, expected):
    monkeypatch.setattr("theano_rnn.engine.c_code.has_bf16", lambda: is_there)
    assert Step(RNN(7, 4, dtype=dtype), precision="auto").precision == expected
