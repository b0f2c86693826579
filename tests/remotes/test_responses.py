"""Test the messages of responses, Retry-After, and the failure for each status."""

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.errors import Permanent, Scope, Transient, Unauthorized
from syncd.core.redact import Redactor
from syncd.remotes.response_failures import failure, retry_after
from syncd.remotes.responses import MAX_MESSAGE_CHARACTERS, Response
from tests.remotes.helpers import NOW

FILE, JOB, REMOTE = Scope.FILE, Scope.JOB, Scope.REMOTE


def answer(status: int = 400, body: object = b"", **headers: str) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(
        host="host:1",
        request_line="POST /image",
        status=status,
        headers=headers,
        body=data,
        redact=Redactor(("hush-hush", "psst")),
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"code": "400", "message": "Chunk ID field is missing."}, "Chunk ID field is missing."),
        ({"code": 400, "message": "no"}, "no"),
        ({"error": "upload is incomplete"}, "upload is incomplete"),
        ({"error": {"code": 7, "message": "inner"}}, "inner"),
        ({"Code": "400", "Message": "in capitals"}, "in capitals"),
        (
            {"error": {"Sha256": "exist_in_db=images", "Size": ["max=100", "int"]}},
            "Sha256: exist_in_db=images; Size: max=100, int",
        ),
        ({"code": "CHUNK_MISSING"}, "CHUNK_MISSING"),
        (
            {"title": "One or more errors.", "status": 400, "errors": {"hash": ["is short", "is odd"], "name": ["?"]}},
            "One or more errors.: hash: is short, is odd; name: ?",
        ),
        ({"errors": ["a", "b"]}, "a, b"),
        ("only a text", "only a text"),
        ({}, ""),
        ([1, 2], ""),
        (None, "null"),
        (b"", ""),
        (b"plain\r\nwords \x1b[31mred\x00 \xe2\x80\xae!", "plain words [31mred !"),
        (b"\xff\xfe\x00broken", "\ufffd\ufffd broken"),
        (b"<html><head><TITLE>413 Request &amp; too large</title>", "413 Request & too large"),
        (b"  <!doctype html><p>x", "an HTML page"),
        ({"message": "token hush-hush and psst!"}, "token *** and ***!"),
    ],
)
def test_message_by_body(body, message):
    assert answer(body=body).message() == message


def test_message_is_short_and_redacted():
    assert len(answer(body=b"x" * 500_000).message()) == MAX_MESSAGE_CHARACTERS
    assert "hush" not in answer(body=b"x" * (MAX_MESSAGE_CHARACTERS - 5) + b"hush-hush").message()


def test_message_of_truncated_body_has_no_part_of_secret():
    """A body of repeated secrets is shorter than the message limit after the redaction.

    Its end is an incomplete secret.
    """
    secret = "hush" * 5000
    body = (secret * 14)[: len(secret) * 13 + 5]
    for kind in ("text/plain", "text/html"):
        sent = f"<title>{body}" if kind == "text/html" else body
        response = Response(
            host="host:1",
            request_line="GET /",
            status=500,
            headers={"content-type": kind},
            body=sent.encode(),
            redact=Redactor([secret]),
        )
        assert response.message() == "***"


@pytest.mark.parametrize(
    ("body", "reported_error"),
    [
        ({"error": "no"}, "an error"),
        ({"errors": {"hash": ["is odd"]}}, "an error"),
        ({"error": None, "errors": [], "status": "active", "code": "OK", "success": True}, None),
        ({"success": False}, "success false"),
        ({"ok": False}, "ok false"),
        ({"status": "Failed"}, "status Failed"),
        ({"status": "x" * 50 + "failed"}, "a failed status"),
        ({"status": "failed\x1b[31m"}, "a failed status"),
        ({"status": 3}, None),
        ({"status": 5}, "status 5"),
        ({"status": "500"}, "status 500"),
        ({"status": 200, "code": "201"}, None),
        ({"code": 404}, "code 404"),
        ({"code": "CHUNK_MISSING"}, "code CHUNK_MISSING"),
        ({"code": 4}, None),
        ({"status": [[]], "code": True}, None),
        (["error"], None),
        (b"error", None),
    ],
)
def test_reported_error_by_body(body, reported_error):
    assert answer(200, body).reported_error() == reported_error


@pytest.mark.parametrize("body", [b"<p>", b" \n<!doctype html>", b"\xef\xbb\xbf<html>", b"\xef\xbb\xbf\n<html>"])
def test_is_html_without_content_type(body):
    assert answer(200, body).is_html
    assert not answer(200, body).ok


