"""The engine: what vendors say is reconciled with the platform, and what is owed to vendors is paid.

Plain functions over a `Runtime`; `sync.app` hangs them on Celery.
"""
