"""The number of BLAS threads, chosen by timing training steps: the setting ``threads=0``.

Threads of OpenBLAS wait for each other by spinning. With a second thread the step of a large
network takes less time on a quiet machine, and more beside another busy program. So steps are
timed with one thread and with more, and again after a while, or once they have become slow.
"""

from collections.abc import Callable
from statistics import median
from typing import Optional

#: A block of steps with one number of threads: at least so many steps and seconds.
STEPS, SECONDS = 2, 0.25
#: Blocks of each number in a comparison.
ROUNDS = 3
#: Seconds from one comparison to the next.
PAUSE = 60.0
#: With more than one thread a comparison comes sooner if steps take so many times what they took
#: in the last one. What slows one thread down slows more threads down too.
SLOWER = 1.25
#: More threads are taken only if one needs so many times their time: they disturb other programs.
GAIN = 1.03


class ThreadChoice:
    """Times steps and sets the number of threads that is quickest.

    Parameters
    ----------
    use : callable
        Sets the number of threads, as ``engine.use_threads`` does.
    cores : int
        The largest number.

    Attributes
    ----------
    threads : int
        The number in use.
    """

    def __init__(self, use: Callable[[int], None], cores: int) -> None:
        self._use = use
        self._numbers = [2**i for i in range(cores.bit_length()) if 2**i < cores] + [cores]
        self._block: list[tuple[int, float]] = []  # tokens and seconds of its steps so far
        self._times: dict[int, list[float]] = {}  # seconds a token in each block, by number
        self._best: Optional[float] = None  # seconds a token, once a comparison is done
        self._since = 0.0  # seconds since the comparison began
        self._compare()

    def step(self, tokens: int, seconds: float) -> None:
        """Note the time of a step, and set the number of threads of the next one.

        Parameters
        ----------
        tokens : int
            Tokens of the step: more of them take longer.
        seconds : float
        """
        self._block.append((tokens, seconds))
        steps = self._block[1:]  # in the first step with another number the threads wake up
        if len(steps) < STEPS or sum(taken for _, taken in steps) < SECONDS:
            return
        self._times[self.threads].append(
            sum(taken for _, taken in steps) / sum(read for read, _ in steps)
        )
        self._since += sum(taken for _, taken in self._block)
        self._block = []
        if self._best is None:
            self._continue_comparison()
        elif (self.threads > 1 and self._is_slow()) or self._since >= PAUSE:
            self._compare()

    def _compare(self) -> None:
        """Begin to time all numbers in turns."""
        self._times = {number: [] for number in self._numbers}
        self._best, self._since = None, 0.0
        self._set(self._numbers[-1])

    def _continue_comparison(self) -> None:
        """Time the number that was timed least, or choose."""
        fewest = min(self._numbers, key=lambda number: len(self._times[number]))
        if len(self._times[fewest]) < ROUNDS:
            self._set(fewest)
            return
        time = {number: median(times) for number, times in self._times.items()}
        quickest = min(self._numbers, key=time.__getitem__)
        self._set(quickest if time[1] > GAIN * time[quickest] else 1)
        self._best = time[self.threads]

    def _is_slow(self) -> bool:
        """Whether the last blocks all took much longer than those of the comparison."""
        assert self._best is not None
        return min(self._times[self.threads][-ROUNDS:]) > SLOWER * self._best

    def _set(self, threads: int) -> None:
        self.threads = threads
        self._use(threads)
        self._block = []
