"""The S3 side of the rig: the server, the judge and the proxy that does harm."""
import re
import subprocess

import pytest

from rig import FaultProxy, store_faults, wait_for
from rig.s3 import client_of

PART = b"p" * 65536


class Through:
    """boto3 through a proxy; a new client for each call, which waits so long for an answer."""

    def __init__(self, proxy, bucket):
        self.proxy, self.bucket, self.patience_s = proxy, bucket, 60

    def __getattr__(self, name):
        def call(key="k", **kwargs):
            client = client_of(self.bucket.rgw, read_timeout=self.patience_s, url=self.proxy.url)
            return getattr(client, name)(Bucket=self.bucket.name, Key=key, **kwargs)
        return call

    def fails(self, name, **kwargs):
        """The call fails: with S3's code, or with the name of the exception."""
        from botocore.exceptions import ClientError
        try:
            getattr(self, name)(**kwargs)
        except ClientError as e:
            return e.response["Error"]["Code"]
        except Exception as e:  # pylint: disable=broad-except
            return type(e).__name__
        raise AssertionError(f"{name} was good: {self.proxy.seen}")


@pytest.fixture
def through(store_proxy, bucket):
    return Through(store_proxy, bucket)


def test_server_keeps_its_data_over_an_outage(rgw, bucket):
    bucket.client().put_object(Bucket=bucket.name, Key="a/b c+d", Body=b"data", Tagging="user=x%20y", Metadata={"job": "j"})
    rgw.down()
    with pytest.raises(Exception, match="Could not connect"):
        bucket.keys()
    rgw.up()
    assert bucket.keys() == ["a/b c+d"] and not bucket.uploads()
    stored = bucket.get("a/b c+d")
    assert stored.data == b"data" and stored.tags == {"user": "x y"} and stored.metadata == {"job": "j"}


def test_server_by_tls_and_by_host_name(rgw, bucket, pki):
    client_of(rgw, tls_ca=pki.ca).put_object(Bucket=bucket.name, Key="k", Body=b"data")
    with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
        client_of(rgw, tls_ca="/etc/ssl/certs/ca-certificates.crt").list_buckets()
    link = bucket.client().generate_presigned_url("get_object", Params={"Bucket": bucket.name, "Key": "k"})
    assert link.startswith(rgw.url)
    done = subprocess.run(["curl", "-sSf", "--noproxy", "*", link], capture_output=True, check=True)
    assert done.stdout == b"data"
    # libcurl finds what ends in .localhost by itself
    url = f"http://{bucket.name}.s3.localhost:{rgw.port}/k"
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", url], capture_output=True, check=True)
    assert b"AccessDenied" in done.stdout and bucket.name.encode() in done.stdout


def test_other_keys(rgw, bucket):
    keys = rgw.new_keys()
    assert client_of(rgw, keys=keys).list_objects_v2(Bucket=bucket.name)["KeyCount"] == 0
    rgw.drop_keys(keys[0])
    for bad, told in ((keys, "InvalidAccessKeyId"), ((rgw.access_key, "0" * 40), "SignatureDoesNotMatch"), (rgw.other_user(), "AccessDenied")):
        with pytest.raises(Exception, match=told):
            client_of(rgw, keys=bad).list_objects_v2(Bucket=bucket.name)


def test_session_tokens(s3_servers, buckets):
    server = s3_servers("sts", sts=True)
    bucket, (access, secret, token) = buckets(server), server.session_keys()
    client_of(server, keys=(access, secret, token)).put_object(Bucket=bucket.name, Key="k", Body=b"data")
    for bad in ((access, secret), (access, "0" * 40, token), (access, secret, token[:-8] + "AAAAAAA=")):
        with pytest.raises(Exception, match="(403|400|Forbidden|AccessDenied|Invalid|SignatureDoesNotMatch)"):
            client_of(server, keys=bad).list_objects_v2(Bucket=bucket.name)


def test_proxy_passes_everything_on(through, store_proxy, bucket):
    through.put_object(Body=b"small", Tagging="a=b")
    upload = through.create_multipart_upload(key="big /+%")["UploadId"]
    parts = [{"PartNumber": n, "ETag": through.upload_part(key="big /+%", UploadId=upload, PartNumber=n, Body=PART)["ETag"]} for n in (1, 2)]
    assert len(through.list_parts(key="big /+%", UploadId=upload)["Parts"]) == 2
    through.complete_multipart_upload(key="big /+%", UploadId=upload, MultipartUpload={"Parts": parts})
    through.put_object_tagging(key="big /+%", Tagging={"TagSet": [{"Key": "c", "Value": "d"}]})
    assert through.head_object(key="big /+%")["ContentLength"] == 2 * len(PART)
    assert through.get_object(key="big /+%")["Body"].read() == 2 * PART == bucket.get("big /+%").data
    through.delete_object()
    assert store_proxy.ops() == ["put", "create", "part", "part", "list_parts", "complete", "put_tagging", "head", "get", "delete"]
    assert [s.part for s in store_proxy.of("part")] == [1, 2] and store_proxy.of("part")[0].bytes == len(PART)
    assert {s.status for s in store_proxy.seen} == {200, 204} and not store_proxy.met()


