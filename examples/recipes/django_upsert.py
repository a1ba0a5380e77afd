"""
Django, in one file: who was seen where last, by one upsert per batch, and never one per request.

    python django_upsert.py migrate
    python django_upsert.py check                # nothing is started
    gunicorn django_upsert:application --threads 4
"""

import os
import sys
import threading
from typing import Any

import django
from django.apps import AppConfig
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.signals import request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, models
from django.http import HttpRequest, HttpResponse
from django.urls import path

from partitioned_buffer import Entry, Map

starting = threading.Lock()


def upsert(entries: list[Entry[str, str]]) -> None:
    """Write a batch by Django's ORM, in a worker's thread."""
    close_old_connections()  # of this thread, in which no request ever ends
    LastSeen.objects.bulk_create(
        [LastSeen(user=entry.key, page=entry.value) for entry in entries],
        update_conflicts=True, unique_fields=["user"], update_fields=["page"],
    )  # fmt: skip


last_seen: Map[str, str] = Map("last seen", upsert, processing_batch_size=500)


def start(**_: Any) -> None:
    """Start with the first request: commands of manage.py have none."""
    with starting:
        if not last_seen.running:
            last_seen.start()


class RecipesConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """In a project of your own, this is in `apps.py`."""

    name, label, path = "django_upsert", "recipes", os.getcwd()  # noqa: PTH109  # in one file

    def ready(self) -> None:
        """Start nothing: `check` and `migrate` come here, too."""
        self.models_module = self.module  # in one file
        request_started.connect(start, dispatch_uid="last seen")


def see(_request: HttpRequest, user: str, page: str) -> HttpResponse:
    """Note where somebody was seen."""
    last_seen.put(user, page)
    return HttpResponse(status=202)


settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    INSTALLED_APPS=["django_upsert.RecipesConfig"], DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "CONN_MAX_AGE": 60,
                           "NAME": os.environ.get("DATABASE", "seen.db")}},
)  # fmt: skip
sys.modules.setdefault("django_upsert", sys.modules[__name__])  # where it is the program itself
django.setup()
urlpatterns = [path("seen/<user>/<page>", see)]


class LastSeen(models.Model):  # type: ignore[misc]  # as above
    """In a project of your own, this is in `models.py`."""

    user = models.CharField(max_length=50, primary_key=True)
    page = models.CharField(max_length=50)

    class Meta:
        """Whose it is."""

        app_label = "recipes"

    def __str__(self) -> str:
        return f"{self.user} at {self.page}"


application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line([*sys.argv, "--run-syncdb"] if "migrate" in sys.argv else sys.argv)
