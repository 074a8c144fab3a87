"""A small trust service: a certificate authority, document signing and document processing."""
