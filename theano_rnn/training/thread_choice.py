"""The number of threads, chosen by timing training steps: the setting ``threads=0``.

Threads wait for each other by spinning. With a second thread the step of a large
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
#: More threads than one leave a comparison early if their steps take so many times those of the
#: quickest block. Beside two busy programs a step with two threads can take seven times as long as
#: with one. One thread stays: beside busy programs the slowest of its blocks may be a slow one.
LOSES = 1.3
#: Seconds from one comparison to the next; after each that all other numbers have left early twice
#: as many as before, up to the longest: beside busy programs a step with two threads can take
#: seconds.
PAUSE, LONGEST_PAUSE = 60.0, 240.0
#: With more than one thread a comparison comes sooner if steps take so many times what they took
#: in the last one. What slows one thread down slows more threads down too.
SLOWER = 1.25
#: And at once if they take so many times that: a step can take twenty times as long.
FAR_SLOWER = 3.0
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
        self._left = list(self._numbers)  # those that the comparison still times
        self._steps = 0  # of the block so far, the first one left out: the threads wake up in it
        self._tokens, self._seconds = 0, 0.0  # of these steps
        self._first: Optional[tuple[int, float]] = None  # tokens and seconds of that one
        self._times: dict[int, list[float]] = {}  # seconds a token in each block, by number
        self._best: Optional[float] = None  # seconds a token, once a comparison is done
        self._since = 0.0  # seconds since the comparison began
        self._pause = PAUSE
        self._compare()

    @property
    def is_comparing(self) -> bool:
        """Whether steps are timed with all numbers in turns, and none is chosen yet."""
        return self._best is None

    def step(self, tokens: int, seconds: float) -> None:
        """Note the time of a step, and set the number of threads of the next one.

        Parameters
        ----------
        tokens : int
            Tokens of the step: more of them take longer.
        seconds : float
        """
        if self._first is None:
            self._first = tokens, seconds
        else:
            self._steps += 1
            self._tokens += tokens
            self._seconds += seconds
        self._since += seconds
        if self.threads > 1 and self._loses():
            if self._best is None:
                self._left.remove(self.threads)
                self._continue_comparison()
            else:
                self._compare()
            return
        if self._steps < STEPS or self._seconds < SECONDS:
            return
        self._times[self.threads].append(self._seconds / self._tokens)
        self._begin_block()
        if self._best is None:
            self._continue_comparison()
        elif (self.threads > 1 and self._is_slow()) or self._since >= self._pause:
            self._compare()

    def _compare(self) -> None:
        """Begin to time all numbers in turns."""
        self._left = list(self._numbers)
        self._times = {number: [] for number in self._numbers}
        self._best, self._since = None, 0.0
        self._set(1)

    def _loses(self) -> bool:
        """Whether the steps of the block show that this number cannot be the quickest."""
        assert self._first is not None
        (tokens, seconds), limit = self._first, FAR_SLOWER
        if seconds + self._seconds < SECONDS:
            return False
        if self._steps > 0:  # the first one alone says little: the threads wake up in it
            tokens, seconds = self._tokens, self._seconds
            limit = LOSES if self._best is None else FAR_SLOWER
        blocks = [time for times in self._times.values() for time in times]
        quickest = min(blocks) if self._best is None else self._best
        return seconds / tokens > limit * quickest

    def _continue_comparison(self) -> None:
        """Time the number that was timed least, or choose."""
        fewest = min(self._left, key=lambda number: len(self._times[number]))
        if len(self._left) > 1 and len(self._times[fewest]) < ROUNDS:
            self._set(fewest)
            return
        time = {number: median(self._times[number]) for number in self._left}
        quickest = min(time, key=time.__getitem__)
        one_is_as_quick = 1 in time and time[1] <= GAIN * time[quickest]
        self._set(1 if one_is_as_quick else quickest)
        self._best = time[self.threads]
        have_left = len(self._left) == 1 < len(self._numbers)
        self._pause = min(2 * self._pause, LONGEST_PAUSE) if have_left else PAUSE

    def _is_slow(self) -> bool:
        """Whether the last blocks all took much longer than those of the comparison."""
        assert self._best is not None
        return min(self._times[self.threads][-ROUNDS:]) > SLOWER * self._best

    def _set(self, threads: int) -> None:
        self.threads = threads
        self._use(threads)
        self._begin_block()

    def _begin_block(self) -> None:
        self._steps, self._tokens, self._seconds, self._first = 0, 0, 0.0, None
