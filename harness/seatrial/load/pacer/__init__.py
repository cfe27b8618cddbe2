"""The process that sends: `python -m seatrial.load.pacer DIRECTORY`, told by its standard input."""
