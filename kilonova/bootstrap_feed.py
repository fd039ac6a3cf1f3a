"""The composition of the feed: how rows are put into words, which sinks there are, and who carries to them."""

import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final, NamedTuple

from kilonova.bootstrap_place import open_database, open_state_dir, present
from kilonova.bus import Bus
from kilonova.bus.memory import MemoryBus
from kilonova.config import Settings
from kilonova.domain.errors import Invalid, SettingsUnusable
from kilonova.domain.journal import JournalRow
from kilonova.domain.model import Clock
from kilonova.notifications import Message, options_of, render
from kilonova.services.courier import Depot
from kilonova.services.feed import Feed
from kilonova.services.relay import Relay
from kilonova.sinks.kinds import SinkKinds
from kilonova.store.database import Database

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  what is listened on, and no address to go to


class FeedGround(NamedTuple):
    """What the feed stands on."""

    settings: Settings
    database: Database
    bus: Bus
    clock: Clock


def build_feed(ground: FeedGround, state_dir: Path, *, owner: str) -> tuple[Feed, Relay]:
    """The feed and its relay, with the sinks that the settings name; ``owner`` is what the relay holds leases as."""
    settings, kinds = ground.settings, SinkKinds(state_dir / "feed")
    options = options_of(
        settings.notifications,
        host=settings.DEFAULT.host,
        image_url=_image_url(settings),
        topics=settings.oslo_messaging_notifications.topics,
        audit_period=settings.DEFAULT.instance_usage_audit_period,
    )

    def put_into_words(row: JournalRow, format: str) -> Sequence[Message]:
        return render(row, replace(options, notification_format=format) if format else options)

    relay = Relay(
        Depot(
            database=ground.database,
            clock=ground.clock,
            render=put_into_words,
            kinds=kinds,
            owner=owner,
            lease_seconds=settings.feed.lease_seconds,
        ),
        ground.bus,
    )
    feed = Feed(ground.database, ground.clock, kinds, look_again=relay.look_again)
    _declare_sinks(feed, settings)
    return feed, relay


def _image_url(settings: Settings) -> str:
    """Where images are, as notifications name them; empty where the address is known to the running API only."""
    if settings.api.glance_link_prefix:
        return settings.api.glance_link_prefix.rstrip("/")
    place = settings.kilonova
    host = settings.DEFAULT.host if place.listen in _EVERYWHERE else place.listen
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{place.port}/image" if place.port else ""


def _declare_sinks(feed: Feed, settings: Settings) -> None:
    """The sinks that the settings name: files from the beginning on, RabbitMQ from now on."""
    wanted = settings.feed
    if wanted.file:
        feed.ensure("file", "file", {"max_mb": wanted.file_max_mb, "keep": wanted.file_keep}, after_seq=0)
    else:
        feed.withdraw("file")
    messaging = settings.oslo_messaging_notifications
    url = messaging.transport_url or settings.DEFAULT.transport_url
    if not url or messaging.driver == "noop":
        feed.withdraw("amqp")
        return
    rabbit = {
        "transport_url": url,
        "driver": messaging.driver,
        "control_exchange": settings.DEFAULT.control_exchange,
        "declare_queues": wanted.declare_queues,
        "queue_length": wanted.queue_length,
        **asdict(settings.oslo_messaging_rabbit),
    }
    try:
        feed.ensure("amqp", "amqp", rabbit, after_seq=None)
    except Invalid as error:
        raise SettingsUnusable(f"The settings of RabbitMQ: {error.message}") from error


def build_relay(settings: Settings, *, clock: Clock = present) -> tuple[Database, Relay]:
    """A relay alone, beside whatever else runs on the database."""
    state_dir, database = open_state_dir(settings), open_database(settings)
    host = settings.DEFAULT.host or socket.gethostname()
    settings = replace(settings, DEFAULT=replace(settings.DEFAULT, host=host))
    _, relay = build_feed(FeedGround(settings, database, MemoryBus(), clock), state_dir, owner=f"{host}:{os.getpid()}")
    return database, relay
