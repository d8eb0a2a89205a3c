"""Amazon's request signatures, against the examples of its documents and the stock client's signer."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from authn.signatures import SignedRequest, decode_text, is_signed, is_signed_text

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# "Signature Version 2 signing process": the example of Elastic MapReduce.
VERSION_2 = SignedRequest(
    verb="GET",
    host="elasticmapreduce.amazonaws.com",
    path="/",
    params={
        "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "Action": "DescribeJobFlows",
        "SignatureMethod": "HmacSHA256",
        "SignatureVersion": "2",
        "Timestamp": "2011-10-03T15:19:30",
        "Version": "2009-03-31",
    },
    headers={},
    body_hash="",
)
SIGNATURE_2 = "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs="

# "Signature Version 4 signing process": the example of ListUsers.
SECRET_4 = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
VERSION_4 = SignedRequest(
    verb="GET",
    host="iam.amazonaws.com",
    path="/",
    params={"Action": "ListUsers", "Version": "2010-05-08"},
    headers={
        "Authorization": (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, Signature=x"
        ),
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Host": "iam.amazonaws.com",
        "X-Amz-Date": "20150830T123600Z",
    },
    body_hash=EMPTY,
)
SIGNATURE_4 = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"

# "Signature calculations for the Authorization header" of S3: GET Object; and version 2's of S3: photos/puppy.jpg.
S3_4 = (
    b"AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
    b"7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"
)
S3_SIGNATURE_4 = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
S3_2 = b"GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/johnsmith/photos/puppy.jpg"
S3_SIGNATURE_2 = "bWq2s1WEIj+Ydj0vQ697zp+IXMU="


def test_the_examples_of_the_documents() -> None:
    assert is_signed(VERSION_2, SECRET, SIGNATURE_2)
    assert is_signed(VERSION_4, SECRET_4, SIGNATURE_4)
    assert is_signed_text(S3_4, SECRET, S3_SIGNATURE_4)
    assert is_signed_text(S3_2, SECRET, S3_SIGNATURE_2)


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "PUT"},
        {"host": "elsewhere"},
        {"path": "/x"},
        {"params": {**VERSION_2.params, "Action": "TerminateJobFlows"}},
        {"params": {**VERSION_2.params, "SignatureVersion": "1"}},
    ],
)
def test_another_request_of_version_2(change: dict[str, object]) -> None:
    assert not is_signed(replace(VERSION_2, **change), SECRET, SIGNATURE_2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "PUT"},
        {"path": "/x"},
        {"params": {"Action": "ListRoles", "Version": "2010-05-08"}},
        {"body_hash": EMPTY[::-1]},
        {"headers": {**VERSION_4.headers, "Host": "elsewhere"}},
        {"headers": {**VERSION_4.headers, "X-Amz-Date": "20150831T123600Z"}},
        {"headers": {**VERSION_4.headers, "Authorization": "Basic x"}},
        {"headers": {**VERSION_4.headers, "Authorization": "AWS4-HMAC-SHA256"}},
        {"headers": {}},
    ],
)
def test_another_request_of_version_4(change: dict[str, object]) -> None:
    assert not is_signed(replace(VERSION_4, **change), SECRET_4, SIGNATURE_4)  # type: ignore[arg-type]


def test_the_wrong_secret_signature_or_text() -> None:
    assert not is_signed(VERSION_2, SECRET_4, SIGNATURE_2)
    assert not is_signed(VERSION_4, SECRET, SIGNATURE_4)
    assert not is_signed(VERSION_4, SECRET_4, "")
    assert not is_signed(VERSION_4, SECRET_4, "\ud800")
    assert not is_signed_text(S3_4, SECRET_4, S3_SIGNATURE_4)
    assert not is_signed_text(S3_2 + b"x", SECRET, S3_SIGNATURE_2)
    assert not is_signed_text(S3_4 + b"\n", SECRET, S3_SIGNATURE_4)
    assert not is_signed_text(S3_4.replace(b"/s3/", b"/ec2/"), SECRET, S3_SIGNATURE_4)


def test_a_signature_without_the_port() -> None:
    assert is_signed(replace(VERSION_2, host="elasticmapreduce.amazonaws.com:8773"), SECRET, SIGNATURE_2)


def test_a_signature_in_the_query() -> None:
    """As the header's, where the query says the same."""
    params = {
        **VERSION_4.params,
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request",
        "X-Amz-Date": "20150830T123600Z",
        "X-Amz-SignedHeaders": "host",
    }
    request = replace(VERSION_4, params=params, headers={"host": "iam.amazonaws.com"})
    signer = pytest.importorskip("keystoneclient.contrib.ec2.utils").Ec2Signer(SECRET_4)
    made = signer.generate(
        {
            "params": params,
            "verb": "GET",
            "host": request.host,
            "path": "/",
            "headers": request.headers,
            "body_hash": EMPTY,
        }
    )
    assert is_signed(request, SECRET_4, made)
    assert not is_signed(replace(request, params={**params, "Action": "x"}), SECRET_4, made)


@pytest.mark.parametrize("request_", [VERSION_2, VERSION_4])
@pytest.mark.parametrize("params", [{}, {"Filter.1": "a b/ü*~", "a": "2", "B": "1"}])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_what_the_stock_client_signs(request_: SignedRequest, params: dict[str, str], verb: str) -> None:
    utils = pytest.importorskip("keystoneclient.contrib.ec2.utils")
    request = replace(request_, verb=verb, params={**request_.params, **params})
    made = utils.Ec2Signer(SECRET).generate(
        {
            "params": dict(request.params),
            "verb": verb,
            "host": request.host,
            "path": request.path,
            "headers": dict(request.headers),
            "body_hash": request.body_hash,
        }
    )
    assert is_signed(request, SECRET, made)


def test_texts_that_are_none() -> None:
    assert decode_text(base64.urlsafe_b64encode(S3_4).decode()) == S3_4
    assert decode_text("x") is None
    assert decode_text("ü") is None
