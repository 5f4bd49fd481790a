"""Many trials of one kind, run together and compared.

``grid``     settings written down as all combinations of some values
``results``  the file with a record for each trial
``cluster``  many at once, on Dask
"""
