"""A search for good settings of a training, by the validation loss of many trials.

``ranges``   the values that are tried for a setting, and how they are written
``plan``     the settings of all trials, and ranges of the others
``study``    which values the next trial has, in a file that survives a kill (Optuna)
``trial``    one training, pruned where others were better; a run folder like any other
``picture``  which settings matter
"""
