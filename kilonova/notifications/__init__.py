"""Nova's notifications, made from the journal: ``render(row, options)`` turns one row into the messages it stands for.

The seam::

    options = options_of(settings.notifications, host="ctl-1", image_url="http://ctl-1:8774/image")
    for row in journal.list_entries(connection, after_seq=cursor, limit=500):     # domain.journal.JournalRow
        for message in render(row, options):                                      # Message
            publish(exchange="nova", routing_key=message.routing_key, body=enclose(message.body))

``render`` is pure: it asks neither clock nor database, and makes the same messages with the same ids from the same
row, whenever and wherever. A row may be no message (Nova has no words for it) or several, which are to be sent in this
order. ``Message.routing_key`` is ``<topic>.<priority in lower case>``; ``Message.body`` is oslo.messaging's inner
message, which ``wire.envelope.enclose`` wraps for the driver ``messagingv2``; ``messaging`` sends it as it is.
Where several topics are set there is one message a topic, all with the same id: whoever does not care about topics
takes the first of each ``message_id``.

For those who write changes: a row is told by its operation, phase and event (``occasions.py``); where that is not
enough, ``Change.notices`` names what it is told as.
"""

from kilonova.notifications.message import Format, Message, Priority
from kilonova.notifications.options import NotificationOptions, NotificationSettings, options_of
from kilonova.notifications.rendering import render

__all__ = [
    "Format",
    "Message",
    "NotificationOptions",
    "NotificationSettings",
    "Priority",
    "options_of",
    "render",
]
