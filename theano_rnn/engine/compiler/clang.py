"""clang++ in the place of g++: the flags that Theano does not find for it.

Theano asks the compiler which flags ``-march=native`` stands for. clang answers in words that only
its inner compiler takes, so Theano compiles for the oldest x86: the products of an output layer
took eight times as long (13.6 instead of 1.7 ms for a step with a vocabulary of 8000).
"""

import os
import re
import subprocess
import zlib

#: Theano's C++ has them, and to clang they are errors.
NARROWING = "-Wno-c++11-narrowing"


def native_flags(compiler: str) -> list[str]:
    """The flags for this processor; none if the compiler takes neither.

    They are part of the key of a module in the cache, so they must tell processors apart: a macro
    that nothing reads has the checksum of the processor's name and features.
    """
    for flag in ("-march=native", "-mcpu=native"):  # the latter on ARM
        command = [compiler, flag, "-E", "-v", "-x", "c++", os.devnull]
        done = subprocess.run(command, capture_output=True)
        if done.returncode == 0:
            said = done.stderr.decode("utf-8", "replace")
            words = re.findall(r'"?-target-(?:cpu|feature)"? "?([^"\s]+)', said)
            return [flag, f"-DTHEANO_RNN_PROCESSOR={zlib.crc32(' '.join(words).encode())}"]
    return []
