"""What it costs to bring a file into a bucket: our store (spool, chunks, parts, checks) beside a raw PUT by curl, s3cmd and boto3, to one and
the same Ceph RADOS gateway on loopback."""
import os
import pathlib
import struct
import subprocess
import sys
import time

from place import BenchError
from rig.rgw import Rgw, missing

BUCKET = "bench"
BYTES = 512 * 2 ** 20

_BOTO3 = """
import sys, boto3
from botocore.config import Config
url, bucket, path = sys.argv[1:]
client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
client.upload_file(path, bucket, "boto3")
"""


def _block(kind, body):
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def make_file(path):
    """A pcapng file of BYTES bytes, about, of 1500-byte packets with random content."""
    head = _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + _block(1, struct.pack("<HHI", 1, 0, 65535))
    packets = b"".join(_block(6, struct.pack("<IIIII", 0, 0, n, 1500, 1500) + os.urandom(1500)) for n in range(1000))
    with open(path, "wb") as f:
        f.write(head)
        while f.tell() < BYTES:
            f.write(packets)


class Bucket:
    """The server and the file, made for the first round and gone with the place."""

    def __init__(self, place):
        if missing():
            raise BenchError(f"not installed: {' '.join(missing())}")
        self.place, self.file = place, place.dir / "upload.pcapng"
        self.server = Rgw(place.dir / "rgw", part_min=5 * 2 ** 20, bytes=3 * 2 ** 30, env=place.env).start()
        place.closing.append(self.server.close)
        self.env = {**place.env, "AWS_ACCESS_KEY_ID": self.server.access_key, "AWS_SECRET_ACCESS_KEY": self.server.secret_key}
        make_file(self.file)
        self.bytes = self.file.stat().st_size
        self._boto3("import sys, boto3; boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1').create_bucket(Bucket=sys.argv[2])",
                    self.server.url, BUCKET)

    def _boto3(self, text, *args):
        done = subprocess.run([sys.executable, "-c", text, *args], env=self.env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchError(f"boto3: {done.stderr.strip().splitlines()[-1]}")

    def empty(self):
        """The store's memory holds one upload at a time."""
        self._boto3("import sys, boto3\nc = boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1')\n"
                    "for o in c.list_objects_v2(Bucket=sys.argv[2]).get('Contents', []): c.delete_object(Bucket=sys.argv[2], Key=o['Key'])",
                    self.server.url, BUCKET)

    def timed(self, argv, env=None, stdin=None):
        """(seconds, CPU seconds) of a program that must succeed."""
        begin = time.monotonic()
        process = subprocess.Popen([str(a) for a in argv], env={**self.env, **(env or {})}, cwd=self.place.dir, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if stdin:
            process.stdin.write(stdin)
        process.stdin.close()
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode != 0:
            raise BenchError(f"{pathlib.Path(argv[0]).name} failed: {said.decode(errors='replace').strip()[-300:]}")
        return time.monotonic() - begin, usage.ru_utime + usage.ru_stime


class Upload:
    roles = ()

    def __init__(self, bucket):
        self.bucket = bucket


class Curl(Upload):
    """One PUT, nothing hashed: as fast as it can be."""

    name = "curl"

    def run(self):
        b = self.bucket
        keys = f'user = "{b.server.access_key}:{b.server.secret_key}"\n'
        return b.timed(["curl", "-sSf", "-K", "-", "--aws-sigv4", "aws:amz:us-east-1:s3", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-T", b.file,
                        f"{b.server.url}/{BUCKET}/curl"], stdin=keys.encode())


class S3cmd(Upload):
    name = "s3cmd"

    def run(self):
        b = self.bucket
        conf = b.place.dir / "s3cmd.cfg"
        conf.write_text(f"[default]\naccess_key = {b.server.access_key}\nsecret_key = {b.server.secret_key}\nuse_https = False\n"
                        f"host_base = 127.0.0.1:{b.server.port}\nhost_bucket = 127.0.0.1:{b.server.port}\n")
        return b.timed(["s3cmd", "-c", conf, "--no-progress", "put", b.file, f"s3://{BUCKET}/s3cmd"])


class Boto3(Upload):
    name = "boto3"

    def run(self):
        b = self.bucket
        return b.timed([sys.executable, "-c", _BOTO3, b.server.url, BUCKET, b.file])


class Uploader(Upload):
    """Our store by the calls that the gateway makes: spool, chunks, four parts at once, comparison, tags."""

    name = "uploader"

    def run(self):
        b = self.bucket
        folder = b.place.dir / "store"
        folder.mkdir(exist_ok=True)
        return b.timed([b.place.program("bench/store_put"), folder, b.server.url, BUCKET, b.file])
