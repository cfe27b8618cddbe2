"""A team's own package: seatrial takes the model from `my_pkg.model:model`."""
