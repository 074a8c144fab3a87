"""Detects personal data and secrets in values that should be names, by pattern.

Patterns detect e-mail addresses, card numbers and tokens. They cannot distinguish a surname from the name of a document
type: use the allow-lists for that (`TRUST_OTEL_CLIENT_NAMES`, `TRUST_OTEL_DOCUMENT_TYPES`).
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote

# Fast path for most names: words without digits, which numbers, addresses and tokens have; object identifiers with more
# parts than an address.
_PLAIN: Final = re.compile(r"[A-Za-z_./:{}<>*#-]*|[0-2](?:\.\d{1,7}){4,}")

_SPECIAL: Final = re.compile("[@=]")
_IDENTITY: Final = re.compile(
    r"""
      [\w.+-]@[^\W\d_]                  # an e-mail address, an account at a host
    | //[^/\s]*@                         # user and password of a URL
    | [?&][\w.-]+=                       # the query of a URL
    | (?:^|[,+/;\s])(?:CN|SN|GN|UID|E|emailAddress|serialNumber)=    # the subject of a certificate (RFC 4514)
    """,
    re.VERBOSE,
)

_EIGHT_DIGITS: Final = re.compile(r"(?:\D*\d){8}")
# 8 digits may be a date. Other numbers of 8 digits and more count as personal.
_NUMBER: Final = re.compile(
    r"""
      (?<!\d)(?<!0x)(?!(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?!\d))\d{8,}  # a card, an IBAN, a phone
    | (?<![\d.])\d{4}([-./ ])\d{4}\1\d{4}\1\d{1,7}(?![\d.])          # a card in groups
    | (?<![\d.])\d{4}([-. ])\d{6}\2\d{4,5}(?!\d)                     # one with 14 or 15 digits
    | (?<!\w)\+\d[-./() \d]{6,}\d                                    # a phone number with country code (E.164)
    | (?<!\w)\(?0\d{2,4}\)?[-/ ]\d{6,}                               # a national phone number
    | (?<!\d)\d{3}-\d{2}-\d{4}(?!\d)                                 # a national id: United States
    | (?<!\d)(?:\d\d)?\d{6}[-+A]\d{3}[\dA-Z](?!\w)                   # a national id: Denmark, Finland, Sweden
    | [\da-fA-F]{8}-(?:[\da-fA-F]{4}-){3}[\da-fA-F]{12}              # a UUID (RFC 9562)
    """,
    re.VERBOSE,
)

_DOTTED: Final = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
_COLONS: Final = re.compile(r"(?<![\w:])[\da-fA-F]{0,4}:[\da-fA-F:]*:[\da-fA-F.]*(?![\w:])")
_OCTETS: Final = re.compile(r"(?:[\da-fA-F]{2}[:-]){5,}[\da-fA-F]{2}")  # a fingerprint, a MAC address
# Prefixes of object identifiers of algorithms, attributes and policies. Some have four parts, like IPv4 addresses.
_OBJECT_IDENTIFIERS: Final = ("0.4.", "1.2.", "1.3.", "2.5.", "2.16.")

_MIN_TOKEN: Final = 16
_MIN_RANDOM: Final = 20
_MIN_BASE64: Final = 22  # 128 bits in base64url
_PREFIXED: Final = re.compile(r"(?<![A-Za-z\d])(?:eyJ|gh[opsu]_|xox[abp]-|hvs\.|AKIA|ASIA|sk_live_|sk_test_)[\w-]{8,}")
_LONG_WORD: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{16,}")
_LONG_RUN: Final = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{22,}")
_HEXADECIMAL: Final = re.compile(r"(?=.*[a-fA-F])(?=.*\d)[\da-fA-F]{16,}")
_DIGITS: Final = re.compile(r"\d+")
# A capital letter followed by lowercase letters is part of the word.
_PART: Final = re.compile(r"\d+|[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[A-Z]")
_MAX_NUMBERS: Final = 3


def looks_private(text: str, *, addresses: bool = False) -> bool:
    """Whether a text looks like personal data or a secret, and not like a name from code or a setting.

    Names are single words such as `tls_server`, `certificate.issue`, `1.2.840.113549.1.1.11`, `trust/tls-secret`,
    `/users/{user_id}` or `ca.example.com:8443`. A path, which starts with `/`, may contain spaces.

    Args:
        text: The text to check.
        addresses: Whether IP addresses are allowed, as in a host name.
    """
    if _PLAIN.fullmatch(text):
        return False
    if "%" in text:
        text = unquote(text)  # percent-encoded, as in URL paths
    if not text.isascii():
        text = normalize("NFKC", text)  # full-width characters become ASCII, which the patterns match
    if len(text.split(None, 1)) > 1 and (text[0] != "/" or text.startswith("/*")):
        return True
    return contains_private(text) or (not addresses and contains_address(text))


def contains_private(text: str) -> bool:
    """Whether a text of any kind contains an e-mail address, a personal number, a token or credentials of a URL."""
    if _SPECIAL.search(text) and _IDENTITY.search(text):
        return True
    if _EIGHT_DIGITS.match(text) and _NUMBER.search(text):
        return True
    if text.count(":") + text.count("-") >= 5 and _OCTETS.search(text):
        return True
    return len(text) >= _MIN_TOKEN and _contains_token(text)


def contains_address(text: str) -> bool:
    """Whether a text contains an IP address."""
    if text.count(".") >= 3 and any(_is_dotted_address(found) for found in _DOTTED.findall(text)):
        return True
    return text.count(":") >= 2 and any(_is_colon_address(found) for found in _COLONS.findall(text))


def _is_dotted_address(text: str) -> bool:
    octets = text.split(".")
    # Numbers in versions and clauses are smaller.
    large = len(text) >= 11 or any(len(octet) == 3 for octet in octets)
    return large and not text.startswith(_OBJECT_IDENTIFIERS) and all(int(octet) < 256 for octet in octets)


def _is_colon_address(text: str) -> bool:
    if not any(character.isdigit() for character in text):
        return False  # such as `add::bad`, a name in C++ or Rust
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _contains_token(text: str) -> bool:
    if _PREFIXED.search(text):
        return True
    for word in _LONG_WORD.findall(text):
        if _HEXADECIMAL.fullmatch(word) or (len(word) >= _MIN_RANDOM and _is_random(word)):
            return True
    return len(text) >= _MIN_BASE64 and any(_is_random_run(run) for run in _LONG_RUN.findall(text))


def _is_random(word: str) -> bool:
    """Whether a word is random, by its number of parts per character: about 0.2 in names, 0.4 in random text."""
    numbers = len(_DIGITS.findall(word))
    if numbers == 0 or numbers > _MAX_NUMBERS:
        return numbers > 0
    one_case = word.islower() or word.isupper()
    return len(_PART.findall(word)) >= (0.25 if one_case else 0.32) * len(word)


def _is_random_run(run: str) -> bool:
    """Whether a text is random base64url (RFC 4648, section 5): both cases, digits, `-` and `_`."""
    word = run.replace("_", "").replace("-", "")
    if word.islower() or word.isupper() or word.isalpha():
        return False
    return len(_PART.findall(word)) >= 0.35 * len(word)
