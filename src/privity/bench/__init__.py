"""``privity bench``: what a computation on shares costs, beside the same in NumPy and what the machine allows."""
