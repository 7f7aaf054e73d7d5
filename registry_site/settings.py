"""Every setting, in sections; docs/settings.md explains the ones of an operator.

Values come from the environment (registry_site/environment.py). Nothing else in Berth
reads the environment.
"""

import os
import secrets
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environs import validate
from kombu import Exchange, Queue

from registry_site import environment
from registry_site.environment import (
    DAYS_MAX,
    HOURS_MAX,
    Network,
    Rate,
    between,
    env,
    read,
)

BASE_DIR = Path(__file__).resolve().parent.parent
BERTH_VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())[
    "project"
]["version"]

# --- where things are ---------------------------------------------------------------

BERTH_DATA: Path = read(env.path, "BERTH_DATA", BASE_DIR / "data").resolve()
BERTH_LISTEN: tuple[str, int] = read(
    env.listen_address, "BERTH_LISTEN", "127.0.0.1:8000"
)
BERTH_TLS_CERT = read(env.path, "BERTH_TLS_CERT", None)
BERTH_TLS_KEY = read(env.path, "BERTH_TLS_KEY", None)
if (BERTH_TLS_CERT is None) != (BERTH_TLS_KEY is None):
    raise ImproperlyConfigured(
        "BERTH_TLS_CERT and BERTH_TLS_KEY: one is set without the other"
    )
BERTH_URL: str = read(
    env.public_url,
    "BERTH_URL",
    environment.default_url(*BERTH_LISTEN, is_tls=BERTH_TLS_CERT is not None),
)
BERTH_SERVICE = urlsplit(BERTH_URL).netloc  # who the token is for, as clients say it
BERTH_ABSOLUTE_URLS = read(env.bool, "BERTH_ABSOLUTE_URLS", False)

# --- secrets ------------------------------------------------------------------------

BERTH_SECRET_KEY_FILE = BERTH_DATA / "secret_key"


def _secret_key() -> str:
    """Return the given key, else the kept one, else one for `prepare` to keep."""
    if BERTH_SECRET_KEY and len(BERTH_SECRET_KEY) < 32:
        raise ImproperlyConfigured("BERTH_SECRET_KEY: less than 32 characters")
    key = BERTH_SECRET_KEY
    try:
        if not key and BERTH_SECRET_KEY_FILE.exists():
            key = BERTH_SECRET_KEY_FILE.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"BERTH_DATA: {error}") from error
    return key or secrets.token_urlsafe(50)


BERTH_SECRET_KEY = read(env.str, "BERTH_SECRET_KEY", "")
SECRET_KEY = _secret_key()
BERTH_TOKEN_KEY = read(env.str, "BERTH_TOKEN_KEY", "")
BERTH_METRICS_TOKEN = read(env.str, "BERTH_METRICS_TOKEN", "")
if BERTH_METRICS_TOKEN and len(BERTH_METRICS_TOKEN) < 20:
    raise ImproperlyConfigured("BERTH_METRICS_TOKEN: less than 20 characters")
BERTH_ADMIN_USERNAME = read(env.str, "BERTH_ADMIN_USERNAME", "admin")
BERTH_ADMIN_PASSWORD = read(env.str, "BERTH_ADMIN_PASSWORD", "")

# --- the server ---------------------------------------------------------------------

BERTH_WORKERS = read(
    env.int, "BERTH_WORKERS", len(os.sched_getaffinity(0)), validate=between(1, 1000)
)
BERTH_THREADS = read(env.int, "BERTH_THREADS", 16, validate=between(1, 1000))
BERTH_HSTS_SECONDS = read(
    env.int,
    "BERTH_HSTS_SECONDS",
    180 * 86400,  # long enough for yearly visitors' browsers to keep it between visits
    validate=between(0, 10**9),
)
BERTH_TRUSTED_PROXIES: list[Network] = read(env.networks, "BERTH_TRUSTED_PROXIES", "")

