"""Sample certificate request and certificate. Their private keys were deleted."""

from __future__ import annotations

import base64

CERTIFICATE_REQUEST = """\
-----BEGIN CERTIFICATE REQUEST-----
MIHWMH4CAQAwHDEaMBgGA1UEAwwRc2ltdWxhdGVkLmV4YW1wbGUwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAAT0tmzsCcyZCWpPMBqlF3+vI+htCUvMuW44m7CwP7x1
f/f8V6W+vK5Gy+WxMQm4u4DvJ9GRS2A8e/4UD+eKclDqoAAwCgYIKoZIzj0EAwID
SAAwRQIhAK7rkVZDniePXpB3vuEMQGyXeNDrp44aOOtFXcNMLcwgAiASdzwK3r/F
Nb1bhhtGg0C14LyRRTyRP/dlCnGuFEr3Rg==
-----END CERTIFICATE REQUEST-----
"""

# Valid for a hundred years, from an untrusted authority.
UNTRUSTED_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBMzCB26ADAgECAhRC69QwyEcSddsrURzrgMZiazixhTAKBggqhkjOPQQDAjAY
MRYwFAYDVQQDDA1Tb21lIE90aGVyIENBMCAXDTI2MDEwMTAwMDAwMFoYDzIxMjYw
MTAxMDAwMDAwWjAbMRkwFwYDVQQDDBBzdHJhbmdlci5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAE9LZs7AnMmQlqTzAapRd/ryPobQlLzLluOJuwsD+8
dX/3/FelvryuRsvlsTEJuLuA7yfRkUtgPHv+FA/ninJQ6jAKBggqhkjOPQQDAgNH
ADBEAiAaV9eqzyirXxsbwXp7AsfPJbh7hnPPeQiX8nkD21mAYQIgdsqTzrysYbEw
WlXFkxvXU3yp3k0UmIkGnvMFvuWl/QU=
-----END CERTIFICATE-----
"""

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def forged(certificate: str) -> str:
    """The certificate (PEM) with one bit of its signature flipped."""
    der = bytearray(base64.b64decode(certificate.replace(_BEGIN, "").replace(_END, "")))
    der[-1] ^= 1
    return f"{_BEGIN}\n{base64.encodebytes(bytes(der)).decode()}{_END}\n"
