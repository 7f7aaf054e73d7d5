"""A demo that makes every page look alive: people, images, stars, pulls.

Everything goes the way that clients and pages go: blobs into the store, manifests and
tags by the verbs of a push, rights by grants. Only the clock is set back, so that not
everything happened just now. What is there already is left as it is.
"""

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from accounts.actors import SYSTEM, Actor
from accounts.authentication import actor_of
from accounts.memberships import add_member
from accounts.models import Namespace, Organization, Robot, Team, User
from accounts.organizations import create_organization
from accounts.robots import create_robot
from accounts.users import create_user
from distribution.bodies import Body
from distribution.manifests import TagCondition, put_manifest
from distribution.uploads import push_whole_blob
from repositories import trends
from repositories.lifecycle import create_repository, describe_repository
from repositories.models import (
    Category,
    Event,
    Grant,
    Manifest,
    Repository,
    RepositoryFacts,
    Tag,
    TagMove,
)
from repositories.oci import media_types
from repositories.oci.digests import digest_of
from repositories.oci.documents import parse_manifest
from repositories.stars import star
from repositories.stats import Fetch, count_fetches

MAIL_DOMAIN = "demo.example"  # by it the demo knows its own people again (RFC 2606)
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
LONG_AGO = datetime(2024, 1, 1, tzinfo=timezone.get_fixed_timezone(0))
DAYS_OF_PULLS = 45

PEOPLE = {
    "ana": "Ana Lindqvist",
    "bo": "Bo Eriksen",
    "chidi": "Chidi Okafor",
    "dora": "Dora Weiss",
    "emil": "Emil Novak",
    "ines": "Inês Duarte",
    "tomas": "Tomás Rivera",
    "yuki": "Yuki Tanaka",
}
# name: what it is called, its owner, and whether it is a verified publisher
ORGANIZATIONS = {
    "acme": ("Acme", "ana", True),
    "northwind": ("Northwind Traders", "tomas", False),
}
TEAMS = {  # of acme
    "backend": ("creator", ["bo", "chidi"]),
    "frontend": ("member", ["dora", "yuki"]),
    "security": ("member", ["emil"]),
}
CATEGORIES = {
    "base-images": "Base images",
    "programming-languages": "Programming languages",
    "databases": "Databases",
    "application-infrastructure": "Application infrastructure",
    "networking": "Networking",
    "monitoring": "Monitoring",
    "security": "Security",
    "data-science": "Data science",
}
SERVERS = (("linux", "amd64", ""), ("linux", "arm64", "v8"))
MANY = (
    *SERVERS,
    ("linux", "arm", "v7"),
    ("linux", "386", ""),
    ("linux", "s390x", ""),
    ("linux", "ppc64le", ""),
)
WITH_WINDOWS = (*SERVERS, ("linux", "arm", "v7"), ("windows", "amd64", ""))
ONE = (("linux", "amd64", ""),)

Platform = tuple[str, str, str]


@dataclass(frozen=True)
class DemoImage:
    """A repository of the demo."""

    name: str
    description: str
    category: str
    tags: tuple[str, ...]
    platforms: tuple[Platform, ...] = SERVERS
    pulls_a_day: int = 20
    stars: int = 2
    hours_ago: int = 24
    visibility: str = "public"
    is_signed: bool = False
    grants: tuple[tuple[str, str], ...] = ()  # team, role


