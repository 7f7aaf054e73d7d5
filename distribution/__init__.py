"""Serves the OCI distribution protocol, and stores and collects blobs."""
