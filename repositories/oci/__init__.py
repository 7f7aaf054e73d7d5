"""The grammar and documents of the OCI specifications. Pure: no Django, no database."""