BERTH_REQUEST_SECONDS = read(
    env.float, "BERTH_REQUEST_SECONDS", 15.0, validate=between(1, 3600)
)
BERTH_TRANSFER_SECONDS = read(
    env.float, "BERTH_TRANSFER_SECONDS", 60.0, validate=between(1, 3600)
)
BERTH_TRANSFER_RATE = read(
    env.int,
    "BERTH_TRANSFER_RATE",
    1024,
    validate=between(0, 10**9),  # bytes a second
)
BERTH_CONNECTIONS_PER_ADDRESS = read(
    env.int, "BERTH_CONNECTIONS_PER_ADDRESS", 1000, validate=between(8, 10**6)
)

# --- the registry -------------------------------------------------------------------

BERTH_TOKEN_TTL_SECONDS = read(
    env.int,
    "BERTH_TOKEN_TTL_SECONDS",
    300,  # long enough for helm's POST and PUT (AUTH-41), short enough to be taken back
    validate=between(60, 900),
)
BERTH_IDENTITY_TOKENS = read(
    env.bool,
    "BERTH_IDENTITY_TOKENS",
    False,  # many tools read the password from docker's config.json (D-12)
)
BERTH_MANIFEST_LIMIT_BYTES = read(
    env.int,
    "BERTH_MANIFEST_LIMIT_BYTES",
    4 * 1024 * 1024,  # dist-spec, Pushing Manifests: expect at least 4 megabytes
    validate=between(4 * 1024 * 1024, 1024 * 1024 * 1024),
)
BERTH_UNKNOWN_MANIFESTS = read(
    env.str,
    "BERTH_UNKNOWN_MANIFESTS",
    "accept",
    validate=validate.OneOf(["accept", "refuse"]),
)
BERTH_PUSH_VISIBILITY = read(
    env.str,
    "BERTH_PUSH_VISIBILITY",
    "private",
    validate=validate.OneOf(["private", "public"]),
)
BERTH_SPARSE_NAMESPACES = frozenset(read(env.list, "BERTH_SPARSE_NAMESPACES", []))

# --- blobs --------------------------------------------------------------------------

BERTH_BLOBS = read(
    env.str, "BERTH_BLOBS", "filesystem", validate=validate.OneOf(["filesystem", "s3"])
)
BERTH_BLOB_DELIVERY = read(
    env.str, "BERTH_BLOB_DELIVERY", "direct", validate=validate.OneOf(["direct"])
)
BERTH_UPLOAD_TTL_HOURS = read(
    env.int, "BERTH_UPLOAD_TTL_HOURS", 168, validate=between(1, HOURS_MAX)
)
BERTH_GARBAGE_GRACE_HOURS = read(
    env.int,
    "BERTH_GARBAGE_GRACE_HOURS",
    24,  # a HEAD that a client relied on stays true for hours (DEL-7)
    validate=between(1, HOURS_MAX),
)
BERTH_GARBAGE_CONFIRM_PERCENT = read(
    env.int,
    "BERTH_GARBAGE_CONFIRM_PERCENT",
    25,  # of the store at once: more than clean-up rules, less than a lost database
    validate=between(1, 100),
)
BERTH_GARBAGE_CONFIRM_BLOBS = read(
    env.int, "BERTH_GARBAGE_CONFIRM_BLOBS", 100, validate=between(0, 10**9)
)
BERTH_RESTORE_DAYS = read(
    env.int, "BERTH_RESTORE_DAYS", 7, validate=between(0, DAYS_MAX)
)
BERTH_RESERVED_NAME_DAYS = read(
    env.int, "BERTH_RESERVED_NAME_DAYS", 90, validate=between(0, DAYS_MAX)
)

# --- S3: the names are those of django-storages and boto3 ----------------------------

AWS_STORAGE_BUCKET_NAME: str = read(env.bucket, "AWS_STORAGE_BUCKET_NAME", "")
if BERTH_BLOBS == "s3" and not AWS_STORAGE_BUCKET_NAME:
    raise ImproperlyConfigured("AWS_STORAGE_BUCKET_NAME: BERTH_BLOBS=s3 needs it")
