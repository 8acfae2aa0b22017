"""One connection's talk: its messages are read and obeyed until the first end that is given. Nothing of logs."""

import asyncio
import logging
from abc import ABC, abstractmethod

from logrelay.errors import Disconnect, FilterInvalid, MessageInvalid
from logrelay.web import protocol
from logrelay.web.endings import failed, flooding, gone
from logrelay.web.greeting import standing
from logrelay.web.leases import Lease
from logrelay.web.limits import ClientLimits
from logrelay.web.protocol import AuthCommand, Command
from logrelay.web.socket import Socket

logger = logging.getLogger(__name__)


class Connection(ABC):
    """A socket and the lease that it rests on. What is obeyed, and what is sent by itself, is a subclass's business."""

    __slots__ = ("__weakref__", "_ended", "_lease", "_limits", "_reading", "_socket")

    def __init__(self, socket: Socket, lease: Lease, limits: ClientLimits) -> None:
        self._socket = socket
        self._lease = lease
        self._limits = limits
        self._ended: Disconnect | None = None
        self._reading: asyncio.Task[object] | None = None  # while messages are being read

    @property
    def written(self) -> int:
        """Bytes that were written to the socket."""
        return self._socket.written

    def end(self, end: Disconnect) -> None:
        """End the connection; the first end given counts."""
        if self._ended is None:
            self._ended = end
            if self._reading is not None:
                self._reading.cancel()

    def drain(self, seconds: float) -> None:
        """Say that the relay is about to restart, and when to come back."""
        self._socket.send(protocol.status("draining", {"reconnectInSeconds": seconds}))

    def abort(self) -> None:
        """Free the socket at once."""
        self._socket.abort()

    async def _read_on(self) -> None:
        """Run the read pump until it ends, or the connection does for another reason."""
        self._reading = task = asyncio.current_task()
        assert task is not None  # noqa: S101 coroutines run in tasks
        try:
            await self.read_pump()
            end = gone()
        except Disconnect as ended:
            end = ended
            end.__traceback__ = None  # its frames would keep this client in memory until the next collection
        except asyncio.CancelledError:
            # As in asyncio.timeout: a cancellation that `end` has asked for is ours, and goes no further.
            if self._ended is None or task.uncancel():
                raise
            return
        except Exception:
            logger.exception("connection failed")
            end = failed()
        finally:
            self._reading = None
        self.end(end)

    async def read_pump(self) -> None:
        """Take the client's messages until it leaves."""
        invalid = 0
        while (text := await self._socket.message()) is not None:
            try:
                command = protocol.command(text)
                if isinstance(command, AuthCommand):
                    await self._renew(command)
                else:
                    self._obey(command)
            except FilterInvalid as error:
                self._socket.send(protocol.error("filter_invalid", str(error), retryable=False))
            except MessageInvalid as error:
                self._socket.send(protocol.error("message_invalid", str(error), retryable=False))
                invalid += 1
                if invalid >= self._limits.invalid_messages:
                    raise flooding("too many messages that can't be understood") from None
            if self._socket.full:
                # Answers are for those who read them: the next message isn't looked at before.
                await self._socket.writable()

    async def _renew(self, command: AuthCommand) -> None:
        """Show who is calling anew; the stream goes on in place. Raises Disconnect."""
        await self._lease.renew(command.token)
        self._socket.send(protocol.status("authenticated", standing(self._lease)))

    @abstractmethod
    def _obey(self, command: Command) -> None:
        """Do what a message asks for. Raises FilterInvalid and MessageInvalid, which are answered."""
