"""Two versions of this package that share a compile folder do not take each other's modules."""

import sys

import pytest

from theano_rnn.engine import c_code
from theano_rnn.engine.ops import rows, skinny_gemm
from theano_rnn.engine.patches import scan_perform


@pytest.mark.parametrize("op", [rows.RowIncrement, skinny_gemm.SkinnyDot22])
def test_the_version_of_an_op_changes_with_its_module_and_with_its_c(op, monkeypatch, tmp_path):
    versions = [op().c_code_cache_version()]
    other = tmp_path / "other.py"
    other.write_text("# another version")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[op.__module__], "__file__", str(other))
        c_code._checksum.cache_clear()
        versions.append(op().c_code_cache_version())
    c_code._checksum.cache_clear()
    monkeypatch.setattr(c_code, "source", lambda *files: "// another version")
    versions.append(op().c_code_cache_version())
    assert len(set(versions)) == 3


def test_a_scan_loop_that_another_version_built_is_built_again(monkeypatch, tmp_path):
    built = []
    compiler = scan_perform.cmodule.GCC_compiler
    monkeypatch.setattr(compiler, "compile_str", lambda name, text, **_: built.append(text))
    for change in ("", "", "// another version", "// another version"):
        monkeypatch.setattr(scan_perform, "without_shortcuts", lambda text, change=change: change)
        scan_perform._build(tmp_path)
    assert built == ["", "// another version"]
