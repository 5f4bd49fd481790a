"""How much memory a process may use."""

import subprocess
import sys


def test_the_limits_of_a_process_count_as_its_memory():
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
        "from theano_rnn.common import memory; print(memory.total())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert int(done.stdout) == 2**32, done.stderr
