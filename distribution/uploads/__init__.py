"""Uploads: start, append, finish, cancel. The state machine of pushing a blob.

    POST ──> session ──PATCH──> session ──PUT?digest──> blob + link
                 └──────────────PUT?digest + body──────────┘
    POST?digest + body ────────────────────────────────────┘

No transaction is open and no row is locked while a body streams. Instead every change
of a session counts its ``version`` up with a guarded UPDATE, and a request whose
version is no longer the row's has lost (OutOfOrder):

* From offset 0 every request writes bytes of its own and wins or loses at the end.
* Later requests first claim the row (``writer``) and append in place. A claim that is
  still there when another request comes belongs to one that died or is being overtaken:
  the newcomer continues with a copy, so that no two ever write to the same bytes (L9).

What a session says has arrived is durable: first the bytes, then the row (UP-13). The
row itself need not be: after a power cut a session may say less than arrived, or be
gone, and its client sends those bytes again. Only the blob's commit waits for the disk.

    requests.py     append, finish, push a whole blob at once
    receiving.py    the bytes of a body, into the store
    publishing.py   staged bytes become a blob of the repository
    sessions.py     the rows
"""
