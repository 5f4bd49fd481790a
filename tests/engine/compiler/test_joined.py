"""Modules in one source: which are joined, and that each computes what it does alone."""

import json

import pytest
from interpreters import run_python
from theano.graph.basic import Apply
from theano.graph.op import COp

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.compiler import joined
from theano_rnn.engine.ops.skinny_gemm import SkinnyDot22, SkinnyGemm

pytestmark = pytest.mark.skipif(not theano.config.cxx, reason="needs a C++ compiler")


class FakeModule:
    """A module of this code."""

    goes_with = joined.Module.goes_with

    def __init__(self, own, shared="", kind=0, macros=()):
        self.own, self.shared, self.macros = own, shared, set(macros)
        self.kind = None if kind is None else (kind, shared)
        self.code, self.headers = shared + own, ""


def sizes(*modules, cores=1):
    return [len(group) for group in joined.groups(modules, cores)]


def test_modules_are_joined_up_to_a_length(monkeypatch):
    monkeypatch.setattr(joined, "LARGEST", 10)
    assert sizes(*(FakeModule("1234") for _ in range(5))) == [2, 2, 1]
    assert sizes(FakeModule("x" * 11), FakeModule("1234")) == [1, 1]
    assert sizes(FakeModule("x" * 9), FakeModule("12"), FakeModule("12")) == [1, 2]


def test_every_core_gets_modules():
    assert sizes(*(FakeModule("1234") for _ in range(8)), cores=4) == [2, 2, 2, 2]


def test_only_modules_of_one_kind_are_joined():
    plain, product = FakeModule("a"), FakeModule("c", shared="#include <omp.h>\n")
    assert sizes(plain, FakeModule("b", kind=1), product) == [1, 1, 1]
    assert sizes(plain, product, plain, product, plain) == [2, 3]
    assert sizes(FakeModule("a", kind=None), FakeModule("a", kind=None)) == [1, 1]


@pytest.mark.parametrize(
    ("macros", "other", "groups"), [("SIZE", "int SIZE;", [1, 1]), ("SIZE", "int size;", [2])]
)
def test_no_macro_of_one_module_reaches_another(macros, other, groups):
    one = FakeModule("int three;", macros=[macros])
    assert sizes(one, FakeModule(other)) == sizes(FakeModule(other), one) == groups


def test_what_takes_longest_is_compiled_first():
    long, product = FakeModule("x" * 1000), FakeModule("c", "#include <omp.h>\n")
    short = FakeModule("a", kind=1)
    assert joined.groups([short, long, product], 1) == [[product], [long], [short]]


class Twice(COp):
    """2 x, of a vector, in C++ with something before it."""

    __props__ = ("before", "libraries")

    def __init__(self, before="", libraries=()):
        self.before, self.libraries = before, libraries

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        raise NotImplementedError

    def c_code_cache_version(self):
        return (1,)

    def c_support_code(self, **kwargs):
        return self.before

    def c_libraries(self, **kwargs):
        return list(self.libraries)

    def c_code(self, node, name, inputs, outputs, sub):
        (x,), (z,) = inputs, outputs
        return f"""
        Py_XDECREF({z});
        {z} = (PyArrayObject*)PyNumber_Add((PyObject*){x}, (PyObject*){x});
        if (!{z}) {{ {sub["fail"]} }}
        """


def module_of(variable):
    node = variable.owner
    fgraph = theano.graph.fg.FunctionGraph(node.inputs, node.outputs, clone=True)
    return joined.Module(theano.link.c.basic.CLinker().accept(fgraph))


def test_ops_of_a_user_are_compiled_alone(monkeypatch):
    x = tensor.dvector("x")
    assert module_of(x[1]).kind is not None and module_of(x + 1).kind is not None
    assert module_of(Twice()(x)).kind is None

    class Own(theano.scalar.basic.Add):
        """A scalar Op of a user, in an Op of Theano's."""

    own = Own(theano.scalar.upcast_out)
    assert module_of(tensor.elemwise.Elemwise(own)(x, x)).kind is None
    a, b = theano.scalar.float64("a"), theano.scalar.float64("b")
    composite = theano.scalar.Composite([a, b], [own(a, b) * b])
    assert module_of(tensor.elemwise.Elemwise(composite)(x, x)).kind is None
    monkeypatch.setattr(joined, "KNOWN", ("",))
    assert module_of(Twice("#define SIZE 3\n")(x)).macros == {"SIZE"}
    assert module_of(Twice("#undef SIZE\n")(x)).macros == {"SIZE"}
    assert module_of(Twice("#define SIZE 3\n#undef SIZE\n")(x)).macros == set()
    assert not module_of(Twice()(x)).goes_with(module_of(Twice(libraries=("m",))(x)))
    assert module_of(Twice("#include <omp.h>\n")(x)).shared == "#include <omp.h>\n"
    assert module_of(Twice("npy_complex64 z;")(x)).kind is None


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
    assert max(made) >= 3 and sum(made) <= len(nodes) + 2
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
    products = SkinnyDot22()(x, y), SkinnyGemm()(x, one, x, y, one)
    modules = [module_of(product) for product in products]
    assert joined.groups(modules, 1) == [modules]
    source = joined.source(modules)
    assert source.count("#include <Python.h>") == 1
    assert len(modules[0].shared) > 40_000 and source.count(modules[0].shared) == 1
    assert all(source.count(f"PyInit_{module.name}(void)") == 1 for module in modules)
