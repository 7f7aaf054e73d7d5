"""The actions on a repository, and the roles that allow them. Pure.

Every role contains the one before it. A custom role is later another set of actions;
nothing asks for a role by name, only for an action.
"""

from enum import StrEnum


class Action(StrEnum):
    """One thing that someone may or may not do with a repository."""

    PULL = "pull"
    PUSH = "push"  # upload, create a tag
    OVERWRITE = "overwrite"  # move an existing tag
    DELETE = "delete"  # tags, manifests, blobs
    DESCRIBE = "describe"  # text shown to people
    CONFIGURE = "configure"  # visibility, rules, rename
    GRANT = "grant"  # who may do what
    HOOK = "hook"  # webhooks
    BUILD = "build"  # build rules, start a build
    DESTROY = "destroy"  # the repository itself


class Role(StrEnum):
    """A named set of actions; also the ceiling of an access token."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


READ_ACTIONS = frozenset({Action.PULL})
WRITE_ACTIONS = READ_ACTIONS | {
    Action.PUSH,
    Action.OVERWRITE,
    Action.DELETE,
    Action.BUILD,
}
ALL_ACTIONS = frozenset(Action)

ACTIONS_OF_ROLE: dict[str, frozenset[Action]] = {
    Role.READ: READ_ACTIONS,
    Role.WRITE: WRITE_ACTIONS,
    Role.ADMIN: ALL_ACTIONS,
}

# A grant with a tag glob gives these only for matching tags, and pull for everything.
TAG_ACTIONS = frozenset({Action.PUSH, Action.OVERWRITE, Action.DELETE})
