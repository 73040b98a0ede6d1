"""Engines: kinds of work that know what they need (`base`), and the short way to make one (`function`)."""
