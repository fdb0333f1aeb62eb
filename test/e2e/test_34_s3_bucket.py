"""What the gateway finds out about its bucket, what it puts right there, and what it can erase with the rights that it has.

That a capture is stored whatever is found, and that a stranger is not told, is in test_30_s3.py; stores that answer wrongly are in test/unit/test_s3_bucket.c.
"""
import copy
import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from rig import PORT, wait_for
from rig.s3 import examined

FILTER = f"udp port {PORT}"
ALL = ["s3:*"]
SEVERITIES = ["good", "note", "warning", "error"]


@pytest.fixture
def looked_at(fleet, gateways, bucket):
    """looked_at(**config): (fleet, {check: finding}) of a gateway that stores in `bucket`; each call starts one more over the same agent."""
    made = []

    def make(endpoint=None, storage=None, **s3):
        config = bucket.config(endpoint, storage, **s3)
        if made:
            made.append(copy.copy(made[0]))
            made[-1].gateway = gateways({"web": made[0].agents}, config=config)
        else:
            made.append(fleet(1, config=config))
        made[-1].gateway.allowed_errors += ["storage.finding"]
        return made[-1], examined(made[-1].gateway)
    return make


@pytest.fixture
def keeper(rgw, bucket, session):
    """keeper(actions): gives a user of the test's own these rights in `bucket` and no others; the configuration's keys."""
    name = f"keeper-{uuid.uuid4().hex[:8]}"
    access, secret = rgw.other_user(name=name)
    session.secret(f"secret key of {name}", secret)

    def allow(actions):
        put_policy(bucket, {"Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam:::user/{name}"]}, "Action": actions})
        return {"access_key": access, "secret_key": secret}
    return allow


def put_policy(bucket, *statements, **client):
    names = [f"arn:aws:s3:::{bucket.name}", f"arn:aws:s3:::{bucket.name}/*"]
    policy = {"Version": "2012-10-17", "Statement": [{"Resource": names, **s} for s in statements]}
    bucket.client(**client).put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))


def not_without_tls(operator="BoolIfExists"):
    return {"Effect": "Deny", "Principal": "*", "Action": ALL, "Condition": {operator: {"aws:SecureTransport": "false"}}}


def keep_versions(bucket, status="Enabled"):
    bucket.client().put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": status})


def rules_of(bucket):
    return bucket.client().get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]


def stored(f):
    job = f.gateway.store(packet_filter=FILTER)
    f.send(count=20).wait()
    f.wait_captured(job, 20)
    ended = f.gateway.finish(job)
    assert ended["state"] == "ready", ended
    return ended


def assert_found(found, **expected):
    """check="severity", or check=("severity", "a word of the message")."""
    for check, want in expected.items():
        severity, word = (want, "") if isinstance(want, str) else want
        assert found[check]["severity"] == severity and word in found[check]["message"], found[check]


# ---- a bucket as it should be ----

