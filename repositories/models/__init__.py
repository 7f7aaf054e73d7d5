from repositories.models.categories import Category
from repositories.models.defaults import DefaultPermission
from repositories.models.events import Event
from repositories.models.grants import Grant
from repositories.models.images import ImageConfig
from repositories.models.manifests import Manifest, ManifestReference
from repositories.models.pulls import CountedBatch, DailyPlatformPulls, DailyPulls
from repositories.models.repositories import (
    FormerRepositoryName,
    Repository,
    RepositoryFacts,
    add_stored_bytes,
)
from repositories.models.search import RepositoryLabel, SearchEntry
from repositories.models.stars import Star
from repositories.models.tags import Tag, TagMove
from repositories.models.watches import Watch

__all__ = [
    "Category",
    "CountedBatch",
    "DailyPlatformPulls",
    "DailyPulls",
    "DefaultPermission",
    "Event",
    "FormerRepositoryName",
    "Grant",
    "ImageConfig",
    "Manifest",
    "ManifestReference",
    "Repository",
    "RepositoryFacts",
    "RepositoryLabel",
    "SearchEntry",
    "Star",
    "Tag",
    "TagMove",
    "Watch",
    "add_stored_bytes",
]