IMAGES = (
    DemoImage(
        "library/node",
        "JavaScript runtime for servers and command-line tools.",
        "programming-languages",
        ("20", "22", "22.11", "latest"),
        MANY,
        9400,
        8,
        3,
    ),
    DemoImage(
        "library/postgres",
        "Object-relational database, with extensions and strong consistency.",
        "databases",
        ("16", "17", "18.1-alpine", "latest"),
        MANY,
        8100,
        7,
        1,
        is_signed=True,
    ),
    DemoImage(
        "library/java",
        "Java, a class-based, object-oriented language. JDK and JRE builds.",
        "programming-languages",
        ("17-jre", "21-jdk", "25-jdk", "latest"),
        WITH_WINDOWS,
        7700,
        7,
        2,
        is_signed=True,
    ),
    DemoImage(
        "library/nginx",
        "Web server, reverse proxy and load balancer.",
        "application-infrastructure",
        ("1.27", "1.28", "1.28-alpine", "latest"),
        MANY,
        6900,
        6,
        25,
    ),
    DemoImage(
        "library/python",
        "Interpreted, interactive, object-oriented language.",
        "programming-languages",
        ("3.12", "3.13", "3.13-slim", "latest"),
        MANY,
        6500,
        6,
        5,
    ),
    DemoImage(
        "library/redis",
        "In-memory data store for caches, queues and streams.",
        "databases",
        ("7.4", "8.0", "latest"),
        MANY,
        5200,
        5,
        50,
    ),
    DemoImage(
        "library/golang",
        "Go toolchain for building small, fast binaries.",
        "programming-languages",
        ("1.24", "1.25", "latest"),
        WITH_WINDOWS,
        4100,
        5,
        13,
    ),
    DemoImage(
        "library/alpine",
        "Minimal Linux distribution in 3.4 MB.",
        "base-images",
        ("3.21", "3.22", "latest"),
        MANY,
        3900,
        4,
        160,
    ),
    DemoImage(
        "library/valkey",
        "Key-value store, drop-in for Redis.",
        "databases",
        ("8.1", "latest"),
        SERVERS,
        900,
        6,
        30,
    ),
    DemoImage(
        "acme/java-base",
        "Hardened JRE with Acme root certificates and the metrics agent.",
        "base-images",
        ("21", "25"),
        SERVERS,
        60,
        2,
        4,
        "private",
        is_signed=True,
        grants=(("backend", "write"), ("security", "read")),
    ),
    DemoImage(
        "acme/api",
        "Order and billing API",
        "application-infrastructure",
        ("2.7.9", "2.8.0", "2.8.1", "main-4be21f0"),
        SERVERS,
        210,
        3,
        1,
        "private",
        is_signed=True,
        grants=(("backend", "write"), ("frontend", "read")),
    ),
    DemoImage(
        "acme/web",
        "The shop, as its customers see it",
        "application-infrastructure",
        ("1.40.0", "main-4be21f0"),
        ONE,
        90,
        1,
        2,
        "private",
        grants=(("frontend", "write"),),
    ),
    DemoImage(
        "acme/otel-collector",
        "OpenTelemetry collector with the receivers that we use.",
        "monitoring",
        ("0.138", "latest"),
        SERVERS,
        340,
        4,
        20,
        grants=(("backend", "write"),),
    ),
    DemoImage(
        "acme/ledger",
        "Double-entry books; nothing was pushed yet",
        "",
        (),
        visibility="private",
        stars=0,
        grants=(("backend", "write"),),
    ),
    DemoImage(
        "northwind/pg-backup",
        "Scheduled Postgres dumps to S3",
        "databases",
        ("1.11", "1.12", "latest"),
        SERVERS,
        130,
        5,
        3,
    ),
    DemoImage(
        "northwind/javalin-starter",
        "Small Javalin service with health checks and graceful shutdown.",
        "application-infrastructure",
        ("0.9", "latest"),
        ONE,
        25,
        2,
        190,
    ),
    DemoImage(
        "ines/tiny-http",
        "280 KB static file server",
        "networking",
        ("0.3", "latest"),
        MANY,
        70,
        4,
        16,
    ),
    DemoImage(
        "ines/java-heap-tools",
        "",
        "",
        ("1",),
        ONE,
        2,
        1,
        1500,
    ),
)


# --- who


def demo_people() -> list[User]:
    """Return the demo's people that are there."""
    return list(
        User.objects.filter(username__in=PEOPLE, email__endswith=f"@{MAIL_DOMAIN}")
    )


