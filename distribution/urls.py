"""The protocol's routes, each with its id in the distribution-spec.

Names are greedy and everything is anchored at the end, so that a repository may be
called a/manifests/b (G-5). A trailing slash makes no difference, and never a redirect.
HEAD is answered wherever GET is.
"""

from django.urls import re_path

from distribution.endpoints import Resource
from distribution.views import (
    blobs,
    catalog,
    manifests,
    ping,
    referrers,
    search_v1,
    tags,
    token,
    uploads,
)

NAME = "(?P<name>.+)"
DIGEST = "(?P<digest>[^/]+)"
REFERENCE = "(?P<reference>[^/]+)"

urlpatterns = [
    re_path("^v2/?$", Resource("v2_ping", GET=ping.ping)),  # end-1
    re_path(
        "^v2/token/?$", Resource("v2_token", GET=token.get_token, POST=token.post_token)
    ),
    re_path("^v2/token/jwks/?$", Resource("v2_keys", GET=token.get_keys)),
    re_path("^v2/_catalog/?$", Resource("v2_catalog", GET=catalog.list_repositories)),
    re_path(
        "^v2/_oci/ext/discover/?$",
        Resource("v2_extensions", GET=catalog.list_extensions),
    ),
    re_path(
        f"^v2/{NAME}/blobs/uploads/?$",
        Resource(
            "v2_upload_start", POST=uploads.post_upload
        ),  # end-4a, end-4b, end-4c, end-11
    ),
    re_path(
        f"^v2/{NAME}/blobs/uploads/(?P<uuid>[^/]+)/?$",
        Resource(
            "v2_upload",
            PATCH=uploads.patch_upload,  # end-5
            PUT=uploads.put_upload,  # end-6
            GET=uploads.get_upload,  # end-13
            DELETE=uploads.delete_upload,  # end-14
        ),
    ),
    re_path(
        f"^v2/{NAME}/blobs/{DIGEST}/?$",
        Resource(
            "v2_blob",
            GET=blobs.get_blob,  # end-2
            HEAD=blobs.head_blob,  # end-2
            DELETE=blobs.delete_blob,  # end-10
        ),
    ),
    re_path(
        f"^v2/{NAME}/manifests/{REFERENCE}/?$",
        Resource(
            "v2_manifest",
            GET=manifests.get_manifest,  # end-3
            HEAD=manifests.head_manifest,  # end-3
            PUT=manifests.put_manifest,  # end-7a, end-7b
            DELETE=manifests.delete_manifest,  # end-9
        ),
    ),
    re_path(
        f"^v2/{NAME}/tags/list/?$",
        Resource("v2_tags", GET=tags.list_tags),  # end-8a, end-8b
    ),
    re_path(
        f"^v2/{NAME}/referrers/{DIGEST}/?$",
        Resource("v2_referrers", GET=referrers.list_referrers),  # end-12a, end-12b
    ),
    re_path("^v1/_ping/?$", Resource("v1", GET=search_v1.ping)),
    re_path("^v1/search/?$", Resource("v1", GET=search_v1.search)),
    re_path("^v[12](?:/|$)", Resource()),  # nothing: 404 in JSON (E-1)
]
