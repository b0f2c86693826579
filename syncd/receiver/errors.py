"""Every way in which the receiver says no: one table of stable codes, and the exceptions that lead to them."""

from enum import Enum


class Refusal(Enum):
    """A refusal's name is the stable code that the multipart API shows; its value is (status, meaning)."""

    MALFORMED = 400, "The body is not what this call takes."
    INVALID_FIELD = 400, "A field is missing or has a wrong value."
    CHUNK_OUT_OF_RANGE = 400, "The upload has no chunk of that number."
    CHUNK_SIZE_WRONG = 400, "The chunk is not as long as its place asks for."
    CHUNK_MISSING = 400, "Not all chunks have arrived."
    HASH_MISMATCH = 400, "The content does not have the promised hash; the upload was dropped."
    UNAUTHORIZED = 401, "A valid bearer token is needed."
    FILE_TOO_LARGE = 403, "The file is larger than this receiver takes."
    ENCRYPTION_UNSUPPORTED = 403, "This receiver does not encrypt; leave encrypt_password out."
    HOST_NOT_ALLOWED = 403, "This receiver does not go by that name."
    CROSS_SITE = 403, "Requests from pages of other sites are refused."
    NOT_FOUND = 404, "There is nothing at this address."
    IMAGE_NOT_FOUND = 404, "Image not found."
    TASK_NOT_FOUND = 404, "There is no such upload task; it may have expired."
    FILE_NOT_FOUND = 404, "File not found."
    METHOD_NOT_ALLOWED = 405, "This address does not take that method."
    BODY_STALLED = 408, "The body stopped arriving."
    IMAGE_EXISTS = 409, "The image already exists."
    CHUNK_EXISTS = 409, "The chunk already exists."
    BODY_TOO_LARGE = 413, "The body is larger than this call takes."
    UNSUPPORTED_MEDIA_TYPE = 415, "The payload format is not supported."
    INTERNAL_ERROR = 500, "The receiver failed; its log says why."
    BUSY = 503, "The receiver has too much to do; try again in a moment."
    TOO_MANY_UNFINISHED = 503, "Too many uploads are unfinished; try again later."
    QUOTA_REACHED = 507, "The receiver's quota is used up."
    STORAGE_FULL = 507, "The receiver's disk is full."

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """One sentence for a person."""
        return self.value[1]


class Fault(Exception):  # noqa: N818 - the ones below are named after what happened
    """The base of what the receiver raises itself."""


class Refused(Fault):
    """Ends a request with a refusal; `message` replaces the table's sentence, `headers` go with the answer."""

    def __init__(self, refusal: Refusal, message: str | None = None, *, headers: dict[str, str] | None = None) -> None:
        self.refusal = refusal
        self.message = message or refusal.meaning
        self.headers = headers or {}
        super().__init__(self.message)


class ReceiverBusy(Fault):
    """Another receiver has the folder."""


class TooManyUnfinished(Fault):
    """The store has as many uploads under way as it may have."""


class NoRoom(Fault):
    """There is no room for the content; `refusal` says of which kind."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        self.refusal = refusal
        super().__init__(message)


class Gone(Fault):
    """The upload ended while something was being done to it."""


class WrongDigest(Fault):
    """The content is not what its digest promised; the upload was dropped."""
