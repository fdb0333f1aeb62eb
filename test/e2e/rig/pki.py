"""Certificates: right ones, and wrong in each way that matters."""
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AGENT_NAME = "pcap-agent"
GATEWAY_NAME = "pcap-gateway"
DAY = datetime.timedelta(days=1)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Identity:
    """Paths of a certificate and its key."""

    def __init__(self, cert, key):
        self.cert, self.key = str(cert), str(key)


class Pki:
    """A private CA with what it signed, as PEM files in folder.

    ca                 path of its certificate
    agent              server certificate, DNS:pcap-agent
    gateway_client     client certificate, DNS:pcap-gateway
    gateway            server certificate for localhost, 127.0.0.1 and ::1
    """

    def __init__(self, session, folder, name="Pcapline test CA"):
        self.session = session
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        self.cert = (x509.CertificateBuilder().subject_name(_name(name)).issuer_name(_name(name)).public_key(self.key.public_key())
                     .serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + 30 * DAY)
                     .add_extension(x509.BasicConstraints(True, 0), True)
                     .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
                     .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
                     .sign(self.key, hashes.SHA256()))
        self.ca = str(self.folder / "ca.pem")
        pathlib.Path(self.ca).write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))
        self.agent = self.issue("agent", [AGENT_NAME])
        self.gateway_client = self.issue("gateway-client", [GATEWAY_NAME], client=True)
        self.gateway = self.issue("gateway", ["localhost"], ips=["127.0.0.1", "::1"])

    def issue(self, file, names, ips=(), client=False, expired=False, common_name=None, early=False):
        """A leaf.

        names    DNS subject alternative names; may be empty
        client   extended key usage clientAuth instead of serverAuth
        expired  its last day is over; early: its first day has not come
        """
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        begin, end = now - 2 * DAY, now + 30 * DAY
        if expired:
            end = now - DAY
        if early:
            begin = now + DAY
        alternatives = [x509.DNSName(n) for n in names] + [x509.IPAddress(ipaddress.ip_address(i)) for i in ips]
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (x509.CertificateBuilder().subject_name(_name(common_name or (names[0] if names else file)))
                   .issuer_name(self.cert.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(begin).not_valid_after(end).add_extension(x509.BasicConstraints(False, None), True)
                   .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), True)
                   .add_extension(x509.ExtendedKeyUsage([usage]), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False))
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        cert = builder.sign(self.key, hashes.SHA256())
        cert_path, key_path = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        cert_path.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        key_path.touch(0o600)
        key_path.write_bytes(pem)
        self.session.secret(f"private key {key_path}", pem.decode().splitlines()[1])
        return Identity(cert_path, key_path)
