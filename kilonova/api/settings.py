"""The settings of the API, named as Nova's."""

from dataclasses import dataclass

from kilonova.domain.options import option


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """``[api]``."""

    max_limit: int = option(1000, "Items that a page of a list has at most.", least=1)
    enable_instance_password: bool = option(True, "Whether the reply to a create has an adminPass.")
    compute_link_prefix: str = option("", "Scheme, host and path of links in replies; empty for those of the request.")
    max_request_body_size: int = option(
        114688, "Bytes that the body of a request may have (not of an image upload).", least=1
    )
