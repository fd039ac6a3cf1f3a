"""Where brokers are, as Nova's configuration spells it."""

from typing import Any

import pytest

from kilonova.wire.transport_url import Broker, TransportUrlMalformed, masked, parse_transport_url


def test_a_transport_url_is_read_as_nova_writes_it() -> None:
    found = parse_transport_url("rabbit://open%40stack:se%2Fcret@one:5671,two/cloud?ssl=1")
    common: dict[str, Any] = {"user": "open@stack", "password": "se/cret", "virtual_host": "cloud", "is_tls": True}
    assert found == (Broker(host="one", port=5671, **common), Broker(host="two", port=5672, **common))
    for nonsense in ("http://host/", "rabbit://host:x/", "rabbit://host:0/", "rabbit:///", ""):
        with pytest.raises(TransportUrlMalformed):
            parse_transport_url(nonsense)
    assert masked("rabbit://u:secret@one:1,v:other@two/x") == "rabbit://u:***@one:1,v:***@two/x"
