"""The settings of the two kinds of remotes: the image API and the multipart API."""

import os
import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import Field, model_validator

from syncd.config.remote_values import Guid, HeaderName, HeaderValue, PoolId, Prefix, Secret, SecretAddress, Token, Url
from syncd.config.section import Section
from syncd.config.units import parse_size
from syncd.config.values import (
    DURATION,
    SIZE,
    ExistingFile,
    Expiry,
    File,
    Text,
    duration,
    one_or_several,
    size,
    word,
)

MAX_CHUNK_BYTES = parse_size("6MiB")
"""Largest request body that the multipart API accepts, in bytes."""


class Remote(Section):
    """The settings of both kinds. `token` holds the token, whatever its source."""

    url: Annotated[Url, Field(description="the server's address, as https://host")]
    former_urls: Annotated[tuple[Url, ...], one_or_several(), Field(alias="former_url")] = ()
    """Earlier addresses of the same server: their records apply to the present address."""
    account: Text | None = None
    """Distinguishes two accounts at one server, instead of the remote's name."""
    token: Token | None = None
    token_file: File | None = None
    token_env: str | None = None
    timeout: Annotated[float, duration(1, 3600), DURATION] = 60.0
    """Seconds without progress after which a request fails."""
    ca_file: ExistingFile | None = None
    client_cert: ExistingFile | None = None
    client_key: ExistingFile | None = None
    proxy: SecretAddress | None = None
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)

    def secrets(self) -> Iterator[str]:
        """Yield every secret of this remote, and those of the proxies in the environment.

        Of a header, yield also the part after its scheme, as in `Bearer …`.
        """
        for value in self.headers.values():
            yield value.get_secret_value()
            yield value.get_secret_value().rpartition(" ")[2]
        if self.token:
            yield self.token.get_secret_value()
        if self.proxy:
            yield from _proxy_secrets(self.proxy.get_secret_value())
        else:
            for name, url in os.environ.items():
                if name.lower().endswith("_proxy"):
                    yield from _proxy_secrets(url)

    @model_validator(mode="after")
    def _key_has_certificate(self) -> "Remote":
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("client_key needs a certificate — give client_cert too")
        return self


def _proxy_secrets(url: str) -> Iterator[str]:
    """Yield the secrets in a proxy's URL, which may lack its scheme."""
    if "@" not in url:
        return
    yield url
    login = re.sub(r"^[a-z0-9+.-]+://", "", url, flags=re.IGNORECASE).rpartition("@")[0]
    user, _, password = login.partition(":")
    yield from (password, unquote(password), f"{unquote(user)}:{unquote(password)}")  # the last is sent as Basic


class ImageRemote(Remote):
    """A remote of the image API. `chunk_size` counts characters of the encoded image."""

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
    chunk_size: Annotated[int, size(1024, MAX_CHUNK_BYTES), SIZE] = parse_size("5MiB")
    direct: Annotated[Literal["auto", "never"], word(off="never", on="auto")] = "auto"

    def secrets(self) -> Iterator[str]:
        """Yield every secret of this remote."""
        yield from super().secrets()
        if self.encrypt_password:
            yield self.encrypt_password.get_secret_value()


AnyRemote = Annotated[ImageRemote | MultipartRemote, Field(discriminator="type")]
