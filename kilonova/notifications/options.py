"""What decides which notifications there are and what is in them; names and choices are Nova's (contract §10.1)."""

from dataclasses import dataclass
from typing import Final

from kilonova.domain.audit import parse_cycle
from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.options import option

_FORMATS: Final = ("unversioned", "versioned", "both")
_STATE_CHANGES: Final = ("", "vm_state", "vm_and_task_state")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSettings:
    """``[notifications]``. Unlike Nova's, all is on until it is switched off."""

    notification_format: str = option("both", "Which notifications there are: unversioned, versioned or both.")
    notify_on_state_change: str = option(
        "vm_and_task_state",
        "Which changes of state compute.instance.update and instance.update tell: vm_state, vm_and_task_state, or "
        "empty for none at all, but for changed tags.",
    )
    versioned_notifications_topics: str = option(
        "versioned_notifications", "Topics of versioned notifications, separated by commas."
    )
    bdms_in_notifications: bool = option(False, "Whether payloads always tell the block devices.")
    include_share_mapping: bool = option(False, "Whether payloads tell the shares.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationOptions:
    """What rendering needs to know besides the row.

    ``host`` is the control plane's own name; ``image_url`` the image service's address, without a slash at its end,
    empty where legacy payloads are to have the plain image id; ``audit_period`` is ``[DEFAULT]
    instance_usage_audit_period``.
    """

    host: str
    notification_format: str = "both"
    notify_on_state_change: str = "vm_and_task_state"
    topics: tuple[str, ...] = ("notifications",)
    versioned_topics: tuple[str, ...] = ("versioned_notifications",)
    bdms_in_notifications: bool = False
    include_share_mapping: bool = False
    image_url: str = ""
    audit_period: str = "month"

    def __post_init__(self) -> None:
        """SettingsUnusable for what Nova would not take either."""
        _check("notification_format", self.notification_format, _FORMATS)
        _check("notify_on_state_change", self.notify_on_state_change, _STATE_CHANGES)
        parse_cycle(self.audit_period)

    @property
    def has_legacy(self) -> bool:
        """Whether unversioned notifications are wanted."""
        return self.notification_format != "versioned"

    @property
    def has_versioned(self) -> bool:
        """Whether versioned notifications are wanted."""
        return self.notification_format != "unversioned"


def options_of(
    settings: NotificationSettings,
    *,
    host: str,
    image_url: str = "",
    topics: str = "notifications",
    audit_period: str = "month",
) -> NotificationOptions:
    """The options that settings make. SettingsUnusable for values that are none."""
    return NotificationOptions(
        host=host,
        notification_format=settings.notification_format,
        notify_on_state_change=settings.notify_on_state_change,
        topics=_listed(topics),
        versioned_topics=_listed(settings.versioned_notifications_topics),
        bdms_in_notifications=settings.bdms_in_notifications,
        include_share_mapping=settings.include_share_mapping,
        image_url=image_url,
        audit_period=audit_period,
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(topic for part in text.split(",") if (topic := part.strip()))


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        known = ", ".join(choice or "nothing" for choice in choices)
        raise SettingsUnusable(f"The setting {name} in [notifications] is {value!r}; it may be {known}.")
