"""Functions that threads call, share variables through, compile, copy and take to a fork."""

import copy
import os
import pickle
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from theano_rnn import RNN
from theano_rnn.engine import building, compile_function, exclusive, tensor, theano
from theano_rnn.engine.patches import threads
from theano_rnn.optim.step import Step

X, Y = [0, 3, 1, 4], [3, 1, 4, 2]


@pytest.fixture(autouse=True)
def threads_switch_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(count, work):
    """[work(0), work(1), ...], each in a thread of its own, all started together."""
    together = threading.Barrier(count)

    def started(number):
        together.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(started, range(count)))


def a_model(**settings):
    return RNN(6, 5, **{"dtype": "float64", **settings})


def test_threads_that_call_one_function_get_each_their_own_results():
    model = a_model()
    sentences = [(np.arange(n) % 6, np.arange(1, n + 1) % 6) for n in range(1, 9)]
    alone = [model.ce_error(*sentence) for sentence in sentences]

    def losses(number):
        turns = [(i * 3 + number) % 8 for i in range(400)]
        return [model.ce_error(*sentences[i]) == alone[i] for i in turns]

    assert all(all(right) for right in in_threads(4, losses))


@pytest.mark.in_c
def test_functions_that_share_memory_run_one_at_a_time():
    x = tensor.dmatrix()
    with building():
        one = compile_function([x], [tensor.tanh(tensor.dot(x, x)).sum()])
    other = one.copy(share_memory=True)
    assert {*one.locks} < {*other.locks} and not {*one.locks} & {*one.copy().locks}
    given = [np.full((300, 300), value) for value in (1e-3, 2e-3)]
    alone = [one(values) for values in given]

    def right(number):
        function, values = (one, other)[number], given[number]
        return all(function(values) == alone[number] for _ in range(100))

    assert all(in_threads(2, right))


def test_a_function_never_sees_half_of_an_update():
    """A loss, parameters or a state of the optimizer are those before or after a whole step."""
    steps = 200
    model, other = a_model(), a_model()
    step, other_step = Step(model, "momentum"), Step(other, "momentum")
    other.ce_error(X, Y)

    def seen(model, step):
        parameters = [a.tobytes() for a in model.parameters().values()]
        state = [a.tobytes() for a in step.state().values()]
        return model.ce_error(X, Y), tuple(parameters), tuple(state)

    moments = [seen(model, step)]
    for _ in range(steps):
        step(X, Y, 0.1, 1.0)
        moments.append(seen(model, step))
    known = [set(part) for part in zip(*moments)]
    done = threading.Event()

    def work(number):
        if number == 0:
            for _ in range(steps):
                other_step(X, Y, 0.1, 1.0)
            done.set()
        wrong = count = 0
        while number and not (done.is_set() and count):
            wrong += sum(a not in b for a, b in zip(seen(other, other_step), known))
            count += 1
        return wrong

    assert in_threads(3, work) == [0, 0, 0]
    assert seen(other, other_step) == moments[-1]


def test_threads_compile_at_once_each_with_its_own_flags():
    kinds = [("tanh", "float32"), ("tanh", "float64"), ("relu", "float32")]
    alone = [a_model(cell=cell, dtype=dtype).bptt(X, Y) for cell, dtype in kinds]
    before = theano.config.floatX, theano.config.compute_test_value
    models = [a_model(cell=cell, dtype=dtype) for cell, dtype in kinds]

    made = in_threads(3, lambda number: models[number].bptt(X, Y))
    for one, other in zip(made, alone):
        for name, gradient in one.items():
            assert gradient.dtype == other[name].dtype
            np.testing.assert_array_equal(gradient, other[name])
    assert (theano.config.floatX, theano.config.compute_test_value) == before


def test_threads_that_need_one_function_compile_it_once(monkeypatch):
    model, made = a_model(), []
    step = Step(model)
    build, compile_step = model._loss, step._compile
    monkeypatch.setattr(model, "_loss", lambda *args: made.append("loss") or build(*args))
    monkeypatch.setattr(step, "_compile", lambda *args: made.append("step") or compile_step(*args))
    in_threads(3, lambda number: model.ce_error(X, Y) + step(X, Y, 0.1)[0])
    assert sorted(made) == ["loss", "step"]


