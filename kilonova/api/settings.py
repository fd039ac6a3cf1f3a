"""The settings of the API, named as Nova's."""

from dataclasses import dataclass

from kilonova.domain.options import option


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """``[metrics]``: what Prometheus scrapes, and who may."""

    public: bool = option(False, "Whether /metrics answers anybody; if not, a token is needed.")
    token: str = option("", "Scrape token, as bearer; empty for the one that is made in the state directory.")
    openstack_names: bool = option(
        False, "Whether /metrics also has the OpenStack exporter's names (openstack_nova_*), one sample a host."
    )
    servers: int = option(
        0, "Servers of which /metrics has counters of their own, twelve samples each; 0 for none.", least=0, most=10_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """``[api]``."""

    max_limit: int = option(1000, "Items that a page of a list has at most.", least=1)
    enable_instance_password: bool = option(True, "Whether the reply to a create has an adminPass.")
    compute_link_prefix: str = option("", "Scheme, host and path of links in replies; empty for those of the request.")
    glance_link_prefix: str = option(
        "", "Scheme, host and path of links to images in the image service; empty for /image."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddlewareSettings:
    """``[oslo_middleware]``."""

    max_request_body_size: int = option(
        114688, "Bytes that the body of a request may have (not of an image upload).", least=1
    )
    enable_proxy_headers_parsing: bool = option(
        False,
        "Whether the headers by which a proxy tells the address that was asked (Forwarded, X-Forwarded-*) count. Only "
        "behind a proxy that sets them.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """``[oslo_policy]``."""

    policy_file: str = option("", "A policy.yaml with the operator's own rules; empty for Nova's defaults alone.")
