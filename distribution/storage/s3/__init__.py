"""Blobs in a bucket of S3, or of another service with the same interface.

    <AWS_LOCATION>/berth-store                 the marker, as in a folder
    <AWS_LOCATION>/objects/<generation>        stored, or a multipart upload under way
    <AWS_LOCATION>/uploads/<generation>/<tail> staged bytes that make no part yet

* ``store``    the contract
* ``writing``  bytes of one request into parts and a tail
* ``reading``  bytes of an object, as pieces
* ``calls``    django-storages' client, with time-outs, retries and a circuit breaker
* ``breaker``  the circuit breaker
"""