def test_a_model_made_while_another_is_compiled_has_the_users_dtype():
    inside, done = threading.Event(), threading.Event()

    def work(number):
        if number == 0:
            with building(floatX="float64"):
                inside.set()
                done.wait(0.2)
            return None
        inside.wait()
        model = RNN(6, 5)
        done.set()
        return model.dtype

    assert in_threads(2, work) == [None, theano.config.floatX]


class Waiting(theano.graph.op.Op):
    """Its input, once the test lets it go."""

    __props__ = ()

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def make_node(self, x):
        return theano.graph.basic.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        self.begun.set()
        assert self.go.wait(10)
        outputs[0][0] = inputs[0].copy()


def test_only_functions_that_share_a_variable_wait_for_each_other():
    shared, own = (theano.shared(np.float64(1), name) for name in ("shared", "own"))
    waiting = Waiting()
    update = theano.function([], updates=[(shared, waiting(shared) + 1)])
    read, other = theano.function([], shared * 10), theano.function([], own * 10)
    with ThreadPoolExecutor(4) as pool:
        updated = pool.submit(update)
        assert waiting.begun.wait(10)
        assert other() == 10 and own.get_value() == 1
        later = [pool.submit(read), pool.submit(shared.get_value)]
        assert not any(each.done() for each in later)
        waiting.go.set()
        assert [float(each.result(10)) for each in later] == [20, 2]
        updated.result(10)


def test_functions_made_of_one_scan_share_no_numbers():
    """Both Scans are one Op, with one inner function; they are not lowered to C++."""
    x = tensor.dvector("x")
    sums, _ = theano.scan(lambda a, s: s + a, x, np.float64(0))
    mode = theano.compile.mode.get_default_mode().excluding("native_loop", "scan")
    functions = [theano.function([x], sums * factor, mode=mode) for factor in (1, 2)]

    def right(number):
        f, x = functions[number % 2], np.full(30, number + 1.0)
        want = np.cumsum(x) * (1 + number % 2)
        return all((f(x) == want).all() for _ in range(50))

    assert all(in_threads(4, right))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copied_model_has_functions_and_locks_of_its_own(copied):
    model = a_model()
    loss = model.sgd_step(X, Y, 0.1)
    after = model.ce_error(X, Y)
    other = copied(model)
    with exclusive(model.shared.values()), ThreadPoolExecutor(1) as pool:
        assert pool.submit(other.sgd_step, X, Y, 0.1).result(60) == after < loss
    assert other.ce_error(X, Y) < model.ce_error(X, Y) == after


def test_whoever_waits_for_a_lock_holds_no_other():
    one, other, held = threading.RLock(), threading.RLock(), []
    with other:
        waiting = threading.Thread(target=threads._take, args=[(one, other), held])
        waiting.start()
        time.sleep(0.1)
        assert one.acquire(timeout=20)
        one.release()
    waiting.join(20)
    assert set(held) == {one, other}


def test_a_thread_calls_a_function_whose_variables_it_holds_while_others_call_it():
    p, x = theano.shared(np.zeros(3), "p"), tensor.dscalar("x")
    functions = [theano.function([x], p.sum() + x) for _ in range(4)]

    def work(number):
        for _ in range(200):
            for f in functions:
                with exclusive([p] if number % 2 else []):
                    f(1.0)

    in_threads(4, work)  # it ends


def test_locks_that_come_and_go_do_not_disturb_a_fork():
    ended = threading.Event()

    def read():
        while not ended.is_set():
            theano.shared(np.zeros(1)).get_value()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(300):
            threads._hold_all()
            are_all_held = set(threads._locks.values()) <= set(threads._held)
            threads._release_all()
            assert are_all_held
    finally:
        ended.set()
        reader.join()


def test_a_function_works_after_a_fork_while_another_thread_trains():
    model = a_model()
    step = Step(model)
    step(X, Y, 0.1)
    model.ce_error(X, Y)
    ended = threading.Event()

    def train():
        while not ended.is_set():
            step(X, Y, 1e-3)

    trainer = threading.Thread(target=train)
    trainer.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(20)  # ends a child that waits for ever
                try:
                    before = model.ce_error(X, Y)
                    fine = step(X, Y, 1e-3)[0] == before > model.ce_error(X, Y)
                finally:
                    os._exit(0 if fine else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        ended.set()
        trainer.join()
