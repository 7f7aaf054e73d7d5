"""What is found, in which order, and by whom (search/results.py)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.actors import ANONYMOUS, Actor
from accounts.authentication import actor_of, authenticate_token
from accounts.models import Namespace
from repositories import stars
from repositories.models import (
    Category,
    DailyPulls,
    ImageConfig,
    Manifest,
    Repository,
    RepositoryLabel,
    SearchEntry,
)
from repositories.oci.references import NAME_MAX_LENGTH
from search import index, trends, triggers
from search.query import parse_query
from search.results import count_facets, count_matches, search, suggest
from tests import make
from tests.conftest import Cast
from tests.images import as_json, image
from tests.registry_client import RegistryClient

pytestmark = pytest.mark.usefixtures("database")


def found(text: str, actor: Actor = ANONYMOUS, **parameters: list[str]) -> list[str]:
    results = search(actor, parse_query(text, parameters), size=50)
    return [repository.full_name for repository in results.repositories]


def made(namespace: Namespace, name: str, **columns: object) -> Repository:
    repository = make.repository(namespace, name, visibility="public")
    if columns:
        Repository.objects.filter(pk=repository.pk).update(**columns)
    return repository


def word_of_its_own() -> str:
    return make.unique("needle").replace("-", "")


# --- order


def test_the_better_match_comes_first(cast: Cast) -> None:
    word = word_of_its_own()
    own = cast.acme.namespace
    official = make.organization(owner=cast.alice, name="marked").namespace
    verified = make.organization(owner=cast.alice, name="sold").namespace
    Namespace.objects.filter(pk=official.pk).update(is_official=True)
    Namespace.objects.filter(pk=verified.pk).update(is_verified=True)
    expected = [
        made(official, word),
        made(verified, word),
        made(cast.dave.namespace, word, star_count=2, pull_count=1),
        made(cast.bob.namespace, word, star_count=1, pull_count=9),
        made(cast.carol.namespace, word, star_count=1, pull_count=8),
        made(own, word),
        made(official, f"{word}-x"),
        made(own, f"{word}-stars", star_count=5),
        made(own, f"{word}-none"),
        made(official, f"my-{word}"),
        made(own, f"my-{word}", star_count=9),
        made(official, make.unique("other"), description=f"Uses {word.upper()}."),
        made(own, make.unique("other"), description=f"with {word}s", star_count=99),
    ]
    trends.refresh()  # pulls wait for the task
    names = [repository.full_name for repository in expected]
    assert found(word) == names
    assert found(word.upper()) == names
    assert suggest(ANONYMOUS, word) == expected[:8]
    assert found(word, sort=["stars"])[:2] == [names[12], names[10]]
    assert found(word, sort=["pulls"])[:2] == [names[3], names[4]]


@pytest.fixture
def shelf(cast: Cast) -> dict[str, str]:
    """Some repositories, told apart by a word of this test."""
    word = word_of_its_own()
    own, other = cast.acme.namespace, cast.dave.namespace
    made(own, f"{word}-java", description="A class-based LANGUAGE, 100% Übung")
    made(own, f"{word}-jdk", description="java development kit")
    made(other, f"{word}-under_score", description="it's \\ a 'quote'")
    return {"word": word, "acme": own.name, "dave": other.name}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{word}", ["java", "jdk", "under_score"]),
        ("{word} java", ["java", "jdk"]),
        ('{word} "class-based language"', ["java"]),
        ('{word} "development kit"', ["jdk"]),
        ('{word} "kit development"', []),
        ("{word} user:{dave}", ["under_score"]),
        ("{word} user:nobody-of-that-name", []),
        ("{acme}/{word}", ["java", "jdk"]),
        ("{word} 100%", ["java"]),
        ("{word} 1%0", []),
        ("{word} r_s", ["under_score"]),
        ("{word} j_v", []),
        ("{word} it's", ["under_score"]),
        ("{word} \\\\", []),
        ("{word} übung", ["java"]),
        ('{word} "', ["java", "jdk", "under_score"]),
        ("{word} \0", ["java", "jdk", "under_score"]),
        ("{word} )(*&AND OR NOT", []),
        ("{word} is:official", []),
        ("{word} is:starred", []),
        ("{word} arch:amd64", []),
        ("{word} arch:no-such", []),
        ("{word} category:no-such", []),
    ],
)
def test_words_find(shelf: dict[str, str], text: str, names: list[str]) -> None:
    word = shelf["word"]
    got = [name.rpartition(f"{word}-")[2] for name in found(text.format(**shelf))]
    assert sorted(got) == sorted(names)


def test_one_or_two_letters_begin_a_name(cast: Cast) -> None:
    own = make.organization(owner=cast.alice, name="zz").namespace
    short = made(own, "go")
    made(cast.acme.namespace, make.unique("cargo"))
    assert found(f"go user:{own.name}") == [short.full_name]
    assert short.full_name in found("go")
    assert found(f"o user:{own.name}") == []
    assert found(f"zz user:{own.name}") == [short.full_name]


def test_pages_follow_each_other(cast: Cast) -> None:
    word = word_of_its_own()
    for n in range(7):
        made(cast.acme.namespace, f"{word}-{n}")
    pages = [
        search(ANONYMOUS, parse_query(word, {"page": [str(n)]}), size=3)
        for n in (1, 2, 3, 4)
    ]
    names = [r.full_name for page in pages for r in page.repositories]
    assert len(names) == len(set(names)) == 7
    assert [page.has_next for page in pages] == [True, True, False, False]
    assert (pages[1].first, pages[1].last) == (4, 6)
    assert count_matches(ANONYMOUS, parse_query(word)).value == 7
    far = search(ANONYMOUS, parse_query(word, {"page": ["9999"]}))
    assert far.repositories == []


def test_a_common_word_is_found_without_the_index(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer does not depend on how far the best entries are looked at."""
    word = word_of_its_own()
    for n in range(12):
        made(cast.acme.namespace, f"{'x' * (n % 3)}{word}-{n}", star_count=n % 5)
    everything = found(word)
    for rows in (0, 1, 5, 100_000):
        monkeypatch.setattr("search.statements.WALK_ROWS", rows)
        assert found(word) == everything
        top = search(ANONYMOUS, parse_query(word), size=4).repositories
        assert [repository.full_name for repository in top] == everything[:4]


