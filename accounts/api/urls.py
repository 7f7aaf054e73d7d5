from django.urls import path

from accounts.api.views import organizations, users

ORGANIZATION = "organizations/<str:organization>"
TEAM = f"{ORGANIZATION}/teams/<str:team>"
ROBOT = f"{ORGANIZATION}/robots/<str:robot>"

urlpatterns = [
    path("user", users.UserView.as_view(), name="user"),
    path("users", users.UsersView.as_view(), name="users"),
    path("users/<str:username>", users.OneUserView.as_view(), name="one-user"),
    path(
        "organizations",
        organizations.OrganizationsView.as_view(),
        name="organizations",
    ),
    path(ORGANIZATION, organizations.OrganizationView.as_view(), name="organization"),
    path(f"{ORGANIZATION}/teams", organizations.TeamsView.as_view(), name="teams"),
    path(TEAM, organizations.TeamView.as_view(), name="team"),
    path(
        f"{TEAM}/members/<str:member>",
        organizations.TeamMemberView.as_view(),
        name="team-member",
    ),
    path(f"{ORGANIZATION}/robots", organizations.RobotsView.as_view(), name="robots"),
    path(ROBOT, organizations.RobotView.as_view(), name="robot"),
    path(f"{ROBOT}/token", organizations.RobotTokenView.as_view(), name="robot-token"),
]
