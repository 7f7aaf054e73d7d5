"""The administration: Django's, with the site of registry_site/admin.py."""

from django.contrib.admin.apps import AdminConfig


class AdministrationConfig(AdminConfig):
    default = True
    default_site = "registry_site.admin.BerthAdminSite"
