"""The two kinds of remotes: the image API and the multipart API."""

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, model_validator

from syncd.config.section import Section
from syncd.config.units import parse_size
from syncd.config.values import (
    ExistingFile,
    Expiry,
    File,
    Guid,
    HeaderName,
    HeaderValue,
    PoolId,
    Prefix,
    Proxy,
    Secret,
    Text,
    Token,
    Url,
    duration,
    one_or_several,
    size,
    word,
)
from syncd.config.written import DURATION, SIZE

MAX_CHUNK = parse_size("6MiB")
"""The multipart API refuses a chunk with a longer body."""


class Remote(Section):
    """What both kinds have. `token` is the token itself, wherever the file takes it from."""

    url: Annotated[Url, Field(description="the server's address, as https://host")]
    former_urls: Annotated[tuple[Url, ...], one_or_several(), Field(alias="former_url")] = ()
    """Addresses that the same server had before: what is recorded for one of them holds for the present one."""
    account: Text | None = None
    """Tells two accounts at one server apart, in place of the remote's name."""
    token: Token | None = None
    token_file: File | None = None
    token_env: str | None = None
    timeout: Annotated[float, duration(1, 3600), DURATION] = 60.0
    """Seconds without any progress after which a request is given up."""
    ca_file: ExistingFile | None = None
    client_cert: ExistingFile | None = None
    client_key: ExistingFile | None = None
    proxy: Proxy | None = None
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)

    def secrets(self) -> Iterator[str]:
        """Yield every secret of this remote; of a header also the part after its scheme, as in `Bearer …`."""
        for value in self.headers.values():
            yield value.get_secret_value()
            yield value.get_secret_value().rpartition(" ")[2]
        if self.token:
            yield self.token.get_secret_value()
        if self.proxy and "@" in self.proxy.get_secret_value():
            yield self.proxy.get_secret_value()
            proxy = urlsplit(self.proxy.get_secret_value())
            user, password = unquote(proxy.username or ""), unquote(proxy.password or "")
            yield from (proxy.password or "", password, f"{user}:{password}")  # the last goes as Basic

    @model_validator(mode="after")
    def _key_has_certificate(self) -> "Remote":
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("client_key is of no use alone — give client_cert too")
        return self


class ImageRemote(Remote):
    """A remote of the image API. `chunk_size` counts characters of the text that is sent."""

    type: Literal["image"]
    chunk_size: Annotated[int, size(1, parse_size("1MiB")), SIZE] = parse_size("48KiB")
    encoding: Annotated[Literal["auto", "text", "base64url", "base64"], word()] = "auto"
    verify: Annotated[Literal["conflict", "always", "never"], word(off="never", on="always")] = "conflict"


class MultipartRemote(Remote):
    """A remote of the multipart API."""

    type: Literal["multipart"]
    prefix: Prefix = "/api/files/upload"
    pool_id: PoolId | None = None
    bundle_id: Guid | None = None
    expired_at: Expiry | None = None
    encrypt_password: Secret | None = None
    hash: Annotated[Literal["sha256", "md5"], word()] = "sha256"
    chunk_size: Annotated[int, size(1024, MAX_CHUNK), SIZE] = parse_size("5MiB")
    direct: Annotated[Literal["auto", "never"], word(off="never", on="auto")] = "auto"

    def secrets(self) -> Iterator[str]:
        """Yield every secret of this remote."""
        yield from super().secrets()
        if self.encrypt_password:
            yield self.encrypt_password.get_secret_value()


AnyRemote = Annotated[ImageRemote | MultipartRemote, Field(discriminator="type")]
