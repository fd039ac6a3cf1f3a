"""What goes wrong between the console and a cloud, told in one sentence."""


class CloudError(Exception):
    """``message`` is for people; ``status`` is that of the cloud's answer, None where it gave none."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
