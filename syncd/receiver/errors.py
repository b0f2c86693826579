"""Defines the stable error codes of the receiver, and its exceptions."""

from enum import Enum


class ErrorCode(Enum):
    """An error of the APIs, as (status, default message).

    The multipart API returns its name as a stable code.
    """

    MALFORMED = 400, "The body is not valid for this request."
    INVALID_FIELD = 400, "A field is missing or has an invalid value."
    CHUNK_OUT_OF_RANGE = 400, "The upload has no chunk with that number."
    CHUNK_SIZE_WRONG = 400, "The chunk has the wrong length."
    CHUNK_MISSING = 400, "Not all chunks have arrived."
    HASH_MISMATCH = 400, "The content does not match its hash; the upload was dropped."
    UNAUTHORIZED = 401, "A valid bearer token is needed."
    FILE_TOO_LARGE = 403, "The file is too large for this receiver."
    ENCRYPTION_UNSUPPORTED = 403, "This receiver does not encrypt files; omit encrypt_password."
    HOST_NOT_ALLOWED = 403, "This receiver does not have that host name."
    CROSS_SITE = 403, "Requests from pages of other sites are refused."
    NOT_FOUND = 404, "The receiver has no such path."
    IMAGE_NOT_FOUND = 404, "Image not found."
    TASK_NOT_FOUND = 404, "Upload task not found; it may have expired."
    FILE_NOT_FOUND = 404, "File not found."
    METHOD_NOT_ALLOWED = 405, "This path does not support that method."
    BODY_STALLED = 408, "The body stopped arriving."
    IMAGE_EXISTS = 409, "The image already exists."
    CHUNK_EXISTS = 409, "The chunk already exists."
    BODY_TOO_LARGE = 413, "The body is too large for this request."
    UNSUPPORTED_MEDIA_TYPE = 415, "The payload format is not supported."
    INTERNAL_ERROR = 500, "The receiver failed; see its log."
    BUSY = 503, "The receiver is overloaded; try again in a moment."
    TOO_MANY_UNFINISHED = 503, "Too many uploads are unfinished; try again later."
    QUOTA_REACHED = 507, "The receiver's quota is used up."
    STORAGE_FULL = 507, "The receiver's disk is full."

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """The default message: one sentence for the user."""
        return self.value[1]


class ReceiverError(Exception):
    """Base class of the receiver's exceptions."""


class ApiError(ReceiverError):
    """Ends a request with an error response.

    `message` replaces the default message of `code`; `headers` are added to the response.
    """

    def __init__(self, code: ErrorCode, message: str | None = None, *, headers: dict[str, str] | None = None) -> None:
        self.code = code
        self.message = message or code.meaning
        self.headers = headers or {}
        super().__init__(self.message)


class FolderInUseError(ReceiverError):
    """Another receiver uses the folder."""


class TlsFilesError(ReceiverError):
    """The certificate or its key cannot be used; `problem` and `fix` are for the user."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        self.fix = "give the certificate chain and its key as readable PEM files, the key without a passphrase"
        super().__init__(f"{problem}; {self.fix}")


class TooManyUploadsError(ReceiverError):
    """The store has reached its limit of unfinished uploads."""


class StorageFullError(ReceiverError):
    """The quota or the disk is full; `code` is QUOTA_REACHED or STORAGE_FULL."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code = code
        super().__init__(message)


class UploadEndedError(ReceiverError):
    """The upload was finished or dropped during an operation on it."""


class DigestMismatchError(ReceiverError):
    """The content does not match its digest; the upload was dropped."""
