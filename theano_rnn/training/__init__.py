"""From a text and settings to a trained network in a run folder.

``settings``     one field per setting: default, values, what it does
``recipes``      settings that were found good together
``defaults``     settings that fit a text, for what the user left open
``adaptive``     K chosen before each epoch
``build``        the corpus, the network, the step and the stream that settings ask for
``loop``         epochs of steps, each followed by an evaluation and a checkpoint
``examples``     what the steps of an epoch read
``schedule``     the learning rate;  ``budget``, the epochs and minutes that are left
``thread_choice``  the number of threads, chosen by timing steps
``diagnosis``    what to tell of a step whose loss or gradient is not finite
``state``        where a training stands
``evaluation``   the loss of a text
``dynamic``      dynamic evaluation: the loss of a model that goes on learning
``result``       the best model judged on the test text, beside the baselines
``run_folder``   the files of a run;  ``checkpoint``, ``picture`` and ``tensorboard`` some of them
``start``        a training begun: new, from another run, or resumed
``load``         the network, the vocabulary and the settings of a run
``sampling``     sentences drawn from a network
"""
