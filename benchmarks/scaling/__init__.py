"""How far one process goes, and what more of them bring: Gunicorn's and Celery's workers on one machine."""
