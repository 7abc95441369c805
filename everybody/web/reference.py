"""The page that describes the server's routes, made from their OpenAPI document; it needs nothing
but itself.
"""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font-family:ui-monospace,monospace}pre{overflow:auto;white-space:pre-wrap}"
    "h2{margin-top:2rem;border-top:1px solid;padding-top:1rem}"
    "td,th{text-align:left;padding:.1rem 1rem .1rem 0}"
)


def page(document: dict[str, Any]) -> str:
    """An OpenAPI document -> HTML."""
    routes = [
        _route(method, path, route)
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    ]
    title = escape(document["info"]["title"])
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>{escape(document['info'].get('description', ''))}</p>"
        f"<p>The same for programs: <code>openapi.json</code>, beside this page.</p>"
        f"{''.join(routes)}</html>"
    )


def _route(method: str, path: str, route: dict[str, Any]) -> str:
    rows = [
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}"
        f"<td>{escape(one.get('description', ''))}"
        for one in route.get("parameters", ())
    ]
    table = f"<table><tr><th>parameter<th>in<th>what{''.join(rows)}</table>" if rows else ""
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<pre>{escape(route.get('description') or route.get('summary', ''))}</pre>{table}"
    )
