"""Make and remove workers: a Protocol in base.py, one file per kind of provisioner."""
