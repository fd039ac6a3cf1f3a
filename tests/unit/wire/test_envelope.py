import json

import pytest

from kilonova.wire.envelope import EnvelopeMalformed, disclose, enclose

BODY = {"event_type": "instance.pause.end", "payload": {"name": "wäb"}}
MESSAGE = json.dumps(BODY, ensure_ascii=False).encode()


def test_an_enclosed_message_is_json_in_json() -> None:
    outer = json.loads(enclose(MESSAGE))
    assert outer["oslo.version"] == "2.0"
    assert json.loads(outer["oslo.message"]) == BODY
    assert set(outer) == {"oslo.version", "oslo.message"}


def test_messages_are_opened_with_and_without_an_envelope() -> None:
    assert disclose(enclose(MESSAGE)) == BODY
    assert disclose(MESSAGE) == BODY


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff", b"{", b'{"oslo.version": "3.0", "oslo.message": "{}"}', b'{"oslo.version": "2.0"}']
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(EnvelopeMalformed):
        disclose(data)
