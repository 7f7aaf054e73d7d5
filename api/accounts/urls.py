from django.urls import path

from api.accounts import invitations, organizations, robots, users

ORGANIZATION = "organizations/<str:organization>"
TEAM = f"{ORGANIZATION}/teams/<str:team>"

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
    path(
        f"{ORGANIZATION}/members/<str:member>",
        organizations.MemberView.as_view(),
        name="member",
    ),
    path(
        f"{ORGANIZATION}/invitations",
        invitations.InvitationsView.as_view(),
        name="invitations",
    ),
    path(
        f"{ORGANIZATION}/invitations/<int:invitation>",
        invitations.InvitationView.as_view(),
        name="invitation",
    ),
    path(
        "user/invitations",
        invitations.OwnInvitationsView.as_view(),
        name="own-invitations",
    ),
    path(
        "user/invitations/<int:invitation>",
        invitations.OwnInvitationView.as_view(),
        name="own-invitation",
    ),
    path(f"{ORGANIZATION}/robots", robots.RobotsView.as_view(), name="robots"),
    path(
        f"{ORGANIZATION}/robots/<str:robot>/token",
        robots.RobotTokenView.as_view(),
        name="robot-token",
    ),
    path("user/robots", robots.RobotsView.as_view(), name="own-robots"),
    path(
        "user/robots/<str:robot>/token",
        robots.RobotTokenView.as_view(),
        name="own-robot-token",
    ),
]
