"""The line to the libvirt daemon: opened when it is needed, again after the daemon was gone, with its events.

libvirt's own event loop runs on one thread of the process, for all connections. What it tells is handed on at once: a
``hear`` must not wait for anything.
"""

import functools
import importlib.util
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kilonova.domain.errors import HypervisorUnavailable, KilonovaError
from kilonova.drivers.libvirt.words import reason_of
from kilonova.drivers.mending import find_checkout, install_binding, install_libvirt

_LOG = logging.getLogger(__name__)
_KEEPALIVE: Final = (5, 3)
"""Every 5 s a sign of life; a daemon that gave none for three times is gone."""


@dataclass(frozen=True, slots=True)
class Happening:
    """What libvirt told of a domain, with a detail for people.

    ``what`` is ``state``, ``reset``, ``io_error``, ``watchdog`` or ``card_gone`` (of any device that went).
    """

    uuid: str
    what: str
    detail: str = ""


def has_binding() -> bool:
    """Whether the Python binding is installed. It is not loaded by asking."""
    return importlib.util.find_spec("libvirt") is not None


class Connection:
    """A connection to the daemon at ``uri``; thread-safe. ``opened`` is called after each time that it came about."""

    def __init__(self, uri: str, *, hear: Callable[[Happening], None], opened: Callable[[], None]) -> None:
        self.uri = uri
        self._hear = hear
        self._opened = opened
        self._guard = threading.Lock()
        self._handle: Any = None
        self._subscriptions: list[Callable[[], object]] = []
        self._is_lost = False
        self._is_closed = False

    def handle(self) -> Any:
        """The open ``virConnect``. Raises HypervisorUnavailable while the daemon does not answer."""
        with self._guard:
            if self._handle is not None and (self._is_lost or not self._handle.isAlive()):
                _LOG.warning("the libvirt daemon at %s is gone", self.uri)
                self._drop()
            if self._handle is None:
                if self._is_closed:
                    raise HypervisorUnavailable("the libvirt driver is closed")
                self._handle = self._open()
                self._opened()
            return self._handle

    @property
    def is_lost(self) -> bool:
        """Whether there was a connection that is gone, so that somebody should try anew."""
        return self._is_lost or self._handle is None

    def close(self) -> None:
        """Hang up for good."""
        with self._guard:
            self._is_closed = True
            self._drop()

    def _open(self) -> Any:
        library = _library()
        try:
            handle = library.open(self.uri)
            handle.setKeepAlive(*_KEEPALIVE)
            handle.registerCloseCallback(self._lose, None)
            self._subscribe(library, handle)
        except library.libvirtError as error:
            raise _unreachable(self.uri, reason_of(error, "open a connection")) from error
        self._is_lost = False
        return handle

    def _drop(self) -> None:
        handle, self._handle = self._handle, None
        if handle is None:
            return
        library = _library()
        subscriptions, self._subscriptions = self._subscriptions, []
        for step in (*subscriptions, handle.unregisterCloseCallback, handle.close):
            try:
                step()
            except library.libvirtError as error:  # the daemon is gone, and with it what was to be undone
                _LOG.debug("a connection to libvirt was not closed in order: %s", error)

    def _lose(self, *_: Any) -> None:
        self._is_lost = True

    def _subscribe(self, library: Any, handle: Any) -> None:
        def on_lifecycle(_: Any, domain: Any, event: int, detail: int, __: Any) -> None:
            self._hear(Happening(domain.UUIDString(), "state", f"libvirt event {event}, detail {detail}"))

        def on_reboot(_: Any, domain: Any, __: Any) -> None:
            self._hear(Happening(domain.UUIDString(), "reset"))

        def on_io_error(_: Any, domain: Any, path: str, alias: str, *how: Any) -> None:
            reason = str(how[1])  # behind the action, and before what was given at the registration
            what = f"access of {alias or path or 'a disk'}: {reason or 'failed'}"
            self._hear(Happening(domain.UUIDString(), "io_error", what))

        def on_watchdog(_: Any, domain: Any, action: int, __: Any) -> None:
            self._hear(Happening(domain.UUIDString(), "watchdog", f"its watchdog struck (action {action})"))

        def on_removed(_: Any, domain: Any, *__: Any) -> None:
            self._hear(Happening(domain.UUIDString(), "card_gone"))

        for event, call in (
            (library.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_lifecycle),
            (library.VIR_DOMAIN_EVENT_ID_REBOOT, on_reboot),
            (library.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, on_io_error),
            (library.VIR_DOMAIN_EVENT_ID_WATCHDOG, on_watchdog),
            (library.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, on_removed),
        ):
            number = handle.domainEventRegisterAny(None, event, call, None)
            self._subscriptions.append(functools.partial(handle.domainEventDeregisterAny, number))
        import libvirt_qemu

        # Of a device that libvirt did not bring in it tells nothing by itself.
        number = libvirt_qemu.qemuMonitorEventRegister(handle, None, "DEVICE_DELETED", on_removed, None)
        self._subscriptions.append(functools.partial(libvirt_qemu.qemuMonitorEventDeregister, handle, number))


def _unreachable(uri: str, why: KilonovaError) -> HypervisorUnavailable:
    text = f"libvirt does not answer at {uri}; install and start it with: {install_libvirt(find_checkout())}"
    return HypervisorUnavailable(text, detail=why.detail)


_loop_guard = threading.Lock()
_loop: threading.Thread | None = None


def _library() -> Any:
    """The binding, with its event loop running. Raises HypervisorUnavailable where it is not installed."""
    global _loop  # noqa: PLW0603 - libvirt has one event loop a process, and so have we
    try:
        import libvirt
    except ImportError as error:
        text = f"the Python binding of libvirt is not installed; install it with: {install_binding(find_checkout())}"
        raise HypervisorUnavailable(text, detail=str(error)) from error
    with _loop_guard:
        if _loop is None:
            libvirt.registerErrorHandler(lambda *_: None, None)  # else it writes every error to stderr
            libvirt.virEventRegisterDefaultImpl()
            _loop = threading.Thread(target=_turn, args=(libvirt,), name="libvirt-events", daemon=True)
            _loop.start()
    return libvirt


def _turn(library: Any) -> None:
    """Run the event loop for as long as the process lives."""
    library.virEventAddTimeout(1000, lambda *_: None, None)  # so that a turn ends even when nothing happens
    while True:
        try:
            library.virEventRunDefaultImpl()
        except library.libvirtError:
            _LOG.exception("libvirt's event loop stumbled")