def test_nothing_is_counted_without_end(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = word_of_its_own()
    for n in range(6):
        made(cast.acme.namespace, f"{word}-{n}")
    monkeypatch.setattr("search.results.RESULTS_MAX", 4)
    monkeypatch.setattr("search.statements.RESULTS_MAX", 4)
    count = count_matches(ANONYMOUS, parse_query(word))
    assert (count.value, count.is_exact) == (4, False)
    assert not count_facets(ANONYMOUS, parse_query(word)).total.is_exact


# --- who finds what


def test_what_is_private_is_found_by_those_who_may_pull(cast: Cast) -> None:
    """In results, counts, facets and suggestions alike."""
    word = word_of_its_own()
    category = Category.objects.create(slug=make.unique("shelf"), name="Shelf")
    public = made(cast.acme.namespace, f"{word}-public")
    private = make.repository(cast.acme.namespace, f"{word}-private")
    own = make.repository(cast.dave.namespace, f"{word}-own")
    make.grant(private, cast.backend, "write")
    make.grant(private, cast.carol, "read")
    make.grant(private, cast.robby, "read")
    for repository in (public, private, own):
        repository.categories.add(category)
        SearchEntry.objects.filter(pk=repository.pk).update(platforms=1)
        stars.star(repository=repository, user=cast.dave)
    robby = Actor(robot_id=cast.robby.pk, name=cast.robby.username)
    sees_private = {public.full_name, private.full_name}
    for who, actor, names in [
        ("alice", actor_of(cast.alice), sees_private),
        ("bob", actor_of(cast.bob), sees_private),
        ("carol", actor_of(cast.carol), sees_private),
        ("robby", robby, sees_private),
        ("dave", actor_of(cast.dave), {public.full_name, own.full_name}),
        ("anonymous", ANONYMOUS, {public.full_name}),
    ]:
        query = parse_query(word)
        assert (who, set(found(word, actor))) == (who, names)
        assert (who, {r.full_name for r in suggest(actor, word)}) == (who, names)
        assert (who, count_matches(actor, query).value) == (who, len(names))
        facets = count_facets(actor, query)
        assert (who, facets.total.value) == (who, len(names))
        assert (who, facets.systems["linux"]) == (who, len(names))
        assert (who, dict(facets.categories)[category]) == (who, len(names))
        assert facets.starred == (len(names) if who == "dave" else 0)
        shelved = found(f"category:{category.slug} os:linux arch:amd64", actor)
        assert (who, set(shelved)) == (who, names)


def test_a_token_finds_only_what_it_reaches(cast: Cast) -> None:
    word = word_of_its_own()
    public = made(cast.acme.namespace, f"{word}-public")
    private = make.repository(cast.acme.namespace, f"{word}-private")
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {public.full_name, private.full_name}),
        ({"repository_ids": [private.pk]}, {private.full_name}),
        ({"namespace_ids": [cast.dave.namespace.pk]}, set()),
        ({"repository_ids": []}, set()),
    ]
    for limits, names in cases:
        secret = make.access_token(cast.alice, **limits)
        actor = authenticate_token(secret)
        assert set(found(word, actor)) == names
        assert count_matches(actor, parse_query(word)).value == len(names)


