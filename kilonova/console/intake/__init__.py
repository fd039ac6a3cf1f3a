"""What another Nova's message bus tells: taken from its notifications, kept for a while within bounds."""

from kilonova.console.intake.listener import Bus, Listener
from kilonova.console.intake.notices import Hearing, Notices
from kilonova.console.intake.reading import Notice

__all__ = ["Bus", "Hearing", "Listener", "Notice", "Notices"]