@pytest.mark.slow
def test_strict_is_content_with_a_good_bucket(looked_at, rgw, bucket, pki, cli):
    put_policy(bucket, not_without_tls())
    f, found = looked_at(rgw.tls_url, {"strict": True}, ca=pki.ca, lifecycle=True)
    assert max(SEVERITIES.index(x["severity"]) for x in found.values()) <= SEVERITIES.index("note"), found
    assert_found(found, transport="good", tls_only="good", writable="good", erase="good", lifecycle="good")
    tls = {"url": rgw.tls_url, "tls_ca": pki.ca}
    assert not bucket.client(**tls).list_object_versions(Bucket=bucket.name).get("Versions"), "no probe is left"
    job = stored(f)
    assert f.gateway.api("DELETE", f"/v1/captures/{job['id']}").status == 204
    shown = cli(f.gateway, "olga").run("info")
    assert shown.code == 0 and all(f"{check}: " in shown.text for check in found), shown
    # One thing is made worse: refused, and it is said what.
    put_policy(bucket, not_without_tls(), {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"]}, **tls)
    f.gateway.restart()
    f.gateway.allowed_errors += ["storage", "store"]
    assert_found(examined(f.gateway), public_access=("error", "policy"))
    refused = f.gateway.api("POST", "/v1/captures", f.gateway.request(mode="store"))
    assert refused.status == 503 and "public_access" in refused.error["message"], refused
    bucket.client(**tls).delete_bucket_policy(Bucket=bucket.name)


# ---- strangers ----

def test_bool_is_not_enough_here(looked_at, rgw, bucket, pki):
    """This server does not know aws:SecureTransport of a plain request, so Bool denies nothing: plain http works, and it is told."""
    put_policy(bucket, not_without_tls("Bool"))
    assert_found(looked_at(rgw.tls_url, ca=pki.ca)[1], tls_only=("note", "BoolIfExists"), writable="good")
    assert_found(looked_at()[1], transport="warning", writable="good")


def test_plain_http_where_it_is_denied(looked_at, rgw, bucket, pki):
    tls = {"url": rgw.tls_url, "tls_ca": pki.ca}
    put_policy(bucket, not_without_tls(), **tls)
    f, found = looked_at()
    assert_found(found, transport="warning", reachable=("warning", "plain http"), writable="error")
    bucket.client(**tls).delete_bucket_policy(Bucket=bucket.name)


@pytest.mark.parametrize("acl", ["public-read", "authenticated-read"])
def test_public_acl(looked_at, bucket, acl):
    bucket.client().put_bucket_acl(Bucket=bucket.name, ACL=acl)
    assert_found(looked_at()[1], public_access=("error", "ACL"))


def test_public_access_block(looked_at, bucket):
    flags = {"BlockPublicAcls": False, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
    bucket.client().put_public_access_block(Bucket=bucket.name, PublicAccessBlockConfiguration=flags)
    assert_found(looked_at()[1], public_access=("note", "all four"), writable="good")
    # With the fourth this server refuses every object, and a multipart upload not: nobody would guess why.
    bucket.client().put_public_access_block(Bucket=bucket.name, PublicAccessBlockConfiguration={**flags, "BlockPublicAcls": True})
    assert_found(looked_at()[1], public_access=("good", "blocked"), writable=("error", "BlockPublicAcls"), uploads="good")
    assert bucket.is_empty()


# ---- rights ----

@pytest.mark.slow
def test_each_right_that_is_missing_is_named(looked_at, bucket, keeper):
    keep_versions(bucket)
    rights = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:PutObjectTagging"]
    steps = [
        ("s3:ListBucket", "reachable"), ("s3:AbortMultipartUpload", "uploads"), ("s3:ListBucketMultipartUploads", "uploads"),
        ("s3:GetBucketVersioning", "versioning"), ("s3:ListBucketVersions", "versioning"), ("s3:DeleteObjectVersion", "erase"),
        ("s3:GetLifecycleConfiguration", "lifecycle"), ("s3:PutLifecycleConfiguration", "lifecycle"),
    ]
    f, found = looked_at(lifecycle=True, **keeper(rights))
    for right, check in steps:
        assert found[check]["severity"] != "good" and right in found[check]["message"], (right, found[check])
        rights.append(right)
        keeper(rights)
        f.gateway.restart()
        found = examined(f.gateway)
    assert_found(found, reachable="good", uploads="good", versioning="note", erase="good", lifecycle=("good", "put in place now"))
    assert "error" not in [x["severity"] for x in found.values()], found


def test_not_erased_is_not_called_erased(looked_at, bucket, keeper):
    """Deleting only hides where versions are kept; who may do no more than that is told, and the capture stays to be erased."""
    keep_versions(bucket)
    most = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket", "s3:ListBucketVersions", "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads", "s3:PutObjectTagging"]
    f, found = looked_at(**keeper(most))
    assert_found(found, erase=("error", "s3:DeleteObjectVersion"))
    job = stored(f)
    key = job["object"]["key"]
    f.gateway.allowed_errors += ["storage", "store", "erase", "api"]
    refused = f.gateway.api("DELETE", f"/v1/captures/{job['id']}")
    assert refused.status >= 400 and "s3:DeleteObjectVersion" in refused.error["message"], refused
    assert key in [k for k, _ in bucket.versions()]
    keeper([*most, "s3:DeleteObjectVersion"])
    wait_for(lambda: f.gateway.api("DELETE", f"/v1/captures/{job['id']}").status == 204, "it to be erased")
    assert key not in [k for k, _ in bucket.versions()]


# ---- versions ----

@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_versions(looked_at, bucket, status):
    keep_versions(bucket, status)
    f, found = looked_at(lifecycle=True)
    assert_found(found, versioning=("note", status.lower()), erase="good", lifecycle="good")
    assert bucket.is_empty(), "the probe is gone with its versions"
    assert rules_of(bucket)[0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    job = stored(f)
    bucket.client().delete_object(Bucket=bucket.name, Key=job["object"]["key"])
    bucket.client().put_object(Bucket=bucket.name, Key=job["object"]["key"], Body=b"x")
    assert f.gateway.api("DELETE", f"/v1/captures/{job['id']}").status == 204
    assert bucket.is_empty()


@pytest.mark.slow
def test_more_versions_than_a_page(looked_at, bucket):
    keep_versions(bucket)
    f, _ = looked_at()
    job, client = stored(f), bucket.client()
    key = job["object"]["key"]
    with ThreadPoolExecutor(8) as at_once:
        list(at_once.map(lambda _: client.put_object(Bucket=bucket.name, Key=key, Body=b"x"), range(1100)))
    client.put_object(Bucket=bucket.name, Key=key + "2", Body=b"not ours")
    assert f.gateway.api("DELETE", f"/v1/captures/{job['id']}", timeout=120).status == 204
    assert [k for k, _ in bucket.versions()] == [key + "2"]


# ---- lifecycle ----

def others(n):
    """Rules of all kinds."""
    kinds = [
        {"Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}},
        {"Filter": {"Tag": {"Key": "team", "Value": "a&b <c>"}}, "Expiration": {"Days": 7}},
        {"Filter": {"And": {"Prefix": "captures/", "Tags": [{"Key": "x", "Value": "1"}, {"Key": "y", "Value": "2"}]}}, "Expiration": {"Days": 9}},
        {"Filter": {"Prefix": "old/"}, "Expiration": {"Date": "2030-01-01T00:00:00.000Z"}},
        {"Filter": {"Prefix": "v/"}, "NoncurrentVersionExpiration": {"NoncurrentDays": 5}},
        {"Filter": {"Prefix": "up/"}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 4}},
        {"Filter": {"Prefix": "captures/"}, "Expiration": {"Days": 400}, "Status": "Disabled"},
    ]
    return [{"ID": f"rule-{i:03}", "Status": "Enabled", **kinds[i % len(kinds)]} for i in range(n)]


def test_rules_of_others_are_kept(looked_at, bucket, rgw, buckets):
    client = bucket.client()
    client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration={"Rules": others(40)})
    before = rules_of(bucket)
    assert len(before) == 40
    f, found = looked_at(storage={"prefix": "captures", "retention": "25h"}, lifecycle=True)
    assert_found(found, lifecycle=("good", "put in place now"))
    after = {r["ID"]: r for r in rules_of(bucket)}
    ours = after.pop("pcapline-captures")
    assert list(after.values()) == before
    assert ours["Expiration"]["Days"] == 4 and ours["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 9
    # A second gateway, with a prefix of its own, and the first one with another retention.
    assert_found(looked_at(storage={"prefix": "staging/captures"}, lifecycle=True)[1], lifecycle=("good", "staging/captures/"))
    f.gateway.config["storage"]["retention"] = "6d"
    f.gateway.restart()
    assert_found(examined(f.gateway), lifecycle=("good", "8 days"))
    after = {r["ID"]: r for r in rules_of(bucket)}
    assert after.pop("pcapline-captures")["Expiration"]["Days"] == 8
    assert after.pop("pcapline-staging/captures")["Filter"] == {"Prefix": "staging/captures/"}
    assert list(after.values()) == before


def test_our_rule_made_useless_is_put_right(looked_at, bucket):
    f, _ = looked_at(lifecycle=True)
    right = rules_of(bucket)
    for worse in ({"Status": "Disabled"}, {"Expiration": {"Days": 3000}}, {"Filter": {"Prefix": "elsewhere/"}}):
        bucket.client().put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration={"Rules": [{**right[0], **worse}]})
        f.gateway.restart()
        assert_found(examined(f.gateway), lifecycle=("good", "put in place now"))
        assert rules_of(bucket) == right


@pytest.mark.slow
@pytest.mark.timeout_s(240)
def test_the_rule_deletes_versions(s3_servers, buckets, fleet):
    """A server whose days have six seconds: of a gateway that is gone, in a bucket that keeps versions, no packet is left."""
    bucket = buckets(s3_servers("short-days-versions", day_s=6))
    keep_versions(bucket)
    client = bucket.client()
    client.put_object(Bucket=bucket.name, Key="not-ours", Body=b"x")
    f = fleet(1, config=bucket.config(lifecycle=True, storage={"retention": "24h"}))
    assert_found(examined(f.gateway), lifecycle="good")
    key = stored(f)["object"]["key"]
    f.gateway.kill9()

    def data():
        return [v["Key"] for v in client.list_object_versions(Bucket=bucket.name).get("Versions", [])]
    assert key in data()
    wait_for(lambda: key not in data(), "the object's versions to be deleted by the store", timeout_s=180)
    assert data() == ["not-ours"]
