from webhooks.models.deliveries import Attempt, Delivery
from webhooks.models.reports import Report
from webhooks.models.webhooks import Webhook

__all__ = ["Attempt", "Delivery", "Report", "Webhook"]
