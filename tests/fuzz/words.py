"""What is put where it does not belong."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.asking import Field

ODD = (
    b"", b"0", b"-1", b"1", b"+1", b"1_0", b"0x10", b"1e9", b"9" * 19, b"9" * 30, b"9" * 5000, b"-" + b"9" * 25,
    b"NaN", b"inf", b"%", b"%zz", b"%00", b"%ff", b"%c3%a9", b"%ed%a0%80", b"%0d%0aX: y", b"%2F", b"%25",
    b"\t", b"\xff\xfe", b"\xc3\xa9", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80",
    b"\xc2\xb2", b"\xd9\xa3", b"\xe2\x80\xa8", b"\xef\xbf\xbe", b"\xc2\x85", b"/", b"//", b"../", b".", b"?", b"#",
    b"&", b"=", b";", b",", b":", b"*", b'"', b"'", b"<a>", b"\\", b"$(x)", b"{}", b"[]", b"null", b"true", b"None",
    b"a" * 129, b"a" * 257, b"a" * 1025, b"a" * 9000, b"," * 3000, b"bytes=",
    b"bytes=0-0," * 60 + b"1-1", b"bytes=-0", b"Sun, 99 Nov 1994 08:49:37 GMT", b"1, 1",
)  # fmt: skip
RUDE = (b"\r\n", b"\n", b"\r", b"\x7f", b"\x00", b"a" * 17_000, b"\r\n\r\n", b" ", b"0\r\n\r\n")
rude = st.one_of(st.sampled_from(RUDE), st.binary(max_size=6))
"""What the server refuses wherever it stands in a head, so that no application sees it."""
_polite = st.binary(max_size=6).map(lambda raw: bytes(byte for byte in raw if byte > 0x20 and byte != 0x7F))
odd = st.one_of(st.sampled_from(ODD), st.sampled_from(ODD), _polite, st.sampled_from(RUDE))

PARAMETERS = (
    b"multipart-manifest=put", b"multipart-manifest=get", b"multipart-manifest=delete", b"format=json", b"format=raw",
    b"bulk-delete", b"extract-archive=tar", b"symlink=get", b"version-id=null", b"versions", b"heartbeat=on",
    b"async=on", b"part-number=1", b"temp_url_sig=aa", b"temp_url_expires=1800000000", b"temp_url_prefix=",
    b"limit=2", b"prefix=%ff", b"path=", b"reverse=on", b"version_marker=null", b"marker=ver", b"delimiter=/",
)  # fmt: skip

FIELDS: tuple[Field, ...] = (
    (b"Range", b"bytes=0-1,3-4"), (b"If-Match", b"*"), (b"If-None-Match", b"*"), (b"If-Range", b'"x"'),
    (b"ETag", b"x"), (b"If-Modified-Since", b"Sun, 06 Nov 1994 08:49:37 GMT"), (b"X-Copy-From", b"plain/slo"),
    (b"Destination", b"new/copy"), (b"Destination-Account", b"AUTH_away-id"),
    (b"X-Copy-From-Account", b"AUTH_away-id"), (b"X-Fresh-Metadata", b"on"), (b"X-Symlink-Target", b"plain/link"),
    (b"X-Symlink-Target-Account", b"AUTH_home-id"), (b"X-Symlink-Target-Etag", b"x"),
    (b"X-Symlink-Target-Bytes", b"5"), (b"X-Object-Manifest", b"web/d"), (b"X-Static-Large-Object", b"true"),
    (b"X-Versions-Enabled", b"true"), (b"X-Versions-Location", b"arch"), (b"X-History-Location", b"old"),
    (b"X-Web-Mode", b"on"), (b"X-Delete-At", b"1800000000"), (b"X-Delete-After", b"5"), (b"X-If-Delete-At", b"5"),
    (b"X-Remove-Delete-At", b"x"), (b"X-Open-Expired", b"true"), (b"X-Object-Meta-\xff", b"\xff"),
    (b"X-Object-Meta-A", b"\xc3\xa9"), (b"X-Object-Meta-", b"x"), (b"X-Container-Meta-Quota-Bytes", b"9"),
    (b"X-Account-Quota-Bytes", b"9"), (b"X-Account-Meta-Quota-Bytes", b"9"), (b"X-Container-Read", b".r:*"),
    (b"X-Account-Access-Control", b'{"admin":["a"]}'), (b"X-Storage-Policy", b"code"),
    (b"X-Container-Rfc-Compliant-Etags", b"true"), (b"X-Account-Rfc-Compliant-Etags", b"true"),
    (b"Origin", b"http://a.test"), (b"Referer", b"http://[x/"), (b"Accept", b"application/json;q=x, */*"),
    (b"Content-Type", b"multipart/form-data; boundary=x"), (b"Content-Type", b"text/html; charset=\xff"),
    (b"Content-Encoding", b"aws-chunked"), (b"X-Detect-Content-Type", b"true"), (b"Expect", b"100-continue"),
    (b"Connection", b"close"), (b"Connection", b"upgrade"), (b"Upgrade", b"h2c"), (b"TE", b"trailers"),
    (b"X-Trans-Id-Extra", b"\xff\x80"), (b"X-Timestamp", b"1"), (b"X-Backend-Storage-Policy-Index", b"1"),
    (b"X-Newest", b"true"), (b"X-Service-Token", b"reader"), (b"X-Storage-Token", b"stranger"),
    (b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"gzip, chunked"),
    (b"Trailer", b"X"), (b"X-Forwarded-Proto", b"https"), (b"X-Forwarded-Host", b"\xff"),
)  # fmt: skip
"""One of each header that means something, with a value that it may have."""
