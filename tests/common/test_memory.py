"""How much memory a process may use."""

import subprocess
import sys

from theano_rnn.common import memory


def test_the_limits_of_a_process_count_as_its_memory():
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
        "from theano_rnn.common import memory; print(memory.total())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert int(done.stdout) == 2**32, done.stderr


def limits(root, cgroup, files):
    """What ``cgroup_limits`` finds in a file system of its own."""
    for name, text in {"proc/self/cgroup": cgroup, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return list(memory.cgroup_limits(root))


def test_groups_of_version_2_and_those_above_them_limit_the_memory(tmp_path):
    files = {
        "sys/fs/cgroup/user.slice/job.scope/memory.max": "max\n",
        "sys/fs/cgroup/user.slice/memory.max": "2147483648\n",
    }
    assert limits(tmp_path, "0::/user.slice/job.scope\n", files) == [2**31]


def test_groups_of_version_1_limit_the_memory_each_controller_has_its_own(tmp_path):
    files = {
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "1073741824\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",  # none
        "sys/fs/cgroup/memory/other/memory.limit_in_bytes": "5\n",
    }
    cgroup = "9:name=systemd:/other\n4:cpu,memory:/job\n1:cpuset:/other\n0::/\n"
    assert limits(tmp_path, cgroup, files) == [2**30, 9223372036854771712]


def test_in_a_container_the_group_is_the_one_that_is_mounted(tmp_path):
    files = {"sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n"}
    assert limits(tmp_path, "4:memory:/docker/e90d:ff\n", files) == [2**30]


def test_without_control_groups_nothing_is_limited(tmp_path):
    assert list(memory.cgroup_limits(tmp_path)) == []
    assert limits(tmp_path, "0::/\n", {}) == []


def test_a_limit_of_the_group_counts_as_the_memory(monkeypatch):
    monkeypatch.setattr(memory, "_limits_here", lambda: (2**60, 2**30))
    assert memory.total() == 2**30
