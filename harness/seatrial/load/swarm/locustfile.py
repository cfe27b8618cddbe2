"""The locustfile: `locust -f …/seatrial/load/swarm/locustfile.py --host http://127.0.0.1:8080/ --seatrial-rate 200`.

A locustfile of one's own imports `PacerUser` from here, and gives a subclass of `seatrial.load.swarm.shape.Stages` for stages.
"""

from __future__ import annotations

from locust import events

from seatrial.load.swarm.installing import install
from seatrial.load.swarm.options import add_options
from seatrial.load.swarm.shape import PacerShape
from seatrial.load.swarm.user import PacerUser

__all__ = ["PacerShape", "PacerUser"]

events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(install)
