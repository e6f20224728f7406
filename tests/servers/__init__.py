"""greenh2 against servers that nobody here wrote: nginx, nghttpd, Apache httpd."""
