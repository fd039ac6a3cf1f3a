"""The read model: what each view needs, gathered from a cloud through its public contract.

What only a Kilonova tells (``/state/v1``) is asked for where it is there, and left out where it is not; every
gathering says where its figures are from, when they were taken, and what it could not learn.
"""

from kilonova.console.board.failures import FailureGroup, Failures, failures
from kilonova.console.board.feed import Feed, feed
from kilonova.console.board.hosts import Host, Hosts, HostStory, host_story, hosts, list_hosts
from kilonova.console.board.look import Bar, Look, Source, checked_id
from kilonova.console.board.operation import OperationStory, find_operation
from kilonova.console.board.overview import Overview, overview
from kilonova.console.board.past import Past, past
from kilonova.console.board.samples import Samples
from kilonova.console.board.screen import screen_address
from kilonova.console.board.servers import ServerPage, find_servers, get_server_id, list_servers
from kilonova.console.board.story import ServerStory, server_story
from kilonova.console.board.troubled import Troubled, troubled
from kilonova.console.board.usage import Usage, usage

__all__ = [
    "Bar",
    "FailureGroup",
    "Failures",
    "Feed",
    "Host",
    "HostStory",
    "Hosts",
    "Look",
    "OperationStory",
    "Overview",
    "Past",
    "Samples",
    "ServerPage",
    "ServerStory",
    "Source",
    "Troubled",
    "Usage",
    "checked_id",
    "failures",
    "feed",
    "find_operation",
    "find_servers",
    "get_server_id",
    "host_story",
    "hosts",
    "list_hosts",
    "list_servers",
    "overview",
    "past",
    "screen_address",
    "server_story",
    "troubled",
    "usage",
]