def test_rights_that_end_end_for_the_search(cast: Cast) -> None:
    word = word_of_its_own()
    private = make.repository(cast.acme.namespace, word)
    grant = make.grant(private, cast.carol, "read")
    carol = actor_of(cast.carol)
    assert found(word, carol) == [private.full_name]
    grant.delete()
    assert found(word, carol) == []
    assert count_matches(carol, parse_query(word)).value == 0


# --- what keeps the entries in step


def push_image(
    client: RegistryClient, name: str, architecture: str, labels: dict[str, str]
) -> None:
    """Push an image whose config says this."""
    said = {
        "os": "linux",
        "architecture": architecture,
        "config": {"Labels": labels},
    }
    pushed = image(config=as_json(said))
    client.push(f"{name}:v1", pushed)
    manifest = Manifest.objects.get(
        digest=pushed.digest, repository__name=name.partition("/")[2]
    )
    if not ImageConfig.objects.filter(manifest=manifest).exists():
        ImageConfig.objects.create(
            manifest=manifest, os="linux", architecture=architecture, document=said
        )


def test_a_search_knows_of_every_change_at_once(cast: Cast) -> None:
    """Also of those that no verb made."""
    word = word_of_its_own()
    repository = make.repository(cast.acme.namespace, "before", visibility="private")
    rows = Repository.objects.filter(pk=repository.pk)
    rows.update(name=word)
    assert found(word) == []
    rows.update(visibility="public")
    assert len(found(word)) == 1
    rows.update(name=make.unique("after"), description=word)
    assert len(found(word)) == 1
    rows.update(namespace=cast.dave.namespace)
    assert len(found(f"{word} user:{cast.dave.namespace.name}")) == 1
    rows.update(deleted_at=timezone.now())
    assert found(word) == []
    assert not SearchEntry.objects.filter(pk=repository.pk).exists()
    rows.update(deleted_at=None)
    assert len(found(word)) == 1
    rows.update(visibility="private")
    assert found(word) == []
    assert count_matches(ANONYMOUS, parse_query(word)).value == 0
    repository.refresh_from_db()
    repository.delete()
    assert found(word, actor_of(cast.dave)) == []


def test_a_renamed_or_marked_namespace_is_found_so(cast: Cast) -> None:
    namespace = make.organization(owner=cast.alice, name="rename").namespace
    made(namespace, "image")
    word = word_of_its_own()
    Namespace.objects.filter(pk=namespace.pk).update(name=word, is_verified=True)
    assert found(word) == found(f"{word} is:verified") == [f"{word}/image"]
    Namespace.objects.filter(pk=namespace.pk).update(is_verified=False)
    assert found(f"{word} is:verified") == []


def test_a_long_name_is_found(cast: Cast) -> None:
    """The longest name that a client may use (G-1)."""
    own = cast.acme.namespace
    name = "n" * (NAME_MAX_LENGTH - len(own.name) - 1)
    repository = made(own, name)
    assert repository.full_name in found("n" * 100)


def test_a_push_tells_platforms_and_labels(
    cast: Cast, alice: RegistryClient, public_api: Repository
) -> None:
    name = public_api.full_name
    push_image(alice, name, "s390x", {"Vendor": "ACME", "n": "1"})
    user = f"user:{cast.acme.namespace.name} {public_api.name}"
    for words, is_found in [
        ("arch:s390x", True),
        ("os:linux arch:s390x label:Vendor=ACME", True),
        ("os:windows", False),
        ("label:Vendor", True),
        ("label:vendor", False),
        ("label:Vendor=acme", False),
        ("label:n=1", True),
    ]:
        assert (words, found(f"{user} {words}") == [name]) == (words, is_found)
    push_image(alice, name, "s390x", {"n": "2"})
    assert found(f"{user} label:n=1") == []
    assert found(f"{user} label:n=2") == [name]
    assert RepositoryLabel.objects.filter(repository=public_api).count() == 2


