"""One run over targets and suites: its directory, its deployments, its result."""