def taken_names() -> list[str]:
    """Return names that the demo wants and that others have."""
    own = {user.username for user in demo_people()}
    namespaces = Namespace.objects.filter(name__in=[*PEOPLE, *ORGANIZATIONS])
    owners = {
        name: set(
            User.objects.filter(
                memberships__team__organization__namespace__name=name,
                email__endswith=f"@{MAIL_DOMAIN}",
            ).values_list("username", flat=True)
        )
        for name in ORGANIZATIONS
    }
    return sorted(
        namespace.name
        for namespace in namespaces
        if namespace.name not in own and not owners.get(namespace.name)
    )


def seed(*, password: str | None) -> list[str]:
    """Make what is missing of the demo; return the names of the repositories made."""
    people = {name: _person(name, title, password) for name, title in PEOPLE.items()}
    for name, (title, owner, is_verified) in ORGANIZATIONS.items():
        _organization(name, title, people[owner], is_verified)
    if not Namespace.objects.filter(name="library").exists():
        create_organization(
            name="library", owner=people["ana"], is_official=True, actor=SYSTEM
        )
    acme = Organization.objects.get(namespace__name="acme")
    teams = {
        name: _team(acme, name, standing, [people[member] for member in members])
        for name, (standing, members) in TEAMS.items()
    }
    robot = _robot(acme.namespace)
    shelves = {
        slug: Category.objects.get_or_create(
            slug=slug, defaults={"name": title, "position": position}
        )[0]
        for position, (slug, title) in enumerate(CATEGORIES.items())
    }
    made = []
    for image in IMAGES:
        if _is_there(image):
            continue
        _make(image, people, teams, robot, shelves)
        made.append(image.name)
    trends.refresh()
    return made


def _person(name: str, title: str, password: str | None) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        user = create_user(
            username=name,
            password=password,
            email=f"{name}@{MAIL_DOMAIN}",
            actor=SYSTEM,
        )
        User.objects.filter(pk=user.pk).update(display_name=title)
    return user


def _organization(name: str, title: str, owner: User, is_verified: bool) -> None:
    if Namespace.objects.filter(name=name).exists():
        return
    create_organization(name=name, owner=owner, display_name=title, actor=SYSTEM)
    Namespace.objects.filter(name=name).update(is_verified=is_verified)


def _team(
    organization: Organization, name: str, standing: str, members: Iterable[User]
) -> Team:
    team, is_new = Team.objects.get_or_create(
        organization=organization, name=name, defaults={"standing": standing}
    )
    if is_new:
        for member in members:
            add_member(team=team, user=member, actor=SYSTEM)
    return team


def _robot(namespace: Namespace) -> Robot:
    """Make acme+ci-deploy; nobody learns its token, who wants one replaces it."""
    robot = Robot.objects.filter(namespace=namespace, name="ci-deploy").first()
    return robot or create_robot(namespace=namespace, name="ci-deploy", actor=SYSTEM)[0]


# --- what


def _is_there(image: DemoImage) -> bool:
    """Tell whether all of it is there, or somebody else's of that name."""
    namespace, _, name = image.name.partition("/")
    repository = Repository.objects.filter(
        namespace__name=namespace, name=name, deleted_at=None
    ).first()
    if repository is None:
        return False
    tags = set(repository.tags.values_list("name", flat=True))
    begun = repository.description == image.description
    return not begun or tags >= set(image.tags)


def _make(
    image: DemoImage,
    people: dict[str, User],
    teams: dict[str, Team],
    robot: Robot,
    shelves: dict[str, Category],
) -> None:
    owner, _, name = image.name.partition("/")
    namespace = Namespace.objects.get(name=owner)
    pusher = people.get(owner) or people[ORGANIZATIONS.get(owner, ("", "ana"))[1]]
    actor = actor_of(pusher)
    repository = Repository.objects.filter(
        namespace=namespace, name=name, deleted_at=None
    ).first() or create_repository(
        namespace=namespace, name=name, actor=actor, visibility=image.visibility
    )
    describe_repository(
        repository=repository,
        actor=actor,
        description=image.description,
        readme=_readme(image),
    )
    for team, role in image.grants:
        Grant.objects.get_or_create(
            repository=repository,
            team=teams[team],
            tag_glob="",
            defaults={"role": role},
        )
    if owner == "acme":
        Grant.objects.get_or_create(
            repository=repository, robot=robot, tag_glob="", defaults={"role": "write"}
        )
        actor = Actor(robot_id=robot.pk, name=f"{owner}+{robot.name}")
    if image.category:
        repository.categories.add(shelves[image.category])
    _push_all(image, repository, actor)
    for user in list(people.values())[: image.stars]:
        star(repository=repository, user=user)
    _count_pulls(image, repository)


