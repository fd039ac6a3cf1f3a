"""What goes wrong between the console and a cloud, told in one sentence."""


class CloudError(Exception):
    """``message`` is for people; ``status`` is that of the cloud's answer, None where it gave none."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class SignedOut(CloudError):
    """Who asked has signed out, or was, while this was still being asked: a 401 of the console's own."""

    def __init__(self) -> None:
        super().__init__("This login has been signed out.", status=401)
