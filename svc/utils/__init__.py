"""Small tools without a domain: units, atomic writes, progress bars, optional imports, hardware, process groups."""