def _readme(image: DemoImage) -> str:
    name = image.name.removeprefix("library/")
    tag = image.tags[-1] if image.tags else "latest"
    rows = "\n".join(
        f"| `{tag}` | {', '.join('/'.join(filter(None, p)) for p in image.platforms)} |"
        for tag in image.tags
    )
    return f"""# {name}

{image.description or "Some tools."}

## Use it

```sh
docker run --rm {name}:{tag}
```

## Tags

| tag | platforms |
| --- | --- |
{rows}

> This image is part of a demo: it can be pulled, and there is little in it.
"""


def _push_all(image: DemoImage, repository: Repository, actor: Actor) -> None:
    """Push the tags in their order, the last one so many hours ago as it says."""
    facts = repository.facts
    for place, tag in enumerate(image.tags):
        left = len(image.tags) - 1 - place
        at = timezone.now() - timedelta(hours=image.hours_ago + left * 31)
        before = Event.objects.order_by("-pk").values_list("pk", flat=True).first()
        digest = push_image(
            repository=facts,
            tag=tag,
            # The last two tags are often the same image.
            version=image.tags[-2] if tag == "latest" else tag,
            platforms=image.platforms,
            actor=actor,
        )
        if image.is_signed and left < 2:
            _attach(facts, digest, actor)
        Event.objects.filter(repository=repository, pk__gt=before or 0).update(at=at)
        Tag.objects.filter(repository=repository, name=tag).update(moved_at=at)
        TagMove.objects.filter(repository=repository, name=tag).update(moved_at=at)
        Repository.objects.filter(pk=repository.pk).update(pushed_at=at)


# --- images, made on the spot


def push_image(
    *,
    repository: RepositoryFacts,
    tag: str,
    version: str,
    platforms: Sequence[Platform],
    actor: Actor,
) -> str:
    """Push an image for each platform, and an index of several; return its digest."""
    pushed = []
    for platform in platforms:
        payload = _image(repository, version, platform, actor)
        only = len(platforms) == 1
        digest = _put(repository, payload, media_types.OCI_MANIFEST, tag, actor, only)
        system, architecture, variant = platform
        described = {"os": system, "architecture": architecture, "variant": variant}
        pushed.append(
            {
                **_descriptor(payload, media_types.OCI_MANIFEST),
                "platform": {name: value for name, value in described.items() if value},
            }
        )
    if len(platforms) == 1:
        return digest
    index = _json(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_INDEX,
            "manifests": pushed,
        }
    )
    return _put(repository, index, media_types.OCI_INDEX, tag, actor, True)


def _image(
    repository: RepositoryFacts, version: str, platform: Platform, actor: Actor
) -> bytes:
    """Push the blobs of a small image and return its manifest."""
    system, architecture, variant = platform
    command = f"/opt/{repository.name}/run"
    base = _layer({"etc/os-release": f"NAME=Demo\nPLATFORM={system}/{architecture}\n"})
    own = _layer(
        {
            f"opt/{repository.name}/VERSION": f"{version}\n",
            f"opt/{repository.name}/README": f"{repository.full_name}:{version}\n" * 40,
        }
    )
    config = _json(
        {
            "created": LONG_AGO.isoformat(),
            "os": system,
            "architecture": architecture,
            **({"variant": variant} if variant else {}),
            "config": {
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
                "Cmd": [command],
                "Labels": {
                    "org.opencontainers.image.title": repository.name,
                    "org.opencontainers.image.version": version,
                    "org.opencontainers.image.vendor": repository.namespace_name,
                    "org.opencontainers.image.licenses": "Apache-2.0",
                },
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": [
                    str(digest_of(gzip.decompress(layer))) for layer in (base, own)
                ],
            },
            "history": [
                {"created_by": "ADD rootfs.tar.gz / # the base"},
                {"created_by": f"COPY {repository.name} /opt/{repository.name}"},
                {
                    "created_by": f"CMD [/opt/{repository.name}/run]",
                    "empty_layer": True,
                },
            ],
        }
    )
    for blob in (config, base, own):
        _push_blob(repository, blob, actor)
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": _descriptor(config, CONFIG_TYPE),
            "layers": [_descriptor(layer, LAYER_TYPE) for layer in (base, own)],
        }
    )


