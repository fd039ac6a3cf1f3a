"""Make the README's picture: a real first session with a real cloud, as the terminal shows it.

.venv/bin/python scripts/picture.py docs/pictures/first-server.svg
"""

import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.compat.cloud import StartedCloud
from tests.compat.conftest import end_guests
from tests.waiting import wait_until

WIDTH = 104
SESSION = (
    "server create --flavor m1.tiny --image tiny --wait web1 -c name -c status -c addresses",
    "console log show web1",
    "server stop web1",
    "server event list web1 -c Action -c 'Start Time' -c 'Request ID'",
    "server create --flavor m1.xlarge --image tiny --wait big",
    "server show big -c status -c fault --max-width 100",
)


def tidied(text: str, home: Path) -> str:
    """The output without this machine's own places, and without the password."""
    text = re.sub(r"password \S+", "password ••••••••••••", text)
    return text.replace(str(home / "state"), "~/.local/share/kilonova").replace(str(home), "~").rstrip()


def main() -> None:
    """Run the session and write the picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        cloud = StartedCloud(home, driver="auto", port=8774)
        try:
            cloud.start()
            say(console, "make up", tidied(cloud.output, home))
            for line in SESSION:
                say(console, f"openstack {line}", tidied(answer(cloud, line), home))
        finally:
            cloud.close()
            end_guests(home)
    svg = console.export_svg(title="Kilonova")
    # The pages that show it load nothing from elsewhere: no web fonts.
    svg = re.sub(r"@font-face\s*{.*?}", "", svg, flags=re.DOTALL)
    Path(sys.argv[1]).write_text(svg, "utf-8")


def answer(cloud: StartedCloud, line: str) -> str:
    """What the openstack client prints for the line."""
    words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", line)]
    if words[0] == "console":
        wait_until(lambda: "READY" in cloud.openstack(*words), "the guest to be ready")
    return cloud.openstack(*words, fails="big" in words and "create" in words)


def say(console: Console, command: str, output: str) -> None:
    """One command and its answer."""
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    if output:
        console.print(Text(output))
    console.print()


if __name__ == "__main__":
    main()
