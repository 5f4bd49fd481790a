"""Theano is configured, mended, and the user's own settings win."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from theano_rnn import engine
from theano_rnn.engine import blas, flags, tensor, theano
from theano_rnn.engine.blas import usable_cores
from theano_rnn.engine.patches import cache, scan_loop

NO_BLAS = blas.Blas("none", None, "", "")
PREFIXED = blas.Blas("openblas", "/somewhere/lib.so", "scipy_", "-lm")


def python(code: str, **environment) -> str:
    """What a fresh interpreter prints; its environment is ours, changed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def parsed(text: str) -> dict:
    """A THEANO_FLAGS value as Theano itself reads it."""
    return theano.configparser.parse_config_string(text)


# ---- flags


def test_defaults_stand_where_the_user_set_nothing():
    found = parsed(flags.theano_flags(PREFIXED, {"THEANORC": ""}))
    assert found["floatX"] == "float32"
    assert found["blas__ldflags"] == "-lm"
    assert "-Dsgemm_=scipy_sgemm_" in found["gcc__cxxflags"].split()


@pytest.mark.parametrize(
    "own", ["floatX=float64", " floatX=float64,", "floatX=float64,optimizer=fast_compile"]
)
def test_theano_flags_of_the_user_win(own):
    found = parsed(flags.theano_flags(PREFIXED, {"THEANO_FLAGS": own, "THEANORC": ""}))
    assert found["floatX"] == "float64"
    assert found["blas__ldflags"] == "-lm"


def test_a_theanorc_of_the_user_wins(tmp_path):
    rc = tmp_path / "rc"
    rc.write_text("[global]\nfloatX = float64\n[blas]\nldflags = -lmine\n")
    found = parsed(flags.theano_flags(PREFIXED, {"THEANORC": str(rc)}))
    assert "floatX" not in found and "blas__ldflags" not in found  # so Theano reads the file's


def test_compiler_flags_of_the_user_are_kept_and_our_blas_stays_reachable():
    environment = {"THEANO_FLAGS": r"gcc__cxxflags=-O1 -Wl\,-z,floatX=float64", "THEANORC": ""}
    found = parsed(flags.theano_flags(PREFIXED, environment))
    assert found["gcc__cxxflags"].startswith("-O1 -Wl,-z ")
    assert "-Dsgemm_=scipy_sgemm_" in found["gcc__cxxflags"]
    assert found["floatX"] == "float64"


def test_compiler_flags_of_the_user_with_their_own_blas_are_untouched():
    own = "gcc__cxxflags=-O1,blas__ldflags=-lmine"
    found = parsed(flags.theano_flags(PREFIXED, {"THEANO_FLAGS": own, "THEANORC": ""}))
    assert found["gcc__cxxflags"] == "-O1" and found["blas__ldflags"] == "-lmine"


def test_without_the_package_a_blas_of_the_system_is_taken_and_then_none(monkeypatch):
    monkeypatch.setattr(blas.importlib.util, "find_spec", lambda name: None)
    there = {"blas": "libblas.so.3"}
    monkeypatch.setattr(blas.ctypes.util, "find_library", there.get)
    assert blas.find() == blas.Blas("the system's libblas.so.3", "libblas.so.3", "", "-lm")
    there.clear()
    assert blas.find() == NO_BLAS == blas.find("")