AWS_LOCATION: str = read(env.location, "AWS_LOCATION", "")
AWS_S3_ENDPOINT_URL = read(env.endpoint_url, "AWS_S3_ENDPOINT_URL", "") or None
AWS_S3_REGION_NAME = read(env.str, "AWS_S3_REGION_NAME", "") or None
AWS_S3_ADDRESSING_STYLE = read(
    env.str,
    "AWS_S3_ADDRESSING_STYLE",
    "auto",
    validate=validate.OneOf(["auto", "path", "virtual"]),
)
AWS_S3_VERIFY: str | bool | None = read(env.verify, "AWS_S3_VERIFY", "true")
AWS_S3_OBJECT_PARAMETERS: dict[str, Any] = read(
    env.object_parameters, "AWS_S3_OBJECT_PARAMETERS", "{}"
)
# Without these, boto3 looks for credentials where it always does.
AWS_ACCESS_KEY_ID = read(env.str, "AWS_ACCESS_KEY_ID", "") or None
AWS_SECRET_ACCESS_KEY = read(env.str, "AWS_SECRET_ACCESS_KEY", "") or None
AWS_SESSION_TOKEN = read(env.str, "AWS_SESSION_TOKEN", "") or None
AWS_S3_SESSION_PROFILE = read(env.str, "AWS_S3_SESSION_PROFILE", "") or None
if bool(AWS_ACCESS_KEY_ID) != bool(AWS_SECRET_ACCESS_KEY):
    raise ImproperlyConfigured(
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: one is set without the other"
    )
if AWS_ACCESS_KEY_ID and AWS_S3_SESSION_PROFILE:
    raise ImproperlyConfigured(
        "AWS_ACCESS_KEY_ID and AWS_S3_SESSION_PROFILE: set one of them"
    )
_checksums = ["when_supported", "when_required"]
AWS_REQUEST_CHECKSUM_CALCULATION = read(
    env.str,
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "when_supported",
    validate=validate.OneOf(_checksums),
)
AWS_RESPONSE_CHECKSUM_VALIDATION = read(
    env.str,
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "when_supported",
    validate=validate.OneOf(_checksums),
)
BERTH_S3_SECONDS = read(env.float, "BERTH_S3_SECONDS", 4.0, validate=between(1, 60))

# --- audit and limits ---------------------------------------------------------------

BERTH_AUDIT_DAYS = read(
    env.int,
    "BERTH_AUDIT_DAYS",
    365,  # what most rules of trade and states ask for; 0 keeps everything
    validate=between(0, DAYS_MAX),
)
# A CI never sleeps, and its jobs share an account: twenty requests a second, on and on,
# are no abuse. Without an account, a whole office may stand behind one address.
BERTH_API_RATE: Rate = read(env.rate, "BERTH_API_RATE", "1200/minute")
BERTH_API_ANONYMOUS_RATE: Rate = read(
    env.rate, "BERTH_API_ANONYMOUS_RATE", "300/minute"
)

# For each account; a CI that never sleeps stays below them.
_RATES = {
    "exports": "60/hour",
    "invitations": "100/hour",
    "organizations": "100/hour",
    "previews": "120/minute",
    "readmes": "600/hour",  # and descriptions
    "redeliveries": "600/hour",
    "repositories": "2000/hour",
    "robots": "600/hour",  # and their new tokens
    "searches": "600/minute",  # by address of those who did not sign in
    "stars": "1200/hour",  # and watches
    "teams": "600/hour",
    "tokens": "600/hour",
    "webhook-tests": "120/minute",
    "webhooks": "600/hour",
}
BERTH_RATES: dict[str, Rate] = read(env.rates, "BERTH_RATES", "", defaults=_RATES)
BERTH_OPEN_UPLOADS = read(
    env.int, "BERTH_OPEN_UPLOADS", 1000, validate=between(1, 10**6)
)

# --- webhooks -----------------------------------------------------------------------

