"""How often a repository was pulled (…/statistics)."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api.repositories.readings import RepositoryPathView
from api.repositories.serializers import StatisticsQuerySerializer, StatisticsSerializer
from repositories.pulls.statistics import pulls_by, pulls_by_platform, pulls_per_day
from repositories.rights.access import visible_repository


class StatisticsView(RepositoryPathView):
    """Pulls of the last days, and what they were of."""

    serializer_class = StatisticsSerializer
    pagination_class = None
    for_anonymous = True
    parameters = [StatisticsQuerySerializer]

    @extend_schema(responses=StatisticsSerializer)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        repository = visible_repository(self.actor, namespace, name)
        days = self.ask(StatisticsQuerySerializer)["days"]
        answer = {
            "pull_count": repository.pull_count,
            "days": pulls_per_day(repository, days=days),
            "tags": pulls_by(repository, "tag", days=days),
            "platforms": pulls_by_platform(repository, days=days),
            "clients": pulls_by(repository, "client", days=days),
        }
        return Response(StatisticsSerializer(answer).data)
