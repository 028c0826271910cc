"""The certificate that the played PayPal signs its messages with, made once per process."""

from __future__ import annotations

import base64
import zlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

#: Where it is found, below the address of the API.
PATH = "/v1/notifications/certs/CERT-360caa42-fca2a594"
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "messageverificationcerts.paypal.com")])
CERTIFICATE = (
    x509.CertificateBuilder()
    .subject_name(_NAME)
    .issuer_name(_NAME)
    .public_key(_KEY.public_key())
    .serial_number(1)
    .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
    .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
    .sign(_KEY, SHA256())
    .public_bytes(Encoding.PEM)
)


def sign(
    number: str, stamp: str, webhook: str, raw: bytes, address: str = "https://api.paypal.com"
) -> dict[str, str]:
    """Return the headers PayPal sends along with ``raw``."""
    text = f"{number}|{stamp}|{webhook}|{zlib.crc32(raw)}".encode()
    return {
        "Paypal-Transmission-Id": number,
        "Paypal-Transmission-Time": stamp,
        "Paypal-Transmission-Sig": base64.b64encode(_KEY.sign(text, PKCS1v15(), SHA256())).decode(),
        "Paypal-Cert-Url": f"{address}{PATH}",
        "Paypal-Auth-Algo": "SHA256withRSA",
    }