BERTH_WEBHOOK_ALLOWED_NETWORKS: list[Network] = read(
    env.networks,
    "BERTH_WEBHOOK_ALLOWED_NETWORKS",
    # On a developer's machine, receivers run beside Berth. Where other machines
    # reach it, directly or by a proxy, their people would reach its host this way.
    "127.0.0.0/8,::1"
    if environment.is_for_this_machine(BERTH_LISTEN[0], BERTH_URL)
    else "",
)
BERTH_WEBHOOK_RETENTION_DAYS = read(
    env.int, "BERTH_WEBHOOK_RETENTION_DAYS", 30, validate=between(1, DAYS_MAX)
)

# --- pages --------------------------------------------------------------------------

BERTH_IMAGE_PROXY: str = read(env.url_template, "BERTH_IMAGE_PROXY", "")

# --- tests --------------------------------------------------------------------------

BERTH_CRASH_AT = read(env.str, "BERTH_CRASH_AT", "")  # database/crash_points.py

# --- the supervisor -----------------------------------------------------------------

# The pipe that `make run` listens at (pulse.py).
BERTH_PULSE_FD: int | None = read(env.int, "BERTH_PULSE_FD", None)

# --- Django -------------------------------------------------------------------------

DEBUG = False
ALLOWED_HOSTS = [str(urlsplit(BERTH_URL).hostname), "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [BERTH_URL]
ROOT_URLCONF = "registry_site.urls"
WSGI_APPLICATION = "registry_site.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
SILENCED_SYSTEM_CHECKS = ["models.W040"]  # SQLite's index is the same without INCLUDE
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
APPEND_SLASH = True
LANGUAGES = [("en", "English")]  # those that templates are translated to
LOCALE_PATHS = [BASE_DIR / "locale"]

INSTALLED_APPS = [
    "registry_site",
    "accounts",
    "repositories",
    "search",
    "api",
    "hub",
    "distribution",
    "webhooks",
    "notifications",
    "demo",
    "registry_site.administration.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",  # allauth's lists of keys and sessions
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.usersessions",
    "csp",
    "django_htmx",
]

MIDDLEWARE = [  # for pages; the protocol goes past it (registry_site/wsgi.py)
    "registry_site.middleware.close_after_unread_body",
    "registry_site.middleware.refuse_unknown_methods",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "registry_site.middleware.Compression",
    "registry_site.static_files.StaticFiles",
    "registry_site.public_address.keep_private_answers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "registry_site.public_address.answer_as_public_address",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "registry_site.middleware.ask_for_own_password",
    "registry_site.middleware.bring_toasts",
    "registry_site.middleware.Refusals",
    "registry_site.middleware.refuse_null_characters",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "registry_site.context.site",
            ],
            "builtins": [
                "hub.templatetags.berth",
                "hub.templatetags.search",
            ],
        },
    }
]

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # no build step: files are served from where they are
WHITENOISE_MAX_AGE = 86400  # seconds; their addresses change with them
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "hub.drawing.assets.FingerprintedStorage"},
}

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BERTH_URL.startswith("https:")
SESSION_COOKIE_NAME = environment.cookie_name("session", BERTH_URL)
CSRF_COOKIE_NAME = environment.cookie_name("csrf", BERTH_URL)
LANGUAGE_COOKIE_NAME = environment.cookie_name("language", BERTH_URL)
LANGUAGE_COOKIE_SECURE = SESSION_COOKIE_SECURE
BERTH_MESSAGES_COOKIE_NAME = environment.cookie_name("messages", BERTH_URL)
MESSAGE_STORAGE = "registry_site.toasts.MessageStorage"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "registry_site.pages.forged"

# --- accounts -----------------------------------------------------------------------

BERTH_SIGNUP = read(
    env.str,
    "BERTH_SIGNUP",
    "open",
    validate=validate.OneOf(["open", "invite", "closed"]),
)
BERTH_EMAIL_VERIFICATION = read(
    env.str,
    "BERTH_EMAIL_VERIFICATION",
    "optional",
    validate=validate.OneOf(["none", "optional", "mandatory"]),
)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_AGE = 30 * 86400  # what "stay signed in" promises

