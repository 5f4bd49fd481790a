"""Hostile files and arguments, by the thousand: each ends in a result or in an ``RNNError``.

``hostile``     what is drawn: damaged bytes, altered JSON, values of every wrong kind
``readers``     cases of the readers: valid files, and what is made of them
``interfaces``  cases of the public functions and classes, the compiled loops behind them too
``judge``       what a case may not do: another error, code, a file elsewhere, memory, time
``processes``   cases in processes of their own, whose memory is bounded and that may die
``coverage``    the readers under atheris, where that is installed

``make fuzz`` runs them; it needs hypothesis, as the tests do.
"""