def test_a_package_without_its_library_is_passed_over(monkeypatch, tmp_path):
    spec = blas.importlib.util.spec_from_file_location("x", tmp_path / "__init__.py")
    monkeypatch.setattr(blas.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(blas.ctypes.util, "find_library", lambda name: None)
    assert blas.find() == NO_BLAS


def test_of_no_blas_nothing_is_loaded_set_or_told():
    blas.load(NO_BLAS, {})
    blas.use_threads(NO_BLAS, {}, 2)
    assert blas.threads(NO_BLAS) is None and blas.words(NO_BLAS) == "none"


def test_a_blas_that_is_not_openblas_has_no_threads_to_set_and_no_kernel_to_name():
    libm = blas.Blas("libm", "libm.so.6", "", "-lm")
    blas.use_threads(libm, {}, 2)
    assert blas.threads(libm) is None and blas.words(libm) == "libm"


def test_a_blas_of_the_user_is_called_by_its_own_names():
    found = parsed(flags.theano_flags(PREFIXED, {"THEANO_FLAGS": "blas__ldflags=-lmine"}))
    assert found["blas__ldflags"] == "-lmine" and "gcc__cxxflags" not in found
    assert blas.find("-lmine").library is None and blas.find("-lmine").ldflags == "-lmine"


@pytest.mark.parametrize(("own", "kept"), [("", False), (",allow_gc=True", True)])
def test_allow_gc_of_the_user_wins(own, kept):
    code = (
        "from theano_rnn.engine import compile_function, tensor; x = tensor.vector();"
        "print(compile_function([x], x + 1).maker.linker.allow_gc)"
    )
    own = f"base_compiledir={theano.config.base_compiledir}{own}"
    assert python(code, THEANO_FLAGS=own) == str(kept)


def test_a_cache_folder_that_cannot_be_written_is_an_error_with_advice():
    code = (
        "from theano_rnn import RNNError\n"
        "try:\n    import theano_rnn.engine\n"
        "except RNNError as error:\n    print(error)"
    )
    printed = python(code, THEANO_FLAGS="base_compiledir=/proc/none")
    assert "THEANO_FLAGS=base_compiledir=FOLDER" in printed


def test_commas_in_a_value_survive():
    comma = blas.Blas("x", None, "", r"-Wl,-rpath,/a\b")
    assert (
        parsed(flags.theano_flags(comma, {"THEANORC": ""}))["blas__ldflags"] == r"-Wl,-rpath,/a\b"
    )


def test_a_fresh_process_gets_the_users_floatx_and_keeps_its_environment():
    code = (
        "import os; from theano_rnn.engine import theano;"
        "print(theano.config.floatX, os.environ['THEANO_FLAGS'] == {0!r})"
    )
    own = "floatX=float64,base_compiledir=" + theano.config.base_compiledir
    assert python(code.format(own), THEANO_FLAGS=own) == "float64 True"


def test_theano_imported_first_keeps_its_configuration():
    code = (
        "import theano; theano.config.floatX = 'float64'; from theano_rnn import engine;"
        "print(engine.WAS_IMPORTED, theano.config.floatX)"
    )
    own = "blas__ldflags=,base_compiledir=" + theano.config.base_compiledir
    assert python(code, THEANO_FLAGS=own).splitlines()[-1] == "True float64"


# ---- BLAS


def test_blas_is_found_and_its_product_is_right():
    assert engine.BLAS.name == "scipy-openblas32"
    random = np.random.default_rng(0)
    a, b = random.normal(size=(17, 5)), random.normal(size=(5, 9))
    x, y = tensor.dmatrices("x", "y")
    product = engine.compile_function([x, y], tensor.dot(x, y))
    (op,) = (node.op for node in product.maker.fgraph.toposort())
    assert isinstance(op, engine.thin.Product)
    np.testing.assert_allclose(product(a, b), a @ b, rtol=1e-13)


@pytest.mark.parametrize(("asked", "threads"), [("", "1"), ("2", "2")])
def test_blas_computes_in_one_thread_unless_told(asked, threads):
    code = "from theano_rnn.engine import BLAS, blas; print(blas.threads(BLAS))"
    assert python(code, OPENBLAS_NUM_THREADS=asked, OMP_NUM_THREADS="") == threads


@pytest.mark.parametrize(("asked", "threads"), [("", usable_cores()), ("1", 1)])
def test_all_cores_are_used_where_asked_unless_the_user_says_otherwise(asked, threads):
    code = "from theano_rnn import engine as e; e.use_threads(0); print(e.blas.threads(e.BLAS))"
    assert python(code, OPENBLAS_NUM_THREADS=asked, OMP_NUM_THREADS="") == str(threads)


def test_without_a_prefix_nothing_is_renamed():
    assert NO_BLAS.defines == ""


def test_every_blas_routine_theano_calls_is_renamed():
    """The renamed names are those that stand in Theano's C code."""
    import re

    package = Path(theano.__file__).parent / "tensor"
    code = "".join((package / name).read_text() for name in ("blas.py", "blas_c.py"))
    called = set(re.findall(r"\b[sd](gemm|gemv|ger|dot|axpy|scal|copy|nrm2|syrk|trsm)_\b", code))
    assert called == set(blas.ROUTINES)


# ---- the compile cache


def test_an_op_without_properties_is_versioned_with_the_mended_key_and_not_with_the_shipped():
    x = tensor.fmatrix("x")
    graph = theano.graph.fg.FunctionGraph([x], [tensor.dot(x, x)])
    theano.compile.mode.get_mode("FAST_RUN").optimizer.optimize(graph)
    assert any(getattr(node.op, "__props__", None) == () for node in graph.apply_nodes)
    linker = cache.CLinker().accept(graph)
    version, signature = cache.cmodule_key_(linker, graph, set())
    shipped_version, shipped_signature = cache.shipped_key(linker, graph, set())
    assert version and not shipped_version
    assert signature == shipped_signature


def test_the_key_of_an_op_that_says_it_has_no_version_stays_unversioned():
    class Unversioned(theano.tensor.elemwise.Sum):
        def c_code_cache_version_apply(self, node):
            return ()

    x = tensor.fmatrix("x")
    graph = theano.graph.fg.FunctionGraph([x], [Unversioned()(x)])
    linker = cache.CLinker().accept(graph)
    assert cache.cmodule_key_(linker, graph, set())[0] == ()


def test_the_version_of_an_op_with_its_c_in_a_file_is_the_same_in_every_process():
    code = (
        "from theano_rnn.engine import cache, tensor; op = tensor.matrix().T.owner.op;"
        "print(op.c_code_cache_version(), cache.shipped_version(op))"
    )
    mended, shipped = zip(*(python(code, PYTHONHASHSEED=seed).split(") (") for seed in ("1", "2")))
    assert mended[0] == mended[1]
    assert shipped[0] != shipped[1]  # the defect; without it the mend can go


def test_a_second_process_compiles_nothing(tmp_path):
    code = (
        "from pathlib import Path\n"
        "from theano_rnn.engine import compile_function, tensor, theano\n"
        "x = tensor.matrix(); y = tensor.alloc(1.0, 2, 2) + tensor.dot(x, x.T)[:2, :2]\n"
        "compile_function([x], y)([[1, 2], [3, 4]])\n"
        "print(len(list(Path(theano.config.compiledir).rglob('*.so'))))"
    )
    own = f"base_compiledir={tmp_path}"
    first, second = (python(code, THEANO_FLAGS=own, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first == second


def test_whoever_reads_the_keys_of_a_module_while_one_is_added_finds_them_whole(tmp_path):
    path = tmp_path / "key.pkl"
    data = cache.KeyData({"first"}, "hash", str(path), str(tmp_path / "m.so"))
    data.save_pkl()
    with open(path, "rb") as being_read:
        data.add_key("second")
        assert pickle.load(being_read).keys == {"first"}
    assert pickle.loads(path.read_bytes()).keys == {"first", "second"}
    assert os.listdir(tmp_path) == ["key.pkl"]


# ---- scan's loop


def test_scan_runs_its_compiled_loop():
    assert scan_loop.found() == "the compiled loop"
    x = tensor.dvector("x")
    sums, _ = theano.scan(
        lambda x_t, sum_t: x_t + sum_t, x, tensor.constant(np.float64(0)), strict=True, name="sums"
    )
    mode = theano.compile.mode.get_default_mode().excluding("native_loop")
    np.testing.assert_array_equal(theano.function([x], sums, mode=mode)([1, 2, 4]), [1, 3, 7])
    assert sys.modules["theano.scan.scan_perform_ext"] is not None


def test_another_source_of_the_scan_loop_is_refused_not_compiled():
    with pytest.raises(RuntimeError, match="not the one shipped"):
        scan_loop.for_python_311("int main() { return 0; }")


def test_a_loop_that_does_not_compile_falls_back_to_pythons(monkeypatch):
    def fail(folder):
        raise RuntimeError("no such header\nand more")

    monkeypatch.setattr(sys, "version_info", (3, 11, 0))
    monkeypatch.setattr(scan_loop, "_build", fail)
    monkeypatch.setitem(sys.modules, scan_loop._EXTENSION, None)
    assert scan_loop.prepare() == "the Python loop (no such header)"


# ---- the doctor


def test_the_doctor_prints_what_was_found():
    printed = python("import runpy; runpy.run_module('theano_rnn.engine', run_name='__main__')")
    for word in ("compiler", "scipy-openblas32", "GFLOP/s", "modules", "Nothing is missing"):
        assert word in printed


def test_the_doctor_says_what_to_do_without_a_compiler():
    own = "cxx=,base_compiledir=" + theano.config.base_compiledir
    printed = python(
        "import runpy; runpy.run_module('theano_rnn.engine', run_name='__main__')",
        THEANO_FLAGS=own,
    )
    assert "install g++" in printed


def test_the_package_has_theano_from_the_engine_which_configures_it_first():
    package = Path(engine.__file__).parents[1]
    by_itself = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if path.parent != package / "engine" and path.parent != package / "engine" / "loop"
        if re.search(r"^(import|from) theano\b", path.read_text(), re.M)
    ]
    assert by_itself == ["benchmark/stock.py"]  # which is to be Theano as it is