ACCOUNT_ADAPTER = "hub.account.adapters.AccountAdapter"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(BERTH_URL).scheme
ACCOUNT_EMAIL_NOTIFICATIONS = True  # of changed passwords and second factors
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Berth] "
ACCOUNT_EMAIL_VERIFICATION = BERTH_EMAIL_VERIFICATION
ACCOUNT_FORMS = {
    "login": "hub.account.forms.SignInForm",
    "signup": "hub.account.forms.SignUpForm",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.credentials.ResetTokenGenerator"
ACCOUNT_PRESERVE_USERNAME_CASING = False  # a namespace is written in lower case
# accounts/signin_limits.py counts these, for all ways in.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None}
ACCOUNT_PREVENT_ENUMERATION = "strict"  # see hub/account/adapters.py
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
MFA_FORMS = {
    "authenticate": "hub.account.factor_forms.AuthenticateForm",
    "reauthenticate": "hub.account.factor_forms.ReauthenticateForm",
}
MFA_TOTP_TOLERANCE = 1  # steps of 30 seconds, either way
MFA_ALLOW_UNVERIFIED_EMAIL = True  # mail may lead nowhere but to the console
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = f"Berth ({BERTH_SERVICE})"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = urlsplit(BERTH_URL).scheme == "http"
SOCIALACCOUNT_ADAPTER = "hub.account.adapters.SocialAccountAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = False  # the name of a namespace is chosen, not guessed
SOCIALACCOUNT_FORMS = {"signup": "hub.account.forms.SocialSignUpForm"}

# Other services that people sign in with, by the names that allauth has for them.
SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, Any]] = {}
_sign_in_origins: list[str] = []  # where forms lead, for the policy below

BERTH_GITHUB_CLIENT_ID = read(env.str, "BERTH_GITHUB_CLIENT_ID", "")
BERTH_GITLAB_CLIENT_ID = read(env.str, "BERTH_GITLAB_CLIENT_ID", "")
BERTH_GITLAB_URL: str = read(env.public_url, "BERTH_GITLAB_URL", "https://gitlab.com")
BERTH_BITBUCKET_CLIENT_ID = read(env.str, "BERTH_BITBUCKET_CLIENT_ID", "")
BERTH_GOOGLE_CLIENT_ID = read(env.str, "BERTH_GOOGLE_CLIENT_ID", "")
BERTH_OIDC_CLIENT_ID = read(env.str, "BERTH_OIDC_CLIENT_ID", "")
BERTH_OIDC_URL = read(env.str, "BERTH_OIDC_URL", "", validate=environment.issuer_url)
BERTH_OIDC_NAME = read(env.str, "BERTH_OIDC_NAME", "Single sign-on")
if bool(BERTH_OIDC_URL) != bool(BERTH_OIDC_CLIENT_ID):
    raise ImproperlyConfigured(
        "BERTH_OIDC_URL and BERTH_OIDC_CLIENT_ID: one is set without the other"
    )

for _prefix, _provider, _client_id, _secret, _url, _more in (
    (
        "BERTH_GITHUB",
        "github",
        BERTH_GITHUB_CLIENT_ID,
        read(env.str, "BERTH_GITHUB_CLIENT_SECRET", ""),
        "https://github.com",
        {},
    ),
    (
        "BERTH_GITLAB",
        "gitlab",
        BERTH_GITLAB_CLIENT_ID,
        read(env.str, "BERTH_GITLAB_CLIENT_SECRET", ""),
        BERTH_GITLAB_URL,
        {"settings": {"gitlab_url": BERTH_GITLAB_URL}},
    ),
    (
        "BERTH_BITBUCKET",
        "bitbucket_oauth2",
        BERTH_BITBUCKET_CLIENT_ID,
        read(env.str, "BERTH_BITBUCKET_CLIENT_SECRET", ""),
        "https://bitbucket.org",
        {},
    ),
    (
        "BERTH_GOOGLE",
        "google",
        BERTH_GOOGLE_CLIENT_ID,
        read(env.str, "BERTH_GOOGLE_CLIENT_SECRET", ""),
        "https://accounts.google.com",
        {},
    ),
    (
        "BERTH_OIDC",
        "openid_connect",
        BERTH_OIDC_CLIENT_ID,
        read(env.str, "BERTH_OIDC_CLIENT_SECRET", ""),
        BERTH_OIDC_URL,
        {
            "provider_id": "oidc",
            "name": BERTH_OIDC_NAME,
            "settings": {"server_url": BERTH_OIDC_URL, "oauth_pkce_enabled": True},
        },
    ),
):
    if not _client_id and not _secret:
        continue
    if not _client_id or not _secret:
        raise ImproperlyConfigured(
            f"{_prefix}_CLIENT_ID and {_prefix}_CLIENT_SECRET: one is set without the "
            "other"
        )
    _app = {"client_id": _client_id, "secret": _secret, **_more}
    SOCIALACCOUNT_PROVIDERS[_provider] = {"APPS": [_app]}
    INSTALLED_APPS.append(f"allauth.socialaccount.providers.{_provider}")
    _sign_in_origins += environment.origin_of(_url)

