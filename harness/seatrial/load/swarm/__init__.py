"""Load by Locust: its master, workers, shape, web page and files, with pacers that send and figures that are exact."""
