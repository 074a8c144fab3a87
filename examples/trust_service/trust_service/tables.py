"""Database tables. Times are in Unix seconds, money is in hundredths, secrets are hashed."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .authority import CertificateType, RevocationReason


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {CertificateType: String, RevocationReason: String}


class Account(Base):
    """A person."""

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(primary_key=True)
    password_hash: Mapped[str]
    role: Mapped[str]
    country: Mapped[str]
    client: Mapped[str]
    totp_secret: Mapped[str | None]


class Machine(Base):
    """A caller of the gRPC interface."""

    __tablename__ = "machines"

    name: Mapped[str] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    country: Mapped[str]


class Certificate(Base):
    __tablename__ = "certificates"

    # As text, because serial numbers have up to 160 bits.
    serial_number: Mapped[str] = mapped_column(primary_key=True)
    certificate_type: Mapped[CertificateType]
    pem: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[int] = mapped_column(BigInteger, index=True)
    not_after: Mapped[int] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
    suspended_at: Mapped[int | None] = mapped_column(BigInteger)


class RevocationRequest(Base):
    """A request to revoke, suspend or unsuspend a certificate, from its receipt to its publication."""

    __tablename__ = "revocation_requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    serial_number: Mapped[str]
    reason: Mapped[RevocationReason]
    requested_at: Mapped[float]
    decided_at: Mapped[float | None]
    approved: Mapped[bool | None]
    crl_published_at: Mapped[float | None]
    ocsp_published_at: Mapped[float | None]


class Document(Base):
    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    document_type: Mapped[str]
    country: Mapped[str]
    client: Mapped[str]
    digest: Mapped[str | None]
    currency: Mapped[str]
    price: Mapped[int]
    fee: Mapped[int]
    cost: Mapped[int]


class AuditEvent(Base):
    """An operation with its actor, including denied ones."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str]
    action: Mapped[str]
    success: Mapped[bool]
