"""A stand-in for Railway: a real GraphQL endpoint on Railway's own schema, for the demo and the tests.

It shares no code with the client it is talked to by, so that the two can't share a misunderstanding, and
it never leaves the loopback interface unless it is told to.
"""

from logrelay.standin.canary import Canary
from logrelay.standin.faults import Faults
from logrelay.standin.journal import Asked, Connection, Journal
from logrelay.standin.rows import Line, Row
from logrelay.standin.server import StandIn
from logrelay.standin.services import Deployment, Instance, Service
from logrelay.standin.traffic import Traffic
from logrelay.standin.world import Clock, Environment, World

__all__ = [
    "Asked",
    "Canary",
    "Clock",
    "Connection",
    "Deployment",
    "Environment",
    "Faults",
    "Instance",
    "Journal",
    "Line",
    "Row",
    "Service",
    "StandIn",
    "Traffic",
    "World",
]
