"""A Django project in one file, for WSGI and ASGI servers."""

from __future__ import annotations

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY="for the test only", MIDDLEWARE=[])


def item(request: HttpRequest, number: int) -> JsonResponse:
    return JsonResponse({"item": number})


def fail(request: HttpRequest) -> JsonResponse:
    raise RuntimeError("no item")


urlpatterns = [path("items/<int:number>", item), path("fail", fail)]
application = get_wsgi_application()
asgi_application = get_asgi_application()
