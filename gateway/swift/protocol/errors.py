"""Refusals: every status that is not a success is chosen here or named where the protocol rule stands.

`RefusedError` is raised by features and turned into an answer by the outermost layer alone.
"""

from __future__ import annotations

Fields = list[tuple[bytes, bytes]]

REASONS: dict[int, tuple[str, str]] = {
    200: ("OK", ""),
    201: ("Created", ""),
    202: ("Accepted", "The request is accepted for processing."),
    204: ("No Content", ""),
    206: ("Partial Content", ""),
    301: ("Moved Permanently", ""),
    303: ("See Other", ""),
    304: ("Not Modified", ""),
    307: ("Temporary Redirect", ""),
    400: (
        "Bad Request",
        "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    ),
    401: (
        "Unauthorized",
        "This server could not verify that you are authorized to access the document you requested.",
    ),
    403: ("Forbidden", "Access was denied to this resource."),
    404: ("Not Found", "The resource could not be found."),
    405: ("Method Not Allowed", "The method is not allowed for this resource."),
    406: ("Not Acceptable", "The resource is not available in a format acceptable to your browser."),
    408: ("Request Timeout", "The server has waited too long for the request to be sent by the client."),
    409: ("Conflict", "There was a conflict when trying to complete your request."),
    411: ("Length Required", "Content-Length header required."),
    412: ("Precondition Failed", "A precondition for this request was not met."),
    413: ("Request Entity Too Large", "The body of your request was too large for this server."),
    416: ("Requested Range Not Satisfiable", "The Range requested is not available."),
    422: ("Unprocessable Entity", "Unable to process the contained instructions"),
    499: ("Client Disconnect", "The client was disconnected during request."),
    500: (
        "Internal Error",
        "The server has either erred or is incapable of performing the requested operation.",
    ),
    501: ("Not Implemented", "The requested method is not implemented by this server."),
    502: ("Bad Gateway", "Bad gateway."),
    503: ("Service Unavailable", "The server is currently unavailable. Please try again at a later time."),
    507: ("Insufficient Storage", "There was not enough space to save the resource."),
}

HTML = b"text/html; charset=UTF-8"
PLAIN = b"text/plain; charset=UTF-8"

PAGES = {
    status: f"<html><h1>{title}</h1><p>{text}</p></html>".encode() if text else b""
    for status, (title, text) in REASONS.items()
}


def status_line(status: int) -> str:
    """A status as the bodies of large-object answers spell it: `404 Not Found`."""
    return f"{status} {REASONS[status][0]}"


class RefusedError(Exception):
    """The request is answered with `status`. Without `text` the body is the stock page for that status."""

    def __init__(
        self, status: int, text: str | bytes | None = None, headers: Fields | None = None, kind: bytes = HTML
    ) -> None:
        super().__init__(status, text)
        self.status = status
        self.body = PAGES[status] if text is None else text.encode() if isinstance(text, str) else text
        self.headers = headers or []
        self.kind = kind
        self.stock = text is None

    @property
    def text(self) -> str:
        """The body as a report of a long operation quotes it."""
        return "\n".join(REASONS[self.status]) if self.stock else self.body.decode()


def bad_request(text: str) -> RefusedError:
    """400 with a plain sentence that says what is wrong."""
    return RefusedError(400, text, kind=PLAIN)


class UnauthorizedError(RefusedError):
    """401 to somebody unknown; the answer names the account that they may come back for."""

    def __init__(self, text: str | None = None) -> None:
        super().__init__(401, text)


class ClientGoneError(RefusedError):
    """The client went away in the middle of its own request; nobody is left to read the answer."""

    def __init__(self) -> None:
        super().__init__(499)
