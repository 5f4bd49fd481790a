"""What works with which Python, NumPy and compiler, as a table: ``make matrix``.

``__main__``      the environments, what runs in each, the table
``measurements``  what one environment can: run by its own Python, printed as JSON
"""