def _attach(repository: RepositoryFacts, digest: str, actor: Actor) -> None:
    """Push an SBOM and something like a signature that refer to an image."""
    subject = {
        "digest": digest,
        **Manifest.objects.values(mediaType=F("media_type"), size=F("size_bytes")).get(
            repository=repository.id, digest=digest
        ),
    }
    sbom = _json({"spdxVersion": "SPDX-2.3", "name": repository.full_name})
    signature = _json({"critical": {"image": {"docker-manifest-digest": digest}}})
    for kind, content, title in (
        ("application/spdx+json", sbom, "SBOM"),
        ("application/vnd.dev.cosign.simplesigning.v1+json", signature, "signature"),
    ):
        for blob in (b"{}", content):
            _push_blob(repository, blob, actor)
        payload = _json(
            {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_MANIFEST,
                "artifactType": kind,
                "config": _descriptor(b"{}", media_types.OCI_EMPTY),
                "layers": [_descriptor(content, kind)],
                "subject": subject,
                "annotations": {"org.opencontainers.image.title": title},
            }
        )
        _put(repository, payload, media_types.OCI_MANIFEST, "", actor, False)


def _put(
    repository: RepositoryFacts,
    payload: bytes,
    media_type: str,
    tag: str,
    actor: Actor,
    is_tagged: bool,
) -> str:
    digest = digest_of(payload)
    put_manifest(
        repository=repository,
        digest=digest,
        payload=payload,
        document=parse_manifest(payload, media_type),
        tags=[tag] if is_tagged else [],
        condition=TagCondition(),
        actor=actor,
    )
    return str(digest)


def _push_blob(repository: RepositoryFacts, content: bytes, actor: Actor) -> None:
    request = HttpRequest()
    request.META = {
        "wsgi.input": io.BytesIO(content),
        "CONTENT_LENGTH": str(len(content)),
    }
    push_whole_blob(
        repository=repository,
        body=Body(request),
        digest=digest_of(content),
        actor=actor,
    )


def _layer(files: dict[str, str]) -> bytes:
    """Return a layer of these files; the same files are always the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            entry.mtime = int(LONG_AGO.timestamp())
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {
        "mediaType": media_type,
        "digest": str(digest_of(content)),
        "size": len(content),
    }


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, indent=2).encode()


# --- pulls


def _count_pulls(image: DemoImage, repository: Repository) -> None:
    """Count pulls of the last weeks, once: fewer at weekends, slowly more."""
    if repository.daily_pulls.exists():
        return
    today = timezone.now().date()
    digests = dict(repository.tags.values_list("name", "manifest__digest"))
    fetches = {}
    for ago in range(DAYS_OF_PULLS):
        day = today - timedelta(days=ago)
        usual = image.pulls_a_day * (0.4 if day.weekday() > 4 else 1)
        growing = usual * (1 + (DAYS_OF_PULLS - ago) / DAYS_OF_PULLS)
        for place, tag in enumerate(image.tags):
            # An uneven hand, and the same one every time.
            wave = 1 + ((ago * 7 + place * 3 + len(image.name)) % 5) / 10
            count = int(growing * wave / len(image.tags))
            if count:
                client = ("docker", "containerd", "podman")[(ago + place) % 3]
                fetch = Fetch(repository.pk, digests[tag], tag, client, day)
                fetches[fetch] = count
    if fetches:
        count_fetches(
            batch=f"demo-{repository.pk}",
            fetches=fetches,
            fetched_at=timezone.now() - timedelta(minutes=len(image.name)),
        )
