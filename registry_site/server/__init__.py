"""Serves Berth with Granian so that slow clients hold nothing that others need.

    socket ── hyper (Rust) ── a thread of the pool ──> exchange.py ──> Django
                 │ next piece of a body        ↑            │
                 └── bodies.py, deadlines.py ──┘            └─> replies.py ── socket

* ``workers``      one process each: Granian's RSGI worker with a pool of threads
* ``hung_workers`` ends those that hang
* ``environ``      a request as WSGI and Django have it
* ``exchange``     one request and its answer
* ``bodies``       collects a body piece by piece; between two pieces no thread waits
* ``deadlines``    ends bodies that stop or crawl
* ``replies``      sends bytes at hand, files and streams
* ``streams``      sends blobs of S3, with a few threads for all of them
* ``pipes``        what streams go through to Granian
* ``whole_files``  bounds the memory of files that are sent in one piece
* ``connections``  closes connections whose client does not read, does not speak, or has
                   too many of them

Threads run Python and wait for the database and the disk, never for a client. Decision
0011 says why it is built like this and what was measured.
"""
