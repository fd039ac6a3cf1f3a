"""Runs in the consumers' environment: a notification listener of oslo.messaging, which prints what it gets.

    python oslo_listener.py TRANSPORT_URL EXCHANGE TOPIC[,TOPIC] COUNT

Ends after so many messages. It knows nothing of Kilonova.
"""

import json
import sys
import threading
from typing import Any

import oslo_messaging
from oslo_config import cfg

url, exchange, topics, count = sys.argv[1:]
done, lock = threading.Event(), threading.Lock()
got = 0


class Endpoint:
    """Takes notifications of every priority."""

    def _take(self, priority: str, told: tuple[Any, ...]) -> None:
        global got  # noqa: PLW0603
        names = ("context", "publisher_id", "event_type", "payload", "metadata")
        with lock:
            print(json.dumps({"priority": priority, **dict(zip(names, told, strict=True))}), flush=True)  # noqa: T201
            got += 1
            if got >= int(count):
                done.set()

    def info(self, *told: Any) -> None:
        """Of priority INFO."""
        self._take("info", told)

    def error(self, *told: Any) -> None:
        """Of priority ERROR."""
        self._take("error", told)


conf = cfg.ConfigOpts()
conf([], project="listener")
transport = oslo_messaging.get_notification_transport(conf, url=url)
targets = [oslo_messaging.Target(exchange=exchange, topic=topic) for topic in topics.split(",")]
listener = oslo_messaging.get_notification_listener(transport, targets, [Endpoint()], executor="threading")
listener.start()
print(json.dumps("ready"), flush=True)  # noqa: T201
done.wait(300)
listener.stop()
listener.wait()