AUTHENTICATION_BACKENDS = ["accounts.backends.LimitedBackend"]
PASSWORD_HASHERS = ["accounts.hashing.LimitedArgon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",  # Django's own list: nothing is asked of anybody
    )
]

CONTENT_SECURITY_POLICY = {  # nothing inline, nothing from elsewhere
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "base-uri": ["'none'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'", *_sign_in_origins],
        "frame-ancestors": ["'none'"],
        "img-src": [
            "'self'",
            "data:",  # for the arrow of a select
            *environment.origin_of(BERTH_IMAGE_PROXY),
        ],
        "manifest-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}
    },
    "filters": {
        "secrets": {"()": "registry_site.logs.HideSecrets"},
        "repeats": {"()": "registry_site.logs.LimitRepeats"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["secrets", "repeats"],
        }
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},  # 4xx are the clients' business
        "django.security.csrf": {"level": "ERROR"},  # our page of it tells the same
        "fido2": {"level": "WARNING"},  # passkeys; it tells of each that is used
        "botocore": {"level": "WARNING"},  # it reports where it found credentials
        "urllib3": {"level": "ERROR"},  # it warns of every connection that is closed
        "kombu.connection": {"level": "ERROR"},  # a folder has no host name
        # They log the URL of every request, and a webhook's URL may be its secret.
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
    },
}

# --- the API ------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "api.kit.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [],  # api/kit/views.py closes what is not open
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["api.kit.parsers.StrictJSONParser"],
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS would tell of fields, and not of rights
    "DEFAULT_PAGINATION_CLASS": "api.kit.paging.ByCursor",
    "DEFAULT_SCHEMA_CLASS": "api.kit.schema.ApiSchema",
    "DEFAULT_THROTTLE_CLASSES": ["api.kit.throttles.ActorThrottle"],
    "EXCEPTION_HANDLER": "api.kit.errors.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Berth API",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "PREPROCESSING_HOOKS": ["api.kit.schema.leave_out_exact_paths"],
    "COMPONENT_SPLIT_REQUEST": True,  # what is only read is in no request
    "ENFORCE_NON_BLANK_FIELDS": True,
    "SERVE_INCLUDE_SCHEMA": False,
}

# --- database -----------------------------------------------------------------------


def _database() -> dict[str, Any]:
    database: dict[str, Any] = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BERTH_DATA / "berth.sqlite3",
    }
    if read(env.str, "DATABASE_URL", ""):
        database = dict(read(env.dj_db_url, "DATABASE_URL"))
        if database["NAME"] in {"", ":memory:"} and "sqlite" in database["ENGINE"]:
            raise ImproperlyConfigured("DATABASE_URL: names no file")
    database |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,  # seconds that one writer waits for the others
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8000;"
            ),
        }
        database["CONN_HEALTH_CHECKS"] = False  # a file does not go away
        return database
    if database["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_URL: neither sqlite:// nor postgres://")
    database["ENGINE"] = "database.postgresql"
    timeout = str(database.get("OPTIONS", {}).get("connect_timeout", 4))
    if not timeout.isascii() or not timeout.isdigit() or int(timeout) < 2:
        raise ImproperlyConfigured(
            "DATABASE_URL: connect_timeout is at least 2 seconds"
        )
    database["OPTIONS"] = {
        "connect_timeout": 4,
        # A host that vanished is noticed within a minute, not in two hours.
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 50_000,  # milliseconds
        **database.get("OPTIONS", {}),
    }
    return database


