"""A demo that makes every page look alive: people, images, stars, pulls.

Everything goes the way that clients and pages go: blobs into the store, manifests and
tags by the verbs of a push, rights by grants. Only the clock is set back, so that not
everything happened just now. What is there already is left as it is; each run makes
what is missing.

Workers may run beside it. Whatever they would act on is committed together with the
mark that it was done, so they find nothing to do.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Model
from django.utils import timezone

from accounts.actors import SYSTEM, Actor
from accounts.authentication import actor_of
from accounts.memberships import add_member
from accounts.models import (
    AccessToken,
    Namespace,
    Organization,
    Robot,
    Team,
    User,
)
from accounts.organizations import create_organization
from accounts.robots import create_robot
from accounts.tokens import issue_access_token
from accounts.users import create_user
from demo.images import DemoPusher, Platform
from repositories.lifecycle import create_repository, describe_repository
from repositories.models import (
    Category,
    DefaultPermission,
    Event,
    Grant,
    Manifest,
    Repository,
    Star,
    Tag,
    TagMove,
)
from repositories.pulls.counting import Fetch, count_fetches
from repositories.rights.defaults import add_default
from repositories.stars import star
from search import trends
from webhooks.delivery.planning import new_delivery
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.registration import create_webhook
from webhooks.rendering import render_delivery

MAIL_DOMAIN = "demo.example"  # by it the demo knows its own people again (RFC 2606)
DAYS_OF_PULLS = 60
WEBHOOK_NAME = "Deploy staging"
SITE_AGE = timedelta(days=240)  # since when there are people and teams
BETWEEN_PUSHES = timedelta(hours=31)

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
# name: what it is called, what it is for, its owner, and whether it is a verified
# publisher
ORGANIZATIONS = {
    "acme": ("Acme", "Everything that runs Acme in production.", "ana", True),
    "northwind": (
        "Northwind Traders",
        "Tools that we use ourselves, and give away.",
        "tomas",
        False,
    ),
}
TEAMS = {  # of acme: what it is for, its standing, and who is in it
    "backend": ("Orders, billing and books", "creator", ["bo", "chidi"]),
    "frontend": ("The shop", "member", ["dora", "yuki", "bo"]),
    "security": ("Reads everything, changes nothing", "member", ["emil"]),
}
# of acme: what it is for, its role on every repository, and minutes since its last use
ROBOTS: dict[str, tuple[str, str, int | None]] = {
    "ci-deploy": ("Pushes from the build farm", "write", 4),
    "staging-pull": ("Kubernetes, staging", "read", 1),
    "prod-pull": ("Kubernetes, production", "read", 2),
    "renovate": ("Looks up new versions", "read", 190),
    "old-jenkins": ("", "", None),
}
# of ana: what they may, days until they are over, and minutes since their last use
TOKENS: dict[str, tuple[str, int | None, int | None]] = {
    "laptop": ("admin", None, 32),
    "build-vm-3": ("write", 62, 7),
    "grafana": ("read", 5, 1),
    "workshop": ("read", 30, None),
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
    hours_ago: float = 24
    visibility: str = "public"
    is_signed: bool = False
    grants: tuple[tuple[str, str], ...] = ()  # team, role
    stars_lately: int = 0  # of these, in the last days


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
        0.43,
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
        0.55,
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
        stars_lately=5,
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
        0.07,
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
        0.97,
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
        stars_lately=4,
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
        stars_lately=5,
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
        stars_lately=4,
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
    """Make what is missing of the demo; return the repositories that got something.

    In the order in which it is said to have happened, as in a log.
    """
    began_at = timezone.now() - SITE_AGE
    with _SetBack(began_at, timedelta(minutes=9)):
        people = {
            name: _person(name, title, password) for name, title in PEOPLE.items()
        }
        for name, (_, _, owner, _) in ORGANIZATIONS.items():
            _organization(name, people[owner])
        if not Namespace.objects.filter(name="library").exists():
            create_organization(
                name="library", owner=people["ana"], is_official=True, actor=SYSTEM
            )
        acme = Organization.objects.get(namespace__name="acme")
        teams = {name: _team(acme, name, people) for name in TEAMS}
        robots = {name: _robot(acme.namespace, name) for name in ROBOTS}
        _default(acme.namespace, teams["security"], actor_of(people["ana"]))
    categories = {
        slug: Category.objects.get_or_create(
            slug=slug, defaults={"name": title, "position": position}
        )[0]
        for position, (slug, title) in enumerate(CATEGORIES.items())
    }
    missing = [image for image in IMAGES if not _is_there(image)]
    with _SetBack(began_at + timedelta(days=30), timedelta(days=1)):
        begun = [_begin(image, people, teams, robots, categories) for image in missing]
    api = Repository.objects.get(namespace=acme.namespace, name="api")
    _add_webhook(api, actor_of(people["ana"]))
    _issue_tokens(people["ana"])
    _push_in_order(begun)
    _write_deliveries(api.webhooks.filter(name=WEBHOOK_NAME).first())
    completed = []
    for place, image in enumerate(IMAGES):
        own = _own_repository(image)
        if own is not None and (
            _give_stars(image, own, list(people.values()), place)
            | _count_pulls(image, own)
        ):
            completed.append(image.name)
    trends.refresh()
    return list(dict.fromkeys([*(image.name for image in missing), *completed]))


class _SetBack:
    """Date what is made in it long ago, one after the other, in one transaction.

    Its events are marked as relayed, so neither webhooks nor people are notified.
    """

    MADE: tuple[type[Model], ...] = (
        Namespace,
        Organization,
        Team,
        Robot,
        AccessToken,
        Grant,
        Repository,
        Webhook,
    )

    def __init__(self, first_at: datetime, step: timedelta) -> None:
        self.first_at, self.step = first_at, step

    def __enter__(self) -> None:
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.last = {model: _last_pk(model) for model in self.MADE}
        self.last_event = _last_pk(Event)

    def __exit__(self, *failure: Any) -> None:
        if failure[0] is None:
            self._set_back()
        self.transaction.__exit__(*failure)

    def _set_back(self) -> None:
        for model in self.MADE:
            made = model._default_manager.filter(pk__gt=self.last[model])
            for place, pk in enumerate(
                made.order_by("pk").values_list("pk", flat=True)
            ):
                model._default_manager.filter(pk=pk).update(
                    created_at=self.first_at + place * self.step
                )
        _date_events(self.last_event, self.first_at)


def _last_pk(model: type[Model]) -> int:
    return model._default_manager.aggregate(last=Max("pk"))["last"] or 0


def _date_events(after_pk: int, first_at: datetime) -> None:
    events = Event.objects.filter(pk__gt=after_pk).order_by("pk")
    for place, pk in enumerate(events.values_list("pk", flat=True)):
        Event.objects.filter(pk=pk).update(
            at=first_at + timedelta(seconds=place), is_relayed=True
        )


def _person(name: str, title: str, password: str | None) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        user = create_user(
            username=name,
            password=password,
            email=f"{name}@{MAIL_DOMAIN}",
            actor=SYSTEM,
        )
        User.objects.filter(pk=user.pk).update(
            display_name=title, date_joined=timezone.now() - SITE_AGE
        )
    return user


def _organization(name: str, owner: User) -> None:
    if Namespace.objects.filter(name=name).exists():
        return
    title, description, _, is_verified = ORGANIZATIONS[name]
    made = create_organization(name=name, owner=owner, display_name=title, actor=SYSTEM)
    Organization.objects.filter(pk=made.pk).update(
        description=description, website=f"https://{name}.example"
    )
    Namespace.objects.filter(name=name).update(is_verified=is_verified)


def _team(organization: Organization, name: str, people: dict[str, User]) -> Team:
    description, standing, members = TEAMS[name]
    team, is_new = Team.objects.get_or_create(
        organization=organization,
        name=name,
        defaults={"standing": standing, "description": description},
    )
    if is_new:
        for member in members:
            add_member(team=team, user=people[member], actor=SYSTEM)
    return team


def _robot(namespace: Namespace, name: str) -> Robot:
    """Make a robot; no one learns its token, who wants one replaces it."""
    robot = Robot.objects.filter(namespace=namespace, name=name).first()
    if robot is not None:
        return robot
    description, _, minutes = ROBOTS[name]
    robot, _token = create_robot(
        namespace=namespace, name=name, description=description, actor=SYSTEM
    )
    if minutes is not None:
        Robot.objects.filter(pk=robot.pk).update(last_used_at=_ago(minutes))
    return robot


def _default(namespace: Namespace, team: Team, actor: Actor) -> None:
    if not DefaultPermission.objects.filter(namespace=namespace).exists():
        add_default(
            namespace=namespace, creator=None, subject=team, role="read", actor=actor
        )


def _issue_tokens(user: User) -> None:
    """Make access tokens whose secrets no one learns."""
    if user.access_tokens.exists():
        return
    with _SetBack(timezone.now() - timedelta(days=80), timedelta(days=4)):
        for name, (actions, days, minutes) in TOKENS.items():
            ends_at = timezone.now() + timedelta(days=days) if days else None
            token, _secret = issue_access_token(
                user=user,
                name=name,
                actions=actions,
                expires_at=ends_at,
                actor=actor_of(user),
            )
            AccessToken.objects.filter(pk=token.pk).update(
                last_used_at=None if minutes is None else _ago(minutes)
            )


def _ago(minutes: float) -> datetime:
    return timezone.now() - timedelta(minutes=minutes)


# --- what

Begun = tuple[DemoImage, Repository, Actor]  # and who pushes


@dataclass(frozen=True)
class Version:
    """Return the content of an image, independent of its tag."""

    name: str
    made_at: datetime


def _find_repository(image: DemoImage) -> Repository | None:
    namespace, _, name = image.name.partition("/")
    return Repository.objects.filter(
        namespace__name=namespace, name=name, deleted_at=None
    ).first()


def _own_repository(image: DemoImage) -> Repository | None:
    """Return the repository of the demo; None for another one of that name."""
    repository = _find_repository(image)
    if repository is None or repository.description != image.description:
        return None
    return repository


def _is_there(image: DemoImage) -> bool:
    """Return whether all tags are there, or another repository of that name."""
    repository = _find_repository(image)
    if repository is None:
        return False
    tags = set(repository.tags.values_list("name", flat=True))
    begun = repository.description == image.description
    return not begun or tags >= set(image.tags)


def _begin(
    image: DemoImage,
    people: dict[str, User],
    teams: dict[str, Team],
    robots: dict[str, Robot],
    categories: dict[str, Category],
) -> Begun:
    """Make the repository, with its text and who may do what."""
    owner, _, name = image.name.partition("/")
    namespace = Namespace.objects.get(name=owner)
    organization = ORGANIZATIONS.get(owner)
    pusher = people.get(owner) or people[organization[2] if organization else "ana"]
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
        for robot_name, robot in robots.items():
            role = ROBOTS[robot_name][1]
            if role:
                Grant.objects.get_or_create(
                    repository=repository,
                    robot=robot,
                    tag_glob="",
                    defaults={"role": role},
                )
        robot = robots["ci-deploy"]
        actor = Actor(robot_id=robot.pk, name=f"{owner}+{robot.name}")
    if image.category:
        repository.categories.add(categories[image.category])
    return image, repository, actor


def _readme(image: DemoImage) -> str:
    name = f"{settings.BERTH_SERVICE}/{image.name}"
    tag = image.tags[-1] if image.tags else "latest"
    rows = "\n".join(
        f"| `{tag}` | {', '.join('/'.join(filter(None, p)) for p in image.platforms)} |"
        for tag in image.tags
    )
    return f"""## What it is