@given(st.binary(max_size=200) | st.from_type(type({})).map(lambda value: json.dumps(value, default=str).encode()))
def test_response_accepts_any_body(body):
    read = Response(host="h", request_line="GET /", status=500, body=body)
    assert len(read.message()) <= MAX_MESSAGE_CHARACTERS
    assert read.json() is None or isinstance(read.json(), dict)


def test_json_deep_nesting_is_none():
    assert answer(body=b"[" * 100_000).json() is None
    deep: object = "end"
    for _ in range(500):
        deep = {"error": deep}
    assert answer(body=deep).message() == ""


@pytest.mark.parametrize(
    ("status", "kind", "scope", "overload"),
    [
        (400, Permanent, None, None),
        (401, Unauthorized, None, None),
        (403, Permanent, None, None),
        (404, Permanent, None, None),
        (407, Transient, REMOTE, False),
        (408, Transient, JOB, True),
        (409, Permanent, None, None),
        (413, Permanent, None, None),
        (415, Permanent, None, None),
        (423, Transient, JOB, False),
        (425, Transient, JOB, False),
        (429, Transient, REMOTE, True),
        (500, Transient, JOB, False),
        (501, Permanent, None, None),
        (502, Transient, REMOTE, False),
        (503, Transient, REMOTE, True),
        (504, Transient, REMOTE, True),
        (507, Transient, REMOTE, False),
        (522, Transient, REMOTE, True),
        (599, Transient, JOB, False),
        (200, Transient, JOB, False),
        (301, Permanent, None, None),
        (302, Transient, REMOTE, False),
        (308, Permanent, None, None),
    ],
)
def test_failure_by_status(status, kind, scope, overload):
    found = failure(answer(status, {"message": "the words"}), now=NOW)
    assert type(found) is kind
    assert "the words" in str(found)
    assert "host:1" in str(found)
    if isinstance(found, Transient):
        assert (found.scope, found.overload) == (scope, overload)


@pytest.mark.parametrize(
    ("title", "advice"),
    [
        ("400 No required SSL certificate was sent", "set client_cert"),
        ("400 The SSL certificate error", "set client_cert"),
        ("400 The plain HTTP request was sent to HTTPS port", "set url to https"),
    ],
)
def test_failure_nginx_connection_page_is_remote(title, advice):
    page = f"<html><head><title>{title}</title></head></html>".encode()
    raised = failure(answer(400, page, content_type="text/html"), now=NOW)
    assert isinstance(raised, Transient)
    assert raised.scope is REMOTE
    assert advice in raised.advice
    assert isinstance(failure(answer(400, {"error": title}), now=NOW), Permanent)  # the API itself


def test_failure_without_message_has_status_phrase():
    assert str(failure(answer(415), now=NOW)) == "host:1 answered 415 to POST /image: Unsupported Media Type"
    assert str(failure(answer(499), now=NOW)) == "host:1 answered 499 to POST /image"


def test_failure_redirect_names_origin_only():
    moved = failure(answer(301, location="https://me:pw@other.example:8443/x?key=1"), now=NOW)
    assert str(moved).endswith("redirects to https://other.example:8443; set url to that")


@pytest.mark.parametrize(
    ("answered", "scope", "if_reachable"),
    [
        (answer(200, b"<html><title>Blocked</title>"), REMOTE, FILE),
        (answer(502), REMOTE, JOB),
        (answer(504), REMOTE, JOB),
        (answer(504, retry_after="5"), REMOTE, REMOTE),  # the message needs no advice
        (answer(503), REMOTE, REMOTE),
        (answer(507), REMOTE, REMOTE),
        (answer(429), REMOTE, REMOTE),
        (answer(500), JOB, JOB),
        (answer(302, location="https://login.example/"), REMOTE, REMOTE),
    ],
)
def test_failure_if_reachable_by_response(answered, scope, if_reachable):
    found = failure(answered, now=NOW)
    assert isinstance(found, Transient)
    assert found.scope is scope
    assert found.reduced().scope is if_reachable


def test_ok_html_page_is_false():
    page = answer(200, b"<html><title>Log in to the hotel</title>")
    assert not page.ok
    found = failure(page, now=NOW)
    assert isinstance(found, Transient)
    assert found.scope is REMOTE
    assert "Log in to the hotel" in str(found)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (formatdate(NOW + 60), 60.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("9" * 400, None),
        ("Wed, 99 Foo 2999 99:99:99 GMT", None),
        ("²", None),
    ],
)
def test_retry_after_by_header(value, seconds):
    assert retry_after(value, NOW) == seconds


def test_failure_has_retry_after():
    found = failure(answer(503, retry_after="7"), now=NOW)
    assert isinstance(found, Transient)
    assert found.retry_after == 7.0
