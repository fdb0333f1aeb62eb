"""What a FaultProxy can do to a request: functions of its Call."""
import re
import time

from .fault_proxy import Cut


def error(code, message=""):
    """The body of a refusal by S3."""
    return (f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message>'
            "<RequestId>tx0000</RequestId><HostId>tests</HostId></Error>")


def named(name, function):
    function.__name__ = name
    return function


def refusal(status, code, message=""):
    """The store is not asked; it is answered for."""
    def fault(call):
        call.drain()
        call.answer(status, [("Content-Type", "application/xml")], error(code, message))
    return named(f"{status} {code}", fault)


def page(status, body="<!DOCTYPE html><html><body><h1>It works!</h1></body></html>"):
    """Not S3 at all."""
    def fault(call):
        call.drain()
        call.answer(status, [("Content-Type", "text/html")], body)
    return named(f"html {status}", fault)


def redirect(location):
    def fault(call):
        call.drain()
        call.answer(301, [("Location", location), ("Content-Type", "application/xml")], error("PermanentRedirect"))
    return named("301", fault)


def reset(call):
    """Cut before anything of the body was read."""
    raise Cut


def cut_body(call):
    """The store gets half of the body; then both ends are cut."""
    half = call.length // 2

    def first_half():
        yield from call.pieces(half)
        raise Cut
    call.upstream(first_half())


def lose_answer(call):
    """The store does what it was told; nobody hears of it."""
    call.seen.status, _, _ = call.upstream()
    raise Cut


def cut_answer(call):
    """Half of the answer's body, or of its head when it has none."""
    status, headers, body = call.upstream()
    head = call.head(status, headers, len(body))
    call.socket.sendall(head + body[:len(body) // 2] if body and call.seen.method != "HEAD" else head[:len(head) // 2])
    time.sleep(0.05)  # a reset overtakes what the client has not read yet
    raise Cut


def hang(call):
    """Nothing comes until heal() or close()."""
    call.drain()
    call.released.wait()
    raise Cut


def hang_after(call):
    """As hang, but the store has done it."""
    call.seen.status, _, _ = call.upstream()
    call.released.wait()
    raise Cut


def drip(call):
    """The answer comes byte by byte, at least the beginning of it."""
    status, headers, body = call.upstream()
    data = call.head(status, headers, len(body)) + (b"" if call.seen.method == "HEAD" else body)
    for byte in data[:200]:
        call.socket.sendall(bytes([byte]))
        if call.released.wait(0.005):
            raise Cut
    call.socket.sendall(data[200:])


def wrong_etag(call):
    """Another ETag than the store's, in the header and in the body."""
    status, headers, body = call.upstream()
    other = "0123456789abcdef0123456789abcdef"
    headers = [(k, re.sub("[0-9a-f]{32}", other, v) if k.lower() == "etag" else v) for k, v in headers]
    call.answer(status, headers, re.sub(rb"(<ETag>[^<]*?)[0-9a-f]{32}", rb"\g<1>" + other.encode(), body))


def endless(call):
    """XML that does not end."""
    call.drain()
    call.seen.status = 200
    call.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"<?xml version='1.0'?><A>"
    try:
        for _ in range(1 << 14):
            call.socket.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            piece = b"<A a='b'>text" * 5000
    finally:
        call.keep = False
    raise AssertionError("a gigabyte of XML was taken")


def huge_headers(call):
    call.drain()
    call.keep = False
    call.answer(200, [(f"x-amz-meta-{i}", "h" * 8000) for i in range(1000)])


def not_xml(call):
    """Good status, a body that is no XML."""
    call.drain()
    call.answer(200, [("Content-Type", "application/xml")], b"<<<\0\xff" * 10)


def error_in_200(call):
    """A complete that fails after its head was sent, as AWS does it."""
    call.drain()
    call.answer(200, [("Content-Type", "application/xml")], error("InternalError", "We encountered an internal error. Please try again."))


def short_pages(entries):
    """A list of parts comes in pages of so many."""
    def fault(call):
        status, headers, body = call.upstream()
        parts = re.findall(rb"<Part>.*?</Part>", body)
        if status == 200 and len(parts) > entries:
            last = re.search(rb"<PartNumber>(\d+)<", parts[entries - 1])[1]
            for part in parts[entries:]:
                body = body.replace(part, b"")
            body = re.sub(rb"(<NextPartNumberMarker>)\d*", rb"\g<1>" + last, body).replace(b"<IsTruncated>false", b"<IsTruncated>true")
            headers = [(k, v) for k, v in headers if k.lower() != "content-length"]
        call.answer(status, headers, body)
    return named(f"pages of {entries}", fault)


def takes_for_object(bucket):
    """Of a PUT with a query that the store does not look at: what is sent becomes the object.  bucket: a Bucket"""
    def fault(call):
        key = call.seen.path.split("/", 2)[2]
        bucket.client().put_object(Bucket=bucket.name, Key=key, Body=b"".join(call.pieces()))
        call.answer(200)
    return named("takes it for the object", fault)


html_200, html_404, html_502 = page(200), page(404), page(502)
slow_down = refusal(503, "SlowDown", "Please reduce your request rate.")
internal_error = refusal(500, "InternalError")
expired_token = refusal(403, "ExpiredToken", "The provided token has expired.")
skewed = refusal(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
no_rights = refusal(403, "AccessDenied")