def test_a_push_shows_among_the_updated(
    cast: Cast, alice: RegistryClient, public_api: Repository
) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    SearchEntry.objects.filter(pk=public_api.pk).update(updated_at=long_ago)
    made(cast.acme.namespace, make.unique("later"))
    alice.push(f"{public_api.full_name}:v1", image())
    own = f"user:{cast.acme.namespace.name}"
    assert found(own, sort=["updated"])[0] == public_api.full_name


def test_a_rebuild_repairs_what_is_wrong(cast: Cast, alice: RegistryClient) -> None:
    word = word_of_its_own()
    right = made(cast.acme.namespace, f"{word}-right")
    gone = made(cast.acme.namespace, f"{word}-gone")
    push_image(alice, right.full_name, "arm64", {"k": "v"})
    SearchEntry.objects.filter(pk=right.pk).update(
        full_name="wrong", text="wrong", is_public=False, platforms=0
    )
    RepositoryLabel.objects.filter(repository=right).update(value="wrong")
    SearchEntry.objects.filter(pk=gone.pk).delete()
    assert found(word) == []
    count = index.rebuild()
    assert count == Repository.objects.filter(deleted_at=None).count()
    assert found(f"{word} arch:arm64 label:k=v") == [right.full_name]
    assert set(found(word)) == {right.full_name, gone.full_name}


def test_the_triggers_are_made_again_after_a_migration() -> None:
    """SQLite drops those of a table that a migration remakes."""
    assert triggers.is_installed()
    if connection.vendor == "sqlite":
        triggers.make_way_for_migrations(plan=[object()], using="default")
        assert not triggers.is_installed()
    triggers.install_after_migrations(plan=[object()], using="default")
    assert triggers.is_installed()
    assert triggers.has_trigrams()


def test_trends_are_what_was_starred_and_pushed_of_late(cast: Cast) -> None:
    calm = made(cast.acme.namespace, make.unique("calm"))
    liked = made(cast.acme.namespace, make.unique("liked"))
    stars.star(repository=liked, user=cast.dave)
    trends.refresh()
    scores = dict(SearchEntry.objects.values_list("pk", "trend_score"))
    assert scores[liked.pk] > scores[calm.pk] == 0
    stars.unstar(repository=liked, user=cast.dave)
    trends.refresh()
    assert SearchEntry.objects.get(pk=liked.pk).trend_score == 0


def test_what_trends_decays_from_day_to_week_and_is_forgotten_after_it(
    cast: Cast,
) -> None:
    """In steps of 1, 7 and 30 days; a month ago counts a little beside this week."""

    def pulled(name: str, *days_ago: int) -> Repository:
        repository = made(cast.acme.namespace, make.unique(name))
        DailyPulls.objects.bulk_create(
            DailyPulls(
                repository=repository,
                day=timezone.now().date() - timedelta(days=days),
                pull_count=1000,
            )
            for days in days_ago
        )
        return repository

    fresh, older, regular = pulled("new", 0), pulled("old", 4), pulled("reg", 4, 20)
    past = pulled("past", 20)
    trends.refresh()
    scores = dict(SearchEntry.objects.values_list("pk", "trend_score"))
    assert scores[fresh.pk] > scores[regular.pk] > scores[older.pk] > 0
    assert scores[past.pk] == 0, "a month ago is not this week"
    assert trends.refresh() == 0, "a second time changes nothing"


def test_the_public_answer_has_no_word_of_what_is_private(
    anonymous: RegistryClient, cast: Cast
) -> None:
    """The API, docker search and the suggestions, as bytes."""
    word = word_of_its_own()
    private = make.repository(cast.acme.namespace, f"{word}-secret")
    for path in (f"/v1/search?q={word}", f"/api/v1/search?q={word}"):
        answer = anonymous.get(path, token="")
        assert answer.status_code == 200
        assert private.name not in json.dumps(answer.json())
        count = answer.json().get("num_results", answer.json().get("count"))
        assert count == 0
