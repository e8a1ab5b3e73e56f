"""The page of ``svc serve``: convert songs and fit singers from a browser, on this machine only."""