{image.description or "Some tools."}

- Maintained by: [the people of {image.name.partition("/")[0]}](https://example.com)
- Where to get help: [the handbook](https://example.com/handbook)

## How to use this image

To try it:

```sh
docker run --rm -p 8080:8080 {name}:{tag}
```

Or build on it:

```dockerfile
# syntax=docker/dockerfile:1
FROM {name}:{tag}
COPY --chown=10001:10001 . /srv/app
USER 10001
ENTRYPOINT ["/srv/app/run"]
```

## Tags

| Tag | Platforms |
| --- | --- |
{rows}

> This image is part of a demo: it can be pulled, and there is little in it. Pin a
> digest in anything that you deploy.
"""


def _push_in_order(begun: list[Begun]) -> None:
    """Push all tags as if over the last weeks, the oldest first."""
    now = timezone.now()
    pushes: list[tuple[datetime, int, DemoImage, DemoPusher, str, Version]] = []
    for image, repository, actor in begun:
        pusher = DemoPusher(repository.facts, actor)
        times = [
            now - timedelta(hours=image.hours_ago) - left * BETWEEN_PUSHES
            for left in reversed(range(len(image.tags)))
        ]
        for place, (tag, at) in enumerate(zip(image.tags, times, strict=True)):
            # The last two tags are often the same image.
            same = place - 1 if tag == "latest" else place
            version = Version(image.tags[same], times[same])
            pushes.append((at, len(pushes), image, pusher, tag, version))
    for at, _, image, pusher, tag, version in sorted(pushes, key=lambda push: push[:2]):
        with transaction.atomic():  # no worker sees the events before they are relayed
            _push(image, pusher, tag, version, at)


def _push(
    image: DemoImage, pusher: DemoPusher, tag: str, version: Version, at: datetime
) -> None:
    repository = pusher.repository.id
    event, manifest = _last_pk(Event), _last_pk(Manifest)
    digest = pusher.push_image(
        tag=tag,
        version=version.name,
        platforms=image.platforms,
        made_at=version.made_at,
    )
    if image.is_signed and tag in image.tags[-2:]:
        pusher.attach(digest)
    events = Event.objects.filter(pk__gt=event, repository=repository)
    events.update(at=at, is_relayed=True)
    manifests = Manifest.objects.filter(pk__gt=manifest, repository=repository)
    manifests.update(pushed_at=at)
    Tag.objects.filter(repository=repository, name=tag).update(moved_at=at)
    TagMove.objects.filter(repository=repository, name=tag).update(moved_at=at)
    Repository.objects.filter(pk=repository).update(pushed_at=at)


def _give_stars(
    image: DemoImage, repository: Repository, people: list[User], place: int
) -> bool:
    """Let the first people star it, some in the last days; return if any did."""
    given = set(
        Star.objects.filter(repository=repository).values_list("user", flat=True)
    )
    missing = [
        (number, user)
        for number, user in enumerate(people[: image.stars])
        if user.pk not in given
    ]
    for number, user in missing:
        with transaction.atomic():
            star(repository=repository, user=user)
            days = 1 + number
            if number >= image.stars_lately:
                days = 20 + 3 * number + place
            Star.objects.filter(repository=repository, user=user).update(
                created_at=timezone.now() - timedelta(days=days)
            )
    return bool(missing)


# --- pulls


def _count_pulls(image: DemoImage, repository: Repository) -> bool:
    """Count pulls of the last weeks, once: fewer at weekends, slowly more.

    Real pulls of the last days are no reason to leave them out.
    """
    today = timezone.now().date()
    days = repository.daily_pulls.values("day").distinct()
    if not image.tags or days.count() >= DAYS_OF_PULLS // 4:
        return False
    with transaction.atomic():
        _count_pulls_until(today, image, repository)
    return True


def _count_pulls_until(today: date, image: DemoImage, repository: Repository) -> None:
    digests = dict(repository.tags.values_list("name", "manifest__digest"))
    for place, tag in enumerate(image.tags):
        if tag not in digests:
            continue
        fetches = {}
        for ago in range(DAYS_OF_PULLS):
            day = today - timedelta(days=ago)
            usual = image.pulls_a_day * (0.4 if day.weekday() > 4 else 1)
            growing = usual * (1 + (DAYS_OF_PULLS - ago) / DAYS_OF_PULLS)
            # An uneven hand, and the same one every time.
            wave = 1 + ((ago * 7 + place * 3 + len(image.name)) % 5) / 10
            count = int(growing * wave / len(image.tags))
            if count:
                client = ("docker", "containerd", "podman")[(ago + place) % 3]
                fetch = Fetch(repository.pk, digests[tag], tag, client, day)
                fetches[fetch] = count
        if fetches:
            left = len(image.tags) - 1 - place
            count_fetches(
                batch=f"demo-{repository.pk}-{place}",
                fetches=fetches,
                fetched_at=_ago(1 + len(image.name) / 5 + 40 * left**2),
            )


# --- a webhook


def _add_webhook(repository: Repository, actor: Actor) -> None:
    """Add a webhook, unless there is one."""
    if repository.webhooks.exists():
        return
    with _SetBack(timezone.now() - timedelta(days=90), timedelta()):
        create_webhook(
            repository=repository,
            actor=actor,
            url="https://deploy.example.com/hooks/berth",
            events=["push", "delete"],
            name=WEBHOOK_NAME,
        )


def _write_deliveries(webhook: Webhook | None) -> None:
    """Write a delivery for each push of the demo that has none; one with two attempts.

    A push of anybody else, after the webhook was made, is the worker's.
    """
    if webhook is None:
        return
    sent = Delivery.objects.filter(webhook=webhook, recorded__isnull=False)
    pushes = list(
        Event.objects.select_related("repository__namespace", "namespace")
        .filter(
            repository=webhook.repository,
            kind=Event.Kind.TAG_PUSHED,
            actor_name="acme+ci-deploy",
            is_relayed=True,
        )
        .exclude(pk__in=sent.values("recorded"))
        .order_by("pk")
    )
    for place, event in enumerate(pushes):
        with transaction.atomic():
            _write_delivery(webhook, event, (503, 202) if place == 1 else (202,))
    if pushes:
        Webhook.objects.filter(pk=webhook.pk).update(succeeded_at=pushes[-1].at)


def _write_delivery(webhook: Webhook, event: Event, statuses: tuple[int, ...]) -> None:
    """Record a delivery that ended well, with these answers."""
    delivery = new_delivery(webhook, event, now=event.at)
    delivery.body = render_delivery(delivery)
    delivery.status = Delivery.Status.DELIVERED
    delivery.attempt_count = delivery.try_count = len(statuses)
    delivery.finished_at = event.at + timedelta(seconds=30 * len(statuses) - 29)
    delivery.save()
    Delivery.objects.filter(pk=delivery.pk).update(created_at=event.at)
    for number, status in enumerate(statuses, 1):
        is_good = status < 300
        answer = json.dumps({"started": f"staging-{400 + event.pk % 90}"})
        milliseconds = 180 + 97 * (event.pk % 5)
        started_at = event.at + timedelta(seconds=30 * (number - 1))
        Attempt.objects.create(
            delivery=delivery,
            number=number,
            started_at=started_at,
            ended_at=started_at + timedelta(milliseconds=milliseconds),
            took_milliseconds=milliseconds,
            address="192.0.2.17",  # RFC 5737: of no one
            request_headers={
                "Content-Type": delivery.content_type,
                "User-Agent": "Berth",
                "webhook-id": str(delivery.uuid),
            },
            status_code=status,
            response_headers={"content-type": "application/json"},
            response_body=answer if is_good else "starting up",
            problem="" if is_good else "status",
            reason="" if is_good else f"the receiver answered {status}",
        )