@pytest.mark.parametrize("fault, told, there", [
    (store_faults.slow_down, "SlowDown", False), (store_faults.internal_error, "InternalError", False),
    (store_faults.expired_token, "ExpiredToken", False), (store_faults.skewed, "RequestTimeTooSkewed", False),
    (store_faults.reset, "ConnectionClosedError|EndpointConnectionError|HTTPClientError|ConnectionError", False),
    (store_faults.cut_body, "ConnectionClosedError|HTTPClientError|ConnectionError", False),
    (store_faults.hang, "ReadTimeoutError", False), (store_faults.hang_after, "ReadTimeoutError", True),
    (store_faults.lose_answer, "ConnectionClosedError|HTTPClientError|ConnectionError", True), (store_faults.html_502, "502|", False),
], ids=lambda v: getattr(v, "__name__", None))
def test_each_fault_of_a_put(through, store_proxy, bucket, fault, told, there):
    store_proxy.fault(fault, op="put", match=lambda s: s.path.endswith("/k"))
    through.patience_s = 2 if told == "ReadTimeoutError" else 60
    found = through.fails("put_object", Body=PART)
    through.patience_s = 60
    assert re.fullmatch(told, found), found
    wait_for(lambda: (bucket.keys() == ["k"]) == there, "the store to have done it" if there else "the store to have dropped it")
    assert [s.fault for s in store_proxy.met()] == [fault.__name__]
    through.put_object(Body=b"again")
    assert bucket.get("k").data == b"again" and len(store_proxy.met()) == 1


def test_faults_of_an_answer(through, store_proxy):
    etag = through.put_object(Body=PART)["ETag"]
    store_proxy.fault(store_faults.wrong_etag, op="put")
    assert through.put_object(Body=PART)["ETag"] != etag == through.put_object(Body=PART)["ETag"]
    store_proxy.fault(store_faults.cut_answer, op="get")
    with pytest.raises(Exception, match="broken|Connection|Incomplete"):
        through.get_object()["Body"].read()
    assert through.get_object()["Body"].read() == PART
    store_proxy.fault(store_faults.drip, op="head")
    assert through.head_object()["ContentLength"] == len(PART)
    for fault in (store_faults.huge_headers, store_faults.not_xml, store_faults.redirect("http://127.0.0.1:1/")):
        store_proxy.fault(fault, op="list_parts")
        assert through.fails("list_parts", UploadId="x")
    store_proxy.fault(store_faults.endless, op="list_parts")
    url = f"{store_proxy.url}/{through.bucket.name}/k?uploadId=x"
    with subprocess.Popen(["curl", "-sS", "--noproxy", "*", url], stdout=subprocess.PIPE) as curl:
        assert len(curl.stdout.read(2 ** 22)) == 2 ** 22 and curl.poll() is None, "it has ended"
        curl.kill()


def test_faults_in_turn_and_as_long_as_wanted(through, store_proxy):
    store_proxy.fault(store_faults.slow_down, op="put", skip=1, times=2)
    through.put_object(Body=b"1")
    assert [through.fails("put_object", Body=b"2") for _ in range(2)] == ["SlowDown"] * 2
    through.put_object(Body=b"3")
    store_proxy.fault(store_faults.internal_error, times=None)
    assert [through.fails("put_object", Body=b"4") for _ in range(5)] == ["InternalError"] * 5
    store_proxy.heal()
    through.put_object(Body=b"5")


def test_proxy_ends_with_a_client_that_hangs(rgw, bucket):
    proxy = FaultProxy(("127.0.0.1", rgw.port))
    proxy.fault(store_faults.hang, times=None)
    curl = subprocess.Popen(["curl", "-sS", "--noproxy", "*", proxy.url], stderr=subprocess.DEVNULL)
    wait_for(lambda: proxy.met(), "the request")
    proxy.close()
    assert curl.wait(30) in (52, 56)
    assert proxy.ops() == ["bucket_get"]
