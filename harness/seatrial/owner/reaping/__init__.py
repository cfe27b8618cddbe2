"""What the reaper is made of: standard library only, and only relative imports, since it runs without `seatrial`."""
