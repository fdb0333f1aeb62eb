"""A bucket of a test's own, and boto3's view of it: what a store holds is not judged by the code that put it there."""
import contextlib
import functools
import hashlib
import uuid

from .wait import wait_for


class Stored:
    """An object as boto3 got it: data, tags, metadata, content_type, disposition, encryption, etag (without quotes)."""

    def __init__(self, answer, tags):
        self.data = answer["Body"].read()
        self.tags, self.metadata = tags, answer["Metadata"]
        self.content_type, self.disposition = answer["ContentType"], answer.get("ContentDisposition")
        self.encryption, self.etag = answer.get("ServerSideEncryption"), answer["ETag"].strip('"')


@functools.cache
def _session():
    import boto3
    return boto3.session.Session()  # reads the descriptions of the services, once


def client_of(rgw, keys=None, service="s3", tls_ca=None, read_timeout=60, url=None):
    """A boto3 client, to be used for one purpose and dropped.

    keys   (access key, secret key[, session token]); None: those of the server's user
    """
    import botocore.handlers
    from botocore.config import Config
    access, secret, *token = keys or (rgw.access_key, rgw.secret_key)
    config = Config(signature_version="s3v4" if service == "s3" else None, s3={"addressing_style": "path"}, proxies={},
                    retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=read_timeout)
    client = _session().client(service, endpoint_url=url or (rgw.tls_url if tls_ca else rgw.url), config=config,
                                            region_name="us-east-1", verify=tls_ca, aws_access_key_id=access, aws_secret_access_key=secret,
                                            aws_session_token=token[0] if token else None)
    # botocore keeps a refusal that came instead of "100 Continue", and hangs on the connection's next PUT.
    client.meta.events.unregister("before-call.s3", botocore.handlers.add_expect_header)
    return client


def examined(gateway):
    """What a gateway found out about its bucket, {check: finding}: its probes are in the way of nobody then."""
    def look():
        storage = gateway.api("GET", "/v1/info", user="olga").json["storage"]
        return {x["check"]: x for x in storage["findings"]}
    return wait_for(look, "the bucket to be examined")


class Bucket:
    """A bucket of rgw with a name of its own; made by the constructor, remove() empties and removes it."""

    def __init__(self, rgw, session, name=None):
        self.rgw, self.session = rgw, session
        self.name = name or f"tests-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=self.name)

    def client(self, **kwargs):
        return client_of(self.rgw, **kwargs)

    # ---- what it holds ----

    def keys(self, prefix=""):
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [o["Key"] for page in pages for o in page.get("Contents", [])]

    def get(self, key, keys=None):
        client = self.client(keys=keys)
        tags = client.get_object_tagging(Bucket=self.name, Key=key).get("TagSet", [])
        return Stored(client.get_object(Bucket=self.name, Key=key), {t["Key"]: t["Value"] for t in tags})

    def uploads(self, probes=False):
        """[(key, upload id)] of the uploads that are open; probes: also that of an examination, which goes by itself."""
        found = self.client().list_multipart_uploads(Bucket=self.name)
        assert not found.get("IsTruncated")
        return [(u["Key"], u["UploadId"]) for u in found.get("Uploads", []) if probes or "/.pcapline-probe-" not in u["Key"]]

    def versions(self):
        """[(key, version id)], delete markers among them."""
        pages = self.client().get_paginator("list_object_versions").paginate(Bucket=self.name)
        return [(v["Key"], v["VersionId"]) for page in pages for kind in ("Versions", "DeleteMarkers") for v in page.get(kind, [])]

    def object_of(self, job, keys=None):
        """The object of a job that is ready: as long as the job says, with the SHA-256 that it says.  keys: of who may read it."""
        assert job["state"] == "ready", job
        stored = self.get(job["object"]["key"], keys)
        assert len(stored.data) == job["object"]["size_bytes"], f"{len(stored.data)} bytes are there: {job}"
        assert hashlib.sha256(stored.data).hexdigest() == job["object"]["sha256"], job
        return stored

    def is_empty(self):
        return not self.versions() and not self.uploads(probes=True)

    def remove(self):
        client = self.client()
        for key, upload in self.uploads(probes=True):
            client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload)
        for key, version in self.versions():
            client.delete_object(Bucket=self.name, Key=key, VersionId=version)
        with contextlib.suppress(client.exceptions.NoSuchBucket):
            client.delete_bucket(Bucket=self.name)

    # ---- for the gateway ----

    def config(self, endpoint=None, storage=None, **s3):
        """The gateway's configuration for this bucket; s3: overrides of its section, storage: of the section storage.

        endpoint   a FaultProxy's url, for example; None: the server itself
        """
        endpoint = endpoint or self.rgw.url
        section = {
            "endpoint": endpoint, "bucket": self.name, "credentials": "static", "access_key": self.rgw.access_key,
            "secret_key": self.rgw.secret_key, "part_min": "64KiB", "lifecycle": False, **s3,
        }
        if endpoint.startswith("http:"):
            section.setdefault("allow_http", True)
        return {"storage": {"driver": "s3", "chunk": "64KiB", "job_max": "512MiB", "sweep_interval": "200ms", **(storage or {})},
                "s3": {k: v for k, v in section.items() if v is not None}}