DATABASES = {"default": _database()}

# --- cache and background work ------------------------------------------------------

REDIS_URL = read(env.str, "REDIS_URL", "", validate=environment.redis_url)

if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "registry_site.cache.PatientRedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {
                "serializer": "registry_site.cache.JsonSerializer",
                # What is remembered there is never worth a long wait.
                "socket_connect_timeout": 0.25,
                "socket_timeout": 0.25,
            },
        }
    }
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        # Longer than any task, else Redis would give it to a second worker.
        # What a killed worker had in hand is found by the sweeps long before.
        "visibility_timeout": 8 * 3600,
        "socket_connect_timeout": 3,
        "socket_timeout": 10,
        "socket_keepalive": True,
        "health_check_interval": 30,
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 20_000},  # counters of the API's limits
        }
    }
    _broker = BERTH_DATA / "broker"
    CELERY_BROKER_URL = "folder://"  # registry_site/broker.py
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "polling_interval": 0.1,  # seconds between two looks into the folder
        "data_folder_in": str(_broker / "queue"),
        "data_folder_out": str(_broker / "queue"),
        "control_folder": str(_broker / "control"),
    }

CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # tasks are safe to run twice, and must not be lost
CELERY_TASK_SOFT_TIME_LIMIT = 2 * 3600  # of threads, too (task_deadlines.py)
CELERY_TASK_TIME_LIMIT = 3 * 3600  # in pools of processes only
CELERY_TASK_DEFAULT_QUEUE = "upkeep"
# The nameless exchange takes a message to the queue of its routing key. A named one has
# a table of queues in the broker: two who make it at once in a folder lose a message,
# and a Redis that was emptied has it no more.
CELERY_TASK_DEFAULT_EXCHANGE = ""
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(""), routing_key=name)
    for name in ("deliveries", "statistics", "upkeep")
]
CELERY_TASK_ROUTES = {
    "webhooks.tasks.expire_deliveries": {"queue": "upkeep"},
    "webhooks.tasks.*": {"queue": "deliveries"},
    "repositories.tasks.*": {"queue": "statistics"},
    "search.tasks.*": {"queue": "statistics"},
    "distribution.tasks.count_abandoned_pulls": {"queue": "statistics"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # a message in hand is a message that may be lost
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # else a worker ends in an hour without it
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "registry_site.scheduler:ClockAwareScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5  # seconds until a jump of the clock is noticed
CELERY_BEAT_SCHEDULE_FILENAME = str(BERTH_DATA / "broker" / "schedule")

# --- mail ---------------------------------------------------------------------------

_mail: dict[str, Any] = {
    "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"
}
if read(env.str, "EMAIL_URL", "", validate=environment.mail_url):
    _mail = dict(read(env.dj_email_url, "EMAIL_URL"))
# Pages queue mail in the database; the worker sends it with the backend below.
EMAIL_BACKEND = "accounts.mail.QueueBackend"
BERTH_MAIL_BACKEND: str = _mail["EMAIL_BACKEND"]
BERTH_SENDS_MAIL = BERTH_MAIL_BACKEND.endswith(".smtp.EmailBackend")
EMAIL_HOST = _mail.get("EMAIL_HOST", "")
EMAIL_PORT = _mail.get("EMAIL_PORT") or (587 if _mail.get("EMAIL_USE_TLS") else 25)
EMAIL_HOST_USER = _mail.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
DEFAULT_FROM_EMAIL = _mail.get("DEFAULT_FROM_EMAIL") or (
    f"berth@{urlsplit(BERTH_URL).hostname}"
)
EMAIL_TIMEOUT = 10  # seconds that the worker waits for a mail server that hangs
