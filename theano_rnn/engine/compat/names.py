"""Modules and names that are gone, lent to Theano's modules and to no others.

A module of Theano is loaded with builtins of its own, whose ``__import__`` gives it stand-ins for
a few modules; for all others it is Python's. So nothing is put into ``numpy`` or ``sys.modules``,
and the user's program sees nothing of it. Modules of Theano that are imported later, as
``theano.gpuarray`` at the first scan, get the same.
"""

import builtins
import functools
import importlib
import importlib.machinery
import importlib.util
import os
import shutil
import sys
import sysconfig
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, Callable, Optional

import numpy as np


def lend() -> None:
    """Have Theano's modules that are imported from now on find what is gone."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


class Finder:
    """Finds Theano's modules where Python does, and has them loaded by a ``Loader``."""

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if name != "theano" and not name.startswith("theano."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            late = name == "theano.gpuarray" and importlib.util.find_spec("pygpu") is None
            loader = LateLoader if late else Loader
            spec.loader = loader(spec.loader.name, spec.loader.path)
        return spec


class Loader(SourceFileLoader):
    """Loads a module with builtins of its own."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": import_lent}
        super().exec_module(module)

    def get_code(self, fullname: str) -> Optional[CodeType]:
        code = super().get_code(fullname)
        return renamed(code) if code is not None and fullname in CALLERS else code

    def source_to_code(self, data: Any, path: Any, **kwargs: Any) -> CodeType:  # type: ignore[override]
        """Compile, without a word on the ``"\\d"`` of its strings: a SyntaxWarning since 3.12."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code: CodeType = super().source_to_code(data, path, **kwargs)
        return code


class LateLoader(Loader):
    """Loads ``theano.gpuarray`` when more of it is used than a scan does, where no GPU can be.

    Every scan asks it whether there is a GPU, and whether a type is of one: scan/basic:1009,
    scan/op:270. Without the library pygpu none is; loading it took a tenth of a second.
    """

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(pygpu_activated=False, GpuArrayType=type("GpuArrayType", (), {}))
        vars(module)["__getattr__"] = functools.partial(self._load, module)

    def _load(self, module: ModuleType, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        vars(module).pop("__getattr__", None)
        super().exec_module(module)
        return getattr(module, name)


#: Methods of arrays that are gone since NumPy 2.0 and 2.3, and those that do the same.
RENAMED = {"itemset": "fill", "tostring": "tobytes"}

#: The modules that call them: debugmode:2289, printing:1358, tensor/blas:949.
CALLERS = ("theano.compile.debugmode", "theano.printing", "theano.tensor.blas")


def renamed(code: CodeType) -> CodeType:
    """Code with other names of methods, also in the functions within."""
    return code.replace(
        co_names=tuple(RENAMED.get(name, name) for name in code.co_names),
        co_consts=tuple(
            renamed(constant) if isinstance(constant, CodeType) else constant
            for constant in code.co_consts
        ),
    )


def import_lent(
    name: str,
    globals: Any = None,
    locals: Any = None,
    fromlist: Optional[Sequence[str]] = (),
    level: int = 0,
) -> Any:
    """``__import__``, with a stand-in for each module of ``LENT``."""
    first = name.partition(".")[0]
    if level or first not in LENT:
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    if name not in LENT:
        found = builtins.__import__(name, globals, locals, fromlist or (), level)
        return found if fromlist else LENT[first]
    return LENT[name] if fromlist else LENT[first]


def stand_in(name: str, **names: Any) -> ModuleType:
    """A module of these names."""
    module = ModuleType(name)
    vars(module).update(names)
    return module


def old_numpy() -> ModuleType:
    """NumPy, with the names of NumPy 1.19 that Theano uses.

    ``bool``, ``int``, ``complex`` : gone since 1.24 (and ``bool`` is another type since 2.0):
        scalar/basic:2412 (by its name), 2123, 3888, 3928; tensor/basic:369;
        tensor/random/basic:356. Deprecated since 1.20.
    ``product``, ``cast``, ``sctype2char``, ``AxisError``, ``ComplexWarning`` : gone since 2.0:
        scalar/basic:1855, 3110 and six more; nnet/bn:233, 366; tensor/elemwise:728;
        tensor/basic:248; tensor/slinalg:567, nnet/conv:951, nnet/abstract_conv:2421.
    ``MAXDIMS`` : gone since 2.0, and no longer the axis that stands for "no axis":
        tensor/extra_ops:278.
    ``core`` : warns since 2.0: link/c/basic:1391.
    ``linalg.linalg`` : gone since 2.5: gpuarray/linalg:5.
    ``distutils`` : gone on Python 3.12: tensor/blas:134, link/c/cmodule:23.
    ``asarray``, ``array`` : since 2.0 they refuse integers that do not fit, which they wrapped
        before: misc/safe_asarray:40, tensor/opt:5451.
    """
    numpy = stand_in(
        "numpy",
        **{
            **vars(np),
            "bool": bool,
            "int": int,
            "complex": complex,
            "product": np.prod,
            "cast": Casts(),
            "sctype2char": lambda dtype: np.dtype(dtype).char,
            "AxisError": _one_of("numpy.exceptions.AxisError", "numpy.AxisError"),
            "ComplexWarning": _one_of("numpy.exceptions.ComplexWarning", "numpy.ComplexWarning"),
            "MAXDIMS": NO_AXIS,
            "core": stand_in("numpy.core", _multiarray_umath=_one_of(*_C_MODULES)),
            "linalg": stand_in("numpy.linalg", **{**vars(np.linalg), "linalg": np.linalg}),
            "distutils": numpy_distutils(),
            "asarray": wrapping(np.asarray),
            "array": wrapping(np.array),
            "__getattr__": lambda name: getattr(np, name),  # what NumPy loads when it is asked for
        },
    )
    return numpy


_C_MODULES = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")


def _one_of(*places: str) -> Any:
    """What stands at the first place that there is."""
    for place in places:
        module, _, name = place.rpartition(".")
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"NumPy {np.__version__} has none of {', '.join(places)}")


NUMPY_IS_2 = np.lib.NumpyVersion(np.__version__) >= "2.0.0"

#: The axis that stands for "no axis" in NumPy's C: NPY_MAXDIMS, and NPY_RAVEL_AXIS since 2.0.
NO_AXIS = -(2**31) if NUMPY_IS_2 else 32


class Casts:
    """``numpy.cast``: ``cast[dtype](x)`` is x as an array of that dtype."""

    def __getitem__(self, dtype: Any) -> Callable[[Any], Any]:
        return lambda x: np.asarray(x).astype(getattr(dtype, "dtype", dtype))


def wrapping(make: Callable[..., Any]) -> Callable[..., Any]:
    """``numpy.asarray`` or ``array``, which wraps integers that do not fit into the dtype."""

    @functools.wraps(make)
    def made(a: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        try:
            return make(a, dtype, *args, **kwargs)
        except OverflowError:
            return make(np.asarray(a, "int64").astype(dtype), dtype, *args, **kwargs)

    return made


def numpy_distutils() -> ModuleType:
    """``numpy.distutils``: gone on Python 3.12, and slow to import before.

    Theano takes the folders of NumPy's headers from it (cmodule:1635), and looks for a BLAS
    (cmodule:2621), which ``engine.blas`` does instead.
    """
    return stand_in(
        "numpy.distutils",
        misc_util=stand_in("misc_util", get_numpy_include_dirs=lambda: [np.get_include()]),
        __config__=stand_in("__config__", blas_opt_info={}),
        system_info=stand_in(
            "system_info",
            system_info=stand_in("system_info", verbosity=0),
            get_info=lambda name: {},
        ),
    )


def distutils() -> ModuleType:
    """``distutils``: gone since Python 3.12. configdefaults:1, link/c/cmodule:6."""
    return stand_in(
        "distutils",
        spawn=stand_in("distutils.spawn", find_executable=shutil.which),
        sysconfig=stand_in(
            "distutils.sysconfig",
            get_config_var=sysconfig.get_config_var,
            get_python_version=sysconfig.get_python_version,
            get_config_h_filename=sysconfig.get_config_h_filename,
            get_python_inc=lambda plat_specific=False: sysconfig.get_path(
                "platinclude" if plat_specific else "include"
            ),
            # Of the installed Python, not of a virtual environment.
            get_python_lib=lambda plat_specific=False, standard_lib=False: os.path.dirname(
                os.__file__
            ),
        ),
    )


def pkg_resources() -> ModuleType:
    """``pkg_resources``: gone since setuptools 82, and where there is no setuptools.

    gpuarray/linalg:4, which scan/basic:1009 imports at the first scan, names an error of it.
    """
    return stand_in("pkg_resources", DistributionNotFound=ImportError)


class Late(ModuleType):
    """A module that is imported when one of its names is first used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def _call(module: str, name: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(importlib.import_module(module), name)(*args, **kwargs)


#: The routines of BLAS that Theano takes from SciPy: tensor/blas:183, tensor/blas_scipy:23.
ROUTINES = ("sgemv", "dgemv", "cgemv", "zgemv", "sger", "dger", "cgeru", "zgeru")


def scipy() -> dict[str, ModuleType]:
    """SciPy, whose modules are imported when used: they took half the time of ``import theano``.

    ``special``, ``stats`` : Theano runs special functions in Python with them, and draws from some
        distributions: scalar/basic_scipy:29, tensor/random/basic:2.
    ``linalg.blas`` : Ops without C call it: tensor/blas:172.
    ``signal.signaltools`` : what Theano wants of it is gone since SciPy 1.8, so it runs without:
        nnet/conv:33, nnet/abstract_conv:33.
    """
    if importlib.util.find_spec("scipy") is None:
        return {}
    top, special, stats, linalg = map(
        Late, ("scipy", "scipy.special", "scipy.stats", "scipy.linalg")
    )
    blas = "scipy.linalg.blas"
    routines = {name: functools.partial(_call, blas, name) for name in ROUTINES}
    vars(linalg).update(blas=stand_in(blas, **routines))
    vars(top).update(special=special, stats=stats, linalg=linalg)
    modules = (top, special, stats, linalg, linalg.blas, stand_in("scipy.signal.signaltools"))
    return {module.__name__: module for module in modules}


def _lent() -> dict[str, ModuleType]:
    numpy, own = old_numpy(), distutils()
    return {
        **scipy(),
        "numpy": numpy,
        "numpy.linalg.linalg": np.linalg,
        "numpy.distutils": numpy.distutils,
        "numpy.distutils.__config__": numpy.distutils.__config__,
        "numpy.distutils.system_info": numpy.distutils.system_info,
        "distutils": own,
        "distutils.spawn": own.spawn,
        "distutils.sysconfig": own.sysconfig,
        "pkg_resources": pkg_resources(),
    }


#: The stand-ins, by the names of the modules.
LENT = _lent()
