from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.memberships import member_leaves
        from accounts.organizations import namespace_leaves
        from accounts.users import user_suspended
        from repositories.events.outbox import add_reader
        from repositories.events.recording import event_recorded
        from repositories.pulls.counting import pulls_counted
        from repositories.tag_statuses import statuses_wanted
        from webhooks.delivery.dispatch import dispatch_event
        from webhooks.delivery.planning import plan_deliveries, plan_pulls
        from webhooks.disabling import (
            delete_with_namespace,
            disable_of_member,
            disable_of_user,
        )
        from webhooks.reports import statuses_of_tags

        add_reader(plan_deliveries)
        event_recorded.connect(dispatch_event, dispatch_uid="webhooks")
        member_leaves.connect(disable_of_member, dispatch_uid="webhooks")
        user_suspended.connect(disable_of_user, dispatch_uid="webhooks")
        namespace_leaves.connect(delete_with_namespace, dispatch_uid="webhooks")
        pulls_counted.connect(plan_pulls, dispatch_uid="webhooks")
        statuses_wanted.connect(statuses_of_tags, dispatch_uid="webhooks")
