"""Would the tests notice? Small faults are put into the program, one at a time, and the tests run.

A mutant is the program with one fault. It is killed if a test fails, if the test takes ten times
its time and ten seconds more, or if the process dies. It survives if all tests that run its line
pass, or if they have taken 12 seconds of the processor: such a one counts as alive, whatever
tests are left.

``mutants``    the faults there are, by cosmic-ray's operators; what is left out, and why
``covering``   which tests run which line, and how long each takes
``trying``     one mutant under its tests, quickest file first, in a fork of a warm process
``processes``  the forks: so many at once, each with its time
``survivors``  those that live, each with its reason: ``survivors.json``

Files on disk stay as they are: a fork has not imported the program yet, and imports the mutated
text of one module in the place of the file. Nothing is compiled: Theano runs in Python (``cxx=``),
so that a mutated graph takes a second and not a minute. Tests that want a compiler fail without
one; they are not used here, nor are those that are slow, and what a test's own subprocesses
import is not mutated. So what is killed here is killed by the tests, but what survives here might
be killed by ``make test``.

``make mutation`` prints the table; it needs the extra ``proofs``.
"""
