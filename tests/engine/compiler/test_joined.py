"""Modules in one source: which are joined, and that each computes what it does alone."""

import json

import pytest
from interpreters import run_python

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.compiler import joined
from theano_rnn.engine.ops.skinny_gemm import SkinnyDot22, SkinnyGemm

pytestmark = pytest.mark.skipif(not theano.config.cxx, reason="needs a C++ compiler")


class FakeModule:
    """A module of this code."""

    disturbs = joined.Module.disturbs
    kind = joined.Module.kind

    def __init__(self, own, shared=(), flags=()):
        self.own, self.shared, self.flags, self.linker = own, list(shared), tuple(flags), self
        self.code, self.headers = "".join([*shared, own]), []

    def header_dirs(self):
        return []


def sizes(*modules):
    return [len(group) for group in joined.groups(modules)]


def test_modules_are_joined_up_to_a_length(monkeypatch):
    monkeypatch.setattr(joined, "LARGEST", 10)
    assert sizes(*(FakeModule("1234") for _ in range(5))) == [2, 2, 1]
    assert sizes(FakeModule("x" * 11), FakeModule("1234")) == [1, 1]


def test_modules_of_other_flags_or_other_code_with_headers_are_not_joined():
    plain, flagged = FakeModule("a"), FakeModule("b", flags=["-fopenmp"])
    product = FakeModule("c", shared=["#include <omp.h>\n"])
    assert sizes(plain, flagged, product) == [1, 1, 1]
    assert sizes(plain, plain, product, product) == [2, 2]


@pytest.mark.parametrize("own", ["  # include <omp.h>\n", "npy_complex64 z;"])
def test_headers_in_a_namespace_and_complex_numbers_stay_alone(own):
    modules = FakeModule(own), FakeModule(own), FakeModule("a"), FakeModule("b")
    assert sorted(sizes(*modules)) == [1, 1, 2]


@pytest.mark.parametrize(
    ("first", "second", "groups"),
    [
        ("#define SIZE 3\n", "int SIZE;", [1, 1]),
        ("int SIZE;", "#define SIZE 3\n", [1, 1]),
        ("#define SIZE 3\nint a[SIZE];\n#undef SIZE\n", "int SIZE;", [2]),
        ("#define SIZE 3\n", "int size;", [2]),
    ],
)
def test_no_macro_of_one_module_reaches_another(first, second, groups):
    assert sizes(FakeModule(first), FakeModule(second)) == groups


def test_what_takes_longest_is_compiled_first():
    long, product = FakeModule("x" * 1000), FakeModule("c", ["#include <omp.h>\n"])
    assert joined.groups([FakeModule("a", flags=["-g"]), long, product])[:2] == [[product], [long]]


PROGRAM = """
import json
from theano_rnn.engine import compiler, tensor, theano
made, compile_module = [], compiler.compile_module

def seen(name, source, *args, **settings):
    made.append(source.count("PyMODINIT_FUNC PyInit_"))
    return compile_module(name, source, *args, **settings)

compiler.compile_module = seen
x, y = tensor.dmatrix("x"), tensor.dmatrix("y")
z = tensor.dot(x, y) + tensor.alloc(1.5, 2, 2)
results = [z[0], z[1:].T, tensor.dot(x.T, z) * 2, z.sum(axis=0), tensor.inc_subtensor(x[:1], 1),
           tensor.tanh(x[:, 0]), x.reshape((-1,)), tensor.stack([x[0, 0], y[0, 1]])]
f = theano.function([x, y], results, mode="FAST_RUN")
values = [v.tolist() for v in f([[1, 2], [3, 4]], [[5, 6], [7, 8]])]
nodes = [type(node.op).__name__ for node in f.maker.fgraph.toposort()]
print(json.dumps([made, values, nodes]))
"""


def test_joined_modules_compute_what_they_do_alone_in_this_process_and_the_next(tmp_path):
    own = {"base_compiledir": tmp_path / "cache"}
    made, values, nodes = json.loads(run_python(PROGRAM, flags=own, TMPDIR=str(tmp_path)))
    assert max(made) >= 4 and sum(made) <= len(nodes) + 2
    assert values == [
        [20.5, 23.5],
        [[44.5], [51.5]],
        [[308.0, 356.0], [438.0, 506.0]],
        [65.0, 75.0],
        [[2.0, 3.0], [3.0, 4.0]],
        pytest.approx([0.7615941559557649, 0.9950547536867305]),
        [1.0, 2.0, 3.0, 4.0],
        [1.0, 6.0],
    ]
    assert json.loads(run_python(PROGRAM, flags=own)) == [[], values, nodes]


def test_the_source_of_a_group_has_its_shared_code_once():
    x, y = tensor.dmatrix("x"), tensor.dmatrix("y")
    one = tensor.constant(1.0)
    modules = []
    for product in (SkinnyDot22()(x, y), SkinnyGemm()(x, one, x, y, one)):
        fgraph = theano.graph.fg.FunctionGraph([x, y], [product], clone=True)
        modules.append(joined.Module(theano.link.c.basic.CLinker().accept(fgraph)))
    assert joined.groups(modules) == [modules] and len(modules[0].shared) == 1
    source = joined.source(modules)
    assert source.count("#include <Python.h>") == 1
    for module in modules:
        assert source.count(f"PyInit_{module.name}(void)") == 1
        assert all(source.count(part) == 1 for part in module.shared)
