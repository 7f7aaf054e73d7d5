"""Gives each kind of event its icon and its plain words: the one table of them. Pure.

    alice pushed acme/api:v1      WORDS["tag.pushed"]: the icon "upload", "pushed"

Webhook messages use the words as they are. The sentences with links on pages are in
hub/activity/sentences.py, the headlines of notifications in notifications/wording.py;
both take the icons from here. Every kind is in WORDS or in AUDIT_ONLY.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """The icon of an event in a list, and the words after the name of its actor."""

    icon: str  # a name of hub/drawing/icons.py
    plain: str  # may contain {visibility}


WORDS = {
    "repository.created": Words("package-plus", "created"),
    "repository.changed": Words("pencil", "changed"),
    "repository.visibility": Words("eye", "made {visibility}"),
    "repository.renamed": Words("pencil", "renamed"),
    "repository.transferred": Words("send", "transferred"),
    "repository.deleted": Words("trash-2", "deleted"),
    "repository.restored": Words("undo-2", "restored"),
    "grant.set": Words("user-plus", "gave access"),
    "grant.removed": Words("user-minus", "removed access"),
    "tag.pushed": Words("upload", "pushed"),
    "tag.deleted": Words("trash-2", "deleted"),
    "tag.restored": Words("undo-2", "restored"),
    "tag.pulled": Words("download", "pulled"),  # counted, and not in the log
    "manifest.pushed": Words("upload", "pushed"),
    "manifest.deleted": Words("trash-2", "deleted"),
    "webhook.created": Words("webhook", "created a webhook"),
    "webhook.changed": Words("webhook", "changed a webhook"),
    "webhook.deleted": Words("webhook", "deleted a webhook"),
    "webhook.disabled": Words("webhook", "disabled a webhook"),
    "member.added": Words("user-plus", "added a member"),
    "member.removed": Words("user-minus", "removed a member"),
    "robot.created": Words("bot", "created a robot"),
    "robot.token_replaced": Words("key-round", "replaced the token of a robot"),
    "robot.expires_soon": Words("bot", "has a robot that expires soon"),
}

# Kinds that only the audit log lists, by their names.
AUDIT_ONLY = {
    *("organization.created", "organization.changed", "organization.renamed"),
    *("organization.deleted", "name.freed"),
    *("team.created", "team.changed", "team.deleted"),
    *("invitation.sent", "invitation.withdrawn"),
    *("invitation.accepted", "invitation.declined"),
    *("robot.changed", "robot.deleted", "token.issued", "token.revoked"),
    *("user.created", "user.changed", "user.renamed", "user.deleted"),
    *("user.suspended", "user.activated", "user.password_changed"),
    *("user.second_factor", "user.login_ended", "user.signed_in"),
    *("repository.purged", "default.set", "default.removed"),
    *("category.set", "category.removed"),
    *("store.adopted", "collection.held", "collection.confirmed"),
}
