"""The compile folder is made for its user alone; one that others may write to is refused."""

import os
import stat
from types import SimpleNamespace

import pytest

from theano_rnn import RNNError
from theano_rnn.engine import compile_folder, theano


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Theano's configuration, with a base folder that holds no compile folder yet."""
    folder = str(tmp_path / "base" / "folder")
    monkeypatch.setattr(theano.configdefaults, "_default_compiledir", lambda: folder)
    return SimpleNamespace(
        base_compiledir=str(tmp_path / "base"),
        compiledir=folder,
        _config_var_dict={"compiledir": SimpleNamespace(is_default=True)},
    )


def test_it_is_made_for_the_user_alone_and_accepted_from_then_on(config):
    folder = compile_folder.prepare(config)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)]
    assert modes == [0o700, 0o700]
    assert compile_folder.prepare(config) == folder


@pytest.mark.parametrize(
    ("which", "mode"), [(".", 0o777), ("folder", 0o770), ("folder/lazylinker_ext", 0o757)]
)
def test_one_that_others_may_write_to_is_refused(config, tmp_path, which, mode):
    (tmp_path / "base" / "folder" / "lazylinker_ext").mkdir(parents=True)
    changed = tmp_path / "base" / which
    changed.chmod(mode)
    with pytest.raises(RNNError) as refused:
        compile_folder.prepare(config)
    for words in (f"mode {mode:o}", f"chmod go-w {changed}", "base_compiledir=FOLDER"):
        assert words in str(refused.value)


def test_what_theano_makes_within_it_may_have_the_mode_of_the_umask(config):
    folder = compile_folder.prepare(config)
    (folder / "lazylinker_ext").mkdir()
    (folder / "lazylinker_ext").chmod(0o775)  # as under umask 002
    assert compile_folder.prepare(config) == folder
    folder.chmod(0o755)
    with pytest.raises(RNNError, match="lazylinker_ext"):
        compile_folder.prepare(config)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    compile_folder.write_whole(tmp_path / "a", b"1")
    monkeypatch.setattr(os, "replace", lambda *_: exec("raise OSError(28, 'full')"))
    with pytest.raises(OSError):
        compile_folder.write_whole(tmp_path / "a", b"2")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"1")]


def test_that_of_another_user_is_refused(config, monkeypatch):
    compile_folder.prepare(config)
    monkeypatch.setattr(compile_folder, "_user", lambda: os.geteuid() + 1)
    with pytest.raises(RNNError, match=r"another user .*base_compiledir=FOLDER"):
        compile_folder.prepare(config)


def test_it_may_stand_in_a_folder_for_all_whose_sticky_bit_is_set(config, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base").chmod(0o1777)
    assert stat.S_IMODE(compile_folder.prepare(config).stat().st_mode) == 0o700


def test_a_file_in_its_place_is_refused(config, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "folder").write_text("")
    with pytest.raises(RNNError, match=r"cannot be written .*base_compiledir=FOLDER"):
        compile_folder.prepare(config)
