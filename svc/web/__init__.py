"""The page of ``svc serve``: convert songs and fit speakers in a browser, on this machine only."""
